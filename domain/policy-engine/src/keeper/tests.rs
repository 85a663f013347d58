use serde_json::json;

use super::*;
use crate::document::Day;
use crate::validate;

/// A whole stored policy, the way their command line shows it.
fn stored() -> Value {
    let rule = |name: &str, expression: &str| json!({"RuleName": name, "ErrorMessage": "", "RuleExpressionType": "BuiltInAction", "Expression": expression});
    json!({
        "PolicyName": "Installers", "PolicyId": "AAAAAAAAAAAAAAAAAAAAAA", "PolicyType": "PrivilegeElevation",
        "Status": "enforce",
        "Actions": {"OnSuccess": {"Controls": ["APPROVAL", "MFA"]}, "OnFailure": {"Command": ""}},
        "NotificationMessage": "Ask first", "NotificationRequiresAcknowledge": false,
        "RiskLevel": 70, "Operator": "And",
        "Rules": [
            rule("UserCheck", "CheckUser()"), rule("MachineCheck", "CheckMachine()"),
            rule("ApplicationCheck", "CheckFile(false)"), rule("DateCheck", "CheckDate()"),
            rule("TimeCheck", "CheckTime()"), rule("DayCheck", "CheckDay()"),
            rule("CertificateCheck", "CheckCertificate()")
        ],
        "UserCheck": ["*"], "MachineCheck": ["pilot-id"], "ApplicationCheck": ["*"],
        "DateCheck": [{"StartDate": "2026-01-01", "EndDate": "2026-12-31"}],
        "TimeCheck": [{"StartTime": "9", "EndTime": "18"}], "DayCheck": [1, 2, 3, 4, 5], "CertificationCheck": [],
        "Extension": {}
    })
}

/// The stored policy with fields changed or, where null, taken away.
fn with(changes: Value) -> Value {
    let mut policy = stored();
    for (field, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            policy.as_object_mut().expect("an object").remove(field);
        } else {
            policy[field] = value.clone();
        }
    }
    policy
}

fn imported(policy: &Value) -> Imported {
    let mut report = import_with(&policy.to_string(), &|id| id == "pilot-id");
    assert_eq!(report.refused, []);
    report.policies.remove(0)
}

fn noted(policy: &Imported) -> Vec<&str> {
    policy.notes.iter().map(|note| note.field.as_str()).collect()
}

#[test]
fn a_stored_policy_comes_over_whole_and_may_be_saved() {
    let policy = imported(&stored());
    assert_eq!(policy.notes, []);
    assert_eq!(policy.source_id.as_deref(), Some("AAAAAAAAAAAAAAAAAAAAAA"));
    let document = &policy.document;
    assert_eq!(document.controls, [Control::Approval, Control::Mfa]);
    assert_eq!(
        (document.users[0].as_str(), document.machines[0].as_str()),
        ("*", "collection:pilot-id")
    );
    assert_eq!(document.days, [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri]);
    assert_eq!(
        (document.times[0].from.as_str(), document.times[0].to.as_str()),
        ("09:00", "18:00")
    );
    assert_eq!(
        (document.risk_level, document.notification.require_acknowledgement),
        (70, false)
    );
    let pilot = crate::Collection {
        kind: crate::CollectionKind::Machines,
        members: vec!["machine:*".into()],
    };
    let collections = std::collections::BTreeMap::from([("pilot-id".to_owned(), pilot)]);
    assert_eq!(validate::policy(document, &collections), []);
}

#[test]
fn the_minimal_shape_comes_over_too() {
    let policy = imported(&json!({
        "PolicyName": "Minimal", "PolicyType": "FileAccess", "Status": "enabled", "Controls": ["JUSTIFY"],
        "Filters": {"UserCheck": {"Users": ["*"]}, "MachineCheck": {"Machines": ["*"]},
                    "ApplicationCheck": {"Applications": ["*"]}},
        "Rules": [{"Operator": "And", "Expressions": [
            {"Type": "UserCheck", "Value": true}, {"Type": "MachineCheck", "Value": true},
            {"Type": "ApplicationCheck", "Value": true}]}],
        "Extension": {"Folders": ["/etc/secrets/"]},
        "NotificationRequiresAcknowledgement": true
    }));
    assert_eq!(policy.notes, []);
    assert_eq!(policy.document.status, PolicyStatus::Enforce);
    assert_eq!(policy.document.controls, [Control::Justification]);
    assert_eq!(policy.document.files, ["/etc/secrets/*"]);
    assert!(policy.document.applications.is_empty());
    assert_eq!(
        validate::policy(&policy.document, &std::collections::BTreeMap::new()),
        []
    );
}

#[test]
fn whatever_has_no_home_is_reported_by_its_field() {
    for (changes, fields) in [
        (json!({"UserCheck": null}), vec!["UserCheck"]),
        (
            json!({"Rules": []}),
            vec![
                "UserCheck",
                "MachineCheck",
                "ApplicationCheck",
                "DateCheck",
                "TimeCheck",
                "DayCheck",
            ],
        ),
        (json!({"MachineCheck": ["other-id"]}), vec!["MachineCheck"]),
        (
            json!({"Actions": {"OnSuccess": {"Controls": ["MFA", "AUDIT"]}}}),
            vec!["Actions.OnSuccess.Controls"],
        ),
        (
            json!({"Actions": {"OnSuccess": {"Controls": ["MFA", "NOTIFY"]}}}),
            vec!["Actions.OnSuccess.Controls"],
        ),
        (
            json!({"Actions": {"OnSuccess": {"Controls": ["MFA"]}, "OnFailure": {"Command": "x"}}}),
            vec!["Actions.OnFailure.Command"],
        ),
        (json!({"OnSuccess": {"Controls": ["DENY"]}}), vec!["OnSuccess"]),
        (json!({"RiskLevel": 101}), vec!["RiskLevel"]),
        (json!({"Status": "pilot"}), vec!["Status"]),
        (json!({"DayCheck": [7]}), vec!["DayCheck"]),
        (
            json!({"TimeCheck": [{"StartTime": "08:00:00", "EndTime": "17:59:59"}]}),
            vec!["TimeCheck"],
        ),
        (
            json!({"Extension": {"AllowCommands": ["ls"]}}),
            vec!["Extension.AllowCommands"],
        ),
        (json!({"Flags": 3}), vec!["Flags"]),
    ] {
        assert_eq!(noted(&imported(&with(changes.clone()))), fields, "{changes}");
    }
}

