//! Which fields are answered to whom, whatever way leads to them.
//!
//! Every object type has one row: the act with which all its fields are read, and the fields that are shown to whoever
//! reaches one without it, because something that they may see names it. A field that is new is shown to nobody else
//! until its type's row says so. The walk starts at every query and at every id, and goes on through every field.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use api::{ApiConfig, Rate, Rates};
use async_graphql::parser::{
    parse_schema,
    types::{BaseType, TypeKind, TypeSystemDefinition},
};
use axum::http::{Method, header};
use commands::Act::{self, *};
use model::{Role, Scope};
use serde_json::{Value, json};

use super::{change, data};
use crate::world::{Agent, Browser, World, request};

const SDL: &str = include_str!("../../../../../api-schema/schema.graphql");

/// An object type, the act that all its fields need, and those that are shown without.
const TYPES: &[(&str, Act, &str)] = &[
    (
        "Action",
        ReadAllRequests,
        "type userName userGroups machineName os application commandLine file cwd at offsetMinutes",
    ),
    ("Actor", ReadAllRequests, "kind id name"),
    ("AgentPlugin", ReadFleet, ""),
    ("Alert", ReadAudit, ""),
    ("ApiKey", ReadServiceAccounts, ""),
    ("Application", ReadAllRequests, "path sha256 publisher certificate"),
    ("ApprovalRule", ReadPolicies, "id name primary secondary"),
    ("Approvers", ReadPolicies, ""),
    ("AuditEvent", ReadAudit, ""),
    ("Baseline", ReadSettings, ""),
    ("CitedPolicy", ReadPolicies, "policy id name revision controls status"),
    ("Collection", ReadPolicies, ""),
    ("ConsideredPolicy", ReadPolicies, "policy matched note"),
    ("DailyFigures", ReadAllRequests, ""),
    (
        "DecisionExplanation",
        ReadPolicies,
        "outcome steps settledBy considered riskLevel accessMinutes mfaAlways messages snapshotVersion same snapshotGone",
    ),
    ("DeploymentGroup", ReadFleet, "id name stagedPolicies"),
    ("EligibleApprover", ReadAllRequests, "user as"),
    ("Endpoint", ReadFleet, "id name status os accounts records"),
    ("EndpointAccount", ReadPeople, ""),
    // Of the own user, too.
    ("EndpointAccountLink", ReadPeople, "personId account endpoint linkedAt"),
    ("Escalation", ReadAllRequests, "at by reason"),
    ("FieldProblem", ReadPolicies, ""),
    (
        "Grant",
        ReadAllRequests,
        "id status notBefore expiresAt uses used overused mfaOutstanding revokedBy revokedAt revokeReason",
    ),
    ("HeldSnapshot", ReadFleet, ""),
    ("IdentityProvider", ReadIdentityProviders, ""),
    ("InventoryItem", ReadFleet, ""),
    ("InventoryMembers", ReadFleet, ""),
    ("LintWarning", ReadPolicies, ""),
    ("Mail", ReadPeople, ""),
    ("MailFigures", ReadPeople, ""),
    ("Overview", ReadAllRequests, "awaitingViewer"),
    ("Policy", ReadPolicies, "id name type status revision"),
    ("PolicyFile", ReadPolicies, ""),
    ("PolicyFileCollection", ReadPolicies, ""),
    ("PolicyFileNote", ReadPolicies, ""),
    ("PolicyFileRule", ReadPolicies, ""),
    ("PolicyImpact", ReadPolicies, ""),
    ("PolicyImpactExample", ReadAudit, ""),
    ("PolicyReport", ReadPolicies, ""),
    ("PolicyRevision", ReadPolicies, ""),
    ("RecordedAction", ReadAudit, ""),
    ("RecordedSnapshot", ReadAudit, ""),
    ("RegistrationToken", ReadFleet, ""),
    (
        "Request",
        ReadAllRequests,
        "id status action digest justification requester endpoint riskLevel policies controls steps flags approvalRule quorum \
         deadlines submittedAt decidedAt occurrences eligibleApprovers viewerCanDecide viewerRefusal viewerCanEscalate \
         viewerCanExpire viewerCanCancel decisions escalation cancelReason grant previousRequest position",
    ),
    (
        "RequestDeadlines",
        ReadAllRequests,
        "pendingUntil escalatedUntil current grantMinutes grantUses",
    ),
    (
        "RequestDecision",
        ReadAllRequests,
        "verdict by as at comment authentication ownRequest grantMinutes grantUses",
    ),
    ("RequestFlag", ReadAllRequests, "code message"),
    (
        "RequestWindows",
        ReadSettings,
        "pendingMinutes escalatedMinutes grantMinutes grantUses",
    ),
    ("Requester", ReadAllRequests, "account linked user"),
    ("RoleMapping", ReadIdentityProviders, ""),
    ("RuleWarning", ReadPolicies, ""),
    ("ScimAccess", ReadServiceAccounts, ""),
    ("ScimToken", ReadServiceAccounts, ""),
    ("ServiceAccount", ReadServiceAccounts, ""),
    // What a decision has to carry.
    (
        "Settings",
        ReadSettings,
        "tenantName publicUrl windows minimumJustification requireDenialComment allowSelfApproval \
         requireSecondFactorToDecide",
    ),
    ("Team", ReadPeople, "id name"),
    ("Tenant", ReadAllRequests, "id slug name suspended epoch"),
    ("User", ReadPeople, "id name"),
    ("Viewer", ReadAllRequests, "principal user tenant roles scopes position"),
    ("WouldHave", ReadPolicies, ""),
];

