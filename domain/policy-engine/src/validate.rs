//! What may be saved (`docs/domain.md § 2`, "Refused at save"). Every refusal names its field.
//!
//! A policy is judged together with the collections it refers to, so a changed collection means that the policies
//! which use it are judged again.

mod range;
mod scope;

use std::collections::BTreeMap;

use crate::document::{
    Baseline, BaselineSetting, Collection, CollectionKind, Control, PolicyDocument, PolicyStatus, PolicyType,
};
use crate::limits;
use crate::problem::Problem;
use crate::snapshot::SnapshotCollection;

pub(crate) use range::describe as describe_range;
pub(crate) use scope::is_catch_all;

/// Finds a collection by its name or its id.
pub trait Collections {
    /// The collection that `collection:NAME-OR-ID` means.
    fn find(&self, name_or_id: &str) -> Option<&Collection>;
}

impl Collections for BTreeMap<String, Collection> {
    fn find(&self, name_or_id: &str) -> Option<&Collection> {
        self.get(name_or_id)
    }
}

/// The collections of a snapshot by both of their names.
#[derive(Clone, Debug, Default)]
pub struct ByNameOrId(BTreeMap<String, Collection>);

impl ByNameOrId {
    /// Indexes a snapshot's collections; an id wins over a name spelled like it.
    #[must_use]
    pub fn of(collections: &[SnapshotCollection]) -> Self {
        let by_name = collections.iter().map(|c| (c.name.clone(), c.collection()));
        let by_id = collections.iter().map(|c| (c.id.clone(), c.collection()));
        Self(by_name.chain(by_id).collect())
    }
}

impl Collections for ByNameOrId {
    fn find(&self, name_or_id: &str) -> Option<&Collection> {
        self.0.get(name_or_id)
    }
}

/// Everything that keeps a policy from being saved; empty where nothing does.
#[must_use]
pub fn policy(document: &PolicyDocument, collections: &dyn Collections) -> Vec<Problem> {
    let mut problems = Problems::default();
    problems.check_name("name", &document.name);
    check_controls(document, &mut problems);
    if document.policy_type == PolicyType::LeastPrivilege {
        check_least_privilege(document, &mut problems);
    } else {
        check_type_fields(document, &mut problems);
    }
    scope::check(document, collections, &mut problems);
    range::check(document, &mut problems);
    check_numbers(document, &mut problems);
    problems.0
}

/// Everything that keeps a collection from being saved.
#[must_use]
pub fn collection(name: &str, collection: &Collection) -> Vec<Problem> {
    let mut problems = Problems::default();
    problems.check_name("name", name);
    if collection.members.is_empty() {
        problems.add("members", "EMPTY_LIST", "a collection needs at least one member");
    }
    scope::check_members(collection, &mut problems);
    problems.0
}

/// Everything that keeps a baseline from being saved. Fields are the action types.
#[must_use]
pub fn baseline(baseline: &Baseline) -> Vec<Problem> {
    let mut problems = Problems::default();
    for (action_type, setting) in &baseline.0 {
        let BaselineSetting::Controls(controls) = setting else {
            continue;
        };
        let field = action_type.as_str();
        if controls.is_empty() {
            problems.add(field, "EMPTY_LIST", "name at least one control, or use pass_through");
        }
        for control in controls.iter().filter(|control| !control.is_required()) {
            let message = format!("{control} is no control that a baseline can demand");
            problems.add(field, "BASELINE_CONTROL", message);
        }
        if has_duplicate(controls) {
            problems.add(field, "DUPLICATE_ENTRY", "a control is named twice");
        }
    }
    problems.0
}

/// Collects problems; helpers of the parts of this module.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, code: &str, message: impl Into<String>) {
        self.0.push(Problem::new(field, code, message));
    }

    fn check_name(&mut self, field: &str, name: &str) {
        if name.trim().is_empty() {
            self.add(field, "EMPTY_NAME", "a name is needed");
        }
        if name.chars().count() > limits::NAME_CHARS {
            self.add(
                field,
                "NAME_TOO_LONG",
                format!("a name has at most {} characters", limits::NAME_CHARS),
            );
        }
        if name.chars().any(char::is_control) {
            self.add(field, "FORBIDDEN_CHARACTER", "a name holds no control characters");
        }
    }

    fn check_count(&mut self, field: &str, count: usize, limit: usize) {
        if count > limit {
            self.add(field, "TOO_MANY", format!("{count} entries are more than {limit}"));
        }
    }
}

fn has_duplicate<T: PartialEq>(list: &[T]) -> bool {
    list.iter().enumerate().any(|(i, entry)| list[..i].contains(entry))
}

