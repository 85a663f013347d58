//! The loop that empties outboxes.

use std::time::Duration;

use commands::{App, Outcome, Refusal};
use eventstore::TenantTx;
use formats::{TenantId, Timestamp};
use futures_util::{FutureExt, StreamExt, stream};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::{Mailbox, Message, MultiPart, header},
    transport::smtp::{Error as SmtpError, PoolConfig},
};
use projections::{
    directory::{PersonView, UserView},
    mail_outbox::{self, Attempt, Delivery, MailKind, Outgoing, Recipients},
    work,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    compose::{Composed, compose},
    desk::Desk,
};
use crate::{AGAIN, failed, figures, figures::MAILS, news, pause};

/// How long a claim lasts if its process dies.
const LEASE: Duration = Duration::from_secs(60);
/// How long it rests after it looked: what comes meanwhile is found together.
const REST: Duration = Duration::from_millis(25);
/// How often it looks for mails that are due again.
const SWEEP: Duration = Duration::from_millis(500);
/// Tenants that are worked on at once; each holds a connection.
const TENANTS: u32 = 4;
/// Mails that are sent in one transaction.
const BATCH: u32 = 64;
/// Connections to the mail server. While its acknowledgements are delayed a mail takes 40 ms on each: lettre 0.11.23 ends a
/// mail by a write of its own and leaves Nagle's algorithm on (mended upstream by TCP_NODELAY, not yet released).
const CONNECTIONS: usize = 16;
/// Batches of a tenant's turn; then others have theirs, and whether the tenant is suspended is asked again.
const BATCHES: u32 = 16;
/// How long a mail server may take for one mail.
const PATIENCE: Duration = Duration::from_secs(15);
/// Attempts before a mail is given up: about three days.
const ATTEMPTS: u32 = 20;

/// Where mails go, and from whom they come.
#[derive(Clone, PartialEq, Eq)]
pub struct MailConfig {
    /// `smtp://`, `smtps://` (TLS) or `smtp://…?tls=required` (STARTTLS), with user and password where needed.
    pub smtp_url: String,
    /// The sender, such as `Portcullis <approvals@example.com>`.
    pub from: String,
}

