//! Every family of mutations, over a real database.

use axum::http::Method;
use model::Role;
use serde_json::{Value, json};

use super::{change, code, data, refused};
use crate::world::{World, request};

fn document(name: &str) -> Value {
    json!({
        "name": name, "type": "privilege_elevation", "status": "monitor", "controls": ["approval"],
        "users": ["*"], "machines": ["*"], "applications": ["path:/opt/*"],
    })
}

#[tokio::test]
async fn a_policy_lives_from_draft_to_deletion() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let fields =
        "policy { id name status revision document stagedRevision { number stagedTo { name } } deletedAt } position";
    let made = change(
        &owner,
        "createPolicy",
        json!({ "document": document("Ask first"), "comment": "new" }),
        fields,
    )
    .await;
    let id = made["policy"]["id"].clone();
    assert_eq!(made["policy"]["document"]["riskLevel"], 50);

    let revise =
        |expected: u32| json!({ "policyId": id, "expectedRevision": expected, "document": document("Asked first") });
    let revised = change(&owner, "revisePolicy", revise(1), fields).await;
    assert_eq!(
        (&revised["policy"]["name"], &revised["policy"]["revision"]),
        (&json!("Asked first"), &json!(2))
    );
    assert!(revised["position"].as_u64() > made["position"].as_u64());
    assert_eq!(refused(&owner, "revisePolicy", revise(1)).await, "STALE_VERSION");

    let group = change(
        &owner,
        "createDeploymentGroup",
        json!({ "name": "Pilots" }),
        "deploymentGroup { id }",
    )
    .await;
    let stage = json!({
        "policyId": id, "expectedRevision": 2, "document": document("Staged"),
        "deploymentGroupIds": [group["deploymentGroup"]["id"]],
    });
    let staged = change(&owner, "stagePolicyRevision", stage, fields).await;
    assert_eq!(
        staged["policy"]["stagedRevision"],
        json!({ "number": 3, "stagedTo": [{ "name": "Pilots" }] })
    );
    let wrong = json!({ "policyId": id, "revision": 2 });
    assert_eq!(refused(&owner, "promotePolicyRevision", wrong).await, "STALE_VERSION");
    let promoted = change(
        &owner,
        "promotePolicyRevision",
        json!({ "policyId": id, "revision": 3 }),
        fields,
    )
    .await;
    assert_eq!(
        (&promoted["policy"]["name"], &promoted["policy"]["stagedRevision"]),
        (&json!("Staged"), &Value::Null)
    );

    let off = change(
        &owner,
        "setPolicyStatus",
        json!({ "policyId": id, "status": "OFF" }),
        fields,
    )
    .await;
    assert_eq!(off["policy"]["status"], "OFF");
    let back = change(
        &owner,
        "rollbackPolicy",
        json!({ "policyId": id, "revision": 1 }),
        fields,
    )
    .await;
    assert_eq!(back["policy"]["name"], "Ask first");
    let copy = change(
        &owner,
        "duplicatePolicy",
        json!({ "policyId": id, "name": "Copy" }),
        fields,
    )
    .await;
    assert_eq!(
        (&copy["policy"]["name"], &copy["policy"]["status"]),
        (&json!("Copy"), &json!("OFF"))
    );
    let gone = change(&owner, "deletePolicy", json!({ "policyId": id }), fields).await;
    assert!(gone["policy"]["deletedAt"].is_string());

    let listed = data(
        &owner,
        "query($id: ID!) { policies { totalCount nodes { name } } policy(id: $id) { \
        revisions(last: 2) { nodes { id number state } } } }",
        json!({ "id": id }),
    )
    .await;
    assert_eq!(
        listed["policies"],
        json!({ "totalCount": 1, "nodes": [{ "name": "Copy" }] })
    );
    let oldest = &listed["policy"]["revisions"]["nodes"][1];
    assert_eq!((&oldest["number"], &oldest["state"]), (&json!(1), &json!("SUPERSEDED")));
    let node = data(
        &owner,
        "query($id: ID!) { node(id: $id) { __typename id } }",
        json!({ "id": oldest["id"] }),
    )
    .await;
    assert_eq!(node["node"]["__typename"], "PolicyRevision");
}

