//! HMAC-SHA256 under a tenant's keys, one domain per use, so that a value of one use never equals one of another.

use std::fmt;

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::ActionDigest;

/// A tenant's HMAC key. Never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct MacKey([u8; 32]);

impl MacKey {
    /// From the 32 secret bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 secret bytes, to be wrapped.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// What stands for a unique value in the claim table: under the tenant's key, so that the table tells nothing.
    /// `space` names what has to be unique, such as `user.email`; the caller folds the value first.
    #[must_use]
    pub fn claim(&self, space: &str, value: &str) -> [u8; 32] {
        hmac_sha256(&self.0, &[b"portcullis/claim/1", space.as_bytes(), value.as_bytes()])
    }

    /// What stands for a command's content, to tell a replay from another command under the same id.
    #[must_use]
    pub fn fingerprint(&self, operation: &str, content: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.0, &[b"portcullis/fingerprint/1", operation.as_bytes(), content])
    }

    /// What stands for an action's digest in the log, where whoever knows the action could otherwise recognise it.
    #[must_use]
    pub fn digest(&self, digest: &ActionDigest) -> [u8; 32] {
        hmac_sha256(&self.0, &[b"portcullis/digest/1", digest.as_bytes()])
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}

/// HMAC-SHA256 over the parts, each with its length before it (eight bytes, big end first), so that no two lists of
/// parts give the same message. The first part names the use.
#[must_use]
pub fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::with_key(&Key::new(HMAC_SHA256, key));
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.sign().as_ref());
    out
}
