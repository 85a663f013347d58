//! The state of a deployment group and its decisions.

use std::collections::BTreeMap;

use formats::{DeploymentGroupId, RegistrationTokenId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    DeploymentGroupCommand, DeploymentGroupCreated, DeploymentGroupDeleted, DeploymentGroupError, DeploymentGroupEvent,
    DeploymentGroupRenamed, RegistrationTokenIssued, RegistrationTokenRevoked, RegistrationTokenUsed,
    SnapshotConfirmed,
};
use crate::{Noun, aggregate::aggregate, text};

/// The most live tokens of one group.
pub const REGISTRATION_TOKENS_MAX: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Token {
    expires_at: Option<Timestamp>,
    max_uses: Option<u32>,
    used: u32,
}

/// A deployment group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentGroup {
    id: Option<DeploymentGroupId>,
    name: String,
    tokens: BTreeMap<Uuid, Token>,
}

aggregate!(
    DeploymentGroup,
    "deployment_group",
    DeploymentGroupCommand,
    DeploymentGroupEvent,
    DeploymentGroupError
);

impl DeploymentGroup {
    /// Whether there is such a group.
    #[must_use]
    pub const fn exists(&self) -> bool {
        self.id.is_some()
    }

    /// Whether an endpoint may register with this token at this moment.
    #[must_use]
    pub fn accepts(&self, token: RegistrationTokenId, at: Timestamp) -> bool {
        self.id.is_some() && self.usable(token, at).is_ok()
    }

    /// When a token ends by itself; none where it never does, or there is none.
    #[must_use]
    pub fn token_end(&self, token: RegistrationTokenId) -> Option<Timestamp> {
        self.tokens.get(&token.uuid())?.expires_at
    }

    fn fold(&mut self, event: DeploymentGroupEvent) {
        match event {
            DeploymentGroupEvent::DeploymentGroupCreated(e) => {
                self.id = Some(e.group);
                self.name = e.name;
            }
            DeploymentGroupEvent::DeploymentGroupRenamed(e) => self.name = e.name,
            DeploymentGroupEvent::RegistrationTokenIssued(e) => {
                let token = Token {
                    expires_at: e.expires_at,
                    max_uses: e.max_uses,
                    used: 0,
                };
                self.tokens.insert(e.token.uuid(), token);
            }
            DeploymentGroupEvent::RegistrationTokenUsed(e) => {
                if let Some(token) = self.tokens.get_mut(&e.token.uuid()) {
                    token.used = e.number;
                }
            }
            DeploymentGroupEvent::RegistrationTokenRevoked(e) => {
                self.tokens.remove(&e.token.uuid());
            }
            DeploymentGroupEvent::SnapshotConfirmed(_) => {}
            DeploymentGroupEvent::DeploymentGroupDeleted(_) => *self = Self::default(),
        }
    }

    fn usable(&self, token: RegistrationTokenId, at: Timestamp) -> Result<&Token, DeploymentGroupError> {
        self.tokens
            .get(&token.uuid())
            .filter(|t| t.expires_at.is_none_or(|end| at < end) && t.max_uses.is_none_or(|most| t.used < most))
            .ok_or(DeploymentGroupError::TokenInvalid)
    }
}

impl Noun for DeploymentGroup {
    fn decide(&self, command: DeploymentGroupCommand) -> Result<Vec<DeploymentGroupEvent>, DeploymentGroupError> {
        use DeploymentGroupCommand as C;
        let named = |name: &str| text::name(name).map_err(|error| DeploymentGroupError::Name { error });
        if let C::CreateDeploymentGroup { group, name } = command {
            if self.id.is_some() {
                return Err(DeploymentGroupError::AlreadyExists);
            }
            return Ok(vec![
                DeploymentGroupCreated {
                    group,
                    name: named(&name)?,
                }
                .into(),
            ]);
        }
        let group = self.id.ok_or(DeploymentGroupError::NotFound)?;
        if let C::RotateRegistrationToken { at, old, token } = command {
            let now = self.usable(old, at).map_err(|_| DeploymentGroupError::TokenNotFound)?;
            let issued = RegistrationTokenIssued {
                group,
                token,
                expires_at: now.expires_at,
                max_uses: now.max_uses.map(|most| most - now.used),
            };
            let revoked = RegistrationTokenRevoked { group, token: old };
            return Ok(vec![revoked.into(), issued.into()]);
        }
        Ok(vec![match command {
            C::CreateDeploymentGroup { .. } | C::RotateRegistrationToken { .. } => {
                return Err(DeploymentGroupError::AlreadyExists);
            }
            C::RenameDeploymentGroup { name } => match named(&name)? {
                name if name == self.name => return Ok(Vec::new()),
                name => DeploymentGroupRenamed { group, name }.into(),
            },
            C::IssueRegistrationToken {
                at,
                token,
                expires_at,
                max_uses,
            } => {
                if expires_at.is_some_and(|end| end <= at) {
                    return Err(DeploymentGroupError::ExpiryInThePast);
                }
                if max_uses == Some(0) {
                    return Err(DeploymentGroupError::NoUses);
                }
                if self.tokens.len() >= REGISTRATION_TOKENS_MAX {
                    return Err(DeploymentGroupError::TooManyTokens {
                        limit: REGISTRATION_TOKENS_MAX,
                    });
                }
                RegistrationTokenIssued {
                    group,
                    token,
                    expires_at,
                    max_uses,
                }
                .into()
            }
            C::UseRegistrationToken { at, token, endpoint } => {
                let number = self.usable(token, at)?.used + 1;
                RegistrationTokenUsed {
                    group,
                    token,
                    endpoint,
                    number,
                }
                .into()
            }
            C::RevokeRegistrationToken { token } if !self.tokens.contains_key(&token.uuid()) => {
                return Err(DeploymentGroupError::TokenNotFound);
            }
            C::RevokeRegistrationToken { token } => RegistrationTokenRevoked { group, token }.into(),
            C::ConfirmSnapshot { version } => SnapshotConfirmed { group, version }.into(),
            C::DeleteDeploymentGroup { endpoints } if endpoints > 0 => {
                return Err(DeploymentGroupError::InUse { endpoints });
            }
            C::DeleteDeploymentGroup { .. } => DeploymentGroupDeleted { group }.into(),
        }])
    }
}
