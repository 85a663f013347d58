//! What a decision has found so far.

use std::fmt;

/// Whom an entry speaks for, and whether it is a literal path or a hash, which denies on protected paths too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target(u32);

impl Target {
    const SET: u32 = 1 << 31;
    const LITERAL: u32 = 1 << 30;

    pub(super) fn policy(index: u32) -> Self {
        Self(index)
    }

    pub(super) fn set(index: u32) -> Self {
        Self(index | Self::SET)
    }

    pub(super) fn literal(self, literal: bool) -> Self {
        if literal { Self(self.0 | Self::LITERAL) } else { self }
    }

    pub(super) fn is_set(self) -> bool {
        self.0 & Self::SET != 0
    }

    pub(super) fn is_literal(self) -> bool {
        self.0 & Self::LITERAL != 0
    }

    pub(super) fn index(self) -> u32 {
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

/// A policy whose own field fits, and whether by a literal path or a hash. Orders by policy, literal first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::index) struct Hit(u32);

impl Hit {
    pub(super) fn new(policy: u32, literal: bool) -> Self {
        Self(policy << 1 | u32::from(!literal))
    }

    pub(in crate::index) fn policy(self) -> usize {
        (self.0 >> 1) as usize
    }

    pub(in crate::index) fn is_literal(self) -> bool {
        self.0 & 1 == 0
    }
}

/// Hits, in document order once sorted; the usual few need no allocation.
pub(in crate::index) struct Hits {
    few: [Hit; 16],
    len: usize,
    many: Vec<Hit>,
    /// Collections that fit; however many of its members do, each is looked up once.
    pub(super) sets: Vec<Target>,
}

impl Hits {
    pub(super) fn new() -> Self {
        Self {
            few: [Hit(0); 16],
            len: 0,
            many: Vec::new(),
            sets: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, hit: Hit) {
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

    pub(in crate::index) fn as_slice(&self) -> &[Hit] {
        if self.many.is_empty() {
            &self.few[..self.len]
        } else {
            &self.many
        }
    }

    /// Brings them into document order, each policy once, literal hits first.
    pub(super) fn sort(&mut self) {
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
    pub(in crate::index) fn retain(&mut self, mut holds: impl FnMut(Hit) -> bool) {
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
