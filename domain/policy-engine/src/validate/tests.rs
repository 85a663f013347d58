use super::*;
use crate::document::{DateRange, Day, TimeRange};

fn elevation() -> PolicyDocument {
    let mut document = PolicyDocument::new("p", PolicyType::PrivilegeElevation, PolicyStatus::Enforce);
    document.controls = vec![Control::Approval];
    document.users = list(&["*"]);
    document.machines = list(&["*"]);
    document.applications = list(&[r"path:C:\Tools\*"]);
    document
}

fn least_privilege() -> PolicyDocument {
    let mut document = PolicyDocument::new("p", PolicyType::LeastPrivilege, PolicyStatus::Enforce);
    document.machines = list(&["*"]);
    document.keep_admins = list(&[r"CORP\helpdesk"]);
    document
}

fn list(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|entry| (*entry).to_owned()).collect()
}

fn collections() -> BTreeMap<String, Collection> {
    let collection = |kind, members: &[&str]| Collection {
        kind,
        members: list(members),
    };
    BTreeMap::from([
        (
            "pilot".to_owned(),
            collection(CollectionKind::Machines, &["machine:WS-*"]),
        ),
        ("all".to_owned(), collection(CollectionKind::Applications, &["path:*"])),
        (
            "system".to_owned(),
            collection(CollectionKind::Applications, &[r"path:{windir}\System32\lsass.exe"]),
        ),
    ])
}

/// The fields and codes of what is wrong after a change.
fn wrong(mut document: PolicyDocument, change: impl FnOnce(&mut PolicyDocument)) -> Vec<(String, String)> {
    change(&mut document);
    policy(&document, &collections())
        .into_iter()
        .map(|problem| (problem.field, problem.code))
        .collect()
}

#[track_caller]
fn refused(document: PolicyDocument, field: &str, code: &str, change: impl FnOnce(&mut PolicyDocument)) {
    let found = wrong(document, change);
    assert!(
        found.contains(&(field.to_owned(), code.to_owned())),
        "{field} {code} not in {found:?}"
    );
}

#[track_caller]
fn accepted(document: PolicyDocument, change: impl FnOnce(&mut PolicyDocument)) {
    assert_eq!(wrong(document, change), []);
}

#[test]
fn controls_must_be_there_and_must_fit_together() {
    accepted(elevation(), |_| {});
    refused(elevation(), "controls", "CONTROL_REQUIRED", |d| d.controls.clear());
    accepted(elevation(), |d| {
        (d.status, d.controls) = (PolicyStatus::Monitor, Vec::new())
    });
    refused(elevation(), "controls", "CONTROL_CONFLICT", |d| {
        d.controls = vec![Control::Allow, Control::Mfa]
    });
    refused(elevation(), "controls", "CONTROL_CONFLICT", |d| {
        d.controls = vec![Control::Deny, Control::Allow]
    });
    refused(elevation(), "controls", "DUPLICATE_ENTRY", |d| {
        d.controls = vec![Control::Mfa, Control::Mfa]
    });
}

#[test]
fn an_exception_is_an_allow_for_something_in_particular() {
    let exception = |entries: &[&str]| {
        let mut document = elevation();
        document.controls = vec![Control::Allow];
        document.exception = true;
        document.applications = list(entries);
        document
    };
    accepted(exception(&[r"path:C:\Tools\*"]), |_| {});
    refused(elevation(), "exception", "EXCEPTION_WITHOUT_ALLOW", |d| {
        d.exception = true
    });
    for everything in ["*", "path:*", "path:**?", "publisher:*", "collection:all"] {
        refused(exception(&[everything]), "applications", "EXCEPTION_CATCH_ALL", |_| {});
    }
}

#[test]
fn a_scope_says_something_in_every_field_of_its_type() {
    refused(elevation(), "users", "EMPTY_LIST", |d| d.users.clear());
    refused(elevation(), "machines", "EMPTY_LIST", |d| d.machines.clear());
    refused(elevation(), "applications", "EMPTY_LIST", |d| d.applications.clear());
    refused(elevation(), "files", "FIELD_NOT_APPLICABLE", |d| {
        d.files = list(&["/etc/x"])
    });
    refused(elevation(), "commands", "FIELD_NOT_APPLICABLE", |d| {
        d.commands = list(&["rm *"])
    });
    refused(elevation(), "keepAdmins", "FIELD_NOT_APPLICABLE", |d| {
        d.keep_admins = list(&["root"])
    });
    refused(elevation(), "commands", "EMPTY_LIST", |d| {
        d.policy_type = PolicyType::CommandLine
    });
    refused(elevation(), "applications", "FIELD_NOT_APPLICABLE", |d| {
        d.policy_type = PolicyType::CommandLine
    });
    accepted(elevation(), |d| {
        (d.policy_type, d.files) = (PolicyType::FileAccess, list(&["/etc/x"]))
    });
    refused(elevation(), "users", "ANY_WITH_OTHERS", |d| {
        d.users = list(&["*", "user:a"])
    });
}

