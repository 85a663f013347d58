//! Deployment groups, their registration tokens and packages.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use commands::{Act, Caller, Issued, Refusal};
use formats::{DeploymentGroupId, RegistrationTokenId, Timestamp, agent_wire::DeploymentPackage};
use projections::{
    fleet::{GroupView, TokenView},
    policy_snapshot::HeldSnapshot as Held,
};

use super::{
    actor::Actor,
    context::{Ask, For, Frame, shown as present, written},
    error::Answer,
    ids::{named, shown, typed},
    loaders::TokensOf,
    policies::Policy,
    scalars::{DateTime, Position},
    service_accounts::ending,
    words::Os,
};

#[derive(Debug, Clone)]
pub(crate) struct DeploymentGroup(pub(crate) GroupView);

impl DeploymentGroup {
    /// One group, deleted or not.
    pub(crate) async fn find(frame: &Frame, id: DeploymentGroupId) -> Answer<Option<Self>> {
        frame.caller.demand(Act::ReadFleet)?;
        Self::known(frame, id).await
    }

    /// As [`DeploymentGroup::find`], whoever asks: something that they may see names it.
    pub(crate) async fn known(frame: &Frame, id: DeploymentGroupId) -> Answer<Option<Self>> {
        if let Some(group) = frame.groups().await?.iter().find(|group| group.id == id) {
            return Ok(Some(Self(group.clone())));
        }
        // Only removed endpoints still name a deleted group.
        let mut tx = frame.tx().await?;
        Ok(projections::fleet::group(&mut tx, id).await?.map(Self))
    }
}

/// Endpoints that belong together for rollout: the name to whoever sees where it stands, everything else to whoever may
/// read the fleet.
#[Object]
impl DeploymentGroup {
    pub(crate) async fn id(&self) -> ID {
        shown(self.0.id)
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn endpoint_count(&self) -> i32 {
        self.0.endpoints.try_into().unwrap_or(i32::MAX)
    }

    /// Version of the group's snapshot; null before the first policy.
    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn snapshot_version(&self) -> Option<Position> {
        self.0.snapshot_version.map(Position)
    }

    /// Endpoints that have applied that version.
    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn up_to_date_count(&self) -> i32 {
        self.0.up_to_date.try_into().unwrap_or(i32::MAX)
    }

    /// A newer snapshot that drops so much at once that somebody has to confirm it.
    async fn held_snapshot(&self, ctx: &Context<'_>) -> Answer<Option<HeldSnapshot>> {
        let frame = ctx.frame_for(Act::ReadFleet)?;
        Ok(frame
            .held()
            .await?
            .iter()
            .find(|held| held.group == self.0.id)
            .cloned()
            .map(Into::into))
    }

    /// Policies that have a revision staged to this group.
    #[graphql(complexity = "1 + 5 * child_complexity")]
    async fn staged_policies(&self, ctx: &Context<'_>) -> Answer<Vec<Policy>> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let policies = frame.policies().await?;
        let staged = policies.iter().filter(|policy| {
            policy
                .staged
                .as_ref()
                .is_some_and(|staged| staged.groups.contains(&self.0.id))
        });
        Ok(staged.cloned().map(Policy::of).collect())
    }

    /// Dead ones too, newest first.
    #[graphql(complexity = "1 + 5 * child_complexity")]
    async fn registration_tokens(&self, ctx: &Context<'_>) -> Answer<Vec<RegistrationToken>> {
        let frame = ctx.frame_for(Act::ReadFleet)?;
        let tokens = frame.load().load_one(TokensOf(self.0.id)).await?.unwrap_or_default();
        Ok(tokens.iter().cloned().map(RegistrationToken).collect())
    }

    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    #[graphql(guard = "For(Act::ReadFleet)")]
    async fn deleted_at(&self) -> Option<DateTime> {
        self.0.deleted_at.map(Into::into)
    }
}

/// A snapshot that waits for a confirmation; agents keep what they have meanwhile.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct HeldSnapshot {
    /// What `confirmSnapshot` has to name.
    version: Position,
    /// How many policies it has.
    policies: u32,
    /// How many the one has that is served meanwhile.
    served_policies: u32,
    at: DateTime,
}

