//! The state of a team and its decisions.

use std::collections::BTreeSet;

use formats::{TeamId, UserId};
use serde::{Deserialize, Serialize};

use super::{
    TeamCommand, TeamCreated, TeamDeleted, TeamError, TeamEvent, TeamExternalIdChanged, TeamMembersChanged,
    TeamReleased, TeamRenamed,
};
use crate::{Noun, aggregate::aggregate, text};

/// The most members of a team.
pub const TEAM_MEMBERS_MAX: usize = 10_000;

/// A team.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    id: Option<TeamId>,
    name: String,
    members: BTreeSet<UserId>,
    #[serde(default)]
    managed: bool,
    #[serde(default)]
    external_id: Option<String>,
}

aggregate!(Team, "team", TeamCommand, TeamEvent, TeamError);

impl Team {
    /// Whether the user is a member.
    #[must_use]
    pub fn has(&self, user: UserId) -> bool {
        self.id.is_some() && self.members.contains(&user)
    }

    /// Whether there is such a team.
    #[must_use]
    pub const fn exists(&self) -> bool {
        self.id.is_some()
    }

    /// Whether an identity provider keeps it.
    #[must_use]
    pub const fn is_managed(&self) -> bool {
        self.id.is_some() && self.managed
    }

    /// Who is in it.
    pub fn members(&self) -> impl Iterator<Item = UserId> + '_ {
        self.members.iter().copied().filter(|_| self.id.is_some())
    }

    fn fold(&mut self, event: TeamEvent) {
        match event {
            TeamEvent::TeamCreated(e) => {
                self.id = Some(e.team);
                self.name = e.name;
                self.members = e.members.into_iter().collect();
                self.managed = e.source.is_some();
                self.external_id = e.external_id;
            }
            TeamEvent::TeamExternalIdChanged(e) => self.external_id = e.external_id,
            TeamEvent::TeamReleased(_) => {
                self.managed = false;
                self.external_id = None;
            }
            TeamEvent::TeamRenamed(e) => self.name = e.name,
            TeamEvent::TeamMembersChanged(e) => {
                self.members.extend(e.added);
                for user in e.removed {
                    self.members.remove(&user);
                }
            }
            TeamEvent::TeamDeleted(_) => self.id = None,
        }
    }

    /// People change what is kept by hand, and identity providers what they keep.
    fn check_keeper(&self, command: &TeamCommand) -> Result<(), TeamError> {
        use TeamCommand as C;
        match command {
            C::ChangeTeam { .. } | C::ChangeMembers { .. } | C::DeleteTeam { .. } if self.managed => {
                Err(TeamError::Managed)
            }
            C::SyncTeam { .. } | C::DeprovisionTeam { .. } | C::ReleaseTeam if !self.managed => {
                Err(TeamError::NotManaged)
            }
            _ => Ok(()),
        }
    }

    fn create(
        &self,
        team: TeamId,
        name: &str,
        members: Vec<UserId>,
        scim: Option<Option<String>>,
    ) -> Result<Vec<TeamEvent>, TeamError> {
        if self.id.is_some() {
            return Err(TeamError::AlreadyExists);
        }
        let members: BTreeSet<_> = members.into_iter().collect();
        if members.len() > TEAM_MEMBERS_MAX {
            return Err(TeamError::TooManyMembers {
                limit: TEAM_MEMBERS_MAX,
            });
        }
        let source = scim.is_some().then(|| "scim".to_owned());
        let external_id = scim.flatten();
        check_external(external_id.as_deref())?;
        Ok(vec![
            TeamCreated {
                team,
                name: checked(name)?,
                members: members.into_iter().collect(),
                source,
                external_id,
            }
            .into(),
        ])
    }

    fn change(
        &self,
        team: TeamId,
        name: Option<&str>,
        members: Option<Vec<UserId>>,
    ) -> Result<Vec<TeamEvent>, TeamError> {
        let mut events = Vec::new();
        if let Some(name) = name.map(checked).transpose()?.filter(|name| *name != self.name) {
            events.push(TeamRenamed { team, name }.into());
        }
        if let Some(members) = members {
            events.extend(self.membership(team, &members.into_iter().collect())?);
        }
        Ok(events)
    }

    fn membership(&self, team: TeamId, wanted: &BTreeSet<UserId>) -> Result<Option<TeamEvent>, TeamError> {
        if wanted.len() > TEAM_MEMBERS_MAX {
            return Err(TeamError::TooManyMembers {
                limit: TEAM_MEMBERS_MAX,
            });
        }
        let added: Vec<_> = wanted.difference(&self.members).copied().collect();
        let removed: Vec<_> = self.members.difference(wanted).copied().collect();
        let changed = !added.is_empty() || !removed.is_empty();
        Ok(changed.then(|| TeamMembersChanged { team, added, removed }.into()))
    }
}

fn check_external(id: Option<&str>) -> Result<(), TeamError> {
    id.map_or(Ok(()), crate::user::foreign_key)
        .map_err(|error| TeamError::ExternalId { error })
}

fn checked(name: &str) -> Result<String, TeamError> {
    text::name(name).map_err(|error| TeamError::Name { error })
}

impl Noun for Team {
    fn decide(&self, command: TeamCommand) -> Result<Vec<TeamEvent>, TeamError> {
        use TeamCommand as C;
        match command {
            C::CreateTeam { team, name, members } => return self.create(team, &name, members, None),
            C::ProvisionTeam {
                team,
                name,
                external_id,
                members,
            } => return self.create(team, &name, members, Some(external_id)),
            _ => {}
        }
        let team = self.id.ok_or(TeamError::NotFound)?;
        self.check_keeper(&command)?;
        let mut events = Vec::new();
        match command {
            C::CreateTeam { .. } | C::ProvisionTeam { .. } => return Err(TeamError::AlreadyExists),
            C::ChangeTeam { name, members } => events.extend(self.change(team, name.as_deref(), members)?),
            C::SyncTeam {
                name,
                external_id,
                members,
            } => {
                events.extend(self.change(team, name.as_deref(), members)?);
                if let Some(external_id) = external_id.filter(|id| *id != self.external_id) {
                    check_external(external_id.as_deref())?;
                    events.push(TeamExternalIdChanged { team, external_id }.into());
                }
            }
            C::ChangeMembers { add, remove } => {
                let mut wanted = self.members.clone();
                wanted.extend(add);
                for user in remove {
                    wanted.remove(&user);
                }
                events.extend(self.membership(team, &wanted)?);
            }
            C::DeleteTeam { used_by } | C::DeprovisionTeam { used_by } if !used_by.is_empty() => {
                return Err(TeamError::InUse { used_by });
            }
            C::ReleaseTeam => events.push(TeamReleased { team }.into()),
            C::DeleteTeam { .. } | C::DeprovisionTeam { .. } => events.push(TeamDeleted { team }.into()),
        }
        Ok(events)
    }
}
