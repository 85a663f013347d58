//! What the engine refuses to be stalled or misled by.

use policy_engine::{
    ActionType, Control, Index, Outcome, PolicyDocument, PolicyStatus, PolicyType, SettledBy, Snapshot,
    SnapshotCollection, SnapshotPolicy, limits,
};

use crate::world::{self, Dice};

fn deny(i: usize, application: String) -> SnapshotPolicy {
    let mut document = PolicyDocument::new(format!("p{i}"), PolicyType::PrivilegeElevation, PolicyStatus::Enforce);
    document.controls = vec![Control::Deny];
    document.users = vec!["*".into()];
    document.machines = vec!["*".into()];
    document.applications = vec![application];
    SnapshotPolicy {
        id: format!("id{i}"),
        revision: 1,
        document,
    }
}

fn decide(policies: Vec<SnapshotPolicy>, path: &str) -> policy_engine::Decision {
    let index = Index::compile(&Snapshot {
        policies,
        ..Snapshot::default()
    })
    .expect("legal");
    let mut action = world::action(&mut Dice::new(1));
    action.action_type = ActionType::PrivilegeElevation;
    action.machine.os = policy_engine::Os::Windows;
    action.application = Some(policy_engine::Application {
        path: path.to_owned(),
        ..Default::default()
    });
    index.decide(&action)
}

#[test]
fn a_path_made_to_stall_the_patterns_is_denied() {
    let path = format!(r"C:\aab{}", "a".repeat(32_700));
    for pattern in [
        format!("path:*{}b*", "a".repeat(900)),
        format!("path:*{}b*", "a?".repeat(450)),
    ] {
        let policies = (0..500).map(|i| deny(i, pattern.clone())).collect();
        let decision = decide(policies, &path);
        assert_eq!(
            (decision.outcome, decision.settled_by),
            (Outcome::Denied, SettledBy::TooCostly)
        );
    }
}

#[test]
fn an_honest_path_is_judged_against_any_number_of_patterns() {
    let policies = (0..5_000).map(|i| deny(i, format!("path:*setup*{i}*.exe"))).collect();
    let path = format!(r"C:\Program Files\{}\setup-4321-final.exe", "Contoso\\".repeat(20));
    let decision = decide(policies, &path);
    let names: Vec<&str> = decision.matched.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(decision.settled_by, SettledBy::Deny);
    assert_eq!(
        names,
        ["p1", "p2", "p3", "p4", "p21", "p32", "p43", "p321", "p432", "p4321"]
    );
}

#[test]
fn a_snapshot_that_is_not_understood_is_refused_with_every_place() {
    let mut snapshot = Snapshot::default();
    for (i, entry) in ["path:C:\\ok", "collection:none", "C:\\bare", "path:{nowhere}"]
        .into_iter()
        .enumerate()
    {
        snapshot.policies.push(deny(i, entry.to_owned()));
    }
    snapshot.collections.push(SnapshotCollection {
        id: "c".into(),
        name: "c".into(),
        kind: policy_engine::CollectionKind::Users,
        members: vec!["machine:x".into()],
    });
    let error = Index::compile(&snapshot).expect_err("four mistakes");
    let found: Vec<(&str, &str)> = error
        .problems
        .iter()
        .map(|p| (p.field.as_str(), p.code.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("collections[0].members[0]", "WRONG_PREFIX"),
            ("policies[1].document.applications[0]", "UNKNOWN_COLLECTION"),
            ("policies[2].document.applications[0]", "UNKNOWN_PREFIX"),
            ("policies[3].document.applications[0]", "UNKNOWN_VARIABLE"),
        ]
    );
}

#[test]
fn a_snapshot_has_a_size() {
    let policies = vec![deny(0, "*".into()); limits::SNAPSHOT_POLICIES + 1];
    let error = Index::compile(&Snapshot {
        policies,
        ..Snapshot::default()
    })
    .expect_err("too many");
    assert_eq!(error.problems[0].field, "policies");
    let mut long = deny(0, "*".into());
    long.document.applications = vec!["path:x".into(); limits::ENTRIES_PER_LIST];
    let policies = vec![long; limits::SNAPSHOT_ENTRIES / limits::ENTRIES_PER_LIST];
    let error = Index::compile(&Snapshot {
        policies,
        ..Snapshot::default()
    })
    .expect_err("too many");
    assert_eq!(error.problems[0].field, "entries");
}

#[test]
fn the_longest_path_is_counted_in_utf16_units() {
    let allowed = |policies: usize, path: String| decide((0..policies).map(|i| deny(i, "*".into())).collect(), &path);
    let wide = |count: usize| format!(r"C:\{}", "𐐷".repeat(count));
    assert_eq!(allowed(0, wide(16_382)).settled_by, SettledBy::Baseline);
    assert_eq!(allowed(0, wide(16_383)).settled_by, SettledBy::TooLong);
}

#[test]
fn an_action_that_does_not_say_what_it_is_about_is_denied() {
    let decision = decide(Vec::new(), "");
    assert_eq!(
        (decision.outcome, decision.settled_by),
        (Outcome::Denied, SettledBy::Incomplete)
    );
}
