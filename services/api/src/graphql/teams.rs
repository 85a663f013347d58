//! Teams.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use commands::{Act, Refusal};
use formats::TeamId;
use projections::directory::TeamView;

use super::{
    context::{Ask, For, Frame, shown as present, written},
    error::Answer,
    ids::{named, named_all, shown, typed},
    loaders::MembersOf,
    scalars::{DateTime, Position},
    users::User,
    words::Role,
};

#[derive(Debug, Clone)]
pub(crate) struct Team(pub(crate) TeamView);

impl Team {
    /// One team.
    pub(crate) async fn find(frame: &Frame, id: TeamId) -> Answer<Option<Self>> {
        frame.caller.demand(Act::ReadPeople)?;
        Ok(Self::known(frame, id).await?)
    }

    /// One team, whoever asks: something that they may see names it.
    pub(crate) async fn known(frame: &Frame, id: TeamId) -> Result<Option<Self>, Refusal> {
        Ok(frame
            .teams()
            .await?
            .iter()
            .find(|team| team.id == id)
            .cloned()
            .map(Self))
    }
}

/// A named set of users: the name to whoever sees where it stands, everything else to whoever may read people.
#[Object]
impl Team {
    pub(crate) async fn id(&self) -> ID {
        shown(self.0.id)
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    #[graphql(complexity = "1 + 10 * child_complexity")]
    async fn members(&self, ctx: &Context<'_>) -> Answer<Vec<User>> {
        let frame = ctx.frame_for(Act::ReadPeople)?;
        let members = frame.load().load_one(MembersOf(self.0.id)).await?.unwrap_or_default();
        User::each(&frame, &members).await
    }

    /// An identity provider keeps it by SCIM, so that it is not changed by hand.
    #[graphql(guard = "For(Act::ReadPeople)")]
    async fn managed(&self) -> bool {
        self.0.managed
    }

    /// The roles that its members have by it, beside their own.
    #[graphql(guard = "For(Act::ReadPeople)")]
    async fn roles(&self) -> Vec<Role> {
        self.0.roles.iter().copied().map(Into::into).collect()
    }

    #[graphql(guard = "For(Act::ReadPeople)")]
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

#[derive(Default)]
pub(crate) struct TeamQuery;

#[Object]
impl TeamQuery {
    /// All teams, by name.
    #[graphql(complexity = "1 + 20 * child_complexity")]
    async fn teams(&self, ctx: &Context<'_>) -> Answer<Vec<Team>> {
        let frame = ctx.frame_for(Act::ReadPeople)?;
        Ok(frame.teams().await?.iter().cloned().map(Team).collect())
    }

    async fn team(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Team>> {
        let frame = ctx.frame_for(Act::ReadPeople)?;
        let Some(id) = typed(&id) else { return Ok(None) };
        Team::find(&frame, id).await
    }
}

#[derive(Debug, InputObject)]
pub(crate) struct CreateTeamInput {
    name: String,
    #[graphql(default)]
    member_ids: Vec<ID>,
}

/// Fields left out stay as they are.
#[derive(Debug, InputObject)]
pub(crate) struct ChangeTeamInput {
    team_id: ID,
    name: Option<String>,
    member_ids: Option<Vec<ID>>,
}

#[derive(Debug, InputObject)]
pub(crate) struct DeleteTeamInput {
    team_id: ID,
}

#[derive(Debug, InputObject)]
pub(crate) struct MapTeamRolesInput {
    team_id: ID,
    /// All of them; none takes the mapping away. Not OWNER.
    roles: Vec<Role>,
}

#[derive(Debug, InputObject)]
pub(crate) struct ReleaseTeamInput {
    team_id: ID,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct TeamPayload {
    team: Team,
    position: Position,
}

impl TeamPayload {
    async fn of(ctx: &Context<'_>, team: TeamId, position: u64) -> Answer<Self> {
        let frame = written(ctx, position).await;
        let team = present(Team::known(&frame, team).await?, position)?;
        Ok(Self {
            team,
            position: Position(position),
        })
    }
}

#[derive(Default)]
pub(crate) struct TeamMutation;

#[Object]
impl TeamMutation {
    async fn create_team(&self, ctx: &Context<'_>, input: CreateTeamInput) -> Answer<TeamPayload> {
        let (frame, caller) = ctx.command()?;
        let members = named_all(&input.member_ids, "user", "memberIds")?;
        let written = frame.app.create_team(&caller, input.name, members).await?;
        TeamPayload::of(ctx, written.id(), written.position).await
    }

    async fn change_team(&self, ctx: &Context<'_>, input: ChangeTeamInput) -> Answer<TeamPayload> {
        let (frame, caller) = ctx.command()?;
        let team = named(&input.team_id, "team", "teamId")?;
        let members = input
            .member_ids
            .map(|ids| named_all(&ids, "user", "memberIds"))
            .transpose()?;
        let written = frame.app.change_team(&caller, team, input.name, members).await?;
        TeamPayload::of(ctx, team, written.position).await
    }

    /// Gives whoever is in the team these roles beside their own.
    async fn map_team_roles(&self, ctx: &Context<'_>, input: MapTeamRolesInput) -> Answer<TeamPayload> {
        let (frame, caller) = ctx.command()?;
        let team = named(&input.team_id, "team", "teamId")?;
        let roles = input.roles.into_iter().map(Into::into).collect();
        let written = frame.app.map_team_roles(&caller, team, roles).await?;
        TeamPayload::of(ctx, team, written.position).await
    }

    /// Lets a team that an identity provider keeps be kept by hand from now on, as it is.
    async fn release_team(&self, ctx: &Context<'_>, input: ReleaseTeamInput) -> Answer<TeamPayload> {
        let (frame, caller) = ctx.command()?;
        let team = named(&input.team_id, "team", "teamId")?;
        let written = frame.app.release_team(&caller, team).await?;
        TeamPayload::of(ctx, team, written.position).await
    }

    async fn delete_team(&self, ctx: &Context<'_>, input: DeleteTeamInput) -> Answer<TeamPayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WritePeople)?;
        let id = named(&input.team_id, "team", "teamId")?;
        let team = Team::known(&frame, id).await?;
        let done = frame.app.delete_team(&caller, id).await?;
        written(ctx, done.position).await;
        let team = team.ok_or_else(|| Refusal::not_found("team").on("teamId"))?;
        Ok(TeamPayload {
            team,
            position: Position(done.position),
        })
    }
}
