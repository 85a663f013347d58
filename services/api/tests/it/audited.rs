//! Whatever somebody changes is in the audit trail: who, how they had proved it, from which address, in which call.
//!
//! One run does every mutation of the schema once; a mutation that is missing here fails it.

use std::{cell::RefCell, collections::BTreeSet};

use async_graphql::parser::{
    parse_schema,
    types::{TypeKind, TypeSystemDefinition},
};
use axum::http::{Method, header};
use eventstore::{Envelope, TenantTx};
use model::{
    Role,
    user::{User, UserCommand},
};
use projections::mail_outbox::{self, Attempt};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    scim::Idp,
    world::{Agent, Browser, PASSWORD, World, request},
};

const SDL: &str = include_str!("../../../../api-schema/schema.graphql");
const ADDRESS: &str = "203.0.113.7";

/// Mutations that leave no entry, each with the reason. Reads are queries, so that there is none so far.
const EXEMPT: &[(&str, &str)] = &[];

fn mutations() -> BTreeSet<String> {
    let document = parse_schema(SDL).unwrap();
    let root = document.definitions.iter().find_map(|definition| match definition {
        TypeSystemDefinition::Type(t) if t.node.name.node == "Mutation" => Some(&t.node.kind),
        _ => None,
    });
    let Some(TypeKind::Object(root)) = root else {
        panic!("no mutations");
    };
    root.fields
        .iter()
        .map(|field| field.node.name.node.to_string())
        .collect()
}

/// An owner at a browser, whose every change is looked up in the trail.
struct Watched<'a> {
    world: &'a World,
    owner: Browser<'a>,
    name: String,
    done: RefCell<BTreeSet<String>>,
}

impl Watched<'_> {
    async fn ask(&self, query: &str, variables: Value) -> (Value, String) {
        let ask = request(Method::POST, "/graphql")
            .with(header::COOKIE, &self.owner.cookie)
            .with("x-csrf-token", &self.owner.csrf)
            .from(ADDRESS);
        let body = json!({ "query": query, "variables": variables });
        let reply = self.world.send(ask.json(&body)).await.expect(200);
        let answer = reply.json();
        assert_eq!(answer["errors"], Value::Null, "{query}: {answer}");
        (answer["data"].clone(), reply.header("x-request-id").to_owned())
    }

    /// Changes something, and finds who did it in the trail.
    async fn change(&self, name: &str, input: Value, fields: &str) -> Value {
        let kind = match name {
            "checkIdentityProvider"
            | "disableIdentityProvider"
            | "enableIdentityProvider"
            | "removeIdentityProvider" => "IdentityProviderIdInput".to_owned(),
            name => format!("{}{}Input", name[..1].to_uppercase(), &name[1..]),
        };
        let query = format!("mutation($input: {kind}!) {{ {name}(input: $input) {{ __typename {fields} }} }}");
        let (data, call) = self.ask(&query, json!({ "input": input })).await;
        self.world.settle(self.world.tenant).await;
        let query = "query($call: ID!) { auditEvents(filter: { correlationId: $call }) {
            nodes { type actor { kind id } authentication address correlationId } } }";
        let (trail, _) = self.ask(query, json!({ "call": call })).await;
        let entries = trail["auditEvents"]["nodes"].as_array().unwrap();
        assert!(!entries.is_empty(), "{name} leaves no entry");
        for entry in entries {
            let who = (&entry["actor"]["kind"], &entry["actor"]["id"]);
            assert_eq!(who, (&json!("USER"), &json!(self.name)), "{name}: {entry}");
            assert_eq!(
                (&entry["authentication"], &entry["address"], &entry["correlationId"]),
                (&json!("password"), &json!(ADDRESS), &json!(call)),
                "{name}: {entry}"
            );
        }
        self.done.borrow_mut().insert(name.to_owned());
        data[name].clone()
    }

    /// As [`Watched::change`], giving the id of the payload's object.
    async fn made(&self, name: &str, input: Value, object: &str) -> Value {
        let payload = self.change(name, input, &format!("{object} {{ id }}")).await;
        payload[object]["id"].clone()
    }

    async fn file(&self, agent: &Agent<'_>, path: &str) -> Value {
        let reply = agent.submit(path).await.expect(201).json();
        self.world.settle(self.world.tenant).await;
        json!({ "requestId": reply["requestId"], "digest": agent.action(path).1 })
    }
}

