//! What may stand in which file.

use crate::{File, assert_none, files};

/// Folders that may hold SQL; besides them every `store.rs`.
const SQL_FOLDERS: &[&str] = &[
    "domain/eventstore/",
    "projections/",
    "services/postgres/",
    "migrations/",
];

/// How a statement shows in a source file.
const SQL_SIGNS: &[&str] = &[
    "sqlx::query",
    "sqlx::raw_sql",
    "query_scalar(",
    "query_as(",
    "QueryBuilder",
    "AssertSqlSafe",
    "\"insert into ",
];

/// The part of a source file that gets into the product: what stands before its own tests.
fn product_part(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.contains("/benches/") || path.ends_with("/tests.rs")
}

fn misplaced_sql(file: &File) -> Option<String> {
    let allowed = SQL_FOLDERS.iter().any(|folder| file.path.starts_with(folder)) || file.path.ends_with("/store.rs");
    if allowed || is_test(&file.path) {
        return None;
    }
    let part = product_part(&file.text);
    let sign = SQL_SIGNS.iter().find(|sign| part.contains(**sign))?;
    Some(format!("{}: {sign}", file.path))
}

/// Words that have no business in the repository, put together here so that this file does not hold them.
fn forbidden_words() -> Vec<(String, &'static str)> {
    let word = |parts: [&str; 2]| parts.concat();
    vec![
        (word(["/wo", "rk/"]), "a path of somebody's machine"),
        (word(["TO", "DO"]), "unfinished work belongs into the tracker"),
        (word(["FIX", "ME"]), "unfinished work belongs into the tracker"),
        (word(["#[all", "ow("]), "use #[expect(…, reason = \"…\")]"),
        (word(["#![all", "ow("]), "use #![expect(…, reason = \"…\")]"),
        (word(["#[ign", "ore"]), "a test that does not run proves nothing"),
        (
            word(["\"resol", "ved\":"]),
            "a lock file names packages, not the registry they came from",
        ),
    ]
}

fn words_in(file: &File, words: &[(String, &str)]) -> Vec<String> {
    let found = words.iter().filter(|(word, _)| file.text.contains(word.as_str()));
    found
        .map(|(word, why)| format!("{}: {word} ({why})", file.path))
        .collect()
}

/// Complaints about the names of migrations: `NNNN_verb_noun.sql`, counted from one without a gap.
fn misnamed_migrations(names: &[&str]) -> Vec<String> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let mut complaints = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let parts: Vec<&str> = name.strip_suffix(".sql").unwrap_or_default().split('_').collect();
        let numbered = parts[0] == format!("{:04}", index + 1);
        if !numbered || parts.len() < 3 || !parts[1..].iter().all(|part| is_word(part)) {
            complaints.push((*name).to_owned());
        }
    }
    complaints
}

#[test]
fn sql_stands_in_the_event_store_the_projections_and_store_files_only() {
    let complaints: Vec<String> = files(&[".rs"]).iter().filter_map(misplaced_sql).collect();
    assert_none("SQL outside its places", &complaints);
}

#[test]
fn no_file_holds_a_forbidden_word() {
    let all = files(&[
        ".rs",
        ".toml",
        ".sql",
        ".md",
        ".ts",
        ".tsx",
        ".mjs",
        ".css",
        ".html",
        ".json",
        ".yml",
        ".yaml",
        ".graphql",
        ".txt",
        ".sh",
        "Makefile",
        "Dockerfile",
        "run",
        "test",
        "prepare",
        "browser-tests",
    ]);
    let words = forbidden_words();
    let complaints: Vec<String> = all.iter().flat_map(|file| words_in(file, &words)).collect();
    assert_none("a forbidden word", &complaints);
}

#[test]
fn migrations_are_numbered_and_named_by_a_verb_and_a_noun() {
    let migrations = files(&[".sql"]);
    let names: Vec<&str> = migrations
        .iter()
        .filter_map(|file| file.path.strip_prefix("migrations/"))
        .collect();
    assert!(!names.is_empty());
    assert_none(
        "expected NNNN_verb_noun.sql without a gap",
        &misnamed_migrations(&names),
    );
}

#[test]
fn the_checks_notice_what_they_are_there_for() {
    let file = |path: &str, text: &str| File {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let statement = "sqlx::query(\"select 1\")";
    assert!(misplaced_sql(&file("services/api/src/http/sign_in.rs", statement)).is_some());
    assert!(misplaced_sql(&file("services/commands/src/session/store.rs", statement)).is_none());
    assert!(misplaced_sql(&file("services/api/src/lib.rs", &format!("#[cfg(test)]\n{statement}"))).is_none());

    let words = forbidden_words();
    for (word, _) in &words {
        assert_eq!(
            words_in(&file("x.rs", &format!("a {word} b")), &words).len(),
            1,
            "{word}"
        );
    }

    let names = [
        "0001_create_log.sql",
        "0003_create_state.sql",
        "0003_create.sql",
        "0004_Add_Index.sql",
    ];
    assert_eq!(misnamed_migrations(&names), names[1..]);
}
