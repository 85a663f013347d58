//! Links that let a person choose a password: the first sign-in of a new account, and after a lost password. Each works
//! once, within a time.

use std::time::Duration;

use formats::{Credential, CredentialKind, TenantId, UserId};
use model::user::{User, UserCommand};
use serde_json::json;

use super::{SignedIn, store};
use crate::{App, Caller, Origin, Outcome, Principal, Refusal};

/// How long a link works.
const LASTS: Duration = Duration::from_secs(72 * 60 * 60);

fn invalid() -> Refusal {
    Refusal::new(
        "INVITATION_INVALID",
        401,
        "this link is not valid, was used before, or is over",
    )
    .on("token")
}

impl App {
    /// A link's token for a user. An earlier one dies.
    ///
    /// # Errors
    /// `NOT_FOUND`
    pub async fn invitation(&self, tenant: TenantId, user: UserId) -> Outcome<String> {
        let account: User = self.state(tenant, user.uuid()).await?;
        if account.person().is_none() {
            return Err(Refusal::not_found("user"));
        }
        let now = self.ambient().now();
        let credential = Credential::mint(
            CredentialKind::Invitation,
            tenant,
            self.ambient().uuid(),
            self.ambient(),
        );
        let mut tx = self.writing(tenant).await?;
        store::revoke_credentials_of(&mut tx, user.uuid(), now).await?;
        store::keep_credential(&mut tx, &credential, user.uuid(), now, Some(now + LASTS)).await?;
        tx.commit().await?;
        Ok(credential.expose().to_string())
    }

    /// Chooses a password by a link, and signs in.
    ///
    /// # Errors
    /// `INVITATION_INVALID` whatever is wrong with the link, `WEAK_PASSWORD`, `TENANT_SUSPENDED`.
    pub async fn accept_invitation(&self, origin: &Origin, token: &str, password: &str) -> Outcome<SignedIn> {
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
        let hash = self.hash_password(password, &email).await?;
        // The link is taken before the password is set: of two at once, one fails.
        let mut tx = self.writing(tenant).await?;
        if !store::use_credential(&mut tx, CredentialKind::Invitation, credential.id, now).await? {
            return Err(invalid());
        }
        store::set_password(&mut tx, user, &hash, now).await?;
        store::end_sessions(&mut tx, user, None, now).await?;
        tx.commit().await?;
        let caller = Caller {
            tenant,
            principal: Principal::System,
            origin: origin.clone(),
        };
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
        self.begin_session(origin, tenant, user, "invitation").await
    }
}
