//! The log, as it is stored.

use model::{Role, Scope};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::world::World;

#[tokio::test]
async fn an_export_is_whole_and_each_leaf_is_the_hash_of_its_line() {
    let world = World::new().await;
    let browser = world.browser("owner").await;
    let head = world.app.store.head(world.tenant).await.unwrap();
    let path = format!("/audit/v1/{}/events", world.tenant);
    let reply = browser.get(&path).await.expect(200);
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    let text = reply.text();
    let mut positions = Vec::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        positions.push(value["position"].as_u64().unwrap());
        let body = line.split_once("\"body\":").unwrap().1.strip_suffix('}').unwrap();
        let leaf = Sha256::new_with_prefix([0]).chain_update(body).finalize();
        assert_eq!(value["leaf"], formats::hash::to_hex(&leaf));
    }
    assert_eq!(positions, (1..=head).collect::<Vec<_>>());
    let part = browser
        .get("/audit/v1/acme/events?from=2&to=3")
        .await
        .expect(200)
        .text();
    assert_eq!(
        part,
        text.lines()
            .skip(1)
            .take(2)
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    );
}

#[tokio::test]
async fn who_may_not_read_a_log_finds_none() {
    let world = World::new().await;
    world.user("ann", &[Role::Member, Role::Approver]).await;
    world.user("carl", &[Role::Auditor]).await;
    let (owner, ann, carl) = (
        world.browser("owner").await,
        world.browser("ann").await,
        world.browser("carl").await,
    );
    let (own, foreign) = (
        format!("/audit/v1/{}/events", world.tenant),
        format!("/audit/v1/{}/events", world.outsider),
    );
    carl.get(&own).await.expect(200);
    let hidden = ann.get(&own).await.expect(404).json();
    assert_eq!(owner.get(&foreign).await.expect(404).json(), hidden);
    assert_eq!(owner.get("/audit/v1/outsider/events").await.expect(404).json(), hidden);
    assert_eq!(owner.get("/audit/v1/nobody/events").await.expect(404).json(), hidden);
    assert_eq!(
        owner.get(&format!("{own}?from=0")).await.expect(422).json()["field"],
        "from"
    );
    assert_eq!(
        owner.get(&format!("{own}?since=1")).await.expect(422).json()["field"],
        "since"
    );
}

#[tokio::test]
async fn a_key_needs_the_scope() {
    let world = World::new().await;
    let system = world.system();
    let scopes = vec![Scope::AuditRead, Scope::FleetRead];
    let account = world
        .app
        .create_service_account(&system, "siem".to_owned(), scopes)
        .await
        .unwrap();
    let key = async |scope| {
        let issued = world
            .app
            .issue_api_key(&system, account.id(), vec![scope], None)
            .await
            .unwrap();
        issued.secret.unwrap()
    };
    let path = format!("/audit/v1/{}/events", world.tenant);
    world.get(&path, &key(Scope::AuditRead).await).await.expect(200);
    world.get(&path, &key(Scope::FleetRead).await).await.expect(404);
}
