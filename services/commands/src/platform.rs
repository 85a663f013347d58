//! The platform: its operators' credentials, and the log of what they did, in a tenant of its own that outlives every
//! other (`docs/formats.md § 11`).
//!
//! An entry is written before the act, so that nothing is done without one; a refusal is noted after it.

use eventstore::{CreateTenantError, Envelope, ExecuteError, NewTenant, Recorded, StoreError};
use formats::{Address, Credential, TenantId, Timestamp, UserId};
use model::{
    platform::{Platform, PlatformCommand, PlatformEvent},
    tenant::{Settings, Tenant, TenantCommand},
};
use uuid::Uuid;

use crate::{App, Caller, Outcome, Principal, Refusal, auth::store, tenants::operator};

/// The platform's own tenant. It has no users and opens no door; operators' acts are all that happens there.
pub const PLATFORM: TenantId = TenantId::from_uuid(Uuid::nil());

/// Its slug, which no other tenant gets.
pub const PLATFORM_SLUG: &str = "platform";

/// The most entries that are read at once.
pub const PLATFORM_LOG_MAX: u32 = 500;

/// An entry of the platform's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformEntry {
    /// Its number in that log.
    pub position: u64,
    /// When it was written.
    pub at: Timestamp,
    /// Who: the credential's name, or the account that ran the command line.
    pub operator: String,
    /// How they proved it: `platform_credential` or `command_line`.
    pub method: String,
    /// From which address; none from the command line.
    pub address: Option<String>,
    /// The call it belongs to. What followed in the tenant's own log has the same.
    pub correlation: Uuid,
    /// What was asked for, such as `suspendTenant`.
    pub act: String,
    /// The tenant it was about.
    pub tenant: Option<TenantId>,
    /// What that tenant was called.
    pub slug: Option<String>,
    /// The reason that was given, or which key.
    pub detail: Option<String>,
    /// The code of the refusal, where this entry is one.
    pub refused: Option<String>,
}

/// An operator's credential, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformCredential {
    /// What it is called.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// An act, as it is noted.
pub(crate) struct Act<'a> {
    pub(crate) name: &'static str,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) slug: Option<&'a str>,
    pub(crate) detail: &'a str,
}

impl<'a> Act<'a> {
    /// An act on the caller's tenant.
    pub(crate) const fn on(caller: &Caller, name: &'static str, detail: &'a str) -> Self {
        Self {
            name,
            tenant: Some(caller.tenant),
            slug: None,
            detail,
        }
    }

    /// An act that is about no tenant.
    pub(crate) const fn of(name: &'static str, detail: &'a str) -> Self {
        Self {
            name,
            tenant: None,
            slug: None,
            detail,
        }
    }
}

impl App {
    /// The platform's log, the latest first: entries before a position, at most [`PLATFORM_LOG_MAX`].
    ///
    /// # Errors
    /// `FORBIDDEN` for anyone but operators.
    pub async fn platform_log(&self, caller: &Caller, before: Option<u64>, limit: u32) -> Outcome<Vec<PlatformEntry>> {
        operator(caller)?;
        let head = match self.store.head(PLATFORM).await {
            Err(StoreError::UnknownTenant(_)) => return Ok(Vec::new()),
            head => head?,
        };
        let end = before.unwrap_or(u64::MAX).min(head + 1);
        let wanted = limit.min(PLATFORM_LOG_MAX);
        let start = end.saturating_sub(1).saturating_sub(u64::from(wanted));
        let wanted = u32::try_from(end.saturating_sub(1) - start).unwrap_or(wanted);
        let events = self.store.read(PLATFORM, start, wanted).await?;
        let entries = events.iter().rev().map(entry);
        entries.filter_map(Result::transpose).collect()
    }

    /// Makes an operator's credential; its text is shown once.
    ///
    /// # Errors
    /// `BAD_INPUT`, `NAME_TAKEN` by a live one, `FORBIDDEN`.
    pub async fn create_platform_credential(&self, caller: &Caller, name: &str) -> Outcome<String> {
        let name = model::text::name(name).map_err(|e| Refusal::bad_input("name", format!("name {e}")))?;
        let work = async {
            let credential = Credential::mint_platform(self.ambient().uuid(), self.ambient());
            let hash = credential.secret.hash();
            let made =
                store::add_platform_credential(self.pool(), credential.id, &name, &hash, self.ambient().now()).await?;
            if !made {
                return Err(Refusal::new("NAME_TAKEN", 409, "another live credential has this name").on("name"));
            }
            Ok(credential.expose().to_string())
        };
        self.noted(caller, Act::of("createPlatformCredential", &name), work)
            .await
    }

    /// Revokes the live credential of this name: the next call with it is refused.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`.
    pub async fn revoke_platform_credential(&self, caller: &Caller, name: &str) -> Outcome<()> {
        let work = async {
            if store::revoke_platform_credential(self.pool(), name, self.ambient().now()).await? {
                Ok(())
            } else {
                Err(Refusal::not_found("credential"))
            }
        };
        self.noted(caller, Act::of("revokePlatformCredential", name), work)
            .await
    }

