//! Signatures: compact JWS (RFC 7515) with Ed25519 (RFC 8037) and nothing else (`docs/formats.md § 6`).
//!
//! The header has exactly `alg`, `kid` and `typ`. Any other member (`crit`, `jwk`, `jku`, `x5u`, …) refuses the token,
//! and each kind of statement has a `typ` of its own, so that no signature can be shown in place of another.

use std::fmt;

use ed25519_dalek::Signer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{CanonicalError, b64, canonical};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 64 * 1024;

/// What a tenant's signing key is for. One key has one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Statements about policy snapshots.
    Snapshot,
    /// Grants.
    Grant,
    /// Proofs of a one-time code.
    Mfa,
    /// Access tokens.
    Token,
    /// Checkpoints of the log and exports.
    Audit,
    /// Webhook deliveries.
    Webhook,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 6] = [
        Self::Snapshot,
        Self::Grant,
        Self::Mfa,
        Self::Token,
        Self::Audit,
        Self::Webhook,
    ];

    /// The name in JSON and in the key table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Grant => "grant",
            Self::Mfa => "mfa",
            Self::Token => "token",
            Self::Audit => "audit",
            Self::Webhook => "webhook",
        }
    }
}

/// The kind of a signed statement, with its exact `typ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Typ {
    /// A tenant's key set, signed by its root key.
    KeySet,
    /// A snapshot statement, signed by a snapshot key.
    Snapshot,
    /// A grant, signed by a grant key.
    Grant,
    /// A proof of a one-time code, signed by an MFA key.
    Mfa,
    /// An access token, signed by a token key.
    AccessToken,
    /// What an agent shows to get an access token, signed by the endpoint's own key.
    Assertion,
    /// What an agent shows to register, signed by the key it registers.
    Registration,
    /// A statement about an export of the log, signed by an audit key.
    Audit,
}

impl Typ {
    /// The exact `typ`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeySet => "portcullis-keyset+jws",
            Self::Snapshot => "portcullis-snapshot+jws",
            Self::Grant => "portcullis-grant+jws",
            Self::Mfa => "portcullis-mfa+jws",
            Self::AccessToken => "at+jwt",
            Self::Assertion => "portcullis-assertion+jwt",
            Self::Registration => "portcullis-registration+jws",
            Self::Audit => "portcullis-audit+jws",
        }
    }

    /// The purpose of the tenant key that signs this kind; none where another party signs.
    #[must_use]
    pub const fn purpose(self) -> Option<Purpose> {
        match self {
            Self::Snapshot => Some(Purpose::Snapshot),
            Self::Grant => Some(Purpose::Grant),
            Self::Mfa => Some(Purpose::Mfa),
            Self::AccessToken => Some(Purpose::Token),
            Self::Audit => Some(Purpose::Audit),
            Self::KeySet | Self::Assertion | Self::Registration => None,
        }
    }
}

/// Why a token was refused.
#[derive(Debug, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`MAX_TOKEN`].
    #[error("the token is longer than {MAX_TOKEN} bytes")]
    TooLong,
    /// Not three parts of base64url, or the header is not exactly `alg`, `kid`, `typ`.
    #[error("the token is not a compact JWS with exactly alg, kid and typ")]
    Malformed,
    /// Another algorithm than EdDSA.
    #[error("the token's algorithm is not EdDSA")]
    Algorithm,
    /// Another kind of statement.
    #[error("the token is not of type {0}")]
    Type(&'static str),
    /// No key of that id is known for this kind.
    #[error("the token names a key that is not known here")]
    UnknownKey,
    /// The signature is not one of that key over these bytes.
    #[error("the token's signature does not hold")]
    Signature,
    /// Signed, but not the claims that this kind has.
    #[error("the token's claims are not those of its type: {0}")]
    Claims(serde_json::Error),
}

/// 32 bytes that are not a usable Ed25519 public key: no point of the curve, or one of small order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a usable Ed25519 public key")]
pub struct KeyError;

/// An Ed25519 private key. Printed as its public half, wiped when dropped.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// From a seed of 32 random bytes ([`crate::Ambient::bytes`]).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed, to be wrapped or written to a private file.
    #[must_use]
    pub fn expose_seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }

    /// The bare signature over bytes, for formats that are not JWS (checkpoints, webhooks).
    #[must_use]
    pub fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(public {})", self.public())
    }
}

/// An Ed25519 public key that is no weak point. Written as base64url of its 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// From the 32 bytes.
    ///
    /// # Errors
    /// [`KeyError`] for bytes that are no point of the curve, or one of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError)?;
        if key.is_weak() || key.to_bytes() != *bytes {
            Err(KeyError)
        } else {
            Ok(Self(key))
        }
    }

    /// The 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The key's own id: its JWK thumbprint (RFC 7638) with SHA-256.
    #[must_use]
    pub fn kid(&self) -> String {
        b64::encode(Sha256::digest(format!(
            r#"{{"crv":"Ed25519","kty":"OKP","x":"{self}"}}"#
        )))
    }

    /// Whether this is a signature of this key over exactly these bytes, by the strict rules (RFC 8032 § 5.1.7 without
    /// the cofactor, canonical `S`, no points of small order).
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature).is_ok_and(|s| self.0.verify_strict(message, &s).is_ok())
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&b64::encode(self.to_bytes()))
    }
}

impl std::str::FromStr for VerifyingKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(&b64::decode_array(text).ok_or(KeyError)?)
    }
}

impl Serialize for VerifyingKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VerifyingKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    #[serde(borrow)]
    alg: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    kid: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    typ: std::borrow::Cow<'a, str>,
}

/// Signs claims as one kind of statement. `kid` is [`VerifyingKey::kid`] but for assertions, which name tenant and endpoint.
///
/// # Errors
/// [`CanonicalError`] where the claims have no canonical form.
pub fn sign<T: Serialize + ?Sized>(
    typ: Typ,
    kid: &str,
    key: &SigningKey,
    claims: &T,
) -> Result<String, CanonicalError> {
    let header = Header {
        alg: "EdDSA".into(),
        kid: kid.into(),
        typ: typ.as_str().into(),
    };
    let mut token = b64::encode(canonical(&header)?);
    token.push('.');
    token.push_str(&b64::encode(canonical(claims)?));
    let signature = key.sign_bytes(token.as_bytes());
    token.push('.');
    token.push_str(&b64::encode(signature));
    Ok(token)
}

/// Verifies a token of one kind and reads its claims. `key_of` finds the public key of a `kid`; it must know only keys
/// that may sign this kind. Times in the claims are the caller's to judge.
///
/// # Errors
/// [`JwsError`]
pub fn verify<T: DeserializeOwned>(
    typ: Typ,
    token: &str,
    key_of: impl FnOnce(&str) -> Option<VerifyingKey>,
) -> Result<T, JwsError> {
    if token.len() > MAX_TOKEN {
        return Err(JwsError::TooLong);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(JwsError::Malformed)?;
    let (header, claims, signature) = match (b64::decode(header), b64::decode(claims), b64::decode(signature)) {
        (Some(header), Some(claims), Some(signature)) => (header, claims, signature),
        _ => return Err(JwsError::Malformed),
    };
    let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| JwsError::Malformed)?;
    if header.alg != "EdDSA" {
        return Err(JwsError::Algorithm);
    }
    if header.typ != typ.as_str() {
        return Err(JwsError::Type(typ.as_str()));
    }
    let key = key_of(&header.kid).ok_or(JwsError::UnknownKey)?;
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err(JwsError::Signature);
    }
    serde_json::from_slice(&claims).map_err(JwsError::Claims)
}
