//! How one entry is compared with what an action is about.

use super::Facts;
use crate::document::{Os, ScopeEntry};
use crate::index::NamePattern;
use crate::index::key::Grams;
use crate::index::scope::Fit;
use crate::path;
use crate::pattern::{Matcher, NoValues, Pattern, Subject, Variable, has_dot_component, usable};

/// How an entry is compared once its key fits.
#[derive(Debug)]
pub(super) enum Test {
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
pub(super) struct Leading {
    os: Os,
    variable: Variable,
    rest: Matcher,
    /// For values that are not plainly normal.
    pattern: Pattern,
}

impl Test {
    pub(super) fn fits(&self, subject: Subject, arena: &[u8], facts: &Facts<'_>) -> bool {
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
    pub(super) fn packed(self, arena: &mut Vec<u8>) -> Self {
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
    pub(super) fn of_application(subject: Subject, entry: &str) -> Option<(Self, bool)> {
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

    pub(super) fn of_text(subject: Subject, pattern: Pattern) -> Self {
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

    pub(super) fn fits(&self, subject: Subject, facts: &Facts<'_>) -> bool {
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
