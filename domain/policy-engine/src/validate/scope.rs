//! Scope entries: syntax, collections, catch-alls, and what a deny may reach.

use super::{Collections, Problems, field_kind};
use crate::document::{
    ActionType, Collection, CollectionKind, Control, Os, PolicyDocument, PolicyType, ScopeEntry, has_typed_prefix,
};
use crate::limits;
use crate::pattern::{Pattern, Subject, has_dot_component};
use crate::protected::{self, UsualPlaces};

pub(super) fn check(document: &PolicyDocument, collections: &dyn Collections, problems: &mut Problems) {
    let lists: [(&str, &[String]); 5] = [
        ("users", &document.users),
        ("machines", &document.machines),
        ("applications", &document.applications),
        ("commands", &document.commands),
        ("files", &document.files),
    ];
    for (field, entries) in lists {
        problems.check_count(field, entries.len(), limits::ENTRIES_PER_LIST);
        if entries.len() > 1 && entries.iter().any(|entry| entry == "*") {
            problems.add(field, "ANY_WITH_OTHERS", "* already means any; it stands alone");
        }
        for (i, entry) in entries.iter().enumerate() {
            let place = format!("{field}[{i}]");
            match field_kind(field) {
                Some(kind) => check_entry(&place, kind, entry, Some(collections), problems),
                None => check_bare(&place, entry, field == "files", problems),
            }
        }
    }
    check_certificates(&document.certificates, problems);
    if document.policy_type == PolicyType::LeastPrivilege {
        return;
    }
    if document.exception && is_catch_all(document, collections) {
        let (field, _) = document.own_field();
        problems.add(
            field,
            "EXCEPTION_CATCH_ALL",
            "an exception names what it is for; it cannot be for everything",
        );
    }
    if document.controls.contains(&Control::Deny) && !document.confirm_protected {
        check_protected(document, collections, problems);
    }
}

pub(super) fn check_members(collection: &Collection, problems: &mut Problems) {
    problems.check_count("members", collection.members.len(), limits::COLLECTION_MEMBERS);
    if collection.members.len() > 1 && collection.members.iter().any(|member| member == "*") {
        problems.add("members", "ANY_WITH_OTHERS", "* already means any; it stands alone");
    }
    for (i, member) in collection.members.iter().enumerate() {
        check_entry(&format!("members[{i}]"), collection.kind, member, None, problems);
    }
}

/// `collections` is none inside a collection, which cannot hold another.
fn check_entry(
    place: &str,
    kind: CollectionKind,
    text: &str,
    collections: Option<&dyn Collections>,
    problems: &mut Problems,
) {
    match ScopeEntry::parse_in(kind, text) {
        Err(error) => problems.add(place, error.code(), error.to_string()),
        Ok(ScopeEntry::Collection(name)) => match collections.map(|collections| collections.find(name)) {
            None => problems.add(place, "NESTED_COLLECTION", "a collection cannot hold a collection"),
            Some(None) => problems.add(place, "UNKNOWN_COLLECTION", format!("no collection is called {name:?}")),
            Some(Some(found)) if found.kind != kind => {
                let message = format!("the collection {name:?} holds {}, not {kind}", found.kind);
                problems.add(place, "WRONG_COLLECTION_KIND", message);
            }
            Some(Some(_)) => {}
        },
        Ok(ScopeEntry::Path(pattern)) => check_pattern(place, pattern, true, problems),
        Ok(
            ScopeEntry::User(pattern)
            | ScopeEntry::Group(pattern)
            | ScopeEntry::Machine(pattern)
            | ScopeEntry::Publisher(pattern),
        ) => check_pattern(place, pattern, false, problems),
        Ok(ScopeEntry::Any | ScopeEntry::Os(_) | ScopeEntry::Sha256(_)) => {}
    }
}

fn check_bare(place: &str, pattern: &str, is_path: bool, problems: &mut Problems) {
    if has_typed_prefix(pattern) {
        problems.add(
            place,
            "TYPED_PREFIX",
            "files and commands are bare patterns, without a prefix",
        );
    } else {
        check_pattern(place, pattern, is_path, problems);
    }
}

