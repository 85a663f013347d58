//! What benchmarks ask PostgreSQL itself, as its superuser.

use sqlx::{AssertSqlSafe, PgPool, Row};

/// What PostgreSQL counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counters {
    /// Transactions of the database.
    pub(super) commits: u64,
    /// Syncs of the write-ahead log, of the whole cluster.
    pub(super) syncs: u64,
    /// Updates of tenants' heads.
    pub(super) updates: u64,
    /// Those among them that touched no index.
    pub(super) hot: u64,
}

/// Reads the counters. Sessions keep their counts to themselves for up to ten seconds, so those of the server's role are
/// ended first: pools open new ones.
pub(super) async fn counters(admin: &PgPool) -> Result<Counters, sqlx::Error> {
    sqlx::query("select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where usename = 'portcullis_app'")
        .execute(admin)
        .await?;
    let row = sqlx::query(
        "select (select xact_commit from pg_stat_database where datname = current_database()) as commits,
           (select wal_sync from pg_stat_wal) as syncs, n_tup_upd as updates, n_tup_hot_upd as hot
         from pg_stat_user_tables where relname = 'tenant_head'",
    )
    .fetch_one(admin)
    .await?;
    let count = |name: &str| row.try_get::<i64, _>(name).map(i64::unsigned_abs);
    Ok(Counters {
        commits: count("commits")?,
        syncs: count("syncs")?,
        updates: count("updates")?,
        hot: count("hot")?,
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

/// Brings the planner's figures up to date after much was written.
pub(super) async fn analyze(admin: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("vacuum analyze").execute(admin).await?;
    Ok(())
}

/// Empties a projection's tables and takes its cursors away, so that it begins anew.
pub(super) async fn forget_projection(admin: &PgPool, name: &str, tables: &[&str]) -> Result<(), sqlx::Error> {
    if !tables.is_empty() {
        // Names of our own tables.
        let statement = AssertSqlSafe(format!("truncate {} cascade", tables.join(", ")));
        sqlx::raw_sql(statement).execute(admin).await?;
    }
    sqlx::query("delete from projection_checkpoint where projection = $1")
        .bind(name)
        .execute(admin)
        .await?;
    Ok(())
}
