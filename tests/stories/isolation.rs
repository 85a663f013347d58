//! Another tenant's ids look like ids that don't exist, in every query, mutation and route there is; and who has no
//! business somewhere is told so, whatever they ask.

use std::collections::BTreeMap;

use async_graphql_parser::{
    parse_schema,
    types::{BaseType, InputValueDefinition, ServiceDocument, Type, TypeDefinition, TypeKind, TypeSystemDefinition},
};
use model::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Browser, World};

const SDL: &str = include_str!("../../api-schema/schema.graphql");

/// The schema, to make an operation of every field.
struct Schema(ServiceDocument);

impl Schema {
    fn read() -> Self {
        Self(parse_schema(SDL).unwrap())
    }

    fn get(&self, name: &str) -> Option<&TypeDefinition> {
        self.0.definitions.iter().find_map(|definition| match definition {
            TypeSystemDefinition::Type(t) if t.node.name.node == name => Some(&t.node),
            _ => None,
        })
    }

    /// The fields of an object type: name, arguments, type.
    fn fields(&self, name: &str) -> Vec<(String, Vec<&InputValueDefinition>, &Type)> {
        let Some(TypeKind::Object(object)) = self.get(name).map(|t| &t.kind) else {
            return Vec::new();
        };
        object
            .fields
            .iter()
            .map(|field| {
                let arguments = field.node.arguments.iter().map(|a| &a.node).collect();
                (field.node.name.node.to_string(), arguments, &field.node.ty.node)
            })
            .collect()
    }

    /// A value for an argument: ids from `ids` by name, everything else as small as it may be.
    fn value(&self, field: &str, name: &str, ty: &Type, ids: &BTreeMap<&str, String>, whole: bool) -> Value {
        match &ty.base {
            BaseType::List(inner) => json!([self.value(field, name, inner, ids, whole)]),
            BaseType::Named(base) => match base.as_str() {
                "ID" => json!(ids[kind(field, name)]),
                "String" => json!("x"),
                "Int" | "Position" => json!(1),
                "Float" => json!(1.0),
                "Boolean" => json!(true),
                "DateTime" => json!("2099-01-01T00:00:00.000Z"),
                "Digest" => json!("ab".repeat(32)),
                "PolicyDocument" => json!({
                    "name": "Isolation", "type": "privilege_elevation", "status": "monitor", "controls": ["approval"],
                    "users": ["*"], "machines": ["*"], "applications": ["path:C:\\Isolation\\*"]
                }),
                "JSON" => json!({}),
                other => match self.get(other).map(|t| &t.kind) {
                    Some(TypeKind::Enum(e)) => json!(e.values[0].node.value.node.as_str()),
                    Some(TypeKind::InputObject(input)) => {
                        let fields = input.fields.iter().map(|f| &f.node).filter(|f| {
                            whole || is_id(&f.ty.node) || (!f.ty.node.nullable && f.default_value.is_none())
                        });
                        fields
                            .map(|f| {
                                let name = f.name.node.as_str();
                                (name.to_owned(), self.value(field, name, &f.ty.node, ids, whole))
                            })
                            .collect()
                    }
                    _ => panic!("no value for {other}"),
                },
            },
        }
    }

    /// An operation of one root field, with whatever ids it takes.
    fn operation(
        &self,
        root: &str,
        field: &(String, Vec<&InputValueDefinition>, &Type),
        ids: &BTreeMap<&str, String>,
    ) -> (String, Value) {
        let (name, arguments, ty) = field;
        let taken: Vec<_> = arguments
            .iter()
            .filter(|a| is_id(&a.ty.node) || (!a.ty.node.nullable && a.default_value.is_none()))
            .collect();
        let declared: Vec<String> = taken
            .iter()
            .map(|a| format!("${}: {}", a.name.node, a.ty.node))
            .collect();
        let passed: Vec<String> = taken.iter().map(|a| format!("{0}: ${0}", a.name.node)).collect();
        let variables: Value = taken
            .iter()
            .map(|a| {
                let argument = a.name.node.as_str();
                (argument.to_owned(), self.value(name, argument, &a.ty.node, ids, false))
            })
            .collect();
        let selection = if self.is_leaf(ty) { "" } else { " { __typename }" };
        let (declared, passed) = if taken.is_empty() {
            (String::new(), String::new())
        } else {
            (format!("({})", declared.join(", ")), format!("({})", passed.join(", ")))
        };
        (format!("{root}{declared} {{ {name}{passed}{selection} }}"), variables)
    }

