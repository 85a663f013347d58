//! Tokens: who comes in, for how long, and what the log says of it.

use std::time::Duration;

use axum::http::Method;
use commands::Caller;
use serde_json::{Value, json};

use super::{Idp, error};
use crate::{
    graphql::{change, data, refused},
    world::{World, request},
};

async fn is_good(world: &World, token: &str) -> bool {
    let reply = world.get("/scim/v2/Users", token).await;
    if reply.status.as_u16() == 200 {
        return true;
    }
    assert_eq!(reply.json()["detail"], "sign in, or show a valid credential");
    error(reply, 401);
    false
}

#[tokio::test]
async fn a_token_is_shown_once_exchanged_and_revoked_by_an_admin() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let issue = |label: &str| json!({ "label": label, "expiresAt": null });
    let fields = "scimToken { id label role lastUsedAt expiresAt } secret";
    let first = change(&owner, "issueScimToken", issue("Directory"), fields).await;
    let secret = first["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("pct_scim_"));
    assert_eq!(first["scimToken"]["role"], "OWNER");
    assert!(is_good(&world, &secret).await);
    let shown = data(&owner, "{ scim { address tokens { id lastUsedAt } } }", json!({})).await;
    assert!(shown["scim"]["tokens"][0]["lastUsedAt"].is_string(), "{shown}");
    assert!(!shown.to_string().contains("pct_"));

    let old = first["scimToken"]["id"].clone();
    let rotate = json!({ "scimTokenId": old, "overlapHours": 1 });
    let second = change(&owner, "rotateScimToken", rotate.clone(), fields).await;
    let new = second["secret"].as_str().unwrap().to_owned();
    assert_eq!(second["scimToken"]["label"], "Directory");
    assert!(is_good(&world, &secret).await && is_good(&world, &new).await);
    assert_eq!(refused(&owner, "rotateScimToken", rotate).await, "TOO_MANY_TOKENS");
    assert_eq!(
        refused(&owner, "issueScimToken", issue("Third")).await,
        "TOO_MANY_TOKENS"
    );
    world.clock.advance(Duration::from_secs(3600));
    assert!(!is_good(&world, &secret).await && is_good(&world, &new).await);

    change(
        &owner,
        "revokeScimToken",
        json!({ "scimTokenId": second["scimToken"]["id"] }),
        "scimToken { revokedAt }",
    )
    .await;
    assert!(!is_good(&world, &new).await);
    let past = json!({ "label": "Late", "expiresAt": "2020-01-01T00:00:00Z" });
    assert_eq!(refused(&owner, "issueScimToken", past).await, "BAD_INPUT");
}

#[tokio::test]
async fn a_token_ends_at_its_moment_and_everything_else_is_no_token() {
    let world = World::new().await;
    let end = world.app.ambient().now() + Duration::from_secs(60);
    let issued = world
        .app
        .issue_scim_token(&world.system(), "Directory".to_owned(), Some(end))
        .await
        .unwrap();
    let secret = issued.secret.unwrap();
    assert!(is_good(&world, &secret).await);
    let mut wrong = secret.clone();
    wrong.replace_range(
        secret.len() - 2..secret.len() - 1,
        if secret.ends_with("aa") { "b" } else { "a" },
    );
    for other in ["", "nonsense", &wrong, &world.operator, &secret[..40]] {
        assert!(!is_good(&world, other).await || other == secret);
    }
    error(world.send(request(Method::GET, "/scim/v2/Users").empty()).await, 401);
    // A person's session is no token, and a token opens no other door.
    error(world.browser("owner").await.get("/scim/v2/Users").await, 401);
    world.get("/auth/session", &secret).await.expect(401);
    let graphql = request(Method::POST, "/graphql")
        .bearer(&secret)
        .json(&json!({ "query": "{ viewer { id } }" }));
    world.send(graphql).await.expect(401);
    world.clock.advance(Duration::from_secs(60));
    assert!(!is_good(&world, &secret).await);
}

