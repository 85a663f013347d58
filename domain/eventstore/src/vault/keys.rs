//! The keys of one tenant, unwrapped.

use std::{collections::HashMap, fmt};

use formats::{
    KeySet, PublishedKey, Purpose, SigningKey, TenantId, VerifyingKey,
    mac::MacKey,
    wrap::{self, WrapError},
};
use zeroize::Zeroizing;

/// A tenant's keys, ready for use. Wiped when dropped, never printed.
pub struct TenantKeys {
    pub(super) tenant: TenantId,
    pub(super) data: Zeroizing<[u8; 32]>,
    /// Data keys that still open something, or soon will, while one replaces another.
    pub(super) older_data: Vec<Zeroizing<[u8; 32]>>,
    pub(super) mac: MacKey,
    pub(super) link: MacKey,
    pub(super) root: SigningKey,
    pub(super) signing: HashMap<Purpose, (String, SigningKey)>,
    pub(super) set: KeySet,
    pub(super) token: String,
}

impl TenantKeys {
    /// Whose keys.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The key of unique claims, command fingerprints and action digests in the log.
    #[must_use]
    pub const fn mac(&self) -> &MacKey {
        &self.mac
    }

    /// The key of the secrets in mail links.
    #[must_use]
    pub const fn link(&self) -> &MacKey {
        &self.link
    }

    /// The public half of the root key, which deployment packages pin.
    #[must_use]
    pub fn root_public(&self) -> VerifyingKey {
        self.root.public()
    }

    /// The active key of a purpose, and its id.
    #[must_use]
    pub fn signing(&self, purpose: Purpose) -> Option<(&str, &SigningKey)> {
        self.signing.get(&purpose).map(|(kid, key)| (kid.as_str(), key))
    }

    /// A published key, where it may be used for this purpose. Times are the caller's to judge
    /// ([`PublishedKey::is_valid_at`]).
    #[must_use]
    pub fn published(&self, purpose: Purpose, kid: &str) -> Option<&PublishedKey> {
        self.set
            .keys
            .iter()
            .find(|key| key.purpose == purpose && key.kid == kid)
    }

    /// The published keys.
    #[must_use]
    pub const fn key_set(&self) -> &KeySet {
        &self.set
    }

    /// The published keys as a JWS under the root key, the same bytes until something changes.
    #[must_use]
    pub fn key_set_token(&self) -> &str {
        &self.token
    }

    /// Wraps a secret of the tenant (a TOTP secret, a webhook's secret) under the data key. `name` says what it is and
    /// whose, and has to be given again to open it. The nonce comes from `Ambient::bytes`.
    #[must_use]
    pub fn wrap_secret(&self, name: &str, secret: &[u8], nonce: [u8; 12]) -> Vec<u8> {
        wrap::wrap(&self.data, &secret_name(self.tenant, name), secret, nonce)
    }

    /// Opens what [`TenantKeys::wrap_secret`] made.
    ///
    /// # Errors
    /// [`WrapError`] where it was altered, or belongs to another tenant or name.
    pub fn unwrap_secret(&self, name: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, WrapError> {
        self.open(&secret_name(self.tenant, name), wrapped)
    }

    /// Opens with whichever of the data keys fits.
    pub(super) fn open(&self, name: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, WrapError> {
        std::iter::once(&self.data)
            .chain(&self.older_data)
            .find_map(|data| wrap::unwrap(data, name, wrapped).ok())
            .ok_or(WrapError)
    }
}

impl fmt::Debug for TenantKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantKeys")
            .field("tenant", &self.tenant)
            .field("key_set_version", &self.set.version)
            .finish_non_exhaustive()
    }
}

/// The name under which a secret of a tenant is wrapped.
pub(super) fn secret_name(tenant: TenantId, name: &str) -> Vec<u8> {
    named(b"portcullis/secret/1\n", tenant, &[name])
}

/// The name under which a key of a tenant is wrapped.
pub(super) fn key_name(tenant: TenantId, purpose: &str, kid: &str) -> Vec<u8> {
    named(b"portcullis/tenant-key/1\n", tenant, &[purpose, kid])
}

/// An injective encoding: fixed lengths, and a length before each text.
pub(super) fn named(domain: &[u8], tenant: TenantId, parts: &[&str]) -> Vec<u8> {
    let mut out = domain.to_vec();
    out.extend_from_slice(tenant.uuid().as_bytes());
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part.as_bytes());
    }
    out
}
