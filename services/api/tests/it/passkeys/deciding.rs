//! Deciding with a passkey, on the page behind a mail's link and where the tenant wants a fresh second factor.

use axum::http::{Method, header};
use formats::RequestId;
use model::{Role, request::Status};
use serde_json::{Value, json};

use super::{events, with_passkey, world};
use crate::world::{Agent, Reply, World, request};

struct Link {
    path: String,
    digest: String,
    request: RequestId,
}

async fn link(world: &World, agent: &Agent<'_>, program: &str, approver: formats::UserId) -> Link {
    let filed = agent.submit(program).await.expect(201).json();
    let request: RequestId = filed["requestId"].as_str().unwrap().parse().unwrap();
    let url = world.app.link_for(world.tenant, request, approver).await.unwrap();
    let path = url
        .strip_prefix(world.app.config.public_url.as_str())
        .unwrap()
        .to_owned();
    Link {
        path,
        digest: agent.action(program).1,
        request,
    }
}

async fn ask(world: &World, link: &Link) -> Reply {
    let body = json!({ "digest": link.digest });
    let path = format!("{}/passkey", link.path);
    world.send(request(Method::POST, &path).json(&body)).await
}

async fn approve(world: &World, link: &Link, passkey: &Value) -> Reply {
    let text = passkey.to_string();
    let fields = [
        ("button", "approve"),
        ("digest", link.digest.as_str()),
        ("passkey", &text),
    ];
    world.send(request(Method::POST, &link.path).form(&fields)).await
}

async fn status(world: &World, link: &Link) -> Status {
    world.settle(world.tenant).await;
    let mut tx = world.app.reading(world.tenant).await.unwrap();
    let row = projections::request_queue::find(&mut tx, link.request).await.unwrap();
    row.unwrap().status
}

#[tokio::test]
async fn a_passkey_decides_from_the_link_and_its_use_is_recorded() {
    let world = world().await;
    world.policy("Ask first", "/opt/*").await;
    let (ann, _, mut key) = with_passkey(&world, "ann", &[Role::Admin]).await;
    let agent = world.agent("lab").await;
    let link = link(&world, &agent, "/opt/one", ann).await;
    let page = world.send(request(Method::GET, &link.path).empty()).await.expect(200);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(page.text().contains("Approve with a passkey"));
    let script = world
        .send(request(Method::GET, "/approve/passkey.js").empty())
        .await
        .expect(200);
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");

    let options = ask(&world, &link).await.expect(200).json();
    assert_eq!(status(&world, &link).await, Status::Pending);
    approve(&world, &link, &key.get(&options)).await.expect(303);
    assert_eq!(status(&world, &link).await, Status::Approved);
    let given = events(&world, "ApprovalGiven").await;
    assert_eq!(given[0]["actor"]["method"], "link+passkey");
}

#[tokio::test]
async fn an_answer_for_one_request_digest_or_approver_decides_no_other() {
    let world = world().await;
    world.policy("Ask first", "/opt/*").await;
    let (ann, browser, mut key) = with_passkey(&world, "ann", &[Role::Admin]).await;
    let (bob, _, mut bobs) = with_passkey(&world, "bob", &[Role::Admin]).await;
    let agent = world.agent("lab").await;
    let one = link(&world, &agent, "/opt/one", ann).await;
    let two = link(&world, &agent, "/opt/two", ann).await;
    let bobs_one = Link {
        path: world
            .app
            .link_for(world.tenant, one.request, bob)
            .await
            .unwrap()
            .strip_prefix(world.app.config.public_url.as_str())
            .unwrap()
            .to_owned(),
        digest: one.digest.clone(),
        request: one.request,
    };
    let for_one = key.get(&ask(&world, &one).await.expect(200).json());
    assert!(
        approve(&world, &two, &for_one)
            .await
            .expect(401)
            .text()
            .contains("id=\"passkey-error\"")
    );
    ask(&world, &two).await.expect(200);
    approve(&world, &two, &for_one).await.expect(401);
    // Another's key for one's own link; a step-up's answer; an answer under another digest.
    approve(
        &world,
        &one,
        &bobs.get(&ask(&world, &bobs_one).await.expect(200).json()),
    )
    .await
    .expect(401);
    let step_up = browser
        .post("/auth/step-up/passkey", &json!({}))
        .await
        .expect(200)
        .json();
    approve(&world, &bobs_one, &key.get(&step_up)).await.expect(401);
    let other_digest = Link {
        digest: two.digest.clone(),
        path: bobs_one.path.clone(),
        request: one.request,
    };
    let for_other = bobs.get(&ask(&world, &other_digest).await.expect(200).json());
    approve(&world, &bobs_one, &for_other).await.expect(401);
    for link in [&one, &two] {
        assert_eq!(status(&world, link).await, Status::Pending);
    }
}

