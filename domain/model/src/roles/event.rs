//! What can happen to the tenant's roles.

use formats::{TeamId, UserId};

use crate::{
    Role,
    aggregate::{EventData, events},
};

events! {
    /// What can happen to the tenant's roles.
    RolesEvent {
        /// A user's roles are now exactly these.
        RolesAssigned {
            user: UserId,
            roles: Vec<Role>,
        }
        /// Whoever is in the team has these roles too, from now on; none takes the mapping away.
        TeamRolesMapped {
            team: TeamId,
            roles: Vec<Role>,
        }
        /// A user's roles by teams are now exactly these, beside those that were assigned.
        MappedRolesChanged {
            user: UserId,
            roles: Vec<Role>,
        }
    }
}

impl EventData for RolesEvent {}
