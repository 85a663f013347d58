//! From documents to [`Compiled`] policies. Refuses what it does not understand, so that nothing is silently left out.

use std::collections::HashMap;
use std::sync::Arc;

use super::scope::{ScopeCache, ScopeTest};
use super::{CompileError, Compiled, Index, NamePattern, Set, Shared};
use crate::decision::PolicyRef;
use crate::document::{CollectionKind, PolicyDocument, PolicyType, ScopeEntry};
use crate::limits;
use crate::pattern::{NoValues, Pattern, Subject};
use crate::problem::Problem;
use crate::settle::Controls;
use crate::snapshot::{Snapshot, SnapshotCollection};
use crate::time::Window;

impl Index {
    /// Compiles a snapshot.
    ///
    /// # Errors
    /// [`CompileError`] where an entry cannot be read, a collection is unknown or of another kind, or a limit is exceeded:
    /// all things that saving refuses, so that they mean a damaged snapshot.
    pub fn compile(snapshot: &Snapshot) -> Result<Self, CompileError> {
        let mut compiler = Compiler::default();
        compiler.check_size(snapshot);
        compiler.read_collections(&snapshot.collections);
        let mut policies = Vec::with_capacity(snapshot.policies.len());
        for (i, policy) in snapshot.policies.iter().enumerate() {
            let who = PolicyRef::new(&policy.id, policy.revision, &policy.document.name);
            compiler.place = format!("policies[{i}].document");
            policies.extend(compiler.read_policy(who, &policy.document));
        }
        if !compiler.problems.is_empty() {
            return Err(CompileError {
                problems: compiler.problems,
            });
        }
        let named = compiler
            .named
            .iter()
            .map(|(name, (at, _))| ((*name).into(), *at))
            .collect();
        let shared = Arc::new(Shared {
            tests: compiler.tests,
            sets: compiler.sets,
            named,
        });
        Ok(Self::of(policies, shared, snapshot.baseline.clone()))
    }

    pub(super) fn of(policies: Vec<Compiled>, shared: Arc<Shared>, baseline: crate::Baseline) -> Self {
        Self {
            policies,
            shared,
            baseline,
            tables: Default::default(),
            scopes: ScopeCache::default(),
        }
    }
}

#[derive(Default)]
struct Compiler<'s> {
    tests: Vec<ScopeTest>,
    /// Where a user or machine entry already stands in `tests`.
    interned: HashMap<(CollectionKind, &'s str), u32>,
    sets: Vec<Set>,
    /// By name and by id.
    named: HashMap<&'s str, (u32, CollectionKind)>,
    problems: Vec<Problem>,
    place: String,
}

impl<'s> Compiler<'s> {
    fn refuse(&mut self, field: &str, code: &str, message: impl Into<String>) {
        self.problems
            .push(Problem::new(format!("{}.{field}", self.place), code, message));
    }

    fn check_size(&mut self, snapshot: &Snapshot) {
        let of_policy = |policy: &crate::SnapshotPolicy| {
            let PolicyDocument {
                users,
                machines,
                applications,
                commands,
                files,
                certificates,
                ..
            } = &policy.document;
            [users, machines, applications, commands, files, certificates]
                .map(Vec::len)
                .iter()
                .sum::<usize>()
        };
        let entries = snapshot.policies.iter().map(of_policy).sum::<usize>()
            + snapshot
                .collections
                .iter()
                .map(|collection| collection.members.len())
                .sum::<usize>();
        for (field, count, limit) in [
            ("policies", snapshot.policies.len(), limits::SNAPSHOT_POLICIES),
            ("collections", snapshot.collections.len(), limits::SNAPSHOT_COLLECTIONS),
            ("entries", entries, limits::SNAPSHOT_ENTRIES),
        ] {
            if count > limit {
                self.problems.push(Problem::new(
                    field,
                    "TOO_MANY",
                    format!("{count} are more than {limit}"),
                ));
            }
        }
    }

