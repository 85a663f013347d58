//! What may be saved but is probably not meant (`docs/domain.md § 2`, "Lint warnings").

use serde::{Deserialize, Serialize};

use crate::action::Machine;
use crate::decision::PolicyRef;
use crate::document::{Collection, CollectionKind, Control, PolicyDocument, PolicyStatus, PolicyType, ScopeEntry};
use crate::fold;
use crate::index::Index;
use crate::pattern::{ANY, Pattern, STAR};
use crate::snapshot::{Snapshot, SnapshotPolicy};
use crate::validate::{ByNameOrId, Collections, is_catch_all};

/// One warning about one policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Warning {
    /// The field it is about.
    pub field: String,
    /// `ALLOW_WITHOUT_EFFECT`, `DENY_EVERYTHING`, `SHADOWED`, `MATCHES_NO_ENDPOINT` or `NEVER_MONITORED`.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// The name of the policy that is warned about.
    pub policy: String,
    /// The other policy that is the reason, if one is.
    pub other: Option<PolicyRef>,
}

/// What is known besides the policy itself.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The tenant's policies and collections. The linted policy itself may be among them, by its id.
    pub snapshot: &'a Snapshot,
    /// The id of the linted policy, where it has one already.
    pub id: Option<&'a str>,
    /// Every endpoint that is known; where none is, none is missed.
    pub endpoints: &'a [Machine],
    /// Whether some earlier revision was monitored.
    pub was_monitored: bool,
}

/// Everything that is probably not meant about a policy.
#[must_use]
pub fn lint(document: &PolicyDocument, facts: &Facts<'_>) -> Vec<Warning> {
    let collections = ByNameOrId::of(&facts.snapshot.collections);
    let mut warnings = Vec::new();
    let mut warn = |field: &str, code: &str, message: String, other: Option<&SnapshotPolicy>| {
        let other = other.map(|other| PolicyRef::new(&other.id, other.revision, &other.document.name));
        let policy = document.name.clone();
        warnings.push(Warning {
            field: field.to_owned(),
            code: code.to_owned(),
            message,
            policy,
            other,
        });
    };
    let is_deny = document.controls.contains(&Control::Deny);
    if is_deny && is_catch_all(document, &collections) {
        let (field, _) = document.own_field();
        warn(
            field,
            "DENY_EVERYTHING",
            "To deny whatever no policy allows, use the baseline.".to_owned(),
            None,
        );
    }
    if document.status == PolicyStatus::Enforce
        && document.policy_type != PolicyType::LeastPrivilege
        && !facts.was_monitored
    {
        let message = "It is enforced without ever having been monitored; what it would do is not known.".to_owned();
        warn("status", "NEVER_MONITORED", message, None);
    }
    if let Some((other, is_allow)) = outdone_by(document, facts, &collections) {
        let name = &other.document.name;
        if is_allow {
            let message = format!("The allow never has an effect: wherever it matches, {name:?} is more restrictive.");
            warn("controls", "ALLOW_WITHOUT_EFFECT", message, Some(other));
        } else {
            warn(
                "controls",
                "SHADOWED",
                format!("Wherever it matches, {name:?} already says as much."),
                Some(other),
            );
        }
    }
    if !facts.endpoints.is_empty() && !reaches_any(document, facts) {
        warn(
            "machines",
            "MATCHES_NO_ENDPOINT",
            "No known endpoint is in its scope.".to_owned(),
            None,
        );
    }
    warnings
}

/// Lints every policy of a snapshot. `was_monitored` tells it of each by its id.
#[must_use]
pub fn lint_all(snapshot: &Snapshot, endpoints: &[Machine], was_monitored: impl Fn(&str) -> bool) -> Vec<Warning> {
    let each = snapshot.policies.iter().flat_map(|policy| {
        let was_monitored = was_monitored(&policy.id);
        lint(
            &policy.document,
            &Facts {
                snapshot,
                id: Some(&policy.id),
                endpoints,
                was_monitored,
            },
        )
    });
    each.collect()
}

