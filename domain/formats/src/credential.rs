//! Credentials: `pct_KIND_TENANT_ID_SECRET` (`docs/formats.md § 2`). The tenant is known before any query; of the 256-bit
//! secret only its SHA-256 is stored.
//!
//! TENANT and ID are the 26 characters of their ids; SECRET is 52 characters of the same base32. The whole is one word
//! of `[a-z0-9_]`, so that a double click takes it and no line break or URL changes it.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    Ambient, TenantId,
    id::{ALPHABET, decode_suffix, encode_suffix},
};

/// The characters of a secret.
pub(crate) const SECRET_LENGTH: usize = 52;
/// The longest credential: `pct_scim_`, two ids, a secret and what joins them.
const MAX_LENGTH: usize = 9 + 26 + 1 + 26 + 1 + SECRET_LENGTH;

/// A string that is not a credential of any kind. What exactly is wrong with it is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a credential")]
pub struct CredentialError;

/// What a credential is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A scoped key of a service account.
    ApiKey,
    /// A signed-in browser.
    Session,
    /// With it an endpoint registers into its deployment group.
    Registration,
    /// An identity provider's access to SCIM.
    Scim,
    /// An invitation, a password reset or the first-run link: opens one page once.
    Invitation,
    /// A platform operator. Has no tenant.
    Platform,
}

impl CredentialKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::ApiKey,
        Self::Session,
        Self::Registration,
        Self::Scim,
        Self::Invitation,
        Self::Platform,
    ];

    /// How the kind is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "key",
            Self::Session => "ses",
            Self::Registration => "reg",
            Self::Scim => "scim",
            Self::Invitation => "inv",
            Self::Platform => "plt",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// 256 secret bits. Never printed, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// From the 32 secret bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 secret bytes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 of the secret: what is stored.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// Whether this is the secret whose hash was stored, in a time that does not depend on the bytes.
    #[must_use]
    pub fn matches(&self, stored: &[u8]) -> bool {
        verify_slices_are_equal(&self.hash(), stored).is_ok()
    }

    /// Appends the 52 characters: five bits each, the last followed by four zero bits.
    pub(crate) fn write(&self, out: &mut String) {
        for i in 0..SECRET_LENGTH {
            let (byte, shift) = (i * 5 / 8, 11 - i * 5 % 8);
            let pair = u16::from_be_bytes([self.0[byte], self.0.get(byte + 1).copied().unwrap_or(0)]);
            out.push(char::from(ALPHABET[usize::from(pair >> shift & 31)]));
        }
    }

    /// Reads the 52 characters back. The four spare bits are zero, so that a secret has one spelling.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text: &[u8; SECRET_LENGTH] = text.as_bytes().try_into().ok()?;
        let mut bytes = Zeroizing::new([0u8; 33]);
        for (i, character) in text.iter().enumerate() {
            let digit = u16::try_from(ALPHABET.iter().position(|a| a == character)?).ok()?;
            let [high, low] = (digit << (11 - i * 5 % 8)).to_be_bytes();
            bytes[i * 5 / 8] |= high;
            bytes[i * 5 / 8 + 1] |= low;
        }
        let (secret, spare) = bytes.split_first_chunk()?;
        (spare == [0]).then_some(Self(*secret))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A credential in the hands of its owner.
#[derive(Debug, Clone)]
pub struct Credential {
    /// What it is for.
    pub kind: CredentialKind,
    /// The tenant; `None` for platform credentials only.
    pub tenant: Option<TenantId>,
    /// The id under which its hash is stored.
    pub id: Uuid,
    /// The secret.
    pub secret: Secret,
}

impl Credential {
    /// A new credential of a tenant with a fresh secret.
    #[must_use]
    pub fn mint(kind: CredentialKind, tenant: TenantId, id: Uuid, ambient: &Ambient) -> Self {
        Self {
            kind,
            tenant: Some(tenant),
            id,
            secret: Secret(ambient.bytes()),
        }
    }

    /// A new credential of the platform with a fresh secret.
    #[must_use]
    pub fn mint_platform(id: Uuid, ambient: &Ambient) -> Self {
        Self {
            kind: CredentialKind::Platform,
            tenant: None,
            id,
            secret: Secret(ambient.bytes()),
        }
    }

    /// The whole text, to be shown once. Wiped when dropped.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(MAX_LENGTH));
        out.push_str("pct_");
        out.push_str(self.kind.as_str());
        for id in self.tenant.map(TenantId::uuid).into_iter().chain([self.id]) {
            out.push('_');
            out.push_str(&encode_suffix(id));
        }
        out.push('_');
        self.secret.write(&mut out);
        out
    }

    /// Reads a credential of any kind.
    ///
    /// # Errors
    /// [`CredentialError`], the same for every fault.
    pub fn parse(text: &str) -> Result<Self, CredentialError> {
        Self::try_parse(text).ok_or(CredentialError)
    }

    /// Reads a credential of one kind.
    ///
    /// # Errors
    /// [`CredentialError`], the same for every fault and for every other kind.
    pub fn parse_kind(kind: CredentialKind, text: &str) -> Result<Self, CredentialError> {
        Self::parse(text).and_then(|found| {
            if found.kind == kind {
                Ok(found)
            } else {
                Err(CredentialError)
            }
        })
    }

    fn try_parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let mut parts = text.strip_prefix("pct_")?.split('_');
        let kind = CredentialKind::parse(parts.next()?)?;
        let tenant = match kind {
            CredentialKind::Platform => None,
            _ => Some(TenantId::from_uuid(decode_suffix(parts.next()?).ok()?)),
        };
        let id = decode_suffix(parts.next()?).ok()?;
        let secret = Secret::parse(parts.next()?)?;
        parts.next().is_none().then_some(Self {
            kind,
            tenant,
            id,
            secret,
        })
    }
}
