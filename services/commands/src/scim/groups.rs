//! Groups as an identity provider says them: teams that it keeps.

use std::collections::BTreeSet;

use formats::{TeamId, UserId};
use model::{
    Noun,
    team::{Team, TeamCommand},
};
use projections::scim::{self, GroupView};
use serde_json::{Value, json};

use super::{ATTEMPTS, Expected, conflict, demand_token};
use crate::{App, Caller, Outcome, Refusal, Written};

/// What an identity provider wants a group to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupWanted {
    /// Its name.
    pub name: String,
    /// Its id at the identity provider.
    pub external_id: Option<String>,
    /// Who is in it.
    pub members: BTreeSet<UserId>,
}

impl App {
    /// Makes a group.
    ///
    /// # Errors
    /// `NAME_TAKEN`, also where a team that is kept by hand has the name; `BAD_INPUT`, `FORBIDDEN`.
    pub async fn scim_create_group(&self, caller: &Caller, wanted: GroupWanted) -> Outcome<GroupView> {
        demand_token(caller)?;
        self.caught_up(caller.tenant).await?;
        self.members_known(caller, &wanted.members).await?;
        let team: TeamId = self.ambient().id();
        let members: Vec<_> = wanted.members.into_iter().collect();
        let content = json!({ "name": wanted.name, "externalId": wanted.external_id, "members": members });
        let command = TeamCommand::ProvisionTeam {
            team,
            name: wanted.name,
            external_id: wanted.external_id,
            members: members.clone(),
        };
        let written: Written = self
            .run::<Team>(caller, "scim/createGroup", team.uuid(), &content, command)
            .await
            .map_err(taken)?;
        self.derive_roles(caller, &members).await?;
        self.scim_group(caller, written.id()).await
    }

    /// Changes a group: `make` says what it is to be, from what it is, and is asked again where somebody else was
    /// faster.
    ///
    /// # Errors
    /// `NOT_FOUND`, `PRECONDITION_FAILED`, `NAME_TAKEN`, `BAD_INPUT`, `FORBIDDEN`.
    pub async fn scim_change_group(
        &self,
        caller: &Caller,
        team: TeamId,
        content: &Value,
        expected: &Expected,
        make: impl Fn(&GroupWanted) -> Outcome<GroupWanted> + Send + Sync,
    ) -> Outcome<GroupView> {
        demand_token(caller)?;
        let content = json!({ "team": team, "said": content });
        let envelope = self.envelope(caller, "scim/changeGroup", &content)?;
        for _ in 0..ATTEMPTS {
            let row = self.scim_group(caller, team).await?;
            expected.check(row.version)?;
            let (state, version) = self.store.load::<Team>(caller.tenant, team.uuid()).await?;
            if version != row.version {
                continue;
            }
            let before = GroupWanted {
                name: row.name.clone(),
                external_id: row.external_id.clone(),
                members: state.members().collect(),
            };
            let wanted = make(&before)?;
            let added: BTreeSet<UserId> = wanted.members.difference(&before.members).copied().collect();
            self.members_known(caller, &added).await?;
            let changed: Vec<UserId> = wanted.members.symmetric_difference(&before.members).copied().collect();
            let command = TeamCommand::SyncTeam {
                name: Some(wanted.name),
                external_id: Some(wanted.external_id),
                members: Some(wanted.members.into_iter().collect()),
            };
            let events = state.decide(command).map_err(|error| Refusal::of(&error))?;
            if events.is_empty() {
                return Ok(row);
            }
            let done = self
                .store
                .append::<Team>(caller.tenant, team.uuid(), version, &envelope, events)
                .await;
            match done {
                Ok(_) => {
                    self.derive_roles(caller, &changed).await?;
                    return self.scim_group(caller, team).await;
                }
                Err(eventstore::ExecuteError::Conflict) => {}
                Err(error) => return Err(taken(error.into())),
            }
        }
        Err(conflict())
    }

    /// Removes a group that no approval rule names.
    ///
    /// # Errors
    /// `NOT_FOUND`, `PRECONDITION_FAILED`, `IN_USE`, `FORBIDDEN`.
    pub async fn scim_delete_group(&self, caller: &Caller, team: TeamId, expected: &Expected) -> Outcome<()> {
        demand_token(caller)?;
        let envelope = self.envelope(caller, "scim/deleteGroup", &json!({ "team": team }))?;
        for _ in 0..ATTEMPTS {
            let row = self.scim_group(caller, team).await?;
            expected.check(row.version)?;
            let (state, version) = self.store.load::<Team>(caller.tenant, team.uuid()).await?;
            if version != row.version {
                continue;
            }
            let used_by = self.rules_naming(caller, team).await?;
            let events = state
                .decide(TeamCommand::DeprovisionTeam { used_by })
                .map_err(|error| Refusal::of(&error))?;
            let done = self
                .store
                .append::<Team>(caller.tenant, team.uuid(), version, &envelope, events)
                .await;
            match done {
                Ok(done) => {
                    let members: Vec<_> = state.members().collect();
                    self.team_is_gone(caller, team, &members).await?;
                    self.settled(caller.tenant, done.last()).await;
                    return Ok(());
                }
                Err(eventstore::ExecuteError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(conflict())
    }

    /// One group, as the read models have it once they know everything.
    ///
    /// # Errors
    /// `NOT_FOUND`, `UNAVAILABLE`.
    pub async fn scim_group(&self, caller: &Caller, team: TeamId) -> Outcome<GroupView> {
        self.caught_up(caller.tenant).await?;
        let mut tx = self.reading(caller.tenant).await?;
        let row = scim::group(&mut tx, team).await?;
        row.ok_or_else(|| Refusal::not_found("group"))
    }

    /// Takes a user out of every group that an identity provider keeps.
    pub(super) async fn leave_groups(&self, caller: &Caller, user: UserId) -> Outcome<()> {
        self.caught_up(caller.tenant).await?;
        let mut tx = self.reading(caller.tenant).await?;
        let groups = scim::groups_of(&mut tx, &[user]).await?;
        drop(tx);
        for (_, team, _) in groups {
            let content = json!({ "leaves": user });
            self.scim_change_group(&unrepeated(caller), team, &content, &Expected::Any, |group| {
                let mut wanted = group.clone();
                wanted.members.remove(&user);
                Ok(wanted)
            })
            .await?;
        }
        Ok(())
    }

    async fn members_known(&self, caller: &Caller, members: &BTreeSet<UserId>) -> Outcome<()> {
        if members.is_empty() {
            return Ok(());
        }
        let wanted: Vec<UserId> = members.iter().copied().collect();
        let mut tx = self.reading(caller.tenant).await?;
        let known = scim::users_known(&mut tx, &wanted).await?;
        match wanted.iter().find(|user| !known.contains(user)) {
            None => Ok(()),
            Some(user) => Err(Refusal::bad_input(
                "members",
                format!("members: there is no user {user}"),
            )),
        }
    }
}

/// The same caller for one more command that follows from this call.
fn unrepeated(caller: &Caller) -> Caller {
    let mut log = caller.clone();
    log.origin.idempotency_key = None;
    log
}

fn taken(refusal: Refusal) -> Refusal {
    if refusal.code != "NAME_TAKEN" {
        return refusal;
    }
    let message = "another group, or a team that is kept by hand, has this displayName";
    Refusal::new("NAME_TAKEN", 409, message).on("displayName")
}
