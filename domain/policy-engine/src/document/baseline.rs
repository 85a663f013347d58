//! What happens where no enforced policy matches.

use std::collections::BTreeMap;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ActionType, Control};

/// The tenant's answer per action type; a type that is not named passes through.
///
/// JSON: `{"privilege_elevation": "deny", "command_line": ["approval"]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Baseline(pub BTreeMap<ActionType, BaselineSetting>);

impl Baseline {
    /// The setting of one type; [`BaselineSetting::PassThrough`] where nothing is set.
    #[must_use]
    pub fn get(&self, action_type: ActionType) -> &BaselineSetting {
        self.0.get(&action_type).unwrap_or(&BaselineSetting::PassThrough)
    }
}

/// One type's baseline: `"pass_through"`, `"deny"` or a list of required controls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BaselineSetting {
    /// The operating system's own answer stands.
    #[default]
    PassThrough,
    /// Denied.
    Deny,
    /// These controls, as if a policy demanded them. `allow` and `deny` in it are refused at save.
    Controls(Vec<Control>),
}

impl Serialize for BaselineSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::PassThrough => serializer.serialize_str("pass_through"),
            Self::Deny => serializer.serialize_str("deny"),
            Self::Controls(controls) => controls.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for BaselineSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SettingVisitor)
    }
}

struct SettingVisitor;

impl<'de> Visitor<'de> for SettingVisitor {
    type Value = BaselineSetting;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("`pass_through`, `deny` or a list of `approval`, `mfa`, `justification`")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<BaselineSetting, E> {
        match word {
            "pass_through" => Ok(BaselineSetting::PassThrough),
            "deny" => Ok(BaselineSetting::Deny),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<BaselineSetting, A::Error> {
        let mut controls = Vec::new();
        while let Some(control) = list.next_element()? {
            controls.push(control);
        }
        Ok(BaselineSetting::Controls(controls))
    }
}
