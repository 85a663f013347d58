//! A resolved pattern, ready to be compared. Linear: segments between stars are looked for from left to right, each once.

use memchr::memmem;

use super::{ANY, STAR};

/// Stands for `?` inside a segment; never a byte of UTF-8.
const WILD: u8 = 0xff;

/// What starting a search costs, in bytes that could have been looked at instead.
pub(crate) const CALL: usize = 16;

/// A short hash of three bytes.
pub(crate) fn gram(bytes: [u8; 3]) -> u16 {
    let [a, b, c] = bytes.map(u32::from);
    ((a | b << 8 | c << 16).wrapping_mul(0x9e37_79b1) >> 16) as u16
}

/// Counts what the searches of one decision cost, in bytes looked at.
#[derive(Debug, Default)]
pub(crate) struct Work {
    spent: std::cell::Cell<u64>,
}

impl Work {
    pub(crate) fn spend(&self, amount: usize) {
        self.spent.set(self.spent.get().saturating_add(amount as u64));
    }

    /// Whether the decision has cost more than any honest one.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.spent.get() > crate::limits::SEARCH_WORK
    }
}

/// A pattern whose variables are filled in, compared with texts in the same compared form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    shape: Shape,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// No star: the whole text is this one segment.
    Whole(Segment),
    /// At least one star: a start, an end, and what must come between them in this order.
    Parts {
        first: Segment,
        middle: Box<[Segment]>,
        last: Segment,
    },
}

/// Literal bytes and [`WILD`]s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Segment {
    bytes: Box<[u8]>,
    wild: bool,
}

impl Matcher {
    /// Builds from a resolved text, wildcards as [`STAR`] and [`ANY`].
    pub(crate) fn new(resolved: &str) -> Self {
        let mut pieces = resolved.split(STAR);
        let first = Segment::new(pieces.next().unwrap_or_default());
        let mut rest: Vec<&str> = pieces.collect();
        let Some(last) = rest.pop() else {
            return Self {
                shape: Shape::Whole(first),
            };
        };
        let middle = rest
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .map(Segment::new)
            .collect();
        Self {
            shape: Shape::Parts {
                first,
                middle,
                last: Segment::new(last),
            },
        }
    }

    /// Whether the whole text fits, whatever that costs; linear in the text for each segment between stars.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        self.matches(text, &Work::default())
    }

    /// Whether the whole text fits. Adds what the search cost.
    pub(crate) fn matches(&self, text: &str, work: &Work) -> bool {
        self.matches_bytes(text.as_bytes(), work)
    }

    /// What the text starts and ends with, where that is all there is to it; no end means that the start is everything.
    pub(crate) fn affixes(&self) -> Option<(&[u8], Option<&[u8]>)> {
        match &self.shape {
            Shape::Whole(whole) if !whole.wild => Some((&whole.bytes, None)),
            Shape::Parts { first, middle, last } if middle.is_empty() && !first.wild && !last.wild => {
                Some((&first.bytes, Some(&last.bytes)))
            }
            _ => None,
        }
    }

    /// Two grams that a text must hold for a search in it to succeed; none where nothing longer is looked for.
    pub(crate) fn needed_grams(&self) -> Option<[u16; 2]> {
        let Shape::Parts { middle, .. } = &self.shape else {
            return None;
        };
        let longest = middle
            .iter()
            .map(Segment::longest_literal)
            .max_by_key(|run| run.len())?;
        let (first, last) = (longest.first_chunk()?, longest.last_chunk()?);
        Some([gram(*first), gram(*last)])
    }

    /// As [`Self::matches`] for bytes of UTF-8 that start and end at characters.
    pub(crate) fn matches_bytes(&self, text: &[u8], work: &Work) -> bool {
        match &self.shape {
            Shape::Whole(segment) => segment.prefix_of(text, work) == Some(text.len()),
            Shape::Parts { first, middle, last } => {
                let Some(start) = first.prefix_of(text, work) else {
                    return false;
                };
                let Some(mut rest) = last.strip_from_end(&text[start..], work) else {
                    return false;
                };
                for segment in middle {
                    let Some(end) = segment.find_end(rest, work) else {
                        return false;
                    };
                    rest = &rest[end..];
                }
                true
            }
        }
    }
}

