//! Every case of `corpus/`, through the same runner as `portcullis policy test`.

use policy_engine::cases;

fn run(file: &str) -> cases::Report {
    let path = format!("{}/corpus/{file}", env!("CARGO_MANIFEST_DIR"));
    cases::run(&std::fs::read_to_string(path).expect("a file of the corpus can be read"))
}

#[test]
fn every_case_of_the_corpus_comes_out_as_expected() {
    let directory = format!("{}/corpus", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<String> = std::fs::read_dir(directory)
        .expect("the corpus is there")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("plain names"))
        .filter(|name| name.ends_with(".json"))
        .collect();
    files.sort();
    let mut report = cases::Report::default();
    for file in &files {
        report.extend(run(file));
    }
    let failed: Vec<_> = report.cases.iter().filter(|case| !case.passed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(report.passed >= 230, "only {} cases in {files:?}", report.passed);
}

#[test]
fn policies_that_cannot_be_read_deny_and_the_case_says_why() {
    let case = |expected: &str| {
        let text = format!(
            r#"{{"cases": [{{"name": "n", "policies": [{{"name": "a", "type": "command_line", "controls": ["allow"],
                "users": ["collection:nobody-knows"], "machines": ["*"], "commands": ["*"]}}],
                "action": {{"type": "command_line", "user": {{"name": "u"}}, "machine": {{"name": "m", "os": "linux"}},
                "commandLine": "id", "at": "2026-03-02T10:00:00Z"}}, "expect": {{"outcome": "{expected}"}}}}]}}"#
        );
        cases::run(&text)
    };
    assert_eq!(case("allowed").failed, 1);
    let denied = case("denied");
    assert_eq!(denied.passed, 1, "{denied:#?}");
    let why = denied.cases[0].actual["error"].as_str().expect("a reason");
    assert!(why.contains("policies[0].document.users[0]"), "{why}");
}
