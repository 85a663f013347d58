//! Links that let a person choose a password: the first sign-in of a new account, and after a lost password. Each works
//! once, within a time.

use std::time::Duration;

use eventstore::{TenantKeys, TenantTx};
use formats::{Credential, CredentialKind, InvitationId, TenantId, UserId, credential::Secret, mac::hmac_sha256};
use model::user::{User, UserCommand};
use serde_json::json;

use super::{SecondFactor, SignedIn, step_up::Factor, store};
use crate::{App, Caller, Origin, Outcome, Principal, Refusal, Written};

/// How long an invitation works.
const INVITED: Duration = Duration::from_secs(72 * 60 * 60);
/// How long a link for a lost password works: whoever asks for one is there, and takes an account over with it.
const LOST: Duration = Duration::from_secs(60 * 60);

/// The credential of an invitation: its secret follows from its id and a key of the tenant, so that no outbox holds it.
fn derived(keys: &TenantKeys, tenant: TenantId, invitation: InvitationId) -> Credential {
    let id = invitation.uuid();
    let secret = hmac_sha256(keys.link().expose(), &[b"portcullis/invitation/1", id.as_bytes()]);
    Credential {
        kind: CredentialKind::Invitation,
        tenant: Some(tenant),
        id,
        secret: Secret::from_bytes(secret),
    }
}

fn invalid() -> Refusal {
    Refusal::new(
        "INVITATION_INVALID",
        401,
        "this link is not valid, was used before, or is over",
    )
    .on("token")
}

impl App {
    /// A link's token for a user, noted in the log, which lets a mail with it go out: an invitation, for three days, or with
    /// `reset` one for a lost password, for an hour. An earlier one dies.
    ///
    /// # Errors
    /// `NOT_FOUND`, `USER_DISABLED`.
    pub async fn invite(&self, caller: &Caller, user: UserId, reset: bool) -> Outcome<(Written, String)> {
        let account: User = self.state(caller.tenant, user.uuid()).await?;
        if account.person().is_none() {
            return Err(Refusal::not_found("user"));
        }
        let now = self.ambient().now();
        let invitation: InvitationId = self.ambient().id();
        let keys = self.store.vault().tenant(caller.tenant).await?;
        let credential = derived(&keys, caller.tenant, invitation);
        let lasts = if reset { LOST } else { INVITED };
        let mut tx = self.writing(caller.tenant).await?;
        store::revoke_credentials_of(&mut tx, user.uuid(), now).await?;
        store::keep_credential(&mut tx, &credential, user.uuid(), now, Some(now + lasts)).await?;
        tx.commit().await?;
        let mut log = caller.clone();
        log.origin.idempotency_key = None;
        let command = UserCommand::InviteUser { invitation, reset };
        let content = json!({ "invitation": invitation });
        let written = self
            .run::<User>(&log, "inviteUser", user.uuid(), &content, command)
            .await?;
        Ok((written, credential.expose().to_string()))
    }

    /// Ends the links that let a user choose a password: whoever has one may not be who is meant any more.
    pub(crate) async fn end_links(&self, tenant: TenantId, user: UserId) -> Outcome<()> {
        let mut tx = self.writing(tenant).await?;
        store::revoke_credentials_of(&mut tx, user.uuid(), self.ambient().now()).await?;
        Ok(tx.commit().await?)
    }

    /// Sends a person who lost their password a link. The answer is the same whether or not there is such a person, and
    /// takes as long: the work is done after it.
    pub fn forgot_password(&self, origin: &Origin, slug: String, email: String) {
        let (app, origin) = (self.clone(), origin.clone());
        tokio::spawn(async move {
            let done = async {
                let Some((tenant, status)) = store::tenant_by_slug(app.pool(), &slug).await? else {
                    return Ok(());
                };
                let mut tx = app.reading(tenant).await?;
                let row = projections::directory::user_by_email(&mut tx, &email).await?;
                drop(tx);
                let Some(row) = row.filter(|row| row.disabled_at.is_none() && status == "active") else {
                    return Ok(());
                };
                // At most one link every few minutes, so that nobody's mailbox is filled.
                let recent = app.ambient().now() - Duration::from_secs(5 * 60);
                let mut tx = app.reading(tenant).await?;
                if store::has_credential_since(&mut tx, CredentialKind::Invitation, row.id.uuid(), recent).await? {
                    return Ok(());
                }
                drop(tx);
                let caller = Caller {
                    tenant,
                    principal: Principal::System,
                    origin,
                };
                app.invite(&caller, row.id, true).await.map(|_| ())
            };
            if let Err(refusal) = done.await as Outcome<()> {
                tracing::warn!(%refusal, "no link for a lost password was sent");
            }
        });
    }