fn document(name: &str) -> Value {
    json!({
        "name": name, "type": "privilege_elevation", "status": "enforce", "controls": ["approval"],
        "users": ["*"], "machines": ["*"], "applications": [format!("path:/opt/{name}*")],
    })
}

fn and(base: &Value, more: &Value) -> Value {
    let mut base = base.clone();
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}

#[tokio::test]
async fn every_mutation_is_in_the_trail_with_who_how_from_where_and_in_which_call() {
    let world = World::new().await;
    let it = Watched {
        world: &world,
        owner: world.browser("owner").await,
        name: world.owner().await.user().unwrap().to_string(),
        done: RefCell::default(),
    };
    policies(&it).await;
    people(&it).await;
    fleet(&it).await;
    access(&it).await;
    requests(&it).await;
    let exempt: BTreeSet<_> = EXEMPT.iter().map(|(name, _)| (*name).to_owned()).collect();
    let tried: BTreeSet<_> = it.done.borrow().union(&exempt).cloned().collect();
    assert_eq!(tried, mutations(), "each mutation of the schema is tried or exempt");
}

async fn policies(it: &Watched<'_>) {
    let group = it
        .made("createDeploymentGroup", json!({ "name": "Ring" }), "deploymentGroup")
        .await;
    let collection = json!({ "name": "Lab", "kind": "MACHINES", "members": ["machine:lab*"] });
    let collection = it.made("createCollection", collection, "collection").await;
    it.change(
        "changeCollection",
        json!({ "collectionId": collection, "name": "Labs" }),
        "",
    )
    .await;
    it.change("deleteCollection", json!({ "collectionId": collection }), "")
        .await;

    let policy = it
        .made("createPolicy", json!({ "document": document("one") }), "policy")
        .await;
    let this = json!({ "policyId": policy });
    let revision = |expected: u32| {
        and(
            &this,
            &json!({ "expectedRevision": expected, "document": document("two") }),
        )
    };
    it.change("revisePolicy", revision(1), "").await;
    it.change("setPolicyStatus", and(&this, &json!({ "status": "MONITOR" })), "")
        .await;
    let staged = |expected: u32| and(&revision(expected), &json!({ "deploymentGroupIds": [group] }));
    it.change("stagePolicyRevision", staged(3), "").await;
    it.change("promotePolicyRevision", and(&this, &json!({ "revision": 4 })), "")
        .await;
    it.change("stagePolicyRevision", staged(4), "").await;
    it.change("withdrawPolicyRevision", and(&this, &json!({ "revision": 5 })), "")
        .await;
    it.change("rollbackPolicy", and(&this, &json!({ "revision": 1 })), "")
        .await;
    it.change("duplicatePolicy", and(&this, &json!({ "name": "Copy" })), "")
        .await;
    it.change("deletePolicy", this, "").await;

    // Half of ten policies and more go at once: what follows is held until somebody confirms it.
    let mut many = Vec::new();
    for n in 0..10 {
        let input = json!({ "document": document(&format!("bulk{n}")) });
        many.push(it.made("createPolicy", input, "policy").await);
    }
    it.world.clock.advance(projections::policy_snapshot::SPELL * 2);
    for policy in &many[..6] {
        it.change("deletePolicy", json!({ "policyId": policy }), "").await;
    }
    let query = "query($id: ID!) { deploymentGroup(id: $id) { heldSnapshot { version } } }";
    let (held, _) = it.ask(query, json!({ "id": group })).await;
    let confirm = json!({ "deploymentGroupId": group, "version": held["deploymentGroup"]["heldSnapshot"]["version"] });
    it.change("confirmSnapshot", confirm, "").await;
    it.change("changeSettings", json!({ "minimumJustification": 2 }), "")
        .await;
}

