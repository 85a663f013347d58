//! Sign-in with a password, and the sessions that follow.

use std::time::Duration;

use eventstore::as_of_now;
use formats::{Credential, CredentialKind, SessionId, TenantId, Timestamp, UserId, mac::hmac_sha256};
use model::{
    roles::Roles,
    user::{User, UserCommand},
};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Channel, store};
use crate::{App, Caller, Origin, Outcome, Principal, Refusal};

/// How often `seen_at` is written.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// What people type.
#[derive(Clone)]
pub struct SignIn {
    /// The tenant's slug.
    pub tenant: String,
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
    /// The one-time code, where one is enrolled.
    pub code: Option<String>,
    /// In its place, the answer of a passkey to the challenge that `CODE_NEEDED` brought.
    pub passkey: Option<serde_json::Value>,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

/// A session that has just begun.
#[derive(Debug)]
pub struct SignedIn {
    /// The cookie's value. Shown once.
    pub cookie: Zeroizing<String>,
    /// The session.
    pub session: Session,
}

/// A live session.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who it is.
    pub caller: Caller,
    /// What unsafe requests have to repeat in the header `x-csrf-token`.
    pub csrf: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Session {
    /// Whether this is the session's CSRF token, in constant time.
    #[must_use]
    pub fn csrf_matches(&self, token: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.csrf.as_bytes(), token.as_bytes()).is_ok()
    }
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The id.
    pub id: SessionId,
    /// How it began.
    pub method: String,
    /// From where.
    pub address: Option<String>,
    /// With which program.
    pub agent: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// The one answer to whatever is wrong with a sign-in.
fn invalid() -> Refusal {
    Refusal::new(
        "INVALID_SIGN_IN",
        401,
        "tenant, e-mail address or password is wrong, or the account is closed",
    )
}

fn csrf_of(secret: &[u8; 32]) -> String {
    let mac = hmac_sha256(secret, &[b"portcullis/csrf/1"]);
    mac.iter().map(|b| format!("{b:02x}")).collect()
}

impl App {
    /// Signs a user in.
    ///
    /// # Errors
    /// `INVALID_SIGN_IN` whatever is wrong, after the same time; `CODE_NEEDED` where the password is right and a second
    /// factor is registered, with the kinds that will do and a passkey's challenge; `INVALID_CODE`; `INVALID_PASSKEY`;
    /// `LOCKED`; `TENANT_SUSPENDED`.
    pub async fn sign_in(&self, origin: &Origin, input: SignIn) -> Outcome<SignedIn> {
        let routed = store::tenant_by_slug(self.pool(), &input.tenant).await?;
        let Some((tenant, status)) = routed else {
            self.verify_password(None, &input.password).await?;
            return Err(invalid());
        };
        let mut tx = self.reading(tenant).await?;
        let row = projections::directory::user_by_email(&mut tx, &input.email).await?;
        let stored = match &row {
            Some(row) => store::password(&mut tx, row.id).await?,
            None => None,
        };
        drop(tx);
        let Some(row) = row else {
            let nobody = self.nobody(tenant, &input.email).await?;
            self.not_locked(tenant, nobody, Channel::Password).await?;
            self.verify_password(None, &input.password).await?;
            self.not_locked(tenant, nobody, Channel::Password).await?;
            self.failed_nobody(tenant, nobody, Channel::Password).await?;
            return Err(invalid());
        };
        self.not_locked(tenant, row.id, Channel::Password).await?;
        let system = Caller {
            tenant,
            principal: Principal::System,
            origin: origin.clone(),
        };
        let right = self.verify_password(stored.clone(), &input.password).await?;
        self.not_locked(tenant, row.id, Channel::Password).await?;
        if !right {
            self.failed(&system, row.id, Channel::Password).await?;
            return Err(invalid());
        }
        let account: User = self.state(tenant, row.id.uuid()).await?;
        if account.is_disabled() {
            return Err(invalid());
        }
        if status != "active" {
            return Err(Refusal::new("TENANT_SUSPENDED", 403, "this tenant is suspended"));
        }
        let method = self.second_factor(&system, row.id, &account, &input).await?;
        self.succeeded(tenant, row.id, Channel::Password).await?;
        self.begin_session(origin, tenant, row.id, method, stored.as_deref())
            .await
    }