/// Fields that need one of these acts besides.
const FIELDS: &[(&str, &[Act])] = &[
    ("DeploymentGroup.stagedPolicies", &[ReadPolicies]),
    ("Endpoint.accounts", &[ReadPeople]),
    ("Endpoint.records", &[ReadAudit]),
    ("Overview.endpointsBehind", &[ReadFleet]),
    ("Overview.endpointsOnline", &[ReadFleet]),
    ("Overview.endpointsTotal", &[ReadFleet]),
    ("Overview.policiesEnforced", &[ReadPolicies]),
    ("Overview.policiesMonitored", &[ReadPolicies]),
    ("PolicyImpact.examples", &[ReadAudit]),
    ("RequestDecision.authentication", &[Decide, ReadAllRequests]),
];

/// What payloads of mutations say beside the object that was changed: to whoever may change it.
const PAYLOADS: &str = "position results fileName content secret userId requestId code message at";

/// Types that the world has no object of.
const NONE: &[&str] = &["HeldSnapshot", "PolicyFileRule"];

struct Field {
    name: String,
    /// What it gives, without lists.
    of: String,
    /// Whether it takes `first`.
    paged: bool,
    arguments: BTreeSet<String>,
}

/// The object types of the schema, and those that have an id of their own; interfaces have no fields.
struct Types(BTreeMap<String, Vec<Field>>, BTreeSet<String>);

impl Types {
    fn read() -> Self {
        let (mut types, mut nodes) = (BTreeMap::new(), BTreeSet::new());
        for definition in parse_schema(SDL).unwrap().definitions {
            let TypeSystemDefinition::Type(definition) = definition else {
                continue;
            };
            let name = definition.node.name.node.to_string();
            let fields = match definition.node.kind {
                TypeKind::Object(object) => {
                    if object.implements.iter().any(|of| of.node == "Node") {
                        nodes.insert(name.clone());
                    }
                    object.fields
                }
                TypeKind::Interface(_) => Vec::new(),
                _ => continue,
            };
            let fields = fields.into_iter().map(|field| {
                let field = field.node;
                let mut ty = &field.ty.node.base;
                while let BaseType::List(inner) = ty {
                    ty = &inner.base;
                }
                let arguments: BTreeSet<_> = field.arguments.iter().map(|a| a.node.name.node.to_string()).collect();
                Field {
                    name: field.name.node.to_string(),
                    of: ty.to_string(),
                    paged: arguments.contains("first"),
                    arguments,
                }
            });
            types.insert(name, fields.collect());
        }
        Self(types, nodes)
    }

