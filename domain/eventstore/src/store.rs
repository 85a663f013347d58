//! The store: commands in, positions out.

use std::{any::Any, collections::HashMap, fmt, ops::RangeInclusive, sync::Arc, time::Duration};

use formats::{Actor, Ambient, PersonId, TenantId, Timestamp};
use model::Noun;
use sqlx::PgPool;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    Doorbell, ExecuteError, StoreError, Subscription, Upcasters, Vault,
    append::{self, Append, Entry, Patience, Verdict, Written},
    cache::Cache,
    decode,
    encode::{self, Writing, encode_claims},
    lane::{Lanes, Limits},
    load::{self, Earlier, Found, Load, Wanted},
    snapshot,
    turn::{StreamKey, Turn, Turns},
    vault::{Person, TenantKeys},
};

/// What surrounds a command: who sent it, under which id, from where.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The id under which a repeat is recognised (`docs/formats.md § 9`).
    pub command_id: Uuid,
    /// A hash of what was asked for: the same id with another one is refused.
    pub fingerprint: [u8; 32],
    /// Who sent it.
    pub actor: Actor,
    /// The person who acts, under whose key the address is sealed; none for machines.
    pub person: Option<PersonId>,
    /// The request or run it belongs to.
    pub correlation: Uuid,
    /// The position of the event that caused it, where a timer or reactor sent it.
    pub causation: Option<u64>,
    /// The W3C trace context.
    pub traceparent: Option<String>,
    /// The network address it came from.
    pub address: Option<String>,
    /// The moment of the command, where it is not now: `recordedAt` of its events.
    pub time: Option<Timestamp>,
}

impl Envelope {
    /// A command of the product itself, without an address.
    #[must_use]
    pub const fn system(command_id: Uuid, fingerprint: [u8; 32], correlation: Uuid) -> Self {
        Self {
            command_id,
            fingerprint,
            actor: Actor::system(),
            person: None,
            correlation,
            causation: None,
            traceparent: None,
            address: None,
            time: None,
        }
    }
}

impl Envelope {
    /// What a caller may have chosen and a column keeps.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        [&self.actor.id, &self.actor.method, &self.traceparent, &self.address]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }
}

/// A command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<E> {
    /// Where its events are in the log. Empty where there was none; its end is then the head at that time, so that
    /// waiting for [`Done::last`] shows the caller at least what the command saw.
    pub positions: RangeInclusive<u64>,
    /// The stream; for a duplicate, the one of the first time.
    pub stream_id: Uuid,
    /// The stream's version after it.
    pub version: u64,
    /// Its events; for a duplicate, as read from the log.
    pub events: Vec<E>,
    /// Whether it had been carried out before, and this is the answer of that time.
    pub duplicate: bool,
}

impl<E> Done<E> {
    /// The position to wait for to read one's own write.
    #[must_use]
    pub const fn last(&self) -> u64 {
        *self.positions.end()
    }
}

/// How a store works. The defaults are meant for production.
#[derive(Debug, Clone)]
pub struct Options {
    /// Commands of a tenant that may wait in this process (1,024).
    pub queue: usize,
    /// Commands of a batch (256).
    pub batch: usize,
    /// Bytes of a batch (1 MiB).
    pub batch_bytes: usize,
    /// How long a command waits for its verdict (2 s).
    pub answer_within: Duration,
    /// How long a batch is sent again while the database is away (1.5 s).
    pub retry_within: Duration,
    /// How often a command is decided anew when the stream changed meanwhile (16).
    pub retries: u32,
    /// Every how many versions of a stream its state is kept (100).
    pub snapshot_every: u64,
    /// States of aggregates kept in memory (8,192).
    pub states: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: 1_024,
            batch: 256,
            batch_bytes: 1 << 20,
            answer_within: Duration::from_secs(2),
            retry_within: Duration::from_millis(1_500),
            retries: 16,
            snapshot_every: 100,
            states: 8_192,
        }
    }
}

