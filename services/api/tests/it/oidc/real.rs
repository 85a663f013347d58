//! With the npm package oidc-provider: its own discovery, keys, PKCE, sign-in page, user information and `iss`.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
};

use model::Role;
use reqwest::Client;
use serde_json::{Value, json};
use url::Url;

use super::{SECRET, definition, mapping};
use crate::world::{PASSWORD, Reply, World};

pub(super) struct Provider {
    pub(super) issuer: String,
    process: Child,
    _ends_it: ChildStdin,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Provider {
    pub(super) fn start() -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oidc-provider");
        let setup = json!({ "clients": [{
            "client_id": "portcullis", "client_secret": SECRET,
            "redirect_uris": ["http://127.0.0.1:8080/auth/oidc/acme/callback"],
        }]});
        let mut process = Command::new("node")
            .args(["provider.mjs", &setup.to_string()])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node is there, and `npm ci --prefix tests/oidc-provider` was run (scripts/prepare oidc-provider)");
        let stdin = process.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line).expect("npm ci --prefix tests/oidc-provider");
        Self {
            issuer: ready["issuer"].as_str().unwrap().to_owned(),
            process,
            _ends_it: stdin,
        }
    }

    /// Says what it tells of an account.
    pub(super) async fn account(&self, name: &str, claims: Value) {
        let url = format!("{}/accounts/{name}", self.issuer);
        let done = Client::new().put(url).body(claims.to_string()).send().await.unwrap();
        assert_eq!(done.status(), 204);
    }

    async fn rotate(&self) {
        let done = Client::new()
            .put(format!("{}/rotate", self.issuer))
            .send()
            .await
            .unwrap();
        assert_eq!(done.status(), 204);
    }

    /// Signs in at the provider's own page as a browser does, until it sends the browser back; with which query.
    pub(super) async fn enter(&self, from: Url, account: &str) -> String {
        let browser = Client::builder()
            .cookie_store(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let mut at = from;
        for _ in 0..8 {
            if at.path().ends_with("/callback") {
                return at.query().unwrap().to_owned();
            }
            let ask = if at.path().starts_with("/enter/") {
                let body = url::form_urlencoded::Serializer::new(String::new())
                    .append_pair("account", account)
                    .finish();
                browser.post(at.clone()).body(body)
            } else {
                browser.get(at.clone())
            };
            let answer = ask.send().await.unwrap();
            let next = answer
                .headers()
                .get("location")
                .map(|to| to.to_str().unwrap().to_owned());
            let Some(next) = next else {
                panic!("{} {}", answer.status(), answer.text().await.unwrap())
            };
            at = at.join(&next).unwrap();
        }
        panic!("the provider sends the browser in circles")
    }
}

/// A whole sign-in.
async fn sign_in(world: &World, provider: &Provider, id: formats::IdentityProviderId, account: &str) -> Reply {
    let (url, cookie) = world.leave(id, "/requests").await;
    let query = provider.enter(url, account).await;
    world.come_back(&query, &cookie).await
}