    fn fields(&self, name: &str) -> &[Field] {
        &self.0[name]
    }

    fn is_object(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

fn row(name: &str) -> Option<&'static (&'static str, Act, &'static str)> {
    TYPES.iter().find(|(of, ..)| *of == name)
}

fn lists(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|each| each == word)
}

/// Somebody who looks.
struct Viewer<'a> {
    name: &'static str,
    role: Option<Role>,
    scope: Option<Scope>,
    /// The own user's id.
    user: Value,
    world: &'a World,
    browser: Option<Browser<'a>>,
    key: String,
}

impl Viewer<'_> {
    fn may(&self, act: Act) -> bool {
        let by_role = self.role.is_some_and(|role| act.roles().contains(&role));
        by_role || (self.scope.is_some() && act.scope() == self.scope)
    }

    fn may_see(&self, of: &str, field: &str, own: bool) -> bool {
        if own {
            return true;
        }
        let (_, act, shown) = row(of).unwrap_or_else(|| panic!("who reads {of}?"));
        let besides = FIELDS.iter().find(|(name, _)| *name == format!("{of}.{field}"));
        let besides = besides.is_none_or(|(_, acts)| acts.iter().any(|act| self.may(*act)));
        besides && (self.may(*act) || lists(shown, field))
    }

    async fn ask(&self, path: &[String], what: &str) -> Value {
        let query = format!("{{ {} {{ {what} }}{} }}", path.join(" { "), " }".repeat(path.len() - 1));
        let ask = request(Method::POST, "/graphql");
        let ask = match &self.browser {
            Some(browser) => ask
                .with(header::COOKIE, &browser.cookie)
                .with("x-csrf-token", &browser.csrf),
            None => ask.bearer(&self.key),
        };
        let answer = self.world.send(ask.json(&json!({ "query": query }))).await;
        let answer = answer.expect(200).json();
        for error in answer["errors"].as_array().into_iter().flatten() {
            let code = error["extensions"]["code"].as_str().unwrap();
            assert!(
                ["FORBIDDEN", "NOT_FOUND"].contains(&code),
                "{}: {query}: {answer}",
                self.name
            );
        }
        answer
    }
}

/// The values at the end of a path, those that are not null.
fn at(data: &Value, path: &[String]) -> Vec<Value> {
    let mut found = vec![data.clone()];
    for step in path.iter().filter(|step| !step.starts_with("...")) {
        let name = step.split('(').next().unwrap();
        found = found.iter().flat_map(|value| flat(&value[name])).collect();
    }
    found
}

fn flat(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        value => vec![value.clone()],
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Shown,
    Nothing,
    Refused,
}

/// What came of one field: figures of nothing and empty texts are nothing.
fn judge(answer: &Value, path: &[String], field: &str) -> Seen {
    if answer["errors"] != Value::Null {
        return Seen::Refused;
    }
    let values = at(&answer["data"], &[path, &[field.to_owned()]].concat());
    let says = |value: &Value| *value != json!(0) && *value != json!("");
    if values.iter().any(says) {
        Seen::Shown
    } else {
        Seen::Nothing
    }
}

/// A walk over everything that one viewer reaches.
struct Walk<'a> {
    types: &'a Types,
    viewer: &'a Viewer<'a>,
    /// Fields that were gone through.
    through: BTreeSet<String>,
    shown: BTreeSet<String>,
    /// Fields that may not be seen, and that have nothing instead of a refusal.
    hidden: BTreeSet<String>,
    wrong: BTreeSet<String>,
    /// Ids that were met, by type.
    ids: BTreeMap<String, BTreeSet<String>>,
}

