//! Users and the endpoint accounts that are theirs.

use std::sync::Arc;

use async_graphql::{Context, Guard, ID, InputObject, Object, SimpleObject};
use commands::{Act, NewUser, Refusal};
use formats::{EndpointId, PersonId, TeamId, UserId};
use projections::directory::{PersonView, UserFilter as Filter, UserView};

use super::{
    context::{Ask, For, Frame, shown as present, written},
    endpoints::Endpoint,
    error::Answer,
    ids::{named, shown, typed},
    loaders::{AccountsOf, TeamsOf},
    paging::{Connection, Total, connect, cost, page},
    scalars::{DateTime, Position},
    teams::Team,
    words::{Role, UserStatus, all},
};

#[derive(Debug, Clone)]
pub(crate) struct User(pub(crate) Arc<UserView>);

impl User {
    /// One user, for whoever may read people or is it.
    pub(crate) async fn find(frame: &Frame, id: UserId) -> Answer<Option<Self>> {
        if frame.caller.user() != Some(id) {
            frame.caller.demand(Act::ReadPeople)?;
        }
        Ok(frame.load().load_one(id).await?.map(Self))
    }

    /// Those of the users that exist, in the order in which they are named.
    pub(crate) async fn each(frame: &Frame, ids: &[UserId]) -> Answer<Vec<Self>> {
        let mut found = frame.load().load_many(ids.iter().copied()).await?;
        Ok(ids.iter().filter_map(|id| found.remove(id)).map(Self).collect())
    }

    /// Whether the viewer may read people, or is this user.
    fn is_read_by(&self, frame: &Frame) -> bool {
        frame.caller.user() == Some(self.0.id) || frame.caller.may(Act::ReadPeople)
    }
}

/// A person with an account in the tenant: the name to whoever sees where it stands, everything else to whoever may read
/// people, and to the user.
#[Object]
impl User {
    pub(crate) async fn id(&self) -> ID {
        shown(self.0.id)
    }

    #[graphql(guard = "ForReaders(self.0.id)")]
    async fn person_id(&self) -> ID {
        shown(self.0.person)
    }

    /// Null once erased, and to whoever may not read people and is not the user.
    async fn email(&self, ctx: &Context<'_>) -> Option<&str> {
        self.0.email.as_deref().filter(|_| self.is_read_by(&ctx.frame()))
    }

    /// Null once erased.
    async fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    #[graphql(guard = "ForReaders(self.0.id)")]
    async fn status(&self) -> UserStatus {
        status(&self.0)
    }

    /// What they may do: the roles that were assigned, and those by teams.
    #[graphql(guard = "ForReaders(self.0.id)")]
    async fn roles(&self) -> Vec<Role> {
        self.0.roles.iter().copied().map(Into::into).collect()
    }

    /// Those that `changeUserRoles` assigned, without those by teams. Empty: `MEMBER`, where no team gives more.
    #[graphql(guard = "ForReaders(self.0.id)")]
    async fn assigned_roles(&self) -> Vec<Role> {
        self.0.assigned.iter().copied().map(Into::into).collect()
    }

    #[graphql(complexity = "1 + 5 * child_complexity", guard = "ForReaders(self.0.id)")]
    async fn teams(&self, ctx: &Context<'_>) -> Answer<Vec<Team>> {
        let frame = ctx.frame();
        let teams = frame.load().load_one(TeamsOf(self.0.id)).await?.unwrap_or_default();
        Ok(teams.iter().cloned().map(Team).collect())
    }

    #[graphql(complexity = "1 + 5 * child_complexity", guard = "ForReaders(self.0.id)")]
    async fn accounts(&self, ctx: &Context<'_>) -> Answer<Vec<EndpointAccountLink>> {
        let frame = ctx.frame();
        let accounts = frame.load().load_one(AccountsOf(self.0.id)).await?.unwrap_or_default();
        Ok(accounts.iter().filter_map(EndpointAccountLink::of).collect())
    }

