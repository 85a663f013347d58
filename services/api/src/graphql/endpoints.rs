//! Endpoints, as administrators handle them.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject, connection::EmptyFields};
use commands::{Act, Refusal};
use formats::EndpointId;
use projections::{
    directory::PersonView,
    fleet::{EndpointFilter as Filter, EndpointView, Plugin},
};

use super::{
    context::{Ask, For, Frame, shown as present, written},
    error::Answer,
    groups::DeploymentGroup,
    ids::{named, shown, typed},
    loaders::{AccountsOn, RecordsOf},
    paging::{Connection, Total, connect, cost, page},
    recorded_actions::RecordedAction,
    scalars::{DateTime, Position},
    users::User,
    words::{EndpointStatus, Os, all},
};

#[derive(Debug, Clone)]
pub(crate) struct Endpoint(pub(crate) Arc<EndpointView>);

impl Endpoint {
    /// One endpoint, removed or not.
    pub(crate) async fn find(frame: &Frame, id: EndpointId) -> Answer<Option<Self>> {
        frame.caller.demand(Act::ReadFleet)?;
        Ok(frame.load().load_one(id).await?.map(Self))
    }
}

/// One machine that runs the agent: its name, system and status to whoever sees a request from it, everything else to
/// whoever may read the fleet.
#[Object]
impl Endpoint {
    pub(crate) async fn id(&self) -> ID {
        shown(self.0.id)
    }

    async fn name(&self) -> &str {
        &self.0.machine.name
    }

    async fn status(&self, ctx: &Context<'_>) -> EndpointStatus {
        self.0.state(ctx.frame().now - Filter::LATELY).into()
    }

    async fn os(&self) -> Os {
        self.0.machine.os.into()
    }

    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn os_version(&self) -> &str {
        &self.0.machine.os_version
    }

    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn agent_version(&self) -> Option<&str> {
        self.0.status.as_ref()?.agent_version.as_deref()
    }

    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn machine_id(&self) -> &str {
        &self.0.machine.machine_id
    }

    async fn deployment_group(&self, ctx: &Context<'_>) -> Answer<DeploymentGroup> {
        let frame = ctx.frame_for(Act::ReadFleet)?;
        let group = DeploymentGroup::known(&frame, self.0.group).await?;
        Ok(group.ok_or_else(|| Refusal::internal("an endpoint's group is missing"))?)
    }

    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn registered_at(&self) -> DateTime {
        self.0.registered_at.into()
    }

    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn last_seen_at(&self) -> Option<DateTime> {
        Some(self.0.status.as_ref()?.last_seen_at.into())
    }

    /// Version of the snapshot that its group offers.
    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn offered_snapshot(&self) -> Option<Position> {
        Some(Position(self.0.offered?.version))
    }

    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn applied_snapshot(&self) -> Option<Position> {
        Some(Position(self.0.applied?.version))
    }

    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn applied_at(&self) -> Option<DateTime> {
        self.0.applied_at.map(Into::into)
    }

    /// Records that wait on the endpoint.
    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn queue_length(&self) -> Option<u32> {
        self.0.status.as_ref()?.queue_length
    }

    /// The endpoint's clock minus the server's.
    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn clock_skew_ms(&self) -> Option<i32> {
        let skew = self.0.status.as_ref()?.clock_skew_ms?;
        Some(i32::try_from(skew).unwrap_or(if skew < 0 { i32::MIN } else { i32::MAX }))
    }

    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn plugins(&self) -> Vec<AgentPlugin> {
        let plugins = self
            .0
            .status
            .as_ref()
            .map(|status| status.plugins.as_slice())
            .unwrap_or_default();
        plugins.iter().cloned().map(Into::into).collect()
    }

    /// True where the same machine was registered before.
    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn reregistered(&self) -> bool {
        self.0.replaces.is_some()
    }

    /// Numbers of its records that are missing.
    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn gaps(&self, ctx: &Context<'_>) -> Answer<i32> {
        let numbers = ctx.frame().load().load_one(RecordsOf(self.0.id)).await?;
        Ok(numbers.map_or(0, |numbers| numbers.missing.try_into().unwrap_or(i32::MAX)))
    }

    /// Records that came under numbers of other records: the endpoint was restored from a copy, or a copy of it runs.
    /// None of them is lost.
    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn reused_numbers(&self, ctx: &Context<'_>) -> Answer<i32> {
        let numbers = ctx.frame().load().load_one(RecordsOf(self.0.id)).await?;
        Ok(numbers.map_or(0, |numbers| numbers.reused.try_into().unwrap_or(i32::MAX)))
    }

    /// When the last of those came.
    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn numbers_reused_at(&self, ctx: &Context<'_>) -> Answer<Option<DateTime>> {
        let numbers = ctx.frame().load().load_one(RecordsOf(self.0.id)).await?;
        Ok(numbers.and_then(|numbers| numbers.reused_at).map(Into::into))
    }

    /// What its agent recorded, the newest number first; for whoever may read the audit trail.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn records(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Answer<Connection<RecordedAction>> {
        let frame = ctx.frame_for(Act::ReadAudit)?;
        let page = page(first, after, last, before)?;
        let mut tx = frame.tx().await?;
        let found = projections::activity::list(&mut tx, self.0.id, &page).await?;
        Ok(connect(&page, found, EmptyFields, RecordedAction))
    }

    /// The accounts that were first seen here, at most 200.
    #[graphql(complexity = "1 + 5 * child_complexity")]
    async fn accounts(&self, ctx: &Context<'_>) -> Answer<Vec<EndpointAccount>> {
        let frame = ctx.frame_for(Act::ReadPeople)?;
        let accounts = frame.load().load_one(AccountsOn(self.0.id)).await?.unwrap_or_default();
        Ok(accounts.iter().filter_map(EndpointAccount::of).collect())
    }

    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn removed_at(&self) -> Option<DateTime> {
        self.0.removed_at.map(Into::into)
    }

    /// Why it was removed.
    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn removed_reason(&self) -> Option<&str> {
        self.0.removed_reason.as_deref()
    }
}

