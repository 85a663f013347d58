//! What holds for every door.

use api::{ApiConfig, Rate, Rates};
use axum::http::Method;
use serde_json::json;

use crate::world::{World, request};

#[tokio::test]
async fn every_answer_has_an_id_and_headers_that_protect() {
    let world = World::new().await;
    for path in ["/healthz", "/", "/auth/session", "/no/such/thing", "/agent/v1/snapshot"] {
        let reply = world.send(request(Method::GET, path).empty()).await;
        assert!(reply.header("x-request-id").parse::<uuid::Uuid>().is_ok(), "{path}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert!(
            reply
                .header("content-security-policy")
                .contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert!(!reply.header("content-security-policy").contains("unsafe"), "{path}");
        assert!(!reply.header("cache-control").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_done_are_problems() {
    let world = World::new().await;
    let missing = world
        .send(request(Method::GET, "/auth/nothing").empty())
        .await
        .expect(404);
    assert_eq!(missing.header("content-type"), "application/problem+json");
    assert_eq!(missing.code(), "NOT_FOUND");
    let wrong = world
        .send(request(Method::PUT, "/auth/session").empty())
        .await
        .expect(405);
    assert_eq!(
        (wrong.code().as_str(), wrong.header("allow")),
        ("METHOD_NOT_ALLOWED", "GET,HEAD")
    );
}

#[tokio::test]
async fn a_body_that_cannot_be_read_names_what_is_wrong() {
    let world = World::new().await;
    let post = |kind: &str, body: String| world.send(request(Method::POST, "/auth/sign-in").body(kind, body));
    let json = "application/json";
    assert_eq!(
        post("text/plain", "{}".to_owned()).await.expect(415).code(),
        "UNSUPPORTED_MEDIA_TYPE"
    );
    assert_eq!(post(json, "{".to_owned()).await.expect(400).code(), "MALFORMED_JSON");
    let unknown = json!({ "tenant": "acme", "email": "e", "password": "p", "role": "owner" });
    let unknown = post(json, unknown.to_string()).await.expect(422);
    assert_eq!(
        (unknown.code().as_str(), unknown.json()["field"].as_str()),
        ("BAD_INPUT", Some("role"))
    );
    let long = json!({ "tenant": "x".repeat(100_000), "email": "e", "password": "p" });
    assert_eq!(post(json, long.to_string()).await.expect(413).code(), "BODY_TOO_LONG");
}

#[tokio::test]
async fn a_stranger_who_calls_too_often_is_told_when_to_come_back() {
    let strangers = Rate { calls: 3, seconds: 60 };
    let world = World::with(ApiConfig {
        rates: Rates {
            strangers,
            ..Rates::default()
        },
        ..ApiConfig::default()
    })
    .await;
    let call = |address: &'static str| world.send(request(Method::GET, "/auth/session").from(address).empty());
    let first = call("203.0.113.7").await.expect(401);
    assert_eq!(first.header("ratelimit-policy"), "\"default\";q=3;w=60");
    assert_eq!(first.header("ratelimit"), "\"default\";r=2;t=20");
    call("203.0.113.7").await.expect(401);
    call("203.0.113.7").await.expect(401);
    let refused = call("203.0.113.7").await.expect(429);
    assert_eq!(refused.code(), "RATE_LIMITED");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() <= 20);
    assert_eq!(refused.header("ratelimit"), "\"default\";r=0;t=60");
    call("203.0.113.8").await.expect(401);
}

#[tokio::test]
async fn readiness_names_each_part() {
    let world = World::new().await;
    let ready = world
        .send(request(Method::GET, "/readyz").empty())
        .await
        .expect(200)
        .json();
    assert_eq!(ready["status"], "degraded");
    let of = |name: &str| {
        ready["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|check| check["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(of("database")["status"], "ok");
    assert_eq!(of("migrations")["status"], "ok");
    assert_eq!(of("projections")["status"], "ok");
    assert_eq!(of("mail")["status"], "degraded");
}

#[tokio::test]
async fn readiness_fails_where_the_database_is_gone() {
    let world = World::new().await;
    world.app.pool().close().await;
    let ready = world
        .send(request(Method::GET, "/readyz").empty())
        .await
        .expect(503)
        .json();
    assert_eq!(ready["status"], "unavailable");
}

#[tokio::test]
async fn figures_show_templates_and_never_a_token_and_only_to_operators() {
    let world = World::new().await;
    world
        .send(request(Method::GET, "/approve/pct_link_very_secret").empty())
        .await
        .expect(404);
    let made_up = Method::from_bytes(b"BREW").unwrap();
    world
        .send(request(made_up, "/agent/v1/snapshot").empty())
        .await
        .expect(405);
    let figures = world
        .send(request(Method::GET, "/metrics").from("127.0.0.1").empty())
        .await
        .expect(200)
        .text();
    assert!(
        figures.contains("{method=\"GET\",route=\"/approve/{token}\",status=\"404\"} 1"),
        "{figures}"
    );
    assert!(
        figures.contains("{method=\"other\",route=\"/agent/v1/snapshot\",status=\"405\"} 1"),
        "{figures}"
    );
    assert!(!figures.contains("very_secret") && !figures.contains("BREW"));
    world
        .send(request(Method::GET, "/metrics").from("203.0.113.7").empty())
        .await
        .expect(404);
}

#[tokio::test]
async fn the_description_says_of_agents_what_the_whole_says() {
    let world = World::new().await;
    let whole = world
        .send(request(Method::GET, "/openapi.json").empty())
        .await
        .expect(200)
        .json();
    let agents = world
        .send(request(Method::GET, "/agent/v1/openapi.json").empty())
        .await
        .expect(200)
        .json();
    assert_eq!(whole["openapi"], "3.1.0");
    assert_eq!(
        whole["paths"]["/agent/v1/snapshot"],
        agents["paths"]["/agent/v1/snapshot"]
    );
    assert!(
        agents["paths"]
            .as_object()
            .unwrap()
            .keys()
            .all(|path| path.starts_with("/agent/v1/"))
    );
}

#[tokio::test]
async fn weaknesses_can_be_reported() {
    let world = World::new().await;
    let text = world
        .send(request(Method::GET, "/.well-known/security.txt").empty())
        .await
        .expect(200)
        .text();
    assert!(
        text.contains("Contact: mailto:security@127.0.0.1\n") && text.contains("Expires: 2026-08-29T"),
        "{text}"
    );
}

#[tokio::test]
async fn a_scrape_tells_what_waits_and_since_when() {
    let world = World::new().await;
    let scrape = async || {
        let ask = request(Method::GET, "/metrics").from("127.0.0.1").empty();
        world.send(ask).await.expect(200).text()
    };
    let idle = scrape().await;
    for line in [
        "portcullis_mails_waiting 0",
        "portcullis_timers_due 0",
        "portcullis_timers_late_seconds 0",
    ] {
        assert!(idle.contains(&format!("{line}\n")), "{line}: {idle}");
    }
    assert!(
        idle.contains("portcullis_projection_lag_events{projection=\"request_queue\"} 0"),
        "{idle}"
    );
    // A request is filed, nobody sends its mail to the administrators, and no scheduler is there at its deadline.
    world.policy("Ask first", "/opt/*").await;
    let agent = world.agent("lab").await;
    agent.submit("/opt/tool").await.expect(201);
    world.settle(world.tenant).await;
    world.clock.advance(std::time::Duration::from_secs(31 * 60));
    let late = scrape().await;
    for line in ["portcullis_timers_due 1", "portcullis_timers_late_seconds 60"] {
        assert!(late.contains(&format!("{line}\n")), "{line}: {late}");
    }
    assert!(late.contains("portcullis_mails_waiting 1\n"), "{late}");
    assert!(
        late.contains("portcullis_mails_waiting_oldest_seconds 1860\n"),
        "{late}"
    );
}
