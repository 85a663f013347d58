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
