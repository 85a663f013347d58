//! The patterns of one action type on one operating system, filed by key.

use std::collections::HashMap;

use super::key::{self, Fact, KeyTable, Keys};
use super::scope::Bits;
use super::{Compiled, NamePattern, Shared};
use crate::document::{ActionType, Os, PolicyStatus, ScopeEntry};
use crate::fold;
use crate::pattern::{Matcher, NoValues, Pattern, Subject, Values, Work, has_dot_component};

/// Stands for a value that is not known yet while keys are read off a pattern. A noncharacter, like the wildcards.
const OPAQUE: char = '\u{fdd2}';

/// One filed entry: of a policy, or of a collection that policies use.
#[derive(Debug)]
struct Slot {
    target: Target,
    /// A literal path or a hash: denies on protected paths too.
    literal: bool,
    test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    /// Index of the policy.
    Policy(u32),
    /// Index of the collection.
    Set(u32),
}

/// How an entry is compared once its key fits.
#[derive(Debug)]
enum Test {
    /// `*`
    Always,
    Text(Box<Matcher>),
    Dynamic(Box<Pattern>),
    /// Lower-case hexadecimal.
    Hash(Box<str>),
    Publisher(Box<NamePattern>),
}

/// Everything about one action type on one system.
#[derive(Debug)]
pub(super) struct Table {
    subject: Subject,
    slots: Box<[Slot]>,
    keys: KeyTable,
    /// Slots that are compared whatever the text: `*`, and patterns without a key.
    unkeyed: (u32, u32),
    /// Slots that are compared where the publisher is known.
    publishers: (u32, u32),
    /// The policies that use a collection.
    set_policies: HashMap<u32, Box<[u32]>>,
    /// For policies that name the opening program: how it is tested.
    openers: HashMap<u32, Box<[Test]>>,
}

/// What is known of the thing that an action is about.
pub(super) struct Facts<'a> {
    /// In the compared form.
    pub(super) text: &'a str,
    pub(super) keys: &'a mut Keys,
    /// Lower-case.
    pub(super) sha256: Option<&'a str>,
    /// Folded.
    pub(super) publisher: Option<&'a str>,
    pub(super) values: &'a dyn Values,
    pub(super) work: &'a Work,
}

/// A policy whose own field fits, and whether by a literal path or a hash. Orders by policy, literal first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit(u32);

impl Hit {
    fn new(policy: u32, literal: bool) -> Self {
        Self(policy << 1 | u32::from(!literal))
    }

    pub(super) fn policy(self) -> usize {
        (self.0 >> 1) as usize
    }

    pub(super) fn is_literal(self) -> bool {
        self.0 & 1 == 0
    }
}

