//! Golden fixtures: one file per event type and schema version, kept for ever. Every version ever shipped has to decode.
//!
//! `golden/TYPE.vN.json` holds `{stream, schema, data}`, `golden/TYPE.vN.whole.json` the same with the fields that may be left out. A file is never changed. For a new type, run this test with
//! `GOLDEN=write`, look at the file it wrote, and commit it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{fs, path::PathBuf};

use model::catalogue::{AnyEvent, EVENT_FIELDS, EVENT_TYPES};
use serde_json::{Map, Value, json};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// A made-up value of a Rust type.
fn sample(rust: &str) -> Value {
    let inner = |outer: &str| rust.strip_prefix(outer).and_then(|r| r.strip_suffix('>'));
    if let Some(inner) = inner("Option<").or_else(|| inner("Box<")) {
        return sample(inner);
    }
    if let Some(inner) = inner("Vec<") {
        return json!([sample(inner)]);
    }
    if let Some(inner) = inner("Personal<") {
        return json!({ "$personal": sample(inner) });
    }
    let id = |prefix: &str| json!(format!("{prefix}_01kdvdna00eqx8hn7m7p0np502"));
    let action = json!({
        "type": "privilege_elevation", "user": {"name": "DEMO\\dana", "groups": ["Developers"]},
        "machine": {"name": "WS-001", "os": "windows"}, "application": {"path": "C:\\Tools\\setup.exe"},
        "at": "2026-03-02T10:00:00+01:00", "variables": {}, "online": true
    });
    let windows = json!({"pendingMinutes": 30, "escalatedMinutes": 240, "grantMinutes": 1440, "uses": 1});
    match rust {
        "TenantId" => id("ten"),
        "UserId" => id("usr"),
        "PersonId" => id("psn"),
        "TeamId" => id("tem"),
        "ServiceAccountId" => id("svc"),
        "ScimTokenId" => id("sct"),
        "EndpointId" => id("end"),
        "DeploymentGroupId" => id("dgr"),
        "CollectionId" => id("col"),
        "PolicyId" => id("pol"),
        "ApprovalRuleId" => id("rul"),
        "RequestId" => id("req"),
        "PasskeyId" => id("pky"),
        "ApiKeyId" => id("key"),
        "RegistrationTokenId" => id("rtk"),
        "InvitationId" => id("inv"),
        "IdentityProviderId" => id("idp"),
        "ActivityId" => id("act"),
        "String" => json!("text"),
        "bool" => json!(true),
        "u32" | "u64" => json!(7),
        "i64" => json!(-12),
        "Timestamp" => json!("2026-03-02T09:00:00.000Z"),
        "ActionType" => json!("privilege_elevation"),
        "PolicyStatus" => json!("enforce"),
        "CollectionKind" => json!("machines"),
        "Role" => json!("approver"),
        "Scope" => json!("policies:read"),
        "Uuid" => json!("019b0000-0000-7000-8000-000000000007"),
        "ActionResult" => json!("permitted"),
        "CancelCause" => json!("withdrawn"),
        "Flag" => json!("unlinked_requester"),
        "PolicyRef" => json!({"id": id("pol"), "revision": 3}),
        "SnapshotRef" => json!({"epoch": 1, "version": 9}),
        "CitedSnapshot" => json!({"epoch": 1, "version": 9, "sha256": "ab".repeat(32)}),
        "GrantTerms" => json!({"notAfter": "2026-03-03T09:00:00.000Z", "uses": 1, "mfaPending": false}),
        "Windows" => windows,
        "Machine" => json!({"name": "WS-001", "os": "windows", "osVersion": "11 24H2", "machineId": "m-1"}),
        "Route" => json!({"rule": id("rul"), "primary": [{"user": id("usr")}, {"team": id("tem")}], "secondary": [],
            "quorum": 1, "selfApproval": false}),
        "RequestDetails" => json!({"action": action, "digest": "cd".repeat(32), "justification": "It is needed"}),
        "RecordedInput" => json!({"action": action, "justification": null}),
        "RecordedDecision" => json!({"outcome": "required", "steps": ["justification", "approval"],
            "matched": [{"id": id("pol"), "revision": 3}], "engine": "0.1.0"}),
        "Profile" => json!({"userName": "dana@example.test", "externalId": "00u1",
            "attributes": {"displayName": "Dana", "emails": [{"type": "work", "value": "dana@example.test"}]}}),
        "ProviderDefinition" => json!({"name": "Contoso", "issuer": "https://id.example.com", "clientId": "portcullis",
            "scopes": ["email"], "groupsClaim": "groups", "accountClaim": "upn",
            "roleMapping": [{"group": "Approvers", "role": "approver"}], "provision": false,
            "emailDomains": ["example.com"], "trustedFactors": ["otp"]}),
        "RuleDefinition" => {
            json!({"name": "High risk", "types": ["file_access"], "collections": ["pilots"], "riskFrom": 80,
            "riskTo": 100, "primary": [{"team": id("tem")}], "secondary": [], "quorum": 2, "windows": windows,
            "selfApproval": false})
        }
        "Settings" => serde_json::to_value(model::tenant::Settings::default()).unwrap(),
        "PolicyDocument" => serde_json::to_value(policy_engine::PolicyDocument::new(
            "Installers need a second pair of eyes",
            policy_engine::PolicyType::PrivilegeElevation,
            policy_engine::PolicyStatus::Off,
        ))
        .unwrap(),
        other => panic!("no sample of the type `{other}`"),
    }
}

