//! What an identity provider says of people by SCIM, followed to the requests of their machines.

use formats::RequestId;
use model::{Role, request::Narrowing};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, client};

const PASSWORD: &str = "a gate of seven bars";

/// What acme's identity provider asks for, with its token.
async fn scim(world: &World, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let ask = world
        .nobody
        .request(method, format!("{}/scim/v2{path}", world.url()))
        .bearer_auth(&world.tenant("acme").scim_token);
    let ask = match body {
        Some(body) => ask
            .header("content-type", "application/scim+json")
            .body(body.to_string()),
        None => ask,
    };
    let answer = ask.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_scim_links_is_its_users_own_until_they_leave_and_all_of_theirs_ends() {
    let world = World::begin().await;
    let (app, after) = (world.app(), world.log("acme", 0).await.len() as u64);
    let (endpoint, owner) = (world.endpoint("acme").await, world.caller("acme", "owner").await);
    let (own, own_digest) = world.file(&endpoint, "setup-own.exe").await;
    let attribute = Some("nickName".to_owned());
    app.change_account_attribute(&owner, attribute).await.unwrap();

    // The account was seen before, in another spelling, and the new user's attribute names it.
    let user = json!({ "userName": "robin@acme.test", "displayName": "Robin", "nickName": "demo\\ROBIN",
        "emails": [{ "value": "robin@acme.test", "primary": true }] });
    let (status, made) = scim(&world, Method::POST, "/Users", Some(user)).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap().to_owned();
    let linked = world
        .until("the link", async || {
            let log = world.log("acme", after).await;
            log.into_iter().find(|e| e.body.event_type == "EndpointAccountLinked")
        })
        .await;
    assert_eq!(
        (&linked.body.data["by"], &linked.body.data["user"]),
        (&json!("scim"), &json!(id))
    );

    // They may decide, but not this: it is their own, though it was filed before anybody knew whose account that is.
    let robin = id.parse().unwrap();
    app.assign_roles(&owner, robin, vec![Role::Approver, Role::Admin])
        .await
        .unwrap();
    let token = app.invite(&owner, robin, false).await.unwrap().1;
    let browser = client(true);
    let body = json!({ "token": token, "password": PASSWORD });
    let begun = browser.post(format!("{}/auth/invitation", world.url())).json(&body);
    assert_eq!(begun.send().await.unwrap().status(), 200);
    let session = async || {
        let answer = browser.get(format!("{}/auth/session", world.url())).send().await;
        answer.unwrap().status().as_u16()
    };
    assert_eq!(session().await, 200);
    let themselves = app.acting_as(owner.tenant, robin, owner.origin.clone()).await.unwrap();
    let refused = app
        .approve(&themselves, own, &own_digest, Narrowing::default(), None)
        .await;
    assert_eq!(refused.unwrap_err().code, "SELF_APPROVAL");

    // A grant of theirs, and a request that waits.
    app.approve(&owner, own, &own_digest, Narrowing::default(), None)
        .await
        .unwrap();
    let (open, _) = world.file(&endpoint, "setup-open.exe").await;
    let (status, _) = scim(&world, Method::DELETE, &format!("/Users/{id}"), None).await;
    assert_eq!(status, 204);
    assert_eq!(session().await, 401, "at once");
    world
        .until("the end of what was theirs", async || {
            let log = world.log("acme", after).await;
            let has = |request: RequestId, kind: &str| {
                log.iter()
                    .any(|e| e.body.stream.id == formats::TypedId::uuid(request) && e.body.event_type == kind)
            };
            (has(open, "RequestCancelled") && has(own, "GrantRevoked")).then_some(())
        })
        .await;
    world.end().await;
}
