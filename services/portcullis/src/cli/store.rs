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

/// What PostgreSQL counts, for benchmarks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counters {
    pub(super) commits: i64,
    pub(super) syncs: i64,
    pub(super) updates: i64,
    pub(super) hot: i64,
}

/// Commits, syncs of the write-ahead log, and how many updates of heads were HOT.
pub(super) async fn counters(admin: &PgPool) -> Result<Counters, sqlx::Error> {
    use sqlx::Row;
    let row = sqlx::query(
        "select (select xact_commit from pg_stat_database where datname = current_database()) as commits,
           (select wal_sync from pg_stat_wal) as syncs, n_tup_upd as updates, n_tup_hot_upd as hot
         from pg_stat_user_tables where relname = 'tenant_head'",
    )
    .fetch_one(admin)
    .await?;
    Ok(Counters {
        commits: row.try_get("commits")?,
        syncs: row.try_get("syncs")?,
        updates: row.try_get("updates")?,
        hot: row.try_get("hot")?,
    })
}

/// A plain insert of about the size of an event.
pub(super) const PLAIN_INSERT: &str = "insert into bench_plain (tenant_id, body, metadata, leaf)
values (gen_random_uuid(), decode(repeat('ab', 500), 'hex'), '{\"correlation\": \"x\"}', decode(repeat('cd', 32), 'hex'));
";

/// The table of the plain inserts, empty.
pub(super) async fn plain_table(admin: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(
        "drop table if exists bench_plain;
         create table bench_plain (tenant_id uuid not null, position bigserial primary key, body bytea not null,
           metadata jsonb not null, leaf bytea not null)",
    )
    .execute(admin)
    .await?;
    Ok(())
}

/// Drops the rows and the cursor of a projection, so that it begins anew.
pub(super) async fn forget_projection(admin: &PgPool, name: &str, tables: &[&str]) -> Result<(), sqlx::Error> {
    for table in tables {
        // Names of our own tables.
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("delete from {table}")))
            .execute(admin)
            .await?;
    }
    sqlx::query("delete from projection_checkpoint where projection = $1")
        .bind(name)
        .execute(admin)
        .await?;
    Ok(())
}
