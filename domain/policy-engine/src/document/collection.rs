//! Named sets that scopes refer to.

use serde::{Deserialize, Serialize};

/// A named set of users, of machines or of applications; never mixed, never nested.
///
/// Members are the typed entries of the field that the kind belongs to, without `collection:`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Collection {
    /// What its members are.
    pub kind: CollectionKind,
    /// Typed entries, such as `machine:WS-04*`.
    #[serde(default)]
    pub members: Vec<String>,
}

/// What a collection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectionKind {
    /// `user:` and `group:` entries.
    Users,
    /// `machine:` and `os:` entries.
    Machines,
    /// `path:`, `sha256:` and `publisher:` entries.
    Applications,
}

impl CollectionKind {
    /// The word in JSON, which is also the name of the policy field that may use it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Machines => "machines",
            Self::Applications => "applications",
        }
    }
}

impl std::fmt::Display for CollectionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
