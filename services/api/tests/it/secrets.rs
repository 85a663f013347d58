//! No secret is in any log, span, refusal, event or row, whichever door it came through.
//!
//! Everything is logged: our crates at `trace`, all others at `debug`, spans with their fields. Then each secret is
//! looked for, as it is and in the forms in which one gets away: hexadecimal, base64, lists of numbers.

#[path = "../../../../tests/stories/canaries.rs"]
mod canaries;

use std::{io::Write, time::Duration};

use axum::http::{Method, header};
use commands::auth::oidc::{ProviderInput, SecretInput};
use model::{Role, request::Narrowing};
use serde_json::json;

use self::canaries::{Log, Secrets};
use crate::{
    oidc::{definition, hostile::Hostile},
    passkeys::{authenticator::Authenticator, challenge, give_password, register, world as world_with_passkeys},
    scim::Idp,
    world::{PASSWORD, Reply, World, request},
};

const OURS: [&str; 8] = [
    "api",
    "commands",
    "eventstore",
    "projections",
    "model",
    "formats",
    "policy_engine",
    "it",
];

/// Everything that the database has of a tenant, as text.
async fn rows(world: &World) -> String {
    let mut tx = world.app.reading(world.tenant).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
         and not relispartition and has_table_privilege(oid, 'select') order by relname",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    let mut all = String::new();
    for table in tables {
        let sql = format!("select t::text from {table} t");
        let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_all(&mut *tx)
            .await
            .unwrap();
        all.push_str(&rows.join("\n"));
    }
    let events: Vec<String> = sqlx::query_scalar("select convert_from(body, 'UTF8') from events")
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    assert!(events.len() > 30, "the doors were driven");
    all + &events.join("\n")
}

/// A refusal, which is kept beside the log: it may say what was wrong and not what was said.
fn refused(log: &Log, reply: Reply, status: u16) -> Reply {
    let reply = reply.expect(status);
    log.clone().write_all(reply.text().as_bytes()).unwrap();
    reply
}

async fn passwords_and_codes(world: &World, log: &Log, secrets: &mut Secrets) {
    const WRONG: &str = "canary wrong password 1";
    const NEW: &str = "canary new password 22";
    const RESET: &str = "canary reset password 333";
    for (what, password) in [("password", PASSWORD), ("wrong", WRONG), ("new", NEW), ("reset", RESET)] {
        secrets.add(what, password);
    }
    let ann = world.user("ann", &[Role::Member]).await;
    let body = json!({ "tenant": "acme", "email": "ann@acme.example", "password": WRONG });
    refused(
        log,
        world.send(request(Method::POST, "/auth/sign-in").json(&body)).await,
        401,
    );
    let browser = world.browser("ann").await;
    secrets.add_credential("session", &browser.cookie);
    secrets.add("csrf token", &browser.csrf);
    let totp = browser.post("/auth/totp", &json!({})).await.expect(200).json();
    let secret = secrets.add_from("one-time secret", &totp["secret"]);
    let code = world.code_of(&secret);
    let confirmed = browser
        .post("/auth/totp/confirm", &json!({ "code": code }))
        .await
        .expect(200);
    for code in confirmed.json()["recoveryCodes"].as_array().unwrap() {
        secrets.add_from("recovery code", code);
    }
    refused(
        log,
        browser.post("/auth/step-up", &json!({ "code": "canary-code" })).await,
        401,
    );
    secrets.add("wrong code", "canary-code");
    world.clock.advance(Duration::from_secs(60));
    let step_up = json!({ "code": world.code_of(&secret) });
    browser.post("/auth/step-up", &step_up).await.expect(204);
    let change = json!({ "oldPassword": PASSWORD, "newPassword": NEW });
    browser.post("/auth/password", &change).await.expect(204);

    world.clock.advance(Duration::from_secs(60));
    let token = world.app.invite(&world.system(), ann, true).await.unwrap().1;
    secrets.add_credential("invitation", &token);
    let mut reset = json!({ "token": token, "password": "short-can" });
    secrets.add("weak password", "short-can");
    let door = "/auth/password-reset/confirm";
    refused(log, world.send(request(Method::POST, door).json(&reset)).await, 422);
    reset["password"] = json!(RESET);
    refused(log, world.send(request(Method::POST, door).json(&reset)).await, 401);
    reset["code"] = confirmed.json()["recoveryCodes"][0].clone();
    let chosen = world.send(request(Method::POST, door).json(&reset)).await.expect(200);
    secrets.add_credential("session after a reset", &chosen.cookie());
}

