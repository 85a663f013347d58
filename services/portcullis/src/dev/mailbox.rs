//! The development mailbox and the clock control: pages on a port of their own, on loopback.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use commands::moments::moment;
use formats::{Clock, SystemClock};
use mail_parser::MessageParser;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

/// The most mails that are kept; the oldest goes first.
const KEPT: usize = 1_000;

/// A mail as a script reads it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kept {
    to: Vec<String>,
    subject: String,
    text: String,
    html: String,
    links: Vec<String>,
    message_id: String,
    in_reply_to: String,
}

/// A mail that came.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// When its last byte was here, before it was acknowledged.
    pub(crate) at: Instant,
    /// Its text.
    pub(crate) text: String,
}

/// The mails, newest last.
#[derive(Debug, Clone, Default)]
pub(super) struct Mailbox {
    kept: Arc<Mutex<VecDeque<Kept>>>,
    watcher: Arc<OnceLock<mpsc::UnboundedSender<Arrival>>>,
}

impl Mailbox {
    /// Each mail from now on, for whoever asks first; none for others.
    pub(super) fn watch(&self) -> Option<mpsc::UnboundedReceiver<Arrival>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.watcher.set(sender).ok().map(|()| receiver)
    }

    pub(super) fn keep(&self, to: &[String], raw: &[u8]) {
        let at = Instant::now();
        let Some(message) = MessageParser::default().parse(raw) else {
            return;
        };
        let text = message.body_text(0).unwrap_or_default().into_owned();
        let links = text
            .split_whitespace()
            .filter(|word| word.starts_with("http://") || word.starts_with("https://"))
            .map(str::to_owned)
            .collect();
        let kept = Kept {
            to: to.to_vec(),
            subject: message.subject().unwrap_or_default().to_owned(),
            html: message.body_html(0).unwrap_or_default().into_owned(),
            links,
            text,
            message_id: message.message_id().unwrap_or_default().to_owned(),
            in_reply_to: message.in_reply_to().as_text().unwrap_or_default().to_owned(),
        };
        if let Some(watcher) = self.watcher.get() {
            let text = kept.text.clone();
            let _ = watcher.send(Arrival { at, text });
        }
        let mut mails = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if mails.len() >= KEPT {
            mails.pop_front();
        }
        mails.push_back(kept);
    }

    fn all(&self) -> Vec<Kept> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}

#[derive(Clone)]
struct Tools {
    mailbox: Mailbox,
    clock: Arc<SystemClock>,
}

/// Listens on a free port of loopback until `stop`.
pub(super) async fn listen(
    mailbox: Mailbox,
    clock: Arc<SystemClock>,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/", get(page))
        .route("/messages.json", get(messages))
        .route("/messages/{n}", get(message))
        .route("/clock", post(advance).get(now))
        .route("/mailbox.css", get(css))
        .with_state(Tools { mailbox, clock });
    tokio::spawn(async move {
        let _ = axum::serve(listener, router)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await;
    });
    Ok(address)
}

async fn messages(State(tools): State<Tools>) -> Json<Vec<Kept>> {
    Json(tools.mailbox.all())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Advance {
    /// By how many milliseconds the clock goes forward, up to 366 days.
    advance_ms: i64,
}

#[derive(Serialize)]
struct Now {
    now: formats::Timestamp,
}

async fn now(State(tools): State<Tools>) -> Json<Now> {
    Json(Now { now: tools.clock.now() })
}

async fn advance(State(tools): State<Tools>, Json(body): Json<Advance>) -> Response {
    if !(0..=366 * 24 * 3_600_000).contains(&body.advance_ms) {
        return (
            StatusCode::UNPROCESSABLE_ENTITY,
            "advanceMs has to be 0 to 31622400000\n",
        )
            .into_response();
    }
    tools.clock.advance(body.advance_ms);
    Json(Now { now: tools.clock.now() }).into_response()
}

async fn message(State(tools): State<Tools>, Path(n): Path<usize>) -> Response {
    match tools.mailbox.all().into_iter().nth(n) {
        // The mail's own markup runs in a page that may load and execute nothing.
        Some(mail) => (
            [(
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; sandbox allow-popups allow-popups-to-escape-sandbox",
            )],
            Html(mail.html.replace("<a ", "<a target=\"_blank\" rel=\"noreferrer\" ")),
        )
            .into_response(),
        None => (StatusCode::NOT_FOUND, "there is no such mail\n").into_response(),
    }
}

async fn css() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], include_str!("mailbox.css"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

async fn page(State(tools): State<Tools>) -> impl IntoResponse {
    let mails = tools.mailbox.all();
    let mut rows = String::new();
    for (n, mail) in mails.iter().enumerate().rev() {
        rows.push_str(&format!(
            "<li><details{}><summary><span class=\"to\">{}</span><strong>{}</strong></summary>\
             <iframe title=\"{}\" src=\"/messages/{n}\" loading=\"lazy\"></iframe></details></li>",
            if n + 1 == mails.len() { " open" } else { "" },
            escaped(&mail.to.join(", ")),
            escaped(&mail.subject),
            escaped(&mail.subject),
        ));
    }
    if rows.is_empty() {
        rows.push_str("<li class=\"none\">No mail yet. It appears here when a request is filed.</li>");
    }
    let body = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><meta http-equiv=\"refresh\" content=\"15\"><title>Mailbox</title>\
         <link rel=\"stylesheet\" href=\"/mailbox.css\"></head><body><main><h1>Development mailbox</h1>\
         <p>{} mails; the server's clock shows {}. Nothing here leaves this machine.</p><ul>{rows}</ul></main></body></html>",
        mails.len(),
        moment(tools.clock.now(), 0),
    );
    (
        [(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; frame-src 'self'",
        )],
        Html(body),
    )
}
