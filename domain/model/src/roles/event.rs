//! What can happen to the tenant's roles.

use formats::UserId;

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
    }
}

impl EventData for RolesEvent {}