fn check_pattern(place: &str, source: &str, is_path: bool, problems: &mut Problems) {
    if let Err(error) = Pattern::parse(source) {
        problems.add(place, error.code(), error.to_string());
    } else if is_path && has_dot_component(source) {
        problems.add(place, "DOT_COMPONENT", "a pattern cannot hold the directories . and ..");
    }
}

fn check_certificates(certificates: &[String], problems: &mut Problems) {
    problems.check_count("certificates", certificates.len(), limits::ENTRIES_PER_LIST);
    for (i, thumbprint) in certificates.iter().enumerate() {
        check_pattern(&format!("certificates[{i}]"), thumbprint, false, problems);
    }
}

/// Every entry of the own field, with those of collections in their place.
fn own_entries<'a>(document: &'a PolicyDocument, collections: &'a dyn Collections) -> Vec<(usize, &'a str)> {
    let (field, entries) = document.own_field();
    let mut all = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        match ScopeEntry::parse(entry) {
            Ok(ScopeEntry::Collection(name)) if field == "applications" => {
                let members = collections.find(name).map(|found| &found.members);
                all.extend(members.into_iter().flatten().map(|member| (i, member.as_str())));
            }
            _ => all.push((i, entry.as_str())),
        }
    }
    all
}

/// The pattern of an own entry, where it is one that paths or command lines are compared with.
fn pattern_of<'a>(document: &PolicyDocument, entry: &'a str) -> Option<&'a str> {
    match (document.policy_type, ScopeEntry::parse(entry)) {
        (PolicyType::PrivilegeElevation, Ok(ScopeEntry::Path(pattern) | ScopeEntry::Publisher(pattern))) => {
            Some(pattern)
        }
        (PolicyType::PrivilegeElevation, _) => None,
        _ => Some(entry),
    }
}

/// Whether the own field lets everything in: `*`, or a pattern of wildcards alone, directly or through a collection.
pub(crate) fn is_catch_all(document: &PolicyDocument, collections: &dyn Collections) -> bool {
    own_entries(document, collections).into_iter().any(|(_, entry)| {
        let pattern = pattern_of(document, entry).and_then(|source| Pattern::parse(source).ok());
        entry == "*" || pattern.is_some_and(|pattern| pattern.is_catch_all())
    })
}

/// A deny that a protected path cannot escape has to be meant: a literal path on the list, or a hash, which may be
/// that of any file.
fn check_protected(document: &PolicyDocument, collections: &dyn Collections, problems: &mut Problems) {
    let Some(action_type) = document
        .policy_type
        .action_type()
        .filter(|kind| *kind != ActionType::CommandLine)
    else {
        return;
    };
    let reaching = own_entries(document, collections)
        .into_iter()
        .find(|(_, entry)| match ScopeEntry::parse(entry) {
            Ok(ScopeEntry::Sha256(_)) => action_type == ActionType::PrivilegeElevation,
            _ => pattern_of(document, entry).is_some_and(|source| is_protected_literal(source, action_type)),
        });
    if let Some((i, entry)) = reaching {
        let (field, _) = document.own_field();
        let message = format!(
            "{field}[{i}] ({entry}) may deny what a machine needs to start, sign in or update; \
             set confirmProtected if that is meant"
        );
        problems.add("confirmProtected", "PROTECTED_PATH", message);
    }
}

fn is_protected_literal(source: &str, action_type: ActionType) -> bool {
    let Some(pattern) = Pattern::parse(source).ok().filter(Pattern::is_literal) else {
        return false;
    };
    Os::ALL.into_iter().any(|os| {
        let Ok(path) = pattern.resolve(Subject::Path(os), &UsualPlaces) else {
            return false;
        };
        // Windows may be installed on any drive.
        let path = match path.split_once(':') {
            Some((drive, rest)) if os == Os::Windows && drive.len() == 1 => format!("c:{rest}"),
            _ => path,
        };
        protected::find(os, action_type, &path, &UsualPlaces).is_some()
    })
}