/// Without the address, which may hold a password.
impl std::fmt::Debug for MailConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailConfig")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// Settings that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Not an address of a mail server.
    #[error("smtp_url: {0}")]
    Server(#[from] SmtpError),
    /// Not a sender.
    #[error("mail_from: {0}")]
    Sender(#[from] lettre::address::AddressError),
}

/// Sends mails.
#[derive(Clone)]
pub struct Notifier {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl Notifier {
    /// A sender for these settings. Nothing is connected yet.
    ///
    /// # Errors
    /// [`MailError`], which names the setting.
    pub fn new(config: &MailConfig) -> Result<Self, MailError> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&config.smtp_url)?
            .timeout(Some(PATIENCE))
            .pool_config(PoolConfig::new().max_size(u32::try_from(CONNECTIONS).unwrap_or(u32::MAX)))
            .build();
        Ok(Self {
            transport,
            from: config.from.parse()?,
        })
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// Why not.
    pub async fn check(&self) -> Result<bool, SmtpError> {
        self.transport.test_connection().await
    }
}

/// Sends until it is to stop.
pub async fn run(app: App, notifier: Notifier, stop: CancellationToken) {
    figures::begin_mails();
    let mut subscription = app.store.subscribe();
    // Turns go on side by side: a tenant whose mails take long keeps one place, and no other tenant waits for it.
    let mut turns = JoinSet::new();
    loop {
        while turns.try_join_next().is_some() {}
        let places = TENANTS.saturating_sub(u32::try_from(turns.len()).unwrap_or(TENANTS));
        let wait = match work::claim(app.pool(), work::MAIL, app.now(), LEASE, places).await {
            Ok(claimed) => {
                for claim in claimed {
                    turns.spawn(turn(app.clone(), notifier.clone(), claim.tenant));
                }
                SWEEP
            }
            Err(error) => {
                failed("notifier", &error);
                AGAIN
            }
        };
        let go_on = pause(&stop, REST).await
            && tokio::select! {
                go_on = news(&stop, &mut subscription, wait) => go_on,
                _ = turns.join_next(), if !turns.is_empty() => !stop.is_cancelled(),
            };
        if !go_on {
            // What was begun is finished: a mail that was taken is recorded as sent.
            turns.join_all().await;
            return;
        }
    }
}

async fn turn(app: App, notifier: Notifier, tenant: TenantId) {
    let (app, notifier) = (&app, &notifier);
    let result = async {
        if app.is_suspended(tenant).await? {
            // The outbox holds; looked at again when the lease is over.
            return Ok(false);
        }
        for _ in 0..BATCHES {
            // Each time anew: what came during the last batch need not wait for the next turn.
            address(app, tenant).await?;
            if !send(app, notifier, tenant).await? {
                break;
            }
        }
        Ok::<_, Refusal>(true)
    };
    match result.await {
        Ok(true) => {
            if let Err(error) = work::release(app.pool(), work::MAIL, tenant).await {
                failed("notifier", &error);
            }
        }
        Ok(false) => {}
        Err(error) => failed("notifier", &error),
    }
}

/// Says to whom each new row of the outbox goes.
async fn address(app: &App, tenant: TenantId) -> Outcome<()> {
    loop {
        let mut tx = TenantTx::begin(app.pool(), tenant).await?;
        let tasks = mail_outbox::open_tasks(&mut tx, 100).await?;
        if tasks.is_empty() {
            return Ok(tx.rollback().await?);
        }
        let host = host_of(&app.config.public_url);
        let mut desk = Desk::open(&mut tx, tasks.iter(), std::iter::empty()).await?;
        let mut addressed = Vec::with_capacity(tasks.len());
        for mail in &tasks {
            for user in recipients(&mut desk, mail).await? {
                let message_id = format!("<{}.{}.{}@{host}>", mail.position, mail.n, user.id);
                addressed.push((mail, user.id, message_id));
            }
        }
        mail_outbox::address(&mut tx, &tasks, &addressed, app.now()).await?;
        mail_outbox::settle_work(&mut tx).await?;
        tx.commit().await?;
    }
}

/// The host of an address, for `Message-ID`s.
fn host_of(url: &str) -> &str {
    let host = url.split("://").nth(1).unwrap_or(url);
    host.split(['/', ':'])
        .next()
        .filter(|h| !h.is_empty())
        .unwrap_or("localhost")
}

async fn recipients(desk: &mut Desk<'_>, mail: &Outgoing) -> Outcome<Vec<UserView>> {
    let row = desk.request(mail);
    let mut users = match (mail.recipients, &row) {
        (Recipients::User, _) => match mail.user {
            Some(user) => desk.user(user).await?.into_iter().collect(),
            None => Vec::new(),
        },
        (Recipients::Administrators, _) => desk.administrators().await?,
        (Recipients::Primary, Some(row)) => desk.resolve(&row.route.primary).await?,
        (Recipients::Secondary, Some(row)) => desk.resolve(&row.route.secondary).await?,
        (Recipients::Asked, Some(row)) => {
            let mut approvers = row.route.primary.clone();
            if row.escalation.is_some() {
                approvers.extend(&row.route.secondary);
            }
            let mut asked = desk.resolve(&approvers).await?;
            if row.flags.contains(&model::request::Flag::NoApprover) {
                asked.extend(desk.administrators().await?);
            }
            asked
        }
        (Recipients::Requester, Some(row)) => match desk.person(row.person).and_then(|p| Some(p.link.as_ref()?.user)) {
            Some(user) => desk.user(user).await?.into_iter().collect(),
            None => match row.user {
                Some(user) => desk.user(user).await?.into_iter().collect(),
                None => Vec::new(),
            },
        },
        (_, None) => Vec::new(),
    };
    let mut causes_none = mail.by;
    if let (Some(row), MailKind::Submitted | MailKind::Escalated | MailKind::NoApprover) = (&row, mail.kind) {
        if desk.tenant().is_some_and(|tenant| row.route.lets_own(&tenant.settings)) {
            // Whoever may decide their own request is asked about it like everybody else.
            causes_none = causes_none.filter(|_| mail.kind == MailKind::Escalated);
        } else {
            let requester = desk.person(row.person).map_or(row.person, PersonView::canonical);
            users.retain(|user| user.person != requester);
        }
    }
    users.retain(|user| Some(user.id) != causes_none);
    let mut seen = std::collections::BTreeSet::new();
    users.retain(|user| seen.insert(user.id) && user.disabled_at.is_none());
    Ok(users)
}

/// Sends what is due, many at once; rows stay locked until their outcome is written.
async fn send(app: &App, notifier: &Notifier, tenant: TenantId) -> Outcome<bool> {
    let mut tx = TenantTx::begin(app.pool(), tenant).await?;
    let due = mail_outbox::due_deliveries(&mut tx, app.now(), BATCH).await?;
    if due.is_empty() {
        mail_outbox::settle_work(&mut tx).await?;
        tx.commit().await?;
        return Ok(false);
    }
    let mails = due.iter().map(|delivery| &delivery.mail);
    let mut desk = Desk::open(&mut tx, mails, due.iter().map(|delivery| delivery.recipient)).await?;
    desk.read_for_letters().await?;
    let mut sending = Vec::with_capacity(due.len());
    for delivery in due {
        let message = message(app, notifier, &mut desk, &delivery).await?;
        let (app, notifier) = (app.clone(), notifier.clone());
        sending.push(
            async move {
                let attempt = attempt(&app, &notifier, &delivery, message).await;
                (delivery, attempt)
            }
            .boxed(),
        );
    }
    let attempts: Vec<(Delivery, Attempt)> = stream::iter(sending).buffer_unordered(CONNECTIONS).collect().await;
    for (_, attempt) in &attempts {
        MAILS.with_label_values(&[outcome(attempt)]).inc();
    }
    mail_outbox::record(&mut tx, &attempts).await?;
    mail_outbox::settle_work(&mut tx).await?;
    tx.commit().await?;
    Ok(true)
}

/// How an attempt ended, in a word.
const fn outcome(attempt: &Attempt) -> &'static str {
    match attempt {
        Attempt::Sent { .. } => "sent",
        Attempt::Ended { refused: true, .. } => "refused",
        Attempt::Ended { refused: false, .. } => "failed",
        Attempt::Retry { .. } => "postponed",
        Attempt::Moot => "moot",
    }
}

