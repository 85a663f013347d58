//! Reading one's own writes: waiting until the read models know of a position.

use std::time::Duration;

use formats::TenantId;
use sqlx::{PgPool, Row};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::Instant,
};

use crate::{
    ReadError,
    checkpoint::Known,
    columns::{Columns, number},
};

/// The shortest and the longest pause between two looks at the cursors, where another process does the work.
const POLL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// Tells waiters of this process that cursors of a tenant moved.
#[derive(Debug, Clone)]
pub(crate) struct Progress(broadcast::Sender<TenantId>);

impl Progress {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(1_024).0)
    }

    pub(crate) fn tell(&self, tenant: TenantId) {
        // An error means that nobody waits.
        let _ = self.0.send(tenant);
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
        let mut moves = self.progress.0.subscribe();
        let mut pause = POLL.0;
        loop {
            let behind = self.behind(projections, tenant, position).await?;
            if behind.is_empty() {
                return Ok(());
            }
            if behind.iter().all(|b| b.parked) || Instant::now() >= deadline {
                return Err(WaitError::Lagging(behind));
            }
            let until = (Instant::now() + pause).min(deadline);
            // Whether it was woken, the time came or nobody can wake it: look again.
            let _ = tokio::time::timeout_at(until, async {
                loop {
                    match moves.recv().await {
                        Ok(moved) if moved != tenant => {}
                        Ok(_) | Err(RecvError::Lagged(_)) => return,
                        Err(RecvError::Closed) => std::future::pending().await,
                    }
                }
            })
            .await;
            pause = (pause * 2).min(POLL.1);
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