impl From<Held> for HeldSnapshot {
    fn from(held: Held) -> Self {
        Self {
            version: Position(held.version),
            policies: held.policies,
            served_policies: held.served_policies,
            at: held.at.into(),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct RegistrationToken(pub(crate) TokenView);

impl RegistrationToken {
    /// One token, dead or not.
    pub(crate) async fn find(frame: &Frame, id: RegistrationTokenId) -> Answer<Option<Self>> {
        frame.caller.demand(Act::ReadFleet)?;
        let mut tx = frame.tx().await?;
        Ok(projections::fleet::token(&mut tx, id).await?.map(Self))
    }
}

/// What endpoints register with. Its secret is shown when it is issued, and never again.
#[Object]
impl RegistrationToken {
    pub(crate) async fn id(&self) -> ID {
        shown(self.0.id)
    }

    /// What tells it from its siblings: the end of its id.
    async fn label(&self) -> String {
        ending(&self.0.id.to_string())
    }

    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    async fn created_by(&self) -> Actor {
        (&self.0.created_by).into()
    }

    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(Into::into)
    }

    /// Null is unlimited.
    async fn maximum_registrations(&self) -> Option<u32> {
        self.0.max_uses
    }

    async fn registrations(&self) -> u32 {
        self.0.uses
    }

    async fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked_at.map(Into::into)
    }
}

#[derive(Default)]
pub(crate) struct GroupQuery;

#[Object]
impl GroupQuery {
    /// All deployment groups, by name.
    #[graphql(complexity = "1 + 20 * child_complexity")]
    async fn deployment_groups(&self, ctx: &Context<'_>) -> Answer<Vec<DeploymentGroup>> {
        let frame = ctx.frame_for(Act::ReadFleet)?;
        Ok(frame.groups().await?.iter().cloned().map(DeploymentGroup).collect())
    }

