//! Whom a provider's word lets in, and as what.

use axum::http::Method;
use commands::auth::oidc::{ProviderInput, SecretInput};
use model::Role;
use serde_json::{Value, json};

use super::{definition, hostile::Hostile, mapping, param};
use crate::world::{Reply, World, request};

async fn told(world: &World, it: &Hostile, id: formats::IdentityProviderId, claims: Value) -> Reply {
    it.tell(claims);
    let (url, cookie) = world.leave(id, "/").await;
    world.come_back(&it.answer(&url), &cookie).await.expect(303)
}

fn is_in(reply: &Reply) {
    assert_eq!(reply.header("location"), "/");
}

#[tokio::test]
async fn an_address_that_is_not_verified_or_of_another_domain_leads_nowhere() {
    let (world, it) = (World::new().await, Hostile::start().await);
    world.user("dana", &[]).await;
    let mut said = definition(it.issuer());
    said.email_domains = vec!["acme.example".to_owned()];
    said.provision = true;
    let id = world.provider(said).await;
    for claims in [
        json!({ "email_verified": false }),
        json!({ "email_verified": null }),
        json!({ "email": null }),
        json!({ "email": "dana@evil.example" }),
        json!({ "email": "dana@acme.example@evil.example" }),
    ] {
        assert_eq!(
            told(&world, &it, id, claims.clone()).await.refused(),
            "EMAIL_UNVERIFIED",
            "{claims}"
        );
    }
    assert!(world.events("IdentityLinked").await.is_empty());
}

#[tokio::test]
async fn who_somebody_is_is_issuer_and_subject_and_never_an_address_across_providers() {
    let (world, it, other) = (World::new().await, Hostile::start().await, Hostile::start().await);
    world.user("dana", &[]).await;
    world.user("robin", &[]).await;
    let id = world.provider(definition(it.issuer())).await;
    let mut second = definition(other.issuer());
    second.name = "Second".to_owned();
    let second = world.provider(second).await;
    is_in(&told(&world, &it, id, json!({})).await);
    // Another provider vouches for the same address; another subject of the same provider has it.
    assert_eq!(
        told(&world, &other, second, json!({})).await.refused(),
        "IDENTITY_LINKED"
    );
    assert_eq!(
        told(&world, &it, id, json!({ "sub": "s2" })).await.refused(),
        "IDENTITY_LINKED"
    );
    // The same subject at another issuer is somebody else.
    is_in(&told(&world, &other, second, json!({ "email": "robin@acme.example" })).await);
    assert_eq!(world.events("IdentityLinked").await.len(), 2);
    // An administrator may part them, and then the address leads there again.
    world.user("chief", &[Role::Admin]).await;
    let chief = world.browser("chief").await;
    let mut tx = world.app.reading(world.tenant).await.unwrap();
    let dana = projections::directory::user_by_email(&mut tx, "dana@acme.example")
        .await
        .unwrap()
        .unwrap()
        .id;
    drop(tx);
    let body = json!({ "query": "mutation($i: UnlinkIdentitiesInput!) { unlinkIdentities(input: $i) { userId } }",
        "variables": { "i": { "userId": dana } } });
    let done = chief.post("/graphql", &body).await.expect(200).json();
    assert!(done["errors"].is_null(), "{done}");
    is_in(&told(&world, &it, id, json!({ "sub": "s2" })).await);
}

#[tokio::test]
async fn whoever_has_no_account_gets_one_only_where_the_tenant_says_so() {
    let (world, it) = (World::new().await, Hostile::start().await);
    let mut said = definition(it.issuer());
    let id = world.provider(said.clone()).await;
    let new = json!({ "email": "new@acme.example", "name": "New" });
    assert_eq!(told(&world, &it, id, new.clone()).await.refused(), "NO_ACCOUNT");
    said.provision = true;
    said.role_mapping = vec![mapping("Approvers", Role::Approver)];
    let input = ProviderInput {
        definition: said,
        secret: SecretInput::Keep,
    };
    world
        .app
        .change_identity_provider(&world.system(), id, input)
        .await
        .unwrap();
    let mut grouped = new;
    grouped["groups"] = json!(["Approvers"]);
    let reply = told(&world, &it, id, grouped).await;
    is_in(&reply);
    let cookie = reply.cookie();
    world.settle(world.tenant).await;
    let ask = request(Method::GET, "/auth/session").with("cookie", &cookie).empty();
    let session = world.send(ask).await.expect(200).json();
    assert_eq!(session["user"]["email"], "new@acme.example");
    assert_eq!(session["roles"], json!(["approver"]));
    let made = world.events("UserCreated").await;
    assert_eq!(made.last().unwrap().actor.method.as_deref(), Some("oidc"));
}

#[tokio::test]
async fn a_closed_account_and_one_above_the_providers_author_are_refused() {
    let (world, it) = (World::new().await, Hostile::start().await);
    let dana = world.user("dana", &[]).await;
    world.user("chief", &[Role::Admin]).await;
    let chief = world.browser("chief").await;
    // An admin configures a provider that may say of anybody that it is the owner.
    let body = json!({ "query": "mutation($i: CreateIdentityProviderInput!) { createIdentityProvider(input: $i) {
        identityProvider { id ceiling hasClientSecret } } }",
        "variables": { "i": { "provider": { "name": "Contoso", "issuer": it.issuer(), "clientId": "portcullis",
            "clientSecret": super::SECRET } } } });
    let made = chief.post("/graphql", &body).await.expect(200).json();
    let made = &made["data"]["createIdentityProvider"]["identityProvider"];
    assert_eq!(
        (&made["ceiling"], &made["hasClientSecret"]),
        (&json!("ADMIN"), &json!(true))
    );
    let id = made["id"].as_str().unwrap().parse().unwrap();
    let owner = told(&world, &it, id, json!({ "email": "owner@acme.example" })).await;
    assert_eq!(owner.refused(), "ROLE_ABOVE_PROVIDER");
    assert!(
        world.events("IdentityLinked").await.is_empty(),
        "nor is anything remembered"
    );
    is_in(
        &told(
            &world,
            &it,
            id,
            json!({ "sub": "chief", "email": "chief@acme.example" }),
        )
        .await,
    );
    is_in(&told(&world, &it, id, json!({})).await);
    world
        .app
        .disable_user(&world.system(), dana, "left".to_owned())
        .await
        .unwrap();
    assert_eq!(told(&world, &it, id, json!({})).await.refused(), "ACCOUNT_CLOSED");
    let refused = world.events("ProviderSignInRefused").await;
    assert_eq!(refused.len(), 2);
}

