//! The append: what one command writes, the call to `append_batch`, and the lane that repeats it when the answer was
//! lost.

use std::time::Duration;

use formats::TenantId;
use sqlx::{
    PgConnection, PgPool, Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
    types::time::OffsetDateTime,
};
use tokio::{sync::oneshot, time::Instant};
use uuid::Uuid;

use crate::{
    StoreError,
    error::{Holder, is_outage},
    lane::{Job, Outage},
};

/// An event as it goes into the table.
#[derive(Debug, Clone)]
pub(crate) struct EncodedEvent {
    pub(crate) event_type: String,
    pub(crate) schema: i32,
    pub(crate) occurred_at: OffsetDateTime,
    pub(crate) recorded_at: OffsetDateTime,
    pub(crate) body: Vec<u8>,
    pub(crate) metadata: String,
    pub(crate) leaf: [u8; 32],
}

/// A change of a unique value; `value_mac` is empty where the stream frees what it holds.
#[derive(Debug, Clone)]
pub(crate) struct EncodedClaim {
    pub(crate) space: &'static str,
    pub(crate) value_mac: Option<[u8; 32]>,
}

/// What one command writes: events of one stream, and its unique claims.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) command_id: Uuid,
    /// Under the tenant's key.
    pub(crate) fingerprint: [u8; 32],
    /// Random: tells this attempt's own rows from another's.
    pub(crate) writer: Uuid,
    pub(crate) stream_type: &'static str,
    pub(crate) stream_id: Uuid,
    /// The version the stream must have; 0 where it must not exist.
    pub(crate) expected: u64,
    pub(crate) events: Vec<EncodedEvent>,
    pub(crate) claims: Vec<EncodedClaim>,
}

/// Where a command's events are in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// `last + 1` where there was no event.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The stream's version after it.
    pub(crate) version: u64,
    pub(crate) stream_type: String,
    pub(crate) stream_id: Uuid,
}

/// What became of one command of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ok(Written),
    /// It was written before, by the attempt named.
    Duplicate(Written, Uuid),
    KeyReused,
    Conflict,
    ClaimTaken {
        space: String,
        holder: Holder,
    },
}

/// Sends a batch: one round trip, and one transaction of its own unless the connection is in one.
pub(crate) async fn append_batch(
    connection: &mut PgConnection,
    tenant: TenantId,
    entries: &[&Entry],
) -> Result<Vec<Verdict>, sqlx::Error> {
    let rows = statement(tenant, entries).fetch_all(connection).await?;
    if rows.len() == entries.len() {
        rows.iter().map(verdict).collect()
    } else {
        Err(sqlx::Error::RowNotFound)
    }
}

fn statement<'a>(tenant: TenantId, entries: &'a [&'a Entry]) -> Query<'a, Postgres, PgArguments> {
    let ids = |of: fn(&Entry) -> Uuid| entries.iter().map(|e| of(e)).collect::<Vec<_>>();
    let events: Vec<(i32, &EncodedEvent)> = numbered(entries, |e| &e.events);
    let claims: Vec<(i32, &EncodedClaim)> = numbered(entries, |e| &e.claims);
    sqlx::query(
        "select verdict, first_position, last_position, stream_version, stream_type, stream_id, writer, claim_space
         from append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
    )
    .bind(tenant.uuid())
    .bind(ids(|e| e.command_id))
    .bind(entries.iter().map(|e| &e.fingerprint[..]).collect::<Vec<_>>())
    .bind(ids(|e| e.writer))
    .bind(entries.iter().map(|e| e.stream_type).collect::<Vec<_>>())
    .bind(ids(|e| e.stream_id))
    .bind(entries.iter().map(|e| to_i64(e.expected)).collect::<Vec<_>>())
    .bind(events.iter().map(|(n, _)| *n).collect::<Vec<_>>())
    .bind(events.iter().map(|(_, e)| e.event_type.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|(_, e)| e.schema).collect::<Vec<_>>())
    .bind(events.iter().map(|(_, e)| e.occurred_at).collect::<Vec<_>>())
    .bind(events.iter().map(|(_, e)| e.recorded_at).collect::<Vec<_>>())
    .bind(events.iter().map(|(_, e)| e.body.as_slice()).collect::<Vec<_>>())
    .bind(events.iter().map(|(_, e)| e.metadata.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|(_, e)| &e.leaf[..]).collect::<Vec<_>>())
    .bind(claims.iter().map(|(n, _)| *n).collect::<Vec<_>>())
    .bind(claims.iter().map(|(_, c)| c.value_mac.is_some()).collect::<Vec<_>>())
    .bind(claims.iter().map(|(_, c)| c.space).collect::<Vec<_>>())
    .bind(
        claims
            .iter()
            .map(|(_, c)| c.value_mac.as_ref().map(|mac| &mac[..]))
            .collect::<Vec<_>>(),
    )
}

/// The parts of all entries in order, each with its entry's number from 1.
fn numbered<'a, T>(entries: &[&'a Entry], parts: fn(&Entry) -> &Vec<T>) -> Vec<(i32, &'a T)> {
    (1..)
        .zip(entries)
        .flat_map(|(n, entry)| parts(entry).iter().map(move |part| (n, part)))
        .collect()
}

