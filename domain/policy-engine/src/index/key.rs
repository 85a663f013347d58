//! Keys: short hashes of what a text contains for certain, by which patterns are found without being compared.

use crate::pattern::{ANY, STAR, gram};

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// What kind of fact a key states, mixed in so that facts of different kinds never share a bucket on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Whole = 1,
    LastPart,
    Part,
    Prefix,
    Extension,
    Hash,
    Publisher,
}

fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ b.rotate_left(32)) * u128::from(FACTOR);
    (product as u64) ^ ((product >> 64) as u64)
}

fn hash(bytes: &[u8]) -> u64 {
    let mut state = (bytes.len() as u64).wrapping_mul(FACTOR);
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk() {
        state = mix(state, u64::from_le_bytes(*word));
        rest = after;
    }
    // The two halves of what is left may overlap; the length is in the hash already.
    let word = match (rest.first_chunk(), rest.last_chunk(), rest) {
        (Some(first), Some(last), _) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
        }
        (_, _, [first, .., last]) => u64::from(*first) | u64::from(rest[rest.len() / 2]) << 8 | u64::from(*last) << 16,
        (_, _, [only]) => u64::from(*only),
        (_, _, []) => return state,
    };
    mix(state, word)
}

/// Adds some bytes to a hash.
pub(super) fn chain(state: u64, bytes: &[u8]) -> u64 {
    mix(state, hash(bytes))
}

/// The key of a fact about some bytes.
pub(super) fn key(fact: Fact, bytes: &[u8]) -> u64 {
    mix(hash(bytes), fact as u64)
}

/// Kinds of facts, as bits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts(u8);

impl Facts {
    pub(super) fn with(self, fact: Fact) -> Self {
        Self(self.0 | 1 << fact as u8)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, fact: Fact) -> bool {
        self.0 & 1 << fact as u8 != 0
    }
}

/// The keys of one text; the usual text needs no allocation.
pub(super) struct Keys {
    few: [u64; 40],
    len: usize,
    many: Vec<u64>,
}

impl Keys {
    fn push(&mut self, key: u64) {
        if self.len < self.few.len() {
            self.few[self.len] = key;
            self.len += 1;
        } else {
            self.many.push(key);
        }
    }

    /// Every key; each once where there are many.
    pub(super) fn as_slice(&mut self) -> &[u64] {
        if self.many.is_empty() {
            return &self.few[..self.len];
        }
        self.many.extend_from_slice(&self.few[..self.len]);
        self.len = 0;
        self.many.sort_unstable();
        self.many.dedup();
        &self.many
    }

    /// What is certain of a text, as far as it is asked for: itself, its parts, its beginnings, its last part and that
    /// one's extension.
    pub(super) fn of(text: &str, separator: u8, wanted: Facts) -> Self {
        let mut keys = Self {
            few: [0; 40],
            len: 0,
            many: Vec::new(),
        };
        let bytes = text.as_bytes();
        let (parts, prefixes) = (wanted.has(Fact::Part), wanted.has(Fact::Prefix));
        let mut chain = 0;
        let mut start = 0;
        for end in memchr::memchr_iter(separator, bytes) {
            let part = &bytes[start..end];
            start = end + 1;
            if part.is_empty() {
                continue;
            }
            let part = hash(part);
            chain = mix(chain, part);
            if parts {
                keys.push(mix(part, Fact::Part as u64));
            }
            if prefixes {
                keys.push(mix(chain, Fact::Prefix as u64));
            }
        }
        let last = &bytes[start..];
        let part = hash(last);
        if wanted.has(Fact::LastPart) {
            keys.push(mix(part, Fact::LastPart as u64));
        }
        if wanted.has(Fact::Whole) {
            keys.push(mix(mix(chain, part), Fact::Whole as u64));
        }
        if wanted.has(Fact::Extension)
            && let Some(dot) = memchr::memrchr(b'.', last)
        {
            keys.push(key(Fact::Extension, &last[dot + 1..]));
        }
        keys
    }
}

