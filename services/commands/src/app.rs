//! The use cases' common ground: the store, the pool, the clock, and how a command is run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use eventstore::{Done, Envelope, ExecuteError, Store, TenantTx};
use formats::{Ambient, TenantId, TypedId};
use model::{Coded, Noun};
use projections::Waiter;
use serde::Serialize;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{Caller, Outcome, Refusal, auth::Guards, kept::ReadOften, outbound, requests::Engines};

/// What the installation decides.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address people and agents use, without a slash at the end; links and audiences are made of it.
    pub public_url: String,
    /// How long a session lasts, in hours, 1 to 168.
    pub session_hours: u32,
    /// How many passwords are hashed at once; each takes 19 MiB.
    pub password_permits: usize,
    /// Internal networks that identity providers may be in: called although they are internal, and without TLS.
    pub outbound_networks: Vec<ipnet::IpNet>,
    /// How long a caller waits to see its own write in the read models.
    pub settle_within: Duration,
    /// The grace period between the request of a tenant's deletion and the deletion, a day at least.
    pub deletion_grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8080".to_owned(),
            session_hours: 12,
            password_permits: 2,
            outbound_networks: Vec::new(),
            settle_within: Duration::from_secs(2),
            deletion_grace: Duration::from_secs(30 * 24 * 60 * 60),
        }
    }
}

/// The use cases. Cheap to clone; one per process.
#[derive(Clone)]
pub struct App {
    /// The log.
    pub store: Store,
    /// What the installation decides.
    pub config: Arc<Config>,
    waiter: Waiter,
    pub(crate) guards: Arc<Guards>,
    pub(crate) engines: Arc<Engines>,
    pub(crate) read_often: Arc<ReadOften>,
    pub(crate) hashing: Arc<Semaphore>,
    pub(crate) hashed: Arc<AtomicU64>,
    pub(crate) outbound: outbound::Client,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// A command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The object it was about: the id inside, whatever its kind. For a repeated command, that of the first time.
    pub id: Uuid,
    /// The log's position to wait for, to read one's own write.
    pub position: u64,
    /// The command had been carried out before, under the same Idempotency-Key.
    pub duplicate: bool,
}

impl Written {
    /// The object's id.
    #[must_use]
    pub fn id<T: TypedId>(&self) -> T {
        T::from_uuid(self.id)
    }
}

impl<E> From<Done<E>> for Written {
    fn from(done: Done<E>) -> Self {
        Self {
            id: done.stream_id,
            position: done.last(),
            duplicate: done.duplicate,
        }
    }
}

impl App {
    /// The use cases over a store.
    #[must_use]
    pub fn new(store: Store, waiter: Waiter, config: Config) -> Self {
        let hashing = Arc::new(Semaphore::new(config.password_permits.max(1)));
        let guard = outbound::Guard::new(config.outbound_networks.clone());
        let outbound =
            outbound::Client::new(guard).expect("the TLS library is linked in, and its settings are constants");
        Self {
            outbound,
            store,
            waiter,
            config: Arc::new(config),
            guards: Arc::default(),
            engines: Arc::default(),
            read_often: Arc::default(),
            hashing,
            hashed: Arc::default(),
        }
    }

    /// How many passwords were hashed by this process: the work of a sign-in, whoever it is for.
    #[must_use]
    pub fn passwords_hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    /// The pool of the server's role.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        self.store.pool()
    }

    /// The clock and randomness.
    #[must_use]
    pub fn ambient(&self) -> &Ambient {
        self.store.ambient()
    }

    /// A reading transaction inside a tenant.
    ///
    /// # Errors
    /// `UNAVAILABLE`
    pub async fn reading(&self, tenant: TenantId) -> Outcome<TenantTx> {
        Ok(TenantTx::begin_read(self.pool(), tenant).await?)
    }

    pub(crate) async fn writing(&self, tenant: TenantId) -> Outcome<TenantTx> {
        Ok(TenantTx::begin(self.pool(), tenant).await?)
    }

    /// Waits until the read models show the position; whether they do within the configured time.
    pub async fn settled(&self, tenant: TenantId, position: u64) -> bool {
        self.waiter
            .wait_for(tenant, position, self.config.settle_within)
            .await
            .is_ok()
    }

    /// As [`App::settled`], for these read models alone.
    pub(crate) async fn shows(&self, read_models: &[&str], tenant: TenantId, position: u64) -> bool {
        let within = self.config.settle_within;
        let waited = self.waiter.wait_for_some(read_models, tenant, position, within);
        waited.await.is_ok()
    }

    /// The envelope of a caller's command. `content` is what makes the command this one and no other.
    pub(crate) fn envelope(&self, caller: &Caller, operation: &str, content: &impl Serialize) -> Outcome<Envelope> {
        let content = serde_json::to_vec(content).map_err(Refusal::internal)?;
        let command_id = match &caller.origin.idempotency_key {
            Some(key) => formats::command_id::outside(caller.tenant, &caller.name(), operation, 0, key),
            None => self.ambient().uuid(),
        };
        Ok(Envelope {
            command_id,
            fingerprint: formats::mac::hmac_sha256(&[0; 32], &[operation.as_bytes(), &content]),
            actor: caller.actor(),
            person: caller.person(),
            correlation: caller.origin.correlation,
            causation: None,
            traceparent: caller.origin.traceparent.clone(),
            address: caller.origin.address.map(|address| address.to_string()),
            time: None,
        })
    }

    /// Runs a caller's command on an aggregate. `content` is the input as the caller gave it.
    pub(crate) async fn run<A: Noun>(
        &self,
        caller: &Caller,
        operation: &str,
        stream: Uuid,
        content: &impl Serialize,
        command: A::Command,
    ) -> Outcome<Written>
    where
        A::Error: Coded,
    {
        let envelope = self.envelope(caller, operation, content)?;
        Ok(self
            .run_in::<A>(caller.tenant, stream, &envelope, command)
            .await?
            .into())
    }

    pub(crate) async fn run_in<A: Noun>(
        &self,
        tenant: TenantId,
        stream: Uuid,
        envelope: &Envelope,
        command: A::Command,
    ) -> Result<Done<A::Event>, ExecuteError<A::Error>> {
        self.store
            .execute::<A>(tenant, stream, envelope, |_| command.clone())
            .await
    }

    /// An aggregate's state as the log has it now.
    pub(crate) async fn state<A: Noun>(&self, tenant: TenantId, stream: Uuid) -> Outcome<A> {
        Ok(self.store.load::<A>(tenant, stream).await?.0)
    }
}
