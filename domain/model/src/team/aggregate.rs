//! The state of a team and its decisions.

use std::collections::BTreeSet;

use formats::{TeamId, UserId};
use serde::{Deserialize, Serialize};

use super::{TeamCommand, TeamCreated, TeamDeleted, TeamError, TeamEvent, TeamMembersChanged, TeamRenamed};
use crate::{Noun, aggregate::aggregate, text};

/// The most members of a team.
pub const TEAM_MEMBERS_MAX: usize = 10_000;

/// A team.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    id: Option<TeamId>,
    name: String,
    members: BTreeSet<UserId>,
}

aggregate!(Team, "team", TeamCommand, TeamEvent, TeamError);

impl Team {
    /// Whether the user is a member.
    #[must_use]
    pub fn has(&self, user: UserId) -> bool {
        self.id.is_some() && self.members.contains(&user)
    }

    fn fold(&mut self, event: TeamEvent) {
        match event {
            TeamEvent::TeamCreated(e) => {
                self.id = Some(e.team);
                self.name = e.name;
                self.members = e.members.into_iter().collect();
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

fn checked(name: &str) -> Result<String, TeamError> {
    text::name(name).map_err(|error| TeamError::Name { error })
}

impl Noun for Team {
    fn decide(&self, command: TeamCommand) -> Result<Vec<TeamEvent>, TeamError> {
        if let TeamCommand::CreateTeam { team, name, members } = command {
            if self.id.is_some() {
                return Err(TeamError::AlreadyExists);
            }
            let members: BTreeSet<_> = members.into_iter().collect();
            if members.len() > TEAM_MEMBERS_MAX {
                return Err(TeamError::TooManyMembers {
                    limit: TEAM_MEMBERS_MAX,
                });
            }
            let members = members.into_iter().collect();
            return Ok(vec![
                TeamCreated {
                    team,
                    name: checked(&name)?,
                    members,
                }
                .into(),
            ]);
        }
        let team = self.id.ok_or(TeamError::NotFound)?;
        let mut events = Vec::new();
        match command {
            TeamCommand::CreateTeam { .. } => return Err(TeamError::AlreadyExists),
            TeamCommand::ChangeTeam { name, members } => {
                if let Some(name) = name
                    .as_deref()
                    .map(checked)
                    .transpose()?
                    .filter(|name| *name != self.name)
                {
                    events.push(TeamRenamed { team, name }.into());
                }
                if let Some(members) = members {
                    events.extend(self.membership(team, &members.into_iter().collect())?);
                }
            }
            TeamCommand::ChangeMembers { add, remove } => {
                let mut wanted = self.members.clone();
                wanted.extend(add);
                for user in remove {
                    wanted.remove(&user);
                }
                events.extend(self.membership(team, &wanted)?);
            }
            TeamCommand::DeleteTeam { used_by } if !used_by.is_empty() => return Err(TeamError::InUse { used_by }),
            TeamCommand::DeleteTeam { .. } => events.push(TeamDeleted { team }.into()),
        }
        Ok(events)
    }
}
