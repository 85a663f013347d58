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
    lane::{Job, Outage, Part, Sent, Trip},
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
    /// Somebody else appends to the tenant's log, and it was not waited for.
    Locked,
}

/// Sends a batch: one round trip, and one transaction of its own unless the connection is in one. A tenant's entries are
/// next to each other. Only one tenant's head may be waited for.
pub(crate) async fn append_batch(
    connection: &mut PgConnection,
    wait: bool,
    entries: &[(TenantId, &Entry)],
) -> Result<Vec<Verdict>, sqlx::Error> {
    let rows = statement(wait, entries).fetch_all(connection).await?;
    if rows.len() == entries.len() {
        rows.iter().map(verdict).collect()
    } else {
        Err(sqlx::Error::RowNotFound)
    }
}

fn statement<'a>(wait: bool, entries: &'a [(TenantId, &'a Entry)]) -> Query<'a, Postgres, PgArguments> {
    let ids = |of: fn(&Entry) -> Uuid| entries.iter().map(|(_, e)| of(e)).collect::<Vec<_>>();
    let counts = |of: fn(&Entry) -> usize| entries.iter().map(|(_, e)| to_i32(of(e))).collect::<Vec<_>>();
    let events = || entries.iter().flat_map(|(_, e)| &e.events);
    let claims = || entries.iter().flat_map(|(_, e)| &e.claims);
    sqlx::query(
        "select verdict, first_position, last_position, stream_version, stream_type, stream_id, writer, claim_space
         from append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
    )
    .bind(wait)
    .bind(entries.iter().map(|(tenant, _)| tenant.uuid()).collect::<Vec<_>>())
    .bind(ids(|e| e.command_id))
    .bind(entries.iter().map(|(_, e)| &e.fingerprint[..]).collect::<Vec<_>>())
    .bind(ids(|e| e.writer))
    .bind(entries.iter().map(|(_, e)| e.stream_type).collect::<Vec<_>>())
    .bind(ids(|e| e.stream_id))
    .bind(entries.iter().map(|(_, e)| to_i64(e.expected)).collect::<Vec<_>>())
    .bind(counts(|e| e.events.len()))
    .bind(counts(|e| e.claims.len()))
    .bind(events().map(|e| e.event_type.as_str()).collect::<Vec<_>>())
    .bind(events().map(|e| e.schema).collect::<Vec<_>>())
    .bind(events().map(|e| e.occurred_at).collect::<Vec<_>>())
    .bind(events().map(|e| e.recorded_at).collect::<Vec<_>>())
    .bind(events().map(|e| e.body.as_slice()).collect::<Vec<_>>())
    .bind(events().map(|e| e.metadata.as_str()).collect::<Vec<_>>())
    .bind(events().map(|e| &e.leaf[..]).collect::<Vec<_>>())
    .bind(claims().map(|c| c.value_mac.is_some()).collect::<Vec<_>>())
    .bind(claims().map(|c| c.space).collect::<Vec<_>>())
    .bind(
        claims()
            .map(|c| c.value_mac.as_ref().map(|mac| &mac[..]))
            .collect::<Vec<_>>(),
    )
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
        "locked" => Verdict::Locked,
        other => return Err(sqlx::Error::Decode(format!("verdict `{other}`").into())),
    })
}

/// Positions and versions are counted from 0 and far below 2^53.
pub(crate) fn to_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Of events and claims of a command: a handful.
fn to_i32(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
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

/// A batch of the lanes: its second run finds what the first one wrote.
struct Batch<'a> {
    wait: bool,
    entries: Vec<(TenantId, &'a Entry)>,
}

impl Repeatable for Batch<'_> {
    type Answer = Vec<Verdict>;

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<Verdict>, sqlx::Error> {
        append_batch(connection, self.wait, &self.entries).await
    }
}

/// Sends a batch of the lanes and answers each command. A batch whose answer was lost is sent again as it is: what had
/// been written then shows as a duplicate of the same writer, which is as good as `ok`. Returns the outage where patience
/// ended, and otherwise what has to go alone: commands of tenants whose head somebody else held, and all of a batch that
/// the database refused, so that only the one at fault is.
pub(crate) async fn send(pool: &PgPool, patience: Patience, parts: Vec<Part<Append>>, trip: Trip) -> Sent<Append> {
    let batch = Batch {
        wait: trip == Trip::Alone,
        entries: parts
            .iter()
            .flat_map(|(tenant, jobs)| jobs.iter().map(|job| (*tenant, &job.entry)))
            .collect(),
    };
    let error = match patience.run(pool, &batch).await {
        Ok(verdicts) => return Ok(answer(parts, verdicts)),
        Err(error) => error,
    };
    if is_outage(&error) {
        let outage = Outage(error.to_string());
        let jobs = parts.into_iter().flat_map(|(_, jobs)| jobs);
        jobs.for_each(|job| job.fail(&outage));
        return Err(outage);
    }
    if trip == Trip::Together {
        return Ok(parts);
    }
    let unknown = is_unknown_tenant(&error);
    let mut jobs: Vec<(TenantId, Append)> = parts
        .into_iter()
        .flat_map(|(tenant, jobs)| jobs.into_iter().map(move |job| (tenant, job)))
        .collect();
    if unknown {
        for (tenant, job) in jobs {
            let _ = job.answer.send(Err(StoreError::UnknownTenant(tenant)));
        }
    } else if jobs.len() == 1
        && let Some((_, job)) = jobs.pop()
    {
        let _ = job.answer.send(Err(StoreError::Database(error)));
    } else {
        tracing::error!(%error, "a batch was refused");
        for (tenant, job) in jobs {
            // An outage meanwhile fails this command only; the next one finds out for itself.
            let _ = Box::pin(send(pool, patience, vec![(tenant, vec![job])], Trip::Alone)).await;
        }
    }
    Ok(Vec::new())
}

/// Gives each command its verdict; returns those that have none yet.
fn answer(parts: Vec<Part<Append>>, verdicts: Vec<Verdict>) -> Vec<Part<Append>> {
    let mut verdicts = verdicts.into_iter();
    let mut left = Vec::new();
    for (tenant, jobs) in parts {
        let mut locked = Vec::new();
        for (job, verdict) in jobs.into_iter().zip(&mut verdicts) {
            let verdict = match verdict {
                Verdict::Locked => {
                    locked.push(job);
                    continue;
                }
                Verdict::Duplicate(written, writer) if writer == job.entry.writer => Verdict::Ok(written),
                other => other,
            };
            let _ = job.answer.send(Ok(verdict));
        }
        if !locked.is_empty() {
            left.push((tenant, locked));
        }
    }
    left
}

/// Whether `append_batch` found no head.
pub(crate) fn is_unknown_tenant(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|e| e.code())
        .is_some_and(|code| code == "PT404")
}
