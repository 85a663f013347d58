//! What endpoints report, from the agent's door to a collection and the decisions by it.

use model::Role;
use serde_json::{Value, json};

use super::{change, code, data};
use crate::world::{Agent, Browser, World};

const LIST: &str = "query($kind: CollectionKind!, $search: String, $filter: InventoryFilter) { \
    inventory(kind: $kind, search: $search, filter: $filter, first: 50) { \
    nodes { name publisher versions endpoints members { by members } } pageInfo { hasNextPage } } }";

async fn list(browser: &Browser<'_>, variables: Value) -> Vec<Value> {
    let found = data(browser, LIST, variables).await;
    found["inventory"]["nodes"].as_array().unwrap().clone()
}

async fn names(browser: &Browser<'_>, kind: &str) -> Vec<String> {
    let found = list(browser, json!({ "kind": kind })).await;
    found
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn report(agent: &Agent<'_>, programs: Value) {
    let inventory = json!({ "osVersion": "12", "applications": programs, "administrators": ["dora"] });
    agent.post("/agent/v1/inventory", &inventory).await.expect(204);
}

#[tokio::test]
async fn what_an_agent_reports_becomes_a_member_and_a_policy_decides_by_it() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let agent = world.agent("lab").await;
    let hash = "Ab".repeat(32);
    let tool =
        json!({ "name": "Tool", "version": "1", "publisher": "CN=Contoso", "path": "/opt/tool/tool", "sha256": hash });
    report(&agent, json!([tool, { "name": "Other", "path": "/opt/other" }])).await;
    let found = list(&owner, json!({ "kind": "APPLICATIONS", "search": "tool" })).await;
    let by = |by: &str, member: &str| json!({ "by": by, "members": [member] });
    assert_eq!(
        found,
        [json!({
            "name": "Tool", "publisher": "CN=Contoso", "versions": ["1"], "endpoints": 1,
            "members": [by("PATH", "path:/opt/tool/tool"), by("SHA256", &format!("sha256:{}", "ab".repeat(32))),
                        by("PUBLISHER", "publisher:CN=Contoso")],
        })]
    );
    let users = list(&owner, json!({ "kind": "USERS" })).await;
    let machines = list(&owner, json!({ "kind": "MACHINES" })).await;
    for (name, kind, members) in [
        ("tools", "APPLICATIONS", &found[0]["members"][0]["members"]),
        ("administrators", "USERS", &users[0]["members"][0]["members"]),
        ("labs", "MACHINES", &machines[0]["members"][0]["members"]),
    ] {
        let input = json!({ "name": name, "kind": kind, "members": members });
        change(&owner, "createCollection", input, "collection { id }").await;
    }
    let document = json!({
        "name": "Tools are denied", "type": "privilege_elevation", "status": "enforce", "controls": ["deny"],
        "users": ["collection:administrators"], "machines": ["collection:labs"], "applications": ["collection:tools"],
    });
    change(&owner, "createPolicy", json!({ "document": document }), "policy { id }").await;

    // The agent's own snapshot decides by it.
    let body = agent.get("/agent/v1/snapshot", &[]).await.expect(200);
    let snapshot: policy_engine::Snapshot = serde_json::from_slice(&body.body).unwrap();
    let index = policy_engine::Index::compile(&snapshot).unwrap();
    let decide = |path: &str| {
        let action = serde_json::from_value(agent.action(path).0).unwrap();
        index.decide(&action).outcome
    };
    assert_eq!(decide("/opt/tool/tool"), policy_engine::Outcome::Denied);
    assert_eq!(decide("/opt/other"), policy_engine::Outcome::PassThrough);
}

#[tokio::test]
async fn what_no_pattern_can_say_alone_is_no_member() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let agent = world.agent("lab*").await;
    let programs = json!([
        { "name": "Star", "path": "/opt/*", "publisher": "CN=*" },
        { "name": "Variable", "path": "/home/{username}/x" },
        { "name": "Dots", "path": "/opt/../x" },
        { "name": "Braces", "path": "/opt/{8A69D345-D564-463C-AFF1-A69D9E530F96}/x" },
        { "name": "Long", "path": format!("/{}", "x".repeat(2_000)) },
    ]);
    report(&agent, programs).await;
    let members = |found: Vec<Value>| -> Vec<(String, usize)> {
        let of = |item: &Value| {
            (
                item["name"].as_str().unwrap().to_owned(),
                item["members"].as_array().unwrap().len(),
            )
        };
        found.iter().map(of).collect()
    };
    let found = members(list(&owner, json!({ "kind": "APPLICATIONS" })).await);
    let expected = [("Braces", 1), ("Dots", 0), ("Long", 0), ("Star", 0), ("Variable", 0)];
    assert_eq!(found, expected.map(|(name, ways)| (name.to_owned(), ways)));
    assert_eq!(
        members(list(&owner, json!({ "kind": "MACHINES" })).await),
        [("lab*".to_owned(), 0)]
    );
}