/// Where a slot is filed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Key(u64),
    Unkeyed,
    Publishers,
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
        for (i, policy) in policies.iter().enumerate() {
            if policy.policy_type != action_type.policy_type() || policy.status == PolicyStatus::Off {
                continue;
            }
            let target = Target::Policy(i as u32);
            for entry in &policy.own {
                match action_type {
                    ActionType::PrivilegeElevation => filing.file_application(target, entry, shared),
                    ActionType::FileAccess | ActionType::CommandLine => filing.file_pattern(target, entry),
                }
            }
            if !policy.openers.is_empty() {
                openers.insert(i as u32, opener_tests(&policy.openers, shared, os));
            }
        }
        let mut sets: Vec<u32> = filing.users_of_sets.keys().copied().collect();
        sets.sort_unstable();
        for set in sets {
            for member in &shared.sets[set as usize].members {
                filing.file_application(Target::Set(set), member, shared);
            }
        }
        filing.finish(openers)
    }

    /// Which slots belong to policies in scope.
    pub(super) fn slot_bits(&self, policies: &Bits) -> Bits {
        let in_scope = |policy: u32| policies.has(policy as usize);
        Bits::new(self.slots.len(), |slot| match self.slots[slot].target {
            Target::Policy(policy) => in_scope(policy),
            Target::Set(set) => self.set_policies[&set].iter().any(|policy| in_scope(*policy)),
        })
    }

    /// The policies whose own field fits, in document order, each once. `slots` is none where everything is in scope.
    /// Gives up, with an incomplete answer, where the work is exhausted.
    pub(super) fn hits(&self, facts: &mut Facts<'_>, scope: Option<(&Bits, &Bits)>) -> Vec<Hit> {
        let mut hits = Vec::new();
        if self.slots.is_empty() {
            return hits;
        }
        let mut ranges = Ranges {
            few: [(0, 0); 48],
            len: 0,
            many: Vec::new(),
        };
        ranges.push(self.unkeyed);
        let mut look_up = |key| {
            if let Some(range) = self.keys.find(key) {
                ranges.push(range);
            }
        };
        facts.keys.each(&mut look_up);
        if let Some(hash) = facts.sha256 {
            look_up(key::key(Fact::Hash, hash.as_bytes()));
        }
        if let Some(publisher) = facts.publisher {
            look_up(key::key(Fact::Publisher, publisher.as_bytes()));
            ranges.push(self.publishers);
        }
        ranges.each(|range| self.visit(range, scope, facts, &mut hits));
        hits.sort_unstable();
        hits.dedup_by_key(|hit| hit.policy());
        hits
    }

    fn visit(&self, (start, end): (u32, u32), scope: Option<(&Bits, &Bits)>, facts: &Facts<'_>, hits: &mut Vec<Hit>) {
        let (start, end) = (start as usize, end as usize);
        let Some((policies, slots)) = scope else {
            for slot in &self.slots[start..end] {
                self.try_slot(slot, None, facts, hits);
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
                self.try_slot(slot, Some(policies), facts, hits);
                word &= word - 1;
            }
            at += here;
        }
    }

    fn try_slot(&self, slot: &Slot, scope: Option<&Bits>, facts: &Facts<'_>, hits: &mut Vec<Hit>) {
        if facts.work.is_exhausted() || !slot.test.fits(self.subject, facts) {
            return;
        }
        match slot.target {
            Target::Policy(policy) => hits.push(Hit::new(policy, slot.literal)),
            Target::Set(set) => {
                let users = self.set_policies[&set].iter();
                let in_scope = users.filter(|policy| scope.is_none_or(|bits| bits.has(**policy as usize)));
                hits.extend(in_scope.map(|policy| Hit::new(*policy, slot.literal)));
            }
        }
    }

    /// Whether the program that opens a file is one that the policy means. True where it means any.
    pub(super) fn opener_fits(&self, policy: usize, os: Os, facts: &Facts<'_>) -> bool {
        let tests = self.openers.get(&(policy as u32));
        tests.is_none_or(|tests| tests.iter().any(|test| test.fits(Subject::Path(os), facts)))
    }
}

impl Test {
    fn fits(&self, subject: Subject, facts: &Facts<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::Text(matcher) => matcher.matches(facts.text, facts.work),
            Self::Dynamic(pattern) => pattern
                .matcher(subject, facts.values)
                .is_ok_and(|matcher| matcher.matches(facts.text, facts.work)),
            Self::Hash(hash) => facts.sha256 == Some(&**hash),
            Self::Publisher(pattern) => facts
                .publisher
                .is_some_and(|publisher| pattern.fits(publisher, facts.values) == super::scope::Fit::Yes),
        }
    }

    /// The test of one application entry; none for a collection.
    fn of_application(subject: Subject, entry: &str) -> Option<(Self, bool)> {
        Some(match ScopeEntry::parse(entry).ok()? {
            ScopeEntry::Any => (Self::Always, false),
            ScopeEntry::Path(pattern) => {
                let pattern = Pattern::parse(pattern).ok()?;
                let literal = pattern.is_literal();
                (Self::of_text(subject, pattern), literal)
            }
            ScopeEntry::Sha256(hash) => (Self::Hash(hash.to_ascii_lowercase().into()), true),
            ScopeEntry::Publisher(pattern) => (
                Self::Publisher(Box::new(NamePattern::of(Pattern::parse(pattern).ok()?))),
                false,
            ),
            _ => return None,
        })
    }

    fn of_text(subject: Subject, pattern: Pattern) -> Self {
        match pattern.matcher(subject, &NoValues) {
            Ok(matcher) => Self::Text(Box::new(matcher)),
            Err(_) => Self::Dynamic(Box::new(pattern)),
        }
    }
}

fn opener_tests(entries: &[Box<str>], shared: &Shared, os: Os) -> Box<[Test]> {
    let mut tests = Vec::new();
    for entry in entries {
        match ScopeEntry::parse(entry) {
            Ok(ScopeEntry::Collection(name)) => {
                let members = shared.named.get(name).map(|set| &shared.sets[*set as usize].members);
                tests.extend(
                    members
                        .into_iter()
                        .flatten()
                        .filter_map(|m| Test::of_application(Subject::Path(os), m)),
                );
            }
            _ => tests.extend(Test::of_application(Subject::Path(os), entry)),
        }
    }
    tests.into_iter().map(|(test, _)| test).collect()
}

/// Collects entries and their keys before each is filed under its rarest one.
struct Filing {
    subject: Subject,
    os: Os,
    filed: Vec<(Slot, Vec<u64>)>,
    users_of_sets: HashMap<u32, Vec<u32>>,
}

