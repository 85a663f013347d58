//! What is too much, and what is no text.

use api::{ApiConfig, Rate, Rates};
use axum::http::Method;
use serde_json::{Value, json};

use super::error;
use crate::world::{World, request};

#[tokio::test]
async fn bodies_are_bounded_in_length_depth_and_number() {
    let world = World::new().await;
    let idp = world.idp().await;
    let path = idp.user("dana").await;
    let made = idp
        .post("/Groups", &json!({ "displayName": "Desk" }))
        .await
        .expect(201)
        .json();
    let group = format!("/Groups/{}", made["id"].as_str().unwrap());

    let long = json!({ "userName": "x@y.example", "title": "x".repeat(1024 * 1024) });
    error(idp.post("/Users", &long).await, 413);
    let raw = |body: String, kind: &str| {
        let ask = request(Method::POST, "/scim/v2/Users").bearer(&idp.token);
        world.send(ask.body(kind, body))
    };
    let deep = format!("{{\"userName\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(error(raw(deep, "application/scim+json").await, 400), "invalidSyntax");
    assert_eq!(
        error(raw("{".to_owned(), "application/scim+json").await, 400),
        "invalidSyntax"
    );
    error(raw("{}".to_owned(), "text/plain").await, 415);
    let nul = r#"{"userName":"a\u0000b@y.example"}"#.to_owned();
    assert_eq!(error(raw(nul, "application/scim+json").await, 400), "invalidSyntax");
    for name in ["da\u{202e}na@y.example", "da\u{200b}na@y.example", "da\nna@y.example"] {
        assert_eq!(
            error(idp.post("/Users", &json!({ "userName": name })).await, 400),
            "invalidValue",
            "{name:?}"
        );
        assert_eq!(
            error(idp.post("/Groups", &json!({ "displayName": name })).await, 400),
            "invalidValue",
            "{name:?}"
        );
    }
    let titles = |n: usize| json!(vec![json!({ "op": "add", "path": "title", "value": "x" }); n]);
    idp.patch(&path, titles(500)).await.expect(200);
    assert_eq!(error(idp.patch(&path, titles(501)).await, 400), "tooMany");
    let many = |n: usize| json!([{ "op": "add", "path": "members", "value": vec![json!({ "value": "usr_01h2xcejqtf2nbrexx3vqjhp41" }); n] }]);
    assert_eq!(error(idp.patch(&group, many(5_001)).await, 400), "tooMany");
    assert_eq!(error(idp.patch(&group, many(5_000)).await, 400), "invalidValue");
    let body = json!({ "displayName": "Desk", "members": vec![json!({ "value": "x" }); 5_001] });
    assert_eq!(error(idp.put(&group, &body).await, 400), "tooMany");
    let filter = format!("/Users?filter=title+eq+%22{}%22", "x".repeat(5_000));
    assert_eq!(error(idp.get(&filter).await, 400), "invalidFilter");
    let search = json!({ "filter": format!("{}title pr{}", "(".repeat(30), ")".repeat(30)) });
    assert_eq!(error(idp.post("/Users/.search", &search).await, 400), "invalidFilter");
    let large = (0..20)
        .map(|n| (format!("k{n}"), Value::from("x".repeat(1_000))))
        .collect::<serde_json::Map<_, _>>();
    // What is not known is not kept, and so is not too long.
    let mut user = json!({ "userName": "eve@y.example" });
    user.as_object_mut().unwrap().extend(large);
    idp.post("/Users", &user).await.expect(201);
    let photos: Vec<_> = (0..20)
        .map(|n| json!({ "value": format!("{n}{}", "x".repeat(1_000)) }))
        .collect();
    user["userName"] = json!("bob@y.example");
    user["photos"] = json!(photos);
    assert_eq!(error(idp.post("/Users", &user).await, 400), "invalidValue");
}

#[tokio::test]
async fn no_page_has_more_than_200_users() {
    let world = World::new().await;
    let idp = world.idp().await;
    for n in 0..201 {
        let new = commands::scim::UserWanted {
            profile: model::user::Profile {
                user_name: format!("u{n}@y.example"),
                ..Default::default()
            },
            email: format!("u{n}@y.example"),
            name: format!("U {n}"),
            active: true,
        };
        let caller = world
            .app
            .scim(&commands::Origin::inside(uuid::Uuid::nil()), &idp.token)
            .await
            .unwrap();
        world.app.scim_create_user(&caller, new).await.unwrap();
    }
    let all = idp.get("/Users?count=100000").await.expect(200).json();
    assert_eq!((&all["totalResults"], &all["itemsPerPage"]), (&json!(202), &json!(200)));
    let filtered = idp
        .get("/Users?count=100000&filter=userName+sw+%22u%22")
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&filtered["totalResults"], &filtered["itemsPerPage"]),
        (&json!(201), &json!(200))
    );
    let rest = idp
        .get("/Users?startIndex=201&count=100&filter=userName+sw+%22u%22")
        .await
        .expect(200)
        .json();
    assert_eq!(rest["itemsPerPage"], 1);
}

#[tokio::test]
async fn a_call_too_many_is_refused_in_scims_form() {
    let rate = Rate { calls: 3, seconds: 60 };
    let rates = Rates {
        principals: rate,
        ..Rates::default()
    };
    let world = World::with(ApiConfig {
        rates,
        ..ApiConfig::default()
    })
    .await;
    let idp = world.idp().await;
    let first = idp.get("/Users").await.expect(200);
    assert_eq!(first.header("ratelimit-policy"), "\"default\";q=3;w=60");
    for _ in 0..2 {
        idp.get("/Users").await.expect(200);
    }
    let refused = idp.get("/Users").await;
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(error(refused, 429), "");
}