#[tokio::test]
async fn other_sites_and_edited_links_get_no_challenge() {
    let world = world().await;
    world.policy("Ask first", "/opt/*").await;
    let (ann, ..) = with_passkey(&world, "ann", &[Role::Admin]).await;
    let carol = world.user("carol", &[Role::Admin]).await;
    let agent = world.agent("lab").await;
    let link = link(&world, &agent, "/opt/one", ann).await;
    let body = json!({ "digest": link.digest });
    let foreign = request(Method::POST, &format!("{}/passkey", link.path)).with("sec-fetch-site", "cross-site");
    assert_eq!(world.send(foreign.json(&body)).await.expect(403).code(), "CROSS_SITE");
    let nowhere = request(Method::POST, "/approve/rubbish/passkey").json(&body);
    world.send(nowhere).await.expect(404);
    let url = world.app.link_for(world.tenant, link.request, carol).await.unwrap();
    let path = format!(
        "{}/passkey",
        url.strip_prefix(world.app.config.public_url.as_str()).unwrap()
    );
    let none = world.send(request(Method::POST, &path).json(&body)).await.expect(409);
    assert_eq!(none.code(), "NOT_ENROLLED");
}

#[tokio::test]
async fn a_tenant_may_want_a_fresh_second_factor_for_each_decision() {
    let world = world().await;
    world.policy("Ask first", "/opt/*").await;
    let settings = model::tenant::Settings {
        deciding_needs_second_factor: true,
        ..model::tenant::Settings::default()
    };
    let written = world.app.change_settings(&world.system(), settings).await.unwrap();
    assert!(world.app.settled(world.tenant, written.position).await);
    let (ann, browser, mut key) = with_passkey(&world, "ann", &[Role::Admin]).await;
    let agent = world.agent("lab").await;
    let link = link(&world, &agent, "/opt/one", ann).await;
    let query = "mutation($i: ApproveInput!) { approve(input: $i) { request { status } } }";
    let variables = json!({ "i": { "requestId": link.request, "digest": link.digest } });
    let body = json!({ "query": query, "variables": variables });
    let refused = browser.post("/graphql", &body).await.json();
    assert_eq!(
        refused["errors"][0]["extensions"]["code"], "STEP_UP_NEEDED",
        "{refused}"
    );
    // The page says the same of a session, and asks for the second factor.
    let page = world
        .send(
            request(Method::GET, &link.path)
                .with(header::COOKIE, &browser.cookie)
                .empty(),
        )
        .await
        .expect(200)
        .text();
    assert!(page.contains("wants a second factor given anew") && page.contains("Approve with a passkey"));
    let options = browser
        .post("/auth/step-up/passkey", &json!({}))
        .await
        .expect(200)
        .json();
    browser
        .post("/auth/step-up", &json!({ "passkey": key.get(&options) }))
        .await
        .expect(204);
    let done = browser.post("/graphql", &body).await.json();
    assert_eq!(done["data"]["approve"]["request"]["status"], "APPROVED", "{done}");
    assert_eq!(
        events(&world, "ApprovalGiven").await[0]["actor"]["method"],
        "password+passkey"
    );

    // Somebody without any is told to set one up.
    world.user("bob", &[Role::Admin]).await;
    let two = self::link(&world, &agent, "/opt/two", ann).await;
    let bob = world.browser("bob").await;
    let variables = json!({ "i": { "requestId": two.request, "digest": two.digest } });
    let refused = bob
        .post("/graphql", &json!({ "query": query, "variables": variables }))
        .await
        .json();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "STEP_UP_NEEDED");
}
