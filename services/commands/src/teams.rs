//! Teams of users.

use formats::{TeamId, UserId};
use model::team::{Team, TeamCommand};
use serde_json::json;

use crate::{Act, App, Caller, Outcome, Refusal, Written};

impl App {
    /// Makes a team.
    ///
    /// # Errors
    /// `BAD_INPUT`, `NAME_TAKEN`, `NOT_FOUND` for an unknown member, `FORBIDDEN`.
    pub async fn create_team(&self, caller: &Caller, name: String, members: Vec<UserId>) -> Outcome<Written> {
        caller.demand(Act::WritePeople)?;
        self.users_exist(caller, &members).await?;
        let team: TeamId = self.ambient().id();
        let content = json!({ "name": name, "members": members });
        self.run::<Team>(
            caller,
            "createTeam",
            team.uuid(),
            &content,
            TeamCommand::CreateTeam { team, name, members },
        )
        .await
    }

    /// Changes name or members, whichever is given; members are the whole list.
    ///
    /// # Errors
    /// As [`App::create_team`], `NOT_FOUND`.
    pub async fn change_team(
        &self,
        caller: &Caller,
        team: TeamId,
        name: Option<String>,
        members: Option<Vec<UserId>>,
    ) -> Outcome<Written> {
        caller.demand(Act::WritePeople)?;
        self.users_exist(caller, members.as_deref().unwrap_or_default()).await?;
        let content = json!({ "team": team, "name": name, "members": members });
        self.run::<Team>(
            caller,
            "changeTeam",
            team.uuid(),
            &content,
            TeamCommand::ChangeTeam { name, members },
        )
        .await
    }

    /// Removes a team that no approval rule names.
    ///
    /// # Errors
    /// `IN_USE`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn delete_team(&self, caller: &Caller, team: TeamId) -> Outcome<Written> {
        use model::{approval_rule::ApprovalRules, request::Approver};
        caller.demand(Act::WritePeople)?;
        let rules: ApprovalRules = self.state(caller.tenant, caller.tenant.uuid()).await?;
        let used_by = rules
            .rules()
            .iter()
            .filter(|(_, rule)| {
                rule.primary
                    .iter()
                    .chain(&rule.secondary)
                    .any(|a| *a == Approver::Team(team))
            })
            .map(|(_, rule)| rule.name.clone())
            .collect();
        let command = TeamCommand::DeleteTeam { used_by };
        self.run::<Team>(caller, "deleteTeam", team.uuid(), &json!({ "team": team }), command)
            .await
    }

    async fn users_exist(&self, caller: &Caller, users: &[UserId]) -> Outcome<()> {
        self.caught_up(caller.tenant).await?;
        let mut tx = self.reading(caller.tenant).await?;
        for (i, user) in users.iter().enumerate() {
            if projections::directory::user(&mut tx, *user).await?.is_none() {
                return Err(Refusal::not_found("user").on(format!("members[{i}]")));
            }
        }
        Ok(())
    }
}
