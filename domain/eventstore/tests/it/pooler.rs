//! Tenants stay apart behind a real PgBouncer that hands one connection round between transactions.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    str::FromStr,
    time::Duration,
};

use eventstore::TenantTx;
use formats::TenantId;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tempfile::TempDir;

use crate::{
    member::Command as Ask,
    world::{World, process, run},
};

/// PgBouncer on loopback, ended when dropped.
struct Pooler {
    url: String,
    child: Child,
    _dir: TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Pooler {
    /// In front of the world's database: `transaction` or `session`, with at most so many connections.
    async fn start(world: &World, mode: &str, connections: u32) -> Self {
        let to = PgConnectOptions::from_str(&world.database.url_app).unwrap();
        let host = to
            .get_socket()
            .map_or_else(|| to.get_host().to_owned(), |dir| dir.display().to_string());
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let users = dir.path().join("users.txt");
        fs::write(&users, "\"portcullis_app\" \"\"\n").unwrap();
        let settings = format!(
            "[databases]\n* = host={host} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n\
             default_pool_size = {connections}\nmax_db_connections = {connections}\nserver_round_robin = 0\n\
             query_wait_timeout = 5\nserver_login_retry = 1\n\
             ignore_startup_parameters = extra_float_digits,options\nlogfile =\npidfile =\n",
            to.get_port(),
            users.display(),
        );
        let file = dir.path().join("pgbouncer.ini");
        fs::write(&file, settings).unwrap();
        let child = launch(dir.path(), &file);
        let url = format!("postgres://portcullis_app@127.0.0.1:{port}/{}", world.database.name);
        let pooler = Self { url, child, _dir: dir };
        for _ in 0..40 {
            if pooler.client().await.is_ok() {
                return pooler;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("PgBouncer does not answer");
    }

    /// A client with one connection and no named statements: another client's would be met on the shared connection.
    async fn client(&self) -> Result<PgPool, sqlx::Error> {
        let options = PgConnectOptions::from_str(&self.url)?.statement_cache_capacity(0);
        let patience = Duration::from_secs(5);
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(patience);
        pool.connect_with(options).await
    }
}

/// It refuses to be root, and is then who the database is: nobody else reaches its socket.
fn launch(dir: &Path, settings: &Path) -> Child {
    let mut command = Command::new("pgbouncer");
    if is_root() {
        for path in [dir, settings, &dir.join("users.txt")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        command.args(["-u", "postgres"]);
    }
    let quiet = Stdio::null;
    let begun = command
        .arg(settings)
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .spawn();
    begun.expect("pgbouncer is installed (scripts/prepare pgbouncer)")
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

async fn number(tx: &mut TenantTx, sql: &'static str) -> i64 {
    let query = sqlx::query_scalar(sql).persistent(false);
    query.fetch_one(&mut **tx).await.unwrap()
}

/// Rows of the log that this transaction sees: its tenant's, and others'.
async fn seen(client: &PgPool, tenant: TenantId) -> (i64, i64) {
    let mut tx = TenantTx::begin(client, tenant).await.unwrap();
    let own = number(
        &mut tx,
        "select count(*) from events where tenant_id = current_setting('app.tenant')::uuid",
    )
    .await;
    let all = number(&mut tx, "select count(*) from events").await;
    tx.commit().await.unwrap();
    (own, all - own)
}

/// What the connection has left of a tenant, outside any transaction.
async fn left(client: &PgPool) -> Option<String> {
    let mut tx = client.begin().await.unwrap();
    let query = sqlx::query_scalar("select current_setting('app.tenant', true)").persistent(false);
    let left: Option<String> = query.fetch_one(&mut *tx).await.unwrap();
    left.filter(|left| !left.is_empty())
}

async fn backend(client: &PgPool, tenant: TenantId) -> i64 {
    let mut tx = TenantTx::begin(client, tenant).await.unwrap();
    number(&mut tx, "select pg_backend_pid()::bigint").await
}

#[tokio::test]
async fn tenants_that_share_one_connection_transaction_by_transaction_never_see_each_other() {
    let world = World::new().await;
    let pooler = Pooler::start(&world, "transaction", 1).await;
    let (one, two) = (pooler.client().await.unwrap(), pooler.client().await.unwrap());
    assert_eq!(
        backend(&one, world.tenant).await,
        backend(&two, world.other).await,
        "both are on the same connection to PostgreSQL"
    );
    for _ in 0..200 {
        let (ours, theirs) = tokio::join!(seen(&one, world.tenant), seen(&two, world.other));
        assert!(ours.0 > 0 && theirs.0 > 0);
        assert_eq!((ours.1, theirs.1), (0, 0));
        assert_eq!((left(&one).await, left(&two).await), (None, None));
    }
    // One that was dropped half way leaves nothing either.
    drop(TenantTx::begin(&one, world.tenant).await.unwrap());
    assert_eq!(left(&two).await, None);
}

/// The broken variant: a tenant that is set for the session is the next client's.
#[tokio::test]
async fn control_a_tenant_that_is_set_for_the_session_is_carried_over_to_another_client() {
    let world = World::new().await;
    let pooler = Pooler::start(&world, "transaction", 1).await;
    let (one, two) = (pooler.client().await.unwrap(), pooler.client().await.unwrap());
    let set = format!("set app.tenant = '{}'", formats::TypedId::uuid(world.tenant));
    sqlx::raw_sql(sqlx::AssertSqlSafe(set)).execute(&one).await.unwrap();
    let carried = formats::TypedId::uuid(world.tenant).to_string();
    assert_eq!(left(&two).await, Some(carried));
}

/// Whole sessions: the mode in which the server itself runs, with its prepared statements.
#[tokio::test]
async fn the_store_runs_through_a_pooler_of_sessions() {
    let world = World::new().await;
    let pooler = Pooler::start(&world, "session", 20).await;
    let options = eventstore::Options::default;
    let (one, two) = (
        process(&pooler.url, options()).await,
        process(&pooler.url, options()).await,
    );
    for _ in 0..20 {
        for (store, tenant) in [(&one, world.tenant), (&two, world.other), (&one, world.other)] {
            let id = formats::TypedId::uuid(tenant);
            run(store, tenant, id, Ask::Count { by: 1 }).await.unwrap();
        }
    }
    for tenant in [world.tenant, world.other] {
        let events = one.read(tenant, 0, 1_000).await.unwrap();
        assert!(events.len() > 20 && events.iter().all(|event| event.body.tenant == tenant));
    }
}
