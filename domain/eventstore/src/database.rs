//! Connections and migrations.

use std::{str::FromStr, time::Duration};

use formats::hash::to_hex;
use sha2::{Digest, Sha256};
use sqlx::{
    Connection, PgPool, Row,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// Why no usable pool could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is wrong, or the database does not answer.
    #[error("no connection to PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    /// The server must not run as a role that row-level security does not bind.
    #[error(
        "the database role `{0}` sees every tenant (superuser, bypassrls or owner of the tables): use `portcullis_app`"
    )]
    Role(String),
}

/// A connection that rested longer may have died meanwhile. Also how long it may take to say that it has not.
const RESTED: Duration = Duration::from_millis(500);

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// Brings the database to the newest schema. Run as the owner of the database, never as the server's role.
///
/// # Errors
/// Where a migration fails, or one that ran before was edited since.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    MIGRATIONS.run(pool).await
}

/// Changes with every change of a migration: the key of template databases.
#[must_use]
pub fn schema_fingerprint() -> String {
    let mut hash = Sha256::new();
    for migration in MIGRATIONS.iter() {
        hash.update(migration.version.to_be_bytes());
        hash.update(&*migration.checksum);
    }
    to_hex(&hash.finalize())
}

/// How many migrations of this program the database lacks; for the server's role.
///
/// # Errors
/// Where the database was never migrated, or does not answer.
pub async fn missing_migrations(pool: &PgPool) -> Result<usize, sqlx::Error> {
    let known: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    let applied: i64 = sqlx::query_scalar("select count(*) from _sqlx_migrations where success and version = any($1)")
        .bind(&known)
        .fetch_one(pool)
        .await?;
    Ok(known.len().saturating_sub(usize::try_from(applied).unwrap_or(0)))
}

/// A pool of at most `max` connections for the server's role, which it refuses to be one that sees every tenant.
///
/// A statement may take 30 s, a lock 5 s, an idle transaction 30 s; a connection is waited for 1.5 s.
///
/// # Errors
/// [`ConnectError`]
pub async fn connect(url: &str, max: u32) -> Result<PgPool, ConnectError> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("portcullis")
        // More than the product has statements: none is planned anew because another took its place.
        .statement_cache_capacity(1_024)
        .options([
            ("statement_timeout", "30s"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "30s"),
            // Statements go by a tenant's keys: which plan is best does not depend on the values, and planning would
            // cost more than most of them. What differs is planned with its values (`TenantTx::plan_with_values`).
            ("plan_cache_mode", "force_generic_plan"),
        ]);
    let pool = PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(Duration::from_millis(1_500))
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(Duration::from_secs(3_600))
        // A busy connection is taken as it is: an append is one round trip. One that has rested is asked first.
        .test_before_acquire(false)
        .before_acquire(|connection, resting| {
            Box::pin(async move {
                if resting.idle_for < RESTED {
                    return Ok(true);
                }
                let answer = tokio::time::timeout(RESTED, connection.ping()).await;
                Ok(matches!(answer, Ok(Ok(()))))
            })
        })
        .connect_with(options)
        .await?;
    let role = sqlx::query(
        "select current_user::text as name, rolsuper or rolbypassrls or exists (
           select from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where n.nspname = 'public' and c.relname = 'events' and pg_has_role(c.relowner, 'usage')
         ) as free from pg_roles where rolname = current_user",
    )
    .fetch_one(&pool)
    .await?;
    if role.try_get("free")? {
        return Err(ConnectError::Role(role.try_get("name")?));
    }
    Ok(pool)
}
