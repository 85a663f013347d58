//! Second factors: which a user has, and fresh proofs of who one is in a running session.

use std::time::Duration;

use formats::{SessionId, TenantId, UserId};
use model::user::User;
use serde_json::{Value, json};

use super::{Channel, SignIn, passkey::Purpose, store};
use crate::{App, Caller, Outcome, Principal, Refusal};

/// How long a proof is fresh.
pub(crate) const FRESH: Duration = Duration::from_secs(5 * 60);

/// A proof of who one is, given again.
pub enum Proof {
    /// A one-time or recovery code.
    Code(String),
    /// The answer of a passkey to the session's challenge.
    Passkey(Value),
    /// The password, where there is no second factor.
    Password(String),
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proof")
    }
}

/// What somebody gives beside a password or a link, where a second factor is registered: one of the two.
#[derive(Clone, Default)]
pub struct SecondFactor {
    /// A one-time or recovery code.
    pub code: Option<String>,
    /// The answer of a passkey to the challenge that `CODE_NEEDED` brought.
    pub passkey: Option<Value>,
}

impl std::fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecondFactor")
    }
}

/// A second factor that was given and is good.
#[derive(Debug, Clone, Copy)]
pub(super) enum Factor {
    Totp,
    Passkey,
}

/// Which second factors a user has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factors {
    pub(super) totp: bool,
    pub(super) passkey: bool,
}

impl Factors {
    const fn any(self) -> bool {
        self.totp || self.passkey
    }

    /// What will do as a proof.
    fn words(self) -> Vec<&'static str> {
        match (self.totp, self.passkey) {
            (true, true) => vec!["totp", "passkey"],
            (true, false) => vec!["totp"],
            (false, true) => vec!["passkey"],
            (false, false) => vec!["password"],
        }
    }
}

/// How a session proved who it is: at its beginning, and with a second factor that came later.
pub(super) fn method_of(row: &store::SessionRow) -> String {
    match &row.stepped_up_by {
        Some(factor) if !row.method.contains(factor.as_str()) => format!("{}+{factor}", row.method),
        _ => row.method.clone(),
    }
}

impl App {
    pub(super) async fn factors(&self, tenant: TenantId, user: UserId, account: &User) -> Outcome<Factors> {
        Ok(Factors {
            totp: self.has_totp(tenant, user).await?,
            passkey: account.has_passkeys(),
        })
    }