#[tokio::test]
async fn a_bad_document_is_refused_field_by_field_and_told_before_it_is_saved() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let mut bad = document("Bad");
    bad["users"] = json!([]);
    bad["times"] = json!([{ "from": "25:00", "to": "08:00" }]);
    let query = "mutation($input: CreatePolicyInput!) { createPolicy(input: $input) { position } }";
    let answer = super::ask(&owner, query, json!({ "input": { "document": bad } })).await;
    let extensions = &answer["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "POLICY_REFUSED");
    let fields: Vec<_> = extensions["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["field"].clone())
        .collect();
    assert!(
        fields.contains(&json!("users")) && fields.contains(&json!("times[0]")),
        "{fields:?}"
    );

    let report = "query($d: PolicyDocument!) { validatePolicy(document: $d) { problems { field code } normalised \
                  warnings { code level } } }";
    let told = data(&owner, report, json!({ "d": bad })).await;
    assert_eq!(
        told["validatePolicy"]["problems"].as_array().unwrap().len(),
        fields.len()
    );
    let shapeless = data(&owner, report, json!({ "d": { "name": "x", "typo": 1 } })).await;
    assert_eq!(shapeless["validatePolicy"]["problems"][0]["field"], "typo");
    let mut enforced = document("Good");
    enforced["status"] = json!("enforce");
    let good = data(&owner, report, json!({ "d": enforced })).await;
    assert_eq!(good["validatePolicy"]["problems"], json!([]));
    assert_eq!(good["validatePolicy"]["normalised"]["accessMinutes"], 240);
    assert_eq!(
        good["validatePolicy"]["warnings"],
        json!([{ "code": "NEVER_MONITORED", "level": "INFO" }])
    );
    let impact = "query($d: PolicyDocument!) { policyImpact(document: $d, days: 30) { days actions unchanged } }";
    let none = data(&owner, impact, json!({ "d": document("Good") })).await;
    assert_eq!(
        none["policyImpact"],
        json!({ "days": 30, "actions": 0, "unchanged": 0 })
    );
    assert_eq!(code(&owner, impact, json!({ "d": bad })).await, "POLICY_REFUSED");
}

#[tokio::test]
async fn a_file_of_policies_is_judged_before_anything_of_it_is_written() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    change(
        &owner,
        "createPolicy",
        json!({ "document": document("Taken") }),
        "position",
    )
    .await;
    let query = "query($text: String!) { policyFile(text: $text) { format policies hasBaseline collections { name kind } \
                 refused { policy field message } notes { policy field } approvalRules { name required } } }";
    let read = async |text: String| data(&owner, query, json!({ "text": text })).await["policyFile"].clone();
    let mut grouped = document("Grouped");
    grouped["users"] = json!(["collection:devs"]);
    let bundle = json!({
        "policies": [grouped, document("TAKEN")],
        "collections": { "devs": { "kind": "users", "members": ["group:Developers"] } },
    });
    let file = read(bundle.to_string()).await;
    assert_eq!(file["format"], "NATIVE");
    assert_eq!(file["policies"][0]["name"], "Grouped");
    assert_eq!(file["policies"].as_array().unwrap().len(), 1);
    assert_eq!(file["collections"], json!([{ "name": "devs", "kind": "USERS" }]));
    assert_eq!(
        (&file["refused"][0]["policy"], &file["refused"][0]["field"]),
        (&json!("TAKEN"), &json!("name"))
    );
    let keeper = json!([
        { "PolicyName": "Theirs", "PolicyType": "PrivilegeElevation", "Status": "enforce", "Controls": ["APPROVAL", "AUDIT"],
          "Filters": { "UserCheck": { "Users": ["*"] } } },
        { "PolicyName": "Odd", "PolicyType": "Sandbox" },
    ]);
    let file = read(keeper.to_string()).await;
    assert_eq!(file["format"], "KEEPER");
    assert_eq!(file["policies"][0]["controls"], json!(["approval"]));
    assert!(!file["notes"].as_array().unwrap().is_empty());
    assert_eq!(
        (&file["refused"][0]["policy"], &file["refused"][0]["field"]),
        (&json!("Odd"), &json!("PolicyType"))
    );
    let nonsense = read("{".to_owned()).await;
    assert_eq!(nonsense["format"], Value::Null);
    assert_eq!(nonsense["refused"].as_array().unwrap().len(), 1);
    world.user("member", &[Role::Member]).await;
    let member = world.browser("member").await;
    assert_eq!(code(&member, query, json!({ "text": "{}" })).await, "FORBIDDEN");
    let held = data(&owner, "{ policies { totalCount } }", json!({})).await;
    assert_eq!(held["policies"]["totalCount"], 1, "reading wrote something");
}