/// The keys that every text must have that a resolved pattern matches. `opaque` stands for the unknown value of a
/// variable. Empty where nothing is certain.
pub(super) fn of_pattern(resolved: &str, separator: u8, opaque: char) -> Vec<(Fact, u64)> {
    let parts: Vec<&str> = resolved.split(char::from(separator)).collect();
    // What stands before a value is not certain, since a value may climb out of it with `..`; what stands after it is.
    let from = parts
        .iter()
        .rposition(|part| part.contains(opaque))
        .map_or(0, |at| at + 1);
    let is_known = |part: &str| !part.contains([STAR, ANY]);
    let Some((last, before)) = parts.split_last().filter(|(_, before)| from <= before.len()) else {
        return Vec::new();
    };
    let mut facts = Vec::new();
    let mut chain = 0;
    let mut whole = from == 0;
    for (i, part) in before.iter().enumerate().skip(from) {
        whole &= is_known(part);
        // After a value that ends in a device prefix `UNC` is not a part but a prefix too.
        if part.is_empty() || !is_known(part) || (from > 0 && *part == "unc") {
            continue;
        }
        let hashed = hash(part.as_bytes());
        facts.push((Fact::Part, mix(hashed, Fact::Part as u64)));
        if whole {
            chain = mix(chain, hashed);
            if i > 0 {
                facts.push((Fact::Prefix, mix(chain, Fact::Prefix as u64)));
            }
        }
    }
    if is_known(last) {
        if whole {
            return vec![(Fact::Whole, mix(mix(chain, hash(last.as_bytes())), Fact::Whole as u64))];
        }
        // A value alone, such as a root, may leave no last part.
        if !before.is_empty() {
            facts.push((Fact::LastPart, mix(hash(last.as_bytes()), Fact::LastPart as u64)));
        }
    } else if let Some((_, extension)) = last.rsplit_once('.').filter(|(_, extension)| is_known(extension)) {
        facts.push((Fact::Extension, key(Fact::Extension, extension.as_bytes())));
    }
    facts
}

/// From keys to ranges of slots: open addressing, at most half full, behind one bit per key that most misses end at.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    present: Box<[u64]>,
    cells: Box<[(u64, u32, u32)]>,
}

impl KeyTable {
    pub(super) fn build(ranges: &[(u64, u32, u32)]) -> Self {
        if ranges.is_empty() {
            return Self::default();
        }
        let size = (ranges.len() * 2).next_power_of_two();
        let mut cells = vec![(0, 0, 0); size];
        // Eight to sixteen bits a key, so that one miss in ten goes on to the cells.
        let mut present = vec![0_u64; (size / 8).max(1)];
        for &range in ranges {
            let mut at = range.0 as usize & (size - 1);
            while cells[at].2 != 0 {
                at = (at + 1) & (size - 1);
            }
            cells[at] = range;
            let (word, bit) = place(range.0, present.len());
            present[word] |= bit;
        }
        Self {
            present: present.into(),
            cells: cells.into(),
        }
    }

    /// The range filed under a key, `start..end`.
    pub(super) fn find(&self, key: u64) -> Option<(u32, u32)> {
        let (word, bit) = place(key, self.present.len());
        if self.present.get(word)? & bit == 0 {
            return None;
        }
        let mask = self.cells.len().checked_sub(1)?;
        let mut at = key as usize & mask;
        loop {
            let (found, start, end) = self.cells[at];
            if end == 0 {
                return None;
            }
            if found == key {
                return Some((start, end));
            }
            at = (at + 1) & mask;
        }
    }
}

/// A key's bit among `words` words, a power of two (or none).
fn place(key: u64, words: usize) -> (usize, u64) {
    ((key >> 38) as usize & words.wrapping_sub(1), 1 << (key >> 32 & 63))
}

/// Which grams a text holds, as bits; made when a search first asks.
#[derive(Debug)]
pub(super) struct Grams(Box<[u64]>);

impl Grams {
    pub(super) fn of(text: &str) -> Self {
        // Eight bits a gram up to all there are.
        let bits = (text.len() * 8).next_power_of_two().clamp(1 << 10, 1 << 16);
        let mut words = vec![0_u64; bits / 64];
        for window in text.as_bytes().windows(3) {
            if let Some(bytes) = window.first_chunk() {
                let at = usize::from(gram(*bytes)) & (bits - 1);
                words[at / 64] |= 1 << (at % 64);
            }
        }
        Self(words.into())
    }

    /// False where one is surely missing.
    pub(super) fn may_hold(&self, grams: [u16; 2]) -> bool {
        grams.into_iter().all(|gram| {
            let at = usize::from(gram) & (self.0.len() * 64 - 1);
            self.0[at / 64] & (1 << (at % 64)) != 0
        })
    }
}
