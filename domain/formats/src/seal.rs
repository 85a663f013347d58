//! Sealing: the personal data of an event as one blob that only the key of the person it is about opens
//! (`docs/formats.md § 4`).
//!
//! Each blob has a key of its own, `k`, derived from the person's key and the blob's place in the log. The commitment
//! SHA-256(k) lies beside the ciphertext, so that an export may disclose `k` and a stranger can check that it is the
//! right one. Destroying the person's key makes every blob about them unreadable; leaf hashes cover the ciphertext and
//! stay good.

use std::fmt;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    hkdf::{HKDF_SHA256, Salt},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{PersonId, TenantId, b64, wrap};

/// What the key derivation and the associated data begin with. Another layout gets another number.
const DOMAIN: &[u8] = b"portcullis/seal/1\n";

/// The purpose of the blob that holds an event's personal fields.
pub const PURPOSE_DATA: &str = "data";
/// The purpose of the blob that holds the network address of the person who acted.
pub const PURPOSE_ADDRESS: &str = "address";

/// The key of one person. Never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct PersonKey([u8; 32]);

/// The key of one blob, which an export may disclose. Never printed by accident, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SealKey([u8; 32]);

macro_rules! secret_bytes {
    ($($name:ident),*) => {$(
        impl $name {
            /// From the 32 secret bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self { Self(bytes) }
            /// The 32 secret bytes, to be wrapped or disclosed on purpose.
            #[must_use]
            pub const fn expose(&self) -> &[u8; 32] { &self.0 }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(concat!(stringify!($name), "(…)")) }
        }
    )*};
}
secret_bytes!(PersonKey, SealKey);

/// The place of a blob in the log. It is part of the key and of the authenticated data, so that a blob moved to
/// another tenant, stream, version or purpose does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealContext<'a> {
    /// Whose log it is in.
    pub tenant: TenantId,
    /// The type of the stream, such as `request`.
    pub stream_type: &'a str,
    /// The stream.
    pub stream_id: Uuid,
    /// The version of the event in its stream.
    pub version: u64,
    /// Which blob of the event: [`PURPOSE_DATA`] or [`PURPOSE_ADDRESS`].
    pub purpose: &'a str,
}

impl SealContext<'_> {
    /// An injective encoding: fixed lengths, and a length before each text.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        out.extend_from_slice(DOMAIN);
        out.extend_from_slice(self.tenant.uuid().as_bytes());
        for text in [self.stream_type, self.purpose] {
            out.extend_from_slice(&(text.len() as u64).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(self.stream_id.as_bytes());
        out.extend_from_slice(&self.version.to_be_bytes());
        out
    }

    fn associated_data(&self, person: PersonId, key_version: u32) -> Vec<u8> {
        let mut out = self.encode();
        out.extend_from_slice(person.uuid().as_bytes());
        out.extend_from_slice(&key_version.to_be_bytes());
        out
    }
}

/// A sealed blob as it stands in an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sealed {
    /// Whom the data is about.
    pub person: PersonId,
    /// The version of that person's key.
    pub kv: u32,
    /// SHA-256 of the blob's key, base64url.
    #[serde(with = "b64::array")]
    pub commitment: [u8; 32],
    /// The nonce of AES-256-GCM, base64url.
    #[serde(with = "b64::array")]
    pub nonce: [u8; 12],
    /// Ciphertext and tag, base64url.
    #[serde(with = "b64::vec")]
    pub ciphertext: Vec<u8>,
}

/// Why a blob did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key does not match the commitment: it is another person's, or of another version or place.
    #[error("the key is not the one this blob was sealed with")]
    WrongKey,
    /// The ciphertext, nonce, person or key version was altered.
    #[error("the sealed blob was altered")]
    Altered,
}

/// The key of the blob at this place.
#[must_use]
pub fn derive_k(person_key: &PersonKey, context: &SealContext<'_>) -> SealKey {
    let info = context.encode();
    let mut k = [0; 32];
    Salt::new(HKDF_SHA256, &[])
        .extract(&person_key.0)
        .expand(&[&info], HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut k))
        .expect("HKDF-SHA256 gives 32 bytes");
    SealKey(k)
}

/// Seals the plaintext about `person` with the given version of their key. The nonce comes from
/// [`crate::Ambient::bytes`]; since each place has a key of its own, a nonce is never used twice with one key.
#[must_use]
pub fn seal(
    key: &PersonKey,
    key_version: u32,
    person: PersonId,
    context: &SealContext<'_>,
    plaintext: &[u8],
    nonce: [u8; 12],
) -> Sealed {
    let k = derive_k(key, context);
    let ciphertext = wrap::encrypt(&k.0, &nonce, &context.associated_data(person, key_version), plaintext);
    Sealed {
        person,
        kv: key_version,
        commitment: Sha256::digest(k.0).into(),
        nonce,
        ciphertext,
    }
}

/// Opens a blob with the person's key.
///
/// # Errors
/// [`SealError::WrongKey`] where the derived key does not fit the commitment, [`SealError::Altered`] otherwise.
pub fn open(key: &PersonKey, context: &SealContext<'_>, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
    open_with_k(&derive_k(key, context), context, sealed)
}

/// Opens a blob with its own key, as disclosed by an export.
///
/// # Errors
/// As [`open`].
pub fn open_with_k(k: &SealKey, context: &SealContext<'_>, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
    let commitment: [u8; 32] = Sha256::digest(k.0).into();
    verify_slices_are_equal(&commitment, &sealed.commitment).map_err(|_| SealError::WrongKey)?;
    wrap::decrypt(
        &k.0,
        &sealed.nonce,
        &context.associated_data(sealed.person, sealed.kv),
        &sealed.ciphertext,
    )
    .ok_or(SealError::Altered)
}
