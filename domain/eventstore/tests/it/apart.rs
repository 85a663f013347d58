//! I10: tenants are apart, by the database itself.

use eventstore::TenantTx;
use sqlx::{PgPool, Row};

use crate::{
    member::{Command, Member},
    world::{World, envelope, run, run_as},
};

const TABLES: [&str; 8] = [
    "events",
    "stream",
    "command",
    "claim",
    "aggregate_snapshot",
    "tenant_key",
    "tenant_key_set",
    "person_key",
];

/// A world in which every table has rows of both tenants.
async fn populated() -> World {
    let world = World::new().await;
    for tenant in [world.tenant, world.other] {
        let (state, version) = world.store.load::<Member>(tenant, tenant.uuid()).await.unwrap();
        world
            .store
            .keep_snapshot(tenant, tenant.uuid(), &state, version)
            .await
            .unwrap();
    }
    world
}

async fn count(tx: &mut TenantTx, table: &str) -> (i64, i64) {
    let sql = format!("select count(*), count(*) filter (where tenant_id <> $1) from {table}");
    let tenant = tx.tenant().uuid();
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(tenant)
        .fetch_one(&mut **tx)
        .await
        .unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn a_transaction_of_one_tenant_sees_no_row_of_another() {
    let world = populated().await;
    for tenant in [world.tenant, world.other] {
        let mut tx = TenantTx::begin(world.store.pool(), tenant).await.unwrap();
        for table in TABLES {
            let (all, foreign) = count(&mut tx, table).await;
            assert!(all > 0, "{table} has rows");
            assert_eq!(foreign, 0, "{table}");
        }
    }
}

/// The broken variant: the wall is taken away.
#[tokio::test]
async fn control_without_row_level_security_the_same_statements_see_the_other_tenant() {
    let world = populated().await;
    for table in TABLES {
        let sql = format!("alter table {table} disable row level security");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&world.admin)
            .await
            .unwrap();
        let mut tx = TenantTx::begin(world.store.pool(), world.tenant).await.unwrap();
        assert!(count(&mut tx, table).await.1 > 0, "{table}");
    }
}

#[tokio::test]
async fn a_row_of_another_tenant_cannot_be_written() {
    let world = populated().await;
    let mut tx = TenantTx::begin(world.store.pool(), world.tenant).await.unwrap();
    let error = sqlx::query(
        "insert into claim (tenant_id, space, value_mac, stream_type, stream_id)
         values ($1, 'x', sha256('x'), 'member', $1)",
    )
    .bind(world.other.uuid())
    .execute(&mut *tx)
    .await
    .unwrap_err();
    assert!(error.to_string().contains("row-level security"), "{error}");
}

#[tokio::test]
async fn without_a_tenant_every_statement_is_refused_and_an_append_leaves_none_behind() {
    let world = populated().await;
    let pool = eventstore::connect(&world.database.url_app, 1).await.unwrap();
    let refused = async |pool: &PgPool| {
        for table in TABLES {
            let sql = format!("select count(*) from {table}");
            let result = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(sql))
                .fetch_one(pool)
                .await;
            assert!(result.is_err(), "{table}: {result:?}");
        }
    };
    refused(&pool).await;
    // The same connection after an append, a load and a transaction of a tenant.
    let store = crate::world::process(&world.database.url_app, eventstore::Options::default()).await;
    run(&store, world.tenant, world.tenant.uuid(), Command::Count { by: 1 })
        .await
        .unwrap();
    store.read(world.tenant, 0, 10).await.unwrap();
    for _ in 0..store.pool().size() {
        refused(store.pool()).await;
    }
}

#[tokio::test]
async fn the_same_stream_and_command_ids_in_two_tenants_do_not_meet() {
    let world = World::new().await;
    let (id, same) = (world.id(), envelope(&world.store));
    for tenant in [world.tenant, world.other] {
        let command = crate::world::founding(&world.store);
        let done = run_as(&world.store, tenant, id, &same, command).await.unwrap();
        assert_eq!((done.version, done.duplicate, done.last()), (1, false, 2));
    }
    run(&world.store, world.tenant, id, Command::Leave).await.unwrap();
    assert!(!world.store.load::<Member>(world.tenant, id).await.unwrap().0.active);
    assert!(world.store.load::<Member>(world.other, id).await.unwrap().0.active);
    assert_eq!(world.store.head(world.other).await.unwrap(), 2);
}

#[tokio::test]
async fn every_statement_on_a_tenants_rows_finds_them_by_the_tenant() {
    let world = populated().await;
    let t = world.tenant.uuid();
    let statements = [
        format!(
            "select position, body, leaf from events where tenant_id = '{t}' and position > 5 order by position limit 10"
        ),
        format!(
            "select body from events where tenant_id = '{t}' and stream_type = 'member' and stream_id = '{t}' order by stream_version"
        ),
        format!("select version from stream where tenant_id = '{t}' and stream_type = 'member' and stream_id = '{t}'"),
        format!("select * from command where tenant_id = '{t}' and id = '{t}'"),
        format!("select * from claim where tenant_id = '{t}' and space = 'x' and value_mac = 'y'"),
        format!(
            "delete from claim where tenant_id = '{t}' and stream_type = 'x' and stream_id = '{t}' and space = 'y'"
        ),
        format!(
            "select state from aggregate_snapshot where tenant_id = '{t}' and stream_type = 'member' and stream_id = '{t}'"
        ),
        format!("select kid from tenant_key where tenant_id = '{t}' and status = 'active'"),
        format!("select wrapped from person_key where tenant_id = '{t}' and person_id = any(array['{t}']::uuid[])"),
    ];
    let mut tx = TenantTx::begin(world.store.pool(), world.tenant).await.unwrap();
    sqlx::query("set local enable_seqscan = off")
        .execute(&mut *tx)
        .await
        .unwrap();
    for statement in statements {
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("explain {statement}")))
            .fetch_all(&mut *tx)
            .await
            .unwrap();
        let conditions: Vec<&String> = plan.iter().filter(|line| line.contains("Index Cond")).collect();
        assert!(!conditions.is_empty(), "{plan:#?}");
        assert!(conditions.iter().all(|line| line.contains("tenant_id = ")), "{plan:#?}");
        assert!(!plan.iter().any(|line| line.contains("Seq Scan")), "{plan:#?}");
    }
}