    /// The second factor at a sign-in whose password was right. How they proved it.
    pub(super) async fn second_factor(
        &self,
        system: &Caller,
        user: UserId,
        account: &User,
        input: &SignIn,
    ) -> Outcome<&'static str> {
        let given = SecondFactor {
            code: input.code.clone(),
            passkey: input.passkey.clone(),
        };
        Ok(match self.demand_second(system, user, account, &given).await? {
            None => "password",
            Some(Factor::Passkey) => "password+passkey",
            Some(Factor::Totp) => "password+totp",
        })
    }

    /// The second factor of somebody who has shown the first one: whichever they have and give. None where they have none.
    pub(super) async fn demand_second(
        &self,
        system: &Caller,
        user: UserId,
        account: &User,
        given: &SecondFactor,
    ) -> Outcome<Option<Factor>> {
        let tenant = system.tenant;
        let factors = self.factors(tenant, user, account).await?;
        if !factors.any() {
            return Ok(None);
        }
        if let (true, Some(credential)) = (factors.passkey, &given.passkey) {
            self.check_passkey(system, user, Channel::SignIn, Purpose::SignIn, credential)
                .await?;
            return Ok(Some(Factor::Passkey));
        }
        let code = given.code.as_deref().filter(|code| !code.trim().is_empty());
        if let (true, Some(code)) = (factors.totp, code) {
            self.check_code(system, user, Channel::SignIn, code).await?;
            return Ok(Some(Factor::Totp));
        }
        let options = if factors.passkey && self.passkeys_available() {
            self.ask_passkey(tenant, user, Purpose::SignIn).await?
        } else {
            None
        };
        let message = if factors.totp {
            "a one-time code is needed too"
        } else {
            "a passkey is needed too"
        };
        Err(Refusal::new("CODE_NEEDED", 401, message)
            .on("code")
            .with(json!({ "methods": factors.words(), "passkey": options })))
    }

    /// Proves again who one is, for what needs a fresh proof: with a second factor, or with the password by somebody who
    /// has none.
    ///
    /// # Errors
    /// `INVALID_CODE`, `INVALID_PASSKEY`, `INVALID_PASSWORD`, `LOCKED`, `NOT_ENROLLED`, `CODE_NEEDED` for a password that
    /// is not enough.
    pub async fn step_up(&self, caller: &Caller, proof: Proof) -> Outcome<()> {
        let (Some(user), Some(session)) = (caller.user(), caller.session()) else {
            return Err(Refusal::unauthenticated());
        };
        let factor = match proof {
            Proof::Code(code) => {
                self.check_code(caller, user, Channel::Decide, &code).await?;
                Some("totp")
            }
            Proof::Passkey(credential) => {
                self.check_passkey(caller, user, Channel::Decide, Purpose::StepUp(session), &credential)
                    .await?;
                Some("passkey")
            }
            Proof::Password(password) => {
                self.password_again(caller, user, &password).await?;
                None
            }
        };
        let mut tx = self.writing(caller.tenant).await?;
        store::step_up_session(&mut tx, session, self.ambient().now(), factor).await?;
        Ok(tx.commit().await?)
    }

    async fn password_again(&self, caller: &Caller, user: UserId, password: &str) -> Outcome<()> {
        let account: User = self.state(caller.tenant, user.uuid()).await?;
        let factors = self.factors(caller.tenant, user, &account).await?;
        if factors.any() {
            let refusal = Refusal::new(
                "CODE_NEEDED",
                401,
                "the password is not enough here: give a second factor",
            );
            return Err(refusal.with(json!({ "methods": factors.words() })));
        }
        self.not_locked(caller.tenant, user, Channel::Password).await?;
        let mut tx = self.reading(caller.tenant).await?;
        let stored = store::password(&mut tx, user).await?;
        drop(tx);
        let right = self.verify_password(stored, password).await?;
        self.not_locked(caller.tenant, user, Channel::Password).await?;
        if !right {
            self.failed(caller, user, Channel::Password).await?;
            return Err(Refusal::new("INVALID_PASSWORD", 401, "this is not the password").on("password"));
        }
        self.succeeded(caller.tenant, user, Channel::Password).await
    }

    /// Whose session it is, where it proved who it is within the last five minutes: with a second factor by somebody who
    /// has one.
    ///
    /// # Errors
    /// `STEP_UP_NEEDED` with what will do, `UNAUTHENTICATED`.
    pub(super) async fn freshly_proved(&self, caller: &Caller) -> Outcome<(UserId, SessionId)> {
        let (Some(user), Some(session)) = (caller.user(), caller.session()) else {
            return Err(Refusal::unauthenticated());
        };
        let account: User = self.state(caller.tenant, user.uuid()).await?;
        let factors = self.factors(caller.tenant, user, &account).await?;
        let now = self.ambient().now();
        let mut tx = self.reading(caller.tenant).await?;
        let row = store::session(&mut tx, session, now)
            .await?
            .ok_or_else(Refusal::unauthenticated)?;
        let proved = if factors.any() {
            row.stepped_up_at
        } else {
            row.stepped_up_at.max(row.proved_at)
        };
        if proved.is_some_and(|at| now.since(at) < FRESH) {
            return Ok((user, session));
        }
        Err(step_up_needed(factors))
    }
}

impl App {
    /// Whether this caller has to give a second factor anew before they decide: the tenant wants it, and the last one is
    /// not fresh.
    ///
    /// # Errors
    /// The database's.
    pub async fn needs_step_up(&self, caller: &Caller) -> Outcome<bool> {
        let Principal::User { stepped_up_at, .. } = &caller.principal else {
            return Ok(false);
        };
        let now = self.ambient().now();
        let fresh = stepped_up_at.is_some_and(|at| now.since(at) < FRESH);
        Ok(!fresh && self.settings(caller.tenant).await?.deciding_needs_second_factor)
    }

    /// Refuses where [`App::needs_step_up`].
    ///
    /// # Errors
    /// `STEP_UP_NEEDED` with the second factors that will do; none where the user has to set one up first.
    pub(crate) async fn may_decide_now(&self, caller: &Caller) -> Outcome<()> {
        if !self.needs_step_up(caller).await? {
            return Ok(());
        }
        let user = caller.user().ok_or_else(Refusal::unauthenticated)?;
        let account: User = self.state(caller.tenant, user.uuid()).await?;
        let factors = self.factors(caller.tenant, user, &account).await?;
        if factors.any() {
            return Err(step_up_needed(factors));
        }
        let message = "deciding needs a second factor here: set one up in your account first";
        Err(Refusal::new("STEP_UP_NEEDED", 403, message).with(json!({ "methods": [] })))
    }
}

fn step_up_needed(factors: Factors) -> Refusal {
    let message = "prove again who you are, then try once more (POST /auth/step-up)";
    Refusal::new("STEP_UP_NEEDED", 403, message).with(json!({ "methods": factors.words() }))
}