    fn is_leaf(&self, ty: &Type) -> bool {
        match &ty.base {
            BaseType::List(inner) => self.is_leaf(inner),
            BaseType::Named(name) => !matches!(
                self.get(name).map(|t| &t.kind),
                Some(TypeKind::Object(_) | TypeKind::Interface(_) | TypeKind::Union(_))
            ),
        }
    }

    fn takes_ids(&self, field: &(String, Vec<&InputValueDefinition>, &Type)) -> bool {
        field.1.iter().any(|a| is_id(&a.ty.node) || self.has_ids(&a.ty.node))
    }

    fn has_ids(&self, ty: &Type) -> bool {
        match &ty.base {
            BaseType::List(inner) => self.has_ids(inner),
            BaseType::Named(name) => match self.get(name).map(|t| &t.kind) {
                Some(TypeKind::InputObject(input)) => input
                    .fields
                    .iter()
                    .any(|f| is_id(&f.node.ty.node) || (!f.node.ty.node.nullable && self.has_ids(&f.node.ty.node))),
                _ => false,
            },
        }
    }
}

fn is_id(ty: &Type) -> bool {
    match &ty.base {
        BaseType::List(inner) => is_id(inner),
        BaseType::Named(name) => name == "ID",
    }
}

/// Which kind of id an argument wants.
fn kind(field: &str, name: &str) -> &'static str {
    match name {
        "policyId" | "draftPolicyId" => "pol",
        "collectionId" | "collectionIds" => "col",
        "requestId" | "previousRequestId" => "req",
        "endpointId" => "end",
        "userId" | "userIds" | "memberIds" | "actorId" => "usr",
        "teamId" | "teamIds" => "tem",
        "deploymentGroupId" | "deploymentGroupIds" | "groupId" => "dgr",
        "scimTokenId" => "sct",
        "identityProviderId" => "idp",
        "registrationTokenId" => "rtk",
        "serviceAccountId" => "svc",
        "apiKeyId" => "key",
        "approvalRuleId" | "approvalRuleIds" => "rul",
        "personId" => "psn",
        "activityId" => "act",
        "subjectId" => "pol",
        "correlationId" => "req",
        "id" => match field {
            "policy" | "node" => "pol",
            "collection" => "col",
            "request" => "req",
            "endpoint" => "end",
            "user" => "usr",
            "team" => "tem",
            "deploymentGroup" => "dgr",
            other => panic!("which id does {other} want?"),
        },
        other => panic!("which id is {other}?"),
    }
}

/// An id of every kind, of a tenant.
async fn ids_of(world: &World, slug: &str) -> BTreeMap<&'static str, String> {
    let definition = serde_json::from_value(json!({
        "name": "Contoso", "issuer": "https://id.example.com", "clientId": "portcullis", "scopes": [],
        "groupsClaim": "groups", "accountClaim": null, "roleMapping": [], "provision": false, "emailDomains": [],
        "trustedFactors": [],
    }));
    let provider = commands::auth::oidc::ProviderInput {
        definition: definition.unwrap(),
        secret: commands::auth::oidc::SecretInput::Keep,
    };
    let owner = world.caller(slug, "owner").await;
    world.app().create_identity_provider(&owner, provider).await.unwrap();
    let mut ids = BTreeMap::new();
    for event in world.log(slug, 0).await {
        for (name, value) in &event.body.data {
            let kind = match name.as_str() {
                "policy" => "pol",
                "collection" => "col",
                "request" => "req",
                "endpoint" => "end",
                "user" => "usr",
                "team" => "tem",
                "group" => "dgr",
                "token" if value.as_str().is_some_and(|id| id.starts_with("sct")) => "sct",
                "token" => "rtk",
                "account" => "svc",
                "key" => "key",
                "provider" => "idp",
                "rule" => "rul",
                "person" => "psn",
                _ => continue,
            };
            if let Some(id) = value.as_str().filter(|id| id.starts_with(kind)) {
                ids.entry(kind).or_insert_with(|| id.to_owned());
            }
        }
    }
    ids.insert("act", "act_01kdvdna00eqx8hn7m7p0np502".to_owned());
    assert_eq!(ids.len(), 15, "{ids:?}");
    ids
}

/// The same ids with another random part: such do not exist.
fn unknown(ids: &BTreeMap<&'static str, String>) -> BTreeMap<&'static str, String> {
    ids.iter()
        .map(|(kind, id)| {
            let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, id.as_bytes());
            let suffix = formats::id::encode_suffix(id);
            (*kind, format!("{kind}_{suffix}"))
        })
        .collect()
}

