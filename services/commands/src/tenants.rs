//! Tenants, as operators handle them. Operators read no tenant's policies or requests.

use std::time::Duration;

use eventstore::{CreateTenantError, NewTenant as Routed, Purge};
use formats::{TenantId, Timestamp, UserId};
use model::{
    Role,
    tenant::{Settings, Tenant, TenantCommand},
};
use serde_json::json;

use crate::{App, Caller, Outcome, PLATFORM, Principal, Refusal, Written, people::NewUser, platform::Act};

/// The longest grace period before a tenant is deleted: ten years.
pub const GRACE_MAX: Duration = Duration::from_secs(3_650 * 24 * 60 * 60);

/// A tenant to be made.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// The id, where it has to be a certain one (demo data); a new one otherwise.
    pub id: Option<TenantId>,
    /// What people type when they sign in.
    pub slug: String,
    /// What it is called.
    pub name: String,
    /// The first owner.
    pub owner: Option<NewUser>,
}

/// A tenant as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    /// The id.
    pub id: TenantId,
    /// What people type when they sign in.
    pub slug: String,
    /// `active`, `suspended`, `deleting` (until the grace period is over) or `purging` (there is no way back).
    pub status: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its deletion may begin, where one was asked for.
    pub purge_at: Option<Timestamp>,
}

/// A made tenant.
#[derive(Debug, Clone)]
pub struct CreatedTenant {
    /// The id.
    pub id: TenantId,
    /// The first owner.
    pub owner: Option<UserId>,
    /// The last position.
    pub position: u64,
}

impl App {
    /// Makes a tenant, its keys and its first owner. The input is checked before anything is written.
    ///
    /// # Errors
    /// `BAD_INPUT`, `NAME_TAKEN` (the slug), `WEAK_PASSWORD`.
    pub async fn create_tenant(&self, caller: &Caller, new: NewTenant) -> Outcome<CreatedTenant> {
        let id = new.id.unwrap_or_else(|| self.ambient().id());
        let (slug, name) = (new.slug.clone(), new.name.clone());
        let act = Act {
            name: "createTenant",
            tenant: None,
            slug: Some(&slug),
            detail: &name,
        };
        self.noted(caller, act, self.make_tenant(caller, id, new)).await
    }

    async fn make_tenant(&self, caller: &Caller, id: TenantId, new: NewTenant) -> Outcome<CreatedTenant> {
        if let Some(owner) = &new.owner {
            model::text::email(&owner.email)
                .map_err(|e| Refusal::bad_input("owner.email", format!("owner.email {e}")))?;
            model::text::name(&owner.name).map_err(|e| Refusal::bad_input("owner.name", format!("owner.name {e}")))?;
            if let Some(password) = &owner.password {
                crate::auth::check_password(password, &owner.email).map_err(|r| r.on("owner.password"))?;
            }
        }
        let inside = Caller {
            tenant: id,
            principal: caller.principal.clone(),
            origin: caller.origin.clone(),
        };
        let envelope = self.envelope(&inside, "createTenant", &json!({ "slug": new.slug, "name": new.name }))?;
        let command = TenantCommand::CreateTenant {
            tenant: id,
            slug: new.slug.clone(),
            name: new.name,
            settings: Box::new(Settings::default()),
        };
        model::Noun::decide(&Tenant::default(), command.clone()).map_err(|error| Refusal::of(&error))?;
        let routed = Routed { id, slug: new.slug };
        let done = self
            .store
            .create_tenant::<Tenant>(routed, &envelope, command)
            .await
            .map_err(|error| match error {
                CreateTenantError::SlugTaken(_) => {
                    Refusal::new("NAME_TAKEN", 409, "another tenant has this slug").on("slug")
                }
                CreateTenantError::SlugInvalid(_) => Refusal::bad_input(
                    "slug",
                    "slug must be 2 to 40 of a-z, 0-9 and -, with a letter or digit at both ends",
                ),
                CreateTenantError::Execute(error) => error.into(),
            })?;
        let mut made = CreatedTenant {
            id,
            owner: None,
            position: done.last(),
        };
        if let Some(mut owner) = new.owner {
            owner.roles = vec![Role::Owner];
            let system = Caller {
                tenant: id,
                principal: Principal::System,
                origin: caller.origin.clone(),
            };
            let written = self.create_user(&system, owner).await?;
            made.owner = Some(written.id());
            made.position = written.position;
        }
        Ok(made)
    }

    /// One tenant.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN` for anyone but operators.
    pub async fn get_tenant(&self, caller: &Caller, tenant: TenantId) -> Outcome<TenantRow> {
        operator(caller)?;
        let row = crate::auth::store::tenant(self.pool(), tenant).await?;
        row.ok_or_else(|| Refusal::not_found("tenant"))
    }

    /// All tenants, by slug, at most ten thousand.
    ///
    /// # Errors
    /// `FORBIDDEN` for anyone but operators.
    pub async fn list_tenants(&self, caller: &Caller) -> Outcome<Vec<TenantRow>> {
        operator(caller)?;
        Ok(crate::auth::store::tenants(self.pool()).await?)
    }

    /// Whether a tenant's doors and outboxes hold.
    ///
    /// # Errors
    /// `UNAVAILABLE`
    pub async fn is_suspended(&self, tenant: TenantId) -> Outcome<bool> {
        Ok(crate::auth::store::tenant_status(self.pool(), tenant).await?.as_deref() != Some("active"))
    }