#[tokio::test]
async fn a_user_of_a_verified_address_signs_in_and_has_a_session_like_any_other() {
    let (world, provider) = (World::new().await, Provider::start());
    world.user("dana", &[Role::Auditor]).await;
    let claims = json!({ "email": "Dana@acme.example", "email_verified": true, "name": "Dana" });
    provider.account("d1", claims).await;
    let id = world.provider(definition(&provider.issuer)).await;
    let reply = sign_in(&world, &provider, id, "d1").await.expect(303);
    assert_eq!(reply.header("location"), "/requests");
    let cookie = reply.cookie();
    let ask = |path| {
        crate::world::request(axum::http::Method::GET, path)
            .with("cookie", &cookie)
            .empty()
    };
    let session = world.send(ask("/auth/session")).await.expect(200).json();
    assert_eq!(
        (&session["method"], &session["roles"]),
        (&json!("oidc"), &json!(["auditor"]))
    );
    let list = world.send(ask("/auth/sessions")).await.expect(200).json();
    assert_eq!(list["sessions"][0]["method"], "oidc");
    // In the log: who, how, and one correlation for all of it.
    let (linked, signed) = (world.events("IdentityLinked").await, world.events("SignedIn").await);
    assert_eq!(linked.len(), 1);
    assert_eq!(signed[0].actor.method.as_deref(), Some("oidc"));
    assert_eq!(signed[0].meta.correlation, linked[0].meta.correlation);
    // The second time by issuer and subject alone: the address may be another one by now.
    provider
        .account("d1", json!({ "email": "else@acme.example", "email_verified": false }))
        .await;
    sign_in(&world, &provider, id, "d1").await.expect(303).cookie();
    assert_eq!(
        (
            world.events("IdentityLinked").await.len(),
            world.events("SignedIn").await.len()
        ),
        (1, 2)
    );
}

#[tokio::test]
async fn groups_give_and_take_the_roles_that_the_mapping_names_and_no_others() {
    let (world, provider) = (World::new().await, Provider::start());
    let user = world.user("dana", &[Role::Auditor]).await;
    let mut said = definition(&provider.issuer);
    said.role_mapping = vec![mapping("Approvers", Role::Approver), mapping("Admins", Role::Admin)];
    let id = world.provider(said).await;
    let groups = |groups: &[&str]| json!({ "email": "dana@acme.example", "email_verified": true, "groups": groups });
    for (told, roles) in [
        (groups(&["Approvers", "Chess"]), &[Role::Auditor, Role::Approver][..]),
        (groups(&["Admins"]), &[Role::Auditor, Role::Admin]),
        (groups(&[]), &[Role::Auditor]),
    ] {
        provider.account("d1", told).await;
        let reply = sign_in(&world, &provider, id, "d1").await.expect(303);
        assert_eq!(reply.header("location"), "/requests");
        let caller = world
            .app
            .acting_as(world.tenant, user, commands::Origin::inside(uuid::Uuid::nil()))
            .await;
        assert_eq!(caller.unwrap().roles(), roles);
    }
    let changes = world.events("RolesAssigned").await;
    assert_eq!(changes.last().unwrap().actor.method.as_deref(), Some("oidc"));
}

#[tokio::test]
async fn a_provider_that_changes_its_key_is_believed_under_the_new_one_at_once() {
    let (world, provider) = (World::new().await, Provider::start());
    world.user("dana", &[]).await;
    provider
        .account("d1", json!({ "email": "dana@acme.example", "email_verified": true }))
        .await;
    let id = world.provider(definition(&provider.issuer)).await;
    sign_in(&world, &provider, id, "d1").await.expect(303).cookie();
    provider.rotate().await;
    let reply = sign_in(&world, &provider, id, "d1").await.expect(303);
    assert_eq!(reply.header("location"), "/requests");
}

#[tokio::test]
async fn a_provider_that_refuses_lets_nobody_in_and_one_that_is_away_leaves_passwords() {
    let (world, provider) = (World::new().await, Provider::start());
    world.user("dana", &[]).await;
    let id = world.provider(definition(&provider.issuer)).await;
    let reply = sign_in(&world, &provider, id, "").await;
    assert_eq!(reply.refused(), "OIDC_REFUSED");
    let (url, cookie) = world.leave(id, "/").await;
    let query = provider.enter(url, "d1").await;
    drop(provider);
    assert_eq!(world.come_back(&query, &cookie).await.refused(), "PROVIDER_UNAVAILABLE");
    assert!(!PASSWORD.is_empty());
    world.sign_in("dana", None).await.expect(200);
    let refused = world.events("ProviderSignInRefused").await;
    assert_eq!(refused.len(), 2);
    assert_eq!(refused[1].actor.method.as_deref(), Some("oidc"));
}
