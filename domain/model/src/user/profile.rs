//! What an identity provider says of a user.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::text::TextError;

/// The longest profile as JSON, in bytes.
pub const PROFILE_MAX: usize = 16 * 1024;
/// The most characters of a user's name at the identity provider, and of its id there.
const KEY_MAX: usize = 254;

/// What an identity provider says of a user, as far as it is kept. All of it is personal data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// Their name there, unique in the tenant without case.
    pub user_name: String,
    /// Their id there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The other attributes, by the names of SCIM's schemas (RFC 7643 § 4.1, § 4.3): texts, truth values, objects and
    /// lists of them, without numbers.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
}

/// A name or id that another program gives: 1 to 254 characters on one line, kept as it is.
///
/// # Errors
/// Which of these it breaks.
pub fn foreign_key(text: &str) -> Result<(), TextError> {
    let found = text.chars().count();
    if text.trim().is_empty() {
        Err(TextError::Empty)
    } else if found > KEY_MAX {
        Err(TextError::TooLong { limit: KEY_MAX, found })
    } else if text.chars().any(char::is_control) {
        Err(TextError::Control)
    } else {
        Ok(())
    }
}