impl<'a> Walk<'a> {
    fn new(types: &'a Types, viewer: &'a Viewer<'a>) -> Self {
        Self {
            types,
            viewer,
            through: BTreeSet::new(),
            shown: BTreeSet::new(),
            hidden: BTreeSet::new(),
            wrong: BTreeSet::new(),
            ids: BTreeMap::new(),
        }
    }

    async fn from(&mut self, roots: Vec<(Vec<String>, String)>) {
        let mut next = VecDeque::from(roots);
        while let Some((path, of)) = next.pop_front() {
            next.extend(self.look(&path, &of).await);
        }
    }

    /// Asks for every field of the object at this path; gives the ways that lead on.
    async fn look(&mut self, path: &[String], of: &str) -> Vec<(Vec<String>, String)> {
        let viewer = self.viewer;
        let names = self.types.fields(of).iter().any(|field| field.name == "id");
        let first = viewer.ask(path, if names { "id" } else { "__typename" }).await;
        let objects = at(&first["data"], path);
        if objects.is_empty() {
            return Vec::new();
        }
        let ids: Vec<_> = objects.iter().map(|object| object["id"].clone()).collect();
        let is_own = |id: &Value| of == "User" && *id == viewer.user;
        // Of a list in which the viewer stands with others nothing is said of what hides without a refusal.
        let (own, mixed) = (ids.iter().all(is_own), ids.iter().any(is_own));
        let met = self.ids.entry(of.to_owned()).or_default();
        met.extend(ids.iter().filter_map(Value::as_str).map(str::to_owned));

        let selection = |field: &Field| {
            let page = if field.paged { "(first: 4)" } else { "" };
            let inner = if self.types.is_object(&field.of) {
                " { __typename }"
            } else {
                ""
            };
            format!("{}{page}{inner}", field.name)
        };
        let all: Vec<_> = self.types.fields(of).iter().map(selection).collect();
        let whole = viewer.ask(path, &all.join(" ")).await;
        let mut on = Vec::new();
        for (field, selection) in self.types.fields(of).iter().zip(&all) {
            let alone;
            let answer = if whole["errors"] == Value::Null {
                &whole
            } else {
                alone = viewer.ask(path, selection).await;
                &alone
            };
            let seen = judge(answer, path, &field.name);
            let name = format!("{of}.{}", field.name);
            let passes = of.ends_with("Connection") || of.ends_with("Edge") || of == "PageInfo";
            let may = passes || viewer.may_see(of, &field.name, own);
            if !may && seen == Seen::Nothing {
                self.hidden.insert(name.clone());
            }
            if (may && seen == Seen::Refused) || (!may && seen == Seen::Shown && !mixed) {
                self.wrong
                    .insert(format!("{} {name}: {seen:?} by {}", viewer.name, path.join(" / ")));
            }
            if seen == Seen::Shown {
                self.shown.insert(name.clone());
                if self.types.is_object(&field.of) && self.through.insert(name) {
                    let page = if field.paged { "(first: 4)" } else { "" };
                    on.push(([path, &[format!("{}{page}", field.name)]].concat(), field.of.clone()));
                }
            }
        }
        on
    }
}

