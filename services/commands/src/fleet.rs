//! Deployment groups, registration tokens and endpoints, as administrators handle them.

use formats::{Credential, CredentialKind, DeploymentGroupId, EndpointId, RegistrationTokenId, TenantId, Timestamp};
use model::{
    deployment::{DeploymentGroup, DeploymentGroupCommand},
    endpoint::{Endpoint, EndpointCommand},
};
use serde_json::json;

use crate::{Act, App, Caller, Outcome, Refusal, Written, auth::store, service_accounts::Issued};

impl App {
    /// Makes a deployment group.
    ///
    /// # Errors
    /// `BAD_INPUT`, `NAME_TAKEN`, `FORBIDDEN`.
    pub async fn create_deployment_group(&self, caller: &Caller, name: String) -> Outcome<Written> {
        caller.demand(Act::WriteFleet)?;
        let group: DeploymentGroupId = self.ambient().id();
        let content = json!({ "name": name });
        let command = DeploymentGroupCommand::CreateDeploymentGroup { group, name };
        self.group(caller, "createDeploymentGroup", group, &content, command)
            .await
    }

    /// Gives a group another name.
    ///
    /// # Errors
    /// As [`App::create_deployment_group`], `NOT_FOUND`.
    pub async fn rename_deployment_group(
        &self,
        caller: &Caller,
        group: DeploymentGroupId,
        name: String,
    ) -> Outcome<Written> {
        caller.demand(Act::WriteFleet)?;
        let content = json!({ "group": group, "name": name });
        let command = DeploymentGroupCommand::RenameDeploymentGroup { name };
        self.group(caller, "renameDeploymentGroup", group, &content, command)
            .await
    }