    async fn deployment_group(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<DeploymentGroup>> {
        let frame = ctx.frame_for(Act::ReadFleet)?;
        let Some(id) = typed(&id) else { return Ok(None) };
        DeploymentGroup::find(&frame, id).await
    }
}

#[derive(Debug, InputObject)]
pub(crate) struct CreateDeploymentGroupInput {
    name: String,
}

#[derive(Debug, InputObject)]
pub(crate) struct RenameDeploymentGroupInput {
    deployment_group_id: ID,
    name: String,
}

#[derive(Debug, InputObject)]
pub(crate) struct DeleteDeploymentGroupInput {
    deployment_group_id: ID,
}

#[derive(Debug, InputObject)]
pub(crate) struct ConfirmSnapshotInput {
    deployment_group_id: ID,
    /// The held version, as it was shown.
    version: Position,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct DeploymentGroupPayload {
    deployment_group: DeploymentGroup,
    position: Position,
}

impl DeploymentGroupPayload {
    async fn of(ctx: &Context<'_>, id: DeploymentGroupId, position: u64) -> Answer<Self> {
        let frame = written(ctx, position).await;
        Ok(Self {
            deployment_group: group(&frame, id, position).await?,
            position: Position(position),
        })
    }
}

async fn group(frame: &Frame, id: DeploymentGroupId, position: u64) -> Answer<DeploymentGroup> {
    present(DeploymentGroup::known(frame, id).await?, position)
}

async fn token(frame: &Frame, id: RegistrationTokenId, position: u64) -> Answer<RegistrationToken> {
    let mut tx = frame.tx().await?;
    Ok(RegistrationToken(present(
        projections::fleet::token(&mut tx, id).await?,
        position,
    )?))
}

/// A token that was named from outside, and its group.
async fn token_of(frame: &Frame, id: &ID) -> Answer<(RegistrationTokenId, DeploymentGroupId)> {
    let field = "registrationTokenId";
    let id: RegistrationTokenId = named(id, "registration token", field)?;
    let mut tx = frame.tx().await?;
    let known = projections::fleet::token(&mut tx, id).await?;
    let known = known.ok_or_else(|| Refusal::not_found("registration token").on(field))?;
    Ok((id, known.group))
}

#[derive(Debug, InputObject)]
pub(crate) struct IssueRegistrationTokenInput {
    deployment_group_id: ID,
    /// Not kept: the end of the token's id stands for it.
    label: String,
    expires_at: Option<DateTime>,
    maximum_registrations: Option<i32>,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct IssueRegistrationTokenPayload {
    registration_token: RegistrationToken,
    deployment_group: DeploymentGroup,
    /// Shown this once; null where the same command was sent before.
    secret: Option<String>,
    position: Position,
}

#[derive(Debug, InputObject)]
pub(crate) struct RotateRegistrationTokenInput {
    registration_token_id: ID,
}

#[derive(Debug, InputObject)]
pub(crate) struct RevokeRegistrationTokenInput {
    registration_token_id: ID,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct RegistrationTokenPayload {
    registration_token: RegistrationToken,
    deployment_group: DeploymentGroup,
    position: Position,
}

#[derive(Debug, InputObject)]
pub(crate) struct CreateDeploymentPackageInput {
    deployment_group_id: ID,
    os: Os,
    expires_at: Option<DateTime>,
    maximum_registrations: Option<i32>,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct CreateDeploymentPackagePayload {
    registration_token: RegistrationToken,
    deployment_group: DeploymentGroup,
    file_name: String,
    /// The package: JSON; null where the same command was sent before.
    content: Option<String>,
    position: Position,
}

impl From<Minted> for IssueRegistrationTokenPayload {
    fn from(minted: Minted) -> Self {
        Self {
            registration_token: minted.token,
            deployment_group: minted.group,
            secret: minted.secret,
            position: Position(minted.position),
        }
    }
}

struct Minted {
    token: RegistrationToken,
    group: DeploymentGroup,
    secret: Option<String>,
    position: u64,
}

async fn mint(
    ctx: &Context<'_>,
    caller: &Caller,
    group_id: &ID,
    expires_at: Option<Timestamp>,
    maximum: Option<i32>,
) -> Answer<Minted> {
    let frame = ctx.frame();
    let id: DeploymentGroupId = named(group_id, "deployment group", "deploymentGroupId")?;
    let most = match maximum {
        None => None,
        Some(most) => Some(u32::try_from(most).ok().filter(|most| *most > 0).ok_or_else(|| {
            Refusal::bad_input(
                "maximumRegistrations",
                "maximumRegistrations has to be 1 or more; leave it out for any",
            )
        })?),
    };
    let issued = frame.app.issue_registration_token(caller, id, expires_at, most).await?;
    minted(ctx, id, issued).await
}

/// What was minted, as the read models show it.
async fn minted(ctx: &Context<'_>, id: DeploymentGroupId, issued: Issued) -> Answer<Minted> {
    let position = issued.written.position;
    let frame = written(ctx, position).await;
    let mut token_id = RegistrationTokenId::from_uuid(issued.id);
    if issued.written.duplicate {
        // The one that was issued the first time: its event stands at that position.
        let mut tx = frame.tx().await?;
        let event = present(projections::audit_trail::find(&mut tx, position).await?, position)?;
        let first = event
            .data
            .get("token")
            .and_then(|token| token.as_str())
            .and_then(|token| token.parse().ok());
        token_id = present(first, position)?;
    }
    Ok(Minted {
        token: token(&frame, token_id, position).await?,
        group: group(&frame, id, position).await?,
        secret: issued.secret,
        position,
    })
}

#[derive(Default)]
pub(crate) struct GroupMutation;

#[Object]
impl GroupMutation {
    async fn create_deployment_group(
        &self,
        ctx: &Context<'_>,
        input: CreateDeploymentGroupInput,
    ) -> Answer<DeploymentGroupPayload> {
        let (frame, caller) = ctx.command()?;
        let done = frame.app.create_deployment_group(&caller, input.name).await?;
        DeploymentGroupPayload::of(ctx, done.id(), done.position).await
    }

    async fn rename_deployment_group(
        &self,
        ctx: &Context<'_>,
        input: RenameDeploymentGroupInput,
    ) -> Answer<DeploymentGroupPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.deployment_group_id, "deployment group", "deploymentGroupId")?;
        let done = frame.app.rename_deployment_group(&caller, id, input.name).await?;
        DeploymentGroupPayload::of(ctx, id, done.position).await
    }

    /// Only without endpoints.
    async fn delete_deployment_group(
        &self,
        ctx: &Context<'_>,
        input: DeleteDeploymentGroupInput,
    ) -> Answer<DeploymentGroupPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.deployment_group_id, "deployment group", "deploymentGroupId")?;
        let done = frame.app.delete_deployment_group(&caller, id).await?;
        DeploymentGroupPayload::of(ctx, id, done.position).await
    }

