//! Typed ids: `UUIDv7` inside, a TypeID outside (`req_` and 26 characters of base32), the same string in URLs, JSON,
//! mails and as the Relay id.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// Crockford's alphabet in lower case, as the TypeID specification (version 0.3) has it.
pub(crate) const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a string is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The part before `_` is not the one this kind of id has.
    #[error("an id that begins with `{expected}_` is wanted here")]
    Prefix {
        /// The prefix that was wanted, without the underscore.
        expected: &'static str,
    },
    /// The part after `_` is not 26 characters of lower-case base32 that hold 128 bits.
    #[error("the part after `_` has to be 26 characters of base32")]
    Suffix,
}

/// The 26 characters of a UUID.
#[must_use]
pub fn encode_suffix(id: Uuid) -> String {
    let bits = id.as_u128();
    (0..26)
        .rev()
        .map(|i| char::from(ALPHABET[((bits >> (i * 5)) & 31) as usize]))
        .collect()
}

/// Reads the 26 characters back.
///
/// # Errors
/// [`IdError::Suffix`] for any other length, a character outside the alphabet or more than 128 bits.
pub fn decode_suffix(text: &str) -> Result<Uuid, IdError> {
    let bytes = text.as_bytes();
    if bytes.len() != 26 || bytes[0] > b'7' {
        return Err(IdError::Suffix);
    }
    let mut bits = 0u128;
    for b in bytes {
        let digit = ALPHABET.iter().position(|a| a == b).ok_or(IdError::Suffix)?;
        bits = (bits << 5) | digit as u128;
    }
    Ok(Uuid::from_u128(bits))
}

/// What every typed id has in common.
pub trait TypedId: Copy + Eq + Ord + fmt::Display + FromStr<Err = IdError> + Send + Sync + 'static {
    /// The prefix of the outside form, without the underscore.
    const PREFIX: &'static str;
    /// The id of this UUID.
    fn from_uuid(id: Uuid) -> Self;
    /// The UUID inside.
    fn uuid(self) -> Uuid;
}

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(Uuid);

        impl $name {
            /// The prefix of the outside form, without the underscore.
            pub const PREFIX: &'static str = $prefix;
            /// The id of this UUID.
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self { Self(id) }
            /// The UUID inside.
            #[must_use]
            pub const fn uuid(self) -> Uuid { self.0 }
        }

        impl TypedId for $name {
            const PREFIX: &'static str = $prefix;
            fn from_uuid(id: Uuid) -> Self { Self(id) }
            fn uuid(self) -> Uuid { self.0 }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self { Self(id) }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), encode_suffix(self.0))
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let suffix = text.strip_prefix(concat!($prefix, "_")).ok_or(IdError::Prefix { expected: $prefix })?;
                decode_suffix(suffix).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.collect_str(self) }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

typed_ids! {
    /// One customer organisation.
    TenantId = "ten";
    /// A person with an account in a tenant.
    UserId = "usr";
    /// Whom personal data is about.
    PersonId = "psn";
    /// A named set of users.
    TeamId = "tem";
    /// A non-human principal.
    ServiceAccountId = "svc";
    /// An identity provider's access to SCIM.
    ScimTokenId = "sct";
    /// One machine that runs the agent.
    EndpointId = "end";
    /// Endpoints that belong together for rollout.
    DeploymentGroupId = "dgr";
    /// A named set of users, machines or applications.
    CollectionId = "col";
    /// A rule set with numbered revisions.
    PolicyId = "pol";
    /// Routing of requests to approvers.
    ApprovalRuleId = "rul";
    /// An action waiting for human approval.
    RequestId = "req";
    /// A receiver of webhooks.
    WebhookEndpointId = "whk";
    /// A signed-in browser.
    SessionId = "ses";
    /// A passkey of a user.
    PasskeyId = "pky";
    /// A scoped key of a service account.
    ApiKeyId = "key";
    /// A secret with which endpoints register.
    RegistrationTokenId = "rtk";
    /// An invitation to a tenant.
    InvitationId = "inv";
    /// A recorded action of an endpoint.
    ActivityId = "act";
    /// An identity provider with which people sign in.
    IdentityProviderId = "idp";
    /// A command, as a caller names it.
    CommandId = "cmd";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints() {
        let id = RequestId::from_uuid(Uuid::from_u128(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881));
        assert_eq!(id.to_string(), "req_01h2xcejqtf2nbrexx3vqjhp41");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn another_kind_of_id_is_refused() {
        assert_eq!(
            "pol_01h2xcejqtf2nbrexx3vqjhp41".parse::<RequestId>(),
            Err(IdError::Prefix { expected: "req" })
        );
    }

    #[test]
    fn more_than_128_bits_are_refused() {
        assert_eq!(
            "req_8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<RequestId>(),
            Err(IdError::Suffix)
        );
        assert!("req_7zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<RequestId>().is_ok());
        assert_eq!(
            "req_01H2XCEJQTF2NBREXX3VQJHP41".parse::<RequestId>(),
            Err(IdError::Suffix)
        );
    }
}
