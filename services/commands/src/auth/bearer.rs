//! Bearer credentials of the API: keys of service accounts, SCIM tokens, and short access tokens.

use formats::{
    ApiKeyId, Credential, CredentialKind, Purpose, ServiceAccountId, SessionId, TenantId, UserId,
    token::{ACCESS_LIFE, AUDIENCE_API, AccessClaims},
};
use uuid::Uuid;

use super::store;
use crate::{App, Caller, Origin, Outcome, Principal, Refusal};

/// A short-lived token.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// The JWT.
    pub token: String,
    /// How long it is good, in seconds.
    pub expires_in: u32,
}

/// The tenant that a token says it is of. Nothing is verified.
pub(super) fn peek_tenant(token: &str) -> Option<TenantId> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    if token.len() > 4_096 {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    claims.get("tenant")?.as_str()?.parse().ok()
}

impl App {
    /// Who a bearer credential is.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` whatever is wrong; `TENANT_SUSPENDED`.
    pub async fn bearer(&self, origin: &Origin, token: &str) -> Outcome<Caller> {
        if let Ok(credential) = Credential::parse_kind(CredentialKind::ApiKey, token) {
            return self.api_key(origin, &credential).await;
        }
        self.access(origin, token).await
    }

    async fn api_key(&self, origin: &Origin, credential: &Credential) -> Outcome<Caller> {
        let tenant = credential.tenant.ok_or_else(Refusal::unauthenticated)?;
        let now = self.ambient().now();
        let mut tx = self.writing(tenant).await?;
        let live = store::credential(&mut tx, CredentialKind::ApiKey, credential.id, now).await?;
        let live = live
            .filter(|live| credential.secret.matches(&live.secret_hash))
            .ok_or_else(Refusal::unauthenticated)?;
        store::touch_credential(&mut tx, CredentialKind::ApiKey, credential.id, now).await?;
        tx.commit().await?;
        self.tenant_is_open(tenant).await?;
        let account = ServiceAccountId::from_uuid(live.owner);
        let key = ApiKeyId::from_uuid(credential.id);
        self.as_service_account(origin, tenant, account, key).await
    }

    async fn as_service_account(
        &self,
        origin: &Origin,
        tenant: TenantId,
        account: ServiceAccountId,
        key: ApiKeyId,
    ) -> Outcome<Caller> {
        let state: model::service_account::ServiceAccount = self.state(tenant, account.uuid()).await?;
        let scopes = state.scopes_of(key).ok_or_else(Refusal::unauthenticated)?;
        let principal = Principal::ServiceAccount { account, key, scopes };
        Ok(Caller {
            tenant,
            principal,
            origin: origin.clone(),
        })
    }

    /// Whether a key is still good, and what it may do now.
    pub(super) async fn still_the_key(
        &self,
        caller: &Caller,
        account: ServiceAccountId,
        key: ApiKeyId,
    ) -> Outcome<Caller> {
        let mut tx = self.reading(caller.tenant).await?;
        let live = store::credential(&mut tx, CredentialKind::ApiKey, key.uuid(), self.ambient().now()).await?;
        drop(tx);
        if live.is_none_or(|live| live.owner != account.uuid()) {
            return Err(Refusal::unauthenticated());
        }
        self.as_service_account(&caller.origin, caller.tenant, account, key)
            .await
    }

