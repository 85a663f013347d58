//! Reasons, and the desired state of machines.

use policy_engine::{Action, Effect, Explanation, Index, Machine, Os, PolicyDocument, Snapshot, SnapshotPolicy};
use serde_json::{Value, json};

fn snapshot(policies: &[Value]) -> Snapshot {
    let read = |(i, policy): (usize, &Value)| {
        let mut policy = policy.clone();
        for field in ["users", "machines"] {
            let map = policy.as_object_mut().expect("an object");
            map.entry(field).or_insert_with(|| json!(["*"]));
        }
        let document: PolicyDocument = serde_json::from_value(policy).expect("a document");
        SnapshotPolicy {
            id: format!("id{i}"),
            revision: 2,
            document,
        }
    };
    Snapshot {
        policies: policies.iter().enumerate().map(read).collect(),
        ..Snapshot::default()
    }
}

fn explain(policies: &[Value], path: &str) -> Explanation {
    let action: Action = serde_json::from_value(json!({
        "type": "privilege_elevation", "user": {"name": "CORP\\alice"}, "machine": {"name": "WS-1", "os": "windows"},
        "application": {"path": path}, "at": "2026-03-02T10:00:00+01:00", "variables": {"windir": "C:\\Windows"}
    }))
    .expect("an action");
    Index::compile(&snapshot(policies)).expect("legal").explain(&action)
}

fn elevation(name: &str, controls: Value, applications: Value) -> Value {
    json!({"name": name, "type": "privilege_elevation", "status": "enforce", "controls": controls, "applications": applications})
}

#[test]
fn each_policy_is_named_with_the_field_that_kept_it_out() {
    let with = |field: &str, value: Value| {
        let mut policy = elevation(field, json!(["mfa"]), json!(["*"]));
        policy[field] = value;
        policy
    };
    let explanation = explain(
        &[
            with("status", json!("off")),
            with("users", json!(["user:bob"])),
            with("machines", json!(["os:linux"])),
            with("applications", json!(["path:D:\\*"])),
            with("times", json!([{"from": "11:00", "to": "12:00"}])),
            with("days", json!(["sun"])),
            with("dates", json!([{"from": "2027-01-01", "to": "2027-01-02"}])),
            with("certificates", json!(["ab"])),
            with("riskLevel", json!(10)),
        ],
        r"C:\Tools\a.exe",
    );
    for considered in &explanation.considered {
        let name = considered.policy.name.as_str();
        let expected = (name != "riskLevel").then_some(name);
        assert_eq!(considered.excluded_by.as_deref(), expected);
        assert_eq!(considered.effect.is_some(), considered.matched);
    }
    assert_eq!(explanation.considered.len(), 9);
    assert_eq!(explanation.compared, r"c:\tools\a.exe");
}

#[test]
fn a_variable_without_a_value_is_mentioned() {
    let explanation = explain(
        &[elevation("p", json!(["deny"]), json!(["path:{appdata}\\*"]))],
        r"C:\Tools\a.exe",
    );
    assert!(
        explanation.considered[0].notes[0].contains("{appdata} has no value"),
        "{explanation:?}"
    );
    assert!(!explanation.considered[0].matched);
}

#[test]
fn the_effect_of_each_match_is_told() {
    let exception = json!({"name": "exception", "type": "privilege_elevation", "status": "enforce", "controls": ["allow"],
        "exception": true, "applications": ["path:C:\\Tools\\a.exe"]});
    let lifted = explain(
        &[exception, elevation("all", json!(["mfa"]), json!(["*"]))],
        r"C:\Tools\a.exe",
    );
    let effects = |explanation: &Explanation| {
        explanation
            .considered
            .iter()
            .filter_map(|c| c.effect)
            .collect::<Vec<_>>()
    };
    assert_eq!(effects(&lifted), [Effect::Counts, Effect::Lifted]);
    let denied = explain(
        &[
            elevation("ask", json!(["mfa"]), json!(["*"])),
            elevation("no", json!(["deny"]), json!(["path:C:\\Tools\\*"])),
        ],
        r"C:\Tools\a.exe",
    );
    assert_eq!(effects(&denied), [Effect::Outweighed, Effect::Counts]);
    assert!(denied.because.contains("deny"), "{}", denied.because);
    let spared = explain(
        &[elevation("no", json!(["deny"]), json!(["*"]))],
        r"C:\Windows\System32\lsass.exe",
    );
    assert_eq!(effects(&spared), [Effect::SparedProtected]);
    assert!(spared.protected && spared.because.contains("protected"));
    let file = json!({"name": "file", "type": "file_access", "status": "enforce", "controls": ["deny"], "files": ["C:\\Tools\\*"]});
    assert_eq!(effects(&explain(&[file], r"C:\Tools\a.exe")), [Effect::Superseded]);
}

#[test]
fn the_accounts_that_stay_administrators_are_united() {
    let wanted = |status: &str, machines: Value, keep: Value| json!({"name": "lp", "type": "least_privilege", "status": status, "users": [], "machines": machines, "keepAdmins": keep});
    let index = Index::compile(&snapshot(&[
        wanted("enforce", json!(["*"]), json!(["root", "CORP\\helpdesk"])),
        wanted(
            "enforce",
            json!(["os:windows"]),
            json!(["corp\\HELPDESK", "Administrator"]),
        ),
        wanted("off", json!(["*"]), json!(["mallory"])),
    ]))
    .expect("legal");
    let keep = |os| {
        index
            .least_privilege(&Machine { name: "m".into(), os })
            .map(|wanted| wanted.keep_admins)
    };
    assert_eq!(
        keep(Os::Windows),
        Some(vec!["root".into(), "CORP\\helpdesk".into(), "Administrator".into()])
    );
    assert_eq!(keep(Os::Linux), Some(vec!["root".into(), "CORP\\helpdesk".into()]));
    let none = Index::compile(&snapshot(&[wanted("off", json!(["*"]), json!([]))])).expect("legal");
    assert_eq!(
        none.least_privilege(&Machine {
            name: "m".into(),
            os: Os::Linux
        }),
        None
    );
}
