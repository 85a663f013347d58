//! Subscriptions: `/graphql/ws`, by the protocol `graphql-transport-ws`.
//!
//! A browser sends its cookie along whoever opens the socket, so that a page of another origin is refused at the
//! handshake. Every five seconds it is asked again whose the session is; where it has ended, the socket is closed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_graphql::{
    Data, Executor, Request as Document, Response as Executed,
    http::{WebSocket as Protocol, WebSocketProtocols, WsMessage},
    parser::types::OperationType,
};
use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::{Caller, Outcome, Refusal};
use futures_util::{SinkExt, StreamExt, future, stream, stream::BoxStream};

use super::{
    ApiSchema,
    context::{Call, Credential, charge},
    error::{first_code, name_errors, refuse},
    limits::check,
    measure::{Operation, measure},
    subscriptions::RECHECK,
};
use crate::{Answer, ApiState, Problem, extract::Authed};

/// The one protocol that is spoken.
const PROTOCOL: &str = "graphql-transport-ws";
/// The longest message of a client, in bytes.
const MESSAGE: usize = 64 * 1024;
/// How long a client may take to begin.
const INIT_WITHIN: Duration = Duration::from_secs(10);
/// The most subscriptions of one socket at once.
const SUBSCRIPTIONS: usize = 20;
/// What the client is told when its session has ended.
const UNAUTHORIZED: u16 = 4401;
const TIMEOUT: u16 = 4408;
const GOING_AWAY: u16 = 1001;

/// The handler of `/graphql/ws`.
pub(super) async fn subscribe(
    State(state): State<ApiState>,
    schema: ApiSchema,
    headers: HeaderMap,
    authed: Authed,
    upgrade: WebSocketUpgrade,
) -> Answer<Response> {
    check_origin(&headers, &state.config.public_url, authed.session.is_some())?;
    let offered = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok());
    if !offered
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim() == PROTOCOL)
    {
        return Err(Problem::bad_request(
            "WEBSOCKET_PROTOCOL",
            format!("this socket speaks {PROTOCOL}"),
        ));
    }
    let credential = match authed.session {
        Some(_) => Credential::Session,
        None => Credential::Bearer(bearer(&headers)),
    };
    let open = Socket {
        schema,
        state,
        caller: authed.caller,
        credential,
        subscriptions: Arc::new(AtomicUsize::new(0)),
    };
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .max_message_size(MESSAGE)
        .max_frame_size(MESSAGE);
    Ok(upgrade.on_upgrade(|socket| open.serve(socket)).into_response())
}

fn bearer(headers: &HeaderMap) -> String {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.split_once(' '))
        .map(|(_, token)| token.trim().to_owned())
        .unwrap_or_default()
}

