//! What an identity provider does to an account (RFC 7644).

use formats::{PersonId, UserId};

use super::{
    PROFILE_MAX, Profile, User, UserChanged, UserCreated, UserDeprovisioned, UserDisabled, UserEnabled, UserError,
    UserEvent, UserProvisioned, checked, foreign_key,
};
use crate::text;

/// What it says.
pub(super) struct Said {
    pub(super) account: Option<(String, String)>,
    pub(super) profile: Option<Box<Profile>>,
    pub(super) active: bool,
    pub(super) is_owner: bool,
}

impl User {
    /// The events between what the account is and what it is said to be: opened first, closed last.
    pub(super) fn provision(&self, new: (UserId, PersonId), said: Said) -> Result<Vec<UserEvent>, UserError> {
        let (user, person) = self.person.map_or(new, |person| (self.id, person));
        let mut events = Vec::new();
        if said.active && self.disabled {
            events.push(UserEnabled { user, person }.into());
        }
        if let Some((email, name)) = said.account {
            let email = checked("emails", text::email(&email))?.into();
            let name = checked("displayName", text::name(&name))?.into();
            events.push(match self.person {
                Some(_) => UserChanged {
                    user,
                    person,
                    email,
                    name,
                }
                .into(),
                None => UserCreated {
                    user,
                    person,
                    email,
                    name,
                    source: "scim".to_owned(),
                }
                .into(),
            });
        } else if self.person.is_none() {
            return Err(UserError::NotFound);
        }
        if let Some(profile) = said.profile {
            check(&profile)?;
            let profile = profile.into();
            events.push(UserProvisioned { user, person, profile }.into());
        }
        if !said.active && !self.disabled {
            events.extend(closed(user, person, said.is_owner)?);
        }
        Ok(events)
    }

    pub(super) fn deprovision(&self, is_owner: bool) -> Result<Vec<UserEvent>, UserError> {
        let person = self.person.ok_or(UserError::NotFound)?;
        let user = self.id;
        let mut events = Vec::new();
        if !self.disabled {
            events.extend(closed(user, person, is_owner)?);
        }
        events.push(UserDeprovisioned { user, person }.into());
        Ok(events)
    }
}

fn closed(user: UserId, person: PersonId, is_owner: bool) -> Result<Option<UserEvent>, UserError> {
    if is_owner {
        return Err(UserError::OwnerDisabled);
    }
    let reason = "deprovisioned by the identity provider".to_owned().into();
    Ok(Some(UserDisabled { user, person, reason }.into()))
}

fn check(profile: &Profile) -> Result<(), UserError> {
    checked("userName", foreign_key(&profile.user_name))?;
    if let Some(id) = &profile.external_id {
        checked("externalId", foreign_key(id))?;
    }
    // Its attributes have no form that fails to be written.
    let length = serde_json::to_vec(profile).map_or(usize::MAX, |bytes| bytes.len());
    if length > PROFILE_MAX {
        return Err(UserError::ProfileTooLong { limit: PROFILE_MAX });
    }
    Ok(())
}