fn check_controls(document: &PolicyDocument, problems: &mut Problems) {
    let controls = &document.controls;
    let lone = controls.iter().find(|control| !control.is_required());
    let needs_control = document.policy_type != PolicyType::LeastPrivilege;
    if document.status == PolicyStatus::Enforce && controls.is_empty() && needs_control {
        problems.add(
            "controls",
            "CONTROL_REQUIRED",
            "an enforced policy needs at least one control",
        );
    }
    if has_duplicate(controls) {
        problems.add("controls", "DUPLICATE_ENTRY", "a control is named twice");
    } else if let (Some(control), 2..) = (lone, controls.len()) {
        problems.add(
            "controls",
            "CONTROL_CONFLICT",
            format!("{control} stands alone; it cannot be joined with others"),
        );
    }
    if document.exception && !controls.contains(&Control::Allow) {
        problems.add(
            "exception",
            "EXCEPTION_WITHOUT_ALLOW",
            "only an allow can be an exception",
        );
    }
}

/// Desired state: machines and `keepAdmins` say all there is to say.
fn check_least_privilege(document: &PolicyDocument, problems: &mut Problems) {
    if document.status.is_monitored() {
        problems.add("status", "STATUS_NOT_APPLICABLE", "least_privilege is enforced or off");
    }
    let given = [
        ("controls", document.controls.is_empty()),
        ("users", document.users.is_empty()),
        ("applications", document.applications.is_empty()),
        ("commands", document.commands.is_empty()),
        ("files", document.files.is_empty()),
        ("dates", document.dates.is_empty()),
        ("times", document.times.is_empty()),
        ("days", document.days.is_empty()),
        ("certificates", document.certificates.is_empty()),
    ];
    for (field, _) in given.into_iter().filter(|(_, is_empty)| !is_empty) {
        problems.add(
            field,
            "FIELD_NOT_APPLICABLE",
            "least_privilege has machines and keepAdmins only",
        );
    }
    problems.check_count("keepAdmins", document.keep_admins.len(), limits::ENTRIES_PER_LIST);
    for (i, account) in document.keep_admins.iter().enumerate() {
        let field = format!("keepAdmins[{i}]");
        if account.trim().is_empty() {
            problems.add(field, "EMPTY_ENTRY", "an account has a name");
        } else if account.chars().count() > limits::PATTERN_CHARS {
            problems.add(
                field,
                "PATTERN_TOO_LONG",
                format!("has more than {} characters", limits::PATTERN_CHARS),
            );
        } else if account.contains(['*', '?']) || account.chars().any(char::is_control) {
            problems.add(
                field,
                "FORBIDDEN_CHARACTER",
                "accounts are written out, without wildcards",
            );
        }
    }
}

fn check_type_fields(document: &PolicyDocument, problems: &mut Problems) {
    let wrong: &[(&str, bool)] = match document.policy_type {
        PolicyType::PrivilegeElevation => &[
            ("files", document.files.is_empty()),
            ("commands", document.commands.is_empty()),
        ],
        PolicyType::FileAccess => &[("commands", document.commands.is_empty())],
        PolicyType::CommandLine => &[
            ("applications", document.applications.is_empty()),
            ("files", document.files.is_empty()),
        ],
        PolicyType::LeastPrivilege => &[],
    };
    for (field, _) in wrong.iter().filter(|(_, is_empty)| !is_empty) {
        let message = format!("{} policies have no {field}", document.policy_type);
        problems.add(*field, "FIELD_NOT_APPLICABLE", message);
    }
    if !document.keep_admins.is_empty() {
        problems.add(
            "keepAdmins",
            "FIELD_NOT_APPLICABLE",
            "only least_privilege keeps administrators",
        );
    }
    let (own, entries) = document.own_field();
    let required = [
        ("users", &*document.users),
        ("machines", &*document.machines),
        (own, entries),
    ];
    for (field, _) in required.into_iter().filter(|(_, entries)| entries.is_empty()) {
        problems.add(
            field,
            "EMPTY_LIST",
            format!("{field} must say something; use * for any"),
        );
    }
}

fn check_numbers(document: &PolicyDocument, problems: &mut Problems) {
    if document.risk_level > limits::RISK_LEVEL {
        problems.add("riskLevel", "OUT_OF_RANGE", "riskLevel is 0 to 100");
    }
    if document.access_minutes == 0 || document.access_minutes > limits::ACCESS_MINUTES {
        problems.add(
            "accessMinutes",
            "OUT_OF_RANGE",
            format!("accessMinutes is 1 to {}", limits::ACCESS_MINUTES),
        );
    }
    if document.notification.message.chars().count() > limits::MESSAGE_CHARS {
        let message = format!("a message has at most {} characters", limits::MESSAGE_CHARS);
        problems.add("notification.message", "MESSAGE_TOO_LONG", message);
    }
}

/// The kind of collection that a field may use; none for fields of bare patterns.
const fn field_kind(field: &str) -> Option<CollectionKind> {
    match field.as_bytes() {
        b"users" => Some(CollectionKind::Users),
        b"machines" => Some(CollectionKind::Machines),
        b"applications" => Some(CollectionKind::Applications),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
