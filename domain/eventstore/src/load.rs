//! Loading: many streams in one round trip, through a lane like the appends.

use std::collections::HashMap;

use formats::TenantId;
use sqlx::{
    PgConnection, PgPool, Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    StoreError,
    append::{Patience, Repeatable, Written, to_i64, to_u64},
    error::is_outage,
    lane::{Job, Outage, Part, Sent},
};

/// What a caller wants to know of a stream, and of a command.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) stream_type: &'static str,
    pub(crate) stream_id: Uuid,
    /// The version the caller has already; 0 for none.
    pub(crate) known: u64,
    /// Of the aggregate snapshots it understands; none for a full replay.
    pub(crate) fingerprint: Option<[u8; 32]>,
    /// A command that may have been written before.
    pub(crate) command: Option<Uuid>,
}

/// What there is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// The stream's version; 0 where there is no such stream.
    pub(crate) version: u64,
    /// A newer aggregate snapshot than what was known.
    pub(crate) snapshot: Option<(u64, Vec<u8>)>,
    /// The events after both, in order.
    pub(crate) tail: Vec<Stored>,
    /// The command, where it was written before.
    pub(crate) earlier: Option<Earlier>,
}

/// An event of a stream, as stored.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) version: u64,
    pub(crate) event_type: String,
    pub(crate) schema: u32,
    pub(crate) body: Vec<u8>,
}

/// A command that was written before.
#[derive(Debug, Clone)]
pub(crate) struct Earlier {
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) written: Written,
}

/// Somebody who waits for a stream.
pub(crate) struct Load {
    pub(crate) wanted: Wanted,
    pub(crate) answer: oneshot::Sender<Result<Found, StoreError>>,
}

impl Job for Load {
    fn weight(&self) -> usize {
        1
    }

    fn exclusive(&self) -> Option<((&'static str, Uuid), Uuid)> {
        None
    }

    fn fail(self, outage: &Outage) {
        let _ = self.answer.send(Err(StoreError::Unavailable(outage.0.clone())));
    }
}

/// Reads a tenant's part of a batch and answers each caller. What could not be read is answered too: nothing is left.
pub(crate) async fn fetch(pool: &PgPool, patience: Patience, (tenant, jobs): Part<Load>) -> Sent<Load> {
    let batch = Batch {
        tenant,
        wanted: jobs.iter().map(|job| &job.wanted).collect(),
    };
    match patience.run(pool, &batch).await {
        Ok(mut found) => {
            for (n, job) in (1..).zip(jobs) {
                let _ = job.answer.send(Ok(found.remove(&n).unwrap_or_default()));
            }
        }
        Err(error) if is_outage(&error) => {
            let outage = Outage(error.to_string());
            jobs.into_iter().for_each(|job| job.fail(&outage));
            return Err(outage);
        }
        Err(error) => {
            for job in jobs {
                let _ = job.answer.send(Err(StoreError::unreadable("streams", &error)));
            }
        }
    }
    Ok(Vec::new())
}

/// A batch of a lane.
struct Batch<'a> {
    tenant: TenantId,
    wanted: Vec<&'a Wanted>,
}

impl Repeatable for Batch<'_> {
    /// By the streams' numbers from 1.
    type Answer = HashMap<i32, Found>;

    async fn run(&self, connection: &mut PgConnection) -> Result<Self::Answer, sqlx::Error> {
        let rows = self.statement().fetch_all(connection).await?;
        let mut all = HashMap::with_capacity(self.wanted.len());
        for row in &rows {
            add(all.entry(row.try_get(0)?).or_default(), row)?;
        }
        Ok(all)
    }
}

impl Batch<'_> {
    fn statement(&self) -> Query<'_, Postgres, PgArguments> {
        let wanted = &self.wanted;
        sqlx::query(
            "select ord, kind, version, body, event_type, schema_version, first_position, last_position, stream_type,
               stream_id
             from load_batch($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.tenant.uuid())
        .bind(wanted.iter().map(|w| w.stream_type).collect::<Vec<_>>())
        .bind(wanted.iter().map(|w| w.stream_id).collect::<Vec<_>>())
        .bind(wanted.iter().map(|w| to_i64(w.known)).collect::<Vec<_>>())
        .bind(
            wanted
                .iter()
                .map(|w| w.fingerprint.as_ref().map(|f| &f[..]))
                .collect::<Vec<_>>(),
        )
        .bind(wanted.iter().map(|w| w.command).collect::<Vec<_>>())
    }
}

fn add(found: &mut Found, row: &PgRow) -> Result<(), sqlx::Error> {
    let version = to_u64(row.try_get(2)?);
    match row.try_get::<i32, _>(1)? {
        0 => found.version = version,
        1 => found.snapshot = Some((version, row.try_get(3)?)),
        2 => found.tail.push(Stored {
            version,
            body: row.try_get(3)?,
            event_type: row.try_get(4)?,
            schema: u32::try_from(row.try_get::<i32, _>(5)?).unwrap_or(0),
        }),
        _ => {
            found.earlier = Some(Earlier {
                fingerprint: row.try_get(3)?,
                written: Written {
                    first: to_u64(row.try_get(6)?),
                    last: to_u64(row.try_get(7)?),
                    version,
                    stream_type: row.try_get(8)?,
                    stream_id: row.try_get(9)?,
                },
            });
        }
    }
    Ok(())
}
