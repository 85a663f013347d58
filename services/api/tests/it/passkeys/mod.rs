//! Passkeys: registration, sign-in, deciding, and what an attacker tries.

mod attacks;
pub mod authenticator;
mod deciding;

use api::ApiConfig;
use axum::http::Method;
use formats::UserId;
use model::Role;
use serde_json::{Value, json};

use crate::world::{Browser, PASSWORD, Reply, World, request};
use authenticator::{Authenticator, URL};

pub async fn world() -> World {
    World::at(URL, ApiConfig::default()).await
}

/// Signs in with what is given besides the password.
async fn sign_in(world: &World, tenant: &str, email: &str, more: Value) -> Reply {
    let mut body = json!({ "tenant": tenant, "email": email, "password": PASSWORD });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    world.send(request(Method::POST, "/auth/sign-in").json(&body)).await
}

/// The challenge that a right password brings.
pub async fn challenge(world: &World, email: &str) -> Value {
    let asked = sign_in(world, "acme", email, json!({})).await.expect(401).json();
    assert_eq!(asked["code"], "CODE_NEEDED", "{asked}");
    asked["details"]["passkey"].clone()
}

pub async fn give_password(browser: &Browser<'_>) {
    browser
        .post("/auth/step-up", &json!({ "password": PASSWORD }))
        .await
        .expect(204);
}

/// Registers a passkey in a session with a fresh proof.
pub async fn register(browser: &Browser<'_>, key: &Authenticator, name: &str) -> String {
    let options = browser
        .post("/auth/passkeys/options", &json!({}))
        .await
        .expect(200)
        .json();
    let body = json!({ "name": name, "credential": key.create(&options) });
    let made = browser.post("/auth/passkeys", &body).await.expect(201).json();
    made["id"].as_str().unwrap().to_owned()
}

/// A user with a passkey, and their session.
async fn with_passkey<'a>(world: &'a World, name: &str, roles: &[Role]) -> (UserId, Browser<'a>, Authenticator) {
    let user = world.user(name, roles).await;
    let browser = world.browser(name).await;
    give_password(&browser).await;
    let key = Authenticator::new();
    register(&browser, &key, "Blue key").await;
    (user, browser, key)
}

/// Types of the events of one kind in the tenant's log.
async fn events(world: &World, event: &str) -> Vec<Value> {
    world.settle(world.tenant).await;
    let mut tx = world.app.reading(world.tenant).await.unwrap();
    let rows: Vec<(String,)> =
        sqlx::query_as("select convert_from(body, 'UTF8') from events where tenant_id = $1 order by position")
            .bind(world.tenant.uuid())
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    let read = rows.iter().map(|(body,)| serde_json::from_str::<Value>(body).unwrap());
    read.filter(|body| body["type"] == event).collect()
}

#[tokio::test]
async fn a_passkey_is_registered_after_a_fresh_proof_listed_used_and_removed() {
    let world = world().await;
    world.user("ann", &[Role::Member]).await;
    let browser = world.browser("ann").await;
    let refused = browser
        .post("/auth/passkeys/options", &json!({}))
        .await
        .expect(403)
        .json();
    assert_eq!(
        (&refused["code"], &refused["details"]["methods"]),
        (&json!("STEP_UP_NEEDED"), &json!(["password"]))
    );
    let wrong = browser.post("/auth/step-up", &json!({ "password": "wrong" })).await;
    assert_eq!(wrong.expect(401).code(), "INVALID_PASSWORD");
    give_password(&browser).await;
    let mut key = Authenticator::new();
    let id = register(&browser, &key, " Blue key ").await;
    let listed = browser.get("/auth/passkeys").await.expect(200).json();
    assert_eq!(listed["available"], true);
    assert_eq!(
        (&listed["passkeys"][0]["name"], &listed["passkeys"][0]["lastUsedAt"]),
        (&json!("Blue key"), &Value::Null)
    );

    let options = challenge(&world, "ann@acme.example").await;
    let signed_in = sign_in(
        &world,
        "acme",
        "ann@acme.example",
        json!({ "passkey": key.get(&options) }),
    )
    .await
    .expect(200);
    assert_eq!(signed_in.json()["method"], "password+passkey");
    let browser = world.as_browser(&signed_in);
    let listed = browser.get("/auth/passkeys").await.expect(200).json();
    assert!(listed["passkeys"][0]["lastUsedAt"].is_string());

    world.clock.advance(std::time::Duration::from_secs(5 * 60));
    let path = format!("/auth/passkeys/{id}");
    let late = browser.call(Method::DELETE, &path, &json!({})).await.expect(403);
    assert_eq!(late.json()["details"]["methods"], json!(["passkey"]));
    let options = browser
        .post("/auth/step-up/passkey", &json!({}))
        .await
        .expect(200)
        .json();
    browser
        .post("/auth/step-up", &json!({ "passkey": key.get(&options) }))
        .await
        .expect(204);
    browser.call(Method::DELETE, &path, &json!({})).await.expect(204);
    let again = browser.call(Method::DELETE, &path, &json!({})).await;
    assert!(again.status.is_client_error());
    sign_in(&world, "acme", "ann@acme.example", json!({})).await.expect(200);
    assert_eq!(events(&world, "PasskeyRegistered").await.len(), 1);
    let removed = events(&world, "PasskeyRemoved").await;
    assert_eq!(
        (&removed[0]["data"]["cause"], &removed[0]["data"]["left"]),
        (&json!("own"), &json!(0))
    );
}

