//! What `doctor` asks the database itself.

use sqlx::PgPool;

/// PostgreSQL's own version.
pub(super) async fn server_version(pool: &PgPool) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("show server_version").fetch_one(pool).await
}

/// The database's clock, in seconds since 1970.
pub(super) async fn database_clock(pool: &PgPool) -> Result<f64, sqlx::Error> {
    sqlx::query_scalar("select extract(epoch from clock_timestamp())::float8")
        .fetch_one(pool)
        .await
}