async fn people(it: &Watched<'_>) {
    let ann = json!({ "email": "ann@acme.example", "name": "Ann", "roles": ["APPROVER"], "password": PASSWORD });
    let ann = it.made("createUser", ann, "user").await;
    let bob = json!({ "email": "bob@acme.example", "name": "Bob", "roles": ["APPROVER"] });
    let bob = it.made("inviteUser", bob, "user").await;
    let this = json!({ "userId": ann });
    let new = json!({ "email": "anna@acme.example", "name": "Anna" });
    it.change("changeUser", and(&this, &new), "").await;
    it.change("changeUserRoles", and(&this, &json!({ "roles": ["ADMIN"] })), "")
        .await;
    it.world.totp(ann.as_str().unwrap().parse().unwrap()).await;
    it.change("resetTotp", this.clone(), "").await;
    passkey_of(it.world, ann.as_str().unwrap()).await;
    it.change("resetPasskeys", this.clone(), "").await;
    it.change("disableUser", this.clone(), "").await;
    it.change("enableUser", this.clone(), "").await;

    let desk = it
        .made("createTeam", json!({ "name": "Desk", "memberIds": [ann] }), "team")
        .await;
    let team = json!({ "teamId": desk });
    it.change("changeTeam", and(&team, &json!({ "memberIds": [ann, bob] })), "")
        .await;
    it.change("mapTeamRoles", and(&team, &json!({ "roles": ["AUDITOR"] })), "")
        .await;
    it.change("deleteTeam", team, "").await;
    let directory = json!({ "label": "Directory" });
    let directory = it.change("issueScimToken", directory, "secret scimToken { id }").await;
    let idp = Idp {
        world: it.world,
        token: directory["secret"].as_str().unwrap().to_owned(),
    };
    let kept = idp.post("/Groups", &json!({ "displayName": "Kept" })).await.expect(201);
    it.change("releaseTeam", json!({ "teamId": kept.json()["id"] }), "")
        .await;
    let token = json!({ "scimTokenId": directory["scimToken"]["id"] });
    it.change("rotateScimToken", token.clone(), "").await;
    it.change("revokeScimToken", token, "").await;

    // The invitation could not be delivered, and goes out again.
    let (mail, recipient) = refused_mail(it.world, bob.as_str().unwrap()).await;
    let again = json!({ "position": mail, "part": 0, "userId": recipient });
    it.change("resendMail", again, "").await;

    let rule = |name: &str| json!({ "name": name, "primary": { "userIds": [bob] }, "secondary": { "userIds": [ann] } });
    let first = it.made("createApprovalRule", rule("First"), "approvalRule").await;
    let second = it.made("createApprovalRule", rule("Second"), "approvalRule").await;
    it.change(
        "changeApprovalRule",
        json!({ "approvalRuleId": first, "minimumRisk": 5 }),
        "",
    )
    .await;
    it.change(
        "reorderApprovalRules",
        json!({ "approvalRuleIds": [second, first] }),
        "",
    )
    .await;
    it.change("deleteApprovalRule", json!({ "approvalRuleId": first }), "")
        .await;
}

async fn fleet(it: &Watched<'_>) {
    let group = it
        .made("createDeploymentGroup", json!({ "name": "Pilots" }), "deploymentGroup")
        .await;
    let this = json!({ "deploymentGroupId": group });
    it.change(
        "renameDeploymentGroup",
        and(&this, &json!({ "name": "Pilot ring" })),
        "",
    )
    .await;
    let token = and(&this, &json!({ "label": "" }));
    let token = it.made("issueRegistrationToken", token, "registrationToken").await;
    let token = json!({ "registrationTokenId": token });
    let token = it.made("rotateRegistrationToken", token, "registrationToken").await;
    it.change("revokeRegistrationToken", json!({ "registrationTokenId": token }), "")
        .await;
    it.change("createDeploymentPackage", and(&this, &json!({ "os": "LINUX" })), "")
        .await;
    let agent = it.world.agent("spare").await;
    it.world.settle(it.world.tenant).await;
    let endpoint = json!({ "endpointId": agent.endpoint });
    it.change("moveEndpoint", and(&endpoint, &this), "").await;
    it.change("removeEndpoint", endpoint, "").await;
    it.change("deleteDeploymentGroup", this, "").await;
}

