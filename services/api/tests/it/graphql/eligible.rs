//! `eligibleApprovers` names exactly those who can approve: compared with what happens when everybody tries.

use std::{collections::BTreeSet, time::Duration};

use formats::UserId;
use model::{Role, request::Narrowing};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{change, data};
use crate::world::World;

const CASES: u32 = 12;

/// A small generator: the same cases each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn some<'a, T>(&mut self, of: &'a [T], odds: u64) -> Vec<&'a T> {
        of.iter().filter(|_| self.one_in(odds)).collect()
    }
}

#[tokio::test]
async fn those_who_are_named_can_approve_and_nobody_else_can() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let document = json!({
        "name": "Two and a code", "type": "privilege_elevation", "status": "enforce", "controls": ["approval", "mfa"],
        "users": ["*"], "machines": ["*"], "applications": ["path:/opt/*"],
    });
    change(&owner, "createPolicy", json!({ "document": document }), "position").await;
    let mut users = Vec::new();
    for n in 0..6 {
        let user = world.user(&format!("user{n}"), &[Role::Approver]).await;
        world.totp(user).await;
        users.push(user);
    }
    let mut teams = Vec::new();
    for name in ["Desk", "Night"] {
        let made = change(&owner, "createTeam", json!({ "name": name }), "team { id }").await;
        teams.push(made["team"]["id"].clone());
    }
    let rule = json!({
        "name": "All", "primary": { "teamIds": [teams[0]] }, "secondary": {}, "quorum": 10,
        "windows": { "pendingMinutes": 600 },
    });
    let rule = change(&owner, "createApprovalRule", rule, "approvalRule { id }").await["approvalRule"]["id"].clone();
    let agent = world.agent("lab").await;
    let mut chance = Chance(20_260_302);
    let (mut told, mut codes_counted, mut own_counted) = (BTreeSet::new(), 0, 0);

    for case in 0..CASES {
        // Who is who. In the second case the only one who is asked files it too.
        let own = case == 1;
        for user in &users {
            let role =
                ["MEMBER", "APPROVER", "APPROVER", "AUDITOR", "ADMIN"][usize::try_from(chance.below(5)).unwrap()];
            let role = if own { "APPROVER" } else { role };
            let input = json!({ "userId": user, "roles": [role] });
            change(&owner, "changeUserRoles", input, "position").await;
        }
        for team in &teams {
            let input = json!({ "teamId": team, "memberIds": chance.some(&users, 2) });
            change(&owner, "changeTeam", input, "position").await;
        }
        let side = |chance: &mut Chance, least: usize| {
            let (users, mut teams) = (chance.some(&users, 4), chance.some(&teams, 2));
            if users.len() + teams.len() < least {
                teams.clear();
                return json!({ "userIds": [], "teamIds": ["first"] });
            }
            json!({ "userIds": users, "teamIds": teams })
        };
        let (mut primary, secondary) = (side(&mut chance, 1), side(&mut chance, 0));
        if primary["teamIds"] == json!(["first"]) {
            primary["teamIds"] = json!([teams[0]]);
        }
        if own {
            primary = json!({ "userIds": [users[0]] });
        }
        let input = json!({
            "approvalRuleId": rule, "primary": primary, "secondary": secondary, "selfApproval": !own && chance.one_in(3),
        });
        change(&owner, "changeApprovalRule", input, "position").await;
        let input = json!({ "allowSelfApproval": !own && chance.one_in(5) });
        change(&owner, "changeSettings", input, "position").await;
        let link = (!chance.one_in(4)).then(|| users[usize::try_from(chance.below(6)).unwrap()]);
        let link = if own { Some(users[0]) } else { link };
        // The account is known from the first request on.
        let link = link.filter(|_| case > 0);
        if let Some(user) = link {
            let input = json!({ "userId": user, "endpointId": agent.endpoint, "account": "dora" });
            change(&owner, "linkEndpointAccount", input, "position").await;
        }

        // What is asked, and what happens to it.
        let path = format!("/opt/tool-{case}");
        let filed = agent.submit(&path).await.expect(201).json();
        let id = filed["requestId"].clone();
        let digest = agent.action(&path).1;
        world.settle(world.tenant).await;
        for n in 0..users.len() {
            if case >= CASES / 2 && chance.one_in(6) {
                let body = json!({
                    "email": format!("user{n}@acme.example"), "code": world.code(), "digest": digest,
                    "actionType": "privilege_elevation", "endpointUser": "dora",
                });
                agent.post("/agent/v1/mfa/verify", &body).await;
            }
        }
        if chance.one_in(2) {
            let body = json!({ "query": "mutation($input: EscalateInput!) { escalate(input: $input) { position } }",
                "variables": { "input": { "requestId": id, "reason": "Now" } } });
            owner.post("/graphql", &body).await.expect(200);
        }
        let disabled = chance.some(&users[1..], 6);
        for user in &disabled {
            change(&owner, "disableUser", json!({ "userId": user }), "position").await;
        }
        world.settle(world.tenant).await;

        // Who is said to, and who can.
        let query = "query($id: ID!) { request(id: $id) { status eligibleApprovers { user { id } } } }";
        let named = async || -> BTreeSet<String> {
            let shown = data(&owner, query, json!({ "id": id })).await;
            let named = shown["request"]["eligibleApprovers"].as_array().unwrap().clone();
            named
                .iter()
                .map(|n| n["user"]["id"].as_str().unwrap().to_owned())
                .collect()
        };
        let said = named().await;
        let mut can = BTreeSet::new();
        let mut refusals = Vec::new();
        let first: UserId = world.owner().await.user().unwrap();
        for user in users.iter().chain([&first]) {
            let origin = commands::Origin::inside(Uuid::nil());
            let result = match world.app.acting_as(world.tenant, *user, origin).await {
                Ok(caller) => {
                    let request = id.as_str().unwrap().parse().unwrap();
                    world
                        .app
                        .approve(&caller, request, &digest, Narrowing::default(), None)
                        .await
                }
                Err(refusal) => Err(refusal),
            };
            match result {
                Ok(_) => drop(can.insert(user.to_string())),
                Err(refusal) => {
                    codes_counted += usize::from(refusal.code == "MFA_BY_APPROVER");
                    own_counted += usize::from(refusal.code == "SELF_APPROVAL");
                    refusals.push((user.to_string(), refusal.code));
                }
            }
        }
        assert_eq!(said, can, "case {case}: {refusals:?}");
        world.settle(world.tenant).await;
        assert_eq!(named().await, BTreeSet::new(), "case {case}: all have decided");
        told.insert(said.len());

        // An account is unlinked once nothing of it is open.
        change(&owner, "cancelRequest", json!({ "requestId": id }), "position").await;
        for user in &disabled {
            change(&owner, "enableUser", json!({ "userId": user }), "position").await;
        }
        if link.is_some() {
            let account = data(
                &owner,
                "query($id: ID!) { endpoint(id: $id) { accounts { personId user { id } } } }",
                json!({ "id": agent.endpoint }),
            )
            .await["endpoint"]["accounts"][0]
                .clone();
            if account["user"] != Value::Null {
                let input = json!({ "personId": account["personId"] });
                change(&owner, "unlinkEndpointAccount", input, "position").await;
            }
        }
        world.clock.advance(Duration::from_secs(45));
    }
    // The cases differ, and each reason to exclude somebody was met.
    assert!(
        told.len() > 1 && codes_counted > 0 && own_counted > 0,
        "{told:?} {codes_counted} {own_counted}"
    );
}

