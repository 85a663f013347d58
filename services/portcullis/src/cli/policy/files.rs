//! Policies in files: read, whoever wrote them, and judged without a tenant.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use policy_engine::{
    Problem, Snapshot, SnapshotCollection, SnapshotPolicy, import::Found, keeper::Note, lint, validate,
};
use serde_json::json;

use crate::cli::{Globals, say};

/// Reads files; what is wrong with one names it.
pub(super) fn read(files: &[PathBuf], known: &dyn Fn(&str) -> bool) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        found.read(&text, known).map_err(|problems| wrong(file, &problems))?;
    }
    Ok(found)
}

fn wrong(file: &Path, problems: &[Problem]) -> anyhow::Error {
    let words: Vec<_> = problems
        .iter()
        .map(|problem| {
            if problem.field.is_empty() {
                problem.message.clone()
            } else {
                problem.to_string()
            }
        })
        .collect();
    anyhow::anyhow!("{}: {}", file.display(), words.join("; "))
}

/// A note as text.
pub(super) fn shown(note: &Note) -> String {
    format!("{}: {}: {}", note.policy, note.field, note.message)
}

pub(super) fn lint(globals: &Globals, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let read = read(files, &|_| true)?;
    let mut problems: Vec<(String, Problem)> = Vec::new();
    for (name, collection) in &read.collections {
        problems.extend(
            validate::collection(name, collection)
                .into_iter()
                .map(|p| (name.clone(), p)),
        );
    }
    problems.extend(
        validate::baseline(&read.baseline)
            .into_iter()
            .map(|p| ("baseline".to_owned(), p)),
    );
    for policy in &read.policies {
        problems.extend(
            validate::policy(policy, &read.collections)
                .into_iter()
                .map(|p| (policy.name.clone(), p)),
        );
    }
    let snapshot = Snapshot {
        policies: (1..)
            .zip(&read.policies)
            .map(|(n, document)| SnapshotPolicy {
                id: format!("file-{n}"),
                revision: 1,
                document: document.clone(),
            })
            .collect(),
        collections: read
            .collections
            .iter()
            .map(|(name, c)| SnapshotCollection {
                id: name.clone(),
                name: name.clone(),
                kind: c.kind,
                members: c.members.clone(),
            })
            .collect(),
        baseline: read.baseline.clone(),
        ..Snapshot::default()
    };
    // Files know no endpoints and no history: what needs them is not judged.
    let warnings: Vec<_> = lint::lint_all(&snapshot, &[], |_| true)
        .into_iter()
        .filter(|warning| warning.code != "MATCHES_NO_ENDPOINT" && warning.code != "NEVER_MONITORED")
        .collect();
    if globals.json {
        let problems: Vec<_> = problems
            .iter()
            .map(|(policy, p)| json!({ "policy": policy, "problem": p }))
            .collect();
        say(json!({ "problems": problems, "refused": read.refused, "notes": read.notes, "warnings": warnings }));
    } else {
        for (policy, problem) in &problems {
            say(format!("refused  {policy}: {problem}"));
        }
        for note in &read.refused {
            say(format!("refused  {}", shown(note)));
        }
        for note in &read.notes {
            say(format!("note     {}", shown(note)));
        }
        for warning in &warnings {
            say(format!(
                "warning  {}: {}: {}",
                warning.policy, warning.field, warning.message
            ));
        }
        let refused = problems.len() + read.refused.len();
        say(format!(
            "{} policies, {refused} refusals, {} warnings",
            read.policies.len(),
            warnings.len()
        ));
    }
    let good = problems.is_empty() && read.refused.is_empty();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