/// Queries that take no id, and what they are asked with.
fn roots(types: &Types, world: &Made) -> Vec<(Vec<String>, String)> {
    let document = r#"{ name: "Draft", type: "privilege_elevation", status: "enforce", controls: ["deny"], users: ["*"],
        machines: ["*"], applications: ["path:/opt/*"] }"#;
    let wrong = r#"{ name: "", type: "privilege_elevation", status: "enforce", controls: [] }"#;
    let file = r#"text: "{\"policies\": [{\"name\": \"x\"}]}""#;
    let mut roots = Vec::new();
    for field in types.fields("Query") {
        let name = field.name.as_str();
        let arguments: Vec<String> = match name {
            _ if field.arguments.contains("id") || !types.is_object(&field.of) => continue,
            "validatePolicy" => vec![format!("document: {document}"), format!("document: {wrong}")],
            "policyImpact" => vec![format!("document: {document}")],
            "policyFile" => vec![file.to_owned(), format!("text: {}", json!(world.file))],
            "inventory" => vec![
                "kind: APPLICATIONS, first: 4".to_owned(),
                "kind: USERS, first: 4".to_owned(),
            ],
            "auditEvent" => vec!["position: 1".to_owned()],
            "explainDecision" => vec![
                format!("input: {{ requestId: \"{}\" }}", world.open),
                format!("input: {{ activityId: \"{}\" }}", world.activity),
            ],
            _ if field.paged => vec!["first: 4".to_owned()],
            _ => vec![String::new()],
        };
        for arguments in arguments {
            let arguments = if arguments.is_empty() {
                arguments
            } else {
                format!("({arguments})")
            };
            roots.push((vec![format!("{name}{arguments}")], field.of.clone()));
        }
    }
    roots
}

/// Queries that take an id, with ids of what they give.
fn by_id(types: &Types, ids: &BTreeMap<String, BTreeSet<String>>) -> Vec<(Vec<String>, String)> {
    let mut roots = Vec::new();
    for (of, ids) in ids.iter().filter(|(of, _)| types.1.contains(*of)) {
        for id in ids.iter().take(4) {
            let node = vec![format!("node(id: \"{id}\")"), format!("... on {of}")];
            roots.push((node, of.clone()));
            for field in types.fields("Query") {
                if field.of == *of && field.arguments.contains("id") {
                    roots.push((vec![format!("{}(id: \"{id}\")", field.name)], of.clone()));
                }
            }
        }
    }
    roots
}

/// What the world holds.
struct Made {
    open: String,
    activity: String,
    /// A file of policies with something to say about each part of it.
    file: String,
    users: BTreeMap<&'static str, String>,
}

fn policy(name: &str, more: Value) -> Value {
    let mut document = json!({
        "name": name, "type": "privilege_elevation", "status": "enforce", "controls": ["approval"],
        "users": ["*"], "machines": ["collection:Labs"], "applications": ["path:/opt/*"],
    });
    document
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    document
}