/// An answer with every id, moment and correlation taken out.
fn bare(answer: &Value, ids: &BTreeMap<&'static str, String>) -> String {
    let mut text = answer.to_string();
    for (kind, id) in ids {
        text = text.replace(id, kind);
        if let Some(uuid) = id.split_once('_').and_then(|(_, s)| formats::id::decode_suffix(s).ok()) {
            text = text.replace(&uuid.to_string(), kind);
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbours_ids_look_like_ids_that_do_not_exist_in_every_operation() {
    let world = World::begin().await;
    let schema = Schema::read();
    let theirs = ids_of(&world, "globex").await;
    let nowhere = unknown(&theirs);
    let before = world.log("globex", 0).await.len();
    let owner = world.browser("acme", "owner").await;
    let mut asked = 0;
    for root in ["Query", "Mutation"] {
        for field in schema.fields(root).iter().filter(|field| schema.takes_ids(field)) {
            let word = if root == "Query" { "query" } else { "mutation" };
            let (operation, with_theirs) = schema.operation(word, field, &theirs);
            let (_, with_unknown) = schema.operation(word, field, &nowhere);
            let foreign = owner.ask(&operation, with_theirs).await;
            let missing = owner.ask(&operation, with_unknown).await;
            assert_eq!(bare(&foreign, &theirs), bare(&missing, &nowhere), "{operation}");
            asked += 1;
        }
    }
    assert!(asked > 40, "{asked} operations take ids");
    // Nothing happened at the neighbour's.
    assert_eq!(world.log("globex", 0).await.len(), before);
    world.end().await;
}

async fn code_of(browser: &Browser, operation: &str, variables: Value) -> Option<String> {
    let answer = browser.ask(operation, variables).await;
    answer["errors"][0]["extensions"]["code"].as_str().map(str::to_owned)
}

async fn code_with(world: &World, key: &str, operation: &str, variables: &Value) -> Option<String> {
    let request = world.nobody.post(format!("{}/graphql", world.url())).bearer_auth(key);
    let asked = request.json(&json!({ "query": operation, "variables": variables }));
    let answer: Value = asked.send().await.unwrap().json().await.unwrap();
    answer["errors"][0]["extensions"]["code"].as_str().map(str::to_owned)
}

/// A key of a service account that may do one thing.
async fn key_for(world: &World, scope: Scope) -> String {
    let owner = world.caller("acme", "owner").await;
    let account = world
        .app()
        .create_service_account(&owner, "narrow".to_owned(), vec![scope]);
    let account = account.await.unwrap().id();
    let key = world.app().issue_api_key(&owner, account, vec![scope], None).await;
    key.unwrap().secret.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_what_the_table_says_and_nobody_does_nothing() {
    let world = World::begin().await;
    let schema = Schema::read();
    let ids = unknown(&ids_of(&world, "acme").await);
    let browsers = [
        ("member", world.browser("acme", "member").await),
        ("auditor", world.browser("acme", "auditor").await),
        ("approver", world.browser("acme", "approver").await),
        // Last: what they ask is done, where it needs no id.
        ("admin", world.browser("acme", "admin").await),
        ("owner", world.browser("acme", "owner").await),
    ];
    // What each may not do at all. Whatever a role is not refused for, it may at least ask.
    // Of the overview each sees the figures that they may read.
    let members_queries = ["node", "viewer", "requests", "request", "overview"];
    let approvers_queries = ["settings"];
    let mut wrong = Vec::new();
    let decisions = ["approve", "deny", "escalate", "bulkDecide"];
    let own = ["cancelRequest"];
    let narrow = key_for(&world, Scope::PoliciesRead).await;
    let keys_queries = [
        "node",
        "viewer",
        "policies",
        "policy",
        "validatePolicy",
        "policyImpact",
        "policyFile",
        "collections",
        "collection",
        "approvalRules",
        "explainDecision",
        "settings",
    ];
    for (root, word) in [("Query", "query"), ("Mutation", "mutation")] {
        for field in schema.fields(root) {
            let name = field.0.as_str();
            let (operation, variables) = schema.operation(word, &field, &ids);
            let nobody = world
                .nobody
                .post(format!("{}/graphql", world.url()))
                .json(&json!({ "query": operation, "variables": variables }))
                .send()
                .await
                .unwrap();
            assert_eq!(nobody.status(), 401, "nobody: {operation}");
            let code = code_with(&world, &narrow, &operation, &variables).await;
            let may = keys_queries.contains(&name);
            let refused = matches!(code.as_deref(), Some("FORBIDDEN" | "NOT_FOUND" | "BAD_INPUT"));
            if (!may && !refused) || (may && code.as_deref() == Some("FORBIDDEN")) {
                wrong.push(format!("a key for policies {name}: {code:?}"));
            }
            for (role, browser) in &browsers {
                let code = code_of(browser, &operation, variables.clone()).await;
                let forbidden = code.as_deref() == Some("FORBIDDEN");
                let expected = match (root, *role) {
                    (_, "admin" | "owner") => false,
                    ("Query", "auditor") => false,
                    ("Query", "approver") => !members_queries.contains(&name) && !approvers_queries.contains(&name),
                    ("Query", _) => !members_queries.contains(&name),
                    (_, "approver") => !decisions.contains(&name) && !own.contains(&name) && name != "revokeGrant",
                    _ => !own.contains(&name),
                };
                // A refusal for another reason (no such id) is none of the role.
                let refused = matches!(code.as_deref(), Some("FORBIDDEN" | "NOT_FOUND" | "BAD_INPUT"));
                if (expected && !refused) || (!expected && forbidden) {
                    wrong.push(format!("{role} {name}: {code:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_of_agents_operators_and_sessions_refuse_whoever_they_are_not_for() {
    let world = World::begin().await;
    let admin = world.browser("acme", "admin").await;
    let key = world.tenant("acme").api_key.clone();
    let platform = world.server.ready.platform_token.clone();
    let foreign = format!("/agent/v1/requests/{}", ids_of(&world, "globex").await["req"]);
    let agent = [
        (Method::GET, "/agent/v1/snapshot".to_owned()),
        (Method::POST, "/agent/v1/snapshot/ack".to_owned()),
        (Method::POST, "/agent/v1/requests".to_owned()),
        (Method::GET, foreign),
        (Method::POST, "/agent/v1/mfa/verify".to_owned()),
        (Method::POST, "/agent/v1/activity".to_owned()),
        (Method::POST, "/agent/v1/inventory".to_owned()),
        (Method::POST, "/agent/v1/heartbeat".to_owned()),
    ];
    for (method, path) in &agent {
        // A person's cookie, an integrator's key and an operator's credential are no agent's token.
        let answer = admin.call(method.clone(), path, Some(json!({}))).await;
        assert_eq!(answer.status(), 401, "{path} with a cookie");
        for token in [key.as_str(), platform.as_str(), "nonsense", ""] {
            let request = world.nobody.request(method.clone(), format!("{}{path}", world.url()));
            let answer = request.bearer_auth(token).json(&json!({})).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{path} with {token:.7}");
        }
    }
    for (method, path) in [
        (Method::GET, "/platform/v1/tenants"),
        (Method::POST, "/platform/v1/tenants"),
    ] {
        let answer = admin.call(method.clone(), path, Some(json!({}))).await;
        assert_eq!(answer.status(), 401, "{path} with a cookie");
        for token in [key.as_str(), "nonsense"] {
            let request = world.nobody.request(method.clone(), format!("{}{path}", world.url()));
            assert_eq!(
                request
                    .bearer_auth(token)
                    .json(&json!({}))
                    .send()
                    .await
                    .unwrap()
                    .status(),
                401,
                "{path}"
            );
        }
    }
    // An operator reads tenants and nothing inside them.
    let answer = world
        .nobody
        .get(format!("{}/platform/v1/tenants", world.url()))
        .bearer_auth(&platform)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let answer = world
        .nobody
        .post(format!("{}/graphql", world.url()))
        .bearer_auth(&platform)
        .json(&json!({ "query": "{ policies(first: 1) { nodes { id } } }" }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
    // A cookie without the CSRF token changes nothing.
    let answer = admin
        .client
        .post(format!("{}/graphql", world.url()))
        .json(&json!({ "query": "mutation { __typename }" }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 403);
    // The neighbour's key sees the neighbour.
    let answer: Value = world
        .nobody
        .post(format!("{}/graphql", world.url()))
        .bearer_auth(&world.tenant("globex").api_key)
        .json(&json!({ "query": "{ auditEvents(first: 200) { nodes { streamId } } }" }))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let acme = world.tenant("acme").id.clone();
    assert!(!answer.to_string().contains(&acme), "{answer}");
    world.end().await;
}
