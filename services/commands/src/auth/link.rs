//! Links in mails: each names one approver and one request, and opens a page. Deciding takes a proof besides.

use formats::{MailLink, RequestId, TenantId, UserId};
use model::user::User;
use serde_json::Value;

use super::{Channel, passkey::Purpose};
use crate::{App, Caller, Origin, Outcome, Principal, Refusal};

/// Whom and what a link is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkVisit {
    /// The tenant.
    pub tenant: TenantId,
    /// Its slug, for the sign-in form.
    pub slug: String,
    /// The request.
    pub request: RequestId,
    /// The approver to whom the mail went.
    pub approver: UserId,
    /// Their address, unless they were erased.
    pub email: Option<String>,
    /// Whether they have one-time codes, so that one alone suffices.
    pub totp: bool,
    /// Whether they have passkeys, and those work at our address, so that one alone suffices.
    pub passkey: bool,
}

impl App {
    /// What a link stands for.
    ///
    /// # Errors
    /// `NOT_FOUND`, whatever is wrong with it; `TENANT_SUSPENDED`.
    pub async fn mail_link(&self, token: &str) -> Outcome<LinkVisit> {
        let nothing = || Refusal::not_found("link");
        let unverified = MailLink::parse(token).map_err(|_| nothing())?;
        let tenant = unverified.tenant();
        let keys = self.store.vault().tenant(tenant).await.map_err(|error| match error {
            eventstore::VaultError::NoKeys(_) => nothing(),
            error => error.into(),
        })?;
        let link = unverified.verify(keys.link()).map_err(|_| nothing())?;
        self.tenant_is_open(tenant).await?;
        let mut tx = self.reading(tenant).await?;
        let email = projections::directory::user(&mut tx, link.approver)
            .await?
            .and_then(|row| row.email);
        drop(tx);
        let slug = super::store::tenant_slug(self.pool(), tenant)
            .await?
            .unwrap_or_default();
        let account: User = self.state(tenant, link.approver.uuid()).await?;
        let totp = self.has_totp(tenant, link.approver).await?;
        let passkey = account.has_passkeys() && self.passkeys_available();
        Ok(LinkVisit {
            tenant,
            slug,
            request: link.request,
            approver: link.approver,
            email,
            totp,
            passkey,
        })
    }

    /// The text of the link for an approver, to be put into their mail.
    ///
    /// # Errors
    /// `UNAVAILABLE`
    pub async fn link_for(&self, tenant: TenantId, request: RequestId, approver: UserId) -> Outcome<String> {
        let keys = self.store.vault().tenant(tenant).await?;
        let link = MailLink {
            tenant,
            request,
            approver,
        };
        Ok(format!(
            "{}/approve/{}",
            self.config.public_url,
            &*link.expose(keys.link())
        ))
    }

    /// The approver of a link, after a one-time code.
    ///
    /// # Errors
    /// `INVALID_CODE`, `LOCKED`, `NOT_ENROLLED`, `UNAUTHENTICATED`, `TENANT_SUSPENDED`.
    pub async fn link_step_up(&self, origin: &Origin, visit: &LinkVisit, code: &str) -> Outcome<Caller> {
        self.tenant_is_open(visit.tenant).await?;
        let system = nobody_yet(origin, visit);
        self.check_code(&system, visit.approver, Channel::Decide, code).await?;
        self.by_link(origin, visit, "link+totp").await
    }

    /// Asks the approver of a link for a passkey, to decide the request as shown with this digest: what
    /// `navigator.credentials.get` takes, in JSON.
    ///
    /// # Errors
    /// `NOT_ENROLLED`, `LOCKED`, `TENANT_SUSPENDED`, `PASSKEYS_UNAVAILABLE`.
    pub async fn link_passkey_options(&self, visit: &LinkVisit, digest: &str) -> Outcome<Value> {
        self.tenant_is_open(visit.tenant).await?;
        self.not_locked(visit.tenant, visit.approver, Channel::Decide).await?;
        self.ask_passkey(visit.tenant, visit.approver, Purpose::Decide(visit.request, digest))
            .await?
            .ok_or_else(super::passkey::not_enrolled)
    }

    /// The approver of a link, after a passkey's answer to [`App::link_passkey_options`] for this request and digest.
    ///
    /// # Errors
    /// `INVALID_PASSKEY`, `LOCKED`, `UNAUTHENTICATED`, `TENANT_SUSPENDED`, `PASSKEYS_UNAVAILABLE`.
    pub async fn link_passkey(
        &self,
        origin: &Origin,
        visit: &LinkVisit,
        digest: &str,
        credential: &Value,
    ) -> Outcome<Caller> {
        self.tenant_is_open(visit.tenant).await?;
        let (system, purpose) = (nobody_yet(origin, visit), Purpose::Decide(visit.request, digest));
        self.check_passkey(&system, visit.approver, Channel::Decide, purpose, credential)
            .await?;
        self.by_link(origin, visit, "link+passkey").await
    }

    /// The approver, who has just proved who they are.
    async fn by_link(&self, origin: &Origin, visit: &LinkVisit, method: &str) -> Outcome<Caller> {
        let now = self.ambient().now();
        let principal = self
            .user_principal(visit.tenant, visit.approver, None, method, Some(now))
            .await?;
        Ok(Caller {
            tenant: visit.tenant,
            principal,
            origin: origin.clone(),
        })
    }
}

/// Whoever came with the link, before they prove that they are its approver.
fn nobody_yet(origin: &Origin, visit: &LinkVisit) -> Caller {
    Caller {
        tenant: visit.tenant,
        principal: Principal::System,
        origin: origin.clone(),
    }
}