#[tokio::test]
async fn a_new_report_replaces_the_old_one_and_a_removed_endpoint_counts_no_more() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let (lab, desk) = (world.agent("lab").await, world.agent("desk").await);
    report(&lab, json!([{ "name": "Old" }, { "name": "Both" }])).await;
    report(&desk, json!([{ "name": "Both" }])).await;
    assert_eq!(names(&owner, "APPLICATIONS").await, ["Both", "Old"]);
    let of_desk = json!({ "kind": "APPLICATIONS", "filter": { "deploymentGroupId": desk.group.to_string() } });
    assert_eq!(list(&owner, of_desk).await.len(), 1);
    let windows = json!({ "kind": "APPLICATIONS", "filter": { "os": ["WINDOWS"] } });
    assert_eq!(list(&owner, windows).await.len(), 0);
    report(&lab, json!([{ "name": "New" }, { "name": "Both" }])).await;
    assert_eq!(names(&owner, "APPLICATIONS").await, ["Both", "New"]);

    change(
        &owner,
        "removeEndpoint",
        json!({ "endpointId": lab.endpoint.to_string() }),
        "position",
    )
    .await;
    let left = list(&owner, json!({ "kind": "APPLICATIONS" })).await;
    assert_eq!(
        (left.len(), &left[0]["name"], &left[0]["endpoints"]),
        (1, &json!("Both"), &json!(1))
    );
    assert_eq!(names(&owner, "MACHINES").await, ["desk"]);
    lab.post("/agent/v1/inventory", &json!({})).await.expect(401);
}

#[tokio::test]
async fn it_is_for_whoever_may_read_collections_and_of_their_tenant_alone() {
    let world = World::new().await;
    let agent = world.agent("lab").await;
    report(&agent, json!([{ "name": "Tool" }])).await;
    for (name, roles, may) in [
        ("admin2", Role::Admin, true),
        ("auditor2", Role::Auditor, true),
        ("approver2", Role::Approver, false),
        ("member2", Role::Member, false),
    ] {
        world.user(name, &[roles]).await;
        let browser = world.browser(name).await;
        let variables = json!({ "kind": "APPLICATIONS" });
        if may {
            assert_eq!(list(&browser, variables).await.len(), 1, "{name}");
        } else {
            assert_eq!(code(&browser, LIST, variables).await, "FORBIDDEN", "{name}");
        }
    }
    let theirs = eventstore::TenantTx::begin(world.app.pool(), world.outsider).await;
    let any = projections::fleet::InventoryFilter::default();
    let kind = policy_engine::CollectionKind::Applications;
    let found = projections::fleet::inventory(&mut theirs.unwrap(), kind, &any, &projections::Page::first(10)).await;
    assert_eq!(found.unwrap().nodes(), []);
}

#[tokio::test]
async fn an_inventory_that_cannot_be_kept_is_refused_by_its_field() {
    let world = World::new().await;
    let agent = world.agent("lab").await;
    for (inventory, field) in [
        (
            json!({ "applications": [{ "name": "ok" }, { "name": " " }] }),
            "applications[1].name",
        ),
        (
            json!({ "applications": [{ "name": "x".repeat(501) }] }),
            "applications[0].name",
        ),
        (
            json!({ "applications": [{ "name": "\u{1f5dd}".repeat(251) }] }),
            "applications[0].name",
        ),
        (
            json!({ "applications": [{ "name": "x", "publisher": "\u{e4}".repeat(501) }] }),
            "applications[0].publisher",
        ),
        (
            json!({ "administrators": ["\u{1f5dd}".repeat(251)] }),
            "administrators[0]",
        ),
        (
            json!({ "applications": [{ "name": "x", "version": "x".repeat(1_001) }] }),
            "applications[0].version",
        ),
        (
            json!({ "applications": [{ "name": "x", "path": "x".repeat(32_768) }] }),
            "applications[0].path",
        ),
        (
            json!({ "applications": [{ "name": "x", "sha256": "12" }] }),
            "applications[0].sha256",
        ),
        (json!({ "administrators": [""] }), "administrators[0]"),
        (json!({ "administrators": vec!["x"; 1_001] }), "administrators"),
        (json!({ "osVersion": "x".repeat(501) }), "osVersion"),
    ] {
        let refused = agent.post("/agent/v1/inventory", &inventory).await.expect(422).json();
        assert_eq!(
            (&refused["code"], &refused["field"]),
            (&json!("BAD_INPUT"), &json!(field))
        );
    }
    // The longest that is taken, of characters that no index can make shorter.
    let various = |from: u32, count: u32| -> String {
        let nth = |n: u32| char::from_u32(from + n * 7_919 % 20_000);
        (0..count).filter_map(nth).collect()
    };
    let (name, publisher) = (various(0x4e00, 333), various(0x4e00, 333));
    let path = format!("/{}", "\u{e4}".repeat(32_766));
    report(
        &agent,
        json!([{ "name": name, "version": "1".repeat(1_000), "publisher": publisher, "path": path }]),
    )
    .await;
}
