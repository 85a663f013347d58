//! A database of one's own, a process on it with a clock that stands still, and two tenants.

use std::{sync::Arc, time::Duration};

use eventstore::{
    Done, Envelope, ExecuteError, InProcess, LocalMasterKey, NewTenant, Store, TenantTx, Upcasters, Vault,
};
use formats::{
    Actor, ActorKind, Ambient, EndpointId, ManualClock, PersonId, RequestId, SystemEntropy, TenantId, Timestamp, UserId,
};
use model::{
    Noun,
    request::{
        Approver, DecisionFacts, Narrowing, Request, RequestCommand, RequestDetails, Route, SnapshotRef, Submission,
        Windows,
    },
    tenant::{Settings, Tenant, TenantCommand},
};
use policy_engine::ActionType;
use postgres_supervisor::testing::{self, TestDatabase};
use projections::{Options, Projection, Runner};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool, Row};
use uuid::Uuid;

pub const MINUTE: Duration = Duration::from_secs(60);

pub struct World {
    pub store: Store,
    /// The superuser, for what the product itself can't do.
    pub admin: PgPool,
    pub clock: Arc<ManualClock>,
    /// The tenant of the test.
    pub tenant: TenantId,
    /// The outsider, whose log and rows are never touched by what the tenant does.
    pub other: TenantId,
    pub runner: Runner,
    pub database: TestDatabase,
}

impl World {
    pub async fn new() -> Self {
        let database = testing::database_from(&eventstore::schema_fingerprint(), |url| async move {
            let pool = PgPool::connect(&url).await.map_err(|e| e.to_string())?;
            eventstore::migrate(&pool).await.map_err(|e| e.to_string())?;
            pool.close().await;
            Ok::<_, String>(())
        })
        .await;
        let admin = PgPool::connect(&database.url_admin).await.unwrap();
        let clock = Arc::new(ManualClock::at("2026-03-02T09:00:00Z".parse().unwrap()));
        let store = process(&database, &clock).await;
        let tenant = make_tenant(&store, "acme").await;
        let other = make_tenant(&store, "outsider").await;
        let runner = Runner::new(store.clone(), Options::default());
        Self {
            store,
            admin,
            clock,
            tenant,
            other,
            runner,
            database,
        }
    }

    /// Another process on the same database.
    pub async fn process(&self) -> Store {
        process(&self.database, &self.clock).await
    }

    /// A runner of some projections alone.
    pub fn runner_of(&self, projections: Vec<Box<dyn Projection>>, batch: u32) -> Runner {
        Runner::with(
            self.store.clone(),
            projections,
            Options {
                batch,
                ..Options::default()
            },
        )
    }

    pub fn now(&self) -> Timestamp {
        formats::Clock::now(&*self.clock)
    }

    pub fn uuid(&self) -> Uuid {
        self.store.ambient().uuid()
    }

    pub fn id<T: formats::TypedId>(&self) -> T {
        self.store.ambient().id()
    }

    /// Carries out a command of the tenant's, as a user.
    pub async fn run<A: Noun>(
        &self,
        stream: Uuid,
        command: A::Command,
    ) -> Result<Done<A::Event>, ExecuteError<A::Error>> {
        self.run_in::<A>(self.tenant, stream, command).await
    }

    pub async fn run_in<A: Noun>(
        &self,
        tenant: TenantId,
        stream: Uuid,
        command: A::Command,
    ) -> Result<Done<A::Event>, ExecuteError<A::Error>> {
        self.store
            .execute::<A>(tenant, stream, &envelope(&self.store), |_| command.clone())
            .await
    }

    /// Until the tenant's read models have caught up.
    pub async fn drain(&self) {
        self.runner.drain(self.tenant).await.unwrap();
    }

    /// A transaction to read in.
    pub async fn tx(&self) -> TenantTx {
        TenantTx::begin_read(self.store.pool(), self.tenant).await.unwrap()
    }

    /// A transaction of the outsider's.
    pub async fn other_tx(&self) -> TenantTx {
        TenantTx::begin_read(self.store.pool(), self.other).await.unwrap()
    }

    /// The rows of a build in a table, without the column `build`, in an order that follows from them.
    pub async fn rows(&self, table: &str, build: i32) -> Vec<String> {
        let sql = format!("select row_to_json(t)::text from {table} t where tenant_id = $1 and build = $2");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(self.tenant.uuid())
            .bind(build)
            .fetch_all(&self.admin)
            .await
            .unwrap();
        let mut rows: Vec<String> = rows
            .iter()
            .map(|row| {
                let mut row: Value = serde_json::from_str(row).unwrap();
                row.as_object_mut().unwrap().remove("build");
                row.to_string()
            })
            .collect();
        rows.sort();
        rows
    }

