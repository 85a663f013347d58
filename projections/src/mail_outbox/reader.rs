//! What administrators see of mails: each with its state and the server's last answer, and whose address is refused.

use eventstore::TenantTx;
use formats::{RequestId, Timestamp, UserId};
use sqlx::{Row, postgres::PgRow};

use super::{DeliveryStatus, MailKind};
use crate::{
    Page, Paged, ReadError,
    columns::{Columns, moment, number, read_word, small},
    work,
};

/// A mail to one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailView {
    /// The position of the event that it tells of.
    pub position: u64,
    /// The row's number among those of the event.
    pub n: u32,
    /// To whom.
    pub recipient: UserId,
    /// What it says.
    pub kind: MailKind,
    /// The request it is about.
    pub request: Option<RequestId>,
    /// When the event was recorded.
    pub at: Timestamp,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// What went wrong last; no personal data.
    pub last_error: Option<String>,
    /// When the mail server took it.
    pub sent_at: Option<Timestamp>,
}

/// A user to whom the mail server takes no mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAddress {
    /// Whose.
    pub user: UserId,
    /// What the server said last; no personal data.
    pub error: String,
}

type Key = (u64, u32, UserId);

fn view(row: &PgRow) -> Result<MailView, ReadError> {
    Ok(MailView {
        position: row.count("position")?,
        n: row.small_count("n")?,
        recipient: row.id("to_id")?,
        kind: read_word::<MailKind>(row.try_get("kind")?)?,
        request: row.id_or_null("request_id")?,
        at: row.at("at")?,
        status: read_word::<DeliveryStatus>(row.try_get("status")?)?,
        attempts: row.small_count("attempts")?,
        next_attempt_at: row.at_or_null("next_attempt_at")?,
        last_error: row.try_get("last_error")?,
        sent_at: row.at_or_null("sent_at")?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select d.position, d.n, d.recipient as to_id, m.kind, m.request_id, m.at, d.status, d.attempts,
               d.next_attempt_at, d.last_error, d.sent_at
             from mail_delivery d join mail_outbox m
               on m.tenant_id = $1 and m.build = live_build('mail_outbox') and m.position = d.position and m.n = d.n
             where d.tenant_id = $1 and ",
            $rest
        )
    };
}

/// Mails of these states (all where none is named), the newest first.
///
/// # Errors
/// [`ReadError`]
pub async fn list(tx: &mut TenantTx, states: &[DeliveryStatus], page: &Page) -> Result<Paged<MailView>, ReadError> {
    let from: Option<Key> = page.key()?;
    let words: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
    let statement = if page.backward {
        select!(
            "(cardinality($2::text[]) = 0 or d.status = any($2))
               and ($3::bigint is null or (d.position, d.n, d.recipient) > ($3, $4::integer, $5::uuid))
             order by d.position, d.n, d.recipient limit $6"
        )
    } else {
        select!(
            "(cardinality($2::text[]) = 0 or d.status = any($2))
               and ($3::bigint is null or (d.position, d.n, d.recipient) < ($3, $4::integer, $5::uuid))
             order by d.position desc, d.n desc, d.recipient desc limit $6"
        )
    };
    let rows = sqlx::query(statement)
        .bind(tx.tenant().uuid())
        .bind(words)
        .bind(from.map(|(position, ..)| number(position)))
        .bind(from.map(|(_, n, _)| small(n)))
        .bind(from.map(|(.., recipient)| recipient.uuid()))
        .bind(page.fetch())
        .fetch_all(&mut **tx)
        .await?;
    let rows = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    page.cut(rows, |mail| (mail.position, mail.n, mail.recipient))
}

/// One mail.
///
/// # Errors
/// [`ReadError`]
pub async fn find(tx: &mut TenantTx, position: u64, n: u32, recipient: UserId) -> Result<Option<MailView>, ReadError> {
    let row = sqlx::query(select!("d.position = $2 and d.n = $3 and d.recipient = $4"))
        .bind(tx.tenant().uuid())
        .bind(number(position))
        .bind(small(n))
        .bind(recipient.uuid())
        .fetch_optional(&mut **tx)
        .await?;
    row.as_ref().map(view).transpose()
}

/// The users whose address the mail server refused last.
///
/// # Errors
/// [`ReadError`]
pub async fn refused_addresses(tx: &mut TenantTx) -> Result<Vec<RefusedAddress>, ReadError> {
    let rows = sqlx::query(
        "select distinct on (d.recipient) d.recipient, d.last_error
         from mail_delivery d
         where d.tenant_id = $1 and d.status = 'refused' and not exists (
           select from mail_delivery s
           where s.tenant_id = $1 and s.recipient = d.recipient and s.status = 'sent' and s.position > d.position)
         order by d.recipient, d.position desc",
    )
    .bind(tx.tenant().uuid())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(RefusedAddress {
                user: row.id("recipient")?,
                error: row.try_get::<Option<String>, _>("last_error")?.unwrap_or_default(),
            })
        })
        .collect()
}

/// Puts a mail that was refused or given up back into the queue, as if it had never been tried. Whether there was one is
/// told.
///
/// # Errors
/// [`ReadError`]
pub async fn resend(
    tx: &mut TenantTx,
    position: u64,
    n: u32,
    recipient: UserId,
    now: Timestamp,
) -> Result<bool, ReadError> {
    let done = sqlx::query(
        "update mail_delivery set status = 'queued', attempts = 0, next_attempt_at = $5
         where tenant_id = $1 and position = $2 and n = $3 and recipient = $4 and status in ('refused', 'failed')",
    )
    .bind(tx.tenant().uuid())
    .bind(number(position))
    .bind(small(n))
    .bind(recipient.uuid())
    .bind(moment(now))
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    work::add(tx, work::MAIL, now).await?;
    Ok(true)
}