/// A plugin of the agent.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AgentPlugin {
    name: String,
    state: String,
}

impl From<Plugin> for AgentPlugin {
    fn from(plugin: Plugin) -> Self {
        Self {
            name: plugin.name,
            state: plugin.state,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct EndpointAccount {
    account: String,
    person: PersonView,
    seen_at: formats::Timestamp,
}

impl EndpointAccount {
    fn of(person: &PersonView) -> Option<Self> {
        Some(Self {
            account: person.account.clone()?,
            person: person.clone(),
            seen_at: person.seen_at?,
        })
    }
}

/// An account seen on an endpoint, and the person it belongs to.
#[Object]
impl EndpointAccount {
    async fn account(&self) -> &str {
        &self.account
    }

    async fn person_id(&self) -> ID {
        shown(self.person.id)
    }

    /// Whose it is, once linked.
    async fn user(&self, ctx: &Context<'_>) -> Answer<Option<User>> {
        let Some(link) = &self.person.link else { return Ok(None) };
        Ok(ctx.frame().load().load_one(link.user).await?.map(User))
    }

    async fn first_seen_at(&self) -> DateTime {
        self.seen_at.into()
    }
}

/// Which endpoints are listed. Removed ones are listed only where `statuses` names them.
#[derive(Debug, Default, InputObject)]
pub(crate) struct EndpointFilter {
    deployment_group_id: Option<ID>,
    statuses: Option<Vec<EndpointStatus>>,
    os: Option<Vec<Os>>,
    /// Only those that have not applied the offered snapshot.
    behind_only: Option<bool>,
}

#[derive(Default)]
pub(crate) struct EndpointQuery;

#[Object]
impl EndpointQuery {
    /// Endpoints, by name.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    async fn endpoints(
        &self,
        ctx: &Context<'_>,
        filter: Option<EndpointFilter>,
        search: Option<String>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Answer<Connection<Endpoint, Total>> {
        let frame = ctx.frame_for(Act::ReadFleet)?;
        let page = page(first, after, last, before)?;
        let given = filter.unwrap_or_default();
        let group = match &given.deployment_group_id {
            Some(id) => match typed(id) {
                Some(group) => Some(group),
                None => return Ok(Connection::with_additional_fields(false, false, Total::default())),
            },
            None => None,
        };
        let filter = Filter {
            group,
            states: all(given.statuses),
            seen_after: frame.now - Filter::LATELY,
            os: all(given.os),
            behind: given.behind_only.unwrap_or(false),
            search,
            removed: false,
        };
        let narrowed = filter.behind || filter.search.is_some() || !filter.os.is_empty() || !filter.states.is_empty();
        let mut tx = frame.tx().await?;
        let found = projections::fleet::endpoints(&mut tx, &filter, &page).await?;
        drop(tx);
        let total = if narrowed {
            Total::default()
        } else {
            let groups = frame.groups().await?;
            let wanted = groups
                .iter()
                .filter(|known| group.is_none_or(|group| group == known.id));
            Total::known(wanted.map(|known| known.endpoints).sum())
        };
        Ok(connect(&page, found, total, |endpoint| Endpoint(Arc::new(endpoint))))
    }

    async fn endpoint(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Endpoint>> {
        let frame = ctx.frame_for(Act::ReadFleet)?;
        let Some(id) = typed(&id) else { return Ok(None) };
        Endpoint::find(&frame, id).await
    }
}

#[derive(Debug, InputObject)]
pub(crate) struct RemoveEndpointInput {
    endpoint_id: ID,
    reason: Option<String>,
}

#[derive(Debug, InputObject)]
pub(crate) struct MoveEndpointInput {
    endpoint_id: ID,
    deployment_group_id: ID,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct EndpointPayload {
    endpoint: Endpoint,
    position: Position,
}

impl EndpointPayload {
    async fn of(ctx: &Context<'_>, id: EndpointId, position: u64) -> Answer<Self> {
        let frame = written(ctx, position).await;
        let endpoint = Endpoint(present(frame.load().load_one(id).await?, position)?);
        Ok(Self {
            endpoint,
            position: Position(position),
        })
    }
}

#[derive(Default)]
pub(crate) struct EndpointMutation;

#[Object]
impl EndpointMutation {
    /// Shuts an agent out: its next call is refused; its requests and grants end.
    async fn remove_endpoint(&self, ctx: &Context<'_>, input: RemoveEndpointInput) -> Answer<EndpointPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.endpoint_id, "endpoint", "endpointId")?;
        let done = frame
            .app
            .remove_endpoint(&caller, id, input.reason.unwrap_or_default())
            .await?;
        EndpointPayload::of(ctx, id, done.position).await
    }

    async fn move_endpoint(&self, ctx: &Context<'_>, input: MoveEndpointInput) -> Answer<EndpointPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.endpoint_id, "endpoint", "endpointId")?;
        let group = named(&input.deployment_group_id, "deployment group", "deploymentGroupId")?;
        let done = frame.app.move_endpoint(&caller, id, group).await?;
        EndpointPayload::of(ctx, id, done.position).await
    }
}
