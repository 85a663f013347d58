//! A tenant's end: not before its log says so, by the purge role alone, in batches, whole, and nobody else's.

use std::{collections::BTreeMap, time::Duration};

use eventstore::{ExecuteError, PurgeError, PurgeStep, StoreError, due_purges, purge_step};
use formats::Timestamp;
use sqlx::{AssertSqlSafe, PgPool, Row};
use uuid::Uuid;

use crate::world::{World, join};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Says something of a deletion in the tenant's log, as the product's own aggregate would.
async fn log(world: &World, event_type: &str, purge_at: Timestamp) {
    let mut tx = world.admin.begin().await.unwrap();
    sqlx::query("select set_config('app.tenant', $1, true)")
        .bind(world.tenant.uuid().to_string())
        .execute(&mut *tx)
        .await
        .unwrap();
    let body = serde_json::json!({ "data": { "purgeAt": purge_at } }).to_string();
    sqlx::query(
        "insert into events (tenant_id, position, stream_type, stream_id, stream_version, event_type, schema_version,
           command_id, occurred_at, recorded_at, body, metadata, leaf)
         select h.tenant_id, h.position + 1, 'tenant', h.tenant_id, h.position + 1, $2, 1, gen_random_uuid(), $3, $3, $4,
           '{}', sha256($4) from tenant_head h where h.tenant_id = $1",
    )
    .bind(world.tenant.uuid())
    .bind(event_type)
    .bind(world.ambient.now().to_datetime())
    .bind(body.as_bytes())
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::query("update tenant_head set position = position + 1 where tenant_id = $1")
        .bind(world.tenant.uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query("update tenant set status = 'deleting', purge_at = $2 where id = $1")
        .bind(world.tenant.uuid())
        .bind(purge_at.to_datetime())
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn purge_role(world: &World) -> PgPool {
    eventstore::connect(&world.database.url("portcullis_purge"), 2)
        .await
        .unwrap()
}

#[tokio::test]
async fn only_the_log_begins_a_deletion_and_only_when_its_moment_has_come() {
    let world = World::new().await;
    let purge = purge_role(&world).await;
    let now = world.ambient.now();
    let step = async |at| purge_step(&purge, world.tenant, at).await;
    // The mark alone does not.
    sqlx::query("update tenant set status = 'deleting', purge_at = $1")
        .bind(now.to_datetime())
        .execute(world.store.pool())
        .await
        .unwrap();
    assert!(matches!(step(now + DAY).await, Err(PurgeError::NotRequested(t)) if t == world.tenant));
    // Nor does a log that asks for less than a day.
    log(&world, "TenantDeletionRequested", now).await;
    assert!(matches!(step(now).await, Err(PurgeError::TooEarly(_))));
    log(&world, "TenantDeletionCancelled", now).await;
    assert!(matches!(step(now + 3 * DAY).await, Err(PurgeError::NotRequested(_))));
    log(&world, "TenantDeletionRequested", now + 2 * DAY).await;
    assert!(matches!(
        step(now + 2 * DAY - Duration::from_millis(1)).await,
        Err(PurgeError::TooEarly(_))
    ));
    assert_eq!(world.positions(world.tenant).await.len(), 4, "nothing is gone so far");
    assert!(matches!(step(now + 2 * DAY).await, Ok(PurgeStep::Removed { .. })));
}

#[tokio::test]
async fn a_tenant_that_is_due_is_removed_whole_in_batches_and_no_other_row_is_touched() {
    let world = World::new().await;
    for _ in 0..8 {
        world.member().await;
    }
    let at = world.ambient.now() + DAY + Duration::from_secs(60);
    log(&world, "TenantDeletionRequested", at).await;
    let purge = purge_role(&world).await;
    assert_eq!(due_purges(&purge, at - Duration::from_millis(1)).await.unwrap(), []);
    assert_eq!(due_purges(&purge, at).await.unwrap(), [world.tenant]);
    let by_the_server = purge_step(world.store.pool(), world.tenant, at).await;
    assert!(
        matches!(by_the_server, Err(PurgeError::Database(_))),
        "{by_the_server:?}"
    );

    let before = rows_by_tenant(&world).await;
    // The first step closes the log and destroys the keys, whatever else is still there.
    assert!(matches!(
        purge_step(&purge, world.tenant, at).await,
        Ok(PurgeStep::Removed { .. })
    ));
    let begun = rows_by_tenant(&world).await;
    let left = |table: &str| {
        begun
            .get(&(table.to_owned(), world.tenant.uuid()))
            .copied()
            .unwrap_or(0)
    };
    assert_eq!((left("tenant_key"), left("tenant_head")), (0, 0));
    assert!(left("events") > 0, "the rest goes bit by bit");
    let closed = join(&world.store, world.tenant, world.id(), "a@example.test").await;
    assert!(
        matches!(closed, Err(ExecuteError::Store(StoreError::UnknownTenant(_)))),
        "{closed:?}"
    );
    assert_eq!(world.store.find_tenant("acme").await.unwrap(), None);
    assert_eq!(world.store.tenants().await.unwrap(), [world.other]);

    // Whoever comes next goes on; two at once do no harm.
    let mut removed = 0;
    loop {
        let (one, two) = tokio::join!(
            purge_step(&purge, world.tenant, at),
            purge_step(&purge, world.tenant, at)
        );
        for step in [one.unwrap(), two.unwrap()] {
            if let PurgeStep::Removed { rows, .. } = step {
                removed += rows;
            }
        }
        if purge_step(&purge, world.tenant, at).await.unwrap() == PurgeStep::Finished {
            break;
        }
    }
    assert!(removed > 10, "{removed}");
    let mut after = before;
    after.retain(|(_, tenant), _| *tenant != world.tenant.uuid());
    assert_eq!(rows_by_tenant(&world).await, after);

    let told = eventstore::purges(world.store.pool()).await.unwrap();
    assert_eq!((told[0].tenant, told[0].slug.as_str()), (world.tenant, "acme"));
    assert!(told[0].finished_at == Some(at) && told[0].rows_removed >= removed);

    // A row of a transaction that was under way goes with the next look.
    sqlx::query("insert into stream (tenant_id, stream_type, stream_id, version) values ($1, 'late', $1, 1)")
        .bind(world.tenant.uuid())
        .execute(&world.admin)
        .await
        .unwrap();
    assert_eq!(due_purges(&purge, at).await.unwrap(), [world.tenant]);
    assert!(matches!(
        purge_step(&purge, world.tenant, at).await,
        Ok(PurgeStep::Removed { rows: 1, .. })
    ));
    assert_eq!(rows_by_tenant(&world).await, after);
    // Until it was looked at long after its end, however late that is.
    assert_eq!(due_purges(&purge, at + 30 * DAY).await.unwrap(), [world.tenant]);
    while purge_step(&purge, world.tenant, at).await.unwrap() != PurgeStep::Finished {}
    let soon = at + Duration::from_secs(60 * 60) - Duration::from_millis(1);
    assert_eq!(
        purge_step(&purge, world.tenant, soon).await.unwrap(),
        PurgeStep::Finished
    );
    assert_eq!(due_purges(&purge, at + DAY).await.unwrap(), [world.tenant]);
    assert_eq!(
        purge_step(&purge, world.tenant, at + DAY).await.unwrap(),
        PurgeStep::Finished
    );
    assert_eq!(due_purges(&purge, at + DAY).await.unwrap(), []);
}

/// A table that somebody adds and does not let the purge into stops it by name, and it goes on once that is mended.
#[tokio::test]
async fn a_table_that_the_purge_may_not_empty_stops_it_and_is_emptied_later() {
    let world = World::new().await;
    // A minute more than a day, since the request is noted a moment after this.
    let at = world.ambient.now() + DAY + Duration::from_secs(60);
    log(&world, "TenantDeletionRequested", at).await;
    sqlx::raw_sql(AssertSqlSafe(format!(
        "create table added (tenant_id uuid primary key); insert into added values ('{}')",
        world.tenant.uuid()
    )))
    .execute(&world.admin)
    .await
    .unwrap();
    let purge = purge_role(&world).await;
    let stopped = purge_step(&purge, world.tenant, at).await.unwrap_err();
    assert!(stopped.to_string().contains("added"), "{stopped}");
    sqlx::raw_sql("grant select, delete on added to portcullis_purge")
        .execute(&world.admin)
        .await
        .unwrap();
    while purge_step(&purge, world.tenant, at).await.unwrap() != PurgeStep::Finished {}
    let rows = rows_by_tenant(&world).await;
    assert!(rows.keys().all(|(_, tenant)| *tenant == world.other.uuid()), "{rows:?}");
}

/// The number of rows of each table and tenant.
async fn rows_by_tenant(world: &World) -> BTreeMap<(String, Uuid), i64> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')",
    )
    .fetch_all(&world.admin)
    .await
    .unwrap();
    let mut rows = BTreeMap::new();
    for table in tables {
        let sql = format!("select tenant_id, count(*) from {table} group by tenant_id");
        for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(&world.admin).await.unwrap() {
            rows.insert((table.clone(), row.get(0)), row.get(1));
        }
    }
    rows
}