#[tokio::test]
async fn a_second_factor_is_asked_for_as_after_a_password_unless_the_provider_saw_one_that_is_trusted() {
    let (world, it) = (World::new().await, Hostile::start().await);
    let dana = world.user("dana", &[]).await;
    world.totp(dana).await;
    let mut said = definition(it.issuer());
    said.trusted_factors = vec!["otp".to_owned()];
    let id = world.provider(said).await;
    it.tell(json!({ "amr": ["pwd"] }));
    let (url, cookie) = world.leave(id, "/requests").await;
    let reply = world.come_back(&it.answer(&url), &cookie).await.expect(303);
    assert!(reply.header("set-cookie").is_empty(), "not in yet");
    let at: url::Url = format!("http://here{}", reply.header("location")).parse().unwrap();
    assert_eq!((at.path(), param(&at, "next").as_str()), ("/sign-in", "/requests"));
    let give = |code: String, cookie: String| {
        let body = json!({ "ticket": param(&at, "ticket"), "code": code });
        world.send(
            request(Method::POST, "/auth/oidc/code")
                .with("cookie", &cookie)
                .json(&body),
        )
    };
    assert_eq!(
        give("000000".to_owned(), cookie.clone()).await.expect(401).code(),
        "INVALID_CODE"
    );
    let other = format!("portcullis-oidc={}", "0".repeat(64));
    assert_eq!(
        give(world.code(), other).await.expect(401).code(),
        "OIDC_STATE",
        "another browser"
    );
    let session = give(world.code(), cookie.clone()).await.expect(200).json();
    assert_eq!(session["method"], "oidc+totp");
    assert_eq!(
        give(world.code(), cookie).await.expect(401).code(),
        "OIDC_STATE",
        "once"
    );
    let reply = told(&world, &it, id, json!({ "amr": ["pwd", "otp"] })).await;
    is_in(&reply);
    assert_eq!(
        world.events("SignedIn").await.last().unwrap().actor.method.as_deref(),
        Some("oidc+mfa")
    );
}

#[tokio::test]
async fn groups_that_the_provider_leaves_out_take_no_role_away() {
    let (world, it) = (World::new().await, Hostile::start().await);
    world.user("dana", &[Role::Approver]).await;
    let mut said = definition(it.issuer());
    said.role_mapping = vec![mapping("Approvers", Role::Approver)];
    let id = world.provider(said).await;
    let elsewhere = json!({ "_claim_names": { "groups": "src1" } });
    assert_eq!(told(&world, &it, id, elsewhere).await.refused(), "CLAIMS_INCOMPLETE");
    assert_eq!(
        world.events("RolesAssigned").await.len(),
        2,
        "the owner's and dana's own"
    );
}

#[tokio::test]
async fn a_providers_secret_goes_on_through_a_change_of_the_data_key() {
    let (world, it) = (World::new().await, Hostile::start().await);
    world.user("dana", &[]).await;
    let id = world.provider(definition(it.issuer())).await;
    world.rotate_data_key().await;
    is_in(&told(&world, &it, id, json!({ "email": "dana@acme.example" })).await);
}

/// An account on an endpoint that a provider's claim names is the user's own, whoever filed what from it before.
#[tokio::test]
async fn an_account_that_a_claim_names_is_linked_and_then_its_requests_are_ones_own() {
    let (world, it) = (World::new().await, Hostile::start().await);
    world.policy("Ask first", "/opt/*").await;
    let agent = world.agent("lab").await;
    let filed = agent.submit("/opt/tool").await.expect(201).json();
    let dana = world.user("dana", &[Role::Admin]).await;
    let mut said = definition(it.issuer());
    said.account_claim = Some("upn".to_owned());
    let id = world.provider(said).await;
    is_in(&told(&world, &it, id, json!({ "email": "dana@acme.example", "upn": "DORA" })).await);
    let linked = world.events("EndpointAccountLinked").await;
    assert_eq!(
        (&linked[0].data["by"], &linked[0].data["user"]),
        (&json!("oidc"), &json!(dana))
    );
    world.settle(world.tenant).await;
    let request = filed["requestId"].as_str().unwrap().parse().unwrap();
    let digest = agent.action("/opt/tool").1;
    let origin = commands::Origin::inside(uuid::Uuid::nil());
    let dana = world.app.acting_as(world.tenant, dana, origin).await.unwrap();
    let none = model::request::Narrowing::default();
    let refused = world.app.approve(&dana, request, &digest, none, None).await;
    assert_eq!(refused.unwrap_err().code, "SELF_APPROVAL");
    // Somebody else is not let into the same account by the same claim.
    world.user("robin", &[]).await;
    let other = json!({ "sub": "s2", "email": "robin@acme.example", "upn": "dora" });
    is_in(&told(&world, &it, id, other).await);
    assert_eq!(world.events("EndpointAccountLinked").await.len(), 1);
}
