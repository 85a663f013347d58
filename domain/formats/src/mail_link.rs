//! The token in a mail that asks an approver to decide: `pct_link_TENANT_IDS_SECRET` (`docs/formats.md § 2`).
//!
//! IDS are the 26 characters of the request and the 26 of the approver. The secret follows from these under the
//! tenant's link key, so that no outbox holds it, a rebuild writes the same link again, and checking one needs no row.
//! Whether the approver may still decide is asked of the request, not of the link.

use zeroize::Zeroizing;

use crate::{
    CredentialError, RequestId, TenantId, UserId,
    credential::{SECRET_LENGTH, Secret},
    id::{decode_suffix, encode_suffix},
    mac::{MacKey, hmac_sha256},
};

const PREFIX: &str = "pct_link_";
const LENGTH: usize = PREFIX.len() + 26 + 1 + 52 + 1 + SECRET_LENGTH;

/// What a link in a mail stands for: one approver and one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MailLink {
    /// Whose request.
    pub tenant: TenantId,
    /// Which request.
    pub request: RequestId,
    /// Who may decide with it.
    pub approver: UserId,
}

/// A link as read, before its secret was checked against the tenant's key.
#[derive(Debug, Clone)]
pub struct UnverifiedLink {
    link: MailLink,
    secret: Secret,
}

impl MailLink {
    fn secret(&self, key: &MacKey) -> Secret {
        let (request, approver) = (self.request.uuid(), self.approver.uuid());
        Secret::from_bytes(hmac_sha256(
            key.expose(),
            &[b"portcullis/link/1", b"decide", request.as_bytes(), approver.as_bytes()],
        ))
    }

    /// The token under the tenant's link key. Wiped when dropped.
    #[must_use]
    pub fn expose(&self, key: &MacKey) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(LENGTH));
        out.push_str(PREFIX);
        out.push_str(&encode_suffix(self.tenant.uuid()));
        out.push('_');
        out.push_str(&encode_suffix(self.request.uuid()));
        out.push_str(&encode_suffix(self.approver.uuid()));
        out.push('_');
        self.secret(key).write(&mut out);
        out
    }

    /// Reads a token. The tenant is known then; nothing else may be believed before [`UnverifiedLink::verify`].
    ///
    /// # Errors
    /// [`CredentialError`], the same for every fault.
    pub fn parse(text: &str) -> Result<UnverifiedLink, CredentialError> {
        Self::try_parse(text).ok_or(CredentialError)
    }

    fn try_parse(text: &str) -> Option<UnverifiedLink> {
        if text.len() != LENGTH {
            return None;
        }
        let mut parts = text.strip_prefix(PREFIX)?.split('_');
        let tenant = decode_suffix(parts.next()?).ok()?;
        let (request, approver) = parts.next()?.split_at_checked(26)?;
        let (request, approver) = (decode_suffix(request).ok()?, decode_suffix(approver).ok()?);
        let secret = Secret::parse(parts.next()?)?;
        let link = Self {
            tenant: tenant.into(),
            request: request.into(),
            approver: approver.into(),
        };
        parts.next().is_none().then_some(UnverifiedLink { link, secret })
    }
}

impl UnverifiedLink {
    /// The tenant whose key is needed.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.link.tenant
    }

    /// Whom and what the link stands for, if its secret is the one of the tenant's link key.
    ///
    /// # Errors
    /// [`CredentialError`]
    pub fn verify(self, key: &MacKey) -> Result<MailLink, CredentialError> {
        if self.secret.matches(&self.link.secret(key).hash()) {
            Ok(self.link)
        } else {
            Err(CredentialError)
        }
    }
}