async fn access(it: &Watched<'_>) {
    let account = it
        .made("createServiceAccount", json!({ "name": "SIEM" }), "serviceAccount")
        .await;
    let this = json!({ "serviceAccountId": account });
    let key = and(&this, &json!({ "label": "", "scopes": ["audit:read"] }));
    let key = it.made("issueApiKey", key, "apiKey").await;
    it.change("revokeApiKey", json!({ "apiKeyId": key }), "").await;
    it.change("deleteServiceAccount", this, "").await;

    it.change("changeScimAccountAttribute", json!({ "attribute": "nickName" }), "")
        .await;

    let provider = json!({ "name": "Contoso", "issuer": "http://127.0.0.1:9", "clientId": "portcullis" });
    let made = json!({ "provider": provider });
    let id = it
        .made("createIdentityProvider", made.clone(), "identityProvider")
        .await;
    let this = json!({ "identityProviderId": id });
    let renamed = json!({ "provider": and(&provider, &json!({ "name": "Fabrikam" })) });
    it.change("changeIdentityProvider", and(&this, &renamed), "").await;
    for act in [
        "checkIdentityProvider",
        "disableIdentityProvider",
        "enableIdentityProvider",
        "removeIdentityProvider",
    ] {
        it.change(act, this.clone(), "").await;
    }
    let carl = it.world.user("carl", &[Role::Member]).await;
    let link = UserCommand::LinkIdentity {
        provider: id.as_str().unwrap().parse().unwrap(),
        issuer: "http://127.0.0.1:9".to_owned(),
        subject: "s1".to_owned(),
        how: "address".to_owned(),
    };
    command(it.world, carl, link).await;
    it.change("unlinkIdentities", json!({ "userId": carl }), "").await;
}

async fn requests(it: &Watched<'_>) {
    it.world.policy("Ask first", "/opt/*").await;
    let agent = it.world.agent("lab").await;
    let one = it.file(&agent, "/opt/one").await;
    let query = "query($id: ID!) { endpoint(id: $id) { accounts { account personId } } }";
    let (seen, _) = it.ask(query, json!({ "id": agent.endpoint })).await;
    let account = &seen["endpoint"]["accounts"][0];
    let carl = it.world.user("dora", &[Role::Member]).await;
    let link = json!({ "userId": carl, "endpointId": agent.endpoint, "account": account["account"] });
    it.change("linkEndpointAccount", link, "").await;

    it.change("approve", one.clone(), "").await;
    let of = |filed: &Value, more: Value| and(&json!({ "requestId": filed["requestId"] }), &more);
    it.change("revokeGrant", of(&one, json!({ "reason": "seen" })), "")
        .await;
    let two = it.file(&agent, "/opt/two").await;
    it.change("deny", two, "").await;
    let three = it.file(&agent, "/opt/three").await;
    it.change("escalate", of(&three, json!({ "reason": "urgent" })), "")
        .await;
    it.change("cancelRequest", of(&three, json!({})), "").await;
    let four = it.file(&agent, "/opt/four").await;
    let all = json!({ "verdict": "APPROVED", "requests": [four] });
    it.change("bulkDecide", all, "").await;
    let five = it.file(&agent, "/opt/five").await;
    // Beyond every window. The session would end before, were it not used now and then.
    it.world.clock.advance(std::time::Duration::from_secs(5 * 60 * 60));
    it.change("expire", of(&five, json!({})), "").await;
    it.change("unlinkEndpointAccount", json!({ "personId": account["personId"] }), "")
        .await;
}

/// A command that no mutation runs.
async fn command(world: &World, user: formats::UserId, command: UserCommand) {
    let envelope = Envelope::system(world.app.ambient().uuid(), [1; 32], Uuid::nil());
    let done = world
        .app
        .store
        .execute::<User>(world.tenant, formats::TypedId::uuid(user), &envelope, |_| {
            command.clone()
        });
    done.await.unwrap();
    world.settle(world.tenant).await;
}

async fn passkey_of(world: &World, user: &str) {
    let register = UserCommand::RegisterPasskey {
        passkey: world.app.ambient().id(),
        name: "Key".to_owned(),
    };
    command(world, user.parse().unwrap(), register).await;
}

/// The mail of somebody's invitation, which the mail server refused.
pub async fn refused_mail(world: &World, recipient: &str) -> (u64, String) {
    let mut tx = TenantTx::begin(world.app.pool(), world.tenant).await.unwrap();
    let now = world.app.ambient().now();
    let user = recipient.parse().unwrap();
    let mails = mail_outbox::open_tasks(&mut tx, 100).await.unwrap();
    let mail = mails.iter().find(|mail| mail.user == Some(user)).unwrap();
    let addressed = [(mail, user, "<m1@acme.example>".to_owned())];
    mail_outbox::address(&mut tx, std::slice::from_ref(mail), &addressed, now)
        .await
        .unwrap();
    let mut due = mail_outbox::due_deliveries(&mut tx, now, 1).await.unwrap();
    let ended = Attempt::Ended {
        refused: true,
        error: "the mail server answered 550".to_owned(),
    };
    mail_outbox::record(&mut tx, &[(due.remove(0), ended)]).await.unwrap();
    tx.commit().await.unwrap();
    (mail.position, recipient.to_owned())
}
