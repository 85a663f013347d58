//! The patterns of one action type on one operating system, filed by key.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;

use super::key::{self, Fact, Grams, KeyTable, Keys};
use super::scope::{Bits, Fit};
use super::{Compiled, NamePattern, Shared};
use crate::document::{ActionType, Os, PolicyStatus, ScopeEntry};
use crate::fold;
use crate::path;
use crate::pattern::{CALL, Matcher, NoValues, Pattern, Subject, Values, Variable, Work, has_dot_component, usable};

/// Stands for a value that is not known yet while keys are read off a pattern. A noncharacter, like the wildcards.
const OPAQUE: char = '\u{fdd2}';

/// One filed entry: of a policy, or of a collection that policies use.
#[derive(Debug)]
struct Slot {
    target: Target,
    test: Test,
}

/// Whom an entry speaks for, and whether it is a literal path or a hash, which denies on protected paths too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Target(u32);

impl Target {
    const SET: u32 = 1 << 31;
    const LITERAL: u32 = 1 << 30;

    fn policy(index: u32) -> Self {
        Self(index)
    }

    fn set(index: u32) -> Self {
        Self(index | Self::SET)
    }

    fn literal(self, literal: bool) -> Self {
        if literal { Self(self.0 | Self::LITERAL) } else { self }
    }

    fn is_set(self) -> bool {
        self.0 & Self::SET != 0
    }

    fn is_literal(self) -> bool {
        self.0 & Self::LITERAL != 0
    }

    fn index(self) -> u32 {
        self.0 & !(Self::SET | Self::LITERAL)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_set() { "set" } else { "policy" };
        write!(
            f,
            "{kind} {}{}",
            self.index(),
            if self.is_literal() { " literally" } else { "" }
        )
    }
}

/// How an entry is compared once its key fits.
#[derive(Debug)]
enum Test {
    /// `*`
    Always,
    /// The whole text stands in the arena.
    Whole {
        start: u32,
        len: u16,
    },
    /// What it starts and ends with stands in the arena, one after the other.
    Affixes {
        start: u32,
        first: u16,
        last: u16,
    },
    /// Anything else without a variable, and the grams it needs.
    Text(Box<(Matcher, Option<[u16; 2]>)>),
    /// A path that starts with a variable: its value is compared, then the rest.
    Leading(Box<Leading>),
    Dynamic(Box<Pattern>),
    /// Lower-case hexadecimal.
    Hash(Box<str>),
    Publisher(Box<NamePattern>),
}

#[derive(Debug)]
struct Leading {
    os: Os,
    variable: Variable,
    rest: Matcher,
    /// For values that are not plainly normal.
    pattern: Pattern,
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

/// Hits, in document order once sorted; the usual few need no allocation.
pub(super) struct Hits {
    few: [Hit; 16],
    len: usize,
    many: Vec<Hit>,
    /// Collections that fit; however many of its members do, each is looked up once.
    sets: Vec<Target>,
}

impl Hits {
    fn new() -> Self {
        Self {
            few: [Hit(0); 16],
            len: 0,
            many: Vec::new(),
            sets: Vec::new(),
        }
    }

    fn push(&mut self, hit: Hit) {
        if self.len < self.few.len() {
            self.few[self.len] = hit;
            self.len += 1;
            return;
        }
        if self.many.is_empty() {
            self.many.extend_from_slice(&self.few);
        }
        self.many.push(hit);
    }

    pub(super) fn as_slice(&self) -> &[Hit] {
        if self.many.is_empty() {
            &self.few[..self.len]
        } else {
            &self.many
        }
    }

    /// Brings them into document order, each policy once, literal hits first.
    fn sort(&mut self) {
        if !self.many.is_empty() {
            self.many.sort_unstable();
            self.many.dedup_by_key(|hit| hit.policy());
            return;
        }
        let hits = &mut self.few[..self.len];
        hits.sort_unstable();
        let mut kept = 0;
        for i in 0..hits.len() {
            if kept == 0 || hits[kept - 1].policy() != hits[i].policy() {
                hits[kept] = hits[i];
                kept += 1;
            }
        }
        self.len = kept;
    }

