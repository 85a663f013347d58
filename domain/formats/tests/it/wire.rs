//! The agent protocol's bodies: their exact JSON, and that a field nobody knows is refused.

use formats::{
    BodyHash,
    agent_wire::{
        ActivityBatch, ActivityRecord, ActivityStored, CitedSnapshot, Deadlines, DeploymentPackage, EndedGrants,
        GrantUseReport, Heartbeat, HeartbeatAnswer, HeldGrants, Inventory, KeySetResponse, MachineInfo, MfaVerified,
        MfaVerify, PluginReport, PluginState, PolicyRevision, RecordResult, RegisterRequest, RegisterResponse,
        ReportedDecision, RequestState, RequestStatus, SnapshotAck, SnapshotVersion, SubmitRequest, TokenRequest,
        TokenResponse,
    },
};
use policy_engine::{ActionType, Os, Outcome, Step};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::fixture::*;

#[track_caller]
fn assert_wire<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T, expected: Value) {
    assert_eq!(serde_json::to_value(&value).unwrap(), expected);
    assert_eq!(serde_json::from_value::<T>(expected.clone()).unwrap(), value);
    let mut more = expected;
    more["tenant"] = json!("ten_x");
    assert!(
        serde_json::from_value::<T>(more)
            .unwrap_err()
            .to_string()
            .contains("tenant")
    );
}

fn action() -> Value {
    json!({
        "type": "file_access", "user": {"name": "alice", "groups": []}, "machine": {"name": "ws", "os": "linux"},
        "file": "/etc/shadow", "at": "2026-03-02T10:00:00+01:00", "variables": {}, "online": false,
    })
}

#[test]
fn enrolment_has_its_known_shape() {
    let public = key().public();
    assert_wire(
        RegisterRequest {
            registration_token: "pct_reg_x".into(),
            machine: MachineInfo {
                name: "ws".into(),
                os: Os::Linux,
                os_version: "Debian 12".into(),
                machine_id: "8f1c".into(),
            },
            public_key: public,
            proof: "a.b.c".into(),
        },
        json!({"registrationToken": "pct_reg_x", "proof": "a.b.c", "publicKey": public.to_string(),
            "machine": {"name": "ws", "os": "linux", "osVersion": "Debian 12", "machineId": "8f1c"}}),
    );
    assert_wire(
        RegisterResponse {
            endpoint_id: endpoint(),
            tenant_id: tenant(),
            deployment_group_id: group(),
            key_set: "a.b.c".into(),
            root_key: public,
            server_time: t0(),
        },
        json!({"endpointId": endpoint(), "tenantId": tenant(), "deploymentGroupId": group(), "keySet": "a.b.c",
            "rootKey": public, "serverTime": "2026-03-02T09:00:00.000Z"}),
    );
    assert_wire(
        DeploymentPackage {
            installer: None,
            server: SERVER.into(),
            registration_token: "pct_reg_x".into(),
            root_key: public,
        },
        json!({"installer": null, "server": SERVER, "registrationToken": "pct_reg_x", "rootKey": public}),
    );
    assert_wire(
        TokenRequest {
            assertion: "a.b.c".into(),
        },
        json!({"assertion": "a.b.c"}),
    );
    assert_wire(
        TokenResponse {
            access_token: "a.b.c".into(),
            token_type: "Bearer".into(),
            expires_in: 600,
            server_time: t0(),
        },
        json!({"accessToken": "a.b.c", "tokenType": "Bearer", "expiresIn": 600, "serverTime": t0()}),
    );
    assert_wire(
        KeySetResponse {
            key_set: "a.b.c".into(),
        },
        json!({"keySet": "a.b.c"}),
    );
}

