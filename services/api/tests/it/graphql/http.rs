//! GraphQL over HTTP: forms, statuses, methods.

use axum::http::{Method, header};
use serde_json::{Value, json};

use super::send;
use crate::world::{World, request};

const RESPONSE: (&str, &str) = ("accept", "application/graphql-response+json");

#[tokio::test]
async fn an_answer_has_the_form_that_is_accepted() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let body = json!({ "query": "{ viewer { roles tenant { slug } } }" });
    let plain = send(&world, &owner, &[], &body).await.expect(200);
    assert_eq!(plain.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(
        plain.json()["data"]["viewer"],
        json!({ "roles": ["OWNER"], "tenant": { "slug": "acme" } })
    );
    let newer = send(&world, &owner, &[RESPONSE], &body).await.expect(200);
    assert_eq!(
        newer.header("content-type"),
        "application/graphql-response+json; charset=utf-8"
    );
    send(&world, &owner, &[("accept", "text/html")], &body)
        .await
        .expect(406);
}

#[tokio::test]
async fn a_document_that_is_refused_as_a_whole_has_no_data() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    for query in [
        "{ nothing }",
        "{",
        "{ viewer }",
        "query A { __typename } query B { __typename }",
    ] {
        let body = json!({ "query": query });
        let plain = send(&world, &owner, &[], &body).await.expect(200).json();
        assert_eq!(plain["errors"][0]["extensions"]["code"], "INVALID_DOCUMENT", "{query}");
        assert!(plain.get("data").is_none(), "{plain}");
        let newer = send(&world, &owner, &[RESPONSE], &body).await.expect(400).json();
        assert!(newer.get("data").is_none(), "{newer}");
    }
    let wrong_variable = json!({ "query": "query($id: ID!) { policy(id: $id) { id } }" });
    send(&world, &owner, &[RESPONSE], &wrong_variable).await.expect(400);
    let later = json!({ "query": "{ request(id: \"req_x\") { id } missing: policy(id: \"x\") { id } }" });
    let answer = send(&world, &owner, &[RESPONSE], &later).await.expect(200).json();
    assert_eq!(answer, json!({ "data": { "request": null, "missing": null } }));
}

#[tokio::test]
async fn a_body_has_to_be_one_document_in_json() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    for (body, code) in [
        (json!([{ "query": "{ __typename }" }]), "BATCH_REFUSED"),
        (json!({ "query": 7 }), "BAD_INPUT"),
        (json!({ "query": "{ __typename }", "variables": "x" }), "BAD_INPUT"),
        (json!({}), "BAD_INPUT"),
    ] {
        let answer = send(&world, &owner, &[], &body).await.expect(400).json();
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{body}");
    }
    let ask = |kind: &'static str, body: &'static str| {
        let ask = request(Method::POST, "/graphql")
            .with(header::COOKIE, &owner.cookie)
            .with("x-csrf-token", &owner.csrf);
        world.send(ask.body(kind, body))
    };
    ask("application/json", "{").await.expect(400);
    ask("text/plain", r#"{"query":"{ __typename }"}"#).await.expect(415);
    ask("application/x-www-form-urlencoded", "query={__typename}")
        .await
        .expect(415);
    ask("application/json; charset=utf-8", r#"{"query":"{ __typename }"}"#)
        .await
        .expect(200);
    let long = json!({ "query": format!("{{ __typename }} # {}", "x".repeat(300 * 1024)) });
    send(&world, &owner, &[], &long).await.expect(413);
}

#[tokio::test]
async fn a_query_may_come_by_get_and_a_mutation_not() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let get = async |query: &str| {
        let path = format!("/graphql?{}", serde_urlencoded::to_string([("query", query)]).unwrap());
        owner.get(&path).await
    };
    let answer = get("{ viewer { roles } }").await.expect(200).json();
    assert_eq!(answer["data"]["viewer"]["roles"], json!(["OWNER"]));
    let refused = get("mutation { createTeam(input: {name: \"x\"}) { position } }")
        .await
        .expect(405);
    assert_eq!(refused.header("allow"), "POST");
    owner.get("/graphql").await.expect(400);
    let put = request(Method::PUT, "/graphql")
        .with(header::COOKIE, &owner.cookie)
        .json(&json!({}));
    world.send(put).await.expect(405);
}

#[tokio::test]
async fn strangers_and_pages_of_other_sites_are_refused() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let body = json!({ "query": "{ viewer { roles } }" });
    world
        .send(request(Method::POST, "/graphql").json(&body))
        .await
        .expect(401);
    let no_token = request(Method::POST, "/graphql")
        .with(header::COOKIE, &owner.cookie)
        .json(&body);
    assert_eq!(world.send(no_token).await.expect(403).code(), "CSRF_TOKEN");
    let reply = send(&world, &owner, &[("sec-fetch-site", "cross-site")], &body)
        .await
        .expect(403);
    assert_eq!(reply.code(), "CROSS_SITE");
}

#[tokio::test]
async fn each_mutation_of_a_document_has_its_own_part_of_the_idempotency_key() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let query = "mutation { a: createTeam(input: {name: \"A\"}) { team { id } position } \
                 b: createTeam(input: {name: \"B\"}) { team { id } position } }";
    let body = json!({ "query": query });
    let key = [("idempotency-key", "two teams")];
    let first = send(&world, &owner, &key, &body).await.expect(200).json();
    assert_eq!(first["errors"], Value::Null, "{first}");
    assert_ne!(first["data"]["a"]["team"]["id"], first["data"]["b"]["team"]["id"]);
    let head = world.app.store.head(world.tenant).await.unwrap();
    let again = send(&world, &owner, &key, &body).await.expect(200).json();
    assert_eq!(again, first);
    assert_eq!(world.app.store.head(world.tenant).await.unwrap(), head);
    let other = json!({ "query": "mutation { a: createTeam(input: {name: \"C\"}) { position } }" });
    let reused = send(&world, &owner, &key, &other).await.expect(200).json();
    assert_eq!(reused["errors"][0]["extensions"]["code"], "IDEMPOTENCY_KEY_REUSED");
}
