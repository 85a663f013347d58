//! Limits of documents, and how often the database is asked.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use api::ApiConfig;
use serde_json::json;
use tracing::{Event, Metadata, Subscriber, span};

use super::{ask, change, code, data};
use crate::world::World;

/// As tools ask it (graphql-js `getIntrospectionQuery`).
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { queryType { name } mutationType { name } \
    subscriptionType { name } types { ...FullType } directives { name description locations args { ...InputValue } } } } \
    fragment FullType on __Type { kind name description fields(includeDeprecated: true) { name description \
    args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason } inputFields { ...InputValue } \
    interfaces { ...TypeRef } enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } \
    possibleTypes { ...TypeRef } } fragment InputValue on __InputValue { name description type { ...TypeRef } \
    defaultValue } fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name \
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";

#[tokio::test]
async fn the_schema_describes_itself_unless_that_is_switched_off() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let described = data(&owner, INTROSPECTION, json!({})).await;
    let types = described["__schema"]["types"].as_array().unwrap();
    assert!(types.iter().any(|kind| kind["name"] == "RequestConnection"));

    let silent = World::with(ApiConfig {
        introspection: false,
        ..ApiConfig::default()
    })
    .await;
    let owner = silent.browser("owner").await;
    assert_eq!(code(&owner, INTROSPECTION, json!({})).await, "INTROSPECTION_DISABLED");
    assert_eq!(
        code(&owner, "{ x: __type(name: \"User\") { name } }", json!({})).await,
        "INTROSPECTION_DISABLED"
    );
    data(&owner, "{ __typename viewer { __typename } }", json!({})).await;
}

#[tokio::test]
async fn documents_that_would_cost_too_much_are_refused() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let deep = format!(
        "{{ policies {{ nodes {{ {} id {} }} }} }}",
        "warnings { other { ".repeat(8),
        "} }".repeat(8)
    );
    let wide = "{ policies(first: 200) { nodes { revisions(first: 200) { nodes { number } } } } }";
    let aliases = format!(
        "{{ {} }}",
        (0..40)
            .map(|n| format!("a{n}: viewer {{ roles }} "))
            .collect::<String>()
    );
    let repeated = format!("{{ {} }}", "viewer { roles } ".repeat(40));
    for query in [deep.as_str(), &aliases, &repeated] {
        assert_eq!(code(&owner, query, json!({})).await, "QUERY_TOO_LARGE", "{query}");
    }
    assert_eq!(code(&owner, wide, json!({})).await, "INVALID_DOCUMENT");
    assert_eq!(
        code(&owner, "{ policies(first: 201) { nodes { id } } }", json!({})).await,
        "BAD_INPUT"
    );
}

#[tokio::test]
async fn every_mutation_of_a_document_counts_as_a_call() {
    let rates = api::Rates {
        principals: api::Rate {
            calls: 5,
            seconds: 3_600,
        },
        ..api::Rates::default()
    };
    let world = World::with(ApiConfig {
        rates,
        ..ApiConfig::default()
    })
    .await;
    let owner = world.browser("owner").await;
    let many = (0..10).map(|n| format!("a{n}: expire(input: {{requestId: \"req_{n}\"}}) {{ position }} "));
    let answer = ask(
        &owner,
        &format!("mutation {{ {} }}", many.collect::<String>()),
        json!({}),
    )
    .await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "NOT_FOUND", "{answer}");
    let nullable = "mutation { a: bulkDecide(input: {verdict: DENIED, requests: []}) { position } }";
    let mut codes = Vec::new();
    for _ in 0..6 {
        let reply = owner.post("/graphql", &json!({ "query": nullable })).await;
        codes.push(reply.status.as_u16());
    }
    assert_eq!(codes.last(), Some(&429), "{codes:?}");
}

/// Counts the statements that the process sends.
#[derive(Clone, Default)]
struct Statements(Arc<AtomicUsize>);

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

