//! The state of mails: what is still to be addressed, sent or tried again. Not touched by a rebuild.

use eventstore::TenantTx;
use formats::{Timestamp, UserId};
use sqlx::{Row, postgres::PgRow};

use super::{MailKind, Outgoing};
use crate::{
    ReadError,
    columns::{Columns, moment, moment_or_null, number, read_word, small},
    page::LIMIT_MAX,
    work,
};

/// Where a mail to one user stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// To be sent, or to be tried again.
    Queued,
    /// The mail server took it.
    Sent,
    /// The mail server refused it for good.
    Refused,
    /// Given up after too many attempts, or there was no address.
    Failed,
    /// There was nothing left to say when its turn came.
    Moot,
}

impl DeliveryStatus {
    /// The word in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Moot => "moot",
        }
    }
}

/// A mail to one user that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The row of the outbox.
    pub mail: Outgoing,
    /// To whom.
    pub recipient: UserId,
    /// Attempts so far.
    pub attempts: u32,
    /// The `Message-ID` of every attempt.
    pub message_id: String,
}

/// How an attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The mail server took it.
    Sent {
        /// When.
        at: Timestamp,
    },
    /// It is tried again.
    Retry {
        /// What went wrong; no personal data.
        error: String,
        /// When.
        at: Timestamp,
    },
    /// It is not tried again.
    Ended {
        /// Whether the mail server refused it, rather than that we gave up.
        refused: bool,
        /// What went wrong; no personal data.
        error: String,
    },
    /// There is nothing left to say.
    Moot,
}

/// How many mails there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// To be addressed.
    pub open: u64,
    /// To be sent or tried again.
    pub queued: u64,
    /// Taken by the mail server.
    pub sent: u64,
    /// Refused or given up.
    pub failed: u64,
}

fn outgoing(row: &PgRow) -> Result<Outgoing, ReadError> {
    Ok(Outgoing {
        position: row.count("position")?,
        n: row.small_count("n")?,
        kind: read_word::<MailKind>(row.try_get("kind")?)?,
        recipients: read_word(row.try_get("recipient")?)?,
        request: row.id_or_null("request_id")?,
        user: row.id_or_null("user_id")?,
        by: row.id_or_null("by_id")?,
        at: row.at("at")?,
    })
}

/// Rows of the live build that are still to be addressed, in order; locked until the end of the transaction, and without
/// those that another notifier has locked.
///
/// # Errors
/// [`ReadError`]
pub async fn open_tasks(tx: &mut TenantTx, limit: u32) -> Result<Vec<Outgoing>, ReadError> {
    let rows = sqlx::query(
        "with t as materialized (
           select position, n from mail_task where tenant_id = $1 and status = 'open'
           order by position, n limit $2 for update skip locked
         )
         select m.position, m.n, m.kind, m.recipient, m.request_id, m.user_id, m.by_id, m.at
         from t cross join lateral (
           select * from mail_outbox m where m.tenant_id = $1 and m.build = live_build('mail_outbox')
             and m.position = t.position and m.n = t.n offset 0) m
         order by m.position, m.n",
    )
    .bind(tx.tenant().uuid())
    .bind(i64::from(limit.clamp(1, LIMIT_MAX)))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(outgoing).collect()
}

/// Addresses rows to users, at once, and closes the tasks of all of them. Each is a row, a user and the `Message-ID` of
/// the mail.
///
/// # Errors
/// [`ReadError`]
pub async fn address(
    tx: &mut TenantTx,
    tasks: &[Outgoing],
    addressed: &[(&Outgoing, UserId, String)],
    now: Timestamp,
) -> Result<(), ReadError> {
    sqlx::query(
        "with closed as (
           update mail_task m set status = 'addressed'
           from unnest($2::bigint[], $3::integer[]) as t (position, n)
           where m.tenant_id = $1 and m.position = t.position and m.n = t.n
         )
         insert into mail_delivery (tenant_id, position, n, recipient, message_id, next_attempt_at)
         select $1, position, n, recipient, message_id, $8
         from unnest($4::bigint[], $5::integer[], $6::uuid[], $7::text[]) as r (position, n, recipient, message_id)
         on conflict do nothing",
    )
    .bind(tx.tenant().uuid())
    .bind(tasks.iter().map(|mail| number(mail.position)).collect::<Vec<_>>())
    .bind(tasks.iter().map(|mail| small(mail.n)).collect::<Vec<_>>())
    .bind(
        addressed
            .iter()
            .map(|(mail, ..)| number(mail.position))
            .collect::<Vec<_>>(),
    )
    .bind(addressed.iter().map(|(mail, ..)| small(mail.n)).collect::<Vec<_>>())
    .bind(addressed.iter().map(|(_, user, _)| user.uuid()).collect::<Vec<_>>())
    .bind(
        addressed
            .iter()
            .map(|(.., message_id)| message_id.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(moment(now))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Mails to be sent now, the longest due first; locked until the end of the transaction, and without those that another
/// notifier has locked.
///
/// # Errors
/// [`ReadError`]
pub async fn due_deliveries(tx: &mut TenantTx, now: Timestamp, limit: u32) -> Result<Vec<Delivery>, ReadError> {
    let rows = sqlx::query(
        "with d as materialized (
           select position, n, recipient, attempts, message_id, next_attempt_at from mail_delivery
           where tenant_id = $1 and status = 'queued' and next_attempt_at <= $2
           order by next_attempt_at limit $3 for update skip locked
         )
         select m.position, m.n, m.kind, m.recipient, m.request_id, m.user_id, m.by_id, m.at,
           d.recipient as to_id, d.attempts, d.message_id
         from d cross join lateral (
           select * from mail_outbox m where m.tenant_id = $1 and m.build = live_build('mail_outbox')
             and m.position = d.position and m.n = d.n offset 0) m
         order by d.next_attempt_at, d.position, d.n, d.recipient",
    )
    .bind(tx.tenant().uuid())
    .bind(moment(now))
    .bind(i64::from(limit.clamp(1, LIMIT_MAX)))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Delivery {
                mail: outgoing(row)?,
                recipient: row.id("to_id")?,
                attempts: row.small_count("attempts")?,
                message_id: row.try_get("message_id")?,
            })
        })
        .collect()
}