    /// Begins a session of a user who has proved who they are: by a password, if it is still the present one. A change of
    /// the password meanwhile either comes first, or ends this session too.
    ///
    /// # Errors
    /// `INVALID_SIGN_IN`, `UNAUTHENTICATED`.
    pub(crate) async fn begin_session(
        &self,
        origin: &Origin,
        tenant: TenantId,
        user: UserId,
        method: &str,
        password: Option<&str>,
    ) -> Outcome<SignedIn> {
        let now = self.ambient().now();
        let id: SessionId = self.ambient().id();
        let factor = method.strip_prefix("password+");
        let credential = Credential::mint(CredentialKind::Session, tenant, id.uuid(), self.ambient());
        let expires_at = now + Duration::from_secs(u64::from(self.config.session_hours) * 3600);
        let row = store::SessionRow {
            id,
            user,
            secret_hash: credential.secret.hash().to_vec(),
            method: method.to_owned(),
            address: origin.address.map(|address| address.to_string()),
            agent: origin.agent.clone(),
            created_at: now,
            seen_at: now,
            expires_at,
            stepped_up_at: factor.map(|_| now),
            stepped_up_by: factor.map(str::to_owned),
            proved_at: None,
        };
        let mut tx = self.writing(tenant).await?;
        if let Some(hash) = password
            && !store::is_password(&mut tx, user, hash).await?
        {
            return Err(invalid());
        }
        store::add_session(&mut tx, &row).await?;
        tx.commit().await?;
        let caller = self.as_user(origin, tenant, &row).await?;
        let content = json!({ "session": id });
        let command = UserCommand::SignIn {
            method: method.to_owned(),
        };
        // The event has its own id: a sign-in is not repeated under an Idempotency-Key.
        let mut log = caller.clone();
        log.origin.idempotency_key = None;
        self.run::<User>(&log, "signIn", user.uuid(), &content, command).await?;
        let csrf = csrf_of(credential.secret.expose());
        Ok(SignedIn {
            cookie: credential.expose(),
            session: Session {
                caller,
                csrf,
                expires_at,
            },
        })
    }

    /// Whose session a cookie is. Roles and the account's state are those of this moment.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, `TENANT_SUSPENDED`.
    pub async fn session(&self, origin: &Origin, cookie: &str) -> Outcome<Session> {
        let credential =
            Credential::parse_kind(CredentialKind::Session, cookie).map_err(|_| Refusal::unauthenticated())?;
        let tenant = credential.tenant.ok_or_else(Refusal::unauthenticated)?;
        let now = self.ambient().now();
        let mut tx = self.reading(tenant).await?;
        let row = store::session(&mut tx, SessionId::from_uuid(credential.id), now).await?;
        drop(tx);
        let row = row
            .filter(|row| credential.secret.matches(&row.secret_hash))
            .ok_or_else(Refusal::unauthenticated)?;
        self.tenant_is_open(tenant).await?;
        let caller = self.as_user(origin, tenant, &row).await?;
        if now.since(row.seen_at) >= SEEN_EVERY {
            let mut tx = self.writing(tenant).await?;
            store::touch_session(&mut tx, row.id, now).await?;
            tx.commit().await?;
        }
        Ok(Session {
            caller,
            csrf: csrf_of(credential.secret.expose()),
            expires_at: row.expires_at,
        })
    }

    /// Whether the session that a caller came with is still what it was: for open subscriptions.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, `TENANT_SUSPENDED`.
    pub async fn still(&self, caller: &Caller) -> Outcome<Caller> {
        self.tenant_is_open(caller.tenant).await?;
        if let Principal::ServiceAccount { account, key, .. } = caller.principal {
            return self.still_the_key(caller, account, key).await;
        }
        let Principal::User { session: Some(id), .. } = &caller.principal else {
            return Ok(caller.clone());
        };
        let mut tx = self.reading(caller.tenant).await?;
        let row = store::session(&mut tx, *id, self.ambient().now())
            .await?
            .ok_or_else(Refusal::unauthenticated)?;
        drop(tx);
        self.as_user(&caller.origin, caller.tenant, &row).await
    }