impl Segment {
    fn new(text: &str) -> Self {
        let mut bytes = Vec::with_capacity(text.len());
        let mut wild = false;
        let mut buffer = [0; 4];
        for c in text.chars() {
            if c == ANY {
                bytes.push(WILD);
                wild = true;
            } else {
                bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
        }
        Self {
            bytes: bytes.into_boxed_slice(),
            wild,
        }
    }

    /// How many bytes of the text's start it covers.
    fn prefix_of(&self, text: &[u8], work: &Work) -> Option<usize> {
        if !self.wild {
            work.spend(self.bytes.len() / 16);
            return text.starts_with(&self.bytes).then_some(self.bytes.len());
        }
        let mut at = 0;
        let fits = self.bytes.iter().all(|&byte| {
            let fits = text.get(at).is_some_and(|here| byte == WILD || byte == *here);
            at += 1;
            while byte == WILD && text.get(at).is_some_and(|b| is_continuation(*b)) {
                at += 1;
            }
            fits
        });
        work.spend(at);
        fits.then_some(at)
    }

    /// The text without its end, where it ends so.
    fn strip_from_end<'t>(&self, text: &'t [u8], work: &Work) -> Option<&'t [u8]> {
        if !self.wild {
            work.spend(self.bytes.len() / 16);
            return text.strip_suffix(&*self.bytes);
        }
        let mut end = text.len();
        let fits = self.bytes.iter().rev().all(|&byte| {
            let Some(before) = end.checked_sub(1) else { return false };
            end = before;
            while byte == WILD && end > 0 && is_continuation(text[end]) {
                end -= 1;
            }
            byte == WILD || byte == text[end]
        });
        work.spend(text.len() - end);
        fits.then_some(&text[..end])
    }

    /// Where its first occurrence ends.
    fn find_end(&self, text: &[u8], work: &Work) -> Option<usize> {
        if !self.wild {
            return find(text, &self.bytes, work).map(|at| at + self.bytes.len());
        }
        let longest = self.longest_literal();
        if !longest.is_empty() {
            find(text, longest, work)?;
        }
        let text = std::str::from_utf8(text).unwrap_or_default();
        let symbols = Symbols::new(&self.bytes);
        let found = symbols.find_end(text);
        work.spend(symbols.words * (found.unwrap_or(text.len()) + 128));
        found
    }

    fn longest_literal(&self) -> &[u8] {
        self.bytes
            .split(|b| *b == WILD)
            .max_by_key(|run| run.len())
            .unwrap_or_default()
    }
}

