//! The patterns of one action type on one operating system, filed by key.

mod filing;
mod hits;
mod test;

use std::cell::OnceCell;
use std::collections::HashMap;

use super::key::{self, Fact, Grams, KeyTable, Keys};
use super::scope::Bits;
use super::{Compiled, Shared};
use crate::document::{ActionType, Os, PolicyStatus};
use crate::pattern::{CALL, Subject, Values, Work};
use filing::Filing;
use hits::Target;
pub(super) use hits::{Hit, Hits};
use test::Test;

/// One filed entry: of a policy, or of a collection that policies use.
#[derive(Debug)]
struct Slot {
    target: Target,
    test: Test,
}

/// Everything about one action type on one system.
#[derive(Debug)]
pub(super) struct Table {
    subject: Subject,
    slots: Box<[Slot]>,
    /// The bytes that slots are compared with.
    arena: Box<[u8]>,
    keys: KeyTable,
    /// The kinds of facts that anything is filed under.
    kinds: key::Facts,
    /// Slots that are compared whatever the text: `*`, and patterns without a key.
    unkeyed: (u32, u32),
    /// Slots that are compared where the publisher is known.
    publishers: (u32, u32),
    /// The policies that use a collection.
    set_policies: HashMap<u32, Box<[u32]>>,
    /// For policies that name the opening program: how it is tested.
    openers: HashMap<u32, Openers>,
    /// The members of the collections that openers name.
    opener_sets: HashMap<u32, Box<[Test]>>,
}

/// Which programs may open a file.
#[derive(Debug)]
struct Openers {
    tests: Box<[Test]>,
    sets: Box<[u32]>,
}

/// What is known of the thing that an action is about.
pub(super) struct Facts<'a> {
    /// In the compared form.
    pub(super) text: &'a str,
    /// Lower-case.
    pub(super) sha256: Option<&'a str>,
    /// Folded.
    pub(super) publisher: Option<&'a str>,
    pub(super) values: &'a dyn Values,
    pub(super) work: &'a Work,
    pub(super) grams: OnceCell<Grams>,
}

impl Table {
    pub(super) fn build(policies: &[Compiled], shared: &Shared, os: Os, action_type: ActionType) -> Self {
        let subject = match action_type {
            ActionType::CommandLine => Subject::Command(os),
            ActionType::PrivilegeElevation | ActionType::FileAccess => Subject::Path(os),
        };
        let mut filing = Filing {
            subject,
            os,
            filed: Vec::new(),
            users_of_sets: HashMap::new(),
        };
        let mut openers = HashMap::new();
        let mut opener_sets = HashMap::new();
        for (i, policy) in policies.iter().enumerate() {
            if policy.policy_type != action_type.policy_type() || policy.status == PolicyStatus::Off {
                continue;
            }
            let target = Target::policy(i as u32);
            for entry in &policy.own {
                match action_type {
                    ActionType::PrivilegeElevation => filing.file_application(target, entry, shared),
                    ActionType::FileAccess | ActionType::CommandLine => filing.file_pattern(target, entry),
                }
            }
            if !policy.openers.is_empty() {
                let named = Openers::of(&policy.openers, shared, os);
                for set in &named.sets {
                    opener_sets
                        .entry(*set)
                        .or_insert_with(|| tests_of(&shared.sets[*set as usize].members, os));
                }
                openers.insert(i as u32, named);
            }
        }
        let mut sets: Vec<u32> = filing.users_of_sets.keys().copied().collect();
        sets.sort_unstable();
        for set in sets {
            for member in &shared.sets[set as usize].members {
                filing.file_application(Target::set(set), member, shared);
            }
        }
        Self {
            openers,
            opener_sets,
            ..filing.finish()
        }
    }

    pub(super) fn kinds(&self) -> key::Facts {
        self.kinds
    }

    /// Which slots belong to policies in scope.
    pub(super) fn slot_bits(&self, policies: &Bits) -> Bits {
        let in_scope = |policy: u32| policies.has(policy as usize);
        let used: HashMap<u32, bool> = self
            .set_policies
            .iter()
            .map(|(set, users)| (*set, users.iter().any(|policy| in_scope(*policy))))
            .collect();
        Bits::new(self.slots.len(), |slot| {
            let target = self.slots[slot].target;
            if target.is_set() {
                used[&target.index()]
            } else {
                in_scope(target.index())
            }
        })
    }