fn reaches_any(document: &PolicyDocument, facts: &Facts<'_>) -> bool {
    // A policy of its machines alone, so that the engine itself judges them.
    let mut probe = PolicyDocument::new("probe", PolicyType::LeastPrivilege, PolicyStatus::Enforce);
    probe.machines.clone_from(&document.machines);
    let snapshot = Snapshot {
        policies: vec![SnapshotPolicy {
            id: "probe".to_owned(),
            revision: 1,
            document: probe,
        }],
        collections: facts.snapshot.collections.clone(),
        ..Snapshot::default()
    };
    match Index::compile(&snapshot) {
        Ok(index) => facts
            .endpoints
            .iter()
            .any(|machine| index.least_privilege(machine).is_some()),
        // What cannot be read is refused elsewhere.
        Err(_) => true,
    }
}

/// An enforced policy that covers the scope and leaves the document nothing to say, and whether that is an allow.
fn outdone_by<'a>(
    document: &PolicyDocument,
    facts: &Facts<'a>,
    collections: &dyn Collections,
) -> Option<(&'a SnapshotPolicy, bool)> {
    if document.status == PolicyStatus::Off || document.policy_type == PolicyType::LeastPrivilege {
        return None;
    }
    let own_place = facts
        .snapshot
        .policies
        .iter()
        .position(|other| Some(other.id.as_str()) == facts.id);
    let mut others = facts
        .snapshot
        .policies
        .iter()
        .enumerate()
        .filter(|(i, _)| Some(*i) != own_place);
    others.find_map(|(i, other)| {
        let covers = other.document.status == PolicyStatus::Enforce && covers(&other.document, document, collections);
        if !covers {
            return None;
        }
        // Of two that say the same about the same, the later one is the superfluous one.
        let comes_later = own_place.is_some_and(|own| own < i);
        if comes_later && says_the_same(&other.document, document, collections) {
            return None;
        }
        let verdict = outdoes(&other.document, document)?;
        Some((other, verdict))
    })
}

/// Whether two policies could stand for each other.
fn says_the_same(other: &PolicyDocument, document: &PolicyDocument, collections: &dyn Collections) -> bool {
    let terms = |policy: &PolicyDocument| {
        let mut controls = policy.controls.clone();
        controls.sort_unstable();
        (
            controls,
            policy.exception,
            policy.risk_level,
            policy.access_minutes,
            policy.mfa_always,
        )
    };
    terms(other) == terms(document) && covers(document, other, collections)
}

/// Some(true): an allow that is always outweighed. Some(false): says nothing that the other does not say.
fn outdoes(other: &PolicyDocument, document: &PolicyDocument) -> Option<bool> {
    let has = |control| document.controls.contains(&control);
    let other_has = |control| other.controls.contains(&control);
    if has(Control::Allow) {
        let other_demands = other.controls.iter().any(|control| control.is_required());
        let outweighed = other_has(Control::Deny) || (other_demands && !(document.exception && other.is_catch_all()));
        let repeated = other_has(Control::Allow) && (other.exception || !document.exception);
        return if outweighed {
            Some(true)
        } else {
            repeated.then_some(false)
        };
    }
    if has(Control::Deny) {
        // One that reaches protected paths on purpose says more than a pattern can.
        return (other_has(Control::Deny) && !document.confirm_protected).then_some(false);
    }
    let weaker = other_has(Control::Deny)
        || (!other.is_catch_all() || document.is_catch_all()) && demands_as_much(other, document);
    (weaker && !document.controls.is_empty()).then_some(false)
}

fn demands_as_much(other: &PolicyDocument, document: &PolicyDocument) -> bool {
    let demanded = |policy: &PolicyDocument, control| {
        policy.controls.contains(&control)
            || (control == Control::Justification && policy.controls.contains(&Control::Approval))
    };
    let mut required = [Control::Approval, Control::Mfa, Control::Justification].into_iter();
    required.all(|control| !demanded(document, control) || demanded(other, control))
        && other.risk_level >= document.risk_level
        && other.access_minutes <= document.access_minutes
        && other.mfa_always >= document.mfa_always
}