async fn furnish(world: &World, owner: &Browser<'_>) -> Made {
    let id = async |name: &str, input: Value, object: &str| -> Value {
        change(owner, name, input, &format!("{object} {{ id }}")).await[object]["id"].clone()
    };
    let mut users = BTreeMap::new();
    for (name, role) in [
        ("member", Role::Member),
        ("approver", Role::Approver),
        ("auditor", Role::Auditor),
        ("admin", Role::Admin),
    ] {
        users.insert(name, world.user(name, &[role]).await.to_string());
    }
    let bob = json!({ "email": "bob@acme.example", "name": "Bob", "roles": ["APPROVER"] });
    let bob = id("inviteUser", bob, "user").await;
    let desk = json!({ "name": "Desk", "memberIds": [users["approver"], bob] });
    let desk = id("createTeam", desk, "team").await;
    change(
        owner,
        "mapTeamRoles",
        json!({ "teamId": desk, "roles": ["APPROVER"] }),
        "position",
    )
    .await;
    crate::audited::refused_mail(world, bob.as_str().unwrap()).await;
    let approvers = json!({ "userIds": [bob], "teamIds": [desk] });
    let baseline = json!({ "actionType": "FILE_ACCESS", "outcome": "REQUIRED", "controls": ["MFA"] });
    let settings = json!({ "defaultApprovers": approvers, "baselines": [baseline] });
    change(owner, "changeSettings", settings, "position").await;

    let labs = json!({ "name": "Labs", "kind": "MACHINES", "members": ["machine:lab*"] });
    let labs = id("createCollection", labs, "collection").await;
    let ask = id(
        "createPolicy",
        json!({ "document": policy("Ask first", json!({})) }),
        "policy",
    )
    .await;
    let watch = policy("Watched", json!({ "status": "monitor", "controls": ["mfa"] }));
    id("createPolicy", json!({ "document": watch }), "policy").await;
    let elsewhere = policy("Elsewhere", json!({ "applications": ["path:/srv/*"] }));
    id("createPolicy", json!({ "document": elsewhere }), "policy").await;
    let rule = json!({
        "name": "Desk", "collectionIds": [labs], "primary": approvers, "secondary": { "userIds": [bob] }, "quorum": 1,
        "actionTypes": ["PRIVILEGE_ELEVATION"], "minimumRisk": 1, "windows": { "grantUses": 3 },
    });
    id("createApprovalRule", rule, "approvalRule").await;
    let unmet =
        json!({ "name": "Unmet", "primary": { "userIds": [users["member"]] }, "secondary": {}, "minimumRisk": 90 });
    id("createApprovalRule", unmet, "approvalRule").await;

    let agent = world.agent("lab").await;
    let staged = json!({
        "policyId": ask, "expectedRevision": 1, "document": policy("Ask first", json!({ "riskLevel": 60 })),
        "deploymentGroupIds": [agent.group], "comment": "Try it",
    });
    change(owner, "stagePolicyRevision", staged, "position").await;
    report(world, owner, &agent).await;

    let account = json!({ "name": "SIEM" });
    let account = id("createServiceAccount", account, "serviceAccount").await;
    let key = json!({ "serviceAccountId": account, "label": "", "scopes": ["audit:read"] });
    id("issueApiKey", key, "apiKey").await;
    id("issueScimToken", json!({ "label": "Directory" }), "scimToken").await;
    change(
        owner,
        "changeScimAccountAttribute",
        json!({ "attribute": "nickName" }),
        "position",
    )
    .await;
    let provider = json!({
        "name": "Contoso", "issuer": "http://127.0.0.1:9", "clientId": "portcullis", "accountClaim": "upn",
        "emailDomains": ["acme.example"], "trustedFactors": ["mfa"], "scopes": ["profile"],
        "roleMapping": [{ "group": "Admins", "role": "AUDITOR" }],
    });
    let provider = id(
        "createIdentityProvider",
        json!({ "provider": provider }),
        "identityProvider",
    )
    .await;
    let check = "mutation($input: IdentityProviderIdInput!) { checkIdentityProvider(input: $input) { position } }";
    data(owner, check, json!({ "input": { "identityProviderId": provider } })).await;

    let (open, activity) = requests(world, owner, &agent, &users, &ask).await;
    let file = json!({
        "policies": [policy("Filed", json!({})), policy("Wrong", json!({ "controls": [] }))],
        "collections": { "Labs two": { "kind": "machines", "members": ["machine:two"] } },
    });
    Made {
        open,
        activity,
        file: file.to_string(),
        users,
    }
}

/// What an agent tells of itself and its machine.
async fn report(world: &World, owner: &Browser<'_>, agent: &Agent<'_>) {
    let inventory = json!({
        "osVersion": "12", "administrators": ["dora"],
        "applications": [{ "name": "Tool", "version": "1", "publisher": "CN=Contoso", "path": "/opt/tool/tool" }],
    });
    agent.post("/agent/v1/inventory", &inventory).await.expect(204);
    agent.get("/agent/v1/snapshot", &[]).await.expect(200);
    let query = "query($id: ID!) { endpoint(id: $id) { offeredSnapshot } }";
    let offered = data(owner, query, json!({ "id": agent.endpoint })).await["endpoint"]["offeredSnapshot"].clone();
    let clock = "2026-03-02T09:00:07.000Z";
    let ack = json!({ "epoch": 1, "version": offered, "appliedAt": clock });
    agent.post("/agent/v1/snapshot/ack", &ack).await.expect(204);
    let beat = json!({
        "agentVersion": "0.1.0", "snapshot": { "epoch": 1, "version": offered }, "queueLength": 2,
        "plugins": [{ "name": "sudo", "state": "running" }], "clock": clock,
    });
    agent.post("/agent/v1/heartbeat", &beat).await.expect(200);
    world.settle(world.tenant).await;
}