#[tokio::test]
async fn a_rule_that_resolves_to_nobody_is_flagged_when_it_is_saved_and_when_it_happens() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    world.policy("Ask first", "/opt/*").await;
    let ann = world.user("ann", &[Role::Approver]).await;
    let fields = "approvalRule { id warnings { code } }";
    let rule = json!({ "name": "Desk", "primary": { "userIds": [ann] }, "secondary": {}, "quorum": 2 });
    let saved = change(&owner, "createApprovalRule", rule, fields).await["approvalRule"].clone();
    assert_eq!(saved["warnings"], json!([{ "code": "QUORUM_OUT_OF_REACH" }]));
    let input = json!({ "approvalRuleId": saved["id"], "quorum": 1 });
    let changed = change(&owner, "changeApprovalRule", input, fields).await;
    assert_eq!(changed["approvalRule"]["warnings"], json!([]));
    // Ann is an approver no more: the rule's only name decides nothing.
    let input = json!({ "userId": ann, "roles": ["MEMBER"] });
    change(&owner, "changeUserRoles", input, "position").await;
    let team = change(&owner, "createTeam", json!({ "name": "Empty" }), "team { id }").await["team"]["id"].clone();
    let input = json!({ "approvalRuleId": saved["id"], "secondary": { "teamIds": [team] } });
    let changed = change(&owner, "changeApprovalRule", input, fields).await;
    assert_eq!(
        changed["approvalRule"]["warnings"],
        json!([{ "code": "NO_APPROVER" }, { "code": "NO_SECONDARY_APPROVER" }])
    );
    let agent = world.agent("lab").await;
    let filed = agent.submit("/opt/tool").await.expect(201).json();
    world.settle(world.tenant).await;
    let query = "query($id: ID!) { request(id: $id) { flags { code } eligibleApprovers { as } } }";
    let shown = data(&owner, query, json!({ "id": filed["requestId"] })).await["request"].clone();
    let flags = shown["flags"].as_array().unwrap();
    assert!(flags.contains(&json!({ "code": "NO_APPROVER" })), "{flags:?}");
    assert_eq!(shown["eligibleApprovers"], json!([{ "as": "ADMINISTRATOR" }]));
}
