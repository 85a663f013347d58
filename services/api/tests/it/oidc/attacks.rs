//! What a hostile provider, a hostile page or a thief tries. Each has its control: the same without the twist goes well.

use serde_json::{Value, json};

use super::{
    definition,
    hostile::{Hostile, Signs, Twist},
    param,
};
use crate::world::{Reply, World};

/// A whole sign-in at the hostile provider.
async fn sign_in(world: &World, it: &Hostile, id: formats::IdentityProviderId) -> Reply {
    let (url, cookie) = world.leave(id, "/").await;
    world.come_back(&it.answer(&url), &cookie).await.expect(303)
}

fn is_in(reply: &Reply) {
    assert_eq!(reply.header("location"), "/");
    assert!(reply.header("set-cookie").starts_with("portcullis=pct_ses_"));
}

async fn ready() -> (World, Hostile, formats::IdentityProviderId) {
    let (world, it) = (World::new().await, Hostile::start().await);
    world.user("dana", &[]).await;
    let id = world.provider(definition(it.issuer())).await;
    (world, it, id)
}

#[tokio::test]
async fn a_token_that_is_not_for_us_now_by_them_is_not_believed() {
    let (world, it, id) = ready().await;
    let wrong: &[(&str, Value)] = &[
        ("another issuer", json!({ "iss": "https://id.example.com" })),
        ("no issuer", json!({ "iss": null })),
        ("another audience", json!({ "aud": "other" })),
        (
            "another audience beside ours",
            json!({ "aud": ["portcullis", "other"] }),
        ),
        ("made for another client", json!({ "azp": "other" })),
        ("expired", json!({ "exp": 1_772_442_000 })),
        ("no end", json!({ "exp": null })),
        ("another nonce", json!({ "nonce": "0".repeat(64) })),
        ("no nonce", json!({ "nonce": null })),
        ("no subject", json!({ "sub": "" })),
    ];
    for (what, claims) in wrong {
        it.tell(claims.clone());
        assert_eq!(sign_in(&world, &it, id).await.refused(), "OIDC_TOKEN", "{what}");
    }
    it.tell(json!({}));
    is_in(&sign_in(&world, &it, id).await);
    assert_eq!(world.events("ProviderSignInRefused").await.len(), wrong.len());
}

#[tokio::test]
async fn only_a_signature_under_a_key_that_the_provider_shows_is_believed() {
    let (world, it, id) = ready().await;
    for signs in [Signs::None, Signs::PublicKey, Signs::ClientSecret, Signs::OtherKey] {
        *it.twist() = Twist {
            signs,
            ..Twist::default()
        };
        assert_eq!(sign_in(&world, &it, id).await.refused(), "OIDC_TOKEN", "{signs:?}");
    }
    it.tell(json!({}));
    is_in(&sign_in(&world, &it, id).await);
}

#[tokio::test]
async fn a_sign_in_belongs_to_the_browser_that_began_it_and_is_taken_once() {
    let (world, it, id) = ready().await;
    let (url, cookie) = world.leave(id, "/").await;
    let (other_url, other) = world.leave(id, "/").await;
    let answer = it.answer(&url);
    for (what, query, cookie) in [
        ("no cookie", answer.clone(), "x=y"),
        ("another browser", answer.clone(), other.as_str()),
        ("no state", "code=c".to_owned(), cookie.as_str()),
        (
            "a state of its own",
            format!("code=c&state={}0", param(&url, "state")),
            cookie.as_str(),
        ),
    ] {
        assert_eq!(world.come_back(&query, cookie).await.refused(), "OIDC_STATE", "{what}");
    }
    assert!(it.twist().redeemed.is_empty(), "no code was redeemed");
    is_in(&world.come_back(&answer, &cookie).await);
    assert_eq!(
        world.come_back(&answer, &cookie).await.refused(),
        "OIDC_STATE",
        "replayed"
    );
    assert_eq!(it.twist().redeemed.len(), 1);
    // The code of one sign-in in another: its nonce is not that one's.
    let mixed = format!("state={}&code={}", param(&other_url, "state"), param(&url, "nonce"));
    assert_eq!(world.come_back(&mixed, &other).await.refused(), "OIDC_TOKEN");
}

#[tokio::test]
async fn fifty_returns_at_once_begin_one_session() {
    let (world, it, id) = ready().await;
    let (url, cookie) = world.leave(id, "/").await;
    let answer = it.answer(&url);
    let all = (0..50).map(|_| world.come_back(&answer, &cookie));
    let replies = futures_util::future::join_all(all).await;
    let good = replies.iter().filter(|reply| reply.header("location") == "/").count();
    assert_eq!((good, world.events("SignedIn").await.len()), (1, 1));
}

#[tokio::test]
async fn a_sign_in_ends_after_ten_minutes() {
    let (world, it, id) = ready().await;
    let (url, cookie) = world.leave(id, "/").await;
    let (later, later_cookie) = world.leave(id, "/").await;
    it.tell(json!({ "exp": 1_772_450_000 }));
    world.clock.advance(std::time::Duration::from_secs(599));
    is_in(&world.come_back(&it.answer(&later), &later_cookie).await);
    world.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(world.come_back(&it.answer(&url), &cookie).await.refused(), "OIDC_STATE");
}

