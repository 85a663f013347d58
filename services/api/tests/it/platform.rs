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

    for days in [0, 3_651, u32::MAX] {
        let refused = json!({ "confirm": "acme", "graceDays": days });
        let refused = world.post(&delete, &world.operator, &refused).await.expect(422);
        assert_eq!(refused.code(), "BAD_INPUT", "{days}");
    }
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
        principal: commands::Principal::Operator {
            name: "ops".to_owned(),
            method: "platform_credential",
        },
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

/// The list has an end; the door does not.
#[tokio::test]
async fn a_tenant_behind_ten_thousand_others_is_found_and_closed() {
    let world = World::new().await;
    sqlx::query("insert into tenant (id, slug, created_at) select gen_random_uuid(), 'a' || n, now() from generate_series(1, 10000) n")
        .execute(world.app.pool())
        .await
        .unwrap();
    let path = format!("/platform/v1/tenants/{}", world.outsider);
    world.get(&path, &world.operator).await.expect(200);
    let reason = json!({ "reason": "unpaid" });
    let closed = world.post(&format!("{path}/suspend"), &world.operator, &reason).await;
    assert_eq!(closed.expect(200).json()["status"], "suspended");
    let list = world
        .get("/platform/v1/tenants", &world.operator)
        .await
        .expect(200)
        .json();
    assert_eq!(list["tenants"].as_array().unwrap().len(), 10_000);
}

/// Whatever an operator does is in the platform's own log, before it is done; a refusal is noted after it.
#[tokio::test]
async fn every_act_is_in_the_platforms_log_with_who_how_from_where_and_in_which_call() {
    let world = World::new().await;
    let owner = world.owner().await.user().unwrap();
    let path = format!("/platform/v1/tenants/{}", world.outsider);
    let reason = json!({ "reason": "unpaid" });
    let new = json!({ "slug": "third", "name": "Third", "owner": { "email": "x@third.example", "name": "X" } });
    let confirm = json!({ "confirm": "outsider", "graceDays": 30 });
    let mut expected = Vec::new();
    for (act, path, body, slug, refused) in [
        ("createTenant", "/platform/v1/tenants", &new, "third", None),
        (
            "createTenant",
            "/platform/v1/tenants",
            &new,
            "third",
            Some("NAME_TAKEN"),
        ),
        ("suspendTenant", &format!("{path}/suspend"), &reason, "outsider", None),
        (
            "suspendTenant",
            &format!("{path}/suspend"),
            &reason,
            "outsider",
            Some("ALREADY_SUSPENDED"),
        ),
        ("resumeTenant", &format!("{path}/resume"), &reason, "outsider", None),
        ("deleteTenant", &format!("{path}/delete"), &confirm, "outsider", None),
        (
            "cancelTenantDeletion",
            &format!("{path}/cancel-deletion"),
            &reason,
            "outsider",
            None,
        ),
    ] {
        let ask = request(Method::POST, path).bearer(&world.operator).from("203.0.113.9");
        let reply = world.send(ask.json(body)).await;
        assert_eq!(reply.status.is_success(), refused.is_none(), "{act}: {}", reply.text());
        let call = reply.header("x-request-id").to_owned();
        expected.push((act, slug, None, call.clone()));
        if refused.is_some() {
            expected.push((act, slug, refused, call));
        }
    }
    let log = world.get("/platform/v1/log", &world.operator).await.expect(200).json();
    let acts = log["acts"].as_array().unwrap();
    for (entry, (act, slug, refused, call)) in acts.iter().zip(expected.iter().rev()) {
        assert_eq!(
            (&entry["act"], &entry["tenantSlug"], &entry["refused"]),
            (&json!(act), &json!(slug), &json!(refused)),
            "{log}"
        );
        assert_eq!(
            (
                &entry["operator"],
                &entry["method"],
                &entry["address"],
                &entry["correlationId"]
            ),
            (
                &json!("ops"),
                &json!("platform_credential"),
                &json!("203.0.113.9"),
                &json!(call)
            )
        );
    }
    // The two tenants of this world were made before.
    assert_eq!(acts.len(), expected.len() + 2);

    // Whatever the command line does besides.
    let shell = commands::Caller {
        principal: commands::Principal::Operator {
            name: "root".to_owned(),
            method: "command_line",
        },
        ..world.system()
    };
    let app = &world.app;
    app.create_platform_credential(&shell, "second").await.unwrap();
    app.revoke_platform_credential(&shell, "second").await.unwrap();
    app.rotate_key(&shell, formats::Purpose::Token, Duration::ZERO)
        .await
        .unwrap();
    app.revoke_key(&shell, "nothing").await.unwrap_err();
    app.rotate_data_key(&shell).await.unwrap();
    app.rewrap_data_keys(&shell).await.unwrap();
    app.invite_owner(&shell, owner).await.unwrap();
    app.help_back_in(&shell, owner, false).await.unwrap();
    let log = app.platform_log(&shell, None, 9).await.unwrap();
    let acts: Vec<_> = log.iter().rev().map(|entry| entry.act.as_str()).collect();
    assert_eq!(
        acts,
        [
            "createPlatformCredential",
            "revokePlatformCredential",
            "rotateKey",
            "revokeKey",
            "revokeKey",
            "rotateDataKey",
            "rewrapDataKeys",
            "inviteOwner",
            "resetUser"
        ]
    );
    assert!(
        log.iter()
            .all(|entry| entry.operator == "root" && entry.method == "command_line")
    );
    assert_eq!(log[4].refused.as_deref(), Some("NOT_FOUND"));
    // Each page goes on where the one before ended.
    let first = app.platform_log(&shell, None, 4).await.unwrap();
    let second = app.platform_log(&shell, Some(first[3].position), 5).await.unwrap();
    assert_eq!([first, second].concat(), log);
    let wrong = world.get("/platform/v1/log?limit=501", &world.operator).await;
    assert_eq!(wrong.expect(422).json()["field"], "limit");
}

/// The platform's own tenant is in no list, and nothing can be done to it.
#[tokio::test]
async fn the_platforms_own_tenant_is_none_of_the_tenants() {
    let world = World::new().await;
    let path = format!("/platform/v1/tenants/{}", commands::PLATFORM);
    world.get(&path, &world.operator).await.expect(404);
    let (suspend, reason) = (format!("{path}/suspend"), json!({ "reason": "" }));
    world.post(&suspend, &world.operator, &reason).await.expect(404);
    let shell = commands::Caller {
        tenant: commands::PLATFORM,
        ..world.system()
    };
    let suspended = world.app.suspend_tenant(&shell, String::new()).await.unwrap_err();
    assert_eq!(suspended.code, "NOT_FOUND");
    let new = json!({ "slug": "platform", "name": "P", "owner": { "email": "x@p.example", "name": "X" } });
    let taken = world.post("/platform/v1/tenants", &world.operator, &new).await;
    assert_eq!(taken.expect(409).code(), "NAME_TAKEN");
    let body = json!({ "tenant": "platform", "email": "x@p.example", "password": crate::world::PASSWORD });
    world
        .send(request(Method::POST, "/auth/sign-in").json(&body))
        .await
        .expect(401);
}
