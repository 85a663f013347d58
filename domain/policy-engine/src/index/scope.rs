//! Who and where: which policies' users and machines hold an account on an endpoint.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::{Index, NamePattern, Shared, key};
use crate::action::{Machine, User};
use crate::decision::PolicyRef;
use crate::document::{ActionType, Os, PolicyStatus, PolicyType};
use crate::fold;
use crate::pattern::{CALL, NoValues, Subject, Values, Variable, Work};

/// Scopes remembered before the cache starts over.
const REMEMBERED: usize = 4_096;

/// One entry of `users` or `machines`.
#[derive(Debug)]
pub(super) enum ScopeTest {
    Any,
    /// Index of [`Shared::sets`].
    Set(u32),
    User(NamePattern),
    Group(NamePattern),
    Machine(NamePattern),
    Os(Os),
}

impl ScopeTest {
    /// Whether a variable stands in it.
    pub(super) fn is_dynamic(&self) -> bool {
        matches!(
            self,
            Self::User(NamePattern::Dynamic(_))
                | Self::Group(NamePattern::Dynamic(_))
                | Self::Machine(NamePattern::Dynamic(_))
        )
    }
}

/// How an entry relates to an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    No,
    /// It needs a variable that has no value.
    Missing(Variable),
}

impl From<bool> for Fit {
    fn from(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// Names in the form in which they are compared.
pub(super) struct Names<'a> {
    user: String,
    groups: Vec<String>,
    machine: String,
    os: Os,
    values: &'a dyn Values,
}

impl<'a> Names<'a> {
    pub(super) fn of(user: &User, machine: &Machine, values: &'a dyn Values) -> Self {
        Self {
            user: fold::fold(&user.name),
            groups: user.groups.iter().map(|group| fold::fold(group)).collect(),
            machine: fold::fold(&machine.name),
            os: machine.os,
            values,
        }
    }
}

impl NamePattern {
    /// Compares with a folded name.
    pub(super) fn fits(&self, name: &str, values: &dyn Values, work: &Work) -> Fit {
        match self {
            Self::Ready(matcher) => matcher.matches(name, work).into(),
            Self::Dynamic(pattern) => match pattern.matcher(Subject::Name, values) {
                Ok(matcher) => matcher.matches(name, work).into(),
                Err(variable) => Fit::Missing(variable),
            },
        }
    }
}

impl Shared {
    /// Whether any of the entries fits. The second answer is a variable that was missing on the way.
    pub(super) fn any_fits(&self, tests: &[u32], names: &Names<'_>, work: &Work) -> (bool, Option<Variable>) {
        let mut missing = None;
        work.spend(CALL * tests.len());
        for &test in tests {
            match self.fits(test, names, work) {
                Fit::Yes => return (true, missing),
                Fit::No => {}
                Fit::Missing(variable) => missing = Some(variable),
            }
        }
        (false, missing)
    }

    fn fits(&self, test: u32, names: &Names<'_>, work: &Work) -> Fit {
        match &self.tests[test as usize] {
            ScopeTest::Any => Fit::Yes,
            ScopeTest::Os(os) => (*os == names.os).into(),
            ScopeTest::User(pattern) => pattern.fits(&names.user, names.values, work),
            ScopeTest::Machine(pattern) => pattern.fits(&names.machine, names.values, work),
            ScopeTest::Group(pattern) => {
                let mut all = names.groups.iter().map(|group| pattern.fits(group, names.values, work));
                all.find(|fit| *fit != Fit::No).unwrap_or(Fit::No)
            }
            ScopeTest::Set(set) => match self.any_fits(&self.sets[*set as usize].tests, names, work) {
                (true, _) => Fit::Yes,
                (false, None) => Fit::No,
                (false, Some(variable)) => Fit::Missing(variable),
            },
        }
    }
}

/// Which policies may match for one account on one endpoint, as bits: by policy, and by slot of each table.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) policies: Bits,
    slots: [OnceLock<Bits>; 3],
}

/// One bit per thing.
#[derive(Debug)]
pub(super) struct Bits(pub(super) Box<[u64]>);