    /// A short token for the caller, who is a person in a session or a service account's key.
    ///
    /// # Errors
    /// `FORBIDDEN` for others.
    pub async fn access_token(&self, caller: &Caller) -> Outcome<AccessToken> {
        let (sub, sid) = match &caller.principal {
            Principal::User {
                user,
                session: Some(session),
                ..
            } => (user.to_string(), session.uuid()),
            Principal::ServiceAccount { account, key, .. } => (account.to_string(), key.uuid()),
            _ => return Err(Refusal::forbidden("access tokens are for sessions and API keys")),
        };
        let keys = self.store.vault().tenant(caller.tenant).await?;
        let (_, key) = keys
            .signing(Purpose::Token)
            .ok_or_else(|| Refusal::internal("no token key"))?;
        let iat = self.ambient().now().seconds();
        let claims = AccessClaims {
            iss: self.config.public_url.clone(),
            aud: AUDIENCE_API.to_owned(),
            sub,
            tenant: caller.tenant,
            group: None,
            sid: Some(sid),
            jti: self.ambient().uuid(),
            iat,
            exp: iat + ACCESS_LIFE,
            scope: String::new(),
        };
        let token = claims.sign(key).map_err(Refusal::internal)?;
        Ok(AccessToken {
            token,
            expires_in: u32::try_from(ACCESS_LIFE).unwrap_or(0),
        })
    }

    async fn access(&self, origin: &Origin, token: &str) -> Outcome<Caller> {
        let claims = self.verify_access(token, AUDIENCE_API).await?;
        self.tenant_is_open(claims.tenant).await?;
        let sid: Uuid = claims.sid.ok_or_else(Refusal::unauthenticated)?;
        let now = self.ambient().now();
        if let Ok(user) = claims.sub.parse::<UserId>() {
            let mut tx = self.reading(claims.tenant).await?;
            let row = store::session(&mut tx, SessionId::from_uuid(sid), now).await?;
            drop(tx);
            let row = row
                .filter(|row| row.user == user)
                .ok_or_else(Refusal::unauthenticated)?;
            let principal = self
                .user_principal(claims.tenant, user, Some(row.id), "token", row.stepped_up_at)
                .await?;
            return Ok(Caller {
                tenant: claims.tenant,
                principal,
                origin: origin.clone(),
            });
        }
        let account: ServiceAccountId = claims.sub.parse().map_err(|_| Refusal::unauthenticated())?;
        let mut tx = self.reading(claims.tenant).await?;
        let live = store::credential(&mut tx, CredentialKind::ApiKey, sid, now).await?;
        drop(tx);
        if live.is_none_or(|live| live.owner != account.uuid()) {
            return Err(Refusal::unauthenticated());
        }
        self.as_service_account(origin, claims.tenant, account, ApiKeyId::from_uuid(sid))
            .await
    }

    /// Verifies an access token of this server for an audience.
    pub(super) async fn verify_access(&self, token: &str, audience: &str) -> Outcome<AccessClaims> {
        let tenant = peek_tenant(token).ok_or_else(Refusal::unauthenticated)?;
        let keys = match self.store.vault().tenant(tenant).await {
            Ok(keys) => keys,
            Err(eventstore::VaultError::NoKeys(_)) => return Err(Refusal::unauthenticated()),
            Err(error) => return Err(error.into()),
        };
        let now = self.ambient().now();
        let claims = AccessClaims::verify(token, &self.config.public_url, audience, now, |kid| {
            keys.key_set().find(Purpose::Token, kid, now)
        })
        .map_err(|_| Refusal::unauthenticated())?;
        if claims.tenant == tenant {
            Ok(claims)
        } else {
            Err(Refusal::unauthenticated())
        }
    }

    /// Who a platform credential is.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`
    pub async fn platform(&self, origin: &Origin, token: &str) -> Outcome<Caller> {
        let credential =
            Credential::parse_kind(CredentialKind::Platform, token).map_err(|_| Refusal::unauthenticated())?;
        let known = store::platform_credential(self.pool(), credential.id).await?;
        let (name, hash) = known.ok_or_else(Refusal::unauthenticated)?;
        if !credential.secret.matches(&hash) {
            return Err(Refusal::unauthenticated());
        }
        let principal = Principal::Operator {
            name,
            method: "platform_credential",
        };
        Ok(Caller {
            tenant: TenantId::default(),
            principal,
            origin: origin.clone(),
        })
    }
}
