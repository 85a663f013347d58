//! What can happen to a user.

use formats::{EndpointId, IdentityProviderId, InvitationId, PasskeyId, PersonId, RequestId, Timestamp, UserId};

use super::Profile;
use crate::{
    Personal,
    aggregate::{ClaimChange, EventData, events},
};

/// The space in which a user holds an e-mail address.
pub const EMAIL: &str = "user.email";
/// The space in which a user holds the name that an identity provider knows them by.
pub const USER_NAME: &str = "user.user_name";

/// The space in which a user holds an identity at a provider.
pub const IDENTITY: &str = "user.identity";

/// Who somebody is, whatever provider tells it: issuer and subject together, never the address alone.
#[must_use]
pub fn identity(issuer: &str, subject: &str) -> String {
    format!("{issuer}\n{subject}")
}

events! {
    /// What can happen to a user.
    UserEvent {
        /// The account exists.
        UserCreated {
            user: UserId,
            person: PersonId,
            email: Personal<String>,
            name: Personal<String>,
            /// `operator`, `invitation`, `scim`, `oidc` or `demo`.
            source: String,
        }
        /// Name or address are now these.
        UserChanged {
            user: UserId,
            person: PersonId,
            email: Personal<String>,
            name: Personal<String>,
        }
        /// The account can't be used: sessions end, requests are cancelled, grants revoked.
        UserDisabled {
            user: UserId,
            person: PersonId,
            reason: Personal<String>,
        }
        /// The account can be used again.
        UserEnabled {
            user: UserId,
            person: PersonId,
        }
        /// An identity provider said by SCIM who this is, for the first time or anew: the whole of what is kept of it.
        UserProvisioned {
            user: UserId,
            person: PersonId,
            profile: Personal<Box<Profile>>,
        }
        /// The identity provider deleted the user: gone for it, and closed here, until it is made again.
        UserDeprovisioned {
            user: UserId,
            person: PersonId,
        }
        /// The password is another one.
        PasswordChanged {
            user: UserId,
            person: PersonId,
            /// `set-up`, `change`, `reset` or `operator`.
            how: String,
        }
        /// A link was sent with which the person chooses a password: at first, or after they lost it.
        UserInvited {
            user: UserId,
            person: PersonId,
            /// The link's id; its secret follows from it and a key of the tenant.
            invitation: InvitationId,
            /// The password was lost.
            reset: bool,
        }
        /// A second factor was enrolled and confirmed.
        MfaEnrolled {
            user: UserId,
            person: PersonId,
            /// `totp` or `passkey`.
            method: String,
        }
        /// A second factor was removed.
        MfaRemoved {
            user: UserId,
            person: PersonId,
            method: String,
        }
        /// A passkey was registered. No key material: the public key and the authenticator's own id are state.
        PasskeyRegistered {
            user: UserId,
            person: PersonId,
            passkey: PasskeyId,
            name: Personal<String>,
        }
        /// A passkey counts no more.
        PasskeyRemoved {
            user: UserId,
            person: PersonId,
            passkey: PasskeyId,
            /// `own`, `administrator` or `operator`.
            cause: String,
            /// How many the user has left.
            left: u32,
        }
        /// A passkey's counter went back, as that of a copy does: it is refused until it is removed.
        PasskeyFlagged {
            user: UserId,
            person: PersonId,
            passkey: PasskeyId,
        }
        /// Too many wrong codes or passwords on one channel.
        ChannelLocked {
            user: UserId,
            person: PersonId,
            /// `password`, `sign-in`, `decide` or `agent`.
            channel: String,
            until: Timestamp,
        }
        /// A one-time code of this user was given at an endpoint.
        CodeVerified {
            user: UserId,
            person: PersonId,
            endpoint: EndpointId,
            /// Who acts at the endpoint.
            requester: PersonId,
            request: Option<RequestId>,
            /// The code is not of the requester's own account: flagged.
            other_user: bool,
        }
        /// An identity at a provider was remembered as this user's.
        IdentityLinked {
            user: UserId,
            person: PersonId,
            provider: IdentityProviderId,
            issuer: String,
            /// Their id at that issuer.
            subject: Personal<String>,
            /// `email` or `provisioned`.
            how: String,
        }
        /// No identity at a provider is this user's any more.
        IdentitiesUnlinked {
            user: UserId,
            person: PersonId,
        }
        /// A session began.
        SignedIn {
            user: UserId,
            person: PersonId,
            /// `password`, `password+totp`, `password+passkey`, `oidc`, `oidc+mfa`, `oidc+totp`, `oidc+passkey`.
            method: String,
        }
        /// A session was ended by its owner or an administrator.
        SignedOut {
            user: UserId,
            person: PersonId,
            /// How many sessions ended.
            sessions: u32,
        }
    }
}

impl EventData for UserEvent {
    fn person(&self) -> Option<PersonId> {
        Some(match self {
            Self::UserCreated(e) => e.person,
            Self::UserChanged(e) => e.person,
            Self::UserDisabled(e) => e.person,
            Self::UserEnabled(e) => e.person,
            Self::UserProvisioned(e) => e.person,
            Self::UserDeprovisioned(e) => e.person,
            Self::PasswordChanged(e) => e.person,
            Self::UserInvited(e) => e.person,
            Self::MfaEnrolled(e) => e.person,
            Self::MfaRemoved(e) => e.person,
            Self::PasskeyRegistered(e) => e.person,
            Self::PasskeyRemoved(e) => e.person,
            Self::PasskeyFlagged(e) => e.person,
            Self::ChannelLocked(e) => e.person,
            Self::CodeVerified(e) => e.person,
            Self::IdentityLinked(e) => e.person,
            Self::IdentitiesUnlinked(e) => e.person,
            Self::SignedIn(e) => e.person,
            Self::SignedOut(e) => e.person,
        })
    }

    fn claims(&self) -> Vec<ClaimChange> {
        match self {
            Self::UserCreated(e) => take(&e.email),
            Self::UserChanged(e) => {
                let mut changes = vec![ClaimChange::ReleaseAll { space: EMAIL }];
                changes.extend(take(&e.email));
                changes
            }
            Self::UserProvisioned(e) => {
                let mut changes = vec![ClaimChange::ReleaseAll { space: USER_NAME }];
                changes.extend(e.profile.get().map(|profile| ClaimChange::Take {
                    space: USER_NAME,
                    value: profile.user_name.to_lowercase(),
                }));
                changes
            }
            Self::IdentityLinked(e) => e
                .subject
                .get()
                .map(|subject| ClaimChange::Take {
                    space: IDENTITY,
                    value: identity(&e.issuer, subject),
                })
                .into_iter()
                .collect(),
            Self::IdentitiesUnlinked(_) => vec![ClaimChange::ReleaseAll { space: IDENTITY }],
            Self::UserDisabled(_)
            | Self::UserEnabled(_)
            | Self::UserDeprovisioned(_)
            | Self::PasswordChanged(_)
            | Self::UserInvited(_)
            | Self::MfaEnrolled(_)
            | Self::MfaRemoved(_)
            | Self::PasskeyRegistered(_)
            | Self::PasskeyRemoved(_)
            | Self::PasskeyFlagged(_)
            | Self::ChannelLocked(_)
            | Self::CodeVerified(_)
            | Self::SignedIn(_)
            | Self::SignedOut(_) => Vec::new(),
        }
    }
}

fn take(email: &Personal<String>) -> Vec<ClaimChange> {
    email
        .get()
        .map(|email| ClaimChange::Take {
            space: EMAIL,
            value: email.to_lowercase(),
        })
        .into_iter()
        .collect()
}
