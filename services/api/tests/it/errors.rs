//! The catalogue of codes and the sources say the same.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Where codes come from.
const SOURCES: &[&str] = &[
    "domain/model/src",
    "domain/policy-engine/src/document",
    "domain/policy-engine/src/lint.rs",
    "domain/policy-engine/src/pattern.rs",
    "domain/policy-engine/src/validate",
    "domain/policy-engine/src/validate.rs",
    "services/api/src",
    "services/commands/src",
];

/// Words in capitals that are no codes: methods, values of headers and enums, names of the environment.
const NO_CODES: &[&str] = &[
    "CARGO_PKG_VERSION",
    "CSS",
    "DELETE",
    "DENY",
    "GET",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "POST",
    "PUT",
    "SHA256",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn gather(path: &Path, codes: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            gather(&entry.unwrap().path(), codes);
        }
        return;
    }
    let is_test = path.file_name().is_some_and(|name| name == "tests.rs");
    if path.extension().is_none_or(|ending| ending != "rs") || is_test {
        return;
    }
    let text = fs::read_to_string(path).unwrap();
    let product = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    for line in product.lines().filter(|line| !line.trim_start().starts_with("//")) {
        codes.extend(
            line.split('"')
                .skip(1)
                .step_by(2)
                .filter(|word| is_code(word))
                .map(str::to_owned),
        );
    }
}

fn is_code(word: &str) -> bool {
    let shaped = word
        .bytes()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    shaped && word.len() > 2 && word.starts_with(|c: char| c.is_ascii_uppercase()) && !NO_CODES.contains(&word)
}

#[test]
fn every_code_is_in_the_catalogue_and_every_entry_is_a_code() {
    let mut used = BTreeSet::new();
    for source in SOURCES {
        gather(&root().join(source), &mut used);
    }
    assert!(used.contains("ALREADY_DECIDED") && used.contains("QUERY_TOO_LARGE") && used.contains("BAD_TIME"));
    let catalogue = fs::read_to_string(root().join("api-schema/errors.md")).unwrap();
    let rows = catalogue
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: BTreeSet<String> = rows.map(|(code, _)| code.to_owned()).collect();
    let missing: Vec<_> = used.difference(&listed).collect();
    let dead: Vec<_> = listed.difference(&used).collect();
    assert!(missing.is_empty(), "add these to api-schema/errors.md: {missing:?}");
    assert!(dead.is_empty(), "nothing gives these any more: {dead:?}");
}