    /// The link of the invitation noted at this position, or of the way back in where the account is `old`; none where the
    /// event is another one.
    ///
    /// # Errors
    /// `UNAVAILABLE`
    pub async fn invitation_link(&self, tx: &mut TenantTx, position: u64, old: bool) -> Outcome<Option<String>> {
        let events = self.store.read_in(tx, position.saturating_sub(1), 1).await?;
        let Some(invitation) = events.first().and_then(|event| event.body.data.get("invitation")) else {
            return Ok(None);
        };
        let invitation: InvitationId = serde_json::from_value(invitation.clone()).map_err(Refusal::internal)?;
        let keys = self.store.vault().tenant_in(tx).await?;
        let credential = derived(&keys, tx.tenant(), invitation);
        let page = if old { "password-reset" } else { "invitation" };
        Ok(Some(format!(
            "{}/{page}/{}",
            self.config.public_url,
            &*credential.expose()
        )))
    }

    /// Chooses a password by a link, and signs in. Whoever has a second factor gives it too: a mailbox alone is not enough
    /// to become them. Until then the link stays good and the password as it was.
    ///
    /// # Errors
    /// `INVITATION_INVALID` whatever is wrong with the link, `WEAK_PASSWORD`, `TENANT_SUSPENDED`; `CODE_NEEDED`,
    /// `INVALID_CODE`, `INVALID_PASSKEY` and `LOCKED` as at a sign-in.
    pub async fn accept_invitation(
        &self,
        origin: &Origin,
        token: &str,
        password: &str,
        second: &SecondFactor,
    ) -> Outcome<SignedIn> {
        let credential = Credential::parse_kind(CredentialKind::Invitation, token).map_err(|_| invalid())?;
        let tenant = credential.tenant.ok_or_else(invalid)?;
        let now = self.ambient().now();
        let mut tx = self.reading(tenant).await?;
        let live = store::credential(&mut tx, CredentialKind::Invitation, credential.id, now).await?;
        let live = live
            .filter(|live| credential.secret.matches(&live.secret_hash))
            .ok_or_else(invalid)?;
        let user = UserId::from_uuid(live.owner);
        let email = projections::directory::user(&mut tx, user)
            .await?
            .and_then(|row| row.email)
            .unwrap_or_default();
        drop(tx);
        self.tenant_is_open(tenant).await?;
        let account: User = self.state(tenant, user.uuid()).await?;
        if account.is_disabled() {
            return Err(invalid());
        }
        let caller = Caller {
            tenant,
            principal: Principal::System,
            origin: origin.clone(),
        };
        let hash = self.hash_password(password, &email).await?;
        let factor = self.demand_second(&caller, user, &account, second).await?;
        // The link is taken before the password is set: of two at once, one fails.
        let mut tx = self.writing(tenant).await?;
        if !store::use_credential(&mut tx, CredentialKind::Invitation, credential.id, now).await? {
            return Err(invalid());
        }
        store::set_password(&mut tx, user, &hash, now).await?;
        store::end_sessions(&mut tx, user, None, now).await?;
        tx.commit().await?;
        let command = UserCommand::ChangePassword {
            how: "set-up".to_owned(),
        };
        self.run::<User>(
            &caller,
            "acceptInvitation",
            user.uuid(),
            &json!({ "credential": credential.id }),
            command,
        )
        .await?;
        let method = match factor {
            None => "invitation",
            Some(Factor::Totp) => "invitation+totp",
            Some(Factor::Passkey) => "invitation+passkey",
        };
        self.begin_session(origin, tenant, user, method, Some(&hash)).await
    }
}
