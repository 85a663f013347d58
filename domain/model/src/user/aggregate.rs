//! The state of a user's account and its decisions.

use std::collections::{BTreeMap, BTreeSet};

use formats::{PasskeyId, PersonId, UserId};
use serde::{Deserialize, Serialize};

use super::{
    ChannelLocked, CodeVerified, IdentitiesUnlinked, IdentityLinked, MfaEnrolled, MfaRemoved, PasskeyFlagged,
    PasskeyRegistered, PasskeyRemoved, PasswordChanged, SignedIn, SignedOut, UserChanged, UserCommand, UserCreated,
    UserDisabled, UserEnabled, UserError, UserEvent, UserInvited, provision::Said,
};
use crate::{Noun, aggregate::aggregate, text};

/// The most passkeys of one user.
pub const PASSKEYS_MAX: usize = 10;

/// A user's account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub(super) id: UserId,
    pub(super) person: Option<PersonId>,
    pub(super) disabled: bool,
    factors: BTreeSet<String>,
    /// With whether each is flagged. Left out where there are none, as in snapshots from before there were any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    passkeys: BTreeMap<PasskeyId, bool>,
    /// Whether an identity at a provider is remembered.
    #[serde(default)]
    identified: bool,
}

aggregate!(User, "user", UserCommand, UserEvent, UserError);

impl User {
    /// Whom the account's personal data is about; none where there is no account.
    #[must_use]
    pub const fn person(&self) -> Option<PersonId> {
        self.person
    }

    /// Whether the account is closed.
    #[must_use]
    pub const fn is_disabled(&self) -> bool {
        self.disabled
    }

    /// Whether this second factor is enrolled.
    #[must_use]
    pub fn has_factor(&self, method: &str) -> bool {
        self.factors.contains(method)
    }

    /// Whether this is a passkey of the user, flagged or not.
    #[must_use]
    pub fn has_passkey(&self, passkey: PasskeyId) -> bool {
        self.passkeys.contains_key(&passkey)
    }

    /// Whether any passkey is registered, so that a second factor is demanded.
    #[must_use]
    pub fn has_passkeys(&self) -> bool {
        !self.passkeys.is_empty()
    }

    /// Whether an identity at a provider is remembered as this user's.
    #[must_use]
    pub const fn is_identified(&self) -> bool {
        self.identified
    }

    fn fold(&mut self, event: UserEvent) {
        match event {
            UserEvent::UserCreated(e) => {
                self.id = e.user;
                self.person = Some(e.person);
            }
            UserEvent::UserDisabled(_) => {
                self.disabled = true;
                self.passkeys.clear();
            }
            UserEvent::PasskeyRegistered(e) => {
                self.passkeys.insert(e.passkey, false);
            }
            UserEvent::PasskeyRemoved(e) => {
                self.passkeys.remove(&e.passkey);
            }
            UserEvent::PasskeyFlagged(e) => {
                self.passkeys.insert(e.passkey, true);
            }
            UserEvent::UserEnabled(_) => self.disabled = false,
            UserEvent::IdentityLinked(_) => self.identified = true,
            UserEvent::IdentitiesUnlinked(_) => self.identified = false,
            UserEvent::MfaEnrolled(e) => {
                self.factors.insert(e.method);
            }
            UserEvent::MfaRemoved(e) => {
                self.factors.remove(&e.method);
            }
            UserEvent::UserChanged(_)
            | UserEvent::UserProvisioned(_)
            | UserEvent::UserDeprovisioned(_)
            | UserEvent::PasswordChanged(_)
            | UserEvent::UserInvited(_)
            | UserEvent::ChannelLocked(_)
            | UserEvent::CodeVerified(_)
            | UserEvent::SignedIn(_)
            | UserEvent::SignedOut(_) => {}
        }
    }
}

pub(super) fn checked<T>(field: &'static str, result: Result<T, text::TextError>) -> Result<T, UserError> {
    result.map_err(|error| UserError::Text { field, error })
}