/// The message, or how the mail ends without one.
async fn message(
    app: &App,
    notifier: &Notifier,
    desk: &mut Desk<'_>,
    delivery: &Delivery,
) -> Outcome<Result<Message, Attempt>> {
    let unsent = |error: &str| {
        Ok(Err(Attempt::Ended {
            refused: false,
            error: error.to_owned(),
        }))
    };
    let Some(user) = desk.user(delivery.recipient).await? else {
        return unsent("the recipient does not exist");
    };
    let Some(to) = user.email.as_deref().and_then(|email| {
        let name = user.name.clone().filter(|name| !name.chars().any(char::is_control));
        Some(Mailbox::new(name, email.parse().ok()?))
    }) else {
        return unsent("the recipient has no address");
    };
    let Some(Composed {
        subject,
        text,
        html,
        thread,
    }) = compose(app, desk, delivery).await?
    else {
        return Ok(Err(Attempt::Moot));
    };
    let mut builder = Message::builder()
        .from(notifier.from.clone())
        .to(to)
        .subject(subject)
        .date(std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(app.now().millis().unsigned_abs()))
        .message_id(Some(delivery.message_id.clone()))
        .header(AutoSubmitted("auto-generated".to_owned()));
    if let Some(thread) = thread {
        let root = format!("<{thread}@{}>", host_of(&app.config.public_url));
        builder = builder.in_reply_to(root.clone()).references(root);
    }
    let reply_to = desk.tenant().and_then(|tenant| tenant.settings.reply_to.clone());
    if let Some(reply_to) = reply_to.and_then(|address| address.parse::<Mailbox>().ok()) {
        builder = builder.reply_to(reply_to);
    }
    match builder.multipart(MultiPart::alternative_plain_html(text, html)) {
        Ok(message) => Ok(Ok(message)),
        Err(error) => unsent(&error.to_string()),
    }
}

async fn attempt(app: &App, notifier: &Notifier, delivery: &Delivery, message: Result<Message, Attempt>) -> Attempt {
    let message = match message {
        Ok(message) => message,
        Err(ended) => return ended,
    };
    let sent = tokio::time::timeout(PATIENCE, notifier.transport.send(message)).await;
    let now = app.now();
    match sent {
        Ok(Ok(_)) => Attempt::Sent { at: now },
        Ok(Err(error)) if error.is_permanent() => Attempt::Ended {
            refused: true,
            error: said(&error),
        },
        Ok(Err(error)) => again(delivery, now, said(&error)),
        Err(_) => again(delivery, now, "the mail server did not answer in time".to_owned()),
    }
}

/// What the server said, in short: its code, never the address.
fn said(error: &SmtpError) -> String {
    match error.status() {
        Some(code) => format!("the mail server answered {code}"),
        None if error.is_timeout() => "the mail server did not answer in time".to_owned(),
        None if error.is_tls() => "no TLS with the mail server".to_owned(),
        None => "no connection to the mail server".to_owned(),
    }
}

fn again(delivery: &Delivery, now: Timestamp, error: String) -> Attempt {
    if delivery.attempts + 1 >= ATTEMPTS {
        return Attempt::Ended { refused: false, error };
    }
    Attempt::Retry {
        error,
        at: now + backoff(delivery.attempts),
    }
}

/// 2 s, 4 s, 8 s … up to 4 hours.
fn backoff(attempts: u32) -> Duration {
    Duration::from_secs((2u64 << attempts.min(20)).min(4 * 3600))
}

#[derive(Clone)]
struct AutoSubmitted(String);

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_message_ids_is_that_of_the_public_address() {
        assert_eq!(
            host_of("https://portcullis.example.com:8443/x"),
            "portcullis.example.com"
        );
        assert_eq!(host_of("http://127.0.0.1:8080"), "127.0.0.1");
    }

    #[test]
    fn waits_grow_and_stay_finite() {
        assert_eq!(backoff(0), Duration::from_secs(2));
        assert_eq!(backoff(5), Duration::from_secs(64));
        assert_eq!(backoff(u32::MAX), Duration::from_secs(4 * 3600));
    }
}
