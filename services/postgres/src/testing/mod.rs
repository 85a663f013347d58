//! Databases for tests: real ones, one for each test, made from a template so that each costs little.
//!
//! [`database`] gives an empty database, [`database_from`] a migrated one, [`server`] a whole durable server to
//! mistreat. The first two live on one server a run:
//!
//! - the one the variable `PORTCULLIS_TEST_POSTGRES` names (a socket directory or an address), as the program
//!   `with-postgres` sets it;
//! - else one that the first test of a `cargo nextest` run starts for all of them, or that a `cargo test` process
//!   starts for itself. It flushes nothing to disk and disappears when the run is over.
//!
//! Everything here panics with a message instead of returning errors: a test without its database has failed.

mod shared;

use std::{
    fmt::Display,
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    thread,
};

use sqlx::PgConnection;
use tempfile::TempDir;

use crate::{Error, Options, Postgres, Supervisor, sql};
use shared::{Address, address};

/// The variable that names the server to use: a socket directory, or an address such as
/// `postgres://postgres:secret@localhost/postgres` of a superuser.
pub const SERVER_VARIABLE: &str = "PORTCULLIS_TEST_POSTGRES";

/// The roles that exist on every test server, without any right of their own.
pub const ROLES: [&str; 2] = ["portcullis_app", "portcullis_purge"];

/// A database of one test, dropped when this value is.
#[derive(Debug)]
pub struct TestDatabase {
    /// Its name.
    pub name: String,
    /// Its address for the superuser, who runs migrations and prepares what the product itself could not.
    pub url_admin: String,
    /// Its address for `portcullis_app`, the server's role: row-level security applies.
    pub url_app: String,
    address: Arc<Address>,
}

impl TestDatabase {
    /// Its address for another role.
    #[must_use]
    pub fn url(&self, role: &str) -> String {
        self.address.url(role, &self.name)
    }

    fn new(name: String, address: Arc<Address>) -> Self {
        Self {
            url_admin: address.admin_url(&name),
            url_app: address.url(ROLES[0], &name),
            name,
            address,
        }
    }
}

impl Drop for TestDatabase {
    /// As well as it can: a database that stays behind costs a few megabytes until the run is over.
    fn drop(&mut self) {
        let statement = format!("drop database if exists {} with (force)", sql::identifier(&self.name));
        let url = self.address.admin_url(crate::SUPERUSER);
        // A thread of its own, since the test's runtime may be the one that drops this value.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .ok()?;
            runtime.block_on(async { sql::run(&mut sql::connect(&url).await.ok()?, statement).await.ok() })
        });
        let _ = dropping.join();
    }
}

/// An empty database on the run's server.
pub async fn database() -> TestDatabase {
    let address = address().await;
    done("make an empty database", create(&address, None).await)
}

/// A database with what `migrate` puts into it. The first call with this key runs it, on a template; every call
/// gives a copy of that. The key must change when the result of the migration would, for a server that outlives the
/// run keeps its templates. The closure gets the superuser's address; whatever connections it leaves open are cut.
pub async fn database_from<F, E>(template_key: &str, migrate: impl FnOnce(String) -> F) -> TestDatabase
where
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    let address = address().await;
    let template = format!("template_{:016x}", stable_hash(template_key));
    done(
        "make the template",
        ensure_template(&address, &template, template_key, migrate).await,
    );
    done("copy the template", create(&address, Some(&template)).await)
}

/// A durable server of one's own, to be killed and started again. See [`TestServer`].
pub async fn server() -> TestServer {
    let dir = done(
        "make a directory for a server",
        tempfile::Builder::new().prefix("portcullis-server-").tempdir(),
    );
    let options = Options {
        binaries: shared::binaries(),
        ..Options::new(dir.path())
    };
    let postgres = done("start a server", Supervisor::start(options.clone()).await);
    for role in ROLES {
        done("make the roles", postgres.ensure_role(role).await);
    }
    TestServer {
        postgres: Some(postgres),
        options,
        _dir: dir,
    }
}

