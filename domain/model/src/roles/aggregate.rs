//! The state of a tenant's roles and its decisions.

use std::collections::{BTreeMap, BTreeSet};

use formats::UserId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{RolesAssigned, RolesCommand, RolesError, RolesEvent};
use crate::{Noun, Role, aggregate::aggregate};

/// The roles of all users who are more than members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    of: BTreeMap<Uuid, BTreeSet<Role>>,
}

aggregate!(Roles, "roles", RolesCommand, RolesEvent, RolesError);

impl Roles {
    /// A user's roles, weakest first; `member` where nothing else was assigned.
    #[must_use]
    pub fn of(&self, user: UserId) -> Vec<Role> {
        self.of
            .get(&user.uuid())
            .map_or_else(|| vec![Role::Member], |roles| roles.iter().copied().collect())
    }

    fn highest(&self, user: UserId) -> Role {
        self.of(user).into_iter().max().unwrap_or(Role::Member)
    }

    fn fold(&mut self, event: RolesEvent) {
        match event {
            RolesEvent::RolesAssigned(e) => {
                let roles: BTreeSet<Role> = e.roles.into_iter().collect();
                if roles.iter().all(|role| *role == Role::Member) {
                    self.of.remove(&e.user.uuid());
                } else {
                    self.of.insert(e.user.uuid(), roles);
                }
            }
        }
    }
}

impl Noun for Roles {
    fn decide(&self, command: RolesCommand) -> Result<Vec<RolesEvent>, RolesError> {
        let RolesCommand::AssignRoles { user, mut roles, by } = command;
        if roles.is_empty() {
            roles.push(Role::Member);
        }
        roles.sort_unstable();
        roles.dedup();
        let before = self.of(user);
        if roles == before {
            return Ok(Vec::new());
        }
        if let Some(by) = by {
            let own = self.highest(by);
            if let Some(role) = roles.iter().chain(&before).copied().find(|role| *role > own) {
                return Err(RolesError::AboveOwn { role });
            }
        }
        let was_owner = before.contains(&Role::Owner);
        let other_owner = self
            .of
            .iter()
            .any(|(other, roles)| *other != user.uuid() && roles.contains(&Role::Owner));
        if was_owner && !roles.contains(&Role::Owner) && !other_owner {
            return Err(RolesError::LastOwner);
        }
        Ok(vec![RolesAssigned { user, roles }.into()])
    }
}