    /// What the mail server said when it last refused this user's address, until it takes a mail to it again. Null to
    /// whoever may not read people and is not the user.
    async fn mail_refused(&self, ctx: &Context<'_>) -> Answer<Option<String>> {
        let frame = ctx.frame();
        if !self.is_read_by(&frame) {
            return Ok(None);
        }
        let refused = frame.refused().await?;
        let of = refused.iter().find(|refused| refused.user == self.0.id);
        Ok(of.map(|refused| refused.error.clone()))
    }

    #[graphql(guard = "ForReaders(self.0.id)")]
    async fn totp_enrolled(&self) -> bool {
        self.0.factors.iter().any(|factor| factor == "totp")
    }

    /// Whether they have a passkey.
    #[graphql(guard = "ForReaders(self.0.id)")]
    async fn passkey_enrolled(&self) -> bool {
        self.0.factors.iter().any(|factor| factor == "passkey")
    }

    /// Managed by SCIM: names, teams and status are changed there.
    #[graphql(guard = "ForReaders(self.0.id)")]
    async fn managed(&self) -> bool {
        self.0.source == "scim"
    }

    #[graphql(guard = "ForReaders(self.0.id)")]
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    #[graphql(guard = "ForReaders(self.0.id)")]
    async fn last_sign_in_at(&self) -> Option<DateTime> {
        self.0.last_sign_in_at.map(Into::into)
    }
}

/// Lets a field of this user be read by whoever may read people, and by the user.
struct ForReaders(UserId);

impl Guard for ForReaders {
    async fn check(&self, ctx: &Context<'_>) -> async_graphql::Result<()> {
        if ctx.frame().caller.user() == Some(self.0) {
            return Ok(());
        }
        For(Act::ReadPeople).check(ctx).await
    }
}

#[derive(Debug, Clone)]
pub(crate) struct EndpointAccountLink {
    person: PersonId,
    account: String,
    endpoint: Option<EndpointId>,
    linked_at: formats::Timestamp,
}

impl EndpointAccountLink {
    fn of(person: &PersonView) -> Option<Self> {
        let link = person.link.as_ref()?;
        let account = person.account.clone()?;
        Some(Self {
            person: person.id,
            account,
            endpoint: person.endpoint,
            linked_at: link.at,
        })
    }
}

/// How the source of an invited user is written.
const INVITATION: &str = "invitation";

/// Whoever was invited is not here before they signed in once.
fn status(user: &UserView) -> UserStatus {
    match user {
        _ if !user.is_enabled() => UserStatus::Disabled,
        UserView {
            last_sign_in_at: None,
            source,
            ..
        } if source == INVITATION => UserStatus::Invited,
        _ => UserStatus::Active,
    }
}

/// An endpoint account that is a user's.
#[Object]
impl EndpointAccountLink {
    async fn person_id(&self) -> ID {
        shown(self.person)
    }

    /// Where the account was seen first.
    async fn endpoint(&self, ctx: &Context<'_>) -> Answer<Option<Endpoint>> {
        let Some(endpoint) = self.endpoint else { return Ok(None) };
        Ok(ctx.frame().load().load_one(endpoint).await?.map(Endpoint))
    }

    async fn account(&self) -> &str {
        &self.account
    }

    async fn linked_at(&self) -> DateTime {
        self.linked_at.into()
    }
}

/// Which users are listed.
#[derive(Debug, Default, InputObject)]
pub(crate) struct UserFilter {
    statuses: Option<Vec<UserStatus>>,
    roles: Option<Vec<Role>>,
    team_id: Option<ID>,
    /// Only those whom an identity provider keeps by SCIM, or does not.
    managed: Option<bool>,
}

#[derive(Default)]
pub(crate) struct UserQuery;