#[tokio::test]
async fn who_has_a_passkey_proves_it_and_not_the_password_before_adding_another() {
    let world = world().await;
    let (_, browser, mut key) = with_passkey(&world, "ann", &[Role::Member]).await;
    // The password of a moment ago is not enough any more.
    for path in ["/auth/passkeys/options", "/auth/totp"] {
        let refused = browser.post(path, &json!({})).await.expect(403);
        assert_eq!(refused.code(), "STEP_UP_NEEDED", "{path}");
    }
    let password = browser.post("/auth/step-up", &json!({ "password": PASSWORD })).await;
    assert_eq!(password.expect(401).code(), "CODE_NEEDED");
    let options = browser
        .post("/auth/step-up/passkey", &json!({}))
        .await
        .expect(200)
        .json();
    browser
        .post("/auth/step-up", &json!({ "passkey": key.get(&options) }))
        .await
        .expect(204);
    register(&browser, &Authenticator::new(), "Second").await;
    browser.post("/auth/totp", &json!({})).await.expect(200);
}

#[tokio::test]
async fn either_second_factor_will_do_and_one_is_demanded() {
    let world = world().await;
    let (user, _, mut key) = with_passkey(&world, "ann", &[Role::Member]).await;
    world.totp(user).await;
    let asked = sign_in(&world, "acme", "ann@acme.example", json!({})).await.expect(401);
    assert_eq!(asked.json()["details"]["methods"], json!(["totp", "passkey"]));
    let by_code = json!({ "code": world.code() });
    let signed_in = sign_in(&world, "acme", "ann@acme.example", by_code).await.expect(200);
    assert_eq!(signed_in.json()["method"], "password+totp");
    let options = challenge(&world, "ann@acme.example").await;
    let by_key = json!({ "passkey": key.get(&options) });
    let signed_in = sign_in(&world, "acme", "ann@acme.example", by_key).await.expect(200);
    assert_eq!(signed_in.json()["method"], "password+passkey");
}

#[tokio::test]
async fn disabling_a_user_and_an_administrator_drop_the_passkeys() {
    let world = world().await;
    let count = async || {
        let mut tx = world.app.reading(world.tenant).await.unwrap();
        sqlx::query_scalar::<_, i64>("select count(*) from passkey where tenant_id = $1")
            .bind(world.tenant.uuid())
            .fetch_one(&mut *tx)
            .await
            .unwrap()
    };
    let (ann, ..) = with_passkey(&world, "ann", &[Role::Member]).await;
    let (bob, ..) = with_passkey(&world, "bob", &[Role::Member]).await;
    assert_eq!(count().await, 2);
    let system = world.system();
    world.app.disable_user(&system, ann, String::new()).await.unwrap();
    assert_eq!(count().await, 1);
    world.app.reset_passkeys(&system, bob).await.unwrap();
    assert_eq!(count().await, 0);
    let removed = events(&world, "PasskeyRemoved").await;
    assert_eq!(removed[0]["data"]["cause"], "operator");
    world.app.enable_user(&system, ann).await.unwrap();
    for name in ["ann", "bob"] {
        world.sign_in(name, None).await.expect(200);
    }
}

#[tokio::test]
async fn an_address_without_a_host_name_has_no_passkeys_and_says_so() {
    let world = World::at("https://192.0.2.7", ApiConfig::default()).await;
    world.user("ann", &[Role::Member]).await;
    let browser = world.browser("ann").await;
    give_password(&browser).await;
    assert_eq!(
        browser.get("/auth/passkeys").await.expect(200).json()["available"],
        false
    );
    let refused = browser.post("/auth/passkeys/options", &json!({})).await;
    assert_eq!(refused.expect(409).code(), "PASSKEYS_UNAVAILABLE");
}

#[tokio::test]
async fn a_server_at_a_loopback_address_has_them_at_localhost() {
    let world = World::at("http://127.0.0.1:8080", ApiConfig::default()).await;
    let (.., mut key) = with_passkey(&world, "ann", &[Role::Member]).await;
    let options = challenge(&world, "ann@acme.example").await;
    assert_eq!(options["publicKey"]["rpId"], "localhost");
    let by_key = json!({ "passkey": key.get(&options) });
    sign_in(&world, "acme", "ann@acme.example", by_key).await.expect(200);
}

#[tokio::test]
async fn passkeys_and_a_challenge_that_waits_go_on_through_a_change_of_the_data_key() {
    let world = world().await;
    let (_, _, mut key) = with_passkey(&world, "ann", &[Role::Member]).await;
    let options = challenge(&world, "ann@acme.example").await;
    world.rotate_data_key().await;
    let answer = json!({ "passkey": key.get(&options) });
    sign_in(&world, "acme", "ann@acme.example", answer).await.expect(200);
    let options = challenge(&world, "ann@acme.example").await;
    let answer = json!({ "passkey": key.get(&options) });
    sign_in(&world, "acme", "ann@acme.example", answer).await.expect(200);
}

#[tokio::test]
async fn a_lost_password_link_needs_the_passkey() {
    let world = world().await;
    let (ann, _, mut key) = with_passkey(&world, "ann", &[Role::Member]).await;
    let token = world.app.invite(&world.system(), ann, true).await.unwrap().1;
    let choose = async |passkey: Value| {
        let body = json!({ "token": token, "password": "a moat without a bridge", "passkey": passkey });
        world
            .send(request(Method::POST, "/auth/password-reset/confirm").json(&body))
            .await
    };
    let asked = choose(Value::Null).await.expect(401).json();
    assert_eq!(asked["code"], "CODE_NEEDED");
    let chosen = choose(key.get(&asked["details"]["passkey"])).await.expect(200);
    assert_eq!(chosen.json()["method"], "invitation+passkey");
}
