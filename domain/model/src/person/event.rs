//! What can happen to a person.

use formats::{EndpointId, PersonId, UserId};

use crate::{
    Personal,
    aggregate::{ClaimChange, EventData, events},
};

/// The space in which a person holds an endpoint account.
pub const ENDPOINT_ACCOUNT: &str = "endpoint.account";

events! {
    /// What can happen to a person.
    PersonEvent {
        /// An endpoint account acted for the first time.
        EndpointAccountSeen {
            person: PersonId,
            /// `CORP\alice`, a user name or a UPN, as the endpoint gave it.
            account: Personal<String>,
            endpoint: EndpointId,
        }
        /// The person is the one behind a user account.
        EndpointAccountLinked {
            person: PersonId,
            user: UserId,
            /// The person of that user.
            user_person: PersonId,
            /// `admin`, `scim` or `oidc`.
            by: String,
        }
        /// The link was a mistake.
        EndpointAccountUnlinked {
            person: PersonId,
            user: UserId,
        }
        /// The person's key was destroyed.
        PersonErased {
            person: PersonId,
        }
    }
}

impl EventData for PersonEvent {
    fn person(&self) -> Option<PersonId> {
        Some(match self {
            Self::EndpointAccountSeen(e) => e.person,
            Self::EndpointAccountLinked(e) => e.person,
            Self::EndpointAccountUnlinked(e) => e.person,
            Self::PersonErased(e) => e.person,
        })
    }

    fn claims(&self) -> Vec<ClaimChange> {
        match self {
            Self::EndpointAccountSeen(e) => e
                .account
                .get()
                .map(|account| ClaimChange::Take {
                    space: ENDPOINT_ACCOUNT,
                    value: account.to_lowercase(),
                })
                .into_iter()
                .collect(),
            Self::PersonErased(_) => vec![ClaimChange::ReleaseAll {
                space: ENDPOINT_ACCOUNT,
            }],
            Self::EndpointAccountLinked(_) | Self::EndpointAccountUnlinked(_) => Vec::new(),
        }
    }
}