#[tokio::test]
async fn collections_and_rules_are_made_changed_and_deleted() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let input = json!({ "name": "Pilots", "kind": "MACHINES", "members": ["machine:lab*"] });
    let made = change(
        &owner,
        "createCollection",
        input,
        "collection { id usedBy { id } } position",
    )
    .await;
    let collection = made["collection"]["id"].clone();
    let more = json!({ "collectionId": collection, "members": ["machine:lab*", "os:linux"] });
    let changed = change(&owner, "changeCollection", more, "collection { name members }").await;
    assert_eq!(
        changed["collection"],
        json!({ "name": "Pilots", "members": ["machine:lab*", "os:linux"] })
    );

    let tools = json!({ "name": "Tools", "kind": "APPLICATIONS", "members": ["path:C:\\Tools\\*"] });
    let tools = change(&owner, "createCollection", tools, "collection { id }").await["collection"]["id"].clone();
    let mut deny = document("No tools");
    deny["controls"] = json!(["deny"]);
    deny["applications"] = json!(["collection:Tools"]);
    change(&owner, "createPolicy", json!({ "document": deny }), "policy { id }").await;
    let protected = json!({ "collectionId": tools, "members": ["path:C:\\Windows\\System32\\lsass.exe"] });
    assert_eq!(refused(&owner, "changeCollection", protected).await, "POLICY_REFUSED");
    let others = json!({ "collectionId": tools, "members": ["path:C:\\Other\\*"] });
    change(&owner, "changeCollection", others, "collection { id }").await;

    let viewer = data(&owner, "{ viewer { user { id } } }", json!({})).await["viewer"]["user"]["id"].clone();
    let approvers = json!({ "userIds": [viewer] });
    let rule =
        |name: &str| json!({ "name": name, "primary": approvers, "secondary": {}, "collectionIds": [collection] });
    let fields = "approvalRule { id name rank quorum collections { name } windows { pendingMinutes grantUses } }";
    let first = change(&owner, "createApprovalRule", rule("First"), fields).await["approvalRule"].clone();
    assert_eq!(first["windows"], json!({ "pendingMinutes": 30, "grantUses": 1 }));
    assert_eq!(first["collections"], json!([{ "name": "Pilots" }]));
    let second = change(&owner, "createApprovalRule", rule("Second"), fields).await["approvalRule"]["id"].clone();
    let partial = json!({ "approvalRuleId": second, "quorum": 2, "windows": { "unlimitedUses": true } });
    let changed = change(&owner, "changeApprovalRule", partial, fields).await["approvalRule"].clone();
    assert_eq!((&changed["name"], &changed["quorum"]), (&json!("Second"), &json!(2)));
    assert_eq!(changed["windows"]["grantUses"], Value::Null);
    let order = json!({ "approvalRuleIds": [second, first["id"]] });
    let reordered = change(&owner, "reorderApprovalRules", order, "approvalRules { name rank }").await;
    assert_eq!(reordered["approvalRules"][0], json!({ "name": "Second", "rank": 1 }));
    let in_use = json!({ "collectionId": collection });
    assert_eq!(refused(&owner, "deleteCollection", in_use.clone()).await, "IN_USE");
    for rule in [&second, &first["id"]] {
        change(
            &owner,
            "deleteApprovalRule",
            json!({ "approvalRuleId": rule }),
            "approvalRule { id }",
        )
        .await;
    }
    let gone = change(&owner, "deleteCollection", in_use.clone(), "collection { name }").await;
    assert_eq!(gone["collection"]["name"], "Pilots");
    assert_eq!(refused(&owner, "deleteCollection", in_use).await, "NOT_FOUND");
}