#[test]
fn a_stray_list_of_controls_does_not_count() {
    let policy = imported(&with(json!({"OnSuccess": {"Controls": ["DENY"]}})));
    assert_eq!(policy.document.controls, [Control::Approval, Control::Mfa]);
}

#[test]
fn the_stricter_of_conflicting_controls_is_kept() {
    for (given, kept) in [
        (json!(["ALLOW", "MFA"]), vec![Control::Mfa]),
        (json!(["DENY", "MFA"]), vec![Control::Deny]),
        (json!(["ALLOW", "AUDIT"]), vec![Control::Allow]),
    ] {
        let policy = imported(&with(json!({"Actions": {"OnSuccess": {"Controls": given}}})));
        assert_eq!(policy.document.controls, kept);
        assert!(!policy.notes.is_empty());
    }
}

#[test]
fn dates_and_hours_are_read_in_both_forms() {
    let ms = json!({"DateCheck": [{"StartDate": 1_767_225_600_000_i64, "EndDate": 1_798_675_200_000_i64}]});
    let policy = imported(&with(ms));
    assert_eq!(
        (
            policy.document.dates[0].from.as_str(),
            policy.document.dates[0].to.as_str()
        ),
        ("2026-01-01", "2026-12-31")
    );
    let seconds = json!({"TimeCheck": [{"StartTime": "08:30:00", "EndTime": "24:00:00"}]});
    let policy = imported(&with(seconds));
    assert_eq!(
        (
            policy.document.times[0].from.as_str(),
            policy.document.times[0].to.as_str()
        ),
        ("08:30", "24:00")
    );
    assert_eq!(policy.notes, []);
}

#[test]
fn folders_become_patterns_of_the_right_field() {
    let folders = json!({"Extension": {"Folders": ["C:\\Tools", "/opt/tools/"]}});
    let policy = imported(&with(folders.clone()));
    assert_eq!(policy.document.applications, ["path:C:\\Tools\\*", "path:/opt/tools/*"]);
    let mut files = with(folders);
    files["PolicyType"] = json!("FileAccess");
    assert_eq!(imported(&files).document.files, ["C:\\Tools\\*", "/opt/tools/*"]);
}

#[test]
fn command_lines_lose_their_applications() {
    let policy = imported(&with(json!({
        "PolicyType": "CommandLine", "ApplicationCheck": ["app-id"], "Extension": {"AllowCommands": ["systemctl *"]}
    })));
    assert_eq!(policy.document.commands, ["systemctl *"]);
    assert!(policy.document.applications.is_empty());
    assert!(noted(&policy).contains(&"ApplicationCheck"));
}

#[test]
fn least_privilege_comes_without_controls_and_filters() {
    let policy = imported(&with(json!({"PolicyType": "LeastPrivilege"})));
    assert_eq!(policy.document.controls, []);
    assert_eq!(policy.document.machines, ["collection:pilot-id"]);
    assert!(policy.document.users.is_empty());
    for field in ["Controls", "UserCheck", "ApplicationCheck", "DayCheck"] {
        assert!(noted(&policy).contains(&field), "{field}");
    }
}

#[test]
fn approvers_inside_a_policy_become_an_approval_rule_of_its_name() {
    let approvers = json!({"Users": ["u1"], "Teams": ["t1"], "EscalatedUsers": ["u2"], "NumberRequiredApprovers": 2});
    let report = import(&with(json!({"Approvers": approvers})).to_string());
    let rule = &report.approval_rules[0];
    assert_eq!((rule.name.as_str(), rule.required), ("Installers", 2));
    assert_eq!(
        (&rule.users, &rule.teams, &rule.escalated_users),
        (&vec!["u1".into()], &vec!["t1".into()], &vec!["u2".into()])
    );
    assert!(noted(&report.policies[0]).contains(&"Approvers"));
}

#[test]
fn what_cannot_be_meant_here_is_refused_with_its_field() {
    for (changes, field) in [
        (json!({"Operator": "Or"}), "Operator"),
        (json!({"PolicyType": "Other"}), "PolicyType"),
        (json!({"PolicyName": ""}), "PolicyName"),
    ] {
        let report = import(&with(changes).to_string());
        assert_eq!(report.policies, []);
        assert_eq!(report.refused[0].field, field);
    }
    for text in ["", "3", "[1]"] {
        assert_eq!(import(text).refused.len(), 1, "{text}");
    }
}

#[test]
fn their_shapes_are_told_from_ours() {
    use crate::import::{Format, detect};
    assert_eq!(detect(&stored().to_string()), Some(Format::Keeper));
    assert_eq!(detect(&json!([stored()]).to_string()), Some(Format::Keeper));
    assert_eq!(
        detect(&json!({"policies": [stored()]}).to_string()),
        Some(Format::Keeper)
    );
}