fn camel(field: &str) -> String {
    let mut name = String::new();
    for (i, word) in field.split('_').enumerate() {
        let (first, rest) = word.split_at(1);
        name += &if i == 0 { first.to_owned() } else { first.to_uppercase() };
        name += rest;
    }
    name
}

#[test]
fn each_event_type_has_a_fixture_of_its_newest_version() {
    for (stream, events) in EVENT_FIELDS {
        for (event, fields) in *events {
            let file = folder().join(format!("{event}.v1.json"));
            if file.exists() {
                continue;
            }
            assert_eq!(
                std::env::var("GOLDEN").as_deref(),
                Ok("write"),
                "{} is missing",
                file.display()
            );
            let data: Map<String, Value> = fields
                .iter()
                .map(|(field, rust)| (camel(field), sample(&rust.split_whitespace().collect::<String>())))
                .collect();
            let fixture = json!({ "stream": stream, "type": event, "schema": 1, "data": data });
            fs::write(&file, serde_json::to_string_pretty(&fixture).unwrap() + "\n").unwrap();
        }
    }
}

fn read(stream: &str, event: &Value) -> Result<AnyEvent, serde_json::Error> {
    AnyEvent::read(
        stream,
        event["type"].as_str().unwrap(),
        event["data"].as_object().unwrap(),
    )
}

#[test]
fn every_version_ever_shipped_decodes_and_the_newest_reads_back_what_it_wrote() {
    let mut seen = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let fixture: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let stream = fixture["stream"].as_str().unwrap();
        let event = json!({ "type": fixture["type"], "data": fixture["data"] });
        let decoded = read(stream, &event).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let again = match &decoded {
            AnyEvent::Tenant(e) => serde_json::to_value(e),
            AnyEvent::Person(e) => serde_json::to_value(e),
            AnyEvent::User(e) => serde_json::to_value(e),
            AnyEvent::Roles(e) => serde_json::to_value(e),
            AnyEvent::Team(e) => serde_json::to_value(e),
            AnyEvent::Scim(e) => serde_json::to_value(e),
            AnyEvent::ServiceAccount(e) => serde_json::to_value(e),
            AnyEvent::IdentityProvider(e) => serde_json::to_value(e),
            AnyEvent::DeploymentGroup(e) => serde_json::to_value(e),
            AnyEvent::Endpoint(e) => serde_json::to_value(e),
            AnyEvent::Activity(e) => serde_json::to_value(e),
            AnyEvent::Collection(e) => serde_json::to_value(e),
            AnyEvent::Policy(e) => serde_json::to_value(e),
            AnyEvent::ApprovalRules(e) => serde_json::to_value(e),
            AnyEvent::Request(e) => serde_json::to_value(e),
            AnyEvent::Platform(e) => serde_json::to_value(e),
        };
        assert_eq!(again.unwrap(), event, "{}", path.display());
        seen += 1;
    }
    let types: usize = EVENT_TYPES.iter().map(|(_, types)| types.len()).sum();
    assert!(seen >= types, "{seen} fixtures for {types} event types");
}

#[test]
fn an_unknown_field_or_a_missing_one_is_no_event() {
    let stream = "team";
    let good = json!({"type": "TeamDeleted", "data": {"team": "tem_01kdvdna00eqx8hn7m7p0np502"}});
    assert!(read(stream, &good).is_ok());
    let more = json!({"type": "TeamDeleted", "data": {"team": "tem_01kdvdna00eqx8hn7m7p0np502", "x": 1}});
    assert!(read(stream, &more).is_err());
    assert!(read(stream, &json!({"type": "TeamDeleted", "data": {}})).is_err());
    assert!(read("roles", &json!({"type": "TeamDeleted", "data": {}})).is_err());
}