#[tokio::test]
async fn people_are_made_invited_grouped_and_shut_out() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let fields = "user { id name email status roles teams { name } }";
    let ann = json!({ "email": "ann@acme.example", "name": "Ann", "roles": ["APPROVER"], "password": crate::world::PASSWORD });
    let ann = change(&owner, "createUser", ann, fields).await["user"].clone();
    assert_eq!(
        (&ann["status"], &ann["roles"]),
        (&json!("ACTIVE"), &json!(["APPROVER"]))
    );
    let bob = json!({ "email": "bob@acme.example", "name": "Bob", "roles": ["MEMBER"] });
    let bob = change(&owner, "inviteUser", bob, fields).await["user"].clone();
    assert_eq!(bob["status"], "INVITED");
    let invited = data(
        &owner,
        "{ users(filter: {statuses: [INVITED]}) { nodes { name } } }",
        json!({}),
    )
    .await;
    assert_eq!(invited["users"]["nodes"], json!([{ "name": "Bob" }]));
    let weak = json!({ "email": "c@acme.example", "name": "C", "roles": [], "password": "password" });
    assert_eq!(refused(&owner, "createUser", weak).await, "WEAK_PASSWORD");

    let team = change(
        &owner,
        "createTeam",
        json!({ "name": "Desk", "memberIds": [ann["id"]] }),
        "team { id }",
    )
    .await;
    let team = team["team"]["id"].clone();
    let grown = json!({ "teamId": team, "memberIds": [ann["id"], bob["id"]] });
    let grown = change(
        &owner,
        "changeTeam",
        grown,
        "team { name members { name teams { name } } }",
    )
    .await;
    assert_eq!(grown["team"]["members"].as_array().unwrap().len(), 2);
    assert_eq!(grown["team"]["members"][0]["teams"], json!([{ "name": "Desk" }]));

    let roles = json!({ "userId": ann["id"], "roles": ["AUDITOR"] });
    assert_eq!(
        change(&owner, "changeUserRoles", roles, fields).await["user"]["roles"],
        json!(["AUDITOR"])
    );
    let renamed = json!({ "userId": bob["id"], "email": "robert@acme.example", "name": "Robert" });
    assert_eq!(
        change(&owner, "changeUser", renamed, fields).await["user"]["name"],
        "Robert"
    );
    let shut = json!({ "userId": ann["id"], "reason": "left" });
    assert_eq!(
        change(&owner, "disableUser", shut, fields).await["user"]["status"],
        "DISABLED"
    );
    assert_eq!(
        change(&owner, "enableUser", json!({ "userId": ann["id"] }), fields).await["user"]["status"],
        "ACTIVE"
    );
    let gone = change(&owner, "deleteTeam", json!({ "teamId": team }), "team { name }").await;
    assert_eq!(gone["team"]["name"], "Desk");
}

#[tokio::test]
async fn an_endpoint_account_is_linked_to_a_person_and_back() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    world.policy("Ask first", "/opt/*").await;
    let agent = world.agent("lab").await;
    agent.submit("/opt/tool").await.expect(201);
    let ann = world.user("ann", &[Role::Member]).await.to_string();
    let seen = data(
        &owner,
        "{ endpoints { nodes { id accounts { account personId user { id } } } } }",
        json!({}),
    )
    .await;
    let endpoint = &seen["endpoints"]["nodes"][0];
    assert_eq!(endpoint["accounts"][0]["account"], "dora");
    let filed = data(&owner, "{ requests { nodes { id requester { linked } } } }", json!({})).await;
    assert_eq!(filed["requests"]["nodes"][0]["requester"]["linked"], false);

    let link = |account: &str| json!({ "userId": ann, "endpointId": endpoint["id"], "account": account });
    assert_eq!(
        refused(&owner, "linkEndpointAccount", link("nobody")).await,
        "NOT_FOUND"
    );
    let linked = change(
        &owner,
        "linkEndpointAccount",
        link("dora"),
        "user { accounts { account endpoint { name } } }",
    )
    .await;
    assert_eq!(
        linked["user"]["accounts"],
        json!([{ "account": "dora", "endpoint": { "name": "lab" } }])
    );
    let filed = data(
        &owner,
        "{ requests { nodes { id requester { linked user { name } } } } }",
        json!({}),
    )
    .await;
    assert_eq!(
        filed["requests"]["nodes"][0]["requester"],
        json!({ "linked": true, "user": { "name": "ann" } })
    );
    let cancel = json!({ "requestId": filed["requests"]["nodes"][0]["id"] });
    change(&owner, "cancelRequest", cancel, "request { status }").await;
    let person = json!({ "personId": endpoint["accounts"][0]["personId"] });
    let unlinked = change(&owner, "unlinkEndpointAccount", person, "user { accounts { account } }").await;
    assert_eq!(unlinked["user"]["accounts"], json!([]));
}

