//! `portcullis policy` as its users run it: as a process, on files, and on the tenants of a running server.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::installation::{Installation, program, tool};

/// What a run of the program printed, and its exit code.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }

    /// The lines that begin so, without that.
    fn lines<'a>(&'a self, beginning: &str) -> Vec<&'a str> {
        let lines = self.out.lines().filter_map(|line| line.strip_prefix(beginning));
        lines.map(str::trim).collect()
    }
}

/// Files, and the settings with which the program reaches the server.
struct Desk {
    files: TempDir,
    settings: Vec<(&'static str, String)>,
}

impl Desk {
    fn new(settings: Vec<(&'static str, String)>) -> Self {
        let files = tempfile::tempdir().unwrap();
        Self { files, settings }
    }

    fn file(&self, name: &str, content: &Value) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, content.to_string()).unwrap();
        path
    }

    fn policy(&self, arguments: &[&str], files: &[&Path]) -> Ran {
        let output = Command::new(program())
            .arg("policy")
            .args(arguments)
            .args(files)
            .envs(self.settings.iter().map(|(k, v)| (*k, v)))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What a tenant holds, as `export` writes it.
    fn exported(&self, tenant: &str) -> Value {
        let ran = self.policy(&["export", "--tenant", tenant], &[]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.json()
    }
}

/// A policy that may be saved.
fn ours(name: &str) -> Value {
    json!({
        "name": name, "type": "privilege_elevation", "status": "monitor", "controls": ["mfa"], "users": ["*"],
        "machines": ["*"], "applications": [format!("path:C:\\{name}\\*")],
    })
}

/// A policy as Keeper's command line shows it.
fn stored(name: &str) -> Value {
    let rules = ["CheckUser()", "CheckMachine()", "CheckFile(false)"]
        .map(|e| json!({ "RuleName": e, "ErrorMessage": "", "RuleExpressionType": "BuiltInAction", "Expression": e }));
    json!({
        "PolicyName": name, "PolicyId": "AAAAAAAAAAAAAAAAAAAAAA", "PolicyType": "PrivilegeElevation", "Status": "enforce",
        "Actions": { "OnSuccess": { "Controls": ["APPROVAL", "AUDIT"] }, "OnFailure": { "Command": "" } },
        "NotificationMessage": "Ask first", "NotificationRequiresAcknowledge": false, "RiskLevel": 70, "Operator": "And",
        "Rules": rules, "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"],
        "TimeCheck": [{ "StartTime": "9", "EndTime": "18" }], "DayCheck": [1, 2], "DateCheck": [], "CertificationCheck": [],
        "Extension": { "Folders": ["C:\\Tools"] }
    })
}

/// A policy in the shape of Keeper's documentation.
fn documented(name: &str) -> Value {
    json!({
        "PolicyName": name, "PolicyType": "CommandLine", "Status": "enabled", "Controls": ["JUSTIFY"],
        "Filters": { "UserCheck": { "Users": ["*"] }, "MachineCheck": { "Machines": ["*"] },
                     "ApplicationCheck": { "Applications": ["*"] } },
        "Rules": [{ "Operator": "And", "Expressions": [
            { "Type": "UserCheck", "Value": "CheckUser()" }, { "Type": "MachineCheck", "Value": "CheckMachine()" }] }],
        "Extension": { "AllowCommands": ["systemctl restart *"] },
        "NotificationRequiresAcknowledgement": true
    })
}

fn names(list: &Value) -> Vec<&str> {
    let all = list.as_array().unwrap().iter();
    all.map(|entry| entry["name"].as_str().or(entry["policy"].as_str()).unwrap())
        .collect()
}

#[test]
fn test_prints_a_line_a_case_and_a_summary_and_fails_with_a_case() {
    let desk = Desk::new(Vec::new());
    let action = json!({
        "type": "privilege_elevation", "user": { "name": "alice" }, "machine": { "name": "WS-1", "os": "windows" },
        "application": { "path": "C:\\a\\b.exe" }, "at": "2026-03-02T10:00:00+01:00",
    });
    let case = |name: &str, outcome: &str| {
        let policies = [
            json!({ "name": "a", "type": "privilege_elevation", "controls": ["mfa"], "users": ["*"],
                                "machines": ["*"], "applications": ["*"] }),
        ];
        json!({ "name": name, "policies": policies, "action": action, "expect": { "outcome": outcome } })
    };
    let good = desk.file(
        "good.json",
        &json!({ "cases": [case("a code is asked for", "required")] }),
    );
    let bad = desk.file("bad.json", &json!({ "cases": [case("it is denied", "denied")] }));
    let ran = desk.policy(&["test"], &[&good]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out, "ok    a code is asked for\n1 passed, 0 failed\n");
    let ran = desk.policy(&["test"], &[&good, &bad]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.lines("FAIL"), ["it is denied"]);
    assert_eq!(ran.lines("      actual").len(), 1);
    assert!(ran.out.ends_with("1 passed, 1 failed\n"), "{}", ran.out);
    let report = desk.policy(&["test", "--json"], &[&good, &bad]).json();
    assert_eq!(
        (report["passed"].as_u64(), report["failed"].as_u64()),
        (Some(1), Some(1))
    );
    assert_eq!(report["cases"][1]["name"], "it is denied");
    assert_eq!(report["cases"][1]["expected"]["outcome"], "denied");
    assert_eq!(report["cases"][1]["actual"]["outcome"], "required");
    let nothing = desk.policy(&["test"], &[]);
    assert_eq!(nothing.code, 2, "{}", nothing.err);
}

#[test]
fn lint_of_files_names_the_field_of_each_refusal_and_warning() {
    let desk = Desk::new(Vec::new());
    let mut refused = ours("refused");
    refused["controls"] = json!(["allow", "mfa"]);
    refused["machines"] = json!([]);
    let mut everything = ours("everything");
    everything["controls"] = json!(["deny"]);
    everything["applications"] = json!(["*"]);
    let file = desk.file("policies.json", &json!([refused, everything]));
    let ran = desk.policy(&["lint"], &[&file]);
    assert_eq!(ran.code, 1);
    let lines = ran.lines("refused");
    assert!(
        lines.iter().any(|line| line.starts_with("refused: controls:")),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|line| line.starts_with("refused: machines:")),
        "{lines:?}"
    );
    let lines = ran.lines("warning");
    assert!(
        lines.iter().any(|line| line.starts_with("everything: applications:")),
        "{lines:?}"
    );
    let ran = desk.policy(&["lint", "--json"], &[&file]).json();
    assert_eq!(ran["problems"][0]["problem"]["field"], "controls");
    assert_eq!(ran["warnings"][0]["code"], "DENY_EVERYTHING");
    let fine = desk.file("fine.json", &ours("fine"));
    assert_eq!(desk.policy(&["lint"], &[&fine]).code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_come_in_from_three_shapes_of_files_and_go_out_again_as_they_came() {
    let installation = Installation::begin().await;
    installation.ready().await;
    let desk = Desk::new(installation.settings.clone());
    let other = [
        "tenant",
        "create",
        "--slug",
        "globex",
        "--name",
        "Globex",
        "--owner",
        "o@globex.test",
        "--json",
    ];
    tool(&installation.settings, &other);

    nothing_is_written_on_a_dry_run_or_beside_a_refusal(&desk);
    both_shapes_of_keeper_come_over_and_say_what_did_not(&desk);
    a_bundle_survives_a_round_through_another_tenant(&desk);
    an_action_is_explained(&desk);
    assert_eq!(
        desk.policy(&["import", "--tenant", "nobody"], &[&desk.file("x", &ours("x"))])
            .code,
        1
    );
}

fn nothing_is_written_on_a_dry_run_or_beside_a_refusal(desk: &Desk) {
    let mut bad = ours("bad");
    bad["applications"] = json!(["path:{nowhere}\\x"]);
    let mut unknown = ours("unknown");
    unknown["users"] = json!(["collection:nobody"]);
    let broken = json!({ "kind": "users", "members": ["machine:WS-1"] });
    let bundle = json!({ "policies": [ours("good"), bad, unknown], "collections": { "broken": broken } });
    let file = desk.file("mixed.json", &bundle);
    let ran = desk.policy(&["import", "--tenant", "acme", "--dry-run"], &[&file]);
    assert_eq!(ran.code, 1);
    let refused = ran.lines("refused");
    assert_eq!(refused.len(), 3, "{}", ran.out);
    assert!(refused[0].starts_with("collection broken: members[0]:"), "{refused:?}");
    assert!(refused[1].starts_with("bad: applications[0]:"), "{refused:?}");
    assert!(refused[2].starts_with("unknown: users[0]:"), "{refused:?}");
    assert!(ran.out.contains("1 of 3 policies would be imported"), "{}", ran.out);
    assert_eq!(desk.exported("acme")["policies"], json!([]));

    let ran = desk.policy(&["import", "--tenant", "acme"], &[&file]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("nothing was imported"), "{}", ran.out);
    assert_eq!(desk.exported("acme")["policies"], json!([]));

    let ran = desk.policy(&["import", "--tenant", "acme", "--partial", "--json"], &[&file]);
    assert_eq!(ran.code, 1, "a refusal is told by the exit code too");
    let report = ran.json();
    assert_eq!(report["imported"], 1);
    assert_eq!(names(&report["refused"]), ["collection broken", "bad", "unknown"]);
    let exported = desk.exported("acme");
    assert_eq!(names(&exported["policies"]), ["good"]);
    assert_eq!(exported["collections"], json!({}));

    let again = desk.policy(
        &["import", "--tenant", "acme"],
        &[&desk.file("again.json", &ours("GOOD"))],
    );
    assert_eq!(again.lines("refused"), ["GOOD: name: another policy has this name"]);
    assert_eq!(
        desk.exported("globex")["policies"],
        json!([]),
        "the neighbour has none of it"
    );
}

fn both_shapes_of_keeper_come_over_and_say_what_did_not(desk: &Desk) {
    let mut unreadable = stored("unreadable");
    unreadable["PolicyType"] = json!("Teleport");
    let both = desk.file(
        "keeper.json",
        &json!([stored("Stored"), documented("Documented"), unreadable]),
    );
    let ran = desk.policy(&["import", "--tenant", "acme", "--dry-run"], &[&both]);
    assert_eq!(ran.code, 1);
    let refused = ran.lines("refused");
    assert!(refused[0].starts_with("unreadable: PolicyType:"), "{refused:?}");
    let good = desk.file("keeper.json", &json!([stored("Stored"), documented("Documented")]));
    let ran = desk.policy(&["import", "--tenant", "acme", "--json"], &[&good]);
    assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
    let report = ran.json();
    assert_eq!(report["imported"], 2);
    // Hours and days stand there without a rule that reads them; a control is none here; a command has no application.
    let notes: Vec<_> = report["notes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|note| {
            let word = |field: &str| note[field].as_str().unwrap().to_owned();
            assert!(!word("message").is_empty());
            (word("policy"), word("field"))
        })
        .collect();
    for (policy, field) in [
        ("Stored", "TimeCheck"),
        ("Stored", "DayCheck"),
        ("Documented", "ApplicationCheck"),
    ] {
        assert!(
            notes.iter().any(|(p, f)| p == policy && f.contains(field)),
            "{field}: {notes:?}"
        );
    }
    assert!(report["notes"].to_string().contains("AUDIT"), "{notes:?}");
    let exported = desk.exported("acme");
    let policies = exported["policies"].as_array().unwrap();
    let of = |name: &str| policies.iter().find(|policy| policy["name"] == name).unwrap();
    assert_eq!(of("Stored")["controls"], json!(["approval"]));
    assert_eq!(of("Stored")["riskLevel"], 70);
    assert_eq!(
        of("Stored")["notification"],
        json!({ "message": "Ask first", "requireAcknowledgement": false })
    );
    assert_eq!(of("Documented")["type"], "command_line");
    assert_eq!(of("Documented")["controls"], json!(["justification"]));
    assert_eq!(of("Documented")["commands"], json!(["systemctl restart *"]));
}

fn a_bundle_survives_a_round_through_another_tenant(desk: &Desk) {
    let mut policy = ours("Pilots only");
    policy["machines"] = json!(["collection:Pilots"]);
    policy["times"] = json!([{ "from": "22:00", "to": "06:00" }]);
    let pilots = json!({ "kind": "machines", "members": ["machine:WS-*", "os:linux"] });
    let bundle =
        json!({ "policies": [policy], "collections": { "Pilots": pilots }, "baseline": { "command_line": ["mfa"] } });
    let file = desk.file("bundle.json", &bundle);
    assert_eq!(desk.policy(&["import", "--tenant", "acme"], &[&file]).code, 0);
    let out = desk.files.path().join("acme.json");
    let ran = desk.policy(&["export", "--tenant", "acme", "--out", out.to_str().unwrap()], &[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = desk.policy(&["import", "--tenant", "globex"], &[&out]);
    assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
    let (here, there) = (desk.exported("acme"), desk.exported("globex"));
    assert_eq!(here, there);
    assert_eq!(
        names(&here["policies"]),
        ["Documented", "good", "Pilots only", "Stored"]
    );
    assert_eq!(here["collections"]["Pilots"], pilots);
    assert_eq!(here["baseline"]["command_line"], json!(["mfa"]));
    // A collection that is there already stays, and that is said.
    let others = json!({ "kind": "machines", "members": ["os:macos"] });
    let mut second = ours("Second");
    second["machines"] = json!(["collection:Pilots"]);
    let file = desk.file(
        "second.json",
        &json!({ "policies": [second], "collections": { "Pilots": others } }),
    );
    let ran = desk.policy(&["import", "--tenant", "globex"], &[&file]);
    assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
    assert!(
        ran.lines("note")[0].starts_with("collection Pilots: members:"),
        "{}",
        ran.out
    );
    assert_eq!(desk.exported("globex")["collections"]["Pilots"], pilots);
    let ran = desk.policy(&["lint", "--tenant", "globex", "--json"], &[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.contains("NEVER_MONITORED"),
        "Stored is enforced and was never monitored: {}",
        ran.out
    );
}

fn an_action_is_explained(desk: &Desk) {
    let action = json!({
        "type": "privilege_elevation", "user": { "name": "alice" }, "machine": { "name": "WS-1", "os": "windows" },
        "application": { "path": "C:\\Tools\\a.exe" }, "at": "2026-03-02T10:00:00+01:00",
    });
    let file = desk.file("action.json", &action);
    let ran = desk.policy(&["explain", "--tenant", "acme", "--json"], &[&file]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let explanation = &ran.json()["explanation"];
    assert_eq!(explanation["decision"]["outcome"], "required");
    let considered = explanation["considered"].as_array().unwrap();
    let of = |name: &str| considered.iter().find(|c| c["policy"]["name"] == name).unwrap();
    assert_eq!(of("Stored")["matched"], true);
    assert_eq!(of("good")["excludedBy"], "applications");
    assert_eq!(of("Pilots only")["excludedBy"], "applications");
    let ran = desk.policy(&["explain", "--tenant", "acme"], &[&file]);
    assert!(
        ran.out.starts_with("required: justification, approval\nbecause "),
        "{}",
        ran.out
    );
    assert!(
        ran.out
            .contains("Pilots only (revision 1, monitor): excluded by applications"),
        "{}",
        ran.out
    );
    let ran = desk.policy(&["explain", "--tenant", "acme", "--group", "No such ring"], &[&file]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("No such ring"), "{}", ran.err);
}
