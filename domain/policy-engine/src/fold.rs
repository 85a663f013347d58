//! Case folding, one character to one character.

/// Folds one character: upper, then lower, each only where it maps to a single character.
///
/// That equals Unicode's simple folding where it matters here: `ſ` is `s`, the Kelvin sign is `k`, final sigma is sigma,
/// `ẞ` is `ß`; `İ` and the dotless `ı` stay themselves.
#[must_use]
pub fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    if c == 'ı' {
        return c;
    }
    single(single(c, char::to_uppercase), char::to_lowercase)
}

fn single<I: Iterator<Item = char>>(c: char, map: impl Fn(char) -> I) -> char {
    let mut mapped = map(c);
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// Folds a whole text.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        text.chars().map(fold_char).collect()
    }
}

/// Whether two texts are equal when case is ignored.
#[must_use]
pub fn eq_folded(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    a.chars().map(fold_char).eq(b.chars().map(fold_char))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_twice_is_folding_once_for_every_character() {
        for c in '\0'..=char::MAX {
            let once = fold_char(c);
            assert_eq!(fold_char(once), once, "{c:?}");
        }
    }

    #[test]
    fn letters_that_look_alike_fold_as_unicode_says() {
        for (a, b, same) in [
            ('K', 'k', true),
            ('ſ', 'S', true),
            ('ς', 'Σ', true),
            ('ẞ', 'ß', true),
            ('Ä', 'ä', true),
            ('İ', 'i', false),
            ('ı', 'i', false),
            ('ß', 's', false),
        ] {
            assert_eq!(fold_char(a) == fold_char(b), same, "{a} {b}");
        }
    }
}
