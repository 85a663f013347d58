//! Free-text search by whole words and beginnings of words, through tables (tenant_id, build, term, …) and operators that
//! keep their index under row-level security.

use std::collections::BTreeSet;

/// Longer words are cut, when stored and when searched for.
const LONGEST: usize = 64;
/// A row is found by at most so many different words: the first ones.
const MOST: usize = 1_000;
/// A search looks for at most so many words: the first ones.
const MOST_SEARCHED: usize = 16;

/// The words of these texts: lower case, each once. Single ASCII characters are no words.
pub(crate) fn terms<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let mut terms = BTreeSet::new();
    for text in texts {
        for word in words(text) {
            if terms.len() == MOST {
                return terms;
            }
            terms.insert(word);
        }
    }
    terms
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() > 1)
        .map(|word| word.to_lowercase().chars().take(LONGEST).collect())
}

/// What is searched for: for each word the least and the greatest term that matches. All words have to be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Search {
    pub(crate) least: Vec<String>,
    pub(crate) greatest: Vec<String>,
}

impl Search {
    /// From what somebody typed: words, or beginnings of words that end in `*`. A text without a word asks for nothing
    /// in particular.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        let mut search = Self::default();
        for token in text.unwrap_or_default().split_whitespace() {
            let mut found: Vec<(String, bool)> = words(token).map(|word| (word, false)).collect();
            if let (Some(last), true) = (found.last_mut(), token.ends_with('*')) {
                last.1 = true;
            }
            for (word, beginning) in found.into_iter().take(MOST_SEARCHED - search.least.len()) {
                // U+10FFFF sorts behind every character that a word may have.
                search.greatest.push(if beginning {
                    format!("{word}\u{10ffff}")
                } else {
                    word.clone()
                });
                search.least.push(word);
            }
        }
        search
    }

    /// Whether nothing in particular is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.least.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_by_its_parts_and_not_by_single_letters() {
        let all: Vec<_> = terms([r"C:\Users\Alice\Setup-2.exe", "alice"]).into_iter().collect();
        assert_eq!(all, ["alice", "exe", "setup", "users"]);
        assert_eq!(terms(["é 字"]).len(), 2, "letters of other scripts can be words");
    }

    #[test]
    fn a_star_asks_for_a_beginning_and_everything_else_for_a_whole_word() {
        let search = Search::parse(Some("Set* alice x *"));
        assert_eq!(search.least, ["set", "alice"]);
        assert_eq!(search.greatest, ["set\u{10ffff}", "alice"]);
        assert!(Search::parse(Some(" - * ")).is_empty());
        assert!(Search::parse(None).is_empty());
    }

    #[test]
    fn long_texts_and_long_searches_are_bounded() {
        let text: String = (0..5_000).map(|n| format!("word{n} ")).collect();
        assert_eq!(terms([text.as_str()]).len(), MOST);
        assert_eq!(Search::parse(Some(&text)).least.len(), MOST_SEARCHED);
        let long = "x".repeat(100);
        assert_eq!(Search::parse(Some(&long)).least[0].len(), LONGEST);
    }
}
