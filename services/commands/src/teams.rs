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
        let command = TeamCommand::CreateTeam { team, name, members };
        self.run::<Team>(caller, "createTeam", team.uuid(), &content, command)
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
        let touched = members.clone();
        let command = TeamCommand::ChangeTeam { name, members };
        let mut written = self
            .run::<Team>(caller, "changeTeam", team.uuid(), &content, command)
            .await?;
        if let Some(members) = touched {
            written.position = self.derive_roles(caller, &members).await?.max(written.position);
        }
        Ok(written)
    }

    /// Removes a team that no approval rule names.
    ///
    /// # Errors
    /// `IN_USE`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn delete_team(&self, caller: &Caller, team: TeamId) -> Outcome<Written> {
        caller.demand(Act::WritePeople)?;
        let used_by = self.rules_naming(caller, team).await?;
        let state: Team = self.state(caller.tenant, team.uuid()).await?;
        let command = TeamCommand::DeleteTeam { used_by };
        let mut written = self
            .run::<Team>(caller, "deleteTeam", team.uuid(), &json!({ "team": team }), command)
            .await?;
        let members: Vec<_> = state.members().collect();
        self.team_is_gone(caller, team, &members).await?;
        written.position = self.store.head(caller.tenant).await?.max(written.position);
        Ok(written)
    }

    /// Lets a team that an identity provider keeps be kept by hand from now on, as it is.
    ///
    /// # Errors
    /// `TEAM_NOT_MANAGED`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn release_team(&self, caller: &Caller, team: TeamId) -> Outcome<Written> {
        caller.demand(Act::WritePeople)?;
        let content = json!({ "team": team });
        self.run::<Team>(caller, "releaseTeam", team.uuid(), &content, TeamCommand::ReleaseTeam)
            .await
    }

    /// The names of the approval rules that name a team.
    pub(crate) async fn rules_naming(&self, caller: &Caller, team: TeamId) -> Outcome<Vec<String>> {
        use model::{approval_rule::ApprovalRules, request::Approver};
        let rules: ApprovalRules = self.state(caller.tenant, caller.tenant.uuid()).await?;
        let names = |rule: &model::approval_rule::RuleDefinition| {
            let mut named = rule.primary.iter().chain(&rule.secondary);
            named.any(|approver| *approver == Approver::Team(team))
        };
        Ok(rules
            .rules()
            .iter()
            .filter(|(_, rule)| names(rule))
            .map(|(_, rule)| rule.name.clone())
            .collect())
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