/// The event store of all tenants. Cheap to clone; one per process, since its lanes and caches are per process.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    pool: PgPool,
    vault: Vault,
    ambient: Ambient,
    upcasters: Upcasters,
    upcasters_fingerprint: [u8; 32],
    doorbell: Arc<dyn Doorbell>,
    options: Options,
    appends: Arc<Lanes<Append>>,
    loads: Arc<Lanes<Load>>,
    turns: Turns,
    states: Cache<StreamKey, Arc<dyn Any + Send + Sync>>,
}

/// An aggregate's state at a version of its stream.
#[derive(Clone)]
pub(crate) struct Kept<A> {
    pub(crate) state: A,
    pub(crate) version: u64,
}

impl Store {
    /// A store over a pool of the server's role (see [`crate::connect`]). The randomness of `ambient` makes nonces:
    /// seeded only in tests.
    #[must_use]
    pub fn new(
        pool: PgPool,
        vault: Vault,
        ambient: Ambient,
        upcasters: Upcasters,
        doorbell: Arc<dyn Doorbell>,
        options: Options,
    ) -> Self {
        let patience = Patience {
            attempt: Duration::from_secs(10),
            total: options.retry_within,
        };
        let limits = Limits {
            queue: options.queue,
            jobs: options.batch,
            bytes: options.batch_bytes,
        };
        let appends = Lanes::new(limits, {
            let (pool, doorbell) = (pool.clone(), Arc::clone(&doorbell));
            move |tenant, jobs| {
                let (pool, doorbell) = (pool.clone(), Arc::clone(&doorbell));
                Box::pin(async move {
                    let sent = append::send(&pool, patience, tenant, jobs).await;
                    doorbell.ring(tenant);
                    sent
                })
            }
        });
        let loads = Lanes::new(limits, {
            let pool = pool.clone();
            move |tenant, jobs| {
                let pool = pool.clone();
                Box::pin(async move { load::fetch(&pool, patience, tenant, jobs).await })
            }
        });
        let states = Cache::new(options.states);
        let upcasters_fingerprint = upcasters.fingerprint();
        Self(Arc::new(Inner {
            pool,
            vault,
            ambient,
            upcasters,
            upcasters_fingerprint,
            doorbell,
            options,
            appends,
            loads,
            turns: Turns::default(),
            states,
        }))
    }

    /// Carries out a command: loads the stream, decides, appends; decides anew where the stream changed meanwhile. The
    /// command is made from the state, so that what it carries may depend on it; most callers ignore the argument and
    /// clone.
    ///
    /// A command that was carried out before has no further effect: its first answer comes back, marked as a duplicate.
    /// When the future is dropped, the command may still be carried out.
    ///
    /// # Errors
    /// [`ExecuteError`]
    #[tracing::instrument(skip_all, fields(tenant = %tenant, stream = A::TYPE, id = %stream_id))]
    pub async fn execute<A: Noun>(
        &self,
        tenant: TenantId,
        stream_id: Uuid,
        envelope: &Envelope,
        command: impl Fn(&A) -> A::Command + Send,
    ) -> Result<Done<A::Event>, ExecuteError<A::Error>> {
        let _turn = self.turn::<A>(tenant, stream_id).await?;
        let mut conflicts = 0;
        // Decided on the state in memory first. That may be old: an append then conflicts, and a refusal counts only
        // once it came from a state that was just read.
        let mut cached = self.cached::<A>(tenant, stream_id);
        loop {
            let (current, fresh) = match cached.take() {
                Some(kept) => (kept, false),
                None => {
                    let (kept, earlier) = self
                        .load_kept::<A>(tenant, stream_id, Some(envelope.command_id))
                        .await?;
                    if let Some(earlier) = earlier {
                        return self.answer_again::<A>(tenant, envelope, earlier).await;
                    }
                    (kept, true)
                }
            };
            let events = match current.state.decide(command(&current.state)) {
                Ok(events) => events,
                Err(refusal) if fresh => return Err(ExecuteError::Refused(refusal)),
                Err(_) => continue,
            };
            match self
                .write::<A>(tenant, stream_id, current.version, envelope, &events)
                .await?
            {
                Verdict::Ok(written) => return Ok(self.written(tenant, stream_id, &current, written, events)),
                Verdict::Duplicate(written, _) => return self.read_again::<A>(tenant, written).await,
                Verdict::Conflict if conflicts < self.0.options.retries => conflicts += 1,
                Verdict::Conflict => return Err(ExecuteError::Conflict),
                Verdict::KeyReused => return Err(ExecuteError::KeyReused),
                Verdict::ClaimTaken { space, holder } => return Err(ExecuteError::ClaimTaken { space, holder }),
            }
        }
    }