#[Object]
impl UserQuery {
    /// Users, by name.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        filter: Option<UserFilter>,
        search: Option<String>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Answer<Connection<User, Total>> {
        let frame = ctx.frame_for(Act::ReadPeople)?;
        let page = page(first, after, last, before)?;
        let filter = filter.unwrap_or_default();
        let statuses = filter.statuses.unwrap_or_default();
        let team = match &filter.team_id {
            Some(id) => match typed::<TeamId>(id) {
                Some(team) => Some(team),
                None => return Ok(Connection::with_additional_fields(false, false, Total::default())),
            },
            None => None,
        };
        let open = statuses.iter().any(|status| *status != UserStatus::Disabled);
        let closed = statuses.contains(&UserStatus::Disabled);
        let filter = Filter {
            disabled: (open != closed).then_some(closed),
            roles: all(filter.roles),
            team,
            managed: filter.managed,
            search,
        };
        let mut tx = frame.tx().await?;
        let mut found = projections::directory::users(&mut tx, &filter, &page).await?;
        if !statuses.is_empty() {
            // The read model tells open accounts from closed ones; a page may be shorter for the rest.
            found.edges.retain(|edge| statuses.contains(&status(&edge.node)));
        }
        Ok(connect(&page, found, Total::default(), |user| User(Arc::new(user))))
    }

    async fn user(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<User>> {
        let frame = ctx.frame();
        match typed(&id) {
            Some(id) => User::find(&frame, id).await,
            None => {
                frame.caller.demand(Act::ReadPeople)?;
                Ok(None)
            }
        }
    }
}

#[derive(Debug, InputObject)]
pub(crate) struct CreateUserInput {
    email: String,
    name: String,
    roles: Vec<Role>,
    password: String,
}

#[derive(Debug, InputObject)]
pub(crate) struct InviteUserInput {
    email: String,
    name: String,
    roles: Vec<Role>,
}

#[derive(Debug, InputObject)]
pub(crate) struct ChangeUserInput {
    user_id: ID,
    email: String,
    name: String,
}

#[derive(Debug, InputObject)]
pub(crate) struct ChangeUserRolesInput {
    user_id: ID,
    roles: Vec<Role>,
}

#[derive(Debug, InputObject)]
pub(crate) struct DisableUserInput {
    user_id: ID,
    reason: Option<String>,
}

#[derive(Debug, InputObject)]
pub(crate) struct EnableUserInput {
    user_id: ID,
}

#[derive(Debug, InputObject)]
pub(crate) struct ResetTotpInput {
    user_id: ID,
}

#[derive(Debug, InputObject)]
pub(crate) struct ResetPasskeysInput {
    user_id: ID,
}

#[derive(Debug, InputObject)]
pub(crate) struct LinkEndpointAccountInput {
    user_id: ID,
    endpoint_id: ID,
    account: String,
}

#[derive(Debug, InputObject)]
pub(crate) struct UnlinkEndpointAccountInput {
    person_id: ID,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct UserPayload {
    user: User,
    position: Position,
}

impl UserPayload {
    async fn of(ctx: &Context<'_>, user: UserId, position: u64) -> Answer<Self> {
        let frame = written(ctx, position).await;
        let user = User(present(frame.load().load_one(user).await?, position)?);
        Ok(Self {
            user,
            position: Position(position),
        })
    }
}

#[derive(Default)]
pub(crate) struct UserMutation;

#[Object]
impl UserMutation {
    /// With a password at once, for installations without mail.
    async fn create_user(&self, ctx: &Context<'_>, input: CreateUserInput) -> Answer<UserPayload> {
        let (frame, caller) = ctx.command()?;
        let new = NewUser {
            email: input.email,
            name: input.name,
            roles: input.roles.into_iter().map(Into::into).collect(),
            password: Some(input.password),
            source: "operator",
        };
        let written = frame.app.create_user(&caller, new).await?;
        UserPayload::of(ctx, written.id(), written.position).await
    }

    /// By mail: the link lets the invited person choose a password.
    async fn invite_user(&self, ctx: &Context<'_>, input: InviteUserInput) -> Answer<UserPayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WritePeople)?;
        let new = NewUser {
            email: input.email,
            name: input.name,
            roles: input.roles.into_iter().map(Into::into).collect(),
            password: None,
            source: INVITATION,
        };
        let made = frame.app.create_user(&caller, new).await?;
        let mut position = made.position;
        if !made.duplicate {
            position = frame
                .app
                .invite(&caller, made.id(), false)
                .await?
                .0
                .position
                .max(position);
        }
        UserPayload::of(ctx, made.id(), position).await
    }