#[test]
fn least_privilege_has_machines_and_the_accounts_that_stay() {
    accepted(least_privilege(), |_| {});
    accepted(least_privilege(), |d| d.status = PolicyStatus::Off);
    refused(least_privilege(), "status", "STATUS_NOT_APPLICABLE", |d| {
        d.status = PolicyStatus::Monitor
    });
    refused(least_privilege(), "controls", "FIELD_NOT_APPLICABLE", |d| {
        d.controls = vec![Control::Deny]
    });
    refused(least_privilege(), "users", "FIELD_NOT_APPLICABLE", |d| {
        d.users = list(&["*"])
    });
    refused(least_privilege(), "applications", "FIELD_NOT_APPLICABLE", |d| {
        d.applications = list(&["*"])
    });
    refused(least_privilege(), "machines[0]", "UNKNOWN_COLLECTION", |d| {
        d.machines = list(&["collection:none"])
    });
    refused(least_privilege(), "keepAdmins[0]", "FORBIDDEN_CHARACTER", |d| {
        d.keep_admins = list(&["*"])
    });
}

#[test]
fn entries_are_read_strictly() {
    for (entry, code) in [
        ("C:\\Tools", "UNKNOWN_PREFIX"),
        ("tool", "UNKNOWN_PREFIX"),
        ("user:alice", "WRONG_PREFIX"),
        ("path:", "EMPTY_ENTRY"),
        ("sha256:abc", "BAD_HASH"),
        ("path:{nowhere}\\x", "UNKNOWN_VARIABLE"),
        ("path:C:\\a\\..\\b", "DOT_COMPONENT"),
        ("path:/a/./b", "DOT_COMPONENT"),
        ("collection:none", "UNKNOWN_COLLECTION"),
        ("collection:pilot", "WRONG_COLLECTION_KIND"),
    ] {
        refused(elevation(), "applications[0]", code, |d| {
            d.applications = list(&[entry])
        });
    }
    accepted(elevation(), |d| d.applications = list(&["path:C:\\{GUID}\\..x\\*"]));
    refused(elevation(), "machines[0]", "UNKNOWN_OS", |d| {
        d.machines = list(&["os:beos"])
    });
    let long = format!("path:{}", "x".repeat(1_025));
    refused(elevation(), "applications[0]", "PATTERN_TOO_LONG", |d| {
        d.applications = vec![long]
    });
    let just = format!("path:{}", "ä".repeat(1_024));
    accepted(elevation(), |d| d.applications = vec![just]);
    let file = |entry: &str| {
        let mut document = elevation();
        (document.policy_type, document.applications) = (PolicyType::FileAccess, Vec::new());
        document.files = list(&[entry]);
        document
    };
    for typed in ["path:/etc/x", "Collection:x", "sha256:00"] {
        refused(file(typed), "files[0]", "TYPED_PREFIX", |_| {});
    }
    accepted(file("C:\\Users\\*"), |_| {});
}

#[test]
fn a_deny_that_a_protected_path_cannot_escape_must_be_confirmed() {
    let deny = |entry: &str| {
        let mut document = elevation();
        (document.controls, document.applications) = (vec![Control::Deny], list(&[entry]));
        document
    };
    let hash = format!("sha256:{}", "ab".repeat(32));
    for entry in [
        r"path:C:\Windows\System32\svchost.exe",
        r"path:d:/windows/system32/SVCHOST.exe",
        r"path:{systemroot}\System32\lsass.exe",
        "path:/usr/sbin/sshd",
        "path:/System/x",
        "collection:system",
        &hash,
    ] {
        refused(deny(entry), "confirmProtected", "PROTECTED_PATH", |_| {});
        accepted(deny(entry), |d| d.confirm_protected = true);
    }
    accepted(deny(r"path:C:\Windows\System32\*"), |_| {});
    accepted(deny(r"path:C:\Tools\x.exe"), |_| {});
    accepted(deny("*"), |_| {});
    let mut file = deny("*");
    (file.policy_type, file.applications, file.files) =
        (PolicyType::FileAccess, Vec::new(), list(&["/etc/ld.so.cache"]));
    refused(file, "confirmProtected", "PROTECTED_PATH", |_| {});
}

