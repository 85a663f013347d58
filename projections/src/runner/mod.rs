//! Keeps the read models: takes each tenant's cursors further, batch by batch, in as many processes as there are.
//!
//! A tenant is worked on by whoever locks its cursors; others pass it by. Rows and cursors are written in one
//! transaction, so that a crash between them is impossible. What fails is found by halving the batch, and parks one
//! projection of one tenant; the others go on. A ring of the doorbell starts the work, a sweep makes a lost ring
//! harmless (`docs/eventstore.md`, rules 6 and 8 to 10).

mod decode;
mod fold;
mod step;

use std::{
    collections::HashSet,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use eventstore::{News, Store, StoreError};
use formats::TenantId;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};

use self::step::Outcome;
use crate::{
    Projection, ReadError,
    checkpoint::{self, Known},
    rebuild,
    wait::{Progress, Waiter},
};

/// How a runner works. The defaults are meant for production.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Events that are read at once (1,000).
    pub batch: u32,
    /// Tenants that are worked on at once (4); each holds a connection.
    pub tenants: usize,
    /// How often it looks for tenants whose ring was lost (2 s).
    pub sweep: Duration,
    /// The longest rest of a tenant (40 ms), which is twice its last turn: a batch of many events costs little more than
    /// one of a single event.
    pub rest: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch: 1_000,
            tenants: 4,
            sweep: Duration::from_secs(2),
            rest: Duration::from_millis(40),
        }
    }
}

/// Why a runner could not work. Nothing is lost: it goes on from the same cursors.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log or a key could not be read, or the database is away.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A cursor could not be read.
    #[error(transparent)]
    Read(ReadError),
    /// No projection has this name.
    #[error("no projection is called `{0}`")]
    Unknown(String),
    /// A finished build could not take the place of the live one.
    #[error("a build cannot go live: {0}")]
    Flip(String),
}

impl From<sqlx::Error> for RunError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<ReadError> for RunError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Database(error) => error.into(),
            other => Self::Read(other),
        }
    }
}

/// The projections that this process knows.
#[derive(Clone)]
pub(crate) struct Registry(Arc<[Box<dyn Projection>]>);

impl Registry {
    fn find(&self, name: &str) -> Option<&dyn Projection> {
        self.0.iter().find(|p| p.name() == name).map(AsRef::as_ref)
    }

    fn has(&self, name: &str, version: u32) -> bool {
        self.find(name).is_some_and(|p| p.version() == version)
    }

    pub(crate) fn known(&self) -> Known {
        Known::of(self.0.iter().map(AsRef::as_ref))
    }
}

/// Keeps read models. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    store: Store,
    registry: Registry,
    options: Options,
    progress: Progress,
}

impl Runner {
    /// A runner of all read models of the product.
    #[must_use]
    pub fn new(store: Store, options: Options) -> Self {
        Self::with(store, crate::all(), options)
    }

    /// A runner of these read models alone.
    #[must_use]
    pub fn with(store: Store, projections: Vec<Box<dyn Projection>>, options: Options) -> Self {
        Self {
            store,
            registry: Registry(projections.into()),
            options,
            progress: Progress::new(),
        }
    }

    /// Waits for read models, hearing at once what this runner does.
    #[must_use]
    pub fn waiter(&self) -> Waiter {
        Waiter::hearing(self.store.pool().clone(), self.registry.known(), self.progress.clone())
    }