#[tokio::test]
async fn a_secret_is_shown_once_and_a_key_may_what_its_scopes_say() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let account = json!({ "name": "Exporter", "scopes": ["audit:read", "fleet:read"] });
    let account = change(&owner, "createServiceAccount", account, "serviceAccount { id scopes }").await;
    let id = account["serviceAccount"]["id"].clone();
    let issue = |scope: &str| json!({ "serviceAccountId": id, "label": "ci", "scopes": [scope] });
    assert_eq!(refused(&owner, "issueApiKey", issue("everything")).await, "BAD_INPUT");
    assert_eq!(
        refused(&owner, "issueApiKey", issue("people:read")).await,
        "SCOPE_BEYOND_ACCOUNT"
    );
    let query = "mutation($input: IssueApiKeyInput!) { issueApiKey(input: $input) { secret apiKey { id } position } }";
    let body = json!({ "query": query, "variables": { "input": issue("audit:read") } });
    let key = [("idempotency-key", "one key")];
    let first = super::send(&world, &owner, &key, &body).await.expect(200).json()["data"]["issueApiKey"].clone();
    let again = super::send(&world, &owner, &key, &body).await.expect(200).json()["data"]["issueApiKey"].clone();
    assert_eq!(
        (&again["apiKey"], &again["position"]),
        (&first["apiKey"], &first["position"])
    );
    assert_eq!(again["secret"], Value::Null);

    let secret = first["secret"].as_str().unwrap();
    let ask = |query: &str| {
        world.send(
            request(Method::POST, "/graphql")
                .bearer(secret)
                .json(&json!({ "query": query })),
        )
    };
    let seen =
        ask("{ auditEvents(first: 1) { nodes { type summary actor { name } } } viewer { scopes user { id } } }").await;
    let seen = seen.expect(200).json();
    assert_eq!(
        seen["data"]["auditEvents"]["nodes"][0]["type"], "ApiKeyIssued",
        "{seen}"
    );
    assert_eq!(
        seen["data"]["viewer"],
        json!({ "scopes": ["audit:read"], "user": null })
    );
    let refused = ask("{ endpoints { nodes { id } } }").await.expect(200).json();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN");
    let used = data(
        &owner,
        "{ serviceAccounts { apiKeys { lastUsedAt revokedAt } } }",
        json!({}),
    )
    .await;
    assert!(
        used["serviceAccounts"][0]["apiKeys"][0]["lastUsedAt"].is_string(),
        "{used}"
    );
    let revoke = json!({ "apiKeyId": first["apiKey"]["id"] });
    assert!(change(&owner, "revokeApiKey", revoke, "apiKey { revokedAt }").await["apiKey"]["revokedAt"].is_string());
    ask("{ viewer { scopes } }").await.expect(401);
    let deleted = change(
        &owner,
        "deleteServiceAccount",
        json!({ "serviceAccountId": id }),
        "serviceAccount { deletedAt }",
    );
    assert!(deleted.await["serviceAccount"]["deletedAt"].is_string());
}

