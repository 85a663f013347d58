//! Text of strangers, shown so that it cannot pretend to be another text (`docs/domain.md § 3`).

use std::fmt;

/// A piece of text for a page: either as it is, or a character that is shown by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The text; for an escaped character, such as `U+202E`.
    pub text: std::borrow::Cow<'a, str>,
    /// Whether it stands for a character that is not seen, or turns the text around it.
    pub escaped: bool,
}

/// Splits a text into what is shown as it is and what is shown by number. Nothing is left out.
#[must_use]
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for (at, character) in text.char_indices().filter(|(_, c)| is_unseen(*c)) {
        if from < at {
            pieces.push(Piece {
                text: text[from..at].into(),
                escaped: false,
            });
        }
        pieces.push(Piece {
            text: Escape(character).to_string().into(),
            escaped: true,
        });
        from = at + character.len_utf8();
    }
    if from < text.len() {
        pieces.push(Piece {
            text: text[from..].into(),
            escaped: false,
        });
    }
    pieces
}

/// Whether a text has a character that is not seen or that turns the text around it.
#[must_use]
pub fn hides(text: &str) -> bool {
    text.chars().any(is_unseen)
}

struct Escape(char);

impl fmt::Display for Escape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            '\n' => f.write_str("\\n"),
            '\r' => f.write_str("\\r"),
            '\t' => f.write_str("\\t"),
            other => write!(f, "U+{:04X}", u32::from(other)),
        }
    }
}

/// Control characters, what turns the direction of text, and what takes no place: joiners, fillers, selectors, tags,
/// blanks that look like none.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(u32::from(character),
            0x00AD | 0x034F | 0x061C | 0x070F | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F
            | 0x2000..=0x200F | 0x2028..=0x202F | 0x205F..=0x206F | 0x00A0 | 0x1680 | 0x3000 | 0x3164
            | 0x2800 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB
            | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        pieces(text)
            .iter()
            .map(|p| {
                if p.escaped {
                    format!("⟨{}⟩", p.text)
                } else {
                    p.text.to_string()
                }
            })
            .collect()
    }

    #[test]
    fn text_that_turns_around_is_shown_by_number() {
        assert_eq!(plain("invoice\u{202e}fdp.exe"), "invoice⟨U+202E⟩fdp.exe");
        assert_eq!(plain("a\u{200b}b\u{2066}c\u{feff}"), "a⟨U+200B⟩b⟨U+2066⟩c⟨U+FEFF⟩");
    }

    #[test]
    fn control_characters_are_shown_and_nothing_is_left_out() {
        assert_eq!(
            plain("rm -rf /tmp\n# fine\u{7}\0"),
            "rm -rf /tmp⟨\\n⟩# fine⟨U+0007⟩⟨U+0000⟩"
        );
        assert_eq!(plain("\u{1b}[2J"), "⟨U+001B⟩[2J");
    }

    #[test]
    fn honest_text_of_any_language_stays() {
        for text in ["", r"C:\Программы\安装.exe", "naïve café", "日本語 テスト", "🦀 crab"] {
            assert_eq!(plain(text), text);
        }
    }
}
