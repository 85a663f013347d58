//! The typed strings of a scope, taken apart.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::CollectionKind;

/// The operating systems an endpoint may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Os {
    /// Microsoft Windows.
    Windows,
    /// Apple macOS.
    Macos,
    /// Any Linux distribution.
    Linux,
}

impl Os {
    /// Every operating system.
    pub const ALL: [Self; 3] = [Self::Windows, Self::Macos, Self::Linux];

    /// The word in JSON and in `os:` entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Macos => "macos",
            Self::Linux => "linux",
        }
    }

    /// Whether paths and command lines ignore case there.
    #[must_use]
    pub const fn ignores_case(self) -> bool {
        matches!(self, Self::Windows)
    }

    /// What separates the components of a path there.
    #[must_use]
    pub const fn separator(self) -> u8 {
        match self {
            Self::Windows => b'\\',
            Self::Macos | Self::Linux => b'/',
        }
    }
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Os {
    type Err = EntryError;

    fn from_str(text: &str) -> Result<Self, EntryError> {
        Self::ALL
            .into_iter()
            .find(|os| os.as_str() == text)
            .ok_or(EntryError::UnknownOs)
    }
}

/// One entry of `users`, `machines` or `applications`, or a member of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScopeEntry<'a> {
    /// `*`
    Any,
    /// `collection:NAME-OR-ID`
    Collection(&'a str),
    /// `user:PATTERN`
    User(&'a str),
    /// `group:PATTERN`
    Group(&'a str),
    /// `machine:PATTERN`
    Machine(&'a str),
    /// `os:windows`, `os:macos`, `os:linux`
    Os(Os),
    /// `path:PATTERN`
    Path(&'a str),
    /// `sha256:HEX`, 64 hexadecimal digits of either case
    Sha256(&'a str),
    /// `publisher:PATTERN`
    Publisher(&'a str),
}

/// Why an entry cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryError {
    /// Neither `*` nor a known `prefix:`.
    UnknownPrefix,
    /// A known prefix that belongs to another field.
    WrongField,
    /// Nothing after the prefix.
    Empty,
    /// `os:` with something else than windows, macos, linux.
    UnknownOs,
    /// `sha256:` without 64 hexadecimal digits.
    BadHash,
}

impl EntryError {
    /// Stable code for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownPrefix => "UNKNOWN_PREFIX",
            Self::WrongField => "WRONG_PREFIX",
            Self::Empty => "EMPTY_ENTRY",
            Self::UnknownOs => "UNKNOWN_OS",
            Self::BadHash => "BAD_HASH",
        }
    }
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownPrefix => "starts with no known prefix; write `*` or PREFIX:VALUE",
            Self::WrongField => "has a prefix that belongs to another field",
            Self::Empty => "says nothing after its prefix",
            Self::UnknownOs => "names no operating system; use windows, macos or linux",
            Self::BadHash => "is not 64 hexadecimal digits",
        })
    }
}

impl std::error::Error for EntryError {}

const PREFIXES: [&str; 8] = [
    "collection:",
    "user:",
    "group:",
    "machine:",
    "os:",
    "path:",
    "sha256:",
    "publisher:",
];

/// Whether a text starts like a typed entry (in any case): refused in `files` and `commands`, which hold bare patterns.
#[must_use]
pub fn has_typed_prefix(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| {
        text.get(..prefix.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    })
}

impl<'a> ScopeEntry<'a> {
    /// Reads an entry of any field. Pattern syntax is not looked at.
    ///
    /// # Errors
    /// [`EntryError`] where the text is none of the typed forms.
    pub fn parse(text: &'a str) -> Result<Self, EntryError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (prefix, value) = text.split_once(':').ok_or(EntryError::UnknownPrefix)?;
        let entry = match prefix {
            "collection" => Self::Collection(value),
            "user" => Self::User(value),
            "group" => Self::Group(value),
            "machine" => Self::Machine(value),
            "os" => Self::Os(value.parse()?),
            "path" => Self::Path(value),
            "sha256" if value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit()) => Self::Sha256(value),
            "sha256" => return Err(EntryError::BadHash),
            "publisher" => Self::Publisher(value),
            _ => return Err(EntryError::UnknownPrefix),
        };
        if value.is_empty() {
            Err(EntryError::Empty)
        } else {
            Ok(entry)
        }
    }

    /// Reads an entry of one field: `*`, `collection:` and that field's own prefixes.
    ///
    /// # Errors
    /// [`EntryError`] where the text is no typed form or belongs to another field.
    pub fn parse_in(field: CollectionKind, text: &'a str) -> Result<Self, EntryError> {
        let entry = Self::parse(text)?;
        let fits = match entry {
            Self::Any | Self::Collection(_) => true,
            Self::User(_) | Self::Group(_) => field == CollectionKind::Users,
            Self::Machine(_) | Self::Os(_) => field == CollectionKind::Machines,
            Self::Path(_) | Self::Sha256(_) | Self::Publisher(_) => field == CollectionKind::Applications,
        };
        if fits { Ok(entry) } else { Err(EntryError::WrongField) }
    }
}
