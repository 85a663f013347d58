//! Connections and migrations.

use std::{str::FromStr, time::Duration};

use sqlx::{
    PgPool, Row,
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

/// Brings the database to the newest schema. Run as the owner of the database, never as the server's role.
///
/// # Errors
/// Where a migration fails, or one that ran before was edited since.
pub async fn migrate(pool: &PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    sqlx::migrate!("../../migrations").run(pool).await
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
        .options([
            ("statement_timeout", "30s"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "30s"),
        ]);
    let pool = PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(Duration::from_millis(1_500))
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(Duration::from_secs(3_600))
        // A connection that died is found by the statement itself, which is repeated where that is safe.
        .test_before_acquire(false)
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
