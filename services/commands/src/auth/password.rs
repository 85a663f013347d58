//! Passwords: argon2id, a least length, and a list of those that everybody tries first.

use std::sync::LazyLock;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use formats::UserId;
use model::user::{User, UserCommand};
use serde_json::json;

use super::{Channel, store};
use crate::{App, Caller, Outcome, Refusal, Written};

/// The fewest characters of a password.
pub const PASSWORD_MIN: usize = 12;
/// The most characters of a password.
pub const PASSWORD_MAX: usize = 256;

/// What is tried first in every breach: compared without case.
static COMMON: LazyLock<std::collections::HashSet<&'static str>> = LazyLock::new(|| {
    include_str!("common-passwords.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect()
});

/// Whether a password may be chosen: [`PASSWORD_MIN`] to [`PASSWORD_MAX`] characters, not among the common ones, not
/// the address itself. No rules about kinds of characters.
///
/// # Errors
/// `WEAK_PASSWORD` on the field `password`.
pub fn check_password(password: &str, email: &str) -> Outcome<()> {
    let length = password.chars().count();
    let folded = password.to_lowercase();
    let message = if length < PASSWORD_MIN {
        format!("a password has at least {PASSWORD_MIN} characters")
    } else if length > PASSWORD_MAX {
        format!("a password has at most {PASSWORD_MAX} characters")
    } else if COMMON.contains(folded.as_str()) || repeats(&folded) {
        "this password is on the lists that are tried first".to_owned()
    } else if folded == email.to_lowercase()
        || email
            .split('@')
            .next()
            .is_some_and(|n| n.len() > 5 && folded.contains(&n.to_lowercase()))
    {
        "a password must not hold the e-mail address".to_owned()
    } else {
        return Ok(());
    };
    Err(Refusal::new("WEAK_PASSWORD", 422, message).on("password"))
}

/// One to four characters over and over: `aaaaaaaaaaaa`, `123123123123`.
fn repeats(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    (1..=4).any(|n| chars.len() > n && chars.iter().enumerate().all(|(i, c)| *c == chars[i % n]))
}

fn argon2() -> Argon2<'static> {
    // 19 MiB, two passes: the first choice of the OWASP cheat sheet.
    Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(19 * 1024, 2, 1, None).unwrap_or_default(),
    )
}

/// The hash against which a password is checked where there is no user, so that both take the same time.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    argon2()
        .hash_password_with_salt(b"nobody has this password", b"0123456789abcdef")
        .map(|h| h.to_string())
        .unwrap_or_default()
});

fn not_present() -> Refusal {
    Refusal::new("INVALID_PASSWORD", 422, "this is not the present password").on("oldPassword")
}

impl App {
    /// Hashes a password that may be chosen.
    ///
    /// # Errors
    /// `WEAK_PASSWORD`, or `BUSY` where too many wait.
    pub(crate) async fn hash_password(&self, password: &str, email: &str) -> Outcome<String> {
        check_password(password, email)?;
        let salt: [u8; 16] = self.ambient().bytes();
        let password = password.to_owned();
        self.hashing(move || {
            argon2()
                .hash_password_with_salt(password.as_bytes(), &salt)
                .map(|hash| hash.to_string())
        })
        .await?
        .map_err(Refusal::internal)
    }

    /// Whether this is the user's password; takes as long where there is no user or no password.
    pub(crate) async fn verify_password(&self, stored: Option<String>, password: &str) -> Outcome<bool> {
        // Whatever is longer than can be chosen is wrong; it costs no more than another.
        let password: String = password.chars().take(PASSWORD_MAX + 1).collect();
        self.hashing(move || {
            let known = stored.is_some();
            let text = stored.unwrap_or_else(|| NOBODY.clone());
            let matches =
                PasswordHash::new(&text).is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok());
            known && matches
        })
        .await
    }

    /// Runs a hash on a thread of its own, as many at once as there are permits.
    async fn hashing<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(10), self.hashing.clone().acquire_owned());
        let Ok(Ok(permit)) = waited.await else {
            let mut refusal = Refusal::new("BUSY", 503, "too many sign-ins at once");
            refusal.retry_after = Some(2);
            return Err(refusal);
        };
        self.hashed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        })
        .await
        .map_err(Refusal::internal)
    }

    /// Changes one's own password; the other sessions end.
    ///
    /// # Errors
    /// `INVALID_PASSWORD` for a wrong old one, `WEAK_PASSWORD`, `LOCKED`.
    pub async fn change_password(&self, caller: &Caller, old: &str, new: &str) -> Outcome<Written> {
        let user = caller
            .user()
            .ok_or_else(|| Refusal::forbidden("only people have passwords"))?;
        self.not_locked(caller.tenant, user, Channel::Password).await?;
        let mut tx = self.reading(caller.tenant).await?;
        let stored = store::password(&mut tx, user).await?;
        let email = projections::directory::user(&mut tx, user)
            .await?
            .and_then(|u| u.email)
            .unwrap_or_default();
        drop(tx);
        let right = self.verify_password(stored.clone(), old).await?;
        self.not_locked(caller.tenant, user, Channel::Password).await?;
        if !right {
            self.failed(caller, user, Channel::Password).await?;
            return Err(not_present());
        }
        let hash = self.hash_password(new, &email).await?;
        self.put_password(caller, user, stored.as_deref(), &hash, "change")
            .await
    }

    /// Sets a user's password from the command line, after it was lost.
    ///
    /// # Errors
    /// `WEAK_PASSWORD`, `NOT_FOUND`.
    pub async fn reset_password(&self, caller: &Caller, user: UserId, new: &str) -> Outcome<Written> {
        let hash = self.hash_password(new, "").await?;
        self.put_password(caller, user, None, &hash, "operator").await
    }

    /// Puts a password in the place of whatever there is, or of the `old` one alone. Other sessions, and links that let
    /// choose one, end.
    async fn put_password(
        &self,
        caller: &Caller,
        user: UserId,
        old: Option<&str>,
        hash: &str,
        how: &str,
    ) -> Outcome<Written> {
        let command = UserCommand::ChangePassword { how: how.to_owned() };
        let written = self
            .run::<User>(caller, "changePassword", user.uuid(), &json!({ "user": user }), command)
            .await?;
        let mut tx = self.writing(caller.tenant).await?;
        let now = self.ambient().now();
        if let Some(old) = old {
            // Of two who change one password at once, both by the old one, the second is too late.
            if !store::replace_password(&mut tx, user, old, hash, now).await? {
                return Err(not_present());
            }
        } else {
            store::set_password(&mut tx, user, hash, now).await?;
        }
        store::end_sessions(&mut tx, user, caller.session(), now).await?;
        // A link for a lost password is as good as the password that it would replace.
        store::revoke_credentials_of(&mut tx, user.uuid(), now).await?;
        tx.commit().await?;
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weak(password: &str) -> bool {
        check_password(password, "robin@example.test").is_err_and(|refusal| refusal.code == "WEAK_PASSWORD")
    }

    #[test]
    fn length_and_the_common_lists_decide_and_no_kinds_of_characters() {
        assert!(weak("short"));
        assert!(weak("password1234"));
        assert!(weak("PassWord1234"));
        assert!(weak("123123123123"));
        assert!(weak("x".repeat(257).as_str()));
        assert!(weak("robin@example.test"));
        assert!(!weak("correct horse battery"));
        assert!(!weak("äöü äöü ßßß nine"));
    }
}
