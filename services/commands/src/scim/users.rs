//! Users as an identity provider says them.

use formats::{PersonId, UserId};
use model::{
    Noun, Role,
    roles::{Roles, RolesCommand},
    user::{Profile, User, UserCommand},
};
use projections::scim::{self, UserView};
use serde_json::{Value, json};

use super::{ATTEMPTS, Expected, conflict, demand_token};
use crate::{App, Caller, Outcome, Refusal};

/// What an identity provider wants a user to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserWanted {
    /// What is kept of what it said.
    pub profile: Profile,
    /// The address they sign in with.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// Whether the account can be used.
    pub active: bool,
}

impl App {
    /// Makes a user, without a password and without roles. One whom the identity provider deleted before comes back.
    ///
    /// # Errors
    /// `NAME_TAKEN`, `BAD_INPUT`, `FORBIDDEN`.
    pub async fn scim_create_user(&self, caller: &Caller, wanted: UserWanted) -> Outcome<UserView> {
        demand_token(caller)?;
        self.caught_up(caller.tenant).await?;
        let mut tx = self.reading(caller.tenant).await?;
        let known = scim::returning_user(&mut tx, &wanted.profile.user_name, &wanted.email).await?;
        drop(tx);
        // The same for one who is made and one who comes back, so that a repeat is recognised as either.
        let content = json!({ "userName": wanted.profile.user_name, "email": wanted.email });
        match known {
            // Under a key it may be a repeat of the call that made them: the store knows, and refuses a taken name too.
            Some(row) if !row.gone && caller.origin.idempotency_key.is_none() => {
                let message = "another user has this userName or e-mail address";
                Err(Refusal::new("NAME_TAKEN", 409, message).on("userName"))
            }
            Some(row) if row.gone => {
                self.write(
                    caller,
                    row.id,
                    Some(row),
                    "createUser",
                    &content,
                    &Expected::Any,
                    |_| Ok(wanted.clone()),
                )
                .await
            }
            _ => {
                let user: UserId = self.ambient().id();
                self.write(caller, user, None, "createUser", &content, &Expected::Any, |_| {
                    Ok(wanted.clone())
                })
                .await
            }
        }
    }

    /// Changes a user: `make` says what they are to be, from what they are, and is asked again where somebody else was
    /// faster. Closing the account ends sessions at once; requests and grants follow by a reactor.
    ///
    /// # Errors
    /// `NOT_FOUND`, `PRECONDITION_FAILED`, `NAME_TAKEN`, `LAST_OWNER`, `ROLE_ABOVE_OWN`, `BAD_INPUT`, `FORBIDDEN`.
    pub async fn scim_change_user(
        &self,
        caller: &Caller,
        user: UserId,
        content: &Value,
        expected: &Expected,
        make: impl Fn(&UserView) -> Outcome<UserWanted> + Send + Sync,
    ) -> Outcome<UserView> {
        demand_token(caller)?;
        let row = self.scim_user(caller, user).await?;
        let content = json!({ "user": user, "said": content });
        self.write(caller, user, Some(row), "changeUser", &content, expected, |row| {
            make(row.ok_or_else(|| Refusal::not_found("user"))?)
        })
        .await
    }