    /// How many rows a query of the tenant's finds, as superuser. The tenant is `$1`.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query(sql)
            .bind(self.tenant.uuid())
            .fetch_one(&self.admin)
            .await
            .unwrap()
            .get(0)
    }

    /// The number of the live build.
    pub async fn live_build(&self, projection: &str) -> i32 {
        sqlx::query_scalar(
            "select build from projection_checkpoint where tenant_id = $1 and projection = $2 and state = 'live'",
        )
        .bind(self.tenant.uuid())
        .bind(projection)
        .fetch_one(&self.admin)
        .await
        .unwrap()
    }

    /// Where the live cursor stands.
    pub async fn cursor(&self, projection: &str) -> i64 {
        sqlx::query_scalar(
            "select position from projection_checkpoint where tenant_id = $1 and projection = $2 and state = 'live'",
        )
        .bind(self.tenant.uuid())
        .bind(projection)
        .fetch_one(&self.admin)
        .await
        .unwrap()
    }

    /// Files a request.
    pub async fn submit(&self, submission: Submission) -> RequestId {
        let (request, at) = (submission.request, self.now());
        self.run::<Request>(
            request.uuid(),
            RequestCommand::SubmitRequest {
                at,
                submission: Box::new(submission),
            },
        )
        .await
        .unwrap();
        request
    }

    /// A request for a setup program that a user has to approve.
    pub fn submission(&self, person: PersonId, approver: UserId) -> Submission {
        let request: RequestId = self.id();
        Submission {
            request,
            person,
            user: None,
            endpoint: self.id::<EndpointId>(),
            action_type: ActionType::PrivilegeElevation,
            digest_mac: format!("{:064x}", request.uuid().as_u128()),
            details: details("C:\\Tools\\setup.exe", "A new compiler is needed"),
            policies: Vec::new(),
            risk: 50,
            mfa: false,
            access_minutes: Some(240),
            snapshot: SnapshotRef {
                epoch: 1,
                version: 9,
                sha256: None,
            },
            route: Route {
                primary: vec![Approver::User(approver)],
                quorum: 1,
                ..Route::default()
            },
            windows: Windows::default(),
            flags: Vec::new(),
            previous: None,
            justification_min: 1,
        }
    }

    pub async fn approve(&self, submission: &Submission, approver: UserId, comment: Option<&str>) {
        let facts = facts(submission, approver, comment);
        self.run::<Request>(
            submission.request.uuid(),
            RequestCommand::Approve {
                at: self.now(),
                facts,
                narrowing: Narrowing::default(),
            },
        )
        .await
        .unwrap();
    }

    pub async fn deny(&self, submission: &Submission, approver: UserId, comment: Option<&str>) {
        let facts = facts(submission, approver, comment);
        self.run::<Request>(
            submission.request.uuid(),
            RequestCommand::Deny { at: self.now(), facts },
        )
        .await
        .unwrap();
    }

    /// Destroys a person's key and says so in the log.
    pub async fn erase(&self, person: PersonId) {
        use model::person::{Person, PersonCommand};
        let seen = PersonCommand::SeeEndpointAccount {
            person,
            account: format!("erased-{}", person.uuid()),
            endpoint: self.id(),
        };
        let _ = self.run::<Person>(person.uuid(), seen).await;
        self.store.vault().erase_person(self.tenant, person).await.unwrap();
        self.run::<Person>(person.uuid(), PersonCommand::ErasePerson)
            .await
            .unwrap();
    }
}

pub fn facts(submission: &Submission, approver: UserId, comment: Option<&str>) -> DecisionFacts {
    DecisionFacts {
        approver,
        eligible: true,
        secondary_only: false,
        own: false,
        self_approval: false,
        secondary_can_decide: !submission.route.secondary.is_empty(),
        digest_mac: submission.digest_mac.clone(),
        denied_now: false,
        denial_needs_comment: false,
        comment: comment.map(ToOwned::to_owned),
    }
}

pub fn details(path: &str, justification: &str) -> RequestDetails {
    RequestDetails {
        cwd: None,
        action: serde_json::from_value(json!({
            "type": "privilege_elevation",
            "user": {"name": "CORP\\alice", "groups": ["Developers"]},
            "machine": {"name": "WS-001", "os": "windows"},
            "application": {"path": path, "publisher": "CN=Contoso"},
            "commandLine": format!("{path} /quiet"),
            "at": "2026-03-02T10:00:00+01:00",
        }))
        .unwrap(),
        digest: "ab".repeat(32),
        justification: justification.to_owned(),
    }
}

pub async fn process(database: &TestDatabase, clock: &Arc<ManualClock>) -> Store {
    let pool = eventstore::connect(&database.url_app, 8).await.unwrap();
    let ambient = Ambient::new(clock.clone(), Arc::new(SystemEntropy));
    let vault = Vault::new(
        pool.clone(),
        ambient.clone(),
        Arc::new(LocalMasterKey::from_bytes([42; 32])),
        Vec::new(),
    );
    let options = eventstore::Options::default();
    Store::new(
        pool,
        vault,
        ambient,
        Upcasters::new(),
        Arc::new(InProcess::new()),
        options,
    )
}

pub async fn make_tenant(store: &Store, slug: &str) -> TenantId {
    let id = store.ambient().id::<TenantId>();
    let command = TenantCommand::CreateTenant {
        tenant: id,
        slug: slug.to_owned(),
        name: slug.to_owned(),
        settings: Box::new(Settings::default()),
    };
    store
        .create_tenant::<Tenant>(
            NewTenant {
                id,
                slug: slug.to_owned(),
            },
            &envelope(store),
            command,
        )
        .await
        .unwrap();
    id
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

/// Runs a condition again until it holds, for what another task does soon.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "not in 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
