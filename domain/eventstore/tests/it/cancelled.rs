//! A caller that goes away while a transaction begins leaves no connection inside one.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use eventstore::TenantTx;
use sqlx::{PgPool, Row};

use crate::world::World;

/// Drops a future after so many polls: what happens to a handler whose client went away.
async fn abandon(future: impl Future, polls: u32) {
    let mut future = pin!(future);
    for _ in 0..polls {
        let done = std::future::poll_fn(|cx: &mut Context<'_>| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
        if done {
            return;
        }
        tokio::time::sleep(Duration::from_micros(50)).await;
    }
}

/// Whether the pool's only connection is handed out inside a transaction that somebody else began.
async fn is_inside(pool: &PgPool) -> bool {
    // As a simple query: in the extended protocol the two differ by the time between two messages.
    let row = sqlx::raw_sql("select transaction_timestamp() = statement_timestamp()")
        .fetch_one(pool)
        .await
        .unwrap();
    let outside: bool = row.try_get_unchecked(0).unwrap();
    !outside
}

async fn single() -> (World, PgPool) {
    let world = World::new().await;
    let pool = eventstore::connect(&world.database.url_app, 1).await.unwrap();
    (world, pool)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_begin_that_nobody_waits_for_is_rolled_back() {
    let (world, pool) = single().await;
    for n in 0..60 {
        abandon(TenantTx::begin(&pool, world.tenant), n % 6 + 1).await;
        abandon(TenantTx::begin_read(&pool, world.tenant), n % 6 + 1).await;
        assert!(!is_inside(&pool).await);
    }
}

/// The control: the same check finds the transaction that a plain `begin` leaves behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_plain_begin_that_nobody_waits_for_is_found() {
    let (_world, pool) = single().await;
    let mut found = false;
    for n in 0..60 {
        abandon(pool.begin_with("begin"), n % 6 + 1).await;
        found |= is_inside(&pool).await;
    }
    assert!(found);
}