    /// Deletes a user for the identity provider: the account is closed, leaves the provider's groups, and is there no
    /// more until it is made again.
    ///
    /// # Errors
    /// As [`App::scim_change_user`].
    pub async fn scim_delete_user(&self, caller: &Caller, user: UserId, expected: &Expected) -> Outcome<()> {
        demand_token(caller)?;
        let envelope = self.envelope(caller, "scim/deleteUser", &json!({ "user": user }))?;
        for _ in 0..ATTEMPTS {
            let row = self.scim_user(caller, user).await?;
            expected.check(row.version)?;
            let (state, version) = self.store.load::<User>(caller.tenant, user.uuid()).await?;
            if version != row.version {
                continue;
            }
            let is_owner = !state.is_disabled() && self.give_up_owner(caller, user).await?;
            let events = state
                .decide(UserCommand::DeprovisionUser { is_owner })
                .map_err(|error| Refusal::of(&error))?;
            let done = self
                .store
                .append::<User>(caller.tenant, user.uuid(), version, &envelope, events)
                .await;
            match done {
                Ok(done) => {
                    self.end_sessions(caller.tenant, user).await?;
                    self.end_links(caller.tenant, user).await?;
                    self.forget(caller, user, None).await?;
                    self.leave_groups(caller, user).await?;
                    self.settled(caller.tenant, done.last()).await;
                    return Ok(());
                }
                Err(eventstore::ExecuteError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(conflict())
    }

    /// One user who is there for identity providers, as the read models have them once they know everything.
    ///
    /// # Errors
    /// `NOT_FOUND`, `UNAVAILABLE`.
    pub async fn scim_user(&self, caller: &Caller, user: UserId) -> Outcome<UserView> {
        self.caught_up(caller.tenant).await?;
        let mut tx = self.reading(caller.tenant).await?;
        let row = scim::user(&mut tx, user).await?;
        row.filter(|row| !row.gone).ok_or_else(|| Refusal::not_found("user"))
    }

    #[expect(clippy::too_many_arguments, reason = "one write for making and changing alike")]
    async fn write(
        &self,
        caller: &Caller,
        user: UserId,
        mut row: Option<UserView>,
        operation: &str,
        content: &Value,
        expected: &Expected,
        make: impl Fn(Option<&UserView>) -> Outcome<UserWanted> + Send + Sync,
    ) -> Outcome<UserView> {
        let envelope = self.envelope(caller, &format!("scim/{operation}"), content)?;
        let new = row.is_none();
        let person: PersonId = row.as_ref().map_or_else(|| self.ambient().id(), |row| row.person);
        for attempt in 0..ATTEMPTS {
            if attempt > 0 && !new {
                self.caught_up(caller.tenant).await?;
                let mut tx = self.reading(caller.tenant).await?;
                row = scim::user(&mut tx, user).await?;
            }
            let at = row.as_ref().map_or(0, |row| row.version);
            expected.check(at)?;
            let (state, version) = self.store.load::<User>(caller.tenant, user.uuid()).await?;
            if version != at {
                continue;
            }
            let wanted = make(row.as_ref())?;
            let closes = !wanted.active && !state.is_disabled();
            let moves = row
                .as_ref()
                .is_some_and(|row| row.email.as_deref() != Some(wanted.email.trim()));
            let is_owner = if closes {
                self.give_up_owner(caller, user).await?
            } else {
                self.not_above(caller, user).await?;
                false
            };
            let events = state
                .decide(difference(user, person, row.as_ref(), wanted, is_owner))
                .map_err(|error| Refusal::of(&error))?;
            if let (Some(row), true) = (&row, events.is_empty()) {
                return Ok(row.clone());
            }
            let done = self
                .store
                .append::<User>(caller.tenant, user.uuid(), version, &envelope, events)
                .await;
            match done {
                Ok(done) => {
                    // A repeat of a command that made a user speaks of the user it made.
                    let user = UserId::from_uuid(done.stream_id);
                    if closes {
                        self.end_sessions(caller.tenant, user).await?;
                        self.forget(caller, user, None).await?;
                    }
                    if closes || moves {
                        self.end_links(caller.tenant, user).await?;
                    }
                    self.settled(caller.tenant, done.last()).await;
                    self.link_accounts_of(caller, user).await?;
                    return self.scim_user(caller, user).await;
                }
                Err(eventstore::ExecuteError::Conflict) if !new => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(conflict())
    }

    /// Takes the role owner from a user whose account is about to be closed, so that the last owner stays. Gives whether
    /// they still are one, which closing refuses.
    async fn give_up_owner(&self, caller: &Caller, user: UserId) -> Outcome<bool> {
        let roles = self.not_above(caller, user).await?;
        if !roles.contains(&Role::Owner) {
            return Ok(false);
        }
        let all: Roles = self.state(caller.tenant, caller.tenant.uuid()).await?;
        let rest = all
            .assigned(user)
            .into_iter()
            .filter(|role| *role != Role::Owner)
            .collect();
        let command = RolesCommand::AssignRoles {
            user,
            roles: rest,
            by: None,
        };
        let mut log = caller.clone();
        log.origin.idempotency_key = None;
        self.run::<Roles>(
            &log,
            "scim/giveUpOwner",
            caller.tenant.uuid(),
            &json!({ "user": user }),
            command,
        )
        .await
        .map_err(|refusal| match refusal.code {
            "LAST_OWNER" => {
                let message = "this is the last owner, who stays; make someone else an owner first";
                Refusal::new("LAST_OWNER", 409, message).on("active")
            }
            _ => refusal,
        })?;
        Ok(false)
    }
}

/// The command between what a user is and what they are to be.
fn difference(
    user: UserId,
    person: PersonId,
    row: Option<&UserView>,
    wanted: UserWanted,
    is_owner: bool,
) -> UserCommand {
    let is = |row: &UserView| {
        row.email.as_deref() == Some(wanted.email.trim()) && row.name.as_deref() == Some(wanted.name.trim())
    };
    let account = (!row.is_some_and(is)).then(|| (wanted.email.clone(), wanted.name.clone()));
    // One who was deleted is said anew, which brings them back.
    let known = row.filter(|row| !row.gone).and_then(|row| row.profile.as_ref());
    let profile = (known != Some(&wanted.profile)).then(|| Box::new(wanted.profile));
    UserCommand::ProvisionUser {
        user,
        person,
        account,
        profile,
        active: wanted.active,
        is_owner,
    }
}