#[tokio::test]
async fn an_answer_of_another_provider_than_the_one_that_was_asked_is_refused_before_the_code_is_sent_anywhere() {
    let (world, honest, id) = ready().await;
    let evil = Hostile::start().await;
    let mut said = definition(evil.issuer());
    said.name = "Evil".to_owned();
    let evil_id = world.provider(said).await;
    // Asked the evil one, which sends the browser on to the honest one: that names itself.
    let (url, cookie) = world.leave(evil_id, "/").await;
    let query = format!("{}&iss={}", honest.answer(&url), honest.issuer());
    assert_eq!(world.come_back(&query, &cookie).await.refused(), "OIDC_ISSUER");
    assert!(evil.twist().redeemed.is_empty() && honest.twist().redeemed.is_empty());
    // One that says that it names itself has to.
    honest.twist().names_itself = true;
    let (url, cookie) = world.leave(id, "/").await;
    assert_eq!(
        world.come_back(&honest.answer(&url), &cookie).await.refused(),
        "OIDC_ISSUER"
    );
    let (url, cookie) = world.leave(id, "/").await;
    let query = format!("{}&iss={}", honest.answer(&url), honest.issuer());
    is_in(&world.come_back(&query, &cookie).await);
    // And a state of one tenant is none at the address of another.
    let (url, cookie) = world.leave(id, "/").await;
    let path = format!("/auth/oidc/outsider/callback?{}", honest.answer(&url));
    let ask = crate::world::request(axum::http::Method::GET, &path)
        .with("cookie", &cookie)
        .empty();
    assert_eq!(world.send(ask).await.refused(), "OIDC_STATE");
}

#[tokio::test]
async fn pkce_and_the_redirect_uri_are_those_of_this_sign_in_and_of_public_url() {
    let (world, it, id) = ready().await;
    let (url, cookie) = world.leave(id, "/").await;
    assert_eq!(param(&url, "code_challenge_method"), "S256");
    assert_eq!(param(&url, "response_type"), "code");
    assert_eq!(
        param(&url, "redirect_uri"),
        "http://127.0.0.1:8080/auth/oidc/acme/callback"
    );
    is_in(&world.come_back(&it.answer(&url), &cookie).await);
    let redeemed = it.twist().redeemed[0].clone();
    let challenge = {
        use base64::Engine;
        use sha2::Digest;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(redeemed.code_verifier))
    };
    assert_eq!(challenge, param(&url, "code_challenge"));
    assert_eq!(redeemed.redirect_uri, param(&url, "redirect_uri"));
    assert_eq!(redeemed.code, param(&url, "nonce"));
    // Whatever Host a stranger writes.
    let path = format!("/auth/oidc/acme/start?provider={id}");
    let ask = crate::world::request(axum::http::Method::GET, &path)
        .with("host", "evil.example")
        .empty();
    let reply = world.send(ask).await;
    assert!(!reply.header("location").contains("evil.example"));
}

#[tokio::test]
async fn nobody_is_sent_to_another_site_afterwards() {
    let (world, it, id) = ready().await;
    for (path, lands) in [
        ("/requests?x=1", "/requests?x=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ] {
        let escaped: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
        let (url, cookie) = world.leave(id, &escaped).await;
        let reply = world.come_back(&it.answer(&url), &cookie).await.expect(303);
        assert_eq!(reply.header("location"), lands, "{path}");
    }
}

#[tokio::test]
async fn keys_that_are_away_stop_this_sign_in_and_no_other() {
    let (world, it, id) = ready().await;
    let (url, cookie) = world.leave(id, "/").await;
    it.twist().no_keys = true;
    assert_eq!(
        world.come_back(&it.answer(&url), &cookie).await.refused(),
        "PROVIDER_UNAVAILABLE"
    );
    let path = format!("/auth/oidc/acme/start?provider={id}");
    let ask = crate::world::request(axum::http::Method::GET, &path).empty();
    assert_eq!(world.send(ask).await.refused(), "PROVIDER_UNAVAILABLE");
    world.sign_in("dana", None).await.expect(200);
}

#[tokio::test]
async fn metadata_that_names_another_issuer_or_leads_inside_is_not_used() {
    let (world, it, id) = ready().await;
    for (name, value) in [
        ("issuer", "https://id.example.com"),
        ("token_endpoint", "http://169.254.169.254/latest"),
        ("jwks_uri", "https://10.0.0.1/keys"),
        ("userinfo_endpoint", "https://[::ffff:192.168.0.1]/"),
        ("authorization_endpoint", "javascript:alert(1)"),
    ] {
        it.tell(json!({}));
        it.twist().metadata.insert(name.to_owned(), json!(value));
        let path = format!("/auth/oidc/acme/start?provider={id}");
        let reply = world
            .send(crate::world::request(axum::http::Method::GET, &path).empty())
            .await;
        assert_eq!(reply.refused(), "PROVIDER_UNAVAILABLE", "{name}");
    }
}

#[tokio::test]
async fn user_information_of_somebody_else_is_not_taken() {
    let (world, it, id) = ready().await;
    let told = json!({ "sub": "s2", "email": "dana@acme.example", "email_verified": true });
    it.tell(json!({ "email": null, "email_verified": null }));
    it.twist().user_info = Some(told.clone());
    assert_eq!(sign_in(&world, &it, id).await.refused(), "OIDC_TOKEN");
    // An address that the token tells is not verified by a word from elsewhere.
    it.tell(json!({ "email_verified": null }));
    it.twist().user_info = Some(json!({ "sub": "s1", "email_verified": true }));
    assert_eq!(sign_in(&world, &it, id).await.refused(), "EMAIL_UNVERIFIED");
    it.tell(json!({ "email": null, "email_verified": null }));
    it.twist().user_info = Some(json!({ "sub": "s1", "email": "dana@acme.example", "email_verified": true }));
    is_in(&sign_in(&world, &it, id).await);
}
