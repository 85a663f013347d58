//! Cases: policies, one action and what is expected of it. `portcullis policy test FILE` runs them.
//!
//! ```json
//! {"cases": [{"name": "…", "policies": […], "collections": {…}, "baseline": {…}, "action": {…},
//!             "expect": {"outcome": "required", "steps": ["mfa"], "matched": ["…"], "wouldHave": null}}]}
//! ```
//!
//! Only what `expect` names is compared. Fields left out of a policy have the document's defaults; `status` is `enforce`.
//! Policies that cannot be compiled deny, and `actual` says why.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::action::Action;
use crate::decision::{Decision, Outcome};
use crate::document::{Baseline, Collection, PolicyDocument};
use crate::index::{CompileError, Index};
use crate::snapshot::{Snapshot, SnapshotCollection, SnapshotPolicy};

/// How a file of cases came out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Cases that came out as expected.
    pub passed: usize,
    /// Cases that did not, or could not be read.
    pub failed: usize,
    /// Every case, in the order of the file.
    pub cases: Vec<CaseResult>,
}

/// How one case came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// Its sentence.
    pub name: String,
    /// Whether everything expected came true.
    pub passed: bool,
    /// What was expected, as written.
    pub expected: Value,
    /// The same fields as they are; `{"error": …}` where the case cannot be read.
    pub actual: Value,
}

impl Report {
    /// Joins the report of another file.
    pub fn extend(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.cases.extend(other.cases);
    }

    fn push(&mut self, case: CaseResult) {
        if case.passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        self.cases.push(case);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cases: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    policies: Vec<PolicyDocument>,
    #[serde(default)]
    collections: BTreeMap<String, Collection>,
    #[serde(default)]
    baseline: Baseline,
    action: Action,
    expect: Map<String, Value>,
}

/// What a case may expect, by the names of [`Decision`] in JSON; policies by name.
const EXPECTABLE: [&str; 12] = [
    "outcome",
    "steps",
    "matched",
    "wouldHave",
    "monitored",
    "superseded",
    "riskLevel",
    "accessMinutes",
    "mfaAlways",
    "messages",
    "requireAcknowledgement",
    "settledBy",
];

/// Runs the cases of one file. A file that is no list of cases is one failed case.
#[must_use]
pub fn run(text: &str) -> Report {
    let mut report = Report::default();
    match read::<File>(text) {
        Ok(file) => file
            .cases
            .into_iter()
            .enumerate()
            .for_each(|(i, case)| report.push(run_case(i, case))),
        Err(error) => report.push(unreadable("the file".to_owned(), Value::Null, &error)),
    }
    report
}

fn unreadable(name: String, expected: Value, error: &str) -> CaseResult {
    CaseResult {
        name,
        passed: false,
        expected,
        actual: json!({ "error": error }),
    }
}

fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(value)
}

fn run_case(at: usize, mut value: Value) -> CaseResult {
    let name = value
        .get("name")
        .and_then(Value::as_str)
        .map_or_else(|| format!("case {}", at + 1), str::to_owned);
    let expected = value.get("expect").cloned().unwrap_or_default();
    for policy in value
        .get_mut("policies")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(policy) = policy.as_object_mut() {
            policy.entry("status").or_insert_with(|| json!("enforce"));
        }
    }
    match judge(value) {
        Ok((passed, actual)) => CaseResult {
            name,
            passed,
            expected,
            actual,
        },
        Err(error) => unreadable(name, expected, &error),
    }
}

fn judge(value: Value) -> Result<(bool, Value), String> {
    let case: Case = serde_path_to_error::deserialize(value).map_err(|error| error.to_string())?;
    if case.name.trim().is_empty() {
        return Err("name: a case is named by a sentence".to_owned());
    }
    if let Some(field) = case.expect.keys().find(|field| !EXPECTABLE.contains(&field.as_str())) {
        return Err(format!(
            "expect.{field}: unknown field `{field}`, expected one of {}",
            EXPECTABLE.join(", ")
        ));
    }
    let mut actual = match Index::compile(&snapshot(case.policies, case.collections, case.baseline)) {
        Ok(index) => summary(&index.decide(&case.action)),
        // What cannot be evaluated denies, and says so.
        Err(error) => unread(&error),
    };
    actual.retain(|field, _| always_shown(field) || case.expect.contains_key(field));
    let passed = case
        .expect
        .iter()
        .all(|(field, value)| actual.get(field) == Some(value));
    Ok((passed, Value::Object(actual)))
}

fn always_shown(field: &str) -> bool {
    matches!(field, "outcome" | "steps" | "matched" | "wouldHave" | "error")
}

/// The answer where the policies cannot be compiled.
fn unread(error: &CompileError) -> Map<String, Value> {
    let denied = json!({
        "outcome": Outcome::Denied,
        "steps": [],
        "matched": [],
        "wouldHave": null,
        "error": error.to_string(),
    });
    match denied {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn snapshot(policies: Vec<PolicyDocument>, collections: BTreeMap<String, Collection>, baseline: Baseline) -> Snapshot {
    let numbered = policies.into_iter().enumerate();
    Snapshot {
        policies: numbered
            .map(|(i, document)| SnapshotPolicy {
                id: format!("policy-{}", i + 1),
                revision: 1,
                document,
            })
            .collect(),
        collections: collections
            .into_iter()
            .map(|(name, Collection { kind, members })| SnapshotCollection {
                id: name.clone(),
                name,
                kind,
                members,
            })
            .collect(),
        baseline,
        settings: Map::new(),
    }
}

fn summary(decision: &Decision) -> Map<String, Value> {
    let names = |policies: &[crate::PolicyRef]| policies.iter().map(|policy| policy.name.clone()).collect::<Vec<_>>();
    let fields = json!({
        "outcome": decision.outcome,
        "steps": decision.steps,
        "matched": names(&decision.matched),
        "wouldHave": decision.would_have,
        "monitored": names(&decision.monitored),
        "superseded": names(&decision.superseded),
        "riskLevel": decision.risk_level,
        "accessMinutes": decision.access_minutes,
        "mfaAlways": decision.mfa_always,
        "messages": decision.notification.messages,
        "requireAcknowledgement": decision.notification.require_acknowledgement,
        "settledBy": decision.settled_by,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
