//! What is over goes, in batches; what still counts stays.

use std::time::Duration;

use commands::auth::SWEEP_ROWS;
use eventstore::TenantTx;
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::world::{PASSWORD, World, request};

async fn count(world: &World, table: &str) -> i64 {
    let mut tx = TenantTx::begin_read(world.app.pool(), world.tenant).await.unwrap();
    let sql = format!("select count(*) from {table}");
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(&mut *tx)
        .await
        .unwrap()
}

#[tokio::test]
async fn failures_of_addresses_that_nobody_has_go_after_a_day_and_live_sessions_stay() {
    let world = World::new().await;
    let browser = world.browser("owner").await;
    for n in 0..6 {
        let body = json!({ "tenant": "acme", "email": "nobody@acme.example", "password": format!("{PASSWORD}{n}") });
        let reply = world
            .send(request(axum::http::Method::POST, "/auth/sign-in").json(&body))
            .await;
        assert!(reply.status.is_client_error());
    }
    assert_eq!(
        (count(&world, "auth_failure").await, count(&world, "auth_lock").await),
        (5, 1)
    );
    assert!(!world.app.sweep(world.tenant).await.unwrap());
    assert_eq!(count(&world, "auth_failure").await, 5, "they count for a day");
    world.clock.advance(Duration::from_secs(60 * 60));
    world.app.sweep(world.tenant).await.unwrap();
    assert_eq!(
        (count(&world, "auth_failure").await, count(&world, "auth_lock").await),
        (5, 0)
    );
    browser.get("/auth/session").await.expect(200);
    world.clock.advance(Duration::from_secs(25 * 60 * 60));
    world.app.sweep(world.tenant).await.unwrap();
    assert_eq!(count(&world, "auth_failure").await, 0);
    assert_eq!(
        count(&world, "session").await,
        1,
        "a session that is over is shown for a week"
    );
    world.clock.advance(Duration::from_secs(8 * 24 * 60 * 60));
    world.app.sweep(world.tenant).await.unwrap();
    assert_eq!(count(&world, "session").await, 0);
}

#[tokio::test]
async fn a_heap_goes_in_finite_batches_and_only_the_tenants_own() {
    let world = World::new().await;
    let over = world.app.now().to_datetime();
    for tenant in [world.tenant, world.outsider] {
        let mut tx = TenantTx::begin(world.app.pool(), tenant).await.unwrap();
        sqlx::query(
            "insert into agent_assertion (tenant_id, jti, expires_at)
             select $1, gen_random_uuid(), $2 from generate_series(1, $3)",
        )
        .bind(tenant.uuid())
        .bind(over)
        .bind(i32::try_from(2 * SWEEP_ROWS + 7).unwrap())
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }
    world.clock.advance(Duration::from_secs(1));
    for left in [SWEEP_ROWS + 7, 7] {
        assert!(world.app.sweep(world.tenant).await.unwrap());
        assert_eq!(count(&world, "agent_assertion").await, i64::from(left));
    }
    assert!(!world.app.sweep(world.tenant).await.unwrap());
    assert_eq!(count(&world, "agent_assertion").await, 0);
    let mut tx = TenantTx::begin_read(world.app.pool(), world.outsider).await.unwrap();
    let others: i64 = sqlx::query_scalar("select count(*) from agent_assertion")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(others, i64::from(2 * SWEEP_ROWS + 7));
}