impl Bits {
    pub(super) fn new(len: usize, is_set: impl Fn(usize) -> bool) -> Self {
        let mut words = vec![0_u64; len.div_ceil(64)];
        for i in (0..len).filter(|i| is_set(*i)) {
            words[i / 64] |= 1 << (i % 64);
        }
        Self(words.into())
    }

    pub(super) fn has(&self, i: usize) -> bool {
        self.0[i / 64] & (1 << (i % 64)) != 0
    }
}

impl Scope {
    pub(super) fn slots(&self, index: &Index, os: Os, action_type: ActionType) -> &Bits {
        self.slots[action_type as usize].get_or_init(|| index.table(os, action_type).slot_bits(&self.policies))
    }
}

/// Scopes by account and endpoint, since the same few act again and again.
#[derive(Debug, Default)]
pub(super) struct ScopeCache {
    known: RwLock<HashMap<u64, Known>>,
}

/// Two who share a key only take turns in the cache.
fn key_of(user: &User, machine: &Machine) -> u64 {
    let names = user.groups.iter().chain([&user.name, &machine.name]);
    names.fold(machine.os as u64, |key, name| key::chain(key, name.as_bytes()))
}

#[derive(Debug)]
struct Known {
    user: User,
    machine: Machine,
    scope: Arc<Scope>,
}

impl Index {
    pub(super) fn scope(&self, user: &User, machine: &Machine) -> Arc<Scope> {
        let key = key_of(user, machine);
        let read = self.scopes.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = read
            .get(&key)
            .filter(|known| known.user == *user && known.machine == *machine)
        {
            return Arc::clone(&known.scope);
        }
        drop(read);
        let scope = Arc::new(self.compute_scope(user, machine));
        let mut known = self.scopes.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(
            key,
            Known {
                user: user.clone(),
                machine: machine.clone(),
                scope: Arc::clone(&scope),
            },
        );
        scope
    }

    /// Asks each distinct entry once. An entry with a variable counts as fitting here; the decision asks it again.
    fn compute_scope(&self, user: &User, machine: &Machine) -> Scope {
        let work = Work::default();
        let names = Names::of(user, machine, &NoValues);
        let tests = self.shared.tests.len() as u32;
        let fits = Bits::new(tests as usize, |test| {
            self.shared.fits(test as u32, &names, &work) != Fit::No
        });
        let any = |list: &[u32]| list.iter().any(|test| fits.has(*test as usize));
        let policies = Bits::new(self.policies.len(), |i| {
            let policy = &self.policies[i];
            policy.status != PolicyStatus::Off && any(&policy.users) && any(&policy.machines)
        });
        Scope {
            policies,
            slots: Default::default(),
        }
    }

    /// What `least_privilege` policies want of a machine; none where no enforced one holds it.
    #[must_use]
    pub fn least_privilege(&self, machine: &Machine) -> Option<LeastPrivilege> {
        let nobody = User {
            name: String::new(),
            groups: Vec::new(),
        };
        let work = Work::default();
        let names = Names::of(&nobody, machine, &NoValues);
        let mut wanted = LeastPrivilege::default();
        for policy in &self.policies {
            let counts = policy.policy_type == PolicyType::LeastPrivilege && policy.status == PolicyStatus::Enforce;
            if counts && self.shared.any_fits(&policy.machines, &names, &work).0 {
                wanted.policies.push(policy.who.clone());
                for account in &policy.keep_admins {
                    if !wanted.keep_admins.iter().any(|kept| fold::eq_folded(kept, account)) {
                        wanted.keep_admins.push(account.to_string());
                    }
                }
            }
        }
        (!wanted.policies.is_empty()).then_some(wanted)
    }
}

/// The desired state of a machine: everybody but these accounts loses administrator rights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeastPrivilege {
    /// The enforced policies that hold the machine, in document order.
    pub policies: Vec<PolicyRef>,
    /// The `keepAdmins` of all of them, each once.
    pub keep_admins: Vec<String>,
}