#[test]
fn requests_have_their_known_shape() {
    let digest = digest_input().digest().unwrap();
    assert_wire(
        SubmitRequest {
            action: serde_json::from_value(action()).unwrap(),
            cwd: Some("/root".into()),
            justification: "to look".into(),
            policies: vec![PolicyRevision {
                id: "pol_x".into(),
                revision: 3,
            }],
            snapshot_version: SnapshotVersion { epoch: 1, version: 42 },
            digest,
            retry_of: None,
        },
        json!({"action": action(), "cwd": "/root", "justification": "to look", "digest": digest, "retryOf": null,
            "policies": [{"id": "pol_x", "revision": 3}], "snapshotVersion": {"epoch": 1, "version": 42}}),
    );
    assert_wire(
        RequestState {
            request_id: request(),
            status: RequestStatus::Pending,
            deadlines: Deadlines {
                escalates_at: Some(t0()),
                expires_at: None,
            },
            asked: 1,
            comment: None,
            grant: None,
        },
        json!({"requestId": request(), "status": "pending", "asked": 1, "comment": null, "grant": null,
            "deadlines": {"escalatesAt": t0(), "expiresAt": null}}),
    );
    assert_wire(
        MfaVerify {
            email: "a@example.test".into(),
            code: "123456".into(),
            action_type: ActionType::FileAccess,
            endpoint_user: "alice".into(),
            digest,
            always: true,
        },
        json!({"email": "a@example.test", "code": "123456", "actionType": "file_access", "endpointUser": "alice",
            "digest": digest, "always": true}),
    );
    assert_wire(
        MfaVerified {
            proof: "a.b.c".into(),
            identity: approver(),
            expires_at: t1(),
        },
        json!({"proof": "a.b.c", "identity": approver(), "expiresAt": t1()}),
    );
    let open = [RequestStatus::Pending, RequestStatus::Escalated];
    let ended = [
        RequestStatus::Approved,
        RequestStatus::Denied,
        RequestStatus::Expired,
        RequestStatus::Cancelled,
    ];
    assert!(open.iter().all(|s| !s.is_final()) && ended.iter().all(|s| s.is_final()));
}

#[test]
fn a_code_is_never_printed() {
    let verify: MfaVerify = serde_json::from_value(json!({"email": "a@example.test", "code": "918273",
        "actionType": "file_access", "endpointUser": "alice", "digest": digest_input().digest().unwrap()}))
    .unwrap();
    let text = format!("{verify:?}");
    assert!(
        !text.contains("918273") && !text.contains("example.test") && !text.contains("alice"),
        "{text}"
    );
}

#[test]
fn reports_have_their_known_shape() {
    let sha256 = BodyHash::of(b"{}");
    let record = json!({"id": "act_00000000000000000000000000", "seq": 7, "occurredAt": t0(), "action": action(), "cwd": null,
        "decision": {"outcome": "required", "steps": ["justification"], "matched": [], "engine": "0.1.0"},
        "snapshot": {"epoch": 1, "version": 42, "sha256": sha256}, "result": "permitted", "justification": "to look",
        "grantUse": {"requestId": request(), "number": 1}, "mfaProof": null});
    assert_wire(
        ActivityBatch {
            records: vec![ActivityRecord {
                id: formats::ActivityId::default(),
                seq: 7,
                occurred_at: t0(),
                action: serde_json::from_value(action()).unwrap(),
                cwd: None,
                decision: ReportedDecision {
                    outcome: Outcome::Required,
                    steps: vec![Step::Justification],
                    matched: vec![],
                    engine: "0.1.0".into(),
                },
                snapshot: CitedSnapshot {
                    epoch: 1,
                    version: 42,
                    sha256,
                },
                result: Some(RecordResult::Permitted),
                justification: Some("to look".into()),
                grant_use: Some(GrantUseReport {
                    request_id: request(),
                    number: 1,
                }),
                mfa_proof: None,
            }],
            skew_ms: -3,
        },
        json!({"records": [record], "skewMs": -3}),
    );
    assert_wire(
        ActivityStored {
            stored_seq: 7,
            server_time: t0(),
        },
        json!({"storedSeq": 7, "serverTime": t0()}),
    );
    assert_wire(
        SnapshotAck {
            epoch: 1,
            version: 42,
            applied_at: t0(),
        },
        json!({"epoch": 1, "version": 42, "appliedAt": t0()}),
    );
    assert_wire(
        Inventory::default(),
        json!({"osVersion": "", "applications": [], "administrators": []}),
    );
    assert_wire(
        Heartbeat {
            agent_version: "0.1.0".into(),
            snapshot: Some(SnapshotVersion { epoch: 1, version: 42 }),
            outdated: false,
            refusal: None,
            plugins: vec![PluginReport {
                name: "policy".into(),
                state: PluginState::Running,
                detail: None,
            }],
            queue_length: 0,
            grants: vec![request()],
            clock: t0(),
        },
        json!({"agentVersion": "0.1.0", "snapshot": {"epoch": 1, "version": 42}, "outdated": false, "refusal": null,
            "plugins": [{"name": "policy", "state": "running"}], "queueLength": 0, "grants": [request()], "clock": t0()}),
    );
    assert_wire(
        HeartbeatAnswer {
            server_time: t0(),
            key_set_version: 3,
            ended_grants: vec![],
        },
        json!({"serverTime": t0(), "keySetVersion": 3, "endedGrants": []}),
    );
    assert_wire(
        HeldGrants {
            grants: vec![request()],
        },
        json!({"grants": [request()]}),
    );
    assert_wire(
        EndedGrants {
            ended_grants: vec![request()],
        },
        json!({"endedGrants": [request()]}),
    );
}
