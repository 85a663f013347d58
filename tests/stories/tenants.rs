//! A tenant's life from the outside: closed, called back, and removed whole once its grace period is over.

use std::{collections::BTreeMap, process::Command, time::Duration};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};

use crate::{installation::program, world::World};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Rows of each table that knows of tenants, as the role that removes them sees them.
async fn rows(world: &World, tenant: uuid::Uuid) -> BTreeMap<String, i64> {
    let purge = sqlx::PgPool::connect(&purge_url(world)).await.unwrap();
    let mut tx = purge.begin().await.unwrap();
    let set = format!("set local app.tenant = '{tenant}'");
    sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut *tx).await.unwrap();
    let tables = sqlx::query(
        "select c.relname::text as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    let mut rows = BTreeMap::new();
    for table in tables {
        let table: String = table.get("name");
        let sql = format!("select count(*) from {table} where tenant_id = '{tenant}'");
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        if count > 0 {
            rows.insert(table, count);
        }
    }
    rows
}

fn purge_url(world: &World) -> String {
    let url = &world.server.ready.database_url;
    assert!(url.contains("portcullis_app"), "{url}");
    url.replace("portcullis_app", "portcullis_purge")
}

async fn operate(world: &World, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let url = format!("{}/platform/v1/{path}", world.url());
    let call = match body {
        Some(body) => world.nobody.post(url).json(&body),
        None => world.nobody.get(url),
    };
    let answer = call
        .bearer_auth(&world.server.ready.platform_token)
        .send()
        .await
        .unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tenant_is_gone_whole_after_its_grace_period_and_the_other_has_lost_nothing() {
    let world = World::begin().await;
    let (acme, globex) = (world.tenant_id("acme"), world.tenant_id("globex"));
    let path = format!("tenants/{globex}");
    let delete = json!({ "confirm": "globex", "graceDays": 2 });
    let (status, told) = operate(&world, &format!("{path}/delete"), Some(delete.clone())).await;
    assert_eq!(
        (status, told["status"].as_str()),
        (StatusCode::ACCEPTED, Some("deleting")),
        "{told}"
    );
    let refused = world
        .nobody
        .get(format!("{}/graphql", world.url()))
        .bearer_auth(&world.tenant("globex").api_key)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN, "its keys work no more");

    // Called back within the grace period it is as it was.
    world.advance(DAY).await;
    let (status, _) = operate(
        &world,
        &format!("{path}/cancel-deletion"),
        Some(json!({ "reason": "a mistake" })),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    world.browser("globex", "admin").await;

    operate(&world, &format!("{path}/delete"), Some(delete)).await;
    let (held, kept) = (rows(&world, globex.uuid()).await, rows(&world, acme.uuid()).await);
    assert!(held.len() > 30, "demo data is nearly everywhere: {held:?}");
    world.advance(2 * DAY).await;
    // The tool as it is run in earnest; the loop of development mode may be at it at the same time.
    let tool = Command::new(program())
        .args(["tenant", "purge", "--status", "--json"])
        .env("PORTCULLIS_PURGE_DATABASE_URL", purge_url(&world))
        .output()
        .unwrap();
    assert!(tool.status.success(), "{}", String::from_utf8_lossy(&tool.stderr));
    let finished = async || {
        let (_, told) = operate(&world, "purges", None).await;
        told["purges"]
            .as_array()?
            .iter()
            .find(|p| p["finishedAt"].is_string())
            .cloned()
    };
    let told = world
        .until_within(Duration::from_secs(60), "the end of the purge", finished)
        .await;
    assert_eq!(told["slug"], "globex");
    assert_eq!(rows(&world, globex.uuid()).await, BTreeMap::new());
    let (status, _) = operate(&world, &path, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    // Timers of the other tenant ran on, so that it may have more rows, never fewer in what only grows.
    let now = rows(&world, acme.uuid()).await;
    for table in [
        "events",
        "stream",
        "command",
        "person_key",
        "tenant_key",
        "user_password",
        "endpoint_route",
    ] {
        assert!(now.get(table) >= kept.get(table), "{table}: {now:?}");
    }
    world.browser("acme", "admin").await;
    world.end().await;
}
