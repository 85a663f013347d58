//! Patterns: `*` any run of characters, `?` one character, `{name}` a variable, everything else literal.
//!
//! A pattern is first taken apart ([`Pattern::parse`]), then resolved with an action's variables into one text in which
//! the wildcards are two characters that no text may hold, so that a path pattern goes through the very normalisation
//! that paths go through, and at last becomes a [`Matcher`].

mod matcher;

use std::fmt;

pub use matcher::Matcher;
pub(crate) use matcher::{CALL, Work, gram};

use crate::document::Os;
use crate::{fold, limits, path};

/// Stands for `*` inside resolved patterns. A Unicode noncharacter, refused in patterns and in values.
pub(crate) const STAR: char = '\u{fdd0}';
/// Stands for `?` inside resolved patterns.
pub(crate) const ANY: char = '\u{fdd1}';

/// The variables a pattern may hold (`docs/domain.md § 2`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the lower-case name of the variable")]
pub enum Variable {
    UserProfile,
    Home,
    Temp,
    ProgramFiles,
    ProgramFilesX86,
    Windir,
    SystemRoot,
    AppData,
    LocalAppData,
    ProgramData,
    Desktop,
    Downloads,
    Username,
    Hostname,
}

impl Variable {
    /// Every variable.
    pub const ALL: [Self; 14] = [
        Self::UserProfile,
        Self::Home,
        Self::Temp,
        Self::ProgramFiles,
        Self::ProgramFilesX86,
        Self::Windir,
        Self::SystemRoot,
        Self::AppData,
        Self::LocalAppData,
        Self::ProgramData,
        Self::Desktop,
        Self::Downloads,
        Self::Username,
        Self::Hostname,
    ];

    /// The name between the braces, which is also the key in an action's `variables`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserProfile => "userprofile",
            Self::Home => "home",
            Self::Temp => "temp",
            Self::ProgramFiles => "programfiles",
            Self::ProgramFilesX86 => "programfilesx86",
            Self::Windir => "windir",
            Self::SystemRoot => "systemroot",
            Self::AppData => "appdata",
            Self::LocalAppData => "localappdata",
            Self::ProgramData => "programdata",
            Self::Desktop => "desktop",
            Self::Downloads => "downloads",
            Self::Username => "username",
            Self::Hostname => "hostname",
        }
    }

    /// The variable of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variable| variable.name() == name)
    }
}

/// Where a pattern's variables get their values.
pub(crate) trait Values {
    /// The value as literal text; none where the endpoint has none.
    fn value(&self, variable: Variable) -> Option<std::borrow::Cow<'_, str>>;
}

/// What a pattern is compared with; decides normalisation and case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A path on an endpoint of that system.
    Path(Os),
    /// A full command line there; white space counts.
    Command(Os),
    /// A user, group, machine or publisher name or a thumbprint: case never counts.
    Name,
}

impl Subject {
    /// A value of this kind in the form that patterns are compared with.
    #[must_use]
    pub fn canonical(self, text: &str) -> String {
        match self {
            Self::Path(os) => path::canonical(os, text),
            Self::Command(os) if !os.ignores_case() => text.to_owned(),
            Self::Command(_) | Self::Name => fold::fold(text),
        }
    }
}

/// Why a pattern cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// Nothing to match.
    Empty,
    /// More than [`limits::PATTERN_CHARS`] characters.
    TooLong,
    /// `{name}` with a name that is no variable.
    UnknownVariable(String),
    /// One of the two noncharacters the engine keeps for itself, or NUL.
    ForbiddenCharacter,
}

impl PatternError {
    /// Stable code for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "EMPTY_ENTRY",
            Self::TooLong => "PATTERN_TOO_LONG",
            Self::UnknownVariable(_) => "UNKNOWN_VARIABLE",
            Self::ForbiddenCharacter => "FORBIDDEN_CHARACTER",
        }
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::TooLong => write!(f, "has more than {} characters", limits::PATTERN_CHARS),
            Self::UnknownVariable(name) => write!(f, "holds {{{name}}}, which is no variable"),
            Self::ForbiddenCharacter => f.write_str("holds a character that no name can hold"),
        }
    }
}

impl std::error::Error for PatternError {}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Literal text with the wildcards already replaced.
    Text(String),
    Variable(Variable),
}

