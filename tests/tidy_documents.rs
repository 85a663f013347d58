//! Documents: every link leads somewhere, every cited document exists.

use std::{collections::BTreeSet, path::Path};

use crate::{File, assert_none, files, root};

/// The targets of the inline links and images of a Markdown text, code left out.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        let without_code: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        let mut rest = without_code.as_str();
        while let Some((_, after)) = rest.split_once("](") {
            let target = after.split_once(')').map_or(after, |(target, _)| target);
            found.push(target.split_whitespace().next().unwrap_or_default().to_owned());
            rest = after;
        }
    }
    found
}

/// The lines outside fenced code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The names under which the headings of a text can be reached.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let title = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// What is wrong with a link in this document, if anything. Links to the outside are not followed.
fn broken(document: &File, target: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target
        .split_once('#')
        .map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let complaint = || Some(format!("{}: {target}", document.path));
    let text = if path.is_empty() {
        document.text.clone()
    } else {
        let folder = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        match read(&resolved(folder, path)) {
            Some(text) => text,
            None => return complaint(),
        }
    };
    match anchor {
        Some(anchor) if !anchors(&text).contains(anchor) => complaint(),
        _ => None,
    }
}

/// A path relative to a folder, from the root.
fn resolved(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The documents that a text cites as `docs/….md`.
fn cited(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("docs/").map(|(at, _)| &text[at..]);
    starts
        .filter_map(|start| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
            let end = start.find(|c| !allowed(c)).unwrap_or(start.len());
            let path = &start[..end];
            path.find(".md").map(|dot| path[..dot + 3].to_owned())
        })
        .collect()
}

/// What `SECURITY.md` names as proof and is not there: files, each relative to the one before where it has no folder, and
/// tests in the file before.
fn unproved(text: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let mut before = String::new();
        for word in line.split('`').skip(1).step_by(2) {
            let is_file = word.ends_with(".rs") && !word.contains(' ');
            let is_test = word.len() > 20
                && word
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_numeric());
            if is_file {
                let mut folders = before.rsplit_once('/').map(|(folder, _)| folder);
                let mut found = read(word).map(|_| word.to_owned());
                while let (None, Some(folder)) = (&found, folders) {
                    let path = format!("{folder}/{word}");
                    found = read(&path).map(|_| path);
                    folders = folder.rsplit_once('/').map(|(folder, _)| folder);
                }
                match found {
                    Some(path) => before = path,
                    None => complaints.push(format!("{word} after {before}")),
                }
            } else if is_test && !read(&before).is_some_and(|text| text.contains(&format!("fn {word}("))) {
                complaints.push(format!("{word} in {before}"));
            }
        }
    }
    complaints
}

#[test]
fn every_file_and_test_that_the_security_document_names_exists() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).ok();
    let text = read("SECURITY.md").unwrap();
    assert_none("SECURITY.md names what is not there", &unproved(&text, &read));
    let broken = text.replacen("tests/it/auth.rs`", "tests/it/author.rs`", 1);
    assert!(
        !unproved(&broken, &read).is_empty(),
        "the check notices a file that is none"
    );
    let broken = text.replacen("`a_one_time_code_is", "`a_one_time_code_was", 1);
    assert!(
        !unproved(&broken, &read).is_empty(),
        "the check notices a test that is none"
    );
}

fn exists(path: &str) -> bool {
    root().join(path).exists()
}

#[test]
fn every_link_in_a_document_leads_somewhere() {
    let read = |path: &str| {
        let path = root().join(Path::new(path));
        path.exists()
            .then(|| std::fs::read_to_string(&path).unwrap_or_default())
    };
    let documents = files(&[".md"]);
    let complaints: Vec<String> = documents
        .iter()
        .flat_map(|document| {
            links(&document.text)
                .into_iter()
                .filter_map(|link| broken(document, &link, &read))
        })
        .collect();
    assert_none("a link leads nowhere", &complaints);
}

#[test]
fn every_document_that_a_source_file_cites_exists() {
    let mut complaints = Vec::new();
    for file in files(&[".rs", ".sql", ".ts", ".tsx"])
        .iter()
        .filter(|file| !file.path.starts_with("tests/tidy"))
    {
        complaints.extend(
            cited(&file.text)
                .into_iter()
                .filter(|path| !exists(path))
                .map(|path| format!("{}: {path}", file.path)),
        );
    }
    assert_none("a cited document is missing", &complaints);
}

#[test]
fn the_checks_notice_what_they_are_there_for() {
    let text = "# One thing\n[a](b.md) and [c](#one-thing \"title\"), `[d](e)`\n```\n[f](g)\n```\n![h](../i.png)\n";
    assert_eq!(links(text), ["b.md", "#one-thing", "../i.png"]);
    let document = File {
        path: "docs/x.md".to_owned(),
        text: text.to_owned(),
    };
    let read = |path: &str| (path == "docs/b.md").then(|| "## § 3 Two, things".to_owned());
    let is_broken = |target: &str| broken(&document, target, &read).is_some();
    for good in [
        "b.md",
        "b.md#-3-two-things",
        "#one-thing",
        "https://example.com/x",
        "./b.md",
        "../docs/b.md",
    ] {
        assert!(!is_broken(good), "{good}");
    }
    for bad in ["c.md", "b.md#three", "#two", "../b.md"] {
        assert!(is_broken(bad), "{bad}");
    }
    let expected = ["docs/a.md", "docs/b/c-d.md"].map(str::to_owned).into();
    assert_eq!(cited("see `docs/a.md § 3` and (docs/b/c-d.md), docs/none"), expected);
}
