//! What administrators do with providers, and what nobody gets to see.

use axum::http::Method;
use commands::auth::oidc::{ProviderInput, SecretInput};
use model::Role;
use serde_json::{Value, json};

use super::{SECRET, definition, hostile::Hostile};
use crate::world::{Browser, World, request};

async fn ask(browser: &Browser<'_>, operation: &str, input: &str, value: Value) -> Value {
    let query = format!(
        "mutation($i: {input}!) {{ {operation}(input: $i) {{ identityProvider {{ id name disabled problem checkedAt removedAt }} }} }}"
    );
    let body = json!({ "query": query, "variables": { "i": value } });
    browser.post("/graphql", &body).await.expect(200).json()
}

#[tokio::test]
async fn a_provider_is_configured_checked_changed_disabled_and_removed() {
    let (world, it) = (World::new().await, Hostile::start().await);
    world.user("chief", &[Role::Admin]).await;
    let chief = world.browser("chief").await;
    let provider =
        |name: &str| json!({ "name": name, "issuer": it.issuer(), "clientId": "portcullis", "clientSecret": SECRET });
    let made = ask(
        &chief,
        "createIdentityProvider",
        "CreateIdentityProviderInput",
        json!({ "provider": provider("Contoso") }),
    )
    .await;
    let id = made["data"]["createIdentityProvider"]["identityProvider"]["id"].clone();
    let taken = ask(
        &chief,
        "createIdentityProvider",
        "CreateIdentityProviderInput",
        json!({ "provider": provider("contoso") }),
    )
    .await;
    assert_eq!(taken["errors"][0]["extensions"]["code"], "NAME_TAKEN");
    let one = |operation: &'static str| {
        ask(
            &chief,
            operation,
            "IdentityProviderIdInput",
            json!({ "identityProviderId": id }),
        )
    };
    let checked = one("checkIdentityProvider").await;
    assert!(
        checked["data"]["checkIdentityProvider"]["identityProvider"]["problem"].is_null(),
        "{checked}"
    );
    it.twist().no_keys = true;
    let checked = one("checkIdentityProvider").await;
    let problem = checked["data"]["checkIdentityProvider"]["identityProvider"]["problem"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(problem.contains("can't be used"), "{problem}");
    let listed = || async {
        let ask = request(Method::GET, "/auth/providers?tenant=acme").empty();
        world.send(ask).await.expect(200).json()["providers"].clone()
    };
    assert_eq!(listed().await, json!([{ "id": id, "name": "Contoso" }]));
    let change = json!({ "identityProviderId": id, "provider": { "name": "Fabrikam", "issuer": it.issuer(), "clientId": "p2" } });
    let changed = ask(&chief, "changeIdentityProvider", "ChangeIdentityProviderInput", change).await;
    assert_eq!(
        changed["data"]["changeIdentityProvider"]["identityProvider"]["name"], "Fabrikam",
        "{changed}"
    );
    one("disableIdentityProvider").await;
    assert_eq!(listed().await, json!([]));
    let path = format!("/auth/oidc/acme/start?provider={}", id.as_str().unwrap());
    let start = world.send(request(Method::GET, &path).empty()).await;
    assert_eq!(start.refused(), "PROVIDER_DISABLED");
    one("enableIdentityProvider").await;
    assert_eq!(listed().await[0]["name"], "Fabrikam");
    one("removeIdentityProvider").await;
    assert_eq!(listed().await, json!([]));
    let start = world.send(request(Method::GET, &path).empty()).await;
    assert_eq!(start.refused(), "NOT_FOUND");
    for event in [
        "IdentityProviderConfigured",
        "IdentityProviderChanged",
        "IdentityProviderDisabled",
        "IdentityProviderRemoved",
    ] {
        let events = world.events(event).await;
        assert_eq!(
            (events.len(), events[0].actor.method.as_deref()),
            (1, Some("password")),
            "{event}"
        );
    }
}

#[tokio::test]
async fn an_internal_address_is_refused_when_it_is_saved() {
    let world = World::new().await;
    world.user("chief", &[Role::Admin]).await;
    let chief = world.browser("chief").await;
    for issuer in [
        "https://10.0.0.1",
        "https://0xa9fea9fe/",
        "https://[::ffff:192.168.0.1]",
        "https://[64:ff9b::a00:1]",
    ] {
        let provider = json!({ "name": "Contoso", "issuer": issuer, "clientId": "portcullis" });
        let said = ask(
            &chief,
            "createIdentityProvider",
            "CreateIdentityProviderInput",
            json!({ "provider": provider }),
        )
        .await;
        let error = &said["errors"][0]["extensions"];
        assert_eq!(
            (&error["code"], &error["field"]),
            (&json!("BAD_INPUT"), &json!("issuer")),
            "{issuer} {said}"
        );
    }
}

#[tokio::test]
async fn a_client_secret_is_in_the_vault_alone() {
    let (world, it) = (World::new().await, Hostile::start().await);
    let id = world.provider(definition(it.issuer())).await;
    let events = world.app.store.read(world.tenant, 0, 10_000).await.unwrap();
    let log = format!("{events:?}");
    assert!(log.contains("IdentityProviderConfigured") && !log.contains(SECRET));
    for event in &events {
        assert!(!String::from_utf8_lossy(&event.bytes).contains(SECRET));
    }
    let wrapped: Vec<Vec<u8>> = {
        let mut tx = world.app.reading(world.tenant).await.unwrap();
        sqlx::query_scalar("select wrapped from identity_provider_secret")
            .fetch_all(&mut *tx)
            .await
            .unwrap()
    };
    assert_eq!(wrapped.len(), 1);
    assert!(!wrapped[0].windows(8).any(|part| part == &SECRET.as_bytes()[..8]));
    let drop_it = ProviderInput {
        definition: definition(it.issuer()),
        secret: SecretInput::Drop,
    };
    world
        .app
        .change_identity_provider(&world.system(), id, drop_it)
        .await
        .unwrap();
    let mut tx = world.app.reading(world.tenant).await.unwrap();
    let left: i64 = sqlx::query_scalar("select count(*) from identity_provider_secret")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn another_tenants_provider_is_as_if_it_were_not_there() {
    let (world, it) = (World::new().await, Hostile::start().await);
    let id = world.provider(definition(it.issuer())).await;
    let path = format!("/auth/oidc/outsider/start?provider={id}");
    assert_eq!(
        world.send(request(Method::GET, &path).empty()).await.refused(),
        "NOT_FOUND"
    );
    let ask = request(Method::GET, "/auth/providers?tenant=outsider").empty();
    assert_eq!(world.send(ask).await.expect(200).json()["providers"], json!([]));
    let ask = request(Method::GET, "/auth/providers?tenant=nobody").empty();
    assert_eq!(world.send(ask).await.expect(200).json()["providers"], json!([]));
}
