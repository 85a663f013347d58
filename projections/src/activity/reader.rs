//! What can be asked about recorded actions.

use eventstore::TenantTx;
use formats::{ActivityId, EndpointId, PersonId, RequestId, Timestamp};
use model::activity::{ActionResult, CitedSnapshot, RecordedDecision, RecordedInput};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Page, Paged, ReadError,
    columns::{Columns, moment, number, read_word, tenant, uuids},
};

/// A recorded action.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityView {
    /// Its id.
    pub id: ActivityId,
    /// The position of its event.
    pub position: u64,
    /// Where.
    pub endpoint: EndpointId,
    /// The agent's number of the record, from 1.
    pub seq: u64,
    /// Who.
    pub person: PersonId,
    /// When, by the endpoint's clock.
    pub at: Timestamp,
    /// When, by the server's clock as far as the endpoint's skew was known.
    pub corrected_at: Timestamp,
    /// The whole of the engine's input, and the justification; none once the person was erased.
    pub input: Option<RecordedInput>,
    /// What the engine said.
    pub decision: RecordedDecision,
    /// The snapshot it was decided on.
    pub snapshot: CitedSnapshot,
    /// The request whose grant was used.
    pub grant: Option<RequestId>,
    /// What became of the action, where the agent knew.
    pub result: Option<ActionResult>,
    /// The id of the proof that satisfied the one-time code.
    pub mfa_proof: Option<Uuid>,
    /// The record that had this number before.
    pub reuses: Option<ActivityId>,
}

/// Which records of an endpoint there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Whose records.
    pub endpoint: EndpointId,
    /// The highest number that is stored.
    pub highest: u64,
    /// How many numbers below it are missing.
    pub missing: u64,
    /// How many records came under numbers that others had, and when the last of them came: the endpoint was restored
    /// from a copy, or a copy of it runs.
    pub reused: u64,
    pub reused_at: Option<Timestamp>,
}

fn view(row: &PgRow) -> Result<ActivityView, ReadError> {
    Ok(ActivityView {
        id: row.id("activity_id")?,
        position: row.count("position")?,
        endpoint: row.id("endpoint_id")?,
        seq: row.count("seq")?,
        person: row.id("person_id")?,
        at: row.at("at")?,
        corrected_at: row.at("corrected_at")?,
        input: row.document_or_null("input")?,
        decision: row.document("decision")?,
        snapshot: CitedSnapshot {
            epoch: row.small_count("snapshot_epoch")?,
            version: row.count("snapshot_version")?,
            sha256: row.try_get("snapshot_sha256")?,
        },
        grant: row.id_or_null("grant_request_id")?,
        result: row.try_get::<Option<String>, _>("result")?.map(read_word).transpose()?,
        mfa_proof: row.try_get("mfa_proof")?,
        reuses: row.id_or_null("reuses")?,
    })
}

/// One record.
///
/// # Errors
/// [`ReadError`]
pub async fn find(tx: &mut TenantTx, activity: ActivityId) -> Result<Option<ActivityView>, ReadError> {
    let row = sqlx::query(
        "select activity_id, position, endpoint_id, seq, person_id, at, corrected_at, input, decision, snapshot_epoch,
           snapshot_version, snapshot_sha256, grant_request_id, result, mfa_proof, reuses
         from activity where tenant_id = $1 and build = live_build('activity') and activity_id = $2
         order by position limit 1",
    )
    .bind(tenant(tx))
    .bind(activity.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}

/// A page of an endpoint's records, newest number first.
///
/// # Errors
/// [`ReadError`]
pub async fn list(tx: &mut TenantTx, endpoint: EndpointId, page: &Page) -> Result<Paged<ActivityView>, ReadError> {
    let from: Option<(u64, u64)> = page.key()?;
    let rows = sqlx::query(
        "select activity_id, position, endpoint_id, seq, person_id, at, corrected_at, input, decision, snapshot_epoch,
           snapshot_version, snapshot_sha256, grant_request_id, result, mfa_proof, reuses
         from activity
         where tenant_id = $1 and build = live_build('activity') and endpoint_id = $2
           and ($3::bigint is null or case when $5 then (seq, position) > ($3, $4) else (seq, position) < ($3, $4) end)
         order by case when $5 then seq end, case when $5 then position end, seq desc, position desc
         limit $6",
    )
    .bind(tenant(tx))
    .bind(endpoint.uuid())
    .bind(from.map(|(seq, _)| number(seq)))
    .bind(from.map(|(_, position)| number(position)))
    .bind(page.backward)
    .bind(page.fetch())
    .fetch_all(&mut **tx)
    .await?;
    page.cut(rows.iter().map(view).collect::<Result<_, _>>()?, |record| {
        (record.seq, record.position)
    })
}

/// The records that an endpoint has under these numbers, in the order of the log.
///
/// # Errors
/// [`ReadError`]
pub async fn under_numbers(
    tx: &mut TenantTx,
    endpoint: EndpointId,
    seqs: &[u64],
) -> Result<Vec<(u64, ActivityId)>, ReadError> {
    let rows = sqlx::query(
        "select seq, activity_id from activity
         where tenant_id = $1 and build = live_build('activity') and endpoint_id = $2 and seq = any($3)
         order by position",
    )
    .bind(tenant(tx))
    .bind(endpoint.uuid())
    .bind(seqs.iter().copied().map(number).collect::<Vec<_>>())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| Ok((row.count("seq")?, row.id("activity_id")?)))
        .collect()
}

/// The records that happened from `from` on and before `until` by the server's clock, in the order of the log, after
/// `position` and at most `limit` (1 to 1,000) of them: for backtests, which go on with the last one's position.
///
/// # Errors
/// [`ReadError`]
pub async fn recorded_between(
    tx: &mut TenantTx,
    from: Timestamp,
    until: Timestamp,
    position: u64,
    limit: u32,
) -> Result<Vec<ActivityView>, ReadError> {
    let rows = sqlx::query(
        "select activity_id, position, endpoint_id, seq, person_id, at, corrected_at, input, decision, snapshot_epoch,
           snapshot_version, snapshot_sha256, grant_request_id, result, mfa_proof, reuses
         from activity
         where tenant_id = $1 and build = live_build('activity') and position > $2 and corrected_at >= $3
           and corrected_at < $4
         order by position limit $5",
    )
    .bind(tenant(tx))
    .bind(number(position))
    .bind(moment(from))
    .bind(moment(until))
    .bind(i64::from(limit.clamp(1, 1_000)))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// Which records of these endpoints there are. Endpoints without any are left out.
///
/// # Errors
/// [`ReadError`]
pub async fn numbers(tx: &mut TenantTx, endpoints: &[EndpointId]) -> Result<Vec<Numbers>, ReadError> {
    let rows = sqlx::query(
        "select endpoint_id, highest, highest - stored as missing, reused, reused_at from activity_endpoint
         where tenant_id = $1 and build = live_build('activity') and endpoint_id = any($2)",
    )
    .bind(tenant(tx))
    .bind(uuids(endpoints))
    .fetch_all(&mut **tx)
    .await?;
    let read = rows.iter().map(|row| {
        Ok(Numbers {
            endpoint: row.id("endpoint_id")?,
            highest: row.count("highest")?,
            missing: row.count("missing")?,
            reused: row.count("reused")?,
            reused_at: row.at_or_null("reused_at")?,
        })
    });
    read.collect()
}