#[tokio::test]
async fn a_token_sees_its_own_tenant_alone() {
    let world = World::new().await;
    let idp = world.idp().await;
    let user = idp.user("dana").await;
    let group = idp
        .post("/Groups", &json!({ "displayName": "Desk" }))
        .await
        .expect(201)
        .json();
    let group = format!("/Groups/{}", group["id"].as_str().unwrap());
    let system = Caller::system(world.outsider, uuid::Uuid::nil());
    let issued = world
        .app
        .issue_scim_token(&system, "Theirs".to_owned(), None)
        .await
        .unwrap();
    let outsider = Idp {
        world: &world,
        token: issued.secret.unwrap(),
    };
    let body = json!({ "userName": "x@corp.example", "displayName": "X" });
    let operations = json!([{ "op": "replace", "path": "displayName", "value": "X" }]);
    for path in [&user, &group] {
        let unknown = format!("{}_01h2xcejqtf2nbrexx3vqjhp41", path.split('_').next().unwrap());
        for (theirs, nobodys) in [
            (outsider.get(path).await, outsider.get(&unknown).await),
            (outsider.put(path, &body).await, outsider.put(&unknown, &body).await),
            (
                outsider.patch(path, operations.clone()).await,
                outsider.patch(&unknown, operations.clone()).await,
            ),
            (outsider.delete(path).await, outsider.delete(&unknown).await),
        ] {
            assert_eq!(theirs.json(), nobodys.json());
            error(theirs, 404);
        }
    }
    let id = user.rsplit('/').next().unwrap();
    let with_theirs = json!({ "displayName": "Mine", "members": [{ "value": id }] });
    assert_eq!(error(outsider.post("/Groups", &with_theirs).await, 400), "invalidValue");
    for filter in ["userName sw \"dana\"".to_owned(), format!("id eq \"{id}\"")] {
        assert!(outsider.found("Users", &filter).await.is_empty());
    }
    // The same name is free there.
    outsider
        .post("/Users", &json!({ "userName": "dana@corp.example" }))
        .await
        .expect(201);
}

#[tokio::test]
async fn everything_a_token_does_is_in_the_log_under_its_name() {
    let world = World::new().await;
    let issued = world
        .app
        .issue_scim_token(&world.system(), "Directory".to_owned(), None)
        .await
        .unwrap();
    let (id, secret) = (
        formats::ScimTokenId::from_uuid(issued.id).to_string(),
        issued.secret.unwrap(),
    );
    let before = world.app.store.head(world.tenant).await.unwrap();
    let body = json!({ "userName": "dana@corp.example", "displayName": "Dana" });
    let ask = request(Method::POST, "/scim/v2/Users")
        .bearer(&secret)
        .from("203.0.113.9");
    let made = world.send(ask.json(&body)).await.expect(201);
    let path = format!("/scim/v2/Users/{}", made.json()["id"].as_str().unwrap());
    world
        .send(
            request(Method::DELETE, &path)
                .bearer(&secret)
                .from("203.0.113.9")
                .empty(),
        )
        .await
        .expect(204);
    world.settle(world.tenant).await;
    let events = world.app.store.read(world.tenant, before, 50).await.unwrap();
    let types: Vec<_> = events.iter().map(|event| event.body.event_type.as_str()).collect();
    assert_eq!(
        types,
        ["UserCreated", "UserProvisioned", "UserDisabled", "UserDeprovisioned"]
    );
    for event in &events {
        let body = serde_json::to_value(&event.body).unwrap();
        assert_eq!(
            body["actor"],
            json!({ "kind": "scim_token", "id": id, "method": "scim_token" })
        );
        assert_eq!(body["meta"]["address"], "203.0.113.9");
    }
    assert_eq!(events[0].body.meta.correlation.to_string(), made.header("x-request-id"));
    assert_ne!(events[3].body.meta.correlation, events[0].body.meta.correlation);

    let owner = world.browser("owner").await;
    let query = "{ auditEvents(first: 20) { nodes { type actor { kind name } } } }";
    let seen: Value = data(&owner, query, json!({})).await;
    let actor = json!({ "kind": "SCIM_TOKEN", "name": "SCIM token Directory" });
    let nodes = seen["auditEvents"]["nodes"].as_array().unwrap();
    assert!(nodes.iter().any(|node| node["actor"] == actor), "{seen}");
}

#[tokio::test]
async fn a_repeat_under_one_idempotency_key_makes_one_user() {
    let world = World::new().await;
    let idp = world.idp().await;
    let body = json!({ "userName": "dana@corp.example" });
    let key = [("idempotency-key", "k-1")];
    let path = idp.user("eve").await;
    let patch = json!({ "Operations": [{ "op": "add", "path": "title", "value": "Boss" }] });
    let first = idp.call(Method::PATCH, &path, Some(&patch), &key).await.expect(200);
    let again = idp.call(Method::PATCH, &path, Some(&patch), &key).await.expect(200);
    assert_eq!(first.json(), again.json());
    let key = [("idempotency-key", "k-2")];
    let first = idp.call(Method::POST, "/Users", Some(&body), &key).await.expect(201);
    let again = idp.call(Method::POST, "/Users", Some(&body), &key).await.expect(201);
    assert_eq!(first.json()["id"], again.json()["id"]);
    // The control: without the key the second one is another one, whose name is taken.
    for another in [&[][..], &[("idempotency-key", "k-3")]] {
        let taken = idp.call(Method::POST, "/Users", Some(&body), another).await.expect(409);
        assert_eq!(taken.json()["scimType"], "uniqueness");
    }
    // One who was deleted comes back once, too.
    let path = format!("/Users/{}", first.json()["id"].as_str().unwrap());
    idp.delete(&path).await.expect(204);
    let key = [("idempotency-key", "k-4")];
    for _ in 0..2 {
        let back = idp.call(Method::POST, "/Users", Some(&body), &key).await.expect(201);
        assert_eq!(back.json()["id"], first.json()["id"]);
    }
}