    /// Stops a tenant's doors at once; nothing is lost.
    ///
    /// # Errors
    /// `ALREADY_SUSPENDED`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn suspend_tenant(&self, caller: &Caller, reason: String) -> Outcome<Written> {
        let content = json!({ "reason": reason });
        let (detail, command) = (reason.clone(), TenantCommand::SuspendTenant { reason });
        self.tenant(caller, "suspendTenant", &content, &detail, command).await
    }

    /// Opens them again.
    ///
    /// # Errors
    /// `NOT_SUSPENDED`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn resume_tenant(&self, caller: &Caller, reason: String) -> Outcome<Written> {
        let content = json!({ "reason": reason });
        let (detail, command) = (reason.clone(), TenantCommand::ResumeTenant { reason });
        let written = self.tenant(caller, "resumeTenant", &content, &detail, command).await?;
        self.release_mails(caller.tenant).await?;
        Ok(written)
    }

    /// Has a tenant deleted, data and keys, at the end of the grace period: this one, or the installation's. `confirm` is
    /// the tenant's slug, typed again.
    ///
    /// # Errors
    /// `CONFIRMATION_NEEDED`, `DELETION_REQUESTED`, `BAD_INPUT` for a grace under a day or beyond 3,650 days,
    /// `NOT_FOUND`, `FORBIDDEN`.
    pub async fn delete_tenant(&self, caller: &Caller, confirm: &str, grace: Option<Duration>) -> Outcome<Written> {
        if self.get_tenant(caller, caller.tenant).await?.slug != confirm {
            let message = "repeat the tenant's slug in `confirm` to delete it";
            return Err(Refusal::new("CONFIRMATION_NEEDED", 422, message).on("confirm"));
        }
        let (at, grace) = (self.ambient().now(), grace.unwrap_or(self.config.deletion_grace));
        if grace > GRACE_MAX {
            return Err(Refusal::bad_input("graceDays", "graceDays must be 3650 or fewer"));
        }
        let command = TenantCommand::RequestTenantDeletion {
            at,
            purge_at: at + grace,
        };
        let content = json!({ "confirm": confirm, "grace": grace.as_secs() });
        let detail = format!("after {}", at + grace);
        self.tenant(caller, "deleteTenant", &content, &detail, command).await
    }

    /// Calls a deletion off while the grace period lasts. The tenant is then as it was before.
    ///
    /// # Errors
    /// `NO_DELETION_REQUESTED`, `DELETION_DUE`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn cancel_tenant_deletion(&self, caller: &Caller, reason: String) -> Outcome<Written> {
        let content = json!({ "reason": reason });
        let at = self.ambient().now();
        let detail = reason.clone();
        let command = TenantCommand::CancelTenantDeletion { at, reason };
        let written = self
            .tenant(caller, "cancelTenantDeletion", &content, &detail, command)
            .await?;
        self.release_mails(caller.tenant).await?;
        Ok(written)
    }

    /// Deletions that were begun, the latest first: how far they are, and what is gone.
    ///
    /// # Errors
    /// `FORBIDDEN` for anyone but operators.
    pub async fn list_purges(&self, caller: &Caller) -> Outcome<Vec<Purge>> {
        operator(caller)?;
        Ok(eventstore::purges(self.pool()).await?)
    }

    async fn tenant(
        &self,
        caller: &Caller,
        operation: &'static str,
        content: &serde_json::Value,
        detail: &str,
        command: TenantCommand,
    ) -> Outcome<Written> {
        if caller.tenant == PLATFORM {
            return Err(Refusal::not_found("tenant"));
        }
        let work = self.change_tenant(caller, operation, content, command);
        self.noted(caller, Act::on(caller, operation, detail), work).await
    }

    async fn change_tenant(
        &self,
        caller: &Caller,
        operation: &str,
        content: &serde_json::Value,
        command: TenantCommand,
    ) -> Outcome<Written> {
        if crate::auth::store::tenant_status(self.pool(), caller.tenant)
            .await?
            .as_deref()
            == Some("purging")
        {
            let message = "the grace period is over: the tenant is being deleted";
            return Err(Refusal::new("DELETION_DUE", 409, message));
        }
        let written = self
            .run::<Tenant>(caller, operation, caller.tenant.uuid(), content, command)
            .await;
        // Also after a refusal: a process may have died between the event and the mark, and this is the same act again.
        self.mark(caller.tenant).await?;
        written
    }

    /// Has the routing table say what the log says.
    async fn mark(&self, tenant: TenantId) -> Outcome<()> {
        let mut tx = self.writing(tenant).await?;
        crate::auth::store::lock_tenant(&mut tx).await?;
        let state: Tenant = self.state(tenant, tenant.uuid()).await?;
        if state.exists() {
            crate::auth::store::mark_tenant(&mut tx, state.status(), state.purge_at()).await?;
        }
        tx.commit().await?;
        self.guards.forget_tenant(tenant);
        Ok(())
    }

    /// A notifier that found the tenant suspended still holds its claim: mails go out now, not when that is over.
    async fn release_mails(&self, tenant: TenantId) -> Outcome<()> {
        Ok(projections::work::release(self.pool(), projections::work::MAIL, tenant).await?)
    }
}

pub(crate) fn operator(caller: &Caller) -> Outcome<()> {
    match caller.principal {
        Principal::Operator { .. } | Principal::System => Ok(()),
        _ => Err(Refusal::forbidden("this is for platform operators")),
    }
}
