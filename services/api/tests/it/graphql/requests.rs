//! Requests: who sees what, who decides, and what an outsider learns.

use model::Role;
use serde_json::{Value, json};

use super::{ask, change, data, refused};
use crate::world::{Agent, World};

async fn filed(agent: &Agent<'_>, path: &str) -> (Value, String) {
    let reply = agent.submit(path).await.expect(201).json();
    (reply["requestId"].clone(), agent.action(path).1)
}

#[tokio::test]
async fn an_action_that_nobody_tried_is_explained_policy_by_policy_and_with_a_draft() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    world.policy("Ask first", "/opt/*").await;
    world.policy("Elsewhere", "/srv/*").await;
    let agent = world.agent("lab").await;
    let (action, _) = agent.action("/opt/tool");
    let query = "query($input: ExplainDecisionInput!) { explainDecision(input: $input) { outcome steps settledBy same \
                 considered { policy { name } matched failedField } } }";
    let explained =
        async |input: Value| data(&owner, query, json!({ "input": input })).await["explainDecision"].clone();
    let now = explained(json!({ "action": action })).await;
    assert_eq!(
        (&now["outcome"], &now["steps"], &now["same"]),
        (&json!("REQUIRED"), &json!(["JUSTIFICATION", "APPROVAL"]), &json!(null)),
        "{now}"
    );
    assert!(!now["settledBy"].as_str().unwrap().is_empty(), "{now}");
    let considered = now["considered"].as_array().unwrap();
    let of = |name: &str| considered.iter().find(|c| c["policy"]["name"] == name).unwrap();
    assert_eq!(
        (&of("Ask first")["matched"], &of("Ask first")["failedField"]),
        (&json!(true), &json!(null))
    );
    assert_eq!(
        (&of("Elsewhere")["matched"], &of("Elsewhere")["failedField"]),
        (&json!(false), &json!("applications"))
    );
    let draft = json!({
        "name": "No more", "type": "privilege_elevation", "status": "enforce", "controls": ["deny"],
        "users": ["*"], "machines": ["*"], "applications": ["path:/opt/*"],
    });
    let then = explained(json!({ "action": action, "draft": draft })).await;
    assert_eq!(then["outcome"], "DENIED", "{then}");
}

#[tokio::test]
async fn a_recorded_decision_is_explained_on_the_snapshot_that_it_cites() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    world.policy("Ask first", "/opt/*").await;
    let agent = world.agent("lab").await;
    let (id, _) = filed(&agent, "/opt/tool").await;
    let snapshot = agent.get("/agent/v1/snapshot", &[]).await.expect(200);
    let version = json!(1);
    let (action, _) = agent.action("/opt/tool");
    let activity = "act_01h2xcejqtf2nbrexx3vqjhp41";
    let record = json!({
        "id": activity, "seq": 1, "occurredAt": "2026-03-02T09:00:00.000Z", "action": action,
        "decision": { "outcome": "required", "steps": ["justification", "approval"], "matched": [], "engine": "0.1.0" },
        "snapshot": { "epoch": 1, "version": version, "sha256": formats::BodyHash::of(&snapshot.body) },
    });
    let batch = json!({ "records": [record] });
    agent.post("/agent/v1/activity", &batch).await.expect(200);
    // Another policy is in force by now.
    let denied = json!({ "document": {
        "name": "No more", "type": "privilege_elevation", "status": "enforce", "controls": ["deny"],
        "users": ["*"], "machines": ["*"], "applications": ["path:/opt/*"],
    } });
    change(&owner, "createPolicy", denied, "position").await;
    world.settle(world.tenant).await;

    let query = "query($input: ExplainDecisionInput!) { explainDecision(input: $input) { outcome same snapshotGone } }";
    let explained =
        async |input: Value| data(&owner, query, json!({ "input": input })).await["explainDecision"].clone();
    let then = json!({ "outcome": "REQUIRED", "same": true, "snapshotGone": false });
    let asked = [json!({ "requestId": id }), json!({ "activityId": activity })];
    for input in &asked {
        assert_eq!(explained(input.clone()).await, then, "{input}");
    }
    // As long as both cite the body, it stays, however old it is.
    let forget = async || {
        let mut tx = eventstore::TenantTx::begin(world.app.pool(), world.tenant)
            .await
            .unwrap();
        projections::policy_snapshot::forget_bodies(&mut tx, std::time::Duration::ZERO)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    forget().await;
    for input in &asked {
        assert_eq!(explained(input.clone()).await, then, "{input}");
    }
    // Gone, it is said, and nothing is claimed of the recorded decision.
    let mut tx = eventstore::TenantTx::begin(world.app.pool(), world.tenant)
        .await
        .unwrap();
    for cites in [
        "update activity set snapshot_sha256 = ''",
        "update request_queue set snapshot_sha256 = null",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(cites)).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    forget().await;
    let now = json!({ "outcome": "DENIED", "same": null, "snapshotGone": true });
    for input in &asked {
        assert_eq!(explained(input.clone()).await, now, "{input}");
    }
}

