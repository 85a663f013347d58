use super::*;
use crate::document::Os;

fn policy(name: &str, controls: &[Control], applications: &[&str]) -> SnapshotPolicy {
    let mut document = PolicyDocument::new(name, PolicyType::PrivilegeElevation, PolicyStatus::Enforce);
    document.controls = controls.to_vec();
    document.users = vec!["*".into()];
    document.machines = vec!["*".into()];
    document.applications = applications.iter().map(|entry| (*entry).to_owned()).collect();
    SnapshotPolicy {
        id: name.to_owned(),
        revision: 1,
        document,
    }
}

/// Policy and code of every warning.
fn codes(policies: Vec<SnapshotPolicy>) -> Vec<(String, String)> {
    let snapshot = Snapshot {
        policies,
        ..Snapshot::default()
    };
    lint_all(&snapshot, &[], |_| true)
        .into_iter()
        .map(|warning| (warning.policy, warning.code))
        .collect()
}

fn one(policy: &str, code: &str) -> Vec<(String, String)> {
    vec![(policy.to_owned(), code.to_owned())]
}

#[test]
fn an_allow_under_something_more_restrictive_has_no_effect() {
    let allow = || policy("allow", &[Control::Allow], &[r"path:C:\Tools\a.exe"]);
    let ask = |entry| policy("ask", &[Control::Approval], &[entry]);
    assert_eq!(
        codes(vec![allow(), ask(r"path:C:\Tools\*")]),
        one("allow", "ALLOW_WITHOUT_EFFECT")
    );
    assert_eq!(codes(vec![allow(), ask(r"path:C:\Other\*")]), []);
    let mut exception = allow();
    exception.document.exception = true;
    assert_eq!(codes(vec![exception.clone(), ask("*")]), []);
    assert_eq!(
        codes(vec![exception, ask(r"path:C:\*")]),
        one("allow", "ALLOW_WITHOUT_EFFECT")
    );
    let mut night = ask("*");
    night.document.times = vec![crate::TimeRange {
        from: "22:00".into(),
        to: "06:00".into(),
    }];
    assert_eq!(codes(vec![allow(), night]), []);
}

#[test]
fn denying_everything_is_what_the_baseline_is_for() {
    assert_eq!(
        codes(vec![policy("deny", &[Control::Deny], &["*"])]),
        one("deny", "DENY_EVERYTHING")
    );
    assert_eq!(codes(vec![policy("deny", &[Control::Deny], &["path:C:\\*"])]), []);
}

#[test]
fn of_two_policies_that_say_the_same_the_later_is_shadowed() {
    let a = || policy("a", &[Control::Mfa], &[r"path:C:\Tools\*"]);
    let b = || policy("b", &[Control::Mfa], &[r"path:C:\Tools\*"]);
    assert_eq!(codes(vec![a(), b()]), one("b", "SHADOWED"));
    let mut risky = b();
    risky.document.risk_level = 90;
    assert_eq!(codes(vec![a(), risky]), one("a", "SHADOWED"));
    let both = policy("both", &[Control::Approval, Control::Mfa], &[r"path:C:\*"]);
    assert_eq!(codes(vec![a(), both]), one("a", "SHADOWED"));
}

#[test]
fn a_scope_without_a_known_endpoint_is_named() {
    let mut lonely = policy("p", &[Control::Mfa], &["*"]);
    lonely.document.machines = vec!["os:macos".into()];
    let snapshot = Snapshot {
        policies: vec![lonely],
        ..Snapshot::default()
    };
    let endpoint = |os| {
        [Machine {
            name: "WS-1".into(),
            os,
        }]
    };
    let found = |endpoints: &[Machine]| lint_all(&snapshot, endpoints, |_| true).len();
    assert_eq!(found(&endpoint(Os::Windows)), 1);
    assert_eq!(found(&endpoint(Os::Macos)), 0);
    assert_eq!(found(&[]), 0);
}

#[test]
fn enforcing_without_having_monitored_is_named() {
    let snapshot = Snapshot {
        policies: vec![policy("p", &[Control::Mfa], &["*"])],
        ..Snapshot::default()
    };
    let warnings = lint_all(&snapshot, &[], |_| false);
    assert_eq!(
        warnings.iter().map(|w| w.code.as_str()).collect::<Vec<_>>(),
        ["NEVER_MONITORED"]
    );
}
