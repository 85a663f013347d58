//! Rules of the repository that no compiler checks. Each test names the file that breaks one.
//!
//! Every check is a function over text or over cargo's own description, so that it is tried on a bad example too: a
//! check that cannot fail is none.

mod tidy_documents;
mod tidy_layers;
mod tidy_sources;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The repository's root.
fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the folder of the tests lies in the repository")
        .to_owned()
}

/// A file of the repository: its path from the root, with `/`, and its text.
struct File {
    path: String,
    text: String,
}

/// Folders that hold nothing of ours: built, downloaded or generated.
const FOREIGN: &[&str] = &[".git", "target", "node_modules", "dist", "gql", ".data"];

/// Every file of ours whose name ends in one of these, in the order of their paths.
fn files(endings: &[&str]) -> Vec<File> {
    let mut found = Vec::new();
    collect(&root(), "", endings, &mut found);
    found.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(!found.is_empty(), "no file ends in {endings:?}");
    found
}

fn collect(directory: &Path, prefix: &str, endings: &[&str], found: &mut Vec<File>) {
    for entry in fs::read_dir(directory)
        .expect("a folder of the repository can be read")
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            if !FOREIGN.contains(&name.as_str()) {
                collect(&entry.path(), &format!("{path}/"), endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            // A file that is no text holds no words to judge; one that vanished meanwhile was somebody's scratch.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                found.push(File { path, text });
            }
        }
    }
}

/// Fails with the whole list, one complaint a line.
fn assert_none(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}
