//! The state of a tenant's roles and its decisions.

use std::collections::{BTreeMap, BTreeSet};

use formats::{TeamId, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{MappedRolesChanged, RolesAssigned, RolesCommand, RolesError, RolesEvent, TeamRolesMapped};
use crate::{Noun, Role, aggregate::aggregate};

/// The most teams that give roles.
pub const MAPPED_TEAMS_MAX: usize = 100;

/// The roles of all users who are more than members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    of: BTreeMap<Uuid, BTreeSet<Role>>,
    /// The roles that teams give.
    #[serde(default)]
    teams: BTreeMap<Uuid, BTreeSet<Role>>,
    /// The roles that users have by teams.
    #[serde(default)]
    mapped: BTreeMap<Uuid, BTreeSet<Role>>,
}

aggregate!(Roles, "roles", RolesCommand, RolesEvent, RolesError);

impl Roles {
    /// A user's roles, assigned or by teams, weakest first; `member` where there is nothing else.
    #[must_use]
    pub fn of(&self, user: UserId) -> Vec<Role> {
        let mut roles = self.of.get(&user.uuid()).cloned().unwrap_or_default();
        roles.extend(self.mapped.get(&user.uuid()).into_iter().flatten());
        if roles.is_empty() {
            roles.insert(Role::Member);
        }
        roles.into_iter().collect()
    }

    /// The roles that were assigned to a user.
    #[must_use]
    pub fn assigned(&self, user: UserId) -> Vec<Role> {
        self.of
            .get(&user.uuid())
            .map_or_else(|| vec![Role::Member], |roles| roles.iter().copied().collect())
    }

    /// The roles that a user has by teams.
    #[must_use]
    pub fn by_teams(&self, user: UserId) -> Vec<Role> {
        self.mapped
            .get(&user.uuid())
            .map(|roles| roles.iter().copied().collect())
            .unwrap_or_default()
    }

    /// The teams that give roles, and which.
    pub fn teams(&self) -> impl Iterator<Item = (TeamId, &BTreeSet<Role>)> {
        self.teams.iter().map(|(team, roles)| (TeamId::from_uuid(*team), roles))
    }

    /// Everybody who has roles by teams.
    pub fn with_mapped(&self) -> impl Iterator<Item = UserId> + '_ {
        self.mapped.keys().map(|user| UserId::from_uuid(*user))
    }

    fn map_team(&self, team: TeamId, roles: Vec<Role>, by: Option<UserId>) -> Result<Vec<RolesEvent>, RolesError> {
        let wanted: BTreeSet<Role> = roles.into_iter().filter(|role| *role != Role::Member).collect();
        let before = self.teams.get(&team.uuid()).cloned().unwrap_or_default();
        if wanted == before {
            return Ok(Vec::new());
        }
        if wanted.contains(&Role::Owner) {
            return Err(RolesError::OwnerMapped);
        }
        if let Some(own) = by.map(|by| self.highest(by))
            && let Some(role) = wanted.iter().chain(&before).copied().find(|role| *role > own)
        {
            return Err(RolesError::AboveOwn { role });
        }
        if before.is_empty() && self.teams.len() >= MAPPED_TEAMS_MAX {
            return Err(RolesError::TooManyMapped {
                limit: MAPPED_TEAMS_MAX,
            });
        }
        let roles = wanted.into_iter().collect();
        Ok(vec![TeamRolesMapped { team, roles }.into()])
    }

    fn derive(&self, user: UserId, roles: Vec<Role>) -> Vec<RolesEvent> {
        let wanted: BTreeSet<Role> = roles.into_iter().collect();
        if self.mapped.get(&user.uuid()).cloned().unwrap_or_default() == wanted {
            return Vec::new();
        }
        let roles = wanted.into_iter().collect();
        vec![MappedRolesChanged { user, roles }.into()]
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
            RolesEvent::TeamRolesMapped(e) => keep(&mut self.teams, e.team.uuid(), e.roles),
            RolesEvent::MappedRolesChanged(e) => keep(&mut self.mapped, e.user.uuid(), e.roles),
        }
    }
}

fn keep(kept: &mut BTreeMap<Uuid, BTreeSet<Role>>, id: Uuid, roles: Vec<Role>) {
    if roles.is_empty() {
        kept.remove(&id);
    } else {
        kept.insert(id, roles.into_iter().collect());
    }
}

impl Noun for Roles {
    fn decide(&self, command: RolesCommand) -> Result<Vec<RolesEvent>, RolesError> {
        let (user, mut roles, by) = match command {
            RolesCommand::AssignRoles { user, roles, by } => (user, roles, by),
            RolesCommand::MapTeamRoles { team, roles, by } => return self.map_team(team, roles, by),
            RolesCommand::DeriveRoles { user, roles } => return Ok(self.derive(user, roles)),
        };
        if roles.is_empty() {
            roles.push(Role::Member);
        }
        roles.sort_unstable();
        roles.dedup();
        let before = self.assigned(user);
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
