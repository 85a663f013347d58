//! Limits of names and free text, the same for every noun.

/// A text that is not fit for its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// More characters than the place has.
    #[error("has {found} characters, and {limit} are the most")]
    TooLong {
        /// The most that is accepted.
        limit: usize,
        /// What came.
        found: usize,
    },
    /// Fewer characters than are wanted.
    #[error("has {found} characters, and {limit} are the least")]
    TooShort {
        /// The least that is accepted.
        limit: usize,
        /// What came.
        found: usize,
    },
    /// Control characters where a single line is wanted.
    #[error("must be one line without control characters")]
    Control,
    /// Something else about its form.
    #[error("{0}")]
    Form(&'static str),
}

/// The most characters of a name.
pub const NAME_MAX: usize = 200;
/// The most characters of a justification, comment or reason (`docs/domain.md § 3`).
pub const FREE_TEXT_MAX: usize = 4_096;

/// A name: one line, 1 to [`NAME_MAX`] characters after trimming.
///
/// # Errors
/// Which of these it breaks.
pub fn name(text: &str) -> Result<String, TextError> {
    let text = text.trim();
    let found = text.chars().count();
    if found == 0 {
        Err(TextError::Empty)
    } else if found > NAME_MAX {
        Err(TextError::TooLong { limit: NAME_MAX, found })
    } else if text.chars().any(char::is_control) {
        Err(TextError::Control)
    } else {
        Ok(text.to_owned())
    }
}

/// Free text: `least` to [`FREE_TEXT_MAX`] characters after trimming. A NUL is refused, since no database text holds it.
///
/// # Errors
/// Which of these it breaks.
pub fn free_text(text: &str, least: usize) -> Result<String, TextError> {
    let text = text.trim();
    let found = text.chars().count();
    if found == 0 && least > 0 {
        Err(TextError::Empty)
    } else if found < least {
        Err(TextError::TooShort { limit: least, found })
    } else if found > FREE_TEXT_MAX {
        Err(TextError::TooLong {
            limit: FREE_TEXT_MAX,
            found,
        })
    } else if text.contains('\0') {
        Err(TextError::Control)
    } else {
        Ok(text.to_owned())
    }
}

/// An e-mail address, loosely: one `@` with something on both sides, no white space or control characters, at most 254 bytes.
///
/// # Errors
/// [`TextError::Form`].
pub fn email(text: &str) -> Result<String, TextError> {
    let text = text.trim();
    let Some((local, host)) = text.rsplit_once('@') else {
        return Err(TextError::Form("must be an e-mail address"));
    };
    let bad = |c: char| c.is_whitespace() || c.is_control() || "<>,;:\\\"()[]".contains(c);
    if local.is_empty() || host.is_empty() || text.len() > 254 || text.chars().any(bad) || local.contains('@') {
        return Err(TextError::Form("must be an e-mail address"));
    }
    Ok(text.to_owned())
}

/// A tenant's short name: 2 to 40 of `a–z 0–9 -`, beginning and ending with a letter or digit.
///
/// # Errors
/// [`TextError::Form`].
pub fn slug(text: &str) -> Result<String, TextError> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (2..=40).contains(&text.len()) && text.bytes().all(good) && !text.starts_with('-') && !text.ends_with('-') {
        Ok(text.to_owned())
    } else {
        Err(TextError::Form(
            "must be 2 to 40 of a-z, 0-9 and -, with a letter or digit at both ends",
        ))
    }
}