    /// Removes a group without endpoints.
    ///
    /// # Errors
    /// `IN_USE`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn delete_deployment_group(&self, caller: &Caller, group: DeploymentGroupId) -> Outcome<Written> {
        caller.demand(Act::WriteFleet)?;
        self.caught_up(caller.tenant).await?;
        let mut tx = self.reading(caller.tenant).await?;
        let endpoints = projections::fleet::counts_by_group(&mut tx)
            .await?
            .get(&group)
            .copied()
            .unwrap_or(0);
        drop(tx);
        let command = DeploymentGroupCommand::DeleteDeploymentGroup { endpoints };
        let written = self
            .group(
                caller,
                "deleteDeploymentGroup",
                group,
                &json!({ "group": group }),
                command,
            )
            .await?;
        let mut tx = self.writing(caller.tenant).await?;
        store::revoke_credentials_of(&mut tx, group.uuid(), self.ambient().now()).await?;
        tx.commit().await?;
        Ok(written)
    }

    /// Issues a registration token; its secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// `BAD_INPUT`, `TOO_MANY_TOKENS`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn issue_registration_token(
        &self,
        caller: &Caller,
        group: DeploymentGroupId,
        expires_at: Option<Timestamp>,
        max_uses: Option<u32>,
    ) -> Outcome<Issued> {
        caller.demand(Act::WriteFleet)?;
        let at = self.ambient().now();
        let content = json!({ "group": group, "expiresAt": expires_at, "maxRegistrations": max_uses });
        let new = ("issueRegistrationToken", content, expires_at);
        self.new_registration_token(caller, group, new, |token| {
            DeploymentGroupCommand::IssueRegistrationToken {
                at,
                token,
                expires_at,
                max_uses,
            }
        })
        .await
    }

    /// Lets another registration token take one's place at once, with the end and the registrations that it has left.
    ///
    /// # Errors
    /// `NOT_FOUND` where it is no live one, `FORBIDDEN`.
    pub async fn rotate_registration_token(
        &self,
        caller: &Caller,
        group: DeploymentGroupId,
        old: RegistrationTokenId,
    ) -> Outcome<Issued> {
        caller.demand(Act::WriteFleet)?;
        let at = self.ambient().now();
        let state: DeploymentGroup = self.state(caller.tenant, group.uuid()).await?;
        let content = json!({ "group": group, "token": old });
        let new = ("rotateRegistrationToken", content, state.token_end(old));
        let issued = self
            .new_registration_token(caller, group, new, |token| {
                DeploymentGroupCommand::RotateRegistrationToken { at, old, token }
            })
            .await?;
        self.forget_registration_token(caller, old).await?;
        Ok(issued)
    }

    /// Mints a token: the operation, its content, and the token's end. The secret is stored before the event: a crash
    /// between the two leaves a hash that no event speaks of.
    async fn new_registration_token(
        &self,
        caller: &Caller,
        group: DeploymentGroupId,
        (operation, content, expires_at): (&str, serde_json::Value, Option<Timestamp>),
        command: impl FnOnce(RegistrationTokenId) -> DeploymentGroupCommand,
    ) -> Outcome<Issued> {
        let token: RegistrationTokenId = self.ambient().id();
        let kind = CredentialKind::Registration;
        let credential = Credential::mint(kind, caller.tenant, token.uuid(), self.ambient());
        let mut tx = self.writing(caller.tenant).await?;
        store::keep_credential(&mut tx, &credential, group.uuid(), self.ambient().now(), expires_at).await?;
        tx.commit().await?;
        let result = self.group(caller, operation, group, &content, command(token)).await;
        if !matches!(&result, Ok(written) if !written.duplicate) {
            let mut tx = self.writing(caller.tenant).await?;
            store::forget_credential(&mut tx, kind, token.uuid()).await?;
            tx.commit().await?;
        }
        let written = result?;
        let secret = (!written.duplicate).then(|| credential.expose().to_string());
        Ok(Issued {
            written,
            id: token.uuid(),
            secret,
        })
    }

    /// Kills a registration token. Endpoints that registered with it stay.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`.
    pub async fn revoke_registration_token(
        &self,
        caller: &Caller,
        group: DeploymentGroupId,
        token: RegistrationTokenId,
    ) -> Outcome<Written> {
        caller.demand(Act::WriteFleet)?;
        let content = json!({ "group": group, "token": token });
        let command = DeploymentGroupCommand::RevokeRegistrationToken { token };
        let written = self
            .group(caller, "revokeRegistrationToken", group, &content, command)
            .await?;
        self.forget_registration_token(caller, token).await?;
        Ok(written)
    }

    async fn forget_registration_token(&self, caller: &Caller, token: RegistrationTokenId) -> Outcome<()> {
        let (kind, now) = (CredentialKind::Registration, self.ambient().now());
        let mut tx = self.writing(caller.tenant).await?;
        store::revoke_credential(&mut tx, kind, token.uuid(), now).await?;
        Ok(tx.commit().await?)
    }

    /// Lets a held snapshot out to a group's agents.
    ///
    /// # Errors
    /// `NOTHING_HELD` unless exactly this version is held; `NOT_FOUND`, `FORBIDDEN`.
    pub async fn confirm_snapshot(&self, caller: &Caller, group: DeploymentGroupId, version: u64) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        self.caught_up(caller.tenant).await?;
        let mut tx = self.reading(caller.tenant).await?;
        let held = projections::policy_snapshot::held(&mut tx).await?;
        drop(tx);
        if !held.iter().any(|held| held.group == group && held.version == version) {
            let message = format!("no snapshot of version {version} is held for this group");
            return Err(Refusal::new("NOTHING_HELD", 409, message).on("version"));
        }
        let content = json!({ "group": group, "version": version });
        let command = DeploymentGroupCommand::ConfirmSnapshot { version };
        self.group(caller, "confirmSnapshot", group, &content, command).await
    }

    /// Puts an endpoint into another group.
    ///
    /// # Errors
    /// `NOT_FOUND` for either, `ENDPOINT_REMOVED`, `FORBIDDEN`.
    pub async fn move_endpoint(
        &self,
        caller: &Caller,
        endpoint: EndpointId,
        group: DeploymentGroupId,
    ) -> Outcome<Written> {
        caller.demand(Act::WriteFleet)?;
        if !self.group_exists(caller.tenant, group).await? {
            return Err(Refusal::not_found("deployment group").on("group"));
        }
        let content = json!({ "endpoint": endpoint, "group": group });
        let command = EndpointCommand::MoveEndpoint { group };
        self.run::<Endpoint>(caller, "moveEndpoint", endpoint.uuid(), &content, command)
            .await
    }

    /// Shuts an agent out: its next request is refused; requests and grants follow by a reactor.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ENDPOINT_REMOVED`, `FORBIDDEN`.
    pub async fn remove_endpoint(&self, caller: &Caller, endpoint: EndpointId, reason: String) -> Outcome<Written> {
        caller.demand(Act::WriteFleet)?;
        let content = json!({ "endpoint": endpoint, "reason": reason });
        let command = EndpointCommand::RemoveEndpoint { reason };
        let written = self
            .run::<Endpoint>(caller, "removeEndpoint", endpoint.uuid(), &content, command)
            .await?;
        self.guards.forget_endpoint(caller.tenant, endpoint);
        Ok(written)
    }

    pub(crate) async fn group_exists(&self, tenant: TenantId, group: DeploymentGroupId) -> Outcome<bool> {
        let state: DeploymentGroup = self.state(tenant, group.uuid()).await?;
        Ok(state.exists())
    }

    async fn group(
        &self,
        caller: &Caller,
        operation: &str,
        group: DeploymentGroupId,
        content: &serde_json::Value,
        command: DeploymentGroupCommand,
    ) -> Outcome<Written> {
        self.run::<DeploymentGroup>(caller, operation, group.uuid(), content, command)
            .await
    }
}
