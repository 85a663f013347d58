//! A snapshot made ready for decisions.
//!
//! [`Index::compile`] reads every entry once. Per operating system and action type a [`table::Table`] is built when it is
//! first asked: each pattern is filed under the rarest key it must contain (whole path, file name, directory, directory
//! prefix, extension), and one bit per filed pattern says whether its policy's users and machines are in scope. A
//! decision normalises the path once, looks its few keys up, meets each bucket with the scope's bits, and compares what
//! is left. `docs/quality.md § 1` has the figures.

mod compile;
mod decide;
mod explain;
mod key;
mod scope;
mod session;
mod table;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

pub use explain::{Considered, Effect, Explanation};
pub use scope::LeastPrivilege;
pub use session::Session;

use crate::action::Action;
use crate::decision::{Decision, PolicyRef};
use crate::document::{ActionType, Baseline, Os, PolicyStatus, PolicyType};
use crate::pattern::{Matcher, Pattern};
use crate::problem::Problem;
use crate::settle::{Controls, Voice};
use crate::time::Window;
use scope::{ScopeCache, ScopeTest};
use table::Table;

/// A snapshot, compiled. Immutable but for its caches; share it between threads.
#[derive(Debug)]
pub struct Index {
    policies: Vec<Compiled>,
    shared: Arc<Shared>,
    baseline: Baseline,
    tables: [OnceLock<Table>; 9],
    scopes: ScopeCache,
}

/// What policies refer to: each distinct user and machine entry once, and the collections.
#[derive(Debug, Default)]
struct Shared {
    tests: Vec<ScopeTest>,
    sets: Vec<Set>,
    /// Where a collection stands in `sets`, by its name and by its id.
    named: HashMap<Box<str>, u32>,
}

/// A compiled collection.
#[derive(Debug)]
struct Set {
    /// Users and machines: indices of [`Shared::tests`].
    tests: Box<[u32]>,
    /// Applications: the entries as written.
    members: Box<[Box<str>]>,
}

/// A policy, compiled as far as it can be without knowing the endpoint.
#[derive(Clone, Debug)]
struct Compiled {
    who: PolicyRef,
    policy_type: PolicyType,
    status: PolicyStatus,
    controls: Controls,
    exception: bool,
    catch_all: bool,
    /// Indices of [`Shared::tests`].
    users: Box<[u32]>,
    machines: Box<[u32]>,
    /// The entries of its own field as written.
    own: Box<[Box<str>]>,
    /// `file_access` only: which programs may be meant; empty means any.
    openers: Box<[Box<str>]>,
    window: Option<Box<Window>>,
    certificates: Box<[NamePattern]>,
    /// Whether a variable stands in its users or machines, so that scope depends on the action.
    dynamic_scope: bool,
    /// Whether anything but scope and its own field has to be looked at.
    conditional: bool,
    risk_level: u32,
    access_minutes: u32,
    mfa_always: bool,
    message: Option<Box<str>>,
    require_acknowledgement: bool,
    keep_admins: Box<[Box<str>]>,
}

impl Compiled {
    fn voice(&self, literal: bool) -> Voice {
        Voice {
            controls: self.controls,
            exception: self.exception,
            catch_all: self.catch_all,
            literal,
        }
    }
}

/// A pattern over a name, where possible ready to be compared.
#[derive(Clone, Debug)]
enum NamePattern {
    Ready(Matcher),
    Dynamic(Pattern),
}

/// A snapshot that cannot be decided on. An agent that meets one keeps the snapshot it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// Every entry that could not be read, with its place in the snapshot.
    pub problems: Vec<Problem>,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the snapshot cannot be compiled")?;
        for problem in &self.problems {
            write!(f, "; {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CompileError {}

impl Index {
    /// How many policies the snapshot holds, `off` ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether the snapshot holds no policy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Decides on one action (`docs/domain.md § 2`, "Decision algorithm"). Never fails: what cannot be judged is denied.
    #[must_use]
    pub fn decide(&self, action: &Action) -> Decision {
        let scope = self.scope(&action.user, &action.machine);
        self.decide_in(Some(&scope), action)
    }

    /// Builds the tables of one operating system now instead of at its first action.
    pub fn prepare(&self, os: Os) {
        for action_type in ActionType::ALL {
            self.table(os, action_type);
        }
    }

    fn table(&self, os: Os, action_type: ActionType) -> &Table {
        self.tables[os as usize * 3 + action_type as usize]
            .get_or_init(|| Table::build(&self.policies, &self.shared, os, action_type))
    }
}
