//! Links in mails: each names one approver and one request, and opens a page. Deciding takes a proof besides.

use formats::{MailLink, RequestId, TenantId, UserId};

use super::Channel;
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
}

impl App {
    /// What a link stands for.
    ///
    /// # Errors
    /// `NOT_FOUND`, whatever is wrong with it.
    pub async fn mail_link(&self, token: &str) -> Outcome<LinkVisit> {
        let nothing = || Refusal::not_found("link");
        let unverified = MailLink::parse(token).map_err(|_| nothing())?;
        let tenant = unverified.tenant();
        let keys = self.store.vault().tenant(tenant).await.map_err(|error| match error {
            eventstore::VaultError::NoKeys(_) => nothing(),
            error => error.into(),
        })?;
        let link = unverified.verify(keys.link()).map_err(|_| nothing())?;
        let mut tx = self.reading(tenant).await?;
        let email = projections::directory::user(&mut tx, link.approver)
            .await?
            .and_then(|row| row.email);
        drop(tx);
        let slug = super::store::tenants(self.pool())
            .await?
            .into_iter()
            .find(|row| row.id == tenant)
            .map(|row| row.slug)
            .unwrap_or_default();
        let totp = self.has_totp(tenant, link.approver).await?;
        Ok(LinkVisit {
            tenant,
            slug,
            request: link.request,
            approver: link.approver,
            email,
            totp,
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
        let system = Caller {
            tenant: visit.tenant,
            principal: Principal::System,
            origin: origin.clone(),
        };
        self.check_code(&system, visit.approver, Channel::Decide, code).await?;
        let now = self.ambient().now();
        let principal = self
            .user_principal(visit.tenant, visit.approver, None, "link+totp", Some(now))
            .await?;
        Ok(Caller {
            tenant: visit.tenant,
            principal,
            origin: origin.clone(),
        })
    }
}
