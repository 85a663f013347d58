//! Files entries under the rarest key that each must have.

use std::collections::HashMap;

use super::hits::Target;
use super::test::Test;
use super::{Slot, Table};
use crate::document::{Os, ScopeEntry};
use crate::fold;
use crate::index::Shared;
use crate::index::key::{self, Fact, KeyTable};
use crate::pattern::{Pattern, Subject, has_dot_component};

/// Stands for a value that is not known yet while keys are read off a pattern. A noncharacter, like the wildcards.
const OPAQUE: char = '\u{fdd2}';

/// Where a slot is filed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Key(u64),
    Unkeyed,
    Publishers,
}

/// Collects entries and their keys before each is filed under its rarest one.
pub(super) struct Filing {
    pub(super) subject: Subject,
    pub(super) os: Os,
    pub(super) filed: Vec<(Slot, Vec<(Fact, u64)>)>,
    pub(super) users_of_sets: HashMap<u32, Vec<u32>>,
}

impl Filing {
    pub(super) fn file_application(&mut self, target: Target, entry: &str, shared: &Shared) {
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

    pub(super) fn file_pattern(&mut self, target: Target, entry: &str) {
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

    pub(super) fn finish(self) -> Table {
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