/// Refuses pages of other origins. Programs send no origin; browsers always do, so that a cookie without one is not
/// taken.
fn check_origin(headers: &HeaderMap, public_url: &str, has_cookie: bool) -> Answer<()> {
    let foreign = || {
        Problem::new(
            StatusCode::FORBIDDEN,
            "CROSS_SITE",
            "this socket is opened by pages of this server alone",
        )
    };
    let Some(origin) = headers.get(header::ORIGIN) else {
        return if has_cookie { Err(foreign()) } else { Ok(()) };
    };
    let origin = origin.to_str().map_err(|_| foreign())?;
    if origin.eq_ignore_ascii_case(public_url) {
        return Ok(());
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let named = origin.split_once("://").map(|(_, host)| host);
    if named.is_some() && named == host {
        Ok(())
    } else {
        Err(foreign())
    }
}

/// One client's socket, and what executes its subscriptions.
#[derive(Clone)]
struct Socket {
    schema: ApiSchema,
    state: ApiState,
    caller: Caller,
    credential: Credential,
    subscriptions: Arc<AtomicUsize>,
}

/// One of a socket's subscriptions, as long as it goes on.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: &Arc<AtomicUsize>) -> Outcome<Self> {
        let place = Self(Arc::clone(taken));
        if taken.fetch_add(1, Ordering::Relaxed) < SUBSCRIPTIONS {
            return Ok(place);
        }
        let message = format!("a socket carries at most {SUBSCRIPTIONS} subscriptions");
        Err(Refusal::new("TOO_MANY_SUBSCRIPTIONS", 429, message))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Socket {
    async fn serve(self, socket: WebSocket) {
        let (mut sink, messages) = socket.split();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let texts = messages
            .take_while(|message| future::ready(message.is_ok()))
            .filter_map(|message| future::ready(message.ok()))
            .filter(|message| future::ready(matches!(message, Message::Text(_) | Message::Binary(_))))
            .map(Message::into_data);
        let mut protocol = Box::pin(
            Protocol::new(self.clone(), texts, WebSocketProtocols::GraphQLWS).on_connection_init(move |_| {
                let _ = begun.send(());
                future::ready(Ok(Data::default()))
            }),
        );
        let watch = self.watch(has_begun);
        tokio::pin!(watch);
        let (code, reason) = loop {
            tokio::select! {
                told = protocol.next() => match told {
                    Some(WsMessage::Text(text)) => {
                        if sink.send(Message::Text(text.into())).await.is_err() {
                            return;
                        }
                    }
                    Some(WsMessage::Close(code, reason)) => break (code, reason),
                    None => return,
                },
                (code, reason) = &mut watch => break (code, reason.to_owned()),
            }
        };
        let frame = CloseFrame {
            code,
            reason: reason.chars().take(100).collect::<String>().into(),
        };
        // Whoever is gone already does not need to be told.
        let _ = sink.send(Message::Close(Some(frame))).await;
    }

    /// Ends when the socket has to be closed, with the code and the reason.
    async fn watch(&self, has_begun: tokio::sync::oneshot::Receiver<()>) -> (u16, &'static str) {
        let shutdown = self.state.shutdown.cancelled();
        tokio::pin!(shutdown);
        tokio::select! {
            () = &mut shutdown => return (GOING_AWAY, "the server stops"),
            begun = tokio::time::timeout(INIT_WITHIN, has_begun) => if begun.is_err() {
                return (TIMEOUT, "connection initialisation timeout");
            },
        }
        let call = Call::new(self.state.clone(), self.caller.clone(), self.credential.clone());
        loop {
            tokio::select! {
                () = &mut shutdown => return (GOING_AWAY, "the server stops"),
                () = tokio::time::sleep(RECHECK) => {}
            }
            match call.renew().await {
                Ok(_) => {}
                Err(refusal) if refusal.status >= 500 => tracing::debug!(%refusal, "the session is asked about later"),
                Err(_) => return (UNAUTHORIZED, "the session has ended"),
            }
        }
    }

    /// A document of a client, held to the limits.
    fn prepare(&self, document: Document) -> Outcome<(Document, Operation, Place)> {
        let place = Place::take(&self.subscriptions)?;
        charge(&self.state, &self.caller)?;
        let introspection = self.state.config.introspection;
        let checked = check(&document.query, document.operation_name.as_deref(), introspection)?;
        if checked.kind != Some(OperationType::Subscription) {
            let message = "queries and mutations are sent to /graphql; this socket carries subscriptions";
            return Err(Refusal::new("SUBSCRIPTIONS_ONLY", 400, message));
        }
        let operation = Operation::of(checked.kind, checked.name.as_deref());
        let call = Call::new(self.state.clone(), self.caller.clone(), self.credential.clone());
        let mut clean = Document::new(document.query)
            .variables(document.variables)
            .data(Arc::new(call));
        if let Some(name) = document.operation_name {
            clean = clean.operation_name(name);
        }
        clean.set_parsed_query(checked.document);
        Ok((clean, operation, place))
    }
}

impl Executor for Socket {
    async fn execute(&self, document: Document) -> Executed {
        // The protocol begins every operation as a stream; nothing comes here.
        let refusal = Refusal::new("SUBSCRIPTIONS_ONLY", 400, "this socket carries subscriptions");
        drop(document);
        Executed::from_errors(vec![refuse(&refusal)])
    }

    fn execute_stream(&self, document: Document, _: Option<Arc<Data>>) -> BoxStream<'static, Executed> {
        let (document, operation, place) = match self.prepare(document) {
            Ok(prepared) => prepared,
            Err(refusal) => {
                measure(&Operation::refused(), Some(refusal.code), Duration::ZERO);
                let refused = Executed::from_errors(vec![refuse(&refusal)]);
                return stream::once(future::ready(refused)).boxed();
            }
        };
        let began = Instant::now();
        let told = self.schema.execute_stream(document).map(move |mut executed| {
            let _ = &place;
            name_errors(&mut executed);
            if let Some(code) = first_code(&executed) {
                measure(&operation, Some(&code), began.elapsed());
            }
            executed
        });
        told.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(pairs: &[(&'static str, &str)], has_cookie: bool) -> bool {
        let headers = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        check_origin(&headers, "https://gate.example", has_cookie).is_ok()
    }

    #[test]
    fn a_page_of_another_origin_is_refused_whatever_it_carries() {
        for has_cookie in [true, false] {
            assert!(allowed(&[("origin", "https://gate.example")], has_cookie));
            assert!(allowed(
                &[("origin", "http://localhost:9"), ("host", "localhost:9")],
                has_cookie
            ));
            for origin in ["https://evil.example", "null", "https://gate.example.evil.example", ""] {
                assert!(
                    !allowed(&[("origin", origin), ("host", "gate.example")], has_cookie),
                    "{origin}"
                );
            }
        }
    }

    #[test]
    fn a_cookie_without_an_origin_is_not_taken_and_a_programs_key_is() {
        assert!(!allowed(&[], true));
        assert!(allowed(&[], false));
    }

    #[test]
    fn a_sockets_subscriptions_are_counted_as_long_as_they_go_on() {
        let taken = Arc::new(AtomicUsize::new(0));
        let mut places: Vec<_> = (0..SUBSCRIPTIONS).map(|_| Place::take(&taken).unwrap()).collect();
        assert_eq!(
            Place::take(&taken).err().map(|refusal| refusal.code),
            Some("TOO_MANY_SUBSCRIPTIONS")
        );
        places.pop();
        assert!(Place::take(&taken).is_ok());
    }
}
