//! Wrapping of keys by keys: the master key wraps each tenant's data key, which wraps the tenant's other keys and
//! secrets. AES-256-GCM; the associated data names what is wrapped, so that one wrapped key can't stand in for another.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// The first byte of a wrapped secret. Another layout gets another number.
const VERSION: u8 = 1;

/// A wrapped secret that does not open: another key, another name, or altered bytes. Which one is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the wrapped secret does not open with this key under this name")]
pub struct WrapError;

/// Wraps a secret: version byte ‖ nonce ‖ ciphertext and tag. `name` says what the secret is (tenant, purpose, key id).
/// The nonce comes from [`crate::Ambient::bytes`].
#[must_use]
pub fn wrap(key: &[u8; 32], name: &[u8], secret: &[u8], nonce: [u8; NONCE_LEN]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + NONCE_LEN + secret.len() + AES_256_GCM.tag_len());
    out.push(VERSION);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&encrypt(key, &nonce, name, secret));
    out
}

/// Opens what [`wrap`] made.
///
/// # Errors
/// [`WrapError`], whatever was wrong.
pub fn unwrap(key: &[u8; 32], name: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, WrapError> {
    let rest = wrapped.strip_prefix(&[VERSION]).ok_or(WrapError)?;
    let (nonce, ciphertext) = rest.split_first_chunk().ok_or(WrapError)?;
    decrypt(key, nonce, name, ciphertext)
        .map(Zeroizing::new)
        .ok_or(WrapError)
}

/// Opens a wrapped key of 32 bytes.
///
/// # Errors
/// [`WrapError`], also where the secret has another length.
pub fn unwrap_key(key: &[u8; 32], name: &[u8], wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, WrapError> {
    let secret = unwrap(key, name, wrapped)?;
    secret.as_slice().try_into().map(Zeroizing::new).map_err(|_| WrapError)
}

/// AES-256-GCM with the tag at the end.
pub(crate) fn encrypt(key: &[u8; 32], nonce: &[u8; NONCE_LEN], associated: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len());
    out.extend_from_slice(plaintext);
    aes(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(*nonce), Aad::from(associated), &mut out)
        .expect("AES-256-GCM takes any plaintext that fits in memory");
    out
}

/// The plaintext, or nothing if key, nonce, associated data or ciphertext is not the one of the encryption.
pub(crate) fn decrypt(
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    associated: &[u8],
    ciphertext: &[u8],
) -> Option<Vec<u8>> {
    let mut buffer = ciphertext.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = aes(key)
        .open_in_place(nonce, Aad::from(associated), &mut buffer)
        .ok()?
        .len();
    buffer.truncate(length);
    Some(buffer)
}

fn aes(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes a key of 32 bytes"))
}
