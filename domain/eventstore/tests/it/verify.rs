//! I11, the store's part: a log that was changed behind the product's back names the first position that is wrong.

use eventstore::{Fault, TenantTx, Verified};
use sqlx::AssertSqlSafe;

use crate::{
    member::Command,
    world::{World, run},
};

async fn log_of_ten() -> World {
    let world = World::new().await;
    let id = world.member().await;
    for n in 0..8 {
        run(&world.store, world.tenant, id, Command::Count { by: n })
            .await
            .unwrap();
    }
    world
}

async fn verify(world: &World) -> Verified {
    let mut tx = TenantTx::begin_read(world.store.pool(), world.tenant).await.unwrap();
    world.store.verify_in(&mut tx, 0, 1_000).await.unwrap()
}

#[tokio::test]
async fn an_untouched_log_verifies() {
    let world = log_of_ten().await;
    let verified = verify(&world).await;
    assert_eq!((verified.fault, verified.leaves.len()), (None, 10));
    let mut tx = TenantTx::begin_read(world.store.pool(), world.tenant).await.unwrap();
    assert_eq!(world.store.leaves_in(&mut tx, 0, 100).await.unwrap(), verified.leaves);
}

#[tokio::test]
async fn every_kind_of_change_is_found_where_it_begins() {
    let tampering = [
        (
            "set body = set_byte(body, 40, get_byte(body, 40) # 1) where position = 4",
            4,
            "leaf",
        ),
        (
            "set body = body || ' ', leaf = sha256('\\x00'::bytea || body || ' ') where position = 5",
            5,
            "body",
        ),
        ("set leaf = sha256('x') where position = 3", 3, "leaf"),
        ("set position = position + 100 where position = 6", 6, "missing"),
        ("set event_type = 'Approved' where position = 7", 7, "event_type"),
        ("set schema_version = 2 where position = 7", 7, "schema_version"),
        ("set stream_id = gen_random_uuid() where position = 2", 2, "stream_id"),
        ("set stream_type = 'request' where position = 2", 2, "stream_type"),
        ("set stream_version = 99 where position = 2", 2, "stream_version"),
        ("set command_id = gen_random_uuid() where position = 9", 9, "command_id"),
        (
            "set occurred_at = occurred_at - interval '1 ms' where position = 9",
            9,
            "occurred_at",
        ),
        (
            "set recorded_at = recorded_at + interval '1 h' where position = 9",
            9,
            "recorded_at",
        ),
        (
            "set metadata = jsonb_set(metadata, '{actor,id}', '\"usr_other\"') where position = 8",
            8,
            "metadata",
        ),
    ];
    let world = log_of_ten().await;
    for (change, position, what) in tampering {
        let changed = format!("update events {change} and tenant_id = '{}'", world.tenant.uuid());
        behind_its_back(&world, &[&changed]).await;
        let fault = verify(&world).await.fault;
        assert_eq!(
            fault,
            Some(Fault {
                position,
                what: what.to_owned()
            }),
            "{change}"
        );
        behind_its_back(
            &world,
            &["delete from events", "insert into events select * from saved"],
        )
        .await;
        assert_eq!(verify(&world).await.fault, None);
    }
    behind_its_back(&world, &["delete from events where position = 7"]).await;
    assert_eq!(
        verify(&world).await.fault,
        Some(Fault {
            position: 7,
            what: "missing".to_owned()
        })
    );
}

#[tokio::test]
async fn swapped_events_change_the_leaves_that_were_signed_for() {
    let world = log_of_ten().await;
    let signed = verify(&world).await.leaves;
    let to = |from: i64, to: i64| {
        format!(
            "update events set position = {to} where position = {from} and tenant_id = '{}'",
            world.tenant.uuid()
        )
    };
    behind_its_back(&world, &[&to(4, 99), &to(5, 4), &to(99, 5)]).await;
    let swapped = verify(&world).await.leaves;
    assert_ne!(formats::root_of(&swapped), formats::root_of(&signed));
    assert_eq!((swapped[3], swapped[4]), (signed[4], signed[3]));
}

/// As someone who owns the database and switches its triggers off.
async fn behind_its_back(world: &World, statements: &[&str]) {
    let mut tx = world.admin.begin().await.unwrap();
    sqlx::raw_sql(
        "set local session_replication_role = replica; create table if not exists saved as select * from events",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe((*statement).to_owned()))
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
}