#[tokio::test]
async fn groups_tokens_packages_and_endpoints_are_handled() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let group = change(
        &owner,
        "createDeploymentGroup",
        json!({ "name": "Pilots" }),
        "deploymentGroup { id }",
    )
    .await;
    let id = group["deploymentGroup"]["id"].clone();
    let renamed = json!({ "deploymentGroupId": id, "name": "Pilot ring" });
    change(&owner, "renameDeploymentGroup", renamed, "position").await;
    let issue = json!({ "deploymentGroupId": id, "label": "", "maximumRegistrations": 3 });
    let issued = change(
        &owner,
        "issueRegistrationToken",
        issue,
        "secret registrationToken { id label maximumRegistrations } \
        deploymentGroup { name registrationTokens { id } }",
    )
    .await;
    assert!(issued["secret"].as_str().unwrap().starts_with("pct_reg_"));
    assert_eq!(issued["deploymentGroup"]["name"], "Pilot ring");
    let token = issued["registrationToken"]["id"].clone();
    assert_eq!(
        issued["deploymentGroup"]["registrationTokens"],
        json!([{ "id": token }])
    );
    let rotate = json!({ "registrationTokenId": token });
    let rotated = change(
        &owner,
        "rotateRegistrationToken",
        rotate.clone(),
        "secret registrationToken { id maximumRegistrations }",
    )
    .await;
    assert_ne!(rotated["secret"], issued["secret"]);
    assert_eq!(rotated["registrationToken"]["maximumRegistrations"], 3);
    assert_eq!(refused(&owner, "rotateRegistrationToken", rotate).await, "NOT_FOUND");
    let token = rotated["registrationToken"]["id"].clone();
    let none = json!({ "deploymentGroupId": id, "label": "", "maximumRegistrations": 0 });
    assert_eq!(refused(&owner, "issueRegistrationToken", none).await, "BAD_INPUT");
    let revoked = json!({ "registrationTokenId": token });
    let revoked = change(
        &owner,
        "revokeRegistrationToken",
        revoked,
        "registrationToken { revokedAt }",
    )
    .await;
    assert!(revoked["registrationToken"]["revokedAt"].is_string());
    let package = json!({ "deploymentGroupId": id, "os": "LINUX" });
    let package = change(&owner, "createDeploymentPackage", package, "fileName content").await;
    assert_eq!(package["fileName"], "portcullis-agent-linux-pilot-ring.json");
    let content: formats::agent_wire::DeploymentPackage =
        serde_json::from_str(package["content"].as_str().unwrap()).unwrap();
    assert_eq!(content.server, world.app.config.public_url);

    let agent = world.agent("lab").await;
    world.settle(world.tenant).await;
    let endpoint = agent.endpoint.to_string();
    let moved = json!({ "endpointId": endpoint, "deploymentGroupId": id });
    let moved = change(
        &owner,
        "moveEndpoint",
        moved,
        "endpoint { status deploymentGroup { name endpointCount } }",
    )
    .await;
    assert_eq!(
        moved["endpoint"]["deploymentGroup"],
        json!({ "name": "Pilot ring", "endpointCount": 1 })
    );
    let delete = json!({ "deploymentGroupId": id });
    assert_eq!(refused(&owner, "deleteDeploymentGroup", delete.clone()).await, "IN_USE");
    assert_eq!(
        refused(
            &owner,
            "confirmSnapshot",
            json!({ "deploymentGroupId": id, "version": 1 })
        )
        .await,
        "NOTHING_HELD"
    );
    let removed = json!({ "endpointId": endpoint, "reason": "lost" });
    let removed = change(&owner, "removeEndpoint", removed, "endpoint { status removedReason }").await;
    assert_eq!(
        removed["endpoint"],
        json!({ "status": "REMOVED", "removedReason": "lost" })
    );
    let deleted = change(&owner, "deleteDeploymentGroup", delete, "deploymentGroup { deletedAt }").await;
    assert!(deleted["deploymentGroup"]["deletedAt"].is_string());
}

#[tokio::test]
async fn settings_change_where_something_is_said() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let input = json!({
        "minimumJustification": 10, "requireDenialComment": true,
        "windows": { "pendingMinutes": 15 },
        "baselines": [{ "actionType": "COMMAND_LINE", "outcome": "REQUIRED", "controls": ["JUSTIFICATION"] }],
    });
    let fields = "settings { minimumJustification requireDenialComment allowSelfApproval windows { pendingMinutes grantMinutes } \
        baselines { actionType outcome controls } }";
    let changed = change(&owner, "changeSettings", input, fields).await["settings"].clone();
    assert_eq!(
        changed["windows"],
        json!({ "pendingMinutes": 15, "grantMinutes": 1440 })
    );
    assert_eq!(
        (&changed["minimumJustification"], &changed["allowSelfApproval"]),
        (&json!(10), &json!(false))
    );
    let line = json!({ "actionType": "COMMAND_LINE", "outcome": "REQUIRED", "controls": ["JUSTIFICATION"] });
    assert!(changed["baselines"].as_array().unwrap().contains(&line));
    assert_eq!(
        refused(&owner, "changeSettings", json!({ "minimumJustification": 9999 })).await,
        "BAD_INPUT"
    );
}

#[tokio::test]
async fn nobody_changes_what_their_role_does_not_let_them() {
    let world = World::new().await;
    for (name, role) in [
        ("audit", Role::Auditor),
        ("member", Role::Member),
        ("decide", Role::Approver),
    ] {
        world.user(name, &[role]).await;
        let browser = world.browser(name).await;
        for (mutation, input) in [
            ("createPolicy", json!({ "document": document("x") })),
            (
                "createCollection",
                json!({ "name": "x", "kind": "USERS", "members": ["user:x"] }),
            ),
            ("createTeam", json!({ "name": "x" })),
            (
                "createUser",
                json!({ "email": "x@x.example", "name": "x", "roles": [], "password": crate::world::PASSWORD }),
            ),
            (
                "inviteUser",
                json!({ "email": "x@x.example", "name": "x", "roles": [] }),
            ),
            ("createDeploymentGroup", json!({ "name": "x" })),
            ("createServiceAccount", json!({ "name": "x" })),
            ("changeSettings", json!({ "allowSelfApproval": true })),
        ] {
            assert_eq!(
                refused(&browser, mutation, input).await,
                "FORBIDDEN",
                "{name} {mutation}"
            );
        }
    }
}