/// A request that was cancelled, its retry, which was escalated and approved and whose grant was used and revoked, and
/// an open one, which the member filed.
async fn requests(
    world: &World,
    owner: &Browser<'_>,
    agent: &Agent<'_>,
    users: &BTreeMap<&'static str, String>,
    asks: &Value,
) -> (String, String) {
    let approver = world.browser("approver").await;
    let file = async |path: &str, before: Value| -> Value {
        let action = json!({
            "type": "privilege_elevation", "user": { "name": "dora", "groups": ["Developers"] },
            "machine": { "name": "lab", "os": "linux" }, "commandLine": path, "at": "2026-03-02T10:00:00+01:00",
            "application": { "path": path, "sha256": "ab".repeat(32), "publisher": "CN=Contoso" },
        });
        let read = serde_json::from_value(action.clone()).unwrap();
        let digest = formats::DigestInput::of(world.tenant, agent.endpoint, &read, Some("/tmp"));
        let digest = digest.digest().unwrap();
        let body = json!({
            "action": action, "digest": digest, "justification": "I need it", "retryOf": before, "cwd": "/tmp",
            "snapshotVersion": { "epoch": 1, "version": 1 },
        });
        let filed = agent.post("/agent/v1/requests", &body).await.expect(201).json();
        world.settle(world.tenant).await;
        json!({ "requestId": filed["requestId"], "digest": digest })
    };
    let one = file("/opt/one", Value::Null).await;
    let link = json!({ "userId": users["member"], "endpointId": agent.endpoint, "account": "dora" });
    change(owner, "linkEndpointAccount", link, "position").await;
    let cancel = json!({ "requestId": one["requestId"], "reason": "Not yet" });
    change(owner, "cancelRequest", cancel, "position").await;
    let two = file("/opt/one", one["requestId"].clone()).await;
    let escalate = json!({ "requestId": two["requestId"], "reason": "Now" });
    change(&approver, "escalate", escalate, "position").await;
    world.clock.advance(Duration::from_secs(60));
    let approve = json!({
        "requestId": two["requestId"], "digest": two["digest"], "comment": "Fine", "grantMinutes": 5, "grantUses": 1,
    });
    change(&approver, "approve", approve, "position").await;
    let activity = "act_01h2xcejqtf2nbrexx3vqjhp41".to_owned();
    let snapshot = agent.get("/agent/v1/snapshot", &[]).await.expect(200);
    let record = |n: u32, id: &str| {
        json!({
            "id": id, "seq": n, "occurredAt": "2026-03-02T09:00:00.000Z", "action": agent.action("/opt/one").0,
            "decision": {
                "outcome": "required", "steps": ["justification", "approval"], "engine": "0.1.0",
                "matched": [{ "id": asks, "revision": 1 }],
            },
            "snapshot": { "epoch": 1, "version": 1, "sha256": formats::BodyHash::of(&snapshot.body) },
            "result": "permitted", "justification": "I need it", "mfaProof": uuid::Uuid::from_u128(7),
            "grantUse": { "requestId": two["requestId"], "number": n },
        })
    };
    let batch = json!({ "records": [record(1, &activity), record(3, "act_01h2xcejqtf2nbrexx3vqjhp42")] });
    agent.post("/agent/v1/activity", &batch).await.expect(200);
    // A copy of the machine counts anew.
    let again = json!({ "records": [record(1, "act_01h2xcejqtf2nbrexx3vqjhp43")] });
    agent.post("/agent/v1/activity", &again).await.expect(200);
    let revoke = json!({ "requestId": two["requestId"], "reason": "Enough" });
    change(owner, "revokeGrant", revoke, "position").await;
    let four = file("/opt/four", Value::Null).await;
    change(owner, "approve", four, "position").await;
    let five = json!({ "requestId": file("/opt/five", Value::Null).await["requestId"], "reason": "Now" });
    change(owner, "escalate", five, "position").await;
    // The endpoint is behind from here on.
    let late = policy("Late", json!({ "status": "monitor" }));
    change(owner, "createPolicy", json!({ "document": late }), "position").await;
    let three = file("/opt/three", Value::Null).await;
    (three["requestId"].as_str().unwrap().to_owned(), activity)
}