#[tokio::test]
async fn an_approver_sees_the_whole_action_and_approves_it_by_its_digest() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    world.policy("Ask first", "/opt/*").await;
    let ann = world.user("ann", &[Role::Approver]).await.to_string();
    let rule = json!({ "name": "Desk", "primary": { "userIds": [ann] }, "secondary": {} });
    change(&owner, "createApprovalRule", rule, "position").await;
    let agent = world.agent("lab").await;
    let (id, digest) = filed(&agent, "/opt/tool").await;
    world.settle(world.tenant).await;

    let ann = world.browser("ann").await;
    let seen = data(
        &ann,
        "query($id: ID!) { request(id: $id) { status digest justification action { type userName os at \
        offsetMinutes application { path } } policies { name revision controls status } controls steps viewerCanDecide \
        viewerRefusal viewerCanEscalate viewerCanCancel approvalRule { name } endpoint { name status } \
        requester { account linked user { name } } eligibleApprovers { as user { name } } flags { code } \
        deadlines { current grantUses } } }",
        json!({ "id": id }),
    )
    .await["request"]
        .clone();
    assert_eq!((&seen["status"], &seen["digest"]), (&json!("PENDING"), &json!(digest)));
    assert_eq!(seen["justification"], "because \u{202e}I need it");
    assert_eq!(
        seen["action"],
        json!({
            "type": "PRIVILEGE_ELEVATION", "userName": "dora", "os": "LINUX", "at": "2026-03-02T09:00:00.000Z",
            "offsetMinutes": 60, "application": { "path": "/opt/tool" },
        })
    );
    assert_eq!(seen["policies"][0]["name"], "Ask first");
    assert_eq!(
        (&seen["viewerCanDecide"], &seen["viewerRefusal"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(
        (&seen["viewerCanEscalate"], &seen["viewerCanCancel"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(
        seen["eligibleApprovers"],
        json!([
            { "as": "PRIMARY", "user": { "name": "ann" } }, { "as": "ADMINISTRATOR", "user": { "name": "Owner" } },
        ])
    );
    let waiting = "{ requests(filter: {decidableByViewer: true}) { nodes { id } } overview { awaitingViewer } }";
    assert_eq!(
        data(&ann, waiting, json!({})).await,
        json!({
            "requests": { "nodes": [{ "id": id }] }, "overview": { "awaitingViewer": 1 },
        })
    );
    let why = data(
        &ann,
        "query($id: ID!) { explainDecision(input: {requestId: $id}) { outcome steps same \
        considered { matched policy { name controls } } } }",
        json!({ "id": id }),
    )
    .await["explainDecision"]
        .clone();
    assert_eq!(
        (&why["outcome"], &why["same"]),
        (&json!("REQUIRED"), &json!(true)),
        "{why}"
    );

    let other = json!({ "requestId": id, "digest": "0".repeat(64) });
    assert_eq!(refused(&ann, "approve", other).await, "DIGEST_MISMATCH");
    let wide = json!({ "requestId": id, "digest": digest, "grantUses": 7 });
    assert_eq!(refused(&ann, "approve", wide).await, "WIDENED");
    let approved = change(
        &ann,
        "approve",
        json!({ "requestId": id, "digest": digest, "grantMinutes": 5, "comment": "Fine" }),
        "request { status decisions { verdict as comment authentication by { name } grantMinutes } \
         grant { id status uses expiresAt } viewerRefusal } position",
    )
    .await;
    let request = &approved["request"];
    assert_eq!(
        (&request["status"], &request["viewerRefusal"]),
        (&json!("APPROVED"), &json!("ALREADY_DECIDED"))
    );
    assert_eq!(
        request["decisions"][0],
        json!({
            "verdict": "APPROVED", "as": "PRIMARY", "comment": "Fine", "authentication": "password",
            "by": { "name": "ann" }, "grantMinutes": 5,
        })
    );
    assert_eq!(request["grant"]["expiresAt"], "2026-03-02T09:05:00.000Z");
    let late = ask(
        &owner,
        "mutation($i: DenyInput!) { deny(input: $i) { position } }",
        json!({ "i": { "requestId": id, "digest": digest } }),
    )
    .await;
    let extensions = &late["errors"][0]["extensions"];
    assert_eq!(
        (&extensions["code"], &extensions["status"]),
        (&json!("ALREADY_DECIDED"), &json!("approved")),
        "{late}"
    );
    let node = data(
        &ann,
        "query($id: ID!) { node(id: $id) { ... on Grant { status used } } }",
        json!({ "id": request["grant"]["id"] }),
    )
    .await;
    assert_eq!(node["node"], json!({ "status": "ACTIVE", "used": 0 }));
    let revoke = json!({ "requestId": id, "reason": "no longer" });
    let revoked = change(
        &owner,
        "revokeGrant",
        revoke,
        "request { grant { status revokeReason revokedBy { name } } }",
    )
    .await;
    assert_eq!(
        revoked["request"]["grant"],
        json!({
            "status": "REVOKED", "revokeReason": "no longer", "revokedBy": { "name": "Owner" },
        })
    );
}

#[tokio::test]
async fn many_are_decided_at_once_each_for_itself() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    world.policy("Ask first", "/opt/*").await;
    let agent = world.agent("lab").await;
    let (first, first_digest) = filed(&agent, "/opt/one").await;
    let (second, _) = filed(&agent, "/opt/two").await;
    world.settle(world.tenant).await;
    let input = json!({ "verdict": "DENIED", "comment": "No", "requests": [
        { "requestId": "nonsense", "digest": first_digest },
        { "requestId": second, "digest": first_digest },
        { "requestId": first, "digest": first_digest },
    ]});
    let done = change(
        &owner,
        "bulkDecide",
        input,
        "results { requestId request { status } error { code } } position",
    )
    .await;
    let results = done["results"].as_array().unwrap();
    assert_eq!(
        results[0],
        json!({ "requestId": "nonsense", "request": null, "error": { "code": "NOT_FOUND" } })
    );
    assert_eq!(results[1]["error"]["code"], "DIGEST_MISMATCH");
    assert_eq!(results[1]["request"]["status"], "PENDING");
    assert_eq!(
        results[2],
        json!({ "requestId": first, "request": { "status": "DENIED" }, "error": null })
    );
    let again = change(
        &owner,
        "bulkDecide",
        json!({ "verdict": "APPROVED", "requests": [{ "requestId": first, "digest": first_digest }] }),
        "results { request { decidedAt } error { code message at by { name } } }",
    )
    .await;
    let late = &again["results"][0];
    assert_eq!(
        late["error"],
        json!({
            "code": "ALREADY_DECIDED", "message": "the request was already denied", "at": late["request"]["decidedAt"],
            "by": { "name": "Owner" },
        })
    );
    let too_many =
        json!({ "verdict": "DENIED", "requests": vec![json!({ "requestId": first, "digest": first_digest }); 101] });
    assert_eq!(refused(&owner, "bulkDecide", too_many).await, "BAD_INPUT");
    let early = ask(
        &owner,
        "mutation($i: ExpireInput!) { expire(input: $i) { position } }",
        json!({ "i": { "requestId": second } }),
    )
    .await;
    let error = &early["errors"][0];
    assert_eq!(
        (
            &error["extensions"]["code"],
            &error["message"],
            &error["extensions"]["at"]
        ),
        (
            &json!("NOT_DUE"),
            &json!("the request is not due yet"),
            &json!("2026-03-02T09:30:00.000Z")
        ),
        "{early}"
    );
    let nobody = json!({ "requestId": second, "reason": "hurry" });
    assert_eq!(refused(&owner, "escalate", nobody).await, "NOBODY_TO_ESCALATE_TO");
}

/// Every query that takes an id, with the id it is asked of.
const LOOKUPS: &[(&str, &str)] = &[
    ("policy", "pol"),
    ("collection", "col"),
    ("request", "req"),
    ("endpoint", "end"),
    ("deploymentGroup", "dgr"),
    ("user", "usr"),
    ("team", "tem"),
    ("node", "pol"),
    ("node", "req"),
    ("node", "end"),
    ("node", "usr"),
    ("node", "ten"),
];

#[tokio::test]
async fn another_tenants_ids_are_as_unknown_as_made_up_ones() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    world.policy("Ask first", "/opt/*").await;
    let agent = world.agent("lab").await;
    let (request, digest) = filed(&agent, "/opt/tool").await;
    change(&owner, "createTeam", json!({ "name": "Desk" }), "position").await;
    let collection = json!({ "name": "Labs", "kind": "MACHINES", "members": ["machine:lab"] });
    change(&owner, "createCollection", collection, "position").await;
    let ids = data(&owner, "{ policies { nodes { id } } collections { nodes { id } } requests { nodes { id } } \
        endpoints { nodes { id } } deploymentGroups { id } users { nodes { id } } teams { id } viewer { tenant { id } } }",
        json!({})).await;
    let id = |prefix: &str| match prefix {
        "pol" => ids["policies"]["nodes"][0]["id"].clone(),
        "col" => ids["collections"]["nodes"][0]["id"].clone(),
        "req" => request.clone(),
        "end" => ids["endpoints"]["nodes"][0]["id"].clone(),
        "dgr" => ids["deploymentGroups"][0]["id"].clone(),
        "usr" => ids["users"]["nodes"][0]["id"].clone(),
        "tem" => ids["teams"][0]["id"].clone(),
        _ => ids["viewer"]["tenant"]["id"].clone(),
    };
    let body = json!({ "tenant": "outsider", "email": "owner@outsider.example", "password": crate::world::PASSWORD });
    let signed_in = world
        .send(crate::world::request(axum::http::Method::POST, "/auth/sign-in").json(&body))
        .await
        .expect(200);
    let outsider = world.as_browser(&signed_in);
    for (field, prefix) in LOOKUPS {
        let query = format!("query($id: ID!) {{ {field}(id: $id) {{ id }} }}");
        assert_eq!(
            data(&owner, &query, json!({ "id": id(prefix) })).await[*field]["id"],
            id(prefix),
            "{field} {prefix}"
        );
        let made_up = format!("{prefix}_01h2xcejqtf2nbrexx3vqjhp41");
        for unknown in [id(prefix), json!(made_up), json!("nonsense")] {
            let seen = data(&outsider, &query, json!({ "id": unknown })).await;
            assert_eq!(seen[*field], Value::Null, "{field} {unknown}");
        }
    }
    for (mutation, input) in [
        (
            "revisePolicy",
            json!({ "policyId": id("pol"), "expectedRevision": 1, "document": {
            "name": "x", "type": "command_line", "status": "off", "users": ["*"], "machines": ["*"], "commands": ["x"] } }),
        ),
        ("setPolicyStatus", json!({ "policyId": id("pol"), "status": "OFF" })),
        ("deletePolicy", json!({ "policyId": id("pol") })),
        ("deleteCollection", json!({ "collectionId": id("col") })),
        ("approve", json!({ "requestId": id("req"), "digest": digest })),
        ("deny", json!({ "requestId": id("req"), "digest": digest })),
        ("cancelRequest", json!({ "requestId": id("req") })),
        ("removeEndpoint", json!({ "endpointId": id("end") })),
        (
            "issueRegistrationToken",
            json!({ "deploymentGroupId": id("dgr"), "label": "" }),
        ),
        ("disableUser", json!({ "userId": id("usr") })),
        ("deleteTeam", json!({ "teamId": id("tem") })),
    ] {
        assert_eq!(refused(&outsider, mutation, input).await, "NOT_FOUND", "{mutation}");
    }
    let lists = data(
        &outsider,
        "{ policies { nodes { id } } collections { nodes { id } } requests { nodes { id } } \
        endpoints { nodes { id } } deploymentGroups { id } teams { id } overview { pendingRequests endpointsTotal } }",
        json!({}),
    )
    .await;
    assert_eq!(
        lists,
        json!({
            "policies": { "nodes": [] }, "collections": { "nodes": [] }, "requests": { "nodes": [] },
            "endpoints": { "nodes": [] }, "deploymentGroups": [], "teams": [],
            "overview": { "pendingRequests": 0, "endpointsTotal": 0 },
        })
    );
}

#[tokio::test]
async fn a_member_and_an_approver_who_is_not_asked_see_no_request_of_others() {
    let world = World::new().await;
    world.policy("Ask first", "/opt/*").await;
    let agent = world.agent("lab").await;
    let (id, digest) = filed(&agent, "/opt/tool").await;
    world.user("mel", &[Role::Member]).await;
    world.user("ann", &[Role::Approver]).await;
    let query = "query($id: ID!) { request(id: $id) { id } node(id: $id) { id } requests { nodes { id } } \
                 overview { pendingRequests awaitingViewer policiesEnforced } }";
    for name in ["mel", "ann"] {
        let browser = world.browser(name).await;
        let seen = data(&browser, query, json!({ "id": id })).await;
        assert_eq!(
            seen,
            json!({
                "request": null, "node": null, "requests": { "nodes": [] },
                "overview": { "pendingRequests": 0, "awaitingViewer": 0, "policiesEnforced": 0 },
            }),
            "{name}"
        );
    }
    let mel = world.browser("mel").await;
    let decide = json!({ "requestId": id, "digest": digest });
    assert_eq!(refused(&mel, "approve", decide.clone()).await, "FORBIDDEN");
    let ann = world.browser("ann").await;
    assert_eq!(refused(&ann, "approve", decide).await, "NOT_ELIGIBLE");
    for list in [
        "policies { nodes { id } }",
        "users { nodes { id } }",
        "endpoints { nodes { id } }",
        "teams { id }",
        "auditEvents { nodes { id } }",
        "serviceAccounts { id }",
        "approvalRules { id }",
    ] {
        assert_eq!(
            super::code(&mel, &format!("{{ {list} }}"), json!({})).await,
            "FORBIDDEN",
            "{list}"
        );
    }
}