    /// Works until `shutdown` is ready, then finishes the transactions under way.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) {
        let mut news = self.store.subscribe();
        let mut sweep = tokio::time::interval(self.options.sweep);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = Arc::new(AtomicBool::new(false));
        let mut queue = Queue::default();
        let mut working: JoinSet<(TenantId, bool, Duration)> = JoinSet::new();
        let mut resting: JoinSet<TenantId> = JoinSet::new();
        let mut listening = true;
        tokio::pin!(shutdown);
        loop {
            while working.len() < self.options.tenants
                && let Some(tenant) = queue.take()
            {
                let (runner, stop) = (self.clone(), Arc::clone(&stop));
                working.spawn(async move {
                    let began = Instant::now();
                    let more = runner.turn(tenant, &stop).await;
                    (tenant, more, began.elapsed())
                });
            }
            tokio::select! {
                () = &mut shutdown => break,
                Some(done) = working.join_next() => match done {
                    Ok((tenant, true, _)) => queue.done(tenant, true),
                    Ok((tenant, false, took)) => {
                        let rest = (2 * took).min(self.options.rest);
                        resting.spawn(async move {
                            tokio::time::sleep(rest).await;
                            tenant
                        });
                    }
                    // A panic outside of folds and flushes: a defect. The tenant comes again with the next sweep.
                    Err(error) => {
                        tracing::error!(%error, "a turn ended early");
                        queue.forget();
                    }
                },
                Some(Ok(tenant)) = resting.join_next() => queue.done(tenant, false),
                ring = news.next(), if listening => match ring {
                    Some(News::Tenant(tenant)) => queue.add(tenant),
                    Some(News::Anywhere) => sweep.reset_immediately(),
                    None => listening = false,
                },
                _ = sweep.tick() => match checkpoint::with_work(self.store.pool(), &self.registry.known(), 10_000).await {
                    Ok(tenants) => tenants.into_iter().for_each(|tenant| queue.add(tenant)),
                    Err(error) => tracing::warn!(%error, "the sweep for lost rings failed"),
                },
            }
        }
        stop.store(true, Ordering::Relaxed);
        while working.join_next().await.is_some() {}
    }

    /// Some work on a tenant, not so much that others wait for long. Returns whether there is more.
    async fn turn(&self, tenant: TenantId, stop: &AtomicBool) -> bool {
        for _ in 0..16 {
            if stop.load(Ordering::Relaxed) {
                return false;
            }
            match self.work(tenant).await {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    tracing::warn!(%tenant, %error, "read models wait for the next sweep");
                    return false;
                }
            }
        }
        true
    }

    /// Works on a tenant until its read models have caught up with the log as it is at the end, builds under way have
    /// gone live and what they replaced is deleted. Parked projections are left as they are.
    ///
    /// # Errors
    /// [`RunError`]
    pub async fn drain(&self, tenant: TenantId) -> Result<(), RunError> {
        loop {
            if self.work(tenant).await? {
                continue;
            }
            if !checkpoint::has_work(self.store.pool(), &self.registry.known(), tenant).await? {
                return Ok(());
            }
            // Somebody else has the cursors.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// One step on a tenant: a batch of the live builds, else of a build under way, else the deletion of one that is no
    /// longer wanted. Returns whether there may be more to do.
    async fn work(&self, tenant: TenantId) -> Result<bool, RunError> {
        let step = step::together(&self.store, &self.registry, tenant, true, self.options.batch).await?;
        match step.outcome {
            Outcome::Moved { more, all_at } => {
                self.progress.tell(tenant, all_at);
                if more {
                    return Ok(true);
                }
            }
            Outcome::Failed { builds, events, error } => {
                self.each_alone(tenant, &builds, events, &error).await?;
                self.progress.tell(tenant, None);
                return Ok(true);
            }
            Outcome::Idle => {}
        }
        let known = self.registry.known();
        if step.found < known.names.len() && checkpoint::ensure(self.store.pool(), &known, tenant).await? {
            return Ok(true);
        }
        if step.sides {
            self.side_work(tenant).await
        } else {
            Ok(false)
        }
    }

    /// After a batch failed for builds together: with one of them alone it need not be tried once more as it was.
    async fn each_alone(
        &self,
        tenant: TenantId,
        builds: &[(String, i32)],
        events: u32,
        error: &str,
    ) -> Result<(), RunError> {
        let events = if builds.len() > 1 { events } else { events / 2 };
        for build in builds {
            self.alone(tenant, build, events, error).await?;
        }
        Ok(())
    }

    /// Takes a build further by itself after a batch failed, in smaller and smaller steps; parks it in front of the
    /// event at fault.
    async fn alone(&self, tenant: TenantId, build: &(String, i32), events: u32, error: &str) -> Result<(), RunError> {
        let build = (build.0.as_str(), build.1);
        let (mut limit, mut left, mut error) = (events, events, error.to_owned());
        loop {
            if limit == 0 {
                return step::park(&self.store, tenant, build, error).await;
            }
            match step::one(&self.store, &self.registry, tenant, build, limit).await? {
                // Not beyond the batch that failed: what comes then may go in large steps again.
                Outcome::Moved { more: true, .. } if limit < left => left -= limit,
                Outcome::Moved { .. } | Outcome::Idle => return Ok(()),
                Outcome::Failed {
                    events: tried,
                    error: reason,
                    ..
                } => {
                    (limit, error) = (tried / 2, reason);
                }
            }
        }
    }

    /// Builds that are under way, and those to be deleted.
    async fn side_work(&self, tenant: TenantId) -> Result<bool, RunError> {
        let sides = checkpoint::side_builds(self.store.pool(), tenant).await?;
        for side in &sides {
            if let (true, Some(projection)) = (side.retired, self.registry.find(&side.projection)) {
                rebuild::clear(self.store.pool(), tenant, projection, side.build).await?;
                return Ok(true);
            }
        }
        let ours: Vec<_> = sides
            .iter()
            .filter(|s| self.registry.has(&s.projection, s.version))
            .collect();
        if ours.is_empty() {
            return Ok(false);
        }
        let step = step::together(&self.store, &self.registry, tenant, false, self.options.batch).await?;
        let moved = match step.outcome {
            Outcome::Moved { more: true, .. } => return Ok(true),
            Outcome::Moved { more: false, .. } => true,
            Outcome::Idle => false,
            Outcome::Failed { builds, events, error } => {
                self.each_alone(tenant, &builds, events, &error).await?;
                return Ok(true);
            }
        };
        let mut flipped = false;
        for side in ours {
            let build = (side.projection.as_str(), side.build);
            flipped |= step::flip(&self.store, &self.registry, tenant, build, self.options.batch).await?;
        }
        if flipped {
            self.progress.tell(tenant, None);
        }
        Ok(moved || flipped)
    }

    /// Begins to build read models anew, beside the ones that are read meanwhile; for one tenant or for all. The work is
    /// done by whoever runs or drains. Returns how many builds were begun; one that is under way is not begun again.
    ///
    /// # Errors
    /// [`RunError`]; [`RunError::Unknown`] where a name is not that of a projection.
    pub async fn rebuild(&self, projections: &[&str], tenant: Option<TenantId>) -> Result<u64, RunError> {
        let chosen: Vec<&dyn Projection> = projections
            .iter()
            .map(|name| {
                self.registry
                    .find(name)
                    .ok_or_else(|| RunError::Unknown((*name).to_owned()))
            })
            .collect::<Result<_, _>>()?;
        let known = Known::of(chosen.into_iter());
        Ok(checkpoint::begin_builds(self.store.pool(), &known, tenant, false).await?)
    }
}

/// Tenants that wait for a turn. One that has its turn waits at most once more.
#[derive(Default)]
struct Queue {
    waiting: std::collections::VecDeque<TenantId>,
    listed: HashSet<TenantId>,
    working: HashSet<TenantId>,
    again: HashSet<TenantId>,
}

impl Queue {
    fn add(&mut self, tenant: TenantId) {
        if self.working.contains(&tenant) {
            self.again.insert(tenant);
        } else if self.listed.insert(tenant) {
            self.waiting.push_back(tenant);
        }
    }

    fn take(&mut self) -> Option<TenantId> {
        let tenant = self.waiting.pop_front()?;
        self.listed.remove(&tenant);
        self.working.insert(tenant);
        Some(tenant)
    }

    fn done(&mut self, tenant: TenantId, more: bool) {
        self.working.remove(&tenant);
        if self.again.remove(&tenant) || more {
            self.add(tenant);
        }
    }

    /// After a turn whose tenant is not known any more.
    fn forget(&mut self) {
        self.working.clear();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_ring_during_a_turn_brings_one_more_turn_and_no_second_one_at_once() {
        let tenant = TenantId::from_uuid(Uuid::from_u128(1));
        let mut queue = Queue::default();
        queue.add(tenant);
        queue.add(tenant);
        assert_eq!(queue.take(), Some(tenant));
        queue.add(tenant);
        queue.add(tenant);
        assert_eq!(queue.take(), None, "it has its turn");
        queue.done(tenant, false);
        assert_eq!(queue.take(), Some(tenant));
        queue.done(tenant, false);
        assert_eq!(queue.take(), None);
    }
}