    /// Keeps those that hold in every other respect.
    pub(super) fn retain(&mut self, mut holds: impl FnMut(Hit) -> bool) {
        if !self.many.is_empty() {
            self.many.retain(|hit| holds(*hit));
            if self.many.is_empty() {
                self.len = 0;
            }
            return;
        }
        let mut kept = 0;
        for i in 0..self.len {
            if holds(self.few[i]) {
                self.few[kept] = self.few[i];
                kept += 1;
            }
        }
        self.len = kept;
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

impl Test {
    fn fits(&self, subject: Subject, arena: &[u8], facts: &Facts<'_>) -> bool {
        let text = facts.text.as_bytes();
        match self {
            Self::Always => true,
            Self::Whole { start, len } => text == &arena[*start as usize..][..usize::from(*len)],
            Self::Affixes { start, first, last } => {
                let (first, last) = (usize::from(*first), usize::from(*last));
                let affixes = &arena[*start as usize..][..first + last];
                text.len() >= first + last && text.starts_with(&affixes[..first]) && text.ends_with(&affixes[first..])
            }
            Self::Text(matcher) => {
                let (matcher, grams) = &**matcher;
                let may_fit =
                    grams.is_none_or(|grams| facts.grams.get_or_init(|| Grams::of(facts.text)).may_hold(grams));
                may_fit && matcher.matches(facts.text, facts.work)
            }
            Self::Leading(leading) => leading.fits(subject, facts),
            Self::Dynamic(pattern) => fits_dynamic(pattern, subject, facts),
            Self::Hash(hash) => facts.sha256 == Some(&**hash),
            Self::Publisher(pattern) => facts
                .publisher
                .is_some_and(|publisher| pattern.fits(publisher, facts.values, facts.work) == Fit::Yes),
        }
    }

    /// The same in less space, where it is a matter of how the text starts and ends.
    fn packed(self, arena: &mut Vec<u8>) -> Self {
        let Self::Text(matcher) = &self else { return self };
        let Some((first, last)) = matcher.0.affixes() else {
            return self;
        };
        let lengths = (
            u16::try_from(first.len()),
            u16::try_from(last.unwrap_or_default().len()),
        );
        let (Ok(start), (Ok(first_len), Ok(last_len))) = (u32::try_from(arena.len()), lengths) else {
            return self;
        };
        arena.extend_from_slice(first);
        match last {
            None => Self::Whole { start, len: first_len },
            Some(last) => {
                arena.extend_from_slice(last);
                Self::Affixes {
                    start,
                    first: first_len,
                    last: last_len,
                }
            }
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
            Ok(matcher) => {
                let grams = matcher.needed_grams();
                Self::Text(Box::new((matcher, grams)))
            }
            Err(_) => match Leading::of(subject, &pattern) {
                Some(leading) => Self::Leading(Box::new(leading)),
                None => Self::Dynamic(Box::new(pattern)),
            },
        }
    }
}

impl Leading {
    /// None where the text after the variable does not stand for itself.
    fn of(subject: Subject, pattern: &Pattern) -> Option<Self> {
        let Subject::Path(os) = subject else { return None };
        let (variable, rest) = pattern.leading_variable(os)?;
        if has_dot_component(rest) {
            return None;
        }
        // Any plain directory serves to bring what follows one into the compared form.
        let directory = if os == Os::Windows { r"c:\x" } else { "/x" };
        let whole = path::canonical(os, &format!("{directory}{rest}"));
        let rest = Matcher::new(whole.strip_prefix(directory)?);
        Some(Self {
            os,
            variable,
            rest,
            pattern: pattern.clone(),
        })
    }

    fn fits(&self, subject: Subject, facts: &Facts<'_>) -> bool {
        let Some(value) = usable(facts.values.value(self.variable)) else {
            return false;
        };
        match path::canonical_if_clean(self.os, &value) {
            Some(value) => facts
                .text
                .strip_prefix(value.as_str())
                .is_some_and(|rest| self.rest.matches(rest, facts.work)),
            None => fits_dynamic(&self.pattern, subject, facts),
        }
    }
}

fn fits_dynamic(pattern: &Pattern, subject: Subject, facts: &Facts<'_>) -> bool {
    pattern
        .matcher(subject, facts.values)
        .is_ok_and(|matcher| matcher.matches(facts.text, facts.work))
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

/// Collects entries and their keys before each is filed under its rarest one.
struct Filing {
    subject: Subject,
    os: Os,
    filed: Vec<(Slot, Vec<(Fact, u64)>)>,
    users_of_sets: HashMap<u32, Vec<u32>>,
}

impl Filing {
    fn file_application(&mut self, target: Target, entry: &str, shared: &Shared) {
        match ScopeEntry::parse(entry) {
            Ok(ScopeEntry::Collection(name)) => {
                if let Some(set) = shared.named.get(name).filter(|_| !target.is_set()) {
                    self.users_of_sets.entry(*set).or_default().push(target.index());
                }
            }
            Ok(ScopeEntry::Path(pattern)) => self.file_pattern_as(target, pattern),
            Ok(_) => {
                let Some((test, literal)) = Test::of_application(self.subject, entry) else {
                    return;
                };
                let keys = match &test {
                    Test::Hash(hash) => vec![(Fact::Hash, key::key(Fact::Hash, hash.as_bytes()))],
                    Test::Publisher(_) => publisher_key(entry)
                        .map(|key| (Fact::Publisher, key))
                        .into_iter()
                        .collect(),
                    _ => Vec::new(),
                };
                self.filed.push((
                    Slot {
                        target: target.literal(literal),
                        test,
                    },
                    keys,
                ));
            }
            Err(_) => {}
        }
    }

    fn file_pattern(&mut self, target: Target, entry: &str) {
        if entry == "*" {
            self.filed.push((
                Slot {
                    target,
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
        self.filed.push((
            Slot {
                target: target.literal(literal),
                test,
            },
            keys,
        ));
    }

    fn finish(self) -> Table {
        let mut uses: HashMap<u64, u32> = HashMap::new();
        for (_, key) in self.filed.iter().flat_map(|(_, keys)| keys) {
            *uses.entry(*key).or_default() += 1;
        }
        let mut kinds = key::Facts::default();
        let mut placed: Vec<(Place, Slot)> = Vec::with_capacity(self.filed.len());
        for (slot, keys) in self.filed {
            // The later a key was read off, the more it tells; it wins where two are equally rare.
            let rarest = keys
                .into_iter()
                .rev()
                .min_by_key(|(_, key)| uses.get(key).copied().unwrap_or_default());
            let place = match (&slot.test, rarest) {
                (_, Some((fact, key))) => {
                    kinds = kinds.with(fact);
                    Place::Key(key)
                }
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
        let mut arena = Vec::new();
        let packed = placed.into_iter().map(|(_, Slot { target, test })| Slot {
            target,
            test: test.packed(&mut arena),
        });
        let slots = packed.collect();
        Table {
            subject: self.subject,
            slots,
            arena: arena.into(),
            keys: KeyTable::build(&ranges),
            kinds,
            unkeyed,
            publishers,
            set_policies: self
                .users_of_sets
                .into_iter()
                .map(|(set, users)| (set, users.into()))
                .collect(),
            openers: HashMap::new(),
            opener_sets: HashMap::new(),
        }
    }
}

/// The key of a publisher that is written out in full.
fn publisher_key(entry: &str) -> Option<u64> {
    let name = entry.strip_prefix("publisher:")?;
    let pattern = Pattern::parse(name).ok()?;
    (pattern.is_static() && pattern.is_literal()).then(|| key::key(Fact::Publisher, fold::fold(name).as_bytes()))
}
