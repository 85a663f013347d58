//! The state of a tenant's SCIM door and its decisions.

use std::collections::BTreeMap;

use formats::{ScimTokenId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    ScimAccountAttributeChanged, ScimCommand, ScimError, ScimEvent, ScimTokenIssued, ScimTokenReplaced,
    ScimTokenRevoked,
};
use crate::{Noun, Role, aggregate::aggregate, text};

/// The most live tokens: one, and another while they are exchanged.
pub const SCIM_TOKENS_MAX: usize = 2;

/// The attributes of a user that may name their account on endpoints, by SCIM's names; `employeeNumber` is of the
/// enterprise extension. A user's principal name at a Microsoft directory is their `userName`.
pub const ACCOUNT_ATTRIBUTES: [&str; 6] = [
    "userName",
    "externalId",
    "emails.value",
    "displayName",
    "nickName",
    "employeeNumber",
];

/// A live token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScimToken {
    /// What people call it.
    pub label: String,
    /// It does nothing to users above this role.
    pub role: Role,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// A tenant's SCIM door.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scim {
    tokens: BTreeMap<Uuid, ScimToken>,
    attribute: Option<String>,
}

aggregate!(Scim, "scim", ScimCommand, ScimEvent, ScimError);

impl Scim {
    /// A token that opens the door at this moment.
    #[must_use]
    pub fn token(&self, token: ScimTokenId, at: Timestamp) -> Option<&ScimToken> {
        self.tokens
            .get(&token.uuid())
            .filter(|token| token.expires_at.is_none_or(|end| at < end))
    }

    /// The attribute that names a user's account on endpoints.
    #[must_use]
    pub fn account_attribute(&self) -> Option<&str> {
        self.attribute.as_deref()
    }

    fn fold(&mut self, event: ScimEvent) {
        match event {
            ScimEvent::ScimTokenIssued(e) => {
                let token = ScimToken {
                    label: e.label,
                    role: e.role,
                    expires_at: e.expires_at,
                };
                self.tokens.insert(e.token.uuid(), token);
            }
            ScimEvent::ScimTokenReplaced(e) => {
                if let Some(token) = self.tokens.get_mut(&e.token.uuid()) {
                    token.expires_at = Some(e.until);
                }
            }
            ScimEvent::ScimTokenRevoked(e) => {
                self.tokens.remove(&e.token.uuid());
            }
            ScimEvent::ScimAccountAttributeChanged(e) => self.attribute = e.attribute,
        }
    }

    /// There is room for one more, and its end lies ahead.
    fn check_new(&self, at: Timestamp, expires_at: Option<Timestamp>) -> Result<(), ScimError> {
        if expires_at.is_some_and(|end| end <= at) {
            return Err(ScimError::ExpiryInThePast);
        }
        let live = |token: &&ScimToken| token.expires_at.is_none_or(|end| at < end);
        if self.tokens.values().filter(live).count() >= SCIM_TOKENS_MAX {
            return Err(ScimError::TooManyTokens { limit: SCIM_TOKENS_MAX });
        }
        Ok(())
    }
}

impl Noun for Scim {
    fn decide(&self, command: ScimCommand) -> Result<Vec<ScimEvent>, ScimError> {
        use ScimCommand as C;
        Ok(match command {
            C::IssueScimToken {
                at,
                token,
                label,
                role,
                expires_at,
            } => {
                let label = text::name(&label).map_err(|error| ScimError::Label { error })?;
                self.check_new(at, expires_at)?;
                vec![
                    ScimTokenIssued {
                        token,
                        label,
                        role,
                        expires_at,
                    }
                    .into(),
                ]
            }
            C::RotateScimToken {
                at,
                old,
                token,
                role,
                until,
                expires_at,
            } => {
                let replaced = self.token(old, at).ok_or(ScimError::TokenNotFound)?;
                self.check_new(at, expires_at)?;
                let issued = ScimTokenIssued {
                    token,
                    label: replaced.label.clone(),
                    role,
                    expires_at,
                };
                let until = replaced.expires_at.map_or(until, |end| end.min(until));
                let replaced = ScimTokenReplaced {
                    token: old,
                    by: token,
                    until,
                };
                vec![issued.into(), replaced.into()]
            }
            C::RevokeScimToken { token } if !self.tokens.contains_key(&token.uuid()) => {
                return Err(ScimError::TokenNotFound);
            }
            C::RevokeScimToken { token } => vec![ScimTokenRevoked { token }.into()],
            C::ChangeAccountAttribute { attribute } if attribute == self.attribute => Vec::new(),
            C::ChangeAccountAttribute { attribute } => {
                let known = |name: &str| ACCOUNT_ATTRIBUTES.contains(&name);
                if attribute.as_deref().is_some_and(|name| !known(name)) {
                    return Err(ScimError::UnknownAttribute);
                }
                vec![ScimAccountAttributeChanged { attribute }.into()]
            }
        })
    }
}