/// Keeps how attempts went.
///
/// # Errors
/// [`ReadError`]
pub async fn record(tx: &mut TenantTx, attempts: &[(Delivery, Attempt)]) -> Result<(), ReadError> {
    let (mut status, mut errors, mut next, mut sent) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (_, attempt) in attempts {
        let (word, error, again, taken) = match attempt {
            Attempt::Sent { at } => ("sent", None, None, Some(*at)),
            Attempt::Retry { error, at } => ("queued", Some(error), Some(*at), None),
            Attempt::Ended { refused: true, error } => ("refused", Some(error), None, None),
            Attempt::Ended { refused: false, error } => ("failed", Some(error), None, None),
            Attempt::Moot => ("moot", None, None, None),
        };
        status.push(word);
        errors.push(error.map(|error| crate::columns::without_nul(error)));
        next.push(moment_or_null(again));
        sent.push(moment_or_null(taken));
    }
    let of = |key: fn(&Delivery) -> i64| attempts.iter().map(|(d, _)| key(d)).collect::<Vec<_>>();
    sqlx::query(
        "update mail_delivery d
         set status = r.status, attempts = d.attempts + 1, last_error = r.error, next_attempt_at = r.next,
           sent_at = r.sent
         from unnest($2::bigint[], $3::integer[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[],
           $8::timestamptz[]) as r (position, n, recipient, status, error, next, sent)
         where d.tenant_id = $1 and d.position = r.position and d.n = r.n and d.recipient = r.recipient
           and d.status = 'queued'",
    )
    .bind(tx.tenant().uuid())
    .bind(of(|d| number(d.mail.position)))
    .bind(attempts.iter().map(|(d, _)| small(d.mail.n)).collect::<Vec<_>>())
    .bind(attempts.iter().map(|(d, _)| d.recipient.uuid()).collect::<Vec<_>>())
    .bind(status)
    .bind(errors)
    .bind(next)
    .bind(sent)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Says anew when this tenant's mails are due, from what is left of them: the last thing that a notifier does in a
/// transaction. Waits for reducers that are just adding tasks, so that none is forgotten.
///
/// # Errors
/// [`ReadError`]
pub async fn settle_work(tx: &mut TenantTx) -> Result<(), ReadError> {
    let held = work::lock(tx, work::MAIL).await?;
    let row = sqlx::query(
        "select least(
           (select m.at from (
              select position, n from mail_task where tenant_id = $1 and status = 'open' order by position, n limit 1) t
              cross join lateral (
                select at from mail_outbox m where m.tenant_id = $1 and m.build = live_build('mail_outbox')
                  and m.position = t.position and m.n = t.n offset 0) m),
           (select min(d.next_attempt_at) from mail_delivery d where d.tenant_id = $1 and d.status = 'queued')) as due_at",
    )
    .bind(tx.tenant().uuid())
    .fetch_one(&mut **tx)
    .await?;
    let due_at = row.at_or_null("due_at")?;
    match due_at {
        _ if held => work::set(tx, work::MAIL, due_at).await?,
        Some(due_at) => work::add(tx, work::MAIL, due_at).await?,
        None => {}
    }
    Ok(())
}

/// How many mails this tenant has, by their state.
///
/// # Errors
/// [`ReadError`]
pub async fn figures(tx: &mut TenantTx) -> Result<Figures, ReadError> {
    let row = sqlx::query(
        "select (select count(*) from mail_task t where t.tenant_id = $1 and t.status = 'open') as open,
           count(*) filter (where status = 'queued') as queued, count(*) filter (where status = 'sent') as sent,
           count(*) filter (where status in ('refused', 'failed')) as failed
         from mail_delivery where tenant_id = $1",
    )
    .bind(tx.tenant().uuid())
    .fetch_one(&mut **tx)
    .await?;
    Ok(Figures {
        open: row.count("open")?,
        queued: row.count("queued")?,
        sent: row.count("sent")?,
        failed: row.count("failed")?,
    })
}

/// The mails of a tenant that are to be addressed, sent or tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// How many there are.
    pub count: u64,
    /// When the event was recorded that the oldest of them is about.
    pub oldest: Option<Timestamp>,
}

/// How many mails of this tenant wait, and since when.
///
/// # Errors
/// [`ReadError`]
pub async fn waiting(tx: &mut TenantTx) -> Result<Waiting, ReadError> {
    let row = sqlx::query(
        "select w.count, (select e.recorded_at from events e where e.tenant_id = $1 and e.position = w.oldest) as oldest
         from (
           select count(*) as count, min(position) as oldest from (
             select position from mail_task where tenant_id = $1 and status = 'open'
             union all
             select position from mail_delivery where tenant_id = $1 and status = 'queued'
           ) m
         ) w",
    )
    .bind(tx.tenant().uuid())
    .fetch_one(&mut **tx)
    .await?;
    Ok(Waiting {
        count: row.count("count")?,
        oldest: row.at_or_null("oldest")?,
    })
}