    fn read_collections(&mut self, collections: &'s [SnapshotCollection]) {
        for (i, collection) in collections.iter().enumerate() {
            self.place = format!("collections[{i}]");
            self.check_count("members", collection.members.len(), limits::COLLECTION_MEMBERS);
            let mut tests = Vec::new();
            let mut members = Vec::new();
            for (m, member) in collection.members.iter().enumerate() {
                let field = format!("members[{m}]");
                match ScopeEntry::parse_in(collection.kind, member) {
                    Ok(ScopeEntry::Collection(_)) => {
                        self.refuse(&field, "NESTED_COLLECTION", "a collection cannot hold a collection");
                    }
                    Ok(_) if collection.kind == CollectionKind::Applications => {
                        self.check_application(&field, member);
                        members.push(member.as_str().into());
                    }
                    Ok(entry) => tests.extend(self.intern(&field, collection.kind, member, entry)),
                    Err(error) => self.refuse(&field, error.code(), error.to_string()),
                }
            }
            let at = self.sets.len() as u32;
            self.sets.push(Set {
                tests: tests.into(),
                members: members.into(),
            });
            // An id wins over a name that happens to be spelled like it.
            self.named.entry(&collection.name).or_insert((at, collection.kind));
            self.named.insert(&collection.id, (at, collection.kind));
        }
    }

    fn read_policy(&mut self, who: PolicyRef, document: &'s PolicyDocument) -> Option<Compiled> {
        let before = self.problems.len();
        let users = self.read_scope("users", CollectionKind::Users, &document.users);
        let machines = self.read_scope("machines", CollectionKind::Machines, &document.machines);
        self.check_applications(&document.applications);
        let (field, own) = document.own_field();
        if matches!(document.policy_type, PolicyType::FileAccess | PolicyType::CommandLine) {
            self.check_patterns(field, own);
        }
        let certificates = self.read_certificates(&document.certificates);
        let window = Window::of(document).unwrap_or_else(|error| {
            let (field, code, message) = crate::validate::describe_range(&error);
            self.refuse(&field, code, message);
            None
        });
        if self.problems.len() > before {
            return None;
        }
        let openers: &[String] = match document.policy_type {
            PolicyType::FileAccess if document.applications.iter().all(|entry| entry != "*") => &document.applications,
            _ => &[],
        };
        let dynamic_scope = users.iter().chain(&machines).any(|test| self.is_dynamic(*test));
        let conditional = dynamic_scope || window.is_some() || !certificates.is_empty() || !openers.is_empty();
        let keeps_machines = document.policy_type == PolicyType::LeastPrivilege;
        Some(Compiled {
            who,
            policy_type: document.policy_type,
            status: document.status,
            controls: Controls::of(&document.controls),
            exception: document.exception,
            catch_all: document.is_catch_all(),
            users: users.into(),
            machines: machines.into(),
            own: if keeps_machines { Box::default() } else { boxed(own) },
            openers: boxed(openers),
            window: window.map(Box::new),
            certificates: certificates.into(),
            dynamic_scope,
            conditional,
            risk_level: document.risk_level,
            access_minutes: document.access_minutes,
            mfa_always: document.mfa_always,
            message: (!document.notification.message.is_empty()).then(|| document.notification.message.as_str().into()),
            require_acknowledgement: document.notification.require_acknowledgement,
            keep_admins: boxed(&document.keep_admins),
        })
    }

    fn read_scope(&mut self, field: &str, kind: CollectionKind, entries: &'s [String]) -> Vec<u32> {
        self.check_count(field, entries.len(), limits::ENTRIES_PER_LIST);
        let mut tests = Vec::with_capacity(entries.len());
        for (i, text) in entries.iter().enumerate() {
            let field = || format!("{field}[{i}]");
            match ScopeEntry::parse_in(kind, text) {
                Ok(entry) => tests.extend(self.intern(&field(), kind, text, entry)),
                Err(error) => self.refuse(&field(), error.code(), error.to_string()),
            }
        }
        tests
    }