impl Noun for User {
    fn decide(&self, command: UserCommand) -> Result<Vec<UserEvent>, UserError> {
        use UserCommand as C;
        if let C::CreateUser {
            user,
            person,
            email,
            name,
            source,
        } = command
        {
            if self.person.is_some() {
                return Err(UserError::AlreadyExists);
            }
            let email = checked("email", text::email(&email))?.into();
            let name = checked("name", text::name(&name))?.into();
            return Ok(vec![
                UserCreated {
                    user,
                    person,
                    email,
                    name,
                    source,
                }
                .into(),
            ]);
        }
        if let C::ProvisionUser {
            user,
            person,
            account,
            profile,
            active,
            is_owner,
        } = command
        {
            return self.provision(
                (user, person),
                Said {
                    account,
                    profile,
                    active,
                    is_owner,
                },
            );
        }
        let person = self.person.ok_or(UserError::NotFound)?;
        let user = self.id;
        if let C::DeprovisionUser { is_owner } = command {
            return self.deprovision(is_owner);
        }
        if self.disabled && !matches!(command, C::EnableUser | C::DisableUser { .. } | C::SignOut { .. }) {
            return Err(UserError::Disabled);
        }
        let left = |gone: usize| u32::try_from(self.passkeys.len().saturating_sub(gone)).unwrap_or(u32::MAX);
        Ok(vec![match command {
            C::CreateUser { .. } | C::ProvisionUser { .. } | C::DeprovisionUser { .. } => {
                return Err(UserError::AlreadyExists);
            }
            C::ChangeUser { email, name } => {
                let email = checked("email", text::email(&email))?.into();
                let name = checked("name", text::name(&name))?.into();
                UserChanged {
                    user,
                    person,
                    email,
                    name,
                }
                .into()
            }
            C::DisableUser { .. } if self.disabled => return Err(UserError::Disabled),
            C::DisableUser { is_owner: true, .. } => return Err(UserError::OwnerDisabled),
            C::DisableUser { reason, .. } => UserDisabled {
                user,
                person,
                reason: checked("reason", text::free_text(&reason, 0))?.into(),
            }
            .into(),
            C::EnableUser if !self.disabled => return Err(UserError::NotDisabled),
            C::EnableUser => UserEnabled { user, person }.into(),
            C::ChangePassword { how } => PasswordChanged { user, person, how }.into(),
            C::InviteUser { invitation, reset } => UserInvited {
                user,
                person,
                invitation,
                reset,
            }
            .into(),
            C::EnrolMfa { method } => MfaEnrolled { user, person, method }.into(),
            C::RemoveMfa { method } if !self.factors.contains(&method) => {
                return Err(UserError::NotEnrolled { method });
            }
            C::RemoveMfa { method } => MfaRemoved { user, person, method }.into(),
            C::RegisterPasskey { .. } if self.passkeys.len() >= PASSKEYS_MAX => {
                return Err(UserError::TooManyPasskeys { limit: PASSKEYS_MAX });
            }
            C::RegisterPasskey { passkey, name } => PasskeyRegistered {
                user,
                person,
                passkey,
                name: checked("name", text::name(&name))?.into(),
            }
            .into(),
            C::RemovePasskey { passkey, .. } | C::FlagPasskey { passkey } if !self.has_passkey(passkey) => {
                return Err(UserError::NoSuchPasskey);
            }
            C::RemovePasskey { passkey, cause } => PasskeyRemoved {
                user,
                person,
                passkey,
                cause,
                left: left(1),
            }
            .into(),
            C::RemovePasskeys { cause } => {
                let all = self.passkeys.keys().enumerate().map(|(n, passkey)| {
                    PasskeyRemoved {
                        user,
                        person,
                        passkey: *passkey,
                        cause: cause.clone(),
                        left: left(n + 1),
                    }
                    .into()
                });
                return Ok(all.collect());
            }
            C::FlagPasskey { passkey } if self.passkeys.get(&passkey) == Some(&true) => return Ok(Vec::new()),
            C::FlagPasskey { passkey } => PasskeyFlagged { user, person, passkey }.into(),
            C::LockChannel { channel, until } => ChannelLocked {
                user,
                person,
                channel,
                until,
            }
            .into(),
            C::VerifyCode {
                endpoint,
                requester,
                request,
                other_user,
            } => CodeVerified {
                user,
                person,
                endpoint,
                requester,
                request,
                other_user,
            }
            .into(),
            C::LinkIdentity { .. } if self.identified => return Err(UserError::IdentityLinked),
            C::LinkIdentity {
                provider,
                issuer,
                subject,
                how,
            } => IdentityLinked {
                user,
                person,
                provider,
                issuer,
                subject: subject.into(),
                how,
            }
            .into(),
            C::UnlinkIdentities if !self.identified => return Err(UserError::NotLinked),
            C::UnlinkIdentities => IdentitiesUnlinked { user, person }.into(),
            C::SignIn { method } => SignedIn { user, person, method }.into(),
            C::SignOut { sessions: 0 } => return Ok(Vec::new()),
            C::SignOut { sessions } => SignedOut { user, person, sessions }.into(),
        }])
    }
}
