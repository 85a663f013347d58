//! SCIM tokens: issued, exchanged and revoked by administrators; one a call.

use std::time::Duration;

use formats::{Credential, CredentialKind, ScimTokenId, Timestamp};
use model::{
    Role,
    scim::{Scim, ScimCommand},
};
use serde_json::json;

use crate::{Act, App, Caller, Issued, Origin, Outcome, Principal, Refusal, Written, auth::store};

/// The longest that two tokens are good while they are exchanged.
pub const SCIM_OVERLAP_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl App {
    /// Issues a SCIM token; its secret is in the answer and nowhere else. It does nothing to users above the role of
    /// whoever issues it.
    ///
    /// # Errors
    /// `BAD_INPUT`, `TOO_MANY_TOKENS`, `FORBIDDEN`.
    pub async fn issue_scim_token(
        &self,
        caller: &Caller,
        label: String,
        expires_at: Option<Timestamp>,
    ) -> Outcome<Issued> {
        let role = issuer(caller)?;
        let content = json!({ "label": label, "expiresAt": expires_at });
        let at = self.ambient().now();
        self.new_token(caller, "issueScimToken", content, |token| ScimCommand::IssueScimToken {
            at,
            token,
            label,
            role,
            expires_at,
        })
        .await
    }

    /// Issues a token in the place of another one, which stays good for the overlap.
    ///
    /// # Errors
    /// `BAD_INPUT` for an overlap of more than seven days, `TOO_MANY_TOKENS`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn rotate_scim_token(
        &self,
        caller: &Caller,
        old: ScimTokenId,
        overlap: Duration,
        expires_at: Option<Timestamp>,
    ) -> Outcome<Issued> {
        let role = issuer(caller)?;
        if overlap > SCIM_OVERLAP_MAX {
            return Err(Refusal::bad_input("overlapHours", "overlapHours has to be 168 at most"));
        }
        let content = json!({ "old": old, "overlap": overlap.as_secs(), "expiresAt": expires_at });
        let at = self.ambient().now();
        self.new_token(caller, "rotateScimToken", content, |token| {
            ScimCommand::RotateScimToken {
                at,
                old,
                token,
                role,
                until: at + overlap,
                expires_at,
            }
        })
        .await
    }

    async fn new_token(
        &self,
        caller: &Caller,
        operation: &str,
        content: serde_json::Value,
        command: impl FnOnce(ScimTokenId) -> ScimCommand,
    ) -> Outcome<Issued> {
        let token: ScimTokenId = self.ambient().id();
        let credential = Credential::mint(CredentialKind::Scim, caller.tenant, token.uuid(), self.ambient());
        // The secret is stored before the event: a crash between the two leaves a hash that no event speaks of. When it
        // ends is in the log alone.
        let mut tx = self.writing(caller.tenant).await?;
        store::keep_credential(&mut tx, &credential, caller.tenant.uuid(), self.ambient().now(), None).await?;
        tx.commit().await?;
        let result = self
            .run::<Scim>(caller, operation, caller.tenant.uuid(), &content, command(token))
            .await;
        if !matches!(&result, Ok(written) if !written.duplicate) {
            let mut tx = self.writing(caller.tenant).await?;
            store::forget_credential(&mut tx, CredentialKind::Scim, token.uuid()).await?;
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

    /// Kills a token: the next call with it is refused.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`.
    pub async fn revoke_scim_token(&self, caller: &Caller, token: ScimTokenId) -> Outcome<Written> {
        caller.demand(Act::WriteServiceAccounts)?;
        let content = json!({ "token": token });
        let command = ScimCommand::RevokeScimToken { token };
        let written = self
            .run::<Scim>(caller, "revokeScimToken", caller.tenant.uuid(), &content, command)
            .await?;
        let mut tx = self.writing(caller.tenant).await?;
        store::revoke_credential(&mut tx, CredentialKind::Scim, token.uuid(), self.ambient().now()).await?;
        tx.commit().await?;
        Ok(written)
    }

    /// When each of these tokens was last used, to the minute; those that never were are left out.
    ///
    /// # Errors
    /// `FORBIDDEN`
    pub async fn scim_tokens_used(
        &self,
        caller: &Caller,
        tokens: &[ScimTokenId],
    ) -> Outcome<Vec<(ScimTokenId, Timestamp)>> {
        caller.demand(Act::ReadServiceAccounts)?;
        let ids: Vec<_> = tokens.iter().map(|token| token.uuid()).collect();
        let mut tx = self.reading(caller.tenant).await?;
        let used = store::credentials_used(&mut tx, CredentialKind::Scim, &ids).await?;
        Ok(used
            .into_iter()
            .map(|(id, at)| (ScimTokenId::from_uuid(id), at))
            .collect())
    }

    /// Who a SCIM token is.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` whatever is wrong with it; `TENANT_SUSPENDED`.
    pub async fn scim(&self, origin: &Origin, token: &str) -> Outcome<Caller> {
        let credential = Credential::parse_kind(CredentialKind::Scim, token).map_err(|_| Refusal::unauthenticated())?;
        let tenant = credential.tenant.ok_or_else(Refusal::unauthenticated)?;
        let now = self.ambient().now();
        let mut tx = self.writing(tenant).await?;
        let live = store::credential(&mut tx, CredentialKind::Scim, credential.id, now).await?;
        if !live.is_some_and(|live| credential.secret.matches(&live.secret_hash)) {
            return Err(Refusal::unauthenticated());
        }
        let id = ScimTokenId::from_uuid(credential.id);
        let door: Scim = self.state(tenant, tenant.uuid()).await?;
        let known = door.token(id, now).ok_or_else(Refusal::unauthenticated)?;
        store::touch_credential(&mut tx, CredentialKind::Scim, credential.id, now).await?;
        tx.commit().await?;
        self.tenant_is_open(tenant).await?;
        let principal = Principal::Scim {
            token: id,
            label: known.label.clone(),
            role: known.role,
        };
        Ok(Caller {
            tenant,
            principal,
            origin: origin.clone(),
        })
    }

    /// Says which attribute of a user names their account on endpoints; none links nothing. Accounts that are known
    /// already are linked by the reactor.
    ///
    /// # Errors
    /// `BAD_INPUT`, `FORBIDDEN`.
    pub async fn change_account_attribute(&self, caller: &Caller, attribute: Option<String>) -> Outcome<Written> {
        caller.demand(Act::WriteSettings)?;
        let content = json!({ "attribute": attribute });
        let command = ScimCommand::ChangeAccountAttribute { attribute };
        self.run::<Scim>(
            caller,
            "changeAccountAttribute",
            caller.tenant.uuid(),
            &content,
            command,
        )
        .await
    }

    /// The attribute of a user that names their account on endpoints.
    ///
    /// # Errors
    /// `FORBIDDEN`
    pub async fn account_attribute(&self, caller: &Caller) -> Outcome<Option<String>> {
        caller.demand(Act::ReadServiceAccounts)?;
        let door: Scim = self.state(caller.tenant, caller.tenant.uuid()).await?;
        Ok(door.account_attribute().map(str::to_owned))
    }
}

/// The highest role of whoever issues a token; the product itself seeds like an owner.
fn issuer(caller: &Caller) -> Outcome<Role> {
    caller.demand(Act::WriteServiceAccounts)?;
    Ok(caller.limit().unwrap_or(Role::Owner))
}