const NESTED: &str = "{ users(first: 100) { nodes { name teams { name } accounts { account endpoint { name } } } } \
    teams { name members { name teams { id } } } \
    policies(first: 100) { nodes { name warnings { code other { name } } stagedRevision { number author { name } } \
    updatedBy { name } } } \
    collections(first: 100) { nodes { name usedBy { name warnings { code } } } } \
    inventory(kind: APPLICATIONS, first: 100) { nodes { name versions endpoints members { by members } } } \
    approvalRules { name collections { usedBy { id } } primary { users { name } teams { name members { id } } } } \
    deploymentGroups { name stagedPolicies { id } heldSnapshot { version } registrationTokens { label createdBy { name } } } \
    endpoints(first: 100) { nodes { name gaps deploymentGroup { name } accounts { account user { name } } } } \
    serviceAccounts { name apiKeys { label lastUsedAt } } \
    requests(first: 100) { nodes { viewerCanDecide viewerCanCancel controls policies { name controls policy { id } } \
    endpoint { name } requester { user { name } } eligibleApprovers { user { name } as } decisions { as by { name } } \
    approvalRule { name } previousRequest { id } } } }";

#[tokio::test]
async fn nested_lists_ask_the_database_as_often_for_many_rows_as_for_few() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let agent = world.agent("lab").await;
    let grow = async |round: usize| {
        for n in 0..3 {
            let name = format!("{round}-{n}");
            let user = change(
                &owner,
                "createUser",
                json!({
                    "name": name, "email": format!("u{name}@acme.example"), "roles": ["APPROVER"],
                    "password": "correct horse battery staple",
                }),
                "user { id }",
            )
            .await["user"]["id"]
                .clone();
            let team = change(
                &owner,
                "createTeam",
                json!({ "name": name, "memberIds": [user] }),
                "team { id }",
            )
            .await;
            let collection = change(
                &owner,
                "createCollection",
                json!({
                    "name": name, "kind": "MACHINES", "members": ["machine:lab*"],
                }),
                "collection { id }",
            )
            .await;
            change(&owner, "createPolicy", json!({ "document": {
                "name": name, "type": "privilege_elevation", "status": "enforce", "controls": ["approval"],
                "users": ["*"], "machines": [format!("collection:{name}")], "applications": [format!("path:/opt/{name}*")],
            }}), "position").await;
            change(
                &owner,
                "createApprovalRule",
                json!({
                    "name": name, "collectionIds": [collection["collection"]["id"]], "secondary": {},
                    "primary": { "teamIds": [team["team"]["id"]], "userIds": [user] },
                }),
                "position",
            )
            .await;
            change(&owner, "createDeploymentGroup", json!({ "name": name }), "position").await;
            let account = change(
                &owner,
                "createServiceAccount",
                json!({ "name": name }),
                "serviceAccount { id }",
            )
            .await;
            let id = account["serviceAccount"]["id"].clone();
            let key = json!({ "serviceAccountId": id, "label": "", "scopes": ["audit:read"] });
            change(&owner, "issueApiKey", key, "position").await;
            agent.submit(&format!("/opt/{name}")).await.expect(201);
            let programs: Vec<_> = (0..=round * 3 + n)
                .map(|n| json!({ "name": format!("tool {n}") }))
                .collect();
            let inventory = json!({ "applications": programs });
            agent.post("/agent/v1/inventory", &inventory).await.expect(204);
            world.settle(world.tenant).await;
        }
    };
    // How many lookups share a statement depends on which of them are polled together: the fewest of several
    // runs is what the plan needs. The first run also prepares statements and fills caches.
    let counted = async || {
        let mut fewest = (0, usize::MAX);
        for _ in 0..6 {
            let statements = Statements::default();
            let guard = tracing::subscriber::set_default(statements.clone());
            let found = data(&owner, NESTED, json!({})).await;
            drop(guard);
            let rows = found["requests"]["nodes"].as_array().unwrap().len();
            assert_eq!(found["inventory"]["nodes"].as_array().unwrap().len(), rows);
            fewest = (rows, fewest.1.min(statements.0.load(Ordering::Relaxed)));
        }
        fewest
    };
    grow(0).await;
    let (few, for_few) = counted().await;
    grow(1).await;
    grow(2).await;
    let (many, for_many) = counted().await;
    assert_eq!((few, many), (3, 9));
    assert!(for_few > 20, "statements are not counted: {for_few}");
    // A statement a row in any of the lists would be six more.
    assert!(for_many < for_few + 6, "{for_few} {for_many}");
}