fn verdict(row: &PgRow) -> Result<Verdict, sqlx::Error> {
    let written = || {
        Ok::<_, sqlx::Error>(Written {
            first: to_u64(row.try_get(1)?),
            last: to_u64(row.try_get(2)?),
            version: to_u64(row.try_get(3)?),
            stream_type: row.try_get(4)?,
            stream_id: row.try_get(5)?,
        })
    };
    Ok(match row.try_get::<&str, _>(0)? {
        "ok" => Verdict::Ok(written()?),
        "duplicate" => Verdict::Duplicate(written()?, row.try_get(6)?),
        "key_reused" => Verdict::KeyReused,
        "conflict" => Verdict::Conflict,
        "claim_taken" => Verdict::ClaimTaken {
            space: row.try_get(7)?,
            holder: Holder {
                stream_type: row.try_get(4)?,
                stream_id: row.try_get(5)?,
            },
        },
        other => return Err(sqlx::Error::Decode(format!("verdict `{other}`").into())),
    })
}

/// Positions and versions are counted from 0 and far below 2^53.
pub(crate) fn to_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// See [`to_i64`].
pub(crate) fn to_u64(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// A command that waits for its verdict.
pub(crate) struct Append {
    pub(crate) entry: Entry,
    pub(crate) answer: oneshot::Sender<Result<Verdict, StoreError>>,
}

impl Job for Append {
    fn weight(&self) -> usize {
        self.entry
            .events
            .iter()
            .map(|e| e.body.len() + e.metadata.len() + 128)
            .sum::<usize>()
            + 128
    }

    fn exclusive(&self) -> Option<((&'static str, Uuid), Uuid)> {
        Some(((self.entry.stream_type, self.entry.stream_id), self.entry.command_id))
    }

    fn fail(self, outage: &Outage) {
        let _ = self.answer.send(Err(StoreError::Unavailable(outage.0.clone())));
    }
}

/// How long a statement is tried again while the database is away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// One attempt.
    pub(crate) attempt: Duration,
    /// No further attempt begins after this.
    pub(crate) total: Duration,
}

/// A statement that may be carried out twice.
pub(crate) trait Repeatable: Sync {
    type Answer: Send;
    fn run(&self, connection: &mut PgConnection) -> impl Future<Output = Result<Self::Answer, sqlx::Error>> + Send;
}

impl Patience {
    /// Runs a statement until it gives something other than an outage, or patience ends.
    pub(crate) async fn run<S: Repeatable>(self, pool: &PgPool, statement: &S) -> Result<S::Answer, sqlx::Error> {
        let deadline = Instant::now() + self.total;
        // A pooled connection that died shows it only when used: go through those without a pause.
        let mut stale = pool.options().get_max_connections();
        let mut pause = Duration::from_millis(10);
        loop {
            let error = match pool.acquire().await {
                Ok(mut connection) => match tokio::time::timeout(self.attempt, statement.run(&mut connection)).await {
                    Ok(Err(error)) if is_outage(&error) => {
                        drop(connection.detach());
                        error
                    }
                    Ok(result) => return result,
                    Err(_) => {
                        // Its answer would come some time; the connection is no longer of use.
                        drop(connection.detach());
                        sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
                    }
                },
                Err(error) if is_outage(&error) => error,
                Err(error) => return Err(error),
            };
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::debug!(%error, "the database is away; trying again");
            if stale > 0 {
                stale -= 1;
            } else {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(250));
            }
        }
    }
}

/// A batch of a lane: its second run finds what the first one wrote.
struct Batch<'a> {
    tenant: TenantId,
    entries: Vec<&'a Entry>,
}

impl Repeatable for Batch<'_> {
    type Answer = Vec<Verdict>;

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<Verdict>, sqlx::Error> {
        append_batch(connection, self.tenant, &self.entries).await
    }
}

/// Sends a lane's batch and answers each command. A batch whose answer was lost is sent again as it is: what had been
/// written then shows as a duplicate of the same writer, which is as good as `ok`. Returns the outage where patience
/// ended.
pub(crate) async fn send(pool: &PgPool, patience: Patience, tenant: TenantId, jobs: Vec<Append>) -> Result<(), Outage> {
    let batch = Batch {
        tenant,
        entries: jobs.iter().map(|job| &job.entry).collect(),
    };
    let error = match patience.run(pool, &batch).await {
        Ok(verdicts) => {
            for (job, verdict) in jobs.into_iter().zip(verdicts) {
                let verdict = match verdict {
                    Verdict::Duplicate(written, writer) if writer == job.entry.writer => Verdict::Ok(written),
                    other => other,
                };
                let _ = job.answer.send(Ok(verdict));
            }
            return Ok(());
        }
        Err(error) => error,
    };
    if is_outage(&error) {
        let outage = Outage(error.to_string());
        jobs.into_iter().for_each(|job| job.fail(&outage));
        return Err(outage);
    }
    if is_unknown_tenant(&error) {
        for job in jobs {
            let _ = job.answer.send(Err(StoreError::UnknownTenant(tenant)));
        }
        return Ok(());
    }
    let jobs = match <[Append; 1]>::try_from(jobs) {
        Ok([job]) => {
            let _ = job.answer.send(Err(StoreError::Database(error)));
            return Ok(());
        }
        Err(jobs) => jobs,
    };
    // The database refused the whole batch: its commands go one by one, so that only the one at fault is refused.
    tracing::error!(%error, %tenant, "a batch was refused");
    for job in jobs {
        // An outage meanwhile fails this command only; the next one finds out for itself.
        let _ = Box::pin(send(pool, patience, tenant, vec![job])).await;
    }
    Ok(())
}

/// Whether `append_batch` found no head.
pub(crate) fn is_unknown_tenant(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|e| e.code())
        .is_some_and(|code| code == "PT404")
}
