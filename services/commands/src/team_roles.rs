//! Roles by teams: whoever is in a team that gives roles has them, for as long as both hold.

use std::collections::{BTreeMap, BTreeSet};

use formats::{TeamId, TenantId, UserId};
use model::{
    Role,
    roles::{Roles, RolesCommand},
    team::Team,
};
use serde_json::json;

use crate::{Act, App, Caller, Outcome, Principal, Refusal, Written};

/// How often roles are compared anew where memberships change meanwhile.
const ROUNDS: u32 = 5;

impl App {
    /// Gives whoever is in a team these roles beside their own; none takes the mapping away.
    ///
    /// # Errors
    /// `ROLE_ABOVE_OWN`, `OWNER_NOT_MAPPED`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn map_team_roles(&self, caller: &Caller, team: TeamId, roles: Vec<Role>) -> Outcome<Written> {
        caller.demand(Act::WritePeople)?;
        if !matches!(caller.principal, Principal::User { .. } | Principal::System) {
            return Err(Refusal::forbidden("which roles a team gives is for people to say"));
        }
        let state: Team = self.state(caller.tenant, team.uuid()).await?;
        if !state.exists() {
            return Err(Refusal::not_found("team").on("teamId"));
        }
        let content = json!({ "team": team, "roles": roles });
        let command = RolesCommand::MapTeamRoles {
            team,
            roles,
            by: caller.user(),
        };
        let mut written = self
            .run::<Roles>(caller, "mapTeamRoles", caller.tenant.uuid(), &content, command)
            .await?;
        let members: Vec<_> = state.members().collect();
        written.position = self.derive_roles(caller, &members).await?.max(written.position);
        written.id = team.uuid();
        Ok(written)
    }

    /// Brings the roles of these users, and of everybody who has roles by teams, to what the teams say now. Compares
    /// again after it wrote, so that of two changes at once the later one's state stays. Gives the position to wait for.
    pub(crate) async fn derive_roles(&self, caller: &Caller, users: &[UserId]) -> Outcome<u64> {
        let mut log = caller.clone();
        log.origin.idempotency_key = None;
        let mut position = 0;
        for _ in 0..ROUNDS {
            let roles: Roles = self.state(caller.tenant, caller.tenant.uuid()).await?;
            let mut people: BTreeSet<UserId> = roles.with_mapped().collect();
            let mut wanted: BTreeMap<UserId, BTreeSet<Role>> = BTreeMap::new();
            for (team, gives) in roles.teams() {
                let team: Team = self.state(caller.tenant, team.uuid()).await?;
                for user in team.members() {
                    wanted.entry(user).or_default().extend(gives);
                }
            }
            people.extend(users.iter().filter(|user| wanted.contains_key(user)));
            let mut wrote = false;
            for user in people {
                let roles_now: Vec<Role> = wanted.remove(&user).unwrap_or_default().into_iter().collect();
                if roles_now == roles.by_teams(user) {
                    continue;
                }
                let content = json!({ "user": user, "roles": roles_now });
                let command = RolesCommand::DeriveRoles { user, roles: roles_now };
                let written = self
                    .run::<Roles>(&log, "deriveRoles", caller.tenant.uuid(), &content, command)
                    .await?;
                position = written.position.max(position);
                wrote = true;
            }
            if !wrote {
                break;
            }
        }
        Ok(position)
    }

    /// What follows from a team's end: it gives no roles any more.
    pub(crate) async fn team_is_gone(&self, caller: &Caller, team: TeamId, members: &[UserId]) -> Outcome<()> {
        let mut log = caller.clone();
        log.origin.idempotency_key = None;
        let command = RolesCommand::MapTeamRoles {
            team,
            roles: Vec::new(),
            by: None,
        };
        self.run::<Roles>(
            &log,
            "unmapTeam",
            caller.tenant.uuid(),
            &json!({ "team": team }),
            command,
        )
        .await?;
        self.derive_roles(caller, members).await.map(|_| ())
    }

    /// As after a change of this team, for a process that ended in between. Gives nothing twice.
    ///
    /// # Errors
    /// `UNAVAILABLE`
    pub async fn follow_team(&self, tenant: TenantId, team: TeamId) -> Outcome<()> {
        let system = Caller::system(tenant, self.ambient().uuid());
        let state: Team = self.state(tenant, team.uuid()).await?;
        let members: Vec<_> = state.members().collect();
        if state.exists() {
            self.derive_roles(&system, &members).await.map(|_| ())
        } else {
            self.team_is_gone(&system, team, &members).await
        }
    }
}