    /// All credentials of operators, by the time they were made.
    ///
    /// # Errors
    /// `FORBIDDEN` for anyone but operators.
    pub async fn platform_credentials(&self, caller: &Caller) -> Outcome<Vec<PlatformCredential>> {
        operator(caller)?;
        Ok(store::platform_credentials(self.pool()).await?)
    }

    /// A way back in for somebody who lost their password or devices: sessions end, passkeys and, where `totp`, one-time
    /// codes are gone. Gives the token of a link to a new password, good for an hour.
    ///
    /// # Errors
    /// `NOT_FOUND`, `NOT_ENROLLED`, `USER_DISABLED`, `FORBIDDEN` for anyone but operators.
    pub async fn help_back_in(&self, caller: &Caller, user: UserId, totp: bool) -> Outcome<String> {
        let detail = user.to_string();
        let work = async {
            self.reset_passkeys(caller, user).await?;
            if totp {
                self.reset_totp(caller, user).await?;
            }
            Ok(self.invite(caller, user, true).await?.1)
        };
        self.noted(caller, Act::on(caller, "resetUser", &detail), work).await
    }

    /// A link's token for a new tenant's first owner.
    ///
    /// # Errors
    /// As [`App::invite`]; `FORBIDDEN` for anyone but operators.
    pub async fn invite_owner(&self, caller: &Caller, owner: UserId) -> Outcome<String> {
        let detail = owner.to_string();
        let work = async { Ok(self.invite(caller, owner, false).await?.1) };
        self.noted(caller, Act::on(caller, "inviteOwner", &detail), work).await
    }

    /// Does what an operator asked for between its entry and, where it was refused, the entry of that. What the product
    /// does by itself needs none.
    pub(crate) async fn noted<T>(
        &self,
        caller: &Caller,
        act: Act<'_>,
        work: impl Future<Output = Outcome<T>> + Send,
    ) -> Outcome<T> {
        operator(caller)?;
        if caller.principal == Principal::System {
            return work.await;
        }
        let slug = match (act.slug, act.tenant) {
            (None, Some(tenant)) => store::tenant_slug(self.pool(), tenant).await?,
            (slug, _) => slug.map(str::to_owned),
        };
        let note = PlatformCommand::NoteAct {
            act: act.name.to_owned(),
            tenant: act.tenant,
            slug: slug.clone(),
            detail: Some(act.detail.to_owned()),
        };
        self.note_on_platform(caller, act.name, note).await?;
        let done = work.await;
        if let Err(refusal) = &done {
            let mut again = caller.clone();
            again.origin.idempotency_key = None;
            let note = PlatformCommand::NoteRefusal {
                act: act.name.to_owned(),
                tenant: act.tenant,
                slug,
                code: refusal.code.to_string(),
            };
            self.note_on_platform(&again, act.name, note).await?;
        }
        done
    }

    async fn note_on_platform(&self, caller: &Caller, act: &str, note: PlatformCommand) -> Outcome<()> {
        self.open_platform().await?;
        let content = format!("{note:?}");
        let envelope = self.envelope(caller, &format!("platform/{act}"), &content)?;
        self.run_in::<Platform>(PLATFORM, PLATFORM.uuid(), &envelope, note)
            .await?;
        Ok(())
    }

    /// Makes the platform's own tenant, unless it is there.
    async fn open_platform(&self) -> Outcome<()> {
        match self.store.head(PLATFORM).await {
            Err(StoreError::UnknownTenant(_)) => {}
            head => return Ok(head.map(|_| ())?),
        }
        let command = TenantCommand::CreateTenant {
            tenant: PLATFORM,
            slug: PLATFORM_SLUG.to_owned(),
            name: "Platform".to_owned(),
            settings: Box::new(Settings::default()),
        };
        // Always the same command: of two processes that open it at once, the second learns that it is done.
        let envelope = Envelope::system(Uuid::nil(), [0; 32], self.ambient().uuid());
        let new = NewTenant {
            id: PLATFORM,
            slug: PLATFORM_SLUG.to_owned(),
        };
        match self.store.create_tenant::<Tenant>(new, &envelope, command).await {
            Ok(_) => Ok(()),
            Err(CreateTenantError::Execute(error)) => Err(ExecuteError::into(error)),
            Err(error) => Err(Refusal::internal(error)),
        }
    }
}

/// What an event of the platform's log says; none where it is about the log itself.
fn entry(recorded: &Recorded) -> Outcome<Option<PlatformEntry>> {
    let body = &recorded.body;
    if body.stream.stream_type != "platform" {
        return Ok(None);
    }
    let (act, tenant, slug, detail, refused) = match recorded.event::<Platform>()? {
        PlatformEvent::OperatorActed(e) => (e.act, e.tenant, e.slug, e.detail, None),
        PlatformEvent::OperatorActRefused(e) => (e.act, e.tenant, e.slug, None, Some(e.code)),
    };
    let address = match &body.meta.address {
        Some(Address::Clear(address)) => Some(address.clone()),
        _ => None,
    };
    Ok(Some(PlatformEntry {
        position: recorded.position,
        at: body.recorded_at,
        operator: body.actor.id.clone().unwrap_or_default(),
        method: body.actor.method.clone().unwrap_or_default(),
        address,
        correlation: body.meta.correlation,
        act,
        tenant,
        slug,
        detail,
        refused,
    }))
}