/// Whether every action that a policy matches is matched by another too. Errs on the side of no.
fn covers(general: &PolicyDocument, special: &PolicyDocument, collections: &dyn Collections) -> bool {
    if general.policy_type != special.policy_type {
        return false;
    }
    let typed = |field, general: &[String], special: &[String]| covers_entries(field, general, special, collections);
    let applications = match general.policy_type {
        PolicyType::FileAccess if general.applications.is_empty() => true,
        PolicyType::FileAccess if special.applications.is_empty() => false,
        _ => typed(
            CollectionKind::Applications,
            &general.applications,
            &special.applications,
        ),
    };
    applications
        && typed(CollectionKind::Users, &general.users, &special.users)
        && typed(CollectionKind::Machines, &general.machines, &special.machines)
        && covers_patterns(&general.commands, &special.commands)
        && covers_patterns(&general.files, &special.files)
        && (general.dates.is_empty() || general.dates == special.dates)
        && (general.times.is_empty() || general.times == special.times)
        && (general.days.is_empty()
            || special.days.iter().all(|day| general.days.contains(day)) && !special.days.is_empty())
        && (general.certificates.is_empty() || general.certificates == special.certificates)
}

fn covers_patterns(general: &[String], special: &[String]) -> bool {
    special
        .iter()
        .all(|special| general.iter().any(|general| covers_pattern(general, special, false)))
}

fn covers_entries(
    field: CollectionKind,
    general: &[String],
    special: &[String],
    collections: &dyn Collections,
) -> bool {
    let general = expand(general, collections);
    let special = expand(special, collections);
    special
        .iter()
        .all(|special| general.iter().any(|general| covers_entry(field, general, special)))
}

/// Entries with those of collections in their place.
fn expand<'a>(entries: &'a [String], collections: &'a dyn Collections) -> Vec<&'a str> {
    let mut all = Vec::new();
    for entry in entries {
        match ScopeEntry::parse(entry) {
            Ok(ScopeEntry::Collection(name)) => {
                let found: Option<&Collection> = collections.find(name);
                all.extend(found.into_iter().flat_map(|found| &found.members).map(String::as_str));
            }
            _ => all.push(entry),
        }
    }
    all
}

fn covers_entry(field: CollectionKind, general: &str, special: &str) -> bool {
    if general == "*" || general == special {
        return true;
    }
    let (Ok(general), Ok(special)) = (
        ScopeEntry::parse_in(field, general),
        ScopeEntry::parse_in(field, special),
    ) else {
        return false;
    };
    match (general, special) {
        (ScopeEntry::User(a), ScopeEntry::User(b))
        | (ScopeEntry::Group(a), ScopeEntry::Group(b))
        | (ScopeEntry::Machine(a), ScopeEntry::Machine(b))
        | (ScopeEntry::Publisher(a), ScopeEntry::Publisher(b)) => covers_pattern(a, b, true),
        (ScopeEntry::Path(a), ScopeEntry::Path(b)) => covers_pattern(a, b, false),
        (ScopeEntry::Sha256(a), ScopeEntry::Sha256(b)) => a.eq_ignore_ascii_case(b),
        _ => false,
    }
}

/// Whether a pattern matches whatever another matches, judged by text alone: the other's wildcards count as characters
/// that only a star takes, variables as their own names.
fn covers_pattern(general: &str, special: &str, fold_case: bool) -> bool {
    if general == special {
        return true;
    }
    let (Ok(pattern), Ok(_)) = (Pattern::parse(general), Pattern::parse(special)) else {
        return false;
    };
    let text = |source: &str| {
        if fold_case {
            fold::fold(source)
        } else {
            source.to_owned()
        }
    };
    let wild = |source: &str| {
        text(source)
            .replace('*', &STAR.to_string())
            .replace('?', &ANY.to_string())
    };
    let single = general.contains('?') && special.contains('*');
    !single && !pattern.is_literal() && crate::pattern::Matcher::new(&wild(general)).fits(&wild(special))
}

#[cfg(test)]
mod tests;
