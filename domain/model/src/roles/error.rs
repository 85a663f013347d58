//! The rules a change of roles can break.

use crate::{Coded, Role};

/// A refusal, named by the rule broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RolesError {
    /// The last owner stays.
    #[error("the last owner stays; make someone else an owner first")]
    LastOwner,
    /// Owners are made one by one, so that the last one is known.
    #[error("the role owner is given by hand only, not by a team")]
    OwnerMapped,
    /// Too many teams give roles.
    #[error("roles: {limit} teams that give roles are the most")]
    TooManyMapped {
        /// The most.
        limit: usize,
    },
    /// Nobody grants or takes a role above their own.
    #[error("nobody grants or takes a role above their own, and {} is above yours", .role.as_str())]
    AboveOwn {
        /// The role that is above.
        role: Role,
    },
}

impl Coded for RolesError {
    fn code(&self) -> &'static str {
        match self {
            Self::LastOwner => "LAST_OWNER",
            Self::OwnerMapped => "OWNER_NOT_MAPPED",
            Self::TooManyMapped { .. } => "BAD_INPUT",
            Self::AboveOwn { .. } => "ROLE_ABOVE_OWN",
        }
    }

    fn field(&self) -> Option<String> {
        Some("roles".to_owned())
    }
}
