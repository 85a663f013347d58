//! What can be asked of a person.

use formats::{EndpointId, PersonId, UserId};

/// The commands, by their names in the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonCommand {
    /// Note the first sight of an endpoint account. Refused by the store where another person holds the account.
    SeeEndpointAccount {
        person: PersonId,
        account: String,
        endpoint: EndpointId,
    },
    /// Say which user this is.
    LinkEndpointAccount {
        user: UserId,
        user_person: PersonId,
        by: String,
    },
    /// Take that back.
    UnlinkEndpointAccount,
    /// Note that the person's key was destroyed.
    ErasePerson,
}
