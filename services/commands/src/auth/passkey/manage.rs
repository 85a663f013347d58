//! One's own passkeys: look, add, remove; and what administrators take away.

use formats::{PasskeyId, Timestamp, UserId};
use model::user::{PASSKEYS_MAX, User, UserCommand};
use serde_json::{Value, json};

use super::{Purpose, store};
use crate::{Act, App, Caller, Outcome, Refusal, Written, auth::Channel};

/// A passkey in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyInfo {
    /// The id.
    pub id: PasskeyId,
    /// What its owner calls it.
    pub name: String,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last proved something.
    pub last_used_at: Option<Timestamp>,
    /// Its counter went back: it is refused.
    pub flagged: bool,
}

impl App {
    /// One's own passkeys, oldest first.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`
    pub async fn passkeys(&self, caller: &Caller) -> Outcome<Vec<PasskeyInfo>> {
        let user = caller.user().ok_or_else(Refusal::unauthenticated)?;
        let account: User = self.state(caller.tenant, user.uuid()).await?;
        let mut tx = self.reading(caller.tenant).await?;
        let rows = store::passkeys(&mut tx, user).await?;
        Ok(rows
            .into_iter()
            .filter(|row| account.has_passkey(row.id))
            .map(|row| PasskeyInfo {
                id: row.id,
                name: row.name,
                created_at: row.created_at,
                last_used_at: row.last_used_at,
                flagged: row.flagged,
            })
            .collect())
    }

    /// Begins to register a passkey: what `navigator.credentials.create` takes, in JSON.
    ///
    /// # Errors
    /// `STEP_UP_NEEDED`, `TOO_MANY_PASSKEYS`, `PASSKEYS_UNAVAILABLE`, `UNAUTHENTICATED`.
    pub async fn passkey_options(&self, caller: &Caller) -> Outcome<Value> {
        let (user, session) = self.freshly_proved(caller).await?;
        if self.passkeys(caller).await?.len() >= PASSKEYS_MAX {
            let error = model::user::UserError::TooManyPasskeys { limit: PASSKEYS_MAX };
            return Err(Refusal::of(&error));
        }
        let mut tx = self.reading(caller.tenant).await?;
        let row = projections::directory::user(&mut tx, user).await?;
        drop(tx);
        let (email, name) = row.map_or((None, None), |row| (row.email, row.name));
        let email = email.unwrap_or_default();
        let name = name.unwrap_or_else(|| email.clone());
        self.ask_to_register(caller.tenant, user, Purpose::Register(session), &email, &name)
            .await
    }

    /// Registers the passkey that was made for [`App::passkey_options`].
    ///
    /// # Errors
    /// `INVALID_PASSKEY`, `BAD_INPUT` (the name), `STEP_UP_NEEDED`, `TOO_MANY_PASSKEYS`, `PASSKEYS_UNAVAILABLE`.
    pub async fn passkey_register(&self, caller: &Caller, name: &str, credential: &Value) -> Outcome<PasskeyInfo> {
        let (user, session) = self.freshly_proved(caller).await?;
        let account: User = self.state(caller.tenant, user.uuid()).await?;
        let id: PasskeyId = self.ambient().id();
        let command = UserCommand::RegisterPasskey {
            passkey: id,
            name: name.to_owned(),
        };
        // A name that is not fit is told before the challenge is spent.
        model::Noun::decide(&account, command.clone()).map_err(|error| Refusal::of(&error))?;
        let (credential_hash, wrapped) = self
            .made(caller.tenant, user, Purpose::Register(session), id, credential)
            .await?;
        let row = store::PasskeyRow {
            id,
            name: name.trim().to_owned(),
            credential_hash: credential_hash.to_vec(),
            wrapped,
            created_at: self.ambient().now(),
            last_used_at: None,
            flagged: false,
        };
        // First the key, then the event: what the log does not know does not count.
        let mut tx = self.writing(caller.tenant).await?;
        if !store::add_passkey(&mut tx, user, &row).await? {
            return Err(super::ceremony::invalid());
        }
        tx.commit().await?;
        let content = json!({ "user": user, "passkey": id });
        let log = without_key(caller);
        let done = self
            .run::<User>(&log, "registerPasskey", user.uuid(), &content, command)
            .await;
        if let Err(refusal) = done {
            self.forget(caller, user, Some(id)).await?;
            return Err(refusal);
        }
        Ok(PasskeyInfo {
            id,
            name: row.name,
            created_at: row.created_at,
            last_used_at: None,
            flagged: false,
        })
    }

    /// Removes one of one's own passkeys. Sessions, codes and the other passkeys stay as they are.
    ///
    /// # Errors
    /// `NOT_FOUND`, `STEP_UP_NEEDED`, `UNAUTHENTICATED`.
    pub async fn passkey_remove(&self, caller: &Caller, id: PasskeyId) -> Outcome<()> {
        let (user, _) = self.freshly_proved(caller).await?;
        let command = UserCommand::RemovePasskey {
            passkey: id,
            cause: "own".to_owned(),
        };
        let content = json!({ "user": user, "passkey": id });
        self.run::<User>(&without_key(caller), "removePasskey", user.uuid(), &content, command)
            .await?;
        self.forget(caller, user, Some(id)).await
    }

    /// Takes all passkeys of a user away, after they lost their devices; their sessions end. Nothing where there are none.
    ///
    /// # Errors
    /// `ROLE_ABOVE_OWN`, `USER_DISABLED`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn reset_passkeys(&self, caller: &Caller, user: UserId) -> Outcome<Written> {
        caller.demand(Act::ResetFactors)?;
        self.not_above(caller, user).await?;
        let cause = if caller.user().is_some() {
            "administrator"
        } else {
            "operator"
        };
        let command = UserCommand::RemovePasskeys {
            cause: cause.to_owned(),
        };
        let written = self
            .run::<User>(caller, "resetPasskeys", user.uuid(), &json!({ "user": user }), command)
            .await?;
        if written.duplicate {
            return Ok(written);
        }
        self.forget(caller, user, None).await?;
        self.end_sessions(caller.tenant, user).await?;
        Ok(written)
    }

    /// Asks for a fresh proof in this session: what `navigator.credentials.get` takes, in JSON.
    ///
    /// # Errors
    /// `NOT_ENROLLED`, `LOCKED`, `PASSKEYS_UNAVAILABLE`, `UNAUTHENTICATED`.
    pub async fn passkey_step_up_options(&self, caller: &Caller) -> Outcome<Value> {
        let (Some(user), Some(session)) = (caller.user(), caller.session()) else {
            return Err(Refusal::unauthenticated());
        };
        self.not_locked(caller.tenant, user, Channel::Decide).await?;
        self.ask_passkey(caller.tenant, user, Purpose::StepUp(session))
            .await?
            .ok_or_else(not_enrolled)
    }

    /// Drops what stands beside the log.
    pub(crate) async fn forget(&self, caller: &Caller, user: UserId, only: Option<PasskeyId>) -> Outcome<()> {
        let mut tx = self.writing(caller.tenant).await?;
        store::drop_passkeys(&mut tx, user, only).await?;
        Ok(tx.commit().await?)
    }
}

pub(in crate::auth) fn not_enrolled() -> Refusal {
    Refusal::new(
        "NOT_ENROLLED",
        409,
        "no passkey that counts is registered for this account",
    )
}

/// These commands carry new ids: a repeat under an Idempotency-Key would not be the same.
fn without_key(caller: &Caller) -> Caller {
    let mut log = caller.clone();
    log.origin.idempotency_key = None;
    log
}
