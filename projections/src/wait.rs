//! Reading one's own writes: waiting until the read models know of a position.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use formats::TenantId;
use sqlx::{PgPool, Row};
use tokio::{sync::watch, time::Instant};

use crate::{
    ReadError,
    checkpoint::Known,
    columns::{Columns, number},
};

/// The shortest and the longest pause between two looks at the cursors, where another process does the work.
const POLL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// The shortest pause where this process has moved the tenant's cursors before: it will most likely say so again.
const TOLD: Duration = Duration::from_millis(50);

/// What this process knows of a tenant's cursors, for its waiters.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    /// Every read model is known to have got here.
    all: u64,
    /// What moved last were not all of them.
    partly: bool,
}

/// Tells waiters of this process that cursors of a tenant moved. Holds a number a tenant that was ever worked on or
/// waited for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<Mutex<HashMap<TenantId, watch::Sender<Reached>>>>);

impl Progress {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Cursors moved: all of them, to this position, or only some.
    pub(crate) fn tell(&self, tenant: TenantId, all_at: Option<u64>) {
        self.with(tenant, |sender| {
            sender.send_modify(|reached| {
                reached.partly = all_at.is_none();
                reached.all = reached.all.max(all_at.unwrap_or(0));
            });
        });
    }

    fn hear(&self, tenant: TenantId) -> watch::Receiver<Reached> {
        self.with(tenant, watch::Sender::subscribe)
    }

    fn with<T>(&self, tenant: TenantId, then: impl FnOnce(&watch::Sender<Reached>) -> T) -> T {
        let mut tenants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        then(tenants.entry(tenant).or_default())
    }
}

/// A projection that has not got as far as somebody waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Which.
    pub projection: String,
    /// The last event it knows of; none where it has not begun.
    pub position: Option<u64>,
    /// Whether it stopped at an event that it cannot take in.
    pub parked: bool,
}

/// Why waiting ended without the wish fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// Read models are behind: what is read now may lack the caller's own write.
    #[error("read models are behind: {}", names(.0))]
    Lagging(Vec<Behind>),
    /// The cursors could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

fn names(behind: &[Behind]) -> String {
    behind
        .iter()
        .map(|b| b.projection.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Waits for read models. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Waiter {
    pool: PgPool,
    known: Known,
    progress: Progress,
}

impl Waiter {
    /// For a process without a runner of its own: it looks at the cursors again and again.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let all = crate::all();
        Self::hearing(pool, Known::of(all.iter().map(AsRef::as_ref)), Progress::new())
    }

    pub(crate) const fn hearing(pool: PgPool, known: Known, progress: Progress) -> Self {
        Self { pool, known, progress }
    }

    /// Waits until every read model of the tenant knows of this position. A parked one is not waited for: where only
    /// such are left, the answer comes at once.
    ///
    /// # Errors
    /// [`WaitError::Lagging`] at the end of the time, or earlier where waiting is of no use.
    pub async fn wait_for(&self, tenant: TenantId, position: u64, timeout: Duration) -> Result<(), WaitError> {
        self.wait_for_some(&self.known.names, tenant, position, timeout).await
    }

    /// As [`Waiter::wait_for`], for these read models alone.
    ///
    /// # Errors
    /// As [`Waiter::wait_for`].
    pub async fn wait_for_some(
        &self,
        projections: &[&str],
        tenant: TenantId,
        position: u64,
        timeout: Duration,
    ) -> Result<(), WaitError> {
        let deadline = Instant::now() + timeout;
        let mut moves = self.progress.hear(tenant);
        let known = *moves.borrow_and_update();
        let (mut pause, mut look) = if known.all > 0 { (TOLD, false) } else { (POLL.0, true) };
        if known.all >= position && position > 0 {
            return Ok(());
        }
        loop {
            if look {
                let behind = self.behind(projections, tenant, position).await?;
                if behind.is_empty() {
                    return Ok(());
                }
                if behind.iter().all(|b| b.parked) || Instant::now() >= deadline {
                    return Err(WaitError::Lagging(behind));
                }
            }
            let until = (Instant::now() + pause).min(deadline);
            match tokio::time::timeout_at(until, moves.changed()).await {
                Ok(Ok(())) => {
                    let reached = *moves.borrow_and_update();
                    if reached.all >= position {
                        return Ok(());
                    }
                    look = reached.partly;
                }
                // The time came, or nobody can tell any more.
                Err(_) | Ok(Err(_)) => {
                    look = true;
                    pause = (pause * 2).min(POLL.1);
                }
            }
        }
    }

    async fn behind(&self, projections: &[&str], tenant: TenantId, position: u64) -> Result<Vec<Behind>, ReadError> {
        let rows = sqlx::query(
            "select w.projection, c.position, c.parked_at is not null as parked
             from unnest($2::text[]) as w (projection)
               left join projection_checkpoint c
                 on c.tenant_id = $1 and c.projection = w.projection and c.state = 'live'
             where c.position is null or c.position < $3
             order by w.projection",
        )
        .bind(tenant.uuid())
        .bind(projections)
        .bind(number(position))
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Behind {
                    projection: row.try_get("projection")?,
                    position: row.count_or_null("position")?,
                    parked: row.try_get("parked")?,
                })
            })
            .collect()
    }
}