/// A pattern taken apart, its variables not yet known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
    literal: bool,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError`] where it may not be saved.
    pub fn parse(source: &str) -> Result<Self, PatternError> {
        if source.is_empty() {
            return Err(PatternError::Empty);
        }
        if source.len() > limits::PATTERN_CHARS && source.chars().count() > limits::PATTERN_CHARS {
            return Err(PatternError::TooLong);
        }
        if source.contains([STAR, ANY, '\0']) {
            return Err(PatternError::ForbiddenCharacter);
        }
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(c) = rest.chars().next() {
            if let Some(name) = variable_at(rest) {
                let variable = Variable::named(name).ok_or_else(|| PatternError::UnknownVariable(name.to_owned()))?;
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Variable(variable));
                rest = &rest[name.len() + 2..];
                continue;
            }
            text.push(match c {
                '*' => STAR,
                '?' => ANY,
                other => other,
            });
            rest = &rest[c.len_utf8()..];
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        let literal = !source.contains(['*', '?']);
        Ok(Self { parts, literal })
    }

    /// Whether it has no wildcard; variables are allowed.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.literal
    }

    /// Whether a text, written as a pattern, stands for itself alone: there is no way to escape what has a meaning.
    #[must_use]
    pub fn is_itself(text: &str) -> bool {
        Self::parse(text).is_ok_and(|pattern| pattern.is_literal() && pattern.is_static())
    }

    /// Whether every text fits: wildcards only.
    #[must_use]
    pub fn is_catch_all(&self) -> bool {
        self.parts
            .iter()
            .all(|part| matches!(part, Part::Text(text) if text.chars().all(|c| c == STAR || c == ANY)))
    }

    /// The variables it needs, in order of appearance.
    pub fn variables(&self) -> impl Iterator<Item = Variable> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(variable) => Some(*variable),
            Part::Text(_) => None,
        })
    }

    /// Whether it can be compared without knowing an action.
    #[must_use]
    pub fn is_static(&self) -> bool {
        self.variables().next().is_none()
    }

    /// A leading variable and the text after it, where that is the whole pattern and the text starts a new component.
    pub(crate) fn leading_variable(&self, os: Os) -> Option<(Variable, &str)> {
        match self.parts.as_slice() {
            [Part::Variable(variable), Part::Text(rest)] => {
                let separated = rest.starts_with('/') || (os == Os::Windows && rest.starts_with('\\'));
                separated.then_some((*variable, rest))
            }
            _ => None,
        }
    }

    /// Puts values in and brings the result into the compared form, wildcards as [`STAR`] and [`ANY`].
    ///
    /// # Errors
    /// The first variable that has no value.
    pub(crate) fn resolve(&self, subject: Subject, values: &dyn Values) -> Result<String, Variable> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Variable(variable) => text.push_str(&usable(values.value(*variable)).ok_or(*variable)?),
            }
        }
        Ok(subject.canonical(&text))
    }

    /// The compared form of a pattern of which the unknown values are kept as an opaque character; keys are read off it.
    pub(crate) fn resolve_opaque(&self, subject: Subject, opaque: char) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Variable(_) => text.push(opaque),
            }
        }
        subject.canonical(&text)
    }

    /// The matcher for one action.
    ///
    /// # Errors
    /// The first variable that has no value.
    pub(crate) fn matcher(&self, subject: Subject, values: &dyn Values) -> Result<Matcher, Variable> {
        Ok(Matcher::new(&self.resolve(subject, values)?))
    }
}

/// A value that can stand in a pattern: not empty, not absurdly long, free of the engine's own characters.
pub(crate) fn usable(value: Option<std::borrow::Cow<'_, str>>) -> Option<std::borrow::Cow<'_, str>> {
    value.filter(|text| {
        !text.is_empty() && !text.contains([STAR, ANY]) && !limits::exceeds_units(text, limits::PATH_UNITS)
    })
}

/// No variable has a value.
pub(crate) struct NoValues;

impl Values for NoValues {
    fn value(&self, _: Variable) -> Option<std::borrow::Cow<'_, str>> {
        None
    }
}

/// The name of the variable that starts here: `{`, then letters and digits in lower case, then `}`.
fn variable_at(text: &str) -> Option<&str> {
    let name = text.strip_prefix('{')?.split_once('}')?.0;
    (!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())).then_some(name)
}

/// Whether a path pattern has a `.` or `..` component; a leading `\\.\` is a prefix, not a component.
#[must_use]
pub fn has_dot_component(pattern: &str) -> bool {
    let body = pattern
        .strip_prefix(r"\\.\")
        .or_else(|| pattern.strip_prefix("//./"))
        .unwrap_or(pattern);
    body.split(['\\', '/']).any(|part| part == "." || part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Pattern, PatternError> {
        Pattern::parse(text)
    }

    #[test]
    fn only_lower_case_letters_and_digits_make_a_variable() {
        assert!(parse("{GUID}\\x").is_ok_and(|p| p.is_static()));
        assert!(parse("{a b}").is_ok_and(|p| p.is_static()));
        assert!(parse("{}").is_ok_and(|p| p.is_static()));
        assert!(parse("{{home}}").is_ok_and(|p| p.variables().eq([Variable::Home])));
        assert_eq!(parse("{nowhere}"), Err(PatternError::UnknownVariable("nowhere".into())));
    }

    #[test]
    fn wildcards_alone_are_a_catch_all_and_a_variable_is_not() {
        assert!(parse("**").is_ok_and(|p| p.is_catch_all()));
        assert!(parse("?*").is_ok_and(|p| p.is_catch_all()));
        assert!(parse("{home}").is_ok_and(|p| !p.is_catch_all()));
        assert!(parse("*.exe").is_ok_and(|p| !p.is_catch_all()));
    }

    #[test]
    fn dots_are_components_only_between_separators() {
        assert!(has_dot_component(r"C:\a\..\b"));
        assert!(has_dot_component("./a"));
        assert!(!has_dot_component(r"\\.\C:\a"));
        assert!(!has_dot_component("/a/..b/.c/*.d"));
    }
}