async fn key(world: &World, scope: Scope) -> String {
    let owner = world.owner().await;
    let name = format!("only {}", scope.as_str());
    let made = world.app.create_service_account(&owner, name, vec![scope]).await;
    let account = made.unwrap().id();
    let key = world.app.issue_api_key(&owner, account, vec![scope], None).await;
    key.unwrap().secret.unwrap()
}

#[tokio::test]
async fn every_field_is_answered_to_those_whom_its_types_row_names_whatever_leads_to_it() {
    let types = Types::read();
    for (name, fields) in &types.0 {
        let passes = ["Query", "Mutation", "Subscription", "Node", "PageInfo"].contains(&name.as_str())
            || name.ends_with("Connection")
            || name.ends_with("Edge");
        if row(name).is_some() || passes {
            continue;
        }
        for field in fields.iter().filter(|field| !types.is_object(&field.of)) {
            assert!(lists(PAYLOADS, &field.name), "who reads {name}.{}?", field.name);
        }
    }

    let many = Rate {
        calls: 100_000,
        seconds: 1,
    };
    let rates = Rates {
        strangers: many,
        principals: many,
        agents: many,
    };
    let world = World::with(ApiConfig {
        rates,
        ..ApiConfig::default()
    })
    .await;
    let made = furnish(&world, &world.browser("owner").await).await;
    let person = async |name: &'static str, role: Role| Viewer {
        name,
        role: Some(role),
        scope: None,
        user: made.users.get(name).map_or(Value::Null, |id| json!(id)),
        world: &world,
        browser: Some(world.browser(name).await),
        key: String::new(),
    };
    let owner = person("owner", Role::Owner).await;
    let mut all = Walk::new(&types, &owner);
    all.from(roots(&types, &made)).await;
    all.from(by_id(&types, &all.ids.clone())).await;
    let mut wrong = all.wrong.clone();
    for (name, ..) in TYPES {
        let prefix = format!("{name}.");
        let met = all.shown.iter().any(|field| field.starts_with(&prefix));
        if met == NONE.contains(name) {
            wrong.insert(format!("{name} is met: {met}"));
        }
    }

    let mut viewers = Vec::new();
    for (name, role) in [
        ("member", Role::Member),
        ("approver", Role::Approver),
        ("auditor", Role::Auditor),
        ("admin", Role::Admin),
    ] {
        viewers.push(person(name, role).await);
    }
    for scope in [
        Scope::PoliciesRead,
        Scope::RequestsRead,
        Scope::PeopleRead,
        Scope::FleetRead,
        Scope::AuditRead,
    ] {
        viewers.push(Viewer {
            name: scope.as_str(),
            role: None,
            scope: Some(scope),
            user: Value::Null,
            world: &world,
            browser: None,
            key: key(&world, scope).await,
        });
    }
    for viewer in &viewers {
        let mut walk = Walk::new(&types, viewer);
        walk.from(roots(&types, &made)).await;
        walk.from(by_id(&types, &all.ids)).await;
        assert!(walk.shown.len() > 40, "{} sees {:?}", viewer.name, walk.shown);
        wrong.extend(walk.wrong);
        // Nothing proves something only where there is something.
        let empty = walk.hidden.difference(&all.shown);
        wrong.extend(empty.map(|field| format!("{} {field}: nothing to hide", viewer.name)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
