//! What can be asked of the tenant's roles.

use formats::{TeamId, UserId};

use crate::Role;

/// The commands, by their names in the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolesCommand {
    /// Give a user exactly these roles.
    AssignRoles {
        /// Whose.
        user: UserId,
        /// Which; `member` where empty.
        roles: Vec<Role>,
        /// Who asks; none for the operator, who may make the first owner.
        by: Option<UserId>,
    },
    /// Give whoever is in a team these roles; none takes the mapping away.
    MapTeamRoles {
        team: TeamId,
        roles: Vec<Role>,
        /// Who asks; none for the product itself.
        by: Option<UserId>,
    },
    /// Bring a user's roles by teams to what the teams say.
    DeriveRoles { user: UserId, roles: Vec<Role> },
}
