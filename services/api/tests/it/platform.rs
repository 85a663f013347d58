//! What operators do.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use crate::world::{World, request};

#[tokio::test]
async fn an_operator_makes_closes_opens_and_deletes_a_tenant() {
    let world = World::new().await;
    let browser = world.browser("owner").await;
    let list = world
        .get("/platform/v1/tenants", &world.operator)
        .await
        .expect(200)
        .json();
    let slugs: Vec<_> = list["tenants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["slug"].clone())
        .collect();
    assert_eq!(slugs, ["acme", "outsider"]);
    let path = format!("/platform/v1/tenants/{}", world.tenant);

    let suspended = world
        .post(
            &format!("{path}/suspend"),
            &world.operator,
            &json!({ "reason": "unpaid" }),
        )
        .await;
    assert_eq!(suspended.expect(200).json()["status"], "suspended");
    assert_eq!(
        browser.get("/auth/session").await.expect(403).code(),
        "TENANT_SUSPENDED"
    );
    world.sign_in("owner", None).await.expect(403);
    let resumed = world
        .post(&format!("{path}/resume"), &world.operator, &json!({ "reason": "paid" }))
        .await;
    assert_eq!(resumed.expect(200).json()["status"], "active");
    browser.get("/auth/session").await.expect(200);

    let delete = format!("{path}/delete");
    let unsure = world
        .post(&delete, &world.operator, &json!({ "confirm": "outsider" }))
        .await;
    assert_eq!(unsure.code(), "CONFIRMATION_NEEDED");
    let sure = world
        .post(&delete, &world.operator, &json!({ "confirm": "acme", "graceDays": 30 }))
        .await;
    assert_eq!(sure.status.as_u16(), 202, "{}", sure.text());
    assert_eq!(
        (sure.json()["status"].as_str(), sure.json()["purgeAt"].is_string()),
        (Some("deleting"), true)
    );
    world.sign_in("owner", None).await.expect(403);
    let again = json!({ "confirm": "acme", "graceDays": 1 });
    let twice = world.post(&delete, &world.operator, &again).await.expect(409);
    assert_eq!(twice.code(), "DELETION_REQUESTED");

    let cancel = format!("{path}/cancel-deletion");
    let stays = world
        .post(&cancel, &world.operator, &json!({ "reason": "a mistake" }))
        .await;
    let stays = stays.expect(200).json();
    assert_eq!(
        (stays["status"].as_str(), stays["purgeAt"].is_null()),
        (Some("active"), true)
    );
    browser.get("/auth/session").await.expect(200);

    let hasty = json!({ "confirm": "acme", "graceDays": 0 });
    assert_eq!(
        world.post(&delete, &world.operator, &hasty).await.expect(422).code(),
        "BAD_INPUT"
    );
    world.post(&delete, &world.operator, &again).await.expect(202);
    world.clock.advance(Duration::from_secs(24 * 60 * 60));
    let late = world.post(&cancel, &world.operator, &json!({ "reason": "" })).await;
    assert_eq!(late.expect(409).code(), "DELETION_DUE");
    let none = world.get("/platform/v1/purges", &world.operator).await.expect(200);
    assert_eq!(none.json()["purges"], json!([]), "the server itself removes nothing");
}

/// A process died between the event and the mark that doors look at: the same act again mends the mark.
#[tokio::test]
async fn an_act_that_was_noted_but_not_carried_out_is_carried_out_when_it_is_asked_for_again() {
    let world = World::new().await;
    let operator = commands::Caller {
        principal: commands::Principal::Operator { name: "ops".to_owned() },
        ..world.system()
    };
    world.app.suspend_tenant(&operator, String::new()).await.unwrap();
    sqlx::query("update tenant set status = 'active' where id = $1")
        .bind(world.tenant.uuid())
        .execute(world.app.pool())
        .await
        .unwrap();
    world.sign_in("owner", None).await.expect(200);
    let again = world.app.suspend_tenant(&operator, String::new()).await.unwrap_err();
    assert_eq!(again.code, "ALREADY_SUSPENDED");
    world.sign_in("owner", None).await.expect(403);
}

#[tokio::test]
async fn nobody_else_gets_in() {
    let world = World::new().await;
    let browser = world.browser("owner").await;
    browser.get("/platform/v1/tenants").await.expect(401);
    world.get("/platform/v1/tenants", "pct_plt_rubbish").await.expect(401);
    let operator_as_user = world.get("/auth/session", &world.operator).await;
    assert_eq!(operator_as_user.expect(401).code(), "UNAUTHENTICATED");
    world
        .get(&format!("/audit/v1/{}/events", world.tenant), &world.operator)
        .await
        .expect(401);
}

#[tokio::test]
async fn a_slug_is_given_once_and_an_unknown_tenant_is_not_there() {
    let world = World::new().await;
    let body = json!({ "slug": "acme", "name": "Again", "owner": { "email": "x@acme.example", "name": "X" } });
    assert_eq!(
        world
            .post("/platform/v1/tenants", &world.operator, &body)
            .await
            .expect(409)
            .code(),
        "NAME_TAKEN"
    );
    let unknown = "/platform/v1/tenants/ten_01h2xcejqtf2nbrexx3vqjhp41";
    world.get(unknown, &world.operator).await.expect(404);
    let wrong = request(Method::DELETE, unknown).bearer(&world.operator).empty();
    assert_eq!(world.send(wrong).await.expect(405).header("allow"), "GET,HEAD");
}
