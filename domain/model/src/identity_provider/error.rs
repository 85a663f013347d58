//! The rules a command on an identity provider can break.

use crate::{Coded, Role, text::TextError};

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityProviderError {
    /// There is no such provider.
    #[error("there is no such identity provider")]
    NotFound,
    /// The id is taken.
    #[error("the identity provider exists already")]
    AlreadyExists,
    /// It is disabled already.
    #[error("the identity provider is disabled already")]
    Disabled,
    /// It is not disabled.
    #[error("the identity provider is not disabled")]
    NotDisabled,
    /// A mapping gives a role above one's own, or a higher role said what is to be changed.
    #[error("nobody grants or takes a role above their own, and {} is above yours", .role.as_str())]
    AboveOwn {
        /// The field.
        field: String,
        /// The role that is above.
        role: Role,
    },
    /// Another issuer's people are other people.
    #[error("can't be changed, since remembered identities belong to it; configure another provider")]
    IssuerChanged,
    /// The issuer is not fit.
    #[error("has to be an address of 1,024 bytes or fewer, without ? and #")]
    Issuer,
    /// A scope is not fit.
    #[error("has to be 1 to 100 visible characters")]
    Scope {
        /// The field.
        field: String,
    },
    /// Everybody is a member, and owners are made by owners.
    #[error("has to be auditor, approver or admin: everybody is a member, and owners are made by hand")]
    NotMapped {
        /// The field.
        field: String,
    },
    /// A list is too long.
    #[error("may have 200 entries at most")]
    TooMany {
        /// The field.
        field: &'static str,
    },
    /// A value that is not fit.
    #[error("{field} {error}")]
    Text {
        /// The field.
        field: String,
        /// What is wrong with it.
        error: TextError,
    },
}

impl Coded for IdentityProviderError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Disabled => "PROVIDER_DISABLED",
            Self::NotDisabled => "PROVIDER_NOT_DISABLED",
            Self::AboveOwn { .. } => "ROLE_ABOVE_OWN",
            Self::IssuerChanged
            | Self::Issuer
            | Self::Scope { .. }
            | Self::NotMapped { .. }
            | Self::TooMany { .. }
            | Self::Text { .. } => "BAD_INPUT",
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Issuer | Self::IssuerChanged => Some("issuer".to_owned()),
            Self::TooMany { field } => Some((*field).to_owned()),
            Self::AboveOwn { field, .. }
            | Self::Scope { field }
            | Self::NotMapped { field }
            | Self::Text { field, .. } => Some(field.clone()),
            _ => None,
        }
    }
}