    /// Appends events to a stream that must be at exactly this version (0: must not exist); no retry.
    ///
    /// # Errors
    /// [`ExecuteError`], [`ExecuteError::Conflict`] where the stream is at another version.
    pub async fn append<A: Noun>(
        &self,
        tenant: TenantId,
        stream_id: Uuid,
        expected: u64,
        envelope: &Envelope,
        events: Vec<A::Event>,
    ) -> Result<Done<A::Event>, ExecuteError<A::Error>> {
        match self.write::<A>(tenant, stream_id, expected, envelope, &events).await? {
            Verdict::Ok(written) => Ok(done(written, events, false)),
            Verdict::Duplicate(written, _) => self.read_again::<A>(tenant, written).await,
            Verdict::Conflict => Err(ExecuteError::Conflict),
            Verdict::KeyReused => Err(ExecuteError::KeyReused),
            Verdict::ClaimTaken { space, holder } => Err(ExecuteError::ClaimTaken { space, holder }),
        }
    }

    /// An aggregate's state and its stream's version, as the database has them now; the default state and 0 where there
    /// is no such stream.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn load<A: Noun>(&self, tenant: TenantId, stream_id: Uuid) -> Result<(A, u64), StoreError> {
        let (kept, _) = self.load_kept::<A>(tenant, stream_id, None).await?;
        let Kept { state, version } = Arc::unwrap_or_clone(kept);
        Ok((state, version))
    }

    /// As [`Store::load`], from the events alone: neither memory nor snapshots are used.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn replay<A: Noun>(&self, tenant: TenantId, stream_id: Uuid) -> Result<(A, u64), StoreError> {
        let wanted = Wanted {
            stream_type: A::TYPE,
            stream_id,
            known: 0,
            fingerprint: None,
            command: None,
        };
        let found = self.find(tenant, wanted).await?;
        let Kept { state, version } = Arc::unwrap_or_clone(self.fold::<A>(None, &found)?);
        Ok((state, version))
    }

    /// What rings when a tenant's log has grown.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        self.0.doorbell.subscribe()
    }

    /// The keys.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// The pool of the server's role.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// The clock and randomness of this process.
    #[must_use]
    pub fn ambient(&self) -> &Ambient {
        &self.0.ambient
    }

    /// The upcasters of the product.
    #[must_use]
    pub fn upcasters(&self) -> &Upcasters {
        &self.0.upcasters
    }

    pub(crate) fn doorbell(&self) -> &dyn Doorbell {
        &*self.0.doorbell
    }

    pub(crate) fn fingerprint<A: Noun>(&self) -> [u8; 32] {
        snapshot::fingerprint::<A>(&self.0.upcasters_fingerprint)
    }

    async fn turn<A: Noun>(&self, tenant: TenantId, stream_id: Uuid) -> Result<Turn, StoreError> {
        let turn = self.0.turns.take((tenant, A::TYPE, stream_id));
        tokio::time::timeout(self.0.options.answer_within, turn)
            .await
            .map_err(|_| StoreError::Busy)
    }

    /// The rows of a command.
    async fn entry<A: Noun>(
        &self,
        tenant: TenantId,
        stream_id: Uuid,
        expected: u64,
        envelope: &Envelope,
        events: &[A::Event],
    ) -> Result<Entry, StoreError> {
        let keys = self.0.vault.tenant(tenant).await?;
        let mut people = HashMap::new();
        for person in encode::people(envelope, events) {
            people.insert(person, self.0.vault.person_for_writing(tenant, person).await?);
        }
        self.entry_with::<A>(&keys, &people, stream_id, expected, envelope, events)
    }

    /// As [`Store::entry`], with the keys at hand.
    pub(crate) fn entry_with<A: Noun>(
        &self,
        keys: &TenantKeys,
        people: &HashMap<PersonId, Person>,
        stream_id: Uuid,
        expected: u64,
        envelope: &Envelope,
        events: &[A::Event],
    ) -> Result<Entry, StoreError> {
        let writing = Writing {
            ambient: &self.0.ambient,
            people,
            tenant: keys.tenant(),
            stream_type: A::TYPE,
            stream_id,
            envelope,
            recorded_at: envelope.time.unwrap_or_else(|| self.0.ambient.now()),
        };
        Ok(Entry {
            command_id: envelope.command_id,
            fingerprint: keys.mac().fingerprint(A::TYPE, &envelope.fingerprint),
            writer: Uuid::from_bytes(self.0.ambient.bytes()),
            stream_type: A::TYPE,
            stream_id,
            expected,
            events: writing.encode(expected, events)?,
            claims: encode_claims(keys, events),
        })
    }

    /// Sends a command through the tenant's lane.
    pub(crate) async fn write<A: Noun>(
        &self,
        tenant: TenantId,
        stream_id: Uuid,
        expected: u64,
        envelope: &Envelope,
        events: &[A::Event],
    ) -> Result<Verdict, StoreError> {
        let entry = self.entry::<A>(tenant, stream_id, expected, envelope, events).await?;
        let (answer, answered) = oneshot::channel();
        self.0
            .appends
            .submit(tenant, Append { entry, answer })
            .map_err(|_| StoreError::Busy)?;
        self.wait(answered).await
    }

    async fn find(&self, tenant: TenantId, wanted: Wanted) -> Result<Found, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.0
            .loads
            .submit(tenant, Load { wanted, answer })
            .map_err(|_| StoreError::Busy)?;
        self.wait(answered).await
    }

    async fn wait<T>(&self, answered: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
        match tokio::time::timeout(self.0.options.answer_within, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Unavailable("the lane stopped".to_owned())),
            Err(_) => Err(StoreError::Unavailable("no answer in time".to_owned())),
        }
    }

    fn cached<A: Noun>(&self, tenant: TenantId, stream_id: Uuid) -> Option<Arc<Kept<A>>> {
        self.0.states.get(&(tenant, A::TYPE, stream_id))?.downcast().ok()
    }

    fn cache<A: Noun>(&self, tenant: TenantId, stream_id: Uuid, kept: &Arc<Kept<A>>) {
        self.0.states.insert(
            (tenant, A::TYPE, stream_id),
            Arc::clone(kept) as Arc<dyn Any + Send + Sync>,
        );
    }

    /// The state as the database has it now, from the nearest of memory, snapshot and nothing; and the command, where it
    /// was carried out before.
    pub(crate) async fn load_kept<A: Noun>(
        &self,
        tenant: TenantId,
        stream_id: Uuid,
        command: Option<Uuid>,
    ) -> Result<(Arc<Kept<A>>, Option<Earlier>), StoreError> {
        let mut base = self.cached::<A>(tenant, stream_id);
        let mut fingerprint = Some(self.fingerprint::<A>());
        loop {
            let known = base.as_ref().map_or(0, |kept| kept.version);
            let wanted = Wanted {
                stream_type: A::TYPE,
                stream_id,
                known,
                fingerprint,
                command,
            };
            let found = self.find(tenant, wanted).await?;
            let folded = if found.version < known {
                None
            } else {
                Some(self.fold(base.clone(), &found))
            };
            match folded {
                Some(Ok(kept)) => {
                    if kept.version > 0 && kept.version != known {
                        self.cache(tenant, stream_id, &kept);
                    }
                    if found.tail.len() as u64 >= self.0.options.snapshot_every {
                        self.keep_soon(tenant, stream_id, &kept);
                    }
                    return Ok((kept, found.earlier));
                }
                // Memory is ahead of a database that was restored, or a shortcut does not fit: replay the events alone.
                _ if base.is_some() || fingerprint.is_some() => (base, fingerprint) = (None, None),
                Some(Err(error)) => return Err(error),
                None => return Err(StoreError::unreadable(A::TYPE, "the stream went back")),
            }
        }
    }

    /// Applies what was found to a base.
    fn fold<A: Noun>(&self, base: Option<Arc<Kept<A>>>, found: &Found) -> Result<Arc<Kept<A>>, StoreError> {
        let mut kept = base.unwrap_or_else(|| {
            Arc::new(Kept {
                state: A::default(),
                version: 0,
            })
        });
        if let Some((version, state)) = &found.snapshot {
            let state = serde_json::from_slice(state).map_err(|e| StoreError::unreadable(A::TYPE, e))?;
            kept = Arc::new(Kept {
                state,
                version: *version,
            });
        }
        if !found.tail.is_empty() {
            let mut next = Arc::unwrap_or_clone(kept);
            for stored in &found.tail {
                if stored.version != next.version + 1 {
                    return Err(StoreError::unreadable(
                        A::TYPE,
                        format!("version {} is missing", next.version + 1),
                    ));
                }
                next.state.apply(decode::replayed::<A>(stored, &self.0.upcasters)?);
                next.version = stored.version;
            }
            kept = Arc::new(next);
        }
        if kept.version == found.version {
            Ok(kept)
        } else {
            Err(StoreError::unreadable(
                A::TYPE,
                format!("version {} is missing", kept.version + 1),
            ))
        }
    }

    /// After a commit: the state in memory, and a durable snapshot now and then.
    fn written<A: Noun>(
        &self,
        tenant: TenantId,
        stream_id: Uuid,
        before: &Arc<Kept<A>>,
        written: Written,
        events: Vec<A::Event>,
    ) -> Done<A::Event> {
        let mut state = before.state.clone();
        events.iter().cloned().for_each(|event| state.apply(event));
        let kept = Arc::new(Kept {
            state,
            version: written.version,
        });
        self.cache(tenant, stream_id, &kept);
        let every = self.0.options.snapshot_every.max(1);
        if before.version / every < kept.version / every {
            self.keep_soon(tenant, stream_id, &kept);
        }
        done(written, events, false)
    }

    fn keep_soon<A: Noun>(&self, tenant: TenantId, stream_id: Uuid, kept: &Arc<Kept<A>>) {
        let (store, kept) = (self.clone(), Arc::clone(kept));
        tokio::spawn(async move {
            if let Err(error) = store.keep_snapshot(tenant, stream_id, &kept.state, kept.version).await {
                tracing::warn!(%error, %tenant, stream = A::TYPE, id = %stream_id, "no snapshot was kept");
            }
        });
    }

    /// The answer of a command that was found while loading.
    async fn answer_again<A: Noun>(
        &self,
        tenant: TenantId,
        envelope: &Envelope,
        earlier: Earlier,
    ) -> Result<Done<A::Event>, ExecuteError<A::Error>> {
        let keys = self.0.vault.tenant(tenant).await.map_err(StoreError::from)?;
        if earlier.fingerprint != keys.mac().fingerprint(A::TYPE, &envelope.fingerprint) {
            return Err(ExecuteError::KeyReused);
        }
        self.read_again::<A>(tenant, earlier.written).await
    }

    /// The answer of a duplicate: the events of the first time, from the log.
    async fn read_again<A: Noun>(
        &self,
        tenant: TenantId,
        written: Written,
    ) -> Result<Done<A::Event>, ExecuteError<A::Error>> {
        let count = u32::try_from((written.last + 1).saturating_sub(written.first)).unwrap_or(u32::MAX);
        let mut events = Vec::new();
        if count > 0 {
            for recorded in self.read(tenant, written.first - 1, count).await? {
                events.push(recorded.event::<A>()?);
            }
        }
        Ok(done(written, events, true))
    }
}

pub(crate) fn done<E>(written: Written, events: Vec<E>, duplicate: bool) -> Done<E> {
    Done {
        positions: written.first..=written.last,
        stream_id: written.stream_id,
        version: written.version,
        events,
        duplicate,
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}
