//! A private, durable PostgreSQL with our schema, and a store on it.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use eventstore::{Envelope, LocalMasterKey, NewTenant, Store, Upcasters, Vault};
use formats::{Ambient, DeploymentGroupId, EndpointId, RegistrationTokenId, TenantId};
use model::{
    endpoint::{Endpoint, EndpointCommand, Machine},
    tenant::{Settings, Tenant, TenantCommand},
};
use postgres_supervisor::{Options, Postgres, SUPERUSER, Supervisor};
use sqlx::PgPool;

use crate::server::doorbell_inside;

/// A directory that PostgreSQL's own user can enter, gone when this value is.
pub(super) fn directory() -> anyhow::Result<tempfile::TempDir> {
    let directory = tempfile::Builder::new().prefix("pct-bench-").tempdir()?;
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(directory)
}

/// The database and the store.
pub(super) struct Ground {
    /// The server.
    pub(super) postgres: Postgres,
    /// Its superuser.
    pub(super) admin: PgPool,
    /// The store, as the server's role.
    pub(super) store: Store,
    directory: tempfile::TempDir,
}

impl Ground {
    /// Starts a server with fsync on, migrates, opens a store.
    pub(super) async fn begin() -> anyhow::Result<Self> {
        let directory = directory()?;
        let mut options = Options::new(directory.path().join("data"));
        options.max_connections = 200;
        let postgres = Supervisor::start(options).await?;
        postgres.ensure_database("portcullis").await?;
        postgres.ensure_role("portcullis_app").await?;
        let admin = PgPool::connect(&postgres.url("portcullis", SUPERUSER)).await?;
        eventstore::migrate(&admin).await?;
        let pool = eventstore::connect(&postgres.url("portcullis", "portcullis_app"), 40).await?;
        let ambient = Ambient::system();
        let master = Arc::new(LocalMasterKey::from_bytes(ambient.bytes()));
        let vault = Vault::new(pool.clone(), ambient.clone(), master, Vec::new());
        let options = eventstore::Options {
            states: 50_000,
            queue: 8_192,
            ..eventstore::Options::default()
        };
        let store = Store::new(pool, vault, ambient, Upcasters::default(), doorbell_inside(), options);
        Ok(Self {
            postgres,
            admin,
            store,
            directory,
        })
    }

    /// Stops the server; its data goes.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        self.store.close().await;
        self.admin.close().await;
        self.postgres.stop().await.context("stop PostgreSQL")
    }

    /// A path in the directory that goes with the server.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        Path::join(self.directory.path(), name)
    }
}

/// A command of the benchmark's.
pub(super) fn envelope(store: &Store) -> Envelope {
    let id = store.ambient().uuid();
    Envelope::system(id, [0; 32], id)
}

/// Makes a tenant.
pub(super) async fn tenant(store: &Store, n: u64) -> anyhow::Result<TenantId> {
    let id: TenantId = store.ambient().id();
    let slug = format!("bench-{n}");
    let command = TenantCommand::CreateTenant {
        tenant: id,
        slug: slug.clone(),
        name: slug.clone(),
        settings: Box::<Settings>::default(),
    };
    store
        .create_tenant::<Tenant>(NewTenant { id, slug }, &envelope(store), command)
        .await?;
    Ok(id)
}

/// Makes an endpoint of a group.
pub(super) async fn endpoint(store: &Store, tenant: TenantId, group: DeploymentGroupId) -> anyhow::Result<EndpointId> {
    let endpoint: EndpointId = store.ambient().id();
    let command = EndpointCommand::RegisterEndpoint {
        endpoint,
        group,
        token: RegistrationTokenId::default(),
        machine: Machine {
            name: "BENCH".to_owned(),
            os: policy_engine::Os::Linux,
            os_version: "12".to_owned(),
            machine_id: endpoint.to_string(),
        },
        public_key: "A".repeat(43),
        replaces: None,
    };
    store
        .execute::<Endpoint>(tenant, endpoint.uuid(), &envelope(store), |_| command.clone())
        .await?;
    Ok(endpoint)
}