#[test]
fn ranges_are_neither_inverted_nor_empty_nor_overlapping() {
    let dates = |ranges: &[(&str, &str)]| -> Vec<DateRange> {
        ranges
            .iter()
            .map(|(from, to)| DateRange {
                from: (*from).into(),
                to: (*to).into(),
            })
            .collect()
    };
    let times = |ranges: &[(&str, &str)]| -> Vec<TimeRange> {
        ranges
            .iter()
            .map(|(from, to)| TimeRange {
                from: (*from).into(),
                to: (*to).into(),
            })
            .collect()
    };
    accepted(elevation(), |d| {
        d.dates = dates(&[("2026-01-01", "2026-01-31"), ("2026-02-01", "2026-02-01")])
    });
    refused(elevation(), "dates[0]", "INVERTED_RANGE", |d| {
        d.dates = dates(&[("2026-01-02", "2026-01-01")])
    });
    refused(elevation(), "dates[0]", "BAD_DATE", |d| {
        d.dates = dates(&[("2026-02-30", "2026-03-01")])
    });
    refused(elevation(), "dates[1]", "OVERLAPPING_RANGES", |d| {
        d.dates = dates(&[("2026-01-01", "2026-01-31"), ("2026-01-31", "2026-02-01")]);
    });
    accepted(elevation(), |d| {
        d.times = times(&[("22:00", "06:00"), ("06:00", "08:00"), ("20:00", "22:00")])
    });
    accepted(elevation(), |d| d.times = times(&[("00:00", "24:00")]));
    accepted(elevation(), |d| {
        d.times = times(&[("22:00", "00:00"), ("00:00", "01:00")])
    });
    refused(elevation(), "times[0]", "EMPTY_RANGE", |d| {
        d.times = times(&[("08:00", "08:00")])
    });
    refused(elevation(), "times[0]", "BAD_TIME", |d| {
        d.times = times(&[("24:00", "08:00")])
    });
    refused(elevation(), "times[0]", "BAD_TIME", |d| {
        d.times = times(&[("8:00", "09:00")])
    });
    refused(elevation(), "times[1]", "OVERLAPPING_RANGES", |d| {
        d.times = times(&[("22:00", "06:00"), ("05:59", "07:00")])
    });
    refused(elevation(), "days", "DUPLICATE_ENTRY", |d| {
        d.days = vec![Day::Mon, Day::Mon]
    });
}

#[test]
fn numbers_and_texts_are_bounded() {
    refused(elevation(), "riskLevel", "OUT_OF_RANGE", |d| d.risk_level = 101);
    refused(elevation(), "accessMinutes", "OUT_OF_RANGE", |d| d.access_minutes = 0);
    refused(elevation(), "name", "EMPTY_NAME", |d| d.name = " ".into());
    refused(elevation(), "name", "NAME_TOO_LONG", |d| d.name = "x".repeat(201));
    refused(elevation(), "notification.message", "MESSAGE_TOO_LONG", |d| {
        d.notification.message = "x".repeat(4_097)
    });
    refused(elevation(), "users", "TOO_MANY", |d| {
        d.users = vec!["user:a".into(); 1_001]
    });
}

#[test]
fn a_collection_is_flat_and_of_one_kind() {
    let members = |kind, entries: &[&str]| {
        let found = collection(
            "c",
            &Collection {
                kind,
                members: list(entries),
            },
        );
        found.into_iter().map(|problem| problem.code).collect::<Vec<_>>()
    };
    assert_eq!(members(CollectionKind::Users, &["user:a", "group:b*"]), [""; 0]);
    assert_eq!(members(CollectionKind::Users, &["machine:a"]), ["WRONG_PREFIX"]);
    assert_eq!(members(CollectionKind::Users, &["collection:a"]), ["NESTED_COLLECTION"]);
    assert_eq!(members(CollectionKind::Users, &[]), ["EMPTY_LIST"]);
}

#[test]
fn a_baseline_demands_controls_or_denies() {
    let codes = |text: &str| {
        let read: Baseline = serde_json::from_str(text).expect("readable");
        baseline(&read)
            .into_iter()
            .map(|problem| (problem.field, problem.code))
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(r#"{"command_line":["approval","mfa"],"file_access":"deny"}"#), []);
    assert_eq!(
        codes(r#"{"command_line":["allow"]}"#),
        [("command_line".into(), "BASELINE_CONTROL".into())]
    );
    assert_eq!(
        codes(r#"{"command_line":[]}"#),
        [("command_line".into(), "EMPTY_LIST".into())]
    );
    for unreadable in [r#"{"least_privilege":"deny"}"#, r#"{"command_line":"allow"}"#] {
        assert!(serde_json::from_str::<Baseline>(unreadable).is_err(), "{unreadable}");
    }
}