/// A server for one test, with `fsync` on, in a temporary directory. Without [`TestServer::stop`] it is told to quit
/// when dropped.
#[derive(Debug)]
pub struct TestServer {
    postgres: Option<Postgres>,
    /// How it is started the next time; further settings may be added.
    pub options: Options,
    _dir: TempDir,
}

impl TestServer {
    /// The server.
    #[must_use]
    pub fn postgres(&self) -> &Postgres {
        self.postgres
            .as_ref()
            .expect("a test server is there between its calls")
    }

    /// The process number of the postmaster.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.postgres().pid()
    }

    /// The address of a database for a role; see [`Postgres::url`].
    #[must_use]
    pub fn url(&self, database: &str, role: &str) -> String {
        self.postgres().url(database, role)
    }

    /// Starts the server again on the same data and the same socket, after it was killed or while it runs.
    pub async fn restart(&mut self) {
        if let Some(postgres) = self.postgres.take() {
            done("stop the server", postgres.stop().await);
        }
        self.postgres = Some(done(
            "start the server again",
            Supervisor::start(self.options.clone()).await,
        ));
    }

    /// Stops the server and removes its data.
    pub async fn stop(mut self) {
        if let Some(postgres) = self.postgres.take() {
            postgres.quit().await;
        }
    }
}

/// A database under a new name, a copy of the template or empty.
async fn create(address: &Arc<Address>, template: Option<&str>) -> Result<TestDatabase, Error> {
    let name = format!("test_{:016x}", RandomState::new().build_hasher().finish());
    let mut connection = sql::connect(&address.admin_url(crate::SUPERUSER)).await?;
    let from = template
        .map(|template| format!(" template {}", sql::identifier(template)))
        .unwrap_or_default();
    sql::run(
        &mut connection,
        format!("create database {}{from}", sql::identifier(&name)),
    )
    .await?;
    Ok(TestDatabase::new(name, address.clone()))
}

/// Makes a template, once for all processes that ask: the others wait for the advisory lock.
async fn ensure_template<F, E>(
    address: &Address,
    template: &str,
    key: &str,
    migrate: impl FnOnce(String) -> F,
) -> Result<(), Error>
where
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    let mut connection = sql::connect(&address.admin_url(crate::SUPERUSER)).await?;
    if sql::database_exists(&mut connection, template).await? {
        return Ok(());
    }
    lock(&mut connection, template).await?;
    if sql::database_exists(&mut connection, template).await? {
        return Ok(());
    }
    // Under another name until it is whole, so that a failed migration leaves nothing that looks like a template.
    let unfinished = format!("{template}_unfinished");
    let (quoted, final_name) = (sql::identifier(&unfinished), sql::identifier(template));
    sql::run(
        &mut connection,
        format!("drop database if exists {quoted} with (force)"),
    )
    .await?;
    sql::run(&mut connection, format!("create database {quoted}")).await?;
    if let Err(error) = migrate(address.admin_url(&unfinished)).await {
        failed(&format!("migrate the template {key}"), &error);
    }
    sql::run(
        &mut connection,
        format!("alter database {quoted} with allow_connections false"),
    )
    .await?;
    sql::run(
        &mut connection,
        format!("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{unfinished}'"),
    )
    .await?;
    sql::run(
        &mut connection,
        format!("alter database {quoted} rename to {final_name}"),
    )
    .await
    // Closing the connection gives the lock back.
}

/// Waits for an advisory lock that is held until the connection closes.
async fn lock(connection: &mut PgConnection, name: &str) -> Result<(), Error> {
    sqlx::query("select pg_advisory_lock($1)")
        .bind(stable_hash(name).cast_signed())
        .execute(connection)
        .await
        .map(drop)
        .map_err(|source| Error::Sql {
            what: format!("lock {name}"),
            source,
        })
}

/// FNV-1a: the same in every process and on every machine, which the standard library's hashers don't promise.
fn stable_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn done<T, E: Display>(what: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => failed(what, &error),
    }
}

#[expect(clippy::panic, reason = "a test without its database has failed")]
fn failed(what: &str, error: &dyn Display) -> ! {
    panic!("could not {what}: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(stable_hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(stable_hash("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(stable_hash("foobar"), 0x8594_4171_f739_67e8);
    }
}
