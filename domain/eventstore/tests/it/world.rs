//! A database of one's own, a process on it, and two tenants.

use std::sync::Arc;

use eventstore::{
    Done, Doorbell, Envelope, ExecuteError, InProcess, LocalMasterKey, NewTenant, Options, Store, Upcasters, Vault,
};
use formats::{Actor, ActorKind, Ambient, PersonId, TenantId, UserId};
use postgres_supervisor::testing::{self, TestDatabase};
use sqlx::PgPool;
use uuid::Uuid;

use crate::member::{Command, Error, Event, Member};

pub const MASTER: [u8; 32] = [42; 32];

pub struct World {
    pub store: Store,
    /// As the owner of the tables, whom row-level security binds too, unless it is a superuser.
    pub admin: PgPool,
    pub ambient: Ambient,
    /// The tenant of the test.
    pub tenant: TenantId,
    /// The outsider.
    pub other: TenantId,
    pub database: TestDatabase,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let database = testing::database_from(&eventstore::schema_fingerprint(), |url| async move {
            let pool = PgPool::connect(&url).await.map_err(|e| e.to_string())?;
            eventstore::migrate(&pool).await.map_err(|e| e.to_string())?;
            pool.close().await;
            Ok::<_, String>(())
        })
        .await;
        let ambient = Ambient::system();
        let admin = PgPool::connect(&database.url_admin).await.unwrap();
        let store = process(&database.url_app, options).await;
        let tenant = make_tenant(&store, "acme").await;
        let other = make_tenant(&store, "outsider").await;
        Self {
            store,
            admin,
            ambient,
            tenant,
            other,
            database,
        }
    }

    /// Another process on the same database.
    pub async fn process(&self) -> Store {
        process(&self.database.url_app, Options::default()).await
    }

    pub fn id(&self) -> Uuid {
        self.ambient.uuid()
    }

    /// A new member of the tenant, at version 1.
    pub async fn member(&self) -> Uuid {
        let id = self.id();
        join(&self.store, self.tenant, id, &format!("{id}@example.test"))
            .await
            .unwrap();
        id
    }

    /// As the database has it: positions of the tenant's events, in order.
    pub async fn positions(&self, tenant: TenantId) -> Vec<i64> {
        positions(&self.admin, tenant).await
    }
}

pub async fn positions(admin: &PgPool, tenant: TenantId) -> Vec<i64> {
    sqlx::query_scalar("select position from events where tenant_id = $1 order by position")
        .bind(tenant.uuid())
        .fetch_all(admin)
        .await
        .unwrap()
}

pub async fn process(url_app: &str, options: Options) -> Store {
    process_with(url_app, options, Upcasters::new(), Arc::new(InProcess::new())).await
}

pub async fn process_with(url_app: &str, options: Options, upcasters: Upcasters, doorbell: Arc<dyn Doorbell>) -> Store {
    let pool = eventstore::connect(url_app, 6).await.unwrap();
    let ambient = Ambient::system();
    let vault = Vault::new(
        pool.clone(),
        ambient.clone(),
        Arc::new(LocalMasterKey::from_bytes(MASTER)),
        vec![],
    );
    Store::new(pool, vault, ambient, upcasters, doorbell, options)
}

pub async fn make_tenant(store: &Store, slug: &str) -> TenantId {
    let id = store.ambient().id::<TenantId>();
    let done = store
        .create_tenant::<Member>(
            NewTenant {
                id,
                slug: slug.to_owned(),
            },
            &envelope(store),
            founding(store),
        )
        .await
        .unwrap();
    assert_eq!(done.positions, 1..=1);
    id
}

pub fn founding(store: &Store) -> Command {
    let person = store.ambient().id::<PersonId>();
    Command::Join {
        person,
        name: "Founder".into(),
        email: format!("founder-{person}@example.test"),
    }
}

/// A new command of a user.
pub fn envelope(store: &Store) -> Envelope {
    Envelope {
        command_id: store.ambient().uuid(),
        fingerprint: [1; 32],
        actor: Actor {
            kind: ActorKind::User,
            id: Some(store.ambient().id::<UserId>().to_string()),
            method: Some("password+totp".into()),
        },
        person: None,
        correlation: store.ambient().uuid(),
        causation: None,
        traceparent: None,
        address: None,
        time: None,
    }
}

type Outcome = Result<Done<Event>, ExecuteError<Error>>;

pub async fn run(store: &Store, tenant: TenantId, id: Uuid, command: Command) -> Outcome {
    run_as(store, tenant, id, &envelope(store), command).await
}

pub async fn run_as(store: &Store, tenant: TenantId, id: Uuid, envelope: &Envelope, command: Command) -> Outcome {
    store.execute::<Member>(tenant, id, envelope, |_| command.clone()).await
}

pub async fn join(store: &Store, tenant: TenantId, id: Uuid, email: &str) -> Outcome {
    let person = store.ambient().id::<PersonId>();
    run(
        store,
        tenant,
        id,
        Command::Join {
            person,
            name: "Ada Lovelace".into(),
            email: email.into(),
        },
    )
    .await
}

/// Runs a condition again until it holds, for what another task or process does soon.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "not in 60 s: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