    async fn change_user(&self, ctx: &Context<'_>, input: ChangeUserInput) -> Answer<UserPayload> {
        let (frame, caller) = ctx.command()?;
        let user = named(&input.user_id, "user", "userId")?;
        let written = frame.app.change_user(&caller, user, input.email, input.name).await?;
        UserPayload::of(ctx, user, written.position).await
    }

    async fn change_user_roles(&self, ctx: &Context<'_>, input: ChangeUserRolesInput) -> Answer<UserPayload> {
        let (frame, caller) = ctx.command()?;
        let user = named(&input.user_id, "user", "userId")?;
        let roles = input.roles.into_iter().map(Into::into).collect();
        let written = frame.app.assign_roles(&caller, user, roles).await?;
        UserPayload::of(ctx, user, written.position).await
    }

    async fn disable_user(&self, ctx: &Context<'_>, input: DisableUserInput) -> Answer<UserPayload> {
        let (frame, caller) = ctx.command()?;
        let user = named(&input.user_id, "user", "userId")?;
        let written = frame
            .app
            .disable_user(&caller, user, input.reason.unwrap_or_default())
            .await?;
        UserPayload::of(ctx, user, written.position).await
    }

    async fn enable_user(&self, ctx: &Context<'_>, input: EnableUserInput) -> Answer<UserPayload> {
        let (frame, caller) = ctx.command()?;
        let user = named(&input.user_id, "user", "userId")?;
        let written = frame.app.enable_user(&caller, user).await?;
        UserPayload::of(ctx, user, written.position).await
    }

    /// Takes a user's one-time codes away, after they lost their device.
    async fn reset_totp(&self, ctx: &Context<'_>, input: ResetTotpInput) -> Answer<UserPayload> {
        let (frame, caller) = ctx.command()?;
        let user = named(&input.user_id, "user", "userId")?;
        let written = frame.app.reset_totp(&caller, user).await?;
        UserPayload::of(ctx, user, written.position).await
    }

    /// Takes all passkeys of a user away, after they lost their devices; their sessions end.
    async fn reset_passkeys(&self, ctx: &Context<'_>, input: ResetPasskeysInput) -> Answer<UserPayload> {
        let (frame, caller) = ctx.command()?;
        let user = named(&input.user_id, "user", "userId")?;
        let written = frame.app.reset_passkeys(&caller, user).await?;
        UserPayload::of(ctx, user, written.position).await
    }

    /// Says whose an endpoint account is.
    async fn link_endpoint_account(&self, ctx: &Context<'_>, input: LinkEndpointAccountInput) -> Answer<UserPayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WritePeople)?;
        let user: UserId = named(&input.user_id, "user", "userId")?;
        let endpoint: EndpointId = named(&input.endpoint_id, "endpoint", "endpointId")?;
        let mut tx = frame.tx().await?;
        let known = projections::fleet::endpoint(&mut tx, endpoint).await?;
        known.ok_or_else(|| Refusal::not_found("endpoint").on("endpointId"))?;
        // An account of a directory is one person, wherever it was seen first.
        let person = projections::directory::person_by_account(&mut tx, &input.account).await?;
        let person = person
            .ok_or_else(|| Refusal::not_found("endpoint account").on("account"))?
            .id;
        drop(tx);
        let written = frame.app.link_endpoint_account(&caller, person, user).await?;
        UserPayload::of(ctx, user, written.position).await
    }

    /// Takes such a link back.
    async fn unlink_endpoint_account(
        &self,
        ctx: &Context<'_>,
        input: UnlinkEndpointAccountInput,
    ) -> Answer<UserPayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WritePeople)?;
        let person: PersonId = named(&input.person_id, "endpoint account", "personId")?;
        let linked = frame
            .load()
            .load_one(person)
            .await?
            .and_then(|person| Some(person.link.as_ref()?.user));
        let written = frame.app.unlink_endpoint_account(&caller, person).await?;
        let user = linked.ok_or_else(|| Refusal::not_found("endpoint account").on("personId"))?;
        UserPayload::of(ctx, user, written.position).await
    }
}
