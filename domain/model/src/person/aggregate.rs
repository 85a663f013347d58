//! The state of a person and its decisions.

use formats::{PersonId, UserId};
use serde::{Deserialize, Serialize};

use super::{
    EndpointAccountLinked, EndpointAccountSeen, EndpointAccountUnlinked, PersonCommand, PersonErased, PersonError,
    PersonEvent,
};
use crate::{Noun, aggregate::aggregate, text};

/// A person known from an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    id: Option<PersonId>,
    user: Option<UserId>,
    erased: bool,
}

aggregate!(Person, "person", PersonCommand, PersonEvent, PersonError);

impl Person {
    /// The user this is, once linked.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        self.user
    }

    fn fold(&mut self, event: PersonEvent) {
        match event {
            PersonEvent::EndpointAccountSeen(e) => self.id = Some(e.person),
            PersonEvent::EndpointAccountLinked(e) => self.user = Some(e.user),
            PersonEvent::EndpointAccountUnlinked(_) => self.user = None,
            PersonEvent::PersonErased(_) => self.erased = true,
        }
    }
}

impl Noun for Person {
    fn decide(&self, command: PersonCommand) -> Result<Vec<PersonEvent>, PersonError> {
        use PersonCommand as C;
        if let C::SeeEndpointAccount {
            person,
            account,
            endpoint,
        } = command
        {
            if self.id.is_some() {
                return Err(PersonError::AlreadySeen);
            }
            let account = text::name(&account).map_err(|error| PersonError::Account { error })?;
            return Ok(vec![
                EndpointAccountSeen {
                    person,
                    account: account.into(),
                    endpoint,
                }
                .into(),
            ]);
        }
        let person = self.id.ok_or(PersonError::NotFound)?;
        if self.erased {
            return Err(PersonError::Erased);
        }
        Ok(vec![match command {
            C::SeeEndpointAccount { .. } => return Err(PersonError::AlreadySeen),
            C::LinkEndpointAccount { user, user_person, by } => match self.user {
                Some(linked) if linked == user => return Ok(Vec::new()),
                Some(user) => return Err(PersonError::AlreadyLinked { user }),
                None => EndpointAccountLinked {
                    person,
                    user,
                    user_person,
                    by,
                }
                .into(),
            },
            C::UnlinkEndpointAccount => EndpointAccountUnlinked {
                person,
                user: self.user.ok_or(PersonError::NotLinked)?,
            }
            .into(),
            C::ErasePerson => PersonErased { person }.into(),
        }])
    }
}
