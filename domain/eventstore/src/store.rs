//! The store: commands in, positions out.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use formats::{Ambient, PersonId, TenantId};
use model::Noun;
use sqlx::PgPool;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    Done, Doorbell, Envelope, ExecuteError, Options, StoreError, Subscription, Upcasters, Vault,
    append::{self, Append, Entry, Patience, Verdict, Written},
    cache::Cache,
    encode::{self, Writing, encode_claims},
    envelope::done,
    fresh::{self, Fresh},
    lane::{Lanes, Limits, Trip},
    load::{self, Earlier, Found, Load, Wanted},
    snapshot,
    state::States,
    turn::{Turn, Turns},
    vault::{Person, TenantKeys},
};

/// The event store of all tenants. Cheap to clone; one per process, since its lanes and caches are per process.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    pool: PgPool,
    /// A few connections for what every command does, so that they stay warm: a pool hands its connections out in turn, and a
    /// statement on one that rested takes half as long again. Nothing that may wait for a lock goes there.
    writers: PgPool,
    readers: PgPool,
    vault: Vault,
    ambient: Ambient,
    upcasters: Upcasters,
    upcasters_fingerprint: [u8; 32],
    doorbell: Arc<dyn Doorbell>,
    options: Options,
    appends: Arc<Lanes<Append>>,
    loads: Arc<Lanes<Load>>,
    turns: Turns,
    states: States,
    fresh: Fresh,
    patience: Patience,
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
        let few = |connections| {
            let options = pool.options().clone().max_connections(connections);
            options.connect_lazy_with((*pool.connect_options()).clone())
        };
        let (writers, readers) = (few(options.writers), few(options.readers));
        let limits = Limits {
            queue: options.queue,
            senders: usize::try_from(options.writers).unwrap_or(usize::MAX),
            tenants: options.batch,
            jobs: options.batch,
            bytes: options.batch_bytes,
        };
        let appends = Lanes::new(limits, {
            let (pool, writers, doorbell) = (pool.clone(), writers.clone(), Arc::clone(&doorbell));
            move |parts, trip| {
                let pool = match trip {
                    Trip::Together => writers.clone(),
                    Trip::Alone => pool.clone(),
                };
                let doorbell = Arc::clone(&doorbell);
                Box::pin(async move {
                    let tenants: Vec<TenantId> = parts.iter().map(|(tenant, _)| *tenant).collect();
                    let sent = append::send(&pool, patience, parts, trip).await;
                    tenants.into_iter().for_each(|tenant| doorbell.ring(tenant));
                    sent
                })
            }
        });
        // A read is of one tenant.
        let limits = Limits {
            senders: usize::try_from(options.readers).unwrap_or(usize::MAX),
            tenants: 1,
            ..limits
        };
        let loads = Lanes::new(limits, {
            let readers = readers.clone();
            move |parts, _| {
                let readers = readers.clone();
                Box::pin(async move {
                    for part in parts {
                        load::fetch(&readers, patience, part).await?;
                    }
                    Ok(Vec::new())
                })
            }
        });
        let states = Cache::new(options.states);
        let upcasters_fingerprint = upcasters.fingerprint();
        Self(Arc::new(Inner {
            pool,
            writers,
            readers,
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
            fresh: Fresh::new(),
            patience,
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
        // On the heap, as use cases are: what holds several of them would fill a thread's stack.
        Box::pin(self.decide_and_append(false, tenant, stream_id, envelope, command)).await
    }

    /// As [`Store::execute`], for a stream whose id was just made: nothing is read beforehand.
    ///
    /// # Errors
    /// [`ExecuteError`]
    #[tracing::instrument(skip_all, fields(tenant = %tenant, stream = A::TYPE, id = %stream_id))]
    pub async fn begin<A: Noun>(
        &self,
        tenant: TenantId,
        stream_id: Uuid,
        envelope: &Envelope,
        command: impl Fn(&A) -> A::Command + Send,
    ) -> Result<Done<A::Event>, ExecuteError<A::Error>> {
        Box::pin(self.decide_and_append(true, tenant, stream_id, envelope, command)).await
    }

    async fn decide_and_append<A: Noun>(
        &self,
        new: bool,
        tenant: TenantId,
        stream_id: Uuid,
        envelope: &Envelope,
        command: impl Fn(&A) -> A::Command + Send,
    ) -> Result<Done<A::Event>, ExecuteError<A::Error>> {
        let _turn = self.turn::<A>(tenant, stream_id).await?;
        let mut conflicts = 0;
        // Decided on the state in memory first, or on that of a new stream. It may be old: an append then conflicts, and a
        // refusal counts only once it came from a state that was just read.
        let mut cached = if new {
            Some(Arc::default())
        } else {
            self.cached::<A>(tenant, stream_id)
        };
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
                Verdict::Locked => return Err(StoreError::Busy.into()),
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
            Verdict::Locked => Err(StoreError::Busy.into()),
            Verdict::KeyReused => Err(ExecuteError::KeyReused),
            Verdict::ClaimTaken { space, holder } => Err(ExecuteError::ClaimTaken { space, holder }),
        }
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

    /// Closes all connections, those of [`Store::pool`] too. What is under way is waited for.
    pub async fn close(&self) {
        self.0.writers.close().await;
        self.0.readers.close().await;
        self.0.pool.close().await;
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

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    pub(crate) fn states(&self) -> &States {
        &self.0.states
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

    /// Where a tenant's log is, and whether what was read earlier is still current; no older than the use case
    /// ([`crate::as_of_now`]).
    pub(crate) async fn look(
        &self,
        tenant: TenantId,
        basis: Option<fresh::Basis<'_>>,
    ) -> Result<(u64, bool), StoreError> {
        let (readers, patience) = (&self.0.readers, self.0.patience);
        self.0.fresh.look(readers, patience, tenant, basis).await
    }

    /// Whether no stream of these kinds has grown since a position: then what a read model of them showed there is what
    /// it has to show now. No older than the use case ([`crate::as_of_now`]).
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn unchanged(&self, tenant: TenantId, kinds: &[&str], since: u64) -> Result<bool, StoreError> {
        Ok(self.look(tenant, Some(fresh::Basis::Kinds(kinds, since))).await?.1)
    }

    /// The position of a tenant's log, no older than the use case ([`crate::as_of_now`]); 0 where there is no log.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn head_as_of_now(&self, tenant: TenantId) -> Result<u64, StoreError> {
        Ok(self.look(tenant, None).await?.0)
    }

    pub(crate) async fn find(&self, tenant: TenantId, wanted: Wanted) -> Result<Found, StoreError> {
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

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}
