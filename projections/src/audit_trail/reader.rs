//! Queries. All show the live build, and one tenant's rows.

use eventstore::TenantTx;
use formats::{ActorKind, PersonId, Timestamp};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::content::{id, join};
use crate::{
    Page, Paged, ReadError,
    columns::{Columns, moment, moment_or_null, number, read_word},
    terms::Search,
};

/// An event as an auditor reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its number in the log.
    pub position: u64,
    /// What happened, such as `RequestApproved`.
    pub event_type: String,
    /// The kind of aggregate.
    pub stream_type: String,
    /// The aggregate.
    pub stream_id: Uuid,
    /// Its number in the stream.
    pub stream_version: u64,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was written.
    pub recorded_at: Timestamp,
    /// What kind of principal did it.
    pub actor_kind: ActorKind,
    /// Who, as in the event; none for the system.
    pub actor_id: Option<String>,
    /// How they had proved who they are.
    pub method: Option<String>,
    /// From where; none where it is not known or the person was erased.
    pub address: Option<String>,
    /// The request or run that it belongs to.
    pub correlation: Uuid,
    /// The position of the event that caused it.
    pub causation: Option<u64>,
    /// The event's data; personal fields are opened, or null where the person was erased.
    pub data: Value,
    /// Whom the personal fields are about.
    pub person: Option<PersonId>,
    /// Whether it should be looked at twice.
    pub marked: bool,
    /// The leaf hash of the stored bytes.
    pub leaf: [u8; 32],
}

/// Which events are wanted; everything that is given has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of one of these types; empty for any.
    pub types: Vec<String>,
    /// Of one of these kinds of aggregate; empty for any.
    pub stream_types: Vec<String>,
    /// Of this aggregate, whichever kind it is.
    pub subject: Option<Uuid>,
    /// By this principal, as in the event.
    pub actor: Option<String>,
    /// Of this request or run.
    pub correlation: Option<Uuid>,
    /// At this position or after it.
    pub from_position: Option<u64>,
    /// At this position or before it.
    pub until_position: Option<u64>,
    /// Recorded at or after this moment.
    pub recorded_from: Option<Timestamp>,
    /// Recorded before this moment.
    pub recorded_until: Option<Timestamp>,
    /// Only what should be looked at twice.
    pub marked_only: bool,
    /// Words of the data, `set*` for a beginning; an id stands for the history of what it names.
    pub search: Option<String>,
}

/// A list in one direction, of all events or of those that a search found.
macro_rules! list {
    ($search:literal, $from:literal, $beyond:literal, $direction:literal) => {
        concat!(
            $search,
            " select a.* from ",
            $from,
            "
             where a.tenant_id = $1 and a.build = live_build('audit_trail')
               and (cardinality($2::text[]) = 0 or a.event_type = any($2))
               and (cardinality($3::text[]) = 0 or a.stream_type = any($3))
               and ($4::uuid is null or a.stream_id = $4)
               and ($5::text is null or a.actor_id = $5)
               and ($6::uuid is null or a.correlation_id = $6)
               and a.position >= $7 and a.position <= $8
               and ($9::timestamptz is null or a.recorded_at >= $9)
               and ($10::timestamptz is null or a.recorded_at < $10)
               and (not $11 or a.marked)
               and ($12::bigint is null or a.position ",
            $beyond,
            " $12)
             order by a.position ",
            $direction,
            " limit $15"
        )
    };
    (all, $beyond:literal, $direction:literal) => {
        list!("", "audit_trail a", $beyond, $direction)
    };
    (found, $beyond:literal, $direction:literal) => {
        list!(
            "with found as materialized (
               select t.position from unnest($13::text[], $14::text[]) with ordinality as w (least, greatest, n)
                 join audit_term t on t.tenant_id = $1 and t.build = live_build('audit_trail')
                   and t.term ~>=~ w.least and t.term ~<=~ w.greatest
               group by t.position having count(distinct w.n) = cardinality($13)
             )",
            "found f join audit_trail a on a.position = f.position",
            $beyond,
            $direction
        )
    };
}