async fn passkeys(world: &World, log: &Log, secrets: &mut Secrets) {
    world.user("pat", &[Role::Member]).await;
    let browser = world.browser("pat").await;
    give_password(&browser).await;
    let mut key = Authenticator::new();
    register(&browser, &key, "Blue").await;
    secrets.add("passkey's id", &key.id());
    let options = challenge(world, "pat@acme.example").await;
    secrets.add_from("challenge", &options["publicKey"]["challenge"]);
    let answer = key.get(&options);
    secrets.add_from("passkey's signature", &answer["response"]["signature"]);
    let body = json!({ "tenant": "acme", "email": "pat@acme.example", "password": PASSWORD, "passkey": answer });
    let door = "/auth/sign-in";
    world.send(request(Method::POST, door).json(&body)).await.expect(200);
    refused(log, world.send(request(Method::POST, door).json(&body)).await, 401);
}

async fn keys_and_tokens(world: &World, log: &Log, secrets: &mut Secrets) {
    let system = world.system();
    let scopes = vec![model::Scope::PoliciesRead];
    let account = world
        .app
        .create_service_account(&system, "ci".to_owned(), scopes.clone());
    let account = account.await.unwrap().id();
    let key = world.app.issue_api_key(&system, account, scopes, None).await.unwrap();
    let key = key.secret.unwrap();
    secrets.add_credential("API key", &key);
    let token = world.post("/auth/token", &key, &json!({})).await.expect(200).json();
    let token = token["accessToken"].as_str().unwrap().to_owned();
    secrets.add_signed("access token", &token);
    let query = json!({ "query": "{ viewer { scopes } }" });
    for good in [&key, &token] {
        world.post("/graphql", good, &query).await.expect(200);
    }
    refused(log, world.post("/graphql", &format!("{key}x"), &query).await, 401);
    let idp = world.idp().await;
    secrets.add_credential("SCIM token", &idp.token);
    idp.user("dana").await;
    let wrong = Idp {
        world,
        token: format!("{}x", idp.token),
    };
    refused(log, wrong.get("/Users").await, 401);
    secrets.add_credential("platform credential", &world.operator);
    world.get("/platform/v1/tenants", &world.operator).await.expect(200);
}

async fn agents(world: &World, log: &Log, secrets: &mut Secrets) {
    world.policy("Ask first", "/opt/*").await;
    let agent = world.agent("lab").await;
    secrets.add_signed("agent's token", &agent.token);
    let assertion = agent.assertion();
    secrets.add_signed("agent's assertion", &assertion);
    agent.ask_token(&assertion).await.expect(200);
    refused(log, agent.ask_token(&assertion).await, 401);
    let registration = world
        .app
        .issue_registration_token(&world.system(), agent.group, None, Some(1))
        .await;
    let registration = registration.unwrap().secret.unwrap();
    secrets.add_credential("registration token", &registration);
    let body = json!({ "registrationToken": registration, "publicKey": agent.key.public(), "proof": "x",
        "machine": { "name": "x", "os": "linux", "osVersion": "12", "machineId": "x" } });
    let wrong = world
        .send(request(Method::POST, "/agent/v1/register").json(&body))
        .await;
    let status = wrong.status.as_u16();
    assert!(status >= 400);
    refused(log, wrong, status);
    let filed = agent.submit("/opt/tool").await.expect(201).json();
    let (request, digest) = (filed["requestId"].as_str().unwrap(), agent.action("/opt/tool").1);
    let owner = world.owner().await;
    let approved = world
        .app
        .approve(&owner, request.parse().unwrap(), &digest, Narrowing::default(), None);
    approved.await.unwrap();
    let served = agent
        .get(&format!("/agent/v1/requests/{request}"), &[])
        .await
        .expect(200)
        .json();
    secrets.add_signed("grant", served["grant"].as_str().unwrap());
    let verify = json!({ "email": "ann@acme.example", "code": "canary-mfa", "actionType": "privilege_elevation",
        "endpointUser": "dora", "digest": digest, "always": false });
    secrets.add("code at an agent", "canary-mfa");
    let wrong = agent.post("/agent/v1/mfa/verify", &verify).await;
    let status = wrong.status.as_u16();
    assert!(status >= 400);
    refused(log, wrong, status);
}