    /// Lets a held snapshot out to the group's agents.
    async fn confirm_snapshot(&self, ctx: &Context<'_>, input: ConfirmSnapshotInput) -> Answer<DeploymentGroupPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.deployment_group_id, "deployment group", "deploymentGroupId")?;
        let done = frame.app.confirm_snapshot(&caller, id, input.version.0).await?;
        DeploymentGroupPayload::of(ctx, id, done.position).await
    }

    async fn issue_registration_token(
        &self,
        ctx: &Context<'_>,
        input: IssueRegistrationTokenInput,
    ) -> Answer<IssueRegistrationTokenPayload> {
        let (_, caller) = ctx.command()?;
        let expires_at = input.expires_at.map(|at| at.0);
        let minted = mint(
            ctx,
            &caller,
            &input.deployment_group_id,
            expires_at,
            input.maximum_registrations,
        )
        .await?;
        Ok(minted.into())
    }

    /// Another token takes its place at once, with the end and the registrations that it has left.
    async fn rotate_registration_token(
        &self,
        ctx: &Context<'_>,
        input: RotateRegistrationTokenInput,
    ) -> Answer<IssueRegistrationTokenPayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WriteFleet)?;
        let (id, owner) = token_of(&frame, &input.registration_token_id).await?;
        let issued = frame.app.rotate_registration_token(&caller, owner, id).await?;
        Ok(minted(ctx, owner, issued).await?.into())
    }

    /// Endpoints that registered with it stay.
    async fn revoke_registration_token(
        &self,
        ctx: &Context<'_>,
        input: RevokeRegistrationTokenInput,
    ) -> Answer<RegistrationTokenPayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WriteFleet)?;
        let (id, owner) = token_of(&frame, &input.registration_token_id).await?;
        let done = frame.app.revoke_registration_token(&caller, owner, id).await?;
        let frame = written(ctx, done.position).await;
        Ok(RegistrationTokenPayload {
            registration_token: token(&frame, id, done.position).await?,
            deployment_group: group(&frame, owner, done.position).await?,
            position: Position(done.position),
        })
    }

    /// Mints a token and returns the file an installer needs.
    async fn create_deployment_package(
        &self,
        ctx: &Context<'_>,
        input: CreateDeploymentPackageInput,
    ) -> Answer<CreateDeploymentPackagePayload> {
        let (frame, caller) = ctx.command()?;
        let expires_at = input.expires_at.map(|at| at.0);
        let minted = mint(
            ctx,
            &caller,
            &input.deployment_group_id,
            expires_at,
            input.maximum_registrations,
        )
        .await?;
        let content = match minted.secret {
            None => None,
            Some(registration_token) => {
                let keys = frame.app.store.vault().tenant(caller.tenant).await?;
                let package = DeploymentPackage {
                    installer: None,
                    server: frame.app.config.public_url.clone(),
                    registration_token,
                    root_key: keys.root_public(),
                };
                Some(serde_json::to_string_pretty(&package).map_err(Refusal::internal)?)
            }
        };
        Ok(CreateDeploymentPackagePayload {
            file_name: file_name(policy_engine::Os::from(input.os), &minted.group.0.name),
            registration_token: minted.token,
            deployment_group: minted.group,
            content,
            position: Position(minted.position),
        })
    }
}

/// `portcullis-agent-windows-pilot-ring.json`
fn file_name(os: policy_engine::Os, group: &str) -> String {
    let mut words = String::new();
    for character in group.chars().take(60) {
        if character.is_ascii_alphanumeric() {
            words.push(character.to_ascii_lowercase());
        } else if !words.is_empty() && !words.ends_with('-') {
            words.push('-');
        }
    }
    let words = words.trim_end_matches('-');
    let name = if words.is_empty() { "group" } else { words };
    format!("portcullis-agent-{}-{name}.json", os.as_str())
}

#[cfg(test)]
mod tests {
    use policy_engine::Os;

    use super::*;

    #[test]
    fn a_packages_file_name_is_harmless_whatever_the_group_is_called() {
        assert_eq!(
            file_name(Os::Windows, "Pilot ring"),
            "portcullis-agent-windows-pilot-ring.json"
        );
        assert_eq!(
            file_name(Os::Linux, "../../etc/passwd\n"),
            "portcullis-agent-linux-etc-passwd.json"
        );
        assert_eq!(file_name(Os::Macos, "日本"), "portcullis-agent-macos-group.json");
    }
}
