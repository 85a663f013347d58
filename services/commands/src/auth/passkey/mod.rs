//! Passkeys (WebAuthn): registration, and proofs with them.
//!
//! The ceremonies are those of `webauthn-rs`: user verification required, attestation `none`. What is kept between the
//! two halves of one, with the challenge in it, stands in the database for five minutes, is bound to one user and one
//! [`Purpose`], and is taken once. Who we are (relying party id, origin) follows from the public address alone.

mod ceremony;
mod manage;
mod store;

pub(crate) use ceremony::{challenge_name, passkey_name};
pub use manage::PasskeyInfo;
pub(super) use manage::not_enrolled;

use std::time::Duration;

use formats::{RequestId, SessionId};
use sha2::{Digest, Sha256};

/// How long a challenge waits for its answer.
pub(super) const CHALLENGE_LASTS: Duration = Duration::from_secs(5 * 60);

/// What an answer to a challenge may be used for, and nothing else.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose<'a> {
    /// A new passkey, in this session.
    Register(SessionId),
    /// To begin a session, after the password.
    SignIn,
    /// A fresh proof in this session.
    StepUp(SessionId),
    /// To decide this request, as shown with this digest, from the page behind its link.
    Decide(RequestId, &'a str),
}

impl Purpose<'_> {
    const fn word(self) -> &'static str {
        match self {
            Self::Register(_) => "register",
            Self::SignIn => "sign-in",
            Self::StepUp(_) => "step-up",
            Self::Decide(..) => "decide",
        }
    }

    fn binding(self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.word());
        match self {
            Self::Register(session) | Self::StepUp(session) => hash.update(session.uuid().as_bytes()),
            Self::SignIn => {}
            Self::Decide(request, digest) => {
                hash.update(request.uuid().as_bytes());
                hash.update(digest.as_bytes());
            }
        }
        hash.finalize().into()
    }
}