impl Filing {
    fn file_application(&mut self, target: Target, entry: &str, shared: &Shared) {
        match ScopeEntry::parse(entry) {
            Ok(ScopeEntry::Collection(name)) => {
                if let (Some(set), Target::Policy(policy)) = (shared.named.get(name), target) {
                    self.users_of_sets.entry(*set).or_default().push(policy);
                }
            }
            Ok(ScopeEntry::Path(pattern)) => self.file_pattern_as(target, pattern),
            Ok(_) => {
                let Some((test, literal)) = Test::of_application(self.subject, entry) else {
                    return;
                };
                let keys = match &test {
                    Test::Hash(hash) => vec![key::key(Fact::Hash, hash.as_bytes())],
                    Test::Publisher(_) => publisher_key(entry).into_iter().collect(),
                    _ => Vec::new(),
                };
                self.filed.push((Slot { target, literal, test }, keys));
            }
            Err(_) => {}
        }
    }

    fn file_pattern(&mut self, target: Target, entry: &str) {
        if entry == "*" {
            self.filed.push((
                Slot {
                    target,
                    literal: false,
                    test: Test::Always,
                },
                Vec::new(),
            ));
        } else {
            self.file_pattern_as(target, entry);
        }
    }

    fn file_pattern_as(&mut self, target: Target, source: &str) {
        let Ok(pattern) = Pattern::parse(source) else { return };
        let literal = pattern.is_literal();
        let separator = match self.subject {
            Subject::Path(_) => self.os.separator(),
            Subject::Command(_) | Subject::Name => b' ',
        };
        // A `..` next to a value could climb anywhere; saving refuses it.
        let keys = if !pattern.is_static() && matches!(self.subject, Subject::Path(_)) && has_dot_component(source) {
            Vec::new()
        } else {
            key::of_pattern(&pattern.resolve_opaque(self.subject, OPAQUE), separator, OPAQUE)
        };
        let test = Test::of_text(self.subject, pattern);
        self.filed.push((Slot { target, literal, test }, keys));
    }

    fn finish(self, openers: HashMap<u32, Box<[Test]>>) -> Table {
        let mut uses: HashMap<u64, u32> = HashMap::new();
        for key in self.filed.iter().flat_map(|(_, keys)| keys) {
            *uses.entry(*key).or_default() += 1;
        }
        let mut placed: Vec<(Place, Slot)> = Vec::with_capacity(self.filed.len());
        for (slot, keys) in self.filed {
            // The later a key was read off, the more it tells; it wins where two are equally rare.
            let rarest = keys
                .into_iter()
                .rev()
                .min_by_key(|key| uses.get(key).copied().unwrap_or_default());
            let place = match (&slot.test, rarest) {
                (_, Some(key)) => Place::Key(key),
                (Test::Publisher(_), None) => Place::Publishers,
                _ => Place::Unkeyed,
            };
            placed.push((place, slot));
        }
        placed.sort_by(|(a, left), (b, right)| a.cmp(b).then(left.target.cmp(&right.target)));
        let mut ranges = Vec::new();
        let (mut unkeyed, mut publishers) = ((0, 0), (0, 0));
        let mut start = 0;
        for group in placed.chunk_by(|(a, _), (b, _)| a == b) {
            let end = start + group.len() as u32;
            match group[0].0 {
                Place::Key(key) => ranges.push((key, start, end)),
                Place::Unkeyed => unkeyed = (start, end),
                Place::Publishers => publishers = (start, end),
            }
            start = end;
        }
        Table {
            subject: self.subject,
            slots: placed.into_iter().map(|(_, slot)| slot).collect(),
            keys: KeyTable::build(&ranges),
            unkeyed,
            publishers,
            set_policies: self
                .users_of_sets
                .into_iter()
                .map(|(set, users)| (set, users.into()))
                .collect(),
            openers,
        }
    }
}

/// The key of a publisher that is written out in full.
fn publisher_key(entry: &str) -> Option<u64> {
    let name = entry.strip_prefix("publisher:")?;
    let pattern = Pattern::parse(name).ok()?;
    (pattern.is_static() && pattern.is_literal()).then(|| key::key(Fact::Publisher, fold::fold(name).as_bytes()))
}

/// Distinct ranges of slots to be visited.
struct Ranges {
    few: [(u32, u32); 48],
    len: usize,
    many: Vec<(u32, u32)>,
}

impl Ranges {
    fn push(&mut self, range: (u32, u32)) {
        if range.0 == range.1 {
            return;
        }
        if self.len < self.few.len() {
            self.few[self.len] = range;
            self.len += 1;
        } else {
            self.many.push(range);
        }
    }

    fn each(&self, visit: impl FnMut((u32, u32))) {
        self.few[..self.len].iter().chain(&self.many).copied().for_each(visit);
    }
}