    fn intern(&mut self, field: &str, kind: CollectionKind, text: &'s str, entry: ScopeEntry<'_>) -> Option<u32> {
        if let Some(at) = self.interned.get(&(kind, text)) {
            return Some(*at);
        }
        let test = match entry {
            ScopeEntry::Any => ScopeTest::Any,
            ScopeEntry::Os(os) => ScopeTest::Os(os),
            ScopeEntry::Collection(name) => ScopeTest::Set(self.find_set(field, name, kind)?),
            ScopeEntry::User(pattern) => ScopeTest::User(self.read_name(field, pattern)?),
            ScopeEntry::Group(pattern) => ScopeTest::Group(self.read_name(field, pattern)?),
            ScopeEntry::Machine(pattern) => ScopeTest::Machine(self.read_name(field, pattern)?),
            // `parse_in` lets none of these into a users or machines field.
            ScopeEntry::Path(_) | ScopeEntry::Sha256(_) | ScopeEntry::Publisher(_) => return None,
        };
        let at = self.tests.len() as u32;
        self.tests.push(test);
        self.interned.insert((kind, text), at);
        Some(at)
    }

    fn find_set(&mut self, field: &str, name: &str, kind: CollectionKind) -> Option<u32> {
        match self.named.get(name) {
            Some((at, found)) if *found == kind => Some(*at),
            Some((_, found)) => {
                let message = format!("the collection {name:?} holds {found}");
                self.refuse(field, "WRONG_COLLECTION_KIND", message);
                None
            }
            None => {
                self.refuse(field, "UNKNOWN_COLLECTION", format!("no collection is called {name:?}"));
                None
            }
        }
    }

    fn read_name(&mut self, field: &str, pattern: &str) -> Option<NamePattern> {
        match Pattern::parse(pattern) {
            Ok(pattern) => Some(NamePattern::of(pattern)),
            Err(error) => {
                self.refuse(field, error.code(), error.to_string());
                None
            }
        }
    }

    fn is_dynamic(&self, test: u32) -> bool {
        match &self.tests[test as usize] {
            ScopeTest::Set(set) => self.sets[*set as usize].tests.iter().any(|test| self.is_dynamic(*test)),
            test => test.is_dynamic(),
        }
    }

    fn check_applications(&mut self, entries: &[String]) {
        self.check_count("applications", entries.len(), limits::ENTRIES_PER_LIST);
        for (i, text) in entries.iter().enumerate() {
            self.check_application(&format!("applications[{i}]"), text);
        }
    }

    fn check_application(&mut self, field: &str, text: &str) {
        match ScopeEntry::parse_in(CollectionKind::Applications, text) {
            Ok(ScopeEntry::Collection(name)) => {
                self.find_set(field, name, CollectionKind::Applications);
            }
            Ok(ScopeEntry::Path(pattern) | ScopeEntry::Publisher(pattern)) => {
                self.read_name(field, pattern);
            }
            Ok(_) => {}
            Err(error) => self.refuse(field, error.code(), error.to_string()),
        }
    }

    fn check_patterns(&mut self, field: &str, patterns: &[String]) {
        self.check_count(field, patterns.len(), limits::ENTRIES_PER_LIST);
        for (i, pattern) in patterns.iter().enumerate() {
            self.read_name(&format!("{field}[{i}]"), pattern);
        }
    }

    fn read_certificates(&mut self, entries: &[String]) -> Vec<NamePattern> {
        self.check_count("certificates", entries.len(), limits::ENTRIES_PER_LIST);
        let read = entries.iter().enumerate();
        read.filter_map(|(i, entry)| self.read_name(&format!("certificates[{i}]"), entry))
            .collect()
    }

    fn check_count(&mut self, field: &str, count: usize, limit: usize) {
        if count > limit {
            self.refuse(field, "TOO_MANY", format!("{count} entries are more than {limit}"));
        }
    }
}

impl NamePattern {
    pub(super) fn of(pattern: Pattern) -> Self {
        match pattern.matcher(Subject::Name, &NoValues) {
            Ok(matcher) => Self::Ready(matcher),
            Err(_) => Self::Dynamic(pattern),
        }
    }
}

fn boxed(entries: &[String]) -> Box<[Box<str>]> {
    entries.iter().map(|entry| entry.as_str().into()).collect()
}