/// Looks for literal bytes. One byte is found about sixteen times as fast as more.
fn find(text: &[u8], literal: &[u8], work: &Work) -> Option<usize> {
    let found = memmem::find(text, literal);
    let looked_at = found.unwrap_or(text.len());
    work.spend(CALL + if literal.len() == 1 { looked_at / 16 } else { looked_at });
    found
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// The segment as bits per character, for a search that looks at every character of the text once ("shift-and").
struct Symbols {
    words: usize,
    len: usize,
    /// Positions where each ASCII character fits, `words` words per character.
    ascii: Vec<u64>,
    /// The same for others, sorted by character.
    others: Vec<(char, Vec<u64>)>,
    /// Positions where any character fits.
    any: Vec<u64>,
}

impl Symbols {
    fn new(bytes: &[u8]) -> Self {
        let mut symbols = Vec::new();
        for (i, run) in bytes.split(|b| *b == WILD).enumerate() {
            if i > 0 {
                symbols.push(None);
            }
            symbols.extend(std::str::from_utf8(run).unwrap_or_default().chars().map(Some));
        }
        let len = symbols.len();
        let words = len.div_ceil(64);
        let mut any = vec![0_u64; words];
        for (i, _) in symbols.iter().enumerate().filter(|(_, symbol)| symbol.is_none()) {
            any[i / 64] |= 1 << (i % 64);
        }
        let mut ascii = Vec::with_capacity(128 * words);
        for _ in 0..128 {
            ascii.extend_from_slice(&any);
        }
        let mut rare: Vec<char> = symbols.iter().flatten().copied().filter(|c| !c.is_ascii()).collect();
        rare.sort_unstable();
        rare.dedup();
        let mut others: Vec<(char, Vec<u64>)> = rare.into_iter().map(|c| (c, any.clone())).collect();
        for (i, symbol) in symbols.iter().enumerate() {
            let Some(c) = symbol else { continue };
            let bit = 1_u64 << (i % 64);
            if c.is_ascii() {
                ascii[*c as usize * words + i / 64] |= bit;
            } else if let Ok(at) = others.binary_search_by_key(c, |(other, _)| *other) {
                others[at].1[i / 64] |= bit;
            }
        }
        Self {
            words,
            len,
            ascii,
            others,
            any,
        }
    }

    fn mask(&self, c: char) -> &[u64] {
        if c.is_ascii() {
            let at = c as usize * self.words;
            return &self.ascii[at..at + self.words];
        }
        match self.others.binary_search_by_key(&c, |(other, _)| *other) {
            Ok(at) => &self.others[at].1,
            Err(_) => &self.any,
        }
    }

    fn find_end(&self, text: &str) -> Option<usize> {
        let (last_word, last_bit) = ((self.len - 1) / 64, 1_u64 << ((self.len - 1) % 64));
        let mut state = vec![0_u64; self.words];
        for (at, c) in text.char_indices() {
            let mut carry = 1;
            for (word, mask) in state.iter_mut().zip(self.mask(c)) {
                let next = *word >> 63;
                *word = ((*word << 1) | carry) & mask;
                carry = next;
            }
            if state[last_word] & last_bit != 0 {
                return Some(at + c.len_utf8());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(pattern: &str) -> Matcher {
        Matcher::new(&pattern.replace('*', &STAR.to_string()).replace('?', &ANY.to_string()))
    }

    fn fits(pattern: &str, text: &str) -> bool {
        resolved(pattern).matches(text, &Work::default())
    }

    #[test]
    fn stars_and_question_marks_match_as_written() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("?", "", false),
            ("?", "ä", true),
            ("??", "ä", false),
            ("a*b", "ab", true),
            ("a*b", "a", false),
            ("a*a", "a", false),
            ("*a*b*", "xaxbx", true),
            ("*b*a*", "xaxbx", false),
            ("*a?c*", "abxaac", true),
            ("*?ä?*", "oäo", true),
            ("*?ä?*", "äo", false),
            ("a**b", "a\\x\\b", true),
            ("*.???", "a.exe", true),
            ("*.???", "a.ex", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_segment_longer_than_a_machine_word_is_still_found() {
        let text = format!("{}b{}", "a".repeat(200), "c".repeat(150));
        let pattern = format!("*a?{}b{}*", "a".repeat(80), "c".repeat(60));
        assert!(fits(&pattern, &text));
        assert!(!fits(&pattern, &text.replace('b', "")));
    }

    #[test]
    fn hostile_patterns_cost_no_more_than_their_length_times_the_text() {
        let text = "a".repeat(32_000);
        let pattern = format!("*{}b*", "a?".repeat(500));
        let work = Work::default();
        assert!(!resolved(&pattern).matches(&text, &work));
        assert!(work.spent.get() < 32_000 * 18);
        let work = Work::default();
        assert!(!resolved(&format!("{}b*", "*a".repeat(400))).matches(&text, &work));
        assert!(work.spent.get() < 32_000 * 3);
    }
}
