//! One-time codes (RFC 6238: SHA-1, six digits, 30 seconds, one step of skew) and recovery codes.

use formats::{TenantId, UserId};
use model::user::{User, UserCommand};
use serde_json::json;
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret, Totp};

use super::{Channel, store};
use crate::{App, Caller, Outcome, Principal, Refusal};

/// How many recovery codes there are.
const RECOVERY_CODES: usize = 10;

/// What an authenticator app needs. Shown once.
pub struct TotpEnrolment {
    /// The secret in base32, to be typed.
    pub secret: String,
    /// The same as an `otpauth://` address.
    pub uri: String,
    /// The same as a QR code, an SVG image.
    pub qr_svg: String,
}

impl std::fmt::Debug for TotpEnrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpEnrolment")
    }
}

fn wrong_code() -> Refusal {
    Refusal::new(
        "INVALID_CODE",
        401,
        "this one-time code is not good, or was used before",
    )
    .on("code")
}

fn totp(secret: &[u8], account: &str) -> Outcome<Totp> {
    Builder::new()
        .with_secret(Secret::from(secret.to_vec()))
        .with_account_name(account.replace(':', " "))
        .with_issuer(Some("Portcullis".to_owned()))
        .build()
        .map_err(Refusal::internal)
}

/// The name under which a user's secret is wrapped.
pub(crate) fn name(user: UserId) -> String {
    format!("totp/{user}")
}

fn recovery_hash(user: UserId, code: &str) -> [u8; 32] {
    let plain: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    Sha256::digest([user.uuid().as_bytes().as_slice(), plain.as_bytes()].concat()).into()
}

impl App {
    /// Whether a confirmed secret is enrolled.
    pub(crate) async fn has_totp(&self, tenant: TenantId, user: UserId) -> Outcome<bool> {
        let mut tx = self.reading(tenant).await?;
        Ok(store::totp(&mut tx, user).await?.is_some_and(|row| row.confirmed))
    }

    /// Whether the caller has confirmed one-time codes.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`
    pub async fn totp_enrolled(&self, caller: &Caller) -> Outcome<bool> {
        let user = caller.user().ok_or_else(Refusal::unauthenticated)?;
        self.has_totp(caller.tenant, user).await
    }

    /// Begins an enrolment; it counts once a code confirms it. Who has passkeys gives a fresh proof with one: another
    /// second factor would be a way around them.
    ///
    /// # Errors
    /// `ALREADY_ENROLLED`, `STEP_UP_NEEDED`, `UNAUTHENTICATED`.
    pub async fn totp_enrol(&self, caller: &Caller) -> Outcome<TotpEnrolment> {
        let secret: [u8; 20] = self.ambient().bytes();
        let user = caller.user().ok_or_else(Refusal::unauthenticated)?;
        let account: User = self.state(caller.tenant, user.uuid()).await?;
        if account.has_passkeys() {
            self.freshly_proved(caller).await?;
        }
        self.keep_totp_secret(caller.tenant, user, &secret).await?;
        let mut tx = self.reading(caller.tenant).await?;
        let email = projections::directory::user(&mut tx, user)
            .await?
            .and_then(|row| row.email)
            .unwrap_or_default();
        let totp = totp(&secret, &email)?;
        let uri = totp.to_url().map_err(Refusal::internal)?;
        let qr = qrcode::QrCode::new(uri.as_bytes()).map_err(Refusal::internal)?;
        let qr_svg = qr
            .render::<qrcode::render::svg::Color<'_>>()
            .min_dimensions(200, 200)
            .build();
        Ok(TotpEnrolment {
            secret: Secret::from(secret.to_vec()).to_base32(),
            uri,
            qr_svg,
        })
    }

    async fn keep_totp_secret(&self, tenant: TenantId, user: UserId, secret: &[u8]) -> Outcome<()> {
        let keys = self.store.vault().tenant(tenant).await?;
        let wrapped = keys.wrap_secret(&name(user), secret, self.ambient().bytes());
        let mut tx = self.writing(tenant).await?;
        let begun = store::begin_totp(&mut tx, user, &wrapped, self.ambient().now()).await?;
        tx.commit().await?;
        if begun {
            Ok(())
        } else {
            Err(Refusal::new(
                "ALREADY_ENROLLED",
                409,
                "one-time codes are enrolled already; remove them first",
            ))
        }
    }