    async fn as_user(&self, origin: &Origin, tenant: TenantId, row: &store::SessionRow) -> Outcome<Caller> {
        let method = super::step_up::method_of(row);
        let principal = self
            .user_principal(tenant, row.user, Some(row.id), &method, row.stepped_up_at)
            .await?;
        Ok(Caller {
            tenant,
            principal,
            origin: origin.clone(),
        })
    }

    pub(crate) async fn user_principal(
        &self,
        tenant: TenantId,
        user: UserId,
        session: Option<SessionId>,
        method: &str,
        stepped_up_at: Option<Timestamp>,
    ) -> Outcome<Principal> {
        let (account, roles) = as_of_now(async {
            let account: User = self.state(tenant, user.uuid()).await?;
            let roles: Roles = self.state(tenant, tenant.uuid()).await?;
            Outcome::Ok((account, roles))
        })
        .await?;
        let person = account
            .person()
            .filter(|_| !account.is_disabled())
            .ok_or_else(Refusal::unauthenticated)?;
        Ok(Principal::User {
            user,
            person,
            roles: roles.of(user),
            session,
            method: method.to_owned(),
            stepped_up_at,
        })
    }

    /// A caller for a user without a proof: for set-up and for tools of whoever runs the server.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` where the account does not exist or is closed.
    pub async fn acting_as(&self, tenant: TenantId, user: UserId, origin: Origin) -> Outcome<Caller> {
        let principal = self.user_principal(tenant, user, None, "operator", None).await?;
        Ok(Caller {
            tenant,
            principal,
            origin,
        })
    }

    /// Refuses where the tenant's doors are closed.
    pub(crate) async fn tenant_is_open(&self, tenant: TenantId) -> Outcome<()> {
        match store::tenant_status(self.pool(), tenant).await?.as_deref() {
            Some("active") => Ok(()),
            Some(_) => Err(Refusal::new("TENANT_SUSPENDED", 403, "this tenant is suspended")),
            None => Err(Refusal::unauthenticated()),
        }
    }

    /// Ends the session that asks.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`
    pub async fn sign_out(&self, caller: &Caller) -> Outcome<()> {
        let (Some(user), Some(session)) = (caller.user(), caller.session()) else {
            return Err(Refusal::unauthenticated());
        };
        self.end_session(caller, user, session).await
    }

    /// One's own sessions, newest first.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`
    pub async fn sessions(&self, caller: &Caller) -> Outcome<Vec<SessionInfo>> {
        let user = caller.user().ok_or_else(Refusal::unauthenticated)?;
        let mut tx = self.reading(caller.tenant).await?;
        let rows = store::sessions(&mut tx, user, self.ambient().now()).await?;
        Ok(rows
            .into_iter()
            .map(|row| SessionInfo {
                current: caller.session() == Some(row.id),
                id: row.id,
                method: row.method,
                address: row.address,
                agent: row.agent,
                created_at: row.created_at,
                seen_at: row.seen_at,
                expires_at: row.expires_at,
            })
            .collect())
    }

    /// Ends one of a user's sessions; one that is not theirs looks like one that does not exist.
    ///
    /// # Errors
    /// `NOT_FOUND`
    pub async fn end_session(&self, caller: &Caller, user: UserId, session: SessionId) -> Outcome<()> {
        let mut tx = self.writing(caller.tenant).await?;
        let ended = store::end_session(&mut tx, user, session, self.ambient().now()).await?;
        tx.commit().await?;
        if ended == 0 {
            return Err(Refusal::not_found("session"));
        }
        self.log_sign_out(caller, user, 1).await
    }

    /// Ends all sessions of a user.
    pub(crate) async fn end_sessions(&self, tenant: TenantId, user: UserId) -> Outcome<()> {
        let mut tx = self.writing(tenant).await?;
        store::end_sessions(&mut tx, user, None, self.ambient().now()).await?;
        Ok(tx.commit().await?)
    }

    async fn log_sign_out(&self, caller: &Caller, user: UserId, sessions: u32) -> Outcome<()> {
        let mut log = caller.clone();
        log.origin.idempotency_key = None;
        let content = json!({ "user": user, "sessions": sessions, "n": self.ambient().uuid() });
        self.run::<User>(
            &log,
            "signOut",
            user.uuid(),
            &content,
            UserCommand::SignOut { sessions },
        )
        .await?;
        Ok(())
    }
}