/// A page of events, the newest first.
///
/// # Errors
/// [`ReadError`]
pub async fn list(tx: &mut TenantTx, filter: &Filter, page: &Page) -> Result<Paged<AuditEntry>, ReadError> {
    let (subject, text) = named(filter);
    let search = Search::parse(text.as_deref());
    let sql = match (search.is_empty(), page.backward) {
        (true, false) => list!(all, "<", "desc"),
        (true, true) => list!(all, ">", "asc"),
        (false, false) => list!(found, "<", "desc"),
        (false, true) => list!(found, ">", "asc"),
    };
    let from = page.key::<u64>()?;
    tx.plan_with_values().await?;
    let rows = sqlx::query(sql)
        // Planned for the filters that are given: the text is the same with and without them.
        .persistent(false)
        .bind(tx.tenant().uuid())
        .bind(&filter.types)
        .bind(&filter.stream_types)
        .bind(subject)
        .bind(&filter.actor)
        .bind(filter.correlation)
        .bind(number(filter.from_position.unwrap_or(0)))
        .bind(number(filter.until_position.unwrap_or(u64::MAX)))
        .bind(moment_or_null(filter.recorded_from))
        .bind(moment_or_null(filter.recorded_until))
        .bind(filter.marked_only)
        .bind(from.map(number))
        .bind(search.least)
        .bind(search.greatest)
        .bind(page.fetch())
        .fetch_all(&mut **tx)
        .await?;
    let entries = rows.iter().map(entry).collect::<Result<_, _>>()?;
    page.cut(entries, |entry: &AuditEntry| entry.position)
}

/// An id among the words searched for, unless the filter names another; and the words that are left.
fn named(filter: &Filter) -> (Option<Uuid>, Option<String>) {
    let Some(search) = &filter.search else {
        return (filter.subject, None);
    };
    let ids: Vec<Uuid> = search.split_whitespace().filter_map(id).collect();
    match (filter.subject, ids.as_slice()) {
        (None, [id_found]) => {
            let rest: Vec<&str> = search.split_whitespace().filter(|word| id(word).is_none()).collect();
            (Some(*id_found), Some(rest.join(" ")))
        }
        (subject, _) => (subject, Some(search.clone())),
    }
}

/// The event at a position.
///
/// # Errors
/// [`ReadError`]
pub async fn find(tx: &mut TenantTx, position: u64) -> Result<Option<AuditEntry>, ReadError> {
    let row = sqlx::query(
        "select * from audit_trail where tenant_id = $1 and build = live_build('audit_trail') and position = $2",
    )
    .bind(tx.tenant().uuid())
    .bind(number(position))
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(entry).transpose()
}

/// The log as of a moment: the highest position recorded at or before it; 0 where there was none.
///
/// # Errors
/// [`ReadError`]
pub async fn as_of(tx: &mut TenantTx, moment_asked: Timestamp) -> Result<u64, ReadError> {
    let row = sqlx::query(
        "select coalesce(max(position), 0) as position from audit_trail
         where tenant_id = $1 and build = live_build('audit_trail') and recorded_at <= $2",
    )
    .bind(tx.tenant().uuid())
    .bind(moment(moment_asked))
    .fetch_one(&mut **tx)
    .await?;
    row.count("position")
}

fn entry(row: &PgRow) -> Result<AuditEntry, ReadError> {
    let leaf: Vec<u8> = row.try_get("leaf")?;
    Ok(AuditEntry {
        position: row.count("position")?,
        event_type: row.try_get("event_type")?,
        stream_type: row.try_get("stream_type")?,
        stream_id: row.try_get("stream_id")?,
        stream_version: row.count("stream_version")?,
        occurred_at: row.at("occurred_at")?,
        recorded_at: row.at("recorded_at")?,
        actor_kind: read_word(row.try_get("actor_kind")?)?,
        actor_id: row.try_get("actor_id")?,
        method: row.try_get("method")?,
        address: row.try_get("address")?,
        correlation: row.try_get("correlation_id")?,
        causation: row.count_or_null("causation")?,
        data: join(row.document("data")?, row.document_or_null("personal")?),
        person: row.id_or_null("person_id")?,
        marked: row.try_get("marked")?,
        leaf: leaf
            .try_into()
            .map_err(|_| ReadError::Unreadable("a leaf is not 32 bytes".into()))?,
    })
}
