//! Mails on their way: what waits, what was sent, what the mail server refused, and sending again.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject, connection::EmptyFields};
use commands::{Act, Refusal};
use formats::UserId;
use projections::mail_outbox::{self, DeliveryStatus, Figures, MailView};

use super::{
    context::Ask,
    error::Answer,
    ids::{named, shown},
    paging::{Connection, connect, cost, page},
    scalars::{DateTime, Position},
    users::User,
};

/// Where a mail stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum MailState {
    /// To be sent, or to be tried again.
    Waiting,
    /// The mail server took it.
    Sent,
    /// The mail server refused it for good.
    Refused,
    /// Given up after too many attempts, or there was no address.
    Failed,
    /// There was nothing left to say when its turn came.
    Moot,
}

impl From<DeliveryStatus> for MailState {
    fn from(status: DeliveryStatus) -> Self {
        match status {
            DeliveryStatus::Queued => Self::Waiting,
            DeliveryStatus::Sent => Self::Sent,
            DeliveryStatus::Refused => Self::Refused,
            DeliveryStatus::Failed => Self::Failed,
            DeliveryStatus::Moot => Self::Moot,
        }
    }
}

impl From<MailState> for DeliveryStatus {
    fn from(state: MailState) -> Self {
        match state {
            MailState::Waiting => Self::Queued,
            MailState::Sent => Self::Sent,
            MailState::Refused => Self::Refused,
            MailState::Failed => Self::Failed,
            MailState::Moot => Self::Moot,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Mail(MailView);

/// A mail to one user. It is named by the event that it tells of, its number among that event's mails, and the user.
#[Object]
impl Mail {
    async fn position(&self) -> Position {
        Position(self.0.position)
    }

    async fn part(&self) -> u32 {
        self.0.n
    }

    /// To whom; the address is the one the user has when it is sent.
    #[graphql(complexity = "1 + child_complexity")]
    async fn user(&self, ctx: &Context<'_>) -> Answer<Option<User>> {
        Ok(ctx.frame().load().load_one(self.0.recipient).await?.map(User))
    }

    /// What it says: `submitted`, `escalated`, `handled`, `approved`, `invited` …
    async fn kind(&self) -> &'static str {
        self.0.kind.as_str()
    }

    /// The request it is about.
    async fn request_id(&self) -> Option<ID> {
        self.0.request.map(shown)
    }

    async fn state(&self) -> MailState {
        self.0.status.into()
    }

    async fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// What went wrong last, in the mail server's words as far as they name nobody.
    async fn last_answer(&self) -> Option<&str> {
        self.0.last_error.as_deref()
    }

    /// When what it tells of happened.
    async fn at(&self) -> DateTime {
        self.0.at.into()
    }

    /// When it is tried again.
    async fn next_attempt_at(&self) -> Option<DateTime> {
        self.0.next_attempt_at.map(Into::into)
    }

    async fn sent_at(&self) -> Option<DateTime> {
        self.0.sent_at.map(Into::into)
    }
}

/// How many mails the tenant has.
#[derive(Debug, Clone, Copy, SimpleObject)]
pub(crate) struct MailFigures {
    /// To be addressed, sent or tried again.
    waiting: u32,
    sent: u32,
    /// Refused or given up.
    failed: u32,
    /// Whether the installation sends mails at all; without SMTP settings they wait.
    sending: bool,
}

impl MailFigures {
    fn of(figures: Figures, sending: bool) -> Self {
        let short = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            waiting: short(figures.open.saturating_add(figures.queued)),
            sent: short(figures.sent),
            failed: short(figures.failed),
            sending,
        }
    }
}

#[derive(Default)]
pub(crate) struct MailQuery;

#[Object]
impl MailQuery {
    /// Mails of these states, the newest first.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn mails(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] states: Vec<MailState>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Answer<Connection<Mail>> {
        let frame = ctx.frame_for(Act::ReadPeople)?;
        let page = page(first, after, last, before)?;
        let states: Vec<DeliveryStatus> = states.into_iter().map(Into::into).collect();
        let mut tx = frame.tx().await?;
        let found = mail_outbox::list(&mut tx, &states, &page).await?;
        Ok(connect(&page, found, EmptyFields, Mail))
    }

    async fn mail_figures(&self, ctx: &Context<'_>) -> Answer<MailFigures> {
        let frame = ctx.frame_for(Act::ReadPeople)?;
        let mut tx = frame.tx().await?;
        let figures = mail_outbox::figures(&mut tx).await?;
        Ok(MailFigures::of(figures, ctx.call().state().config.mail))
    }
}

#[derive(Debug, InputObject)]
pub(crate) struct ResendMailInput {
    position: Position,
    part: u32,
    user_id: ID,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct ResendMailPayload {
    mail: Mail,
}

#[derive(Default)]
pub(crate) struct MailMutation;

#[Object]
impl MailMutation {
    /// Sends a mail again that was refused or given up, under its old Message-ID. `MAIL_NOT_ENDED` for any other.
    async fn resend_mail(&self, ctx: &Context<'_>, input: ResendMailInput) -> Answer<ResendMailPayload> {
        let (frame, caller) = ctx.command()?;
        let user: UserId = named(&input.user_id, "user", "userId")?;
        frame
            .app
            .resend_mail(&caller, input.position.0, input.part, user)
            .await?;
        let mut tx = frame.tx().await?;
        let mail = mail_outbox::find(&mut tx, input.position.0, input.part, user).await?;
        let mail = mail.map(Mail).ok_or_else(|| Refusal::not_found("mail"))?;
        Ok(ResendMailPayload { mail })
    }
}
