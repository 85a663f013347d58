//! I1: positions are 1..head, unique and without a gap.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::task::JoinSet;

use crate::{
    checks::gapless,
    member::Command,
    world::{World, make_tenant, run},
};

#[tokio::test(flavor = "multi_thread")]
async fn positions_have_no_gap_whatever_many_writers_of_two_processes_do() {
    let world = Arc::new(World::new().await);
    let third = make_tenant(&world.store, "third").await;
    let tenants = [world.tenant, world.other, third];
    let stores = [world.store.clone(), world.process().await];
    let mut shared = Vec::new();
    for tenant in tenants {
        let id = world.id();
        crate::world::join(&world.store, tenant, id, "shared@example.test")
            .await
            .unwrap();
        shared.push(id);
    }
    let mut writers = JoinSet::new();
    for writer in 0..24u64 {
        let (store, tenant) = (stores[writer as usize % 2].clone(), tenants[writer as usize % 3]);
        let (shared, own) = (shared[writer as usize % 3], world.id());
        writers.spawn(async move {
            crate::world::join(&store, tenant, own, &format!("w{writer}@example.test"))
                .await
                .unwrap();
            for n in 0..12 {
                // Bursts of 0 to 4 events, on a stream of one's own or one that all fight for; some are refused.
                let id = if n % 3 == 0 { shared } else { own };
                let command = if n % 5 == 4 {
                    // Some of these are taken by others; none is an address that somebody has yet to join with.
                    Command::ChangeEmail {
                        email: format!("c{}@example.test", (writer + n) % 24),
                    }
                } else {
                    Command::Burst {
                        events: (writer * 7 + n) % 5,
                    }
                };
                let _ = run(&store, tenant, id, command).await;
            }
        });
    }
    writers.join_all().await;
    for tenant in tenants {
        let positions = world.positions(tenant).await;
        assert_eq!(gapless(&positions), Ok(()));
        assert_eq!(world.store.head(tenant).await.unwrap(), positions.len() as u64);
        assert!(positions.len() > 100, "{} events", positions.len());
    }
}

/// The broken variant: a position from a sequence is taken by a transaction that is refused afterwards.
#[tokio::test]
async fn control_positions_from_a_sequence_have_gaps() {
    let world = World::new().await;
    sqlx::raw_sql("create table control_events (position bigserial primary key, stream uuid not null, version bigint, unique (stream, version))")
        .execute(&world.admin)
        .await
        .unwrap();
    let stream = world.id();
    for version in [1, 1, 2] {
        let _ = sqlx::query("insert into control_events (stream, version) values ($1, $2)")
            .bind(stream)
            .bind(version)
            .execute(&world.admin)
            .await;
    }
    assert_eq!(
        gapless(&control_positions(&world.admin).await),
        Err("position 2 is wanted, 3 is there".to_owned())
    );
}

async fn control_positions(admin: &PgPool) -> Vec<i64> {
    sqlx::query_scalar("select position from control_events order by position")
        .fetch_all(admin)
        .await
        .unwrap()
}