    /// Confirms an enrolment with a code; gives the recovery codes, this once.
    ///
    /// # Errors
    /// `INVALID_CODE`, `LOCKED`, `NOT_ENROLLED`.
    pub async fn totp_confirm(&self, caller: &Caller, code: &str) -> Outcome<Vec<String>> {
        let user = caller.user().ok_or_else(Refusal::unauthenticated)?;
        self.check_totp(caller, user, Channel::SignIn, code, false).await?;
        let codes = self.confirm(caller, user).await?;
        Ok(codes)
    }

    /// Enrols a known secret without a code: for demo data only.
    ///
    /// # Errors
    /// `ALREADY_ENROLLED`
    pub async fn totp_preset(&self, caller: &Caller, user: UserId, secret: &[u8; 20]) -> Outcome<()> {
        if caller.principal != Principal::System {
            return Err(Refusal::forbidden("this is for set-up only"));
        }
        self.keep_totp_secret(caller.tenant, user, secret).await?;
        self.confirm(caller, user).await.map(|_| ())
    }

    async fn confirm(&self, caller: &Caller, user: UserId) -> Outcome<Vec<String>> {
        let codes: Vec<String> = (0..RECOVERY_CODES)
            .map(|_| {
                let bytes: [u8; 8] = self.ambient().bytes();
                let text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
                format!("{}-{}-{}-{}", &text[..4], &text[4..8], &text[8..12], &text[12..])
            })
            .collect();
        let hashes: Vec<_> = codes.iter().map(|code| recovery_hash(user, code)).collect();
        let mut tx = self.writing(caller.tenant).await?;
        store::confirm_totp(&mut tx, user, self.ambient().now(), &hashes).await?;
        tx.commit().await?;
        let command = UserCommand::EnrolMfa {
            method: "totp".to_owned(),
        };
        self.run::<User>(caller, "enrolMfa", user.uuid(), &json!({ "user": user }), command)
            .await?;
        Ok(codes)
    }

    /// Removes one's own one-time codes, with a code.
    ///
    /// # Errors
    /// `INVALID_CODE`, `LOCKED`, `NOT_ENROLLED`.
    pub async fn totp_remove(&self, caller: &Caller, code: &str) -> Outcome<()> {
        let user = caller.user().ok_or_else(Refusal::unauthenticated)?;
        self.check_code(caller, user, Channel::SignIn, code).await?;
        let mut tx = self.writing(caller.tenant).await?;
        store::drop_totp(&mut tx, user).await?;
        store::end_sessions(&mut tx, user, caller.session(), self.ambient().now()).await?;
        tx.commit().await?;
        let command = UserCommand::RemoveMfa {
            method: "totp".to_owned(),
        };
        self.run::<User>(caller, "removeMfa", user.uuid(), &json!({ "user": user }), command)
            .await?;
        Ok(())
    }

    /// Checks a one-time or recovery code of a user with a confirmed secret.
    ///
    /// # Errors
    /// `INVALID_CODE`, `LOCKED`, `NOT_ENROLLED`.
    pub(crate) async fn check_code(&self, caller: &Caller, user: UserId, channel: Channel, code: &str) -> Outcome<()> {
        self.check_totp(caller, user, channel, code, true).await
    }

    async fn check_totp(
        &self,
        caller: &Caller,
        user: UserId,
        channel: Channel,
        code: &str,
        confirmed: bool,
    ) -> Outcome<()> {
        let tenant = caller.tenant;
        let now = self.ambient().now();
        // Before the row is held: a vault that has to be asked takes another connection.
        let keys = self.store.vault().tenant(tenant).await?;
        // One attempt at a time, and counted before the next one is looked at: nobody gets more by trying many at once.
        let mut tx = self.writing(tenant).await?;
        let row = store::lock_totp(&mut tx, user).await?;
        self.not_locked_in(&mut tx, user, channel).await?;
        let row = row.filter(|row| row.confirmed == confirmed);
        let Some(row) = row else {
            return Err(Refusal::new(
                "NOT_ENROLLED",
                409,
                "no one-time codes are enrolled for this account",
            ));
        };
        let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let secret = keys
            .unwrap_secret(&name(user), &row.wrapped)
            .map_err(Refusal::internal)?;
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        let good = if digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit()) {
            match totp(&secret, "")?.check(&digits, seconds) {
                Some(step) => store::take_totp_step(&mut tx, user, step).await?,
                None => false,
            }
        } else {
            confirmed && store::use_recovery_code(&mut tx, user, &recovery_hash(user, &digits), now).await?
        };
        if !good {
            let until = self.count_failure_in(&mut tx, user, channel).await?;
            tx.commit().await?;
            self.tell_lock(caller, user, channel, until).await?;
            return Err(wrong_code());
        }
        tx.commit().await?;
        self.succeeded(tenant, user, channel).await
    }
}