async fn identity_provider(world: &World, secrets: &mut Secrets) {
    const SECRET: &str = "canary client secret, 32 bytes++";
    let it = Hostile::start().await;
    let input = ProviderInput {
        definition: definition(it.issuer()),
        secret: SecretInput::Set(SECRET.to_owned().into()),
    };
    let id = world
        .app
        .create_identity_provider(&world.system(), input)
        .await
        .unwrap()
        .id();
    world.settle(world.tenant).await;
    secrets.add("client secret", SECRET);
    it.tell(json!({ "email": "owner@acme.example" }));
    let (url, cookie) = world.leave(id, "/").await;
    secrets.add("cookie of a sign-in under way", cookie.split_once('=').unwrap().1);
    for part in ["state", "nonce"] {
        secrets.add("state or nonce", &crate::oidc::param(&url, part));
    }
    let back = world.come_back(&it.answer(&url), &cookie).await.expect(303);
    assert_eq!(back.header("location"), "/");
    secrets.add_credential("session by a provider", &back.cookie());
}

#[tokio::test]
async fn no_secret_is_in_any_log_refusal_event_or_row_after_every_door_was_used() {
    let log = Log::begin(&OURS, "debug");
    let world = world_with_passkeys().await;
    let mut secrets = Secrets::default();
    passwords_and_codes(&world, &log, &mut secrets).await;
    passkeys(&world, &log, &mut secrets).await;
    keys_and_tokens(&world, &log, &mut secrets).await;
    agents(&world, &log, &mut secrets).await;
    identity_provider(&world, &mut secrets).await;
    // The page behind a mail's link has its token in the path.
    let page = request(Method::GET, "/approve/pct_lnk_canary_in_a_path").empty();
    secrets.add("link in a path", "canary_in_a_path");
    refused(&log, world.send(page).await, 404);
    let cookie = request(Method::GET, "/auth/session").with(header::COOKIE, "portcullis=pct_ses_canary_cookie");
    secrets.add("cookie that is none", "canary_cookie");
    refused(&log, world.send(cookie.empty()).await, 401);
    // The master key of this world, and the tenant's data key under it.
    secrets.add(
        "master key",
        "\u{7}\u{7}\u{7}\u{7}\u{7}\u{7}\u{7}\u{7}\u{7}\u{7}\u{7}\u{7}",
    );
    world.settle(world.tenant).await;

    let logged = log.text();
    let of_ours = OURS
        .iter()
        .filter(|name| logged.contains(&format!(" {name}::")))
        .count();
    assert!(
        of_ours >= 2 && logged.contains("sqlx"),
        "it is logged at all: {of_ours}"
    );
    assert_eq!(secrets.in_text(&logged), Vec::<&str>::new(), "in the logs");
    // The id of a passkey that is looked for stands in no row either, only its hash.
    assert_eq!(
        secrets.in_text(&rows(&world).await),
        Vec::<&str>::new(),
        "in the database"
    );

    // The control: one that slips out is found, whatever it looks like.
    tracing::debug!(password = PASSWORD, "a slip");
    tracing::trace!(raw = ?"canary client secret, 32 bytes++".as_bytes(), "another");
    assert_eq!(secrets.in_text(&log.text()), ["password", "client secret"]);
}