    /// The policies whose own field fits, in document order, each once. `slots` is none where everything is in scope.
    /// Gives up, with an incomplete answer, where the work is exhausted.
    pub(super) fn hits(&self, keys: &mut Keys, facts: &Facts<'_>, scope: Option<(&Bits, &Bits)>) -> Hits {
        let mut hits = Hits::new();
        if self.slots.is_empty() {
            return hits;
        }
        let slots = scope.map(|(_, slots)| slots);
        self.visit(self.unkeyed, slots, facts, &mut hits);
        let mut look_up = |key| {
            if let Some(range) = self.keys.find(key) {
                self.visit(range, slots, facts, &mut hits);
            }
        };
        keys.as_slice().iter().copied().for_each(&mut look_up);
        if let Some(hash) = facts.sha256 {
            look_up(key::key(Fact::Hash, hash.as_bytes()));
        }
        if let Some(publisher) = facts.publisher {
            look_up(key::key(Fact::Publisher, publisher.as_bytes()));
            self.visit(self.publishers, slots, facts, &mut hits);
        }
        if !hits.sets.is_empty() {
            self.add_sets(scope.map(|(policies, _)| policies), &mut hits);
        }
        hits.sort();
        hits
    }

    fn visit(&self, (start, end): (u32, u32), slots: Option<&Bits>, facts: &Facts<'_>, hits: &mut Hits) {
        let (start, end) = (start as usize, end as usize);
        let Some(slots) = slots else {
            for slot in &self.slots[start..end] {
                self.try_slot(slot, facts, hits);
            }
            return;
        };
        let mut at = start;
        while at < end {
            // The rest of this word, without what lies beyond the range.
            let mut word = slots.0[at / 64] >> (at % 64);
            let here = (64 - at % 64).min(end - at);
            if here < 64 {
                word &= (1 << here) - 1;
            }
            while word != 0 {
                let slot = &self.slots[at + word.trailing_zeros() as usize];
                self.try_slot(slot, facts, hits);
                word &= word - 1;
            }
            at += here;
        }
    }

    fn try_slot(&self, slot: &Slot, facts: &Facts<'_>, hits: &mut Hits) {
        if facts.work.is_exhausted() || !slot.test.fits(self.subject, &self.arena, facts) {
            return;
        }
        let target = slot.target;
        if !target.is_set() {
            hits.push(Hit::new(target.index(), target.is_literal()));
            return;
        }
        hits.sets.push(target);
    }

    /// Adds the policies that use a collection that fits.
    fn add_sets(&self, scope: Option<&Bits>, hits: &mut Hits) {
        let mut sets = std::mem::take(&mut hits.sets);
        sets.sort_unstable();
        sets.dedup();
        for set in sets {
            for policy in &self.set_policies[&set.index()] {
                if scope.is_none_or(|bits| bits.has(*policy as usize)) {
                    hits.push(Hit::new(*policy, set.is_literal()));
                }
            }
        }
    }

    /// Whether the program that opens a file is one that the policy means. True where it means any.
    pub(super) fn opener_fits(&self, policy: usize, os: Os, facts: &Facts<'_>) -> bool {
        let Some(openers) = self.openers.get(&(policy as u32)) else {
            return true;
        };
        let members = openers.sets.iter().filter_map(|set| self.opener_sets.get(set));
        let mut lists = [&openers.tests].into_iter().chain(members);
        lists.any(|tests| {
            facts.work.spend(CALL * tests.len());
            tests.iter().any(|test| test.fits(Subject::Path(os), &[], facts))
        })
    }
}

impl Openers {
    fn of(entries: &[Box<str>], shared: &Shared, os: Os) -> Self {
        let set = |entry: &str| shared.named.get(entry.strip_prefix("collection:")?).copied();
        Self {
            tests: tests_of(entries, os),
            sets: entries.iter().filter_map(|entry| set(entry)).collect(),
        }
    }
}

/// The tests of a list of application entries without its collections.
fn tests_of(entries: &[Box<str>], os: Os) -> Box<[Test]> {
    let tests = entries
        .iter()
        .filter_map(|entry| Test::of_application(Subject::Path(os), entry));
    tests.map(|(test, _)| test).collect()
}
