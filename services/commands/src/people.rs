//! Users, their roles, and the endpoint accounts that are theirs.

use formats::{PersonId, UserId};
use model::{
    Role,
    person::{Person, PersonCommand},
    roles::{Roles, RolesCommand},
    user::{User, UserCommand},
};
use serde_json::json;

use crate::{Act, App, Caller, Outcome, Refusal, Written, auth::store};

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The address they sign in with.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// Their roles; `member` where empty.
    pub roles: Vec<Role>,
    /// A first password, where no invitation is sent.
    pub password: Option<String>,
    /// `operator`, `invitation`, `scim`, `oidc` or `demo`.
    pub source: &'static str,
}

impl App {
    /// Makes a user. Roles above the caller's own are refused before anything is written.
    ///
    /// # Errors
    /// `BAD_INPUT`, `NAME_TAKEN` (the address), `ROLE_ABOVE_OWN`, `WEAK_PASSWORD`, `FORBIDDEN`.
    pub async fn create_user(&self, caller: &Caller, new: NewUser) -> Outcome<Written> {
        caller.demand(Act::WritePeople)?;
        let (user, person): (UserId, PersonId) = (self.ambient().id(), self.ambient().id());
        let hash = match &new.password {
            Some(password) => Some(self.hash_password(password, &new.email).await?),
            None => None,
        };
        let roles = RolesCommand::AssignRoles {
            user,
            roles: new.roles.clone(),
            by: caller.user(),
        };
        let current: Roles = self.state(caller.tenant, caller.tenant.uuid()).await?;
        model::Noun::decide(&current, roles.clone()).map_err(|error| Refusal::of(&error))?;

        let content = json!({ "email": new.email, "name": new.name, "roles": new.roles });
        let command = UserCommand::CreateUser {
            user,
            person,
            email: new.email,
            name: new.name,
            source: new.source.to_owned(),
        };
        let written = self
            .run::<User>(caller, "createUser", user.uuid(), &content, command)
            .await?;
        let user = written.id::<UserId>();
        let mut position = written.position;
        if !new.roles.is_empty() {
            let roles = RolesCommand::AssignRoles {
                user,
                roles: new.roles,
                by: caller.user(),
            };
            position = self
                .run::<Roles>(
                    caller,
                    "createUser/roles",
                    caller.tenant.uuid(),
                    &json!({ "user": user }),
                    roles,
                )
                .await?
                .position
                .max(position);
        }
        if let (Some(hash), false) = (hash, written.duplicate) {
            let mut tx = self.writing(caller.tenant).await?;
            store::set_password(&mut tx, user, &hash, self.ambient().now()).await?;
            tx.commit().await?;
        }
        Ok(Written { position, ..written })
    }

    /// Changes a user's name and address.
    ///
    /// # Errors
    /// `BAD_INPUT`, `NAME_TAKEN`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn change_user(&self, caller: &Caller, user: UserId, email: String, name: String) -> Outcome<Written> {
        caller.demand(Act::WritePeople)?;
        self.not_above(caller, user).await?;
        let content = json!({ "user": user, "email": email, "name": name });
        let mut tx = self.reading(caller.tenant).await?;
        let known = projections::directory::user(&mut tx, user).await?;
        drop(tx);
        let moves = known.and_then(|known| known.email).as_deref() != Some(email.trim());
        let command = UserCommand::ChangeUser { email, name };
        let written = self
            .run::<User>(caller, "changeUser", user.uuid(), &content, command)
            .await?;
        if moves {
            // They went to the address before.
            self.end_links(caller.tenant, user).await?;
        }
        Ok(written)
    }

    /// Gives a user exactly these roles. Their sessions end, so that each begins with what the person may now do.
    ///
    /// # Errors
    /// `LAST_OWNER`, `ROLE_ABOVE_OWN`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn assign_roles(&self, caller: &Caller, user: UserId, roles: Vec<Role>) -> Outcome<Written> {
        caller.demand(Act::WritePeople)?;
        let account: User = self.state(caller.tenant, user.uuid()).await?;
        if account.person().is_none() {
            return Err(Refusal::not_found("user"));
        }
        let content = json!({ "user": user, "roles": roles });
        let command = RolesCommand::AssignRoles {
            user,
            roles,
            by: caller.user(),
        };
        let mut written = self
            .run::<Roles>(caller, "changeUserRoles", caller.tenant.uuid(), &content, command)
            .await?;
        written.id = user.uuid();
        if caller.user() != Some(user) {
            self.end_sessions(caller.tenant, user).await?;
        }
        Ok(written)
    }

    /// Closes an account: sessions end and passkeys are dropped at once, requests and grants follow by a reactor.
    ///
    /// # Errors
    /// `OWNER_NOT_DISABLED`, `USER_DISABLED`, `ROLE_ABOVE_OWN`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn disable_user(&self, caller: &Caller, user: UserId, reason: String) -> Outcome<Written> {
        caller.demand(Act::WritePeople)?;
        let roles = self.not_above(caller, user).await?;
        let content = json!({ "user": user, "reason": reason });
        let command = UserCommand::DisableUser {
            is_owner: roles.contains(&Role::Owner),
            reason,
        };
        let written = self
            .run::<User>(caller, "disableUser", user.uuid(), &content, command)
            .await?;
        if !written.duplicate {
            self.forget(caller, user, None).await?;
        }
        self.end_sessions(caller.tenant, user).await?;
        self.end_links(caller.tenant, user).await?;
        Ok(written)
    }

    /// Opens an account again.
    ///
    /// # Errors
    /// `USER_NOT_DISABLED`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn enable_user(&self, caller: &Caller, user: UserId) -> Outcome<Written> {
        caller.demand(Act::WritePeople)?;
        self.not_above(caller, user).await?;
        self.run::<User>(
            caller,
            "enableUser",
            user.uuid(),
            &json!({ "user": user }),
            UserCommand::EnableUser,
        )
        .await
    }

    /// Says which user an endpoint account belongs to. Nobody links an account to themselves while requests of it are
    /// open, so that nobody makes another's request their own, or their own another's, to decide it.
    ///
    /// # Errors
    /// `ALREADY_LINKED`, `NOT_FOUND`, `FORBIDDEN`. Open requests don't stand in the way: from then on they are their
    /// user's own.
    pub async fn link_endpoint_account(&self, caller: &Caller, person: PersonId, user: UserId) -> Outcome<Written> {
        caller.demand(Act::WritePeople)?;
        let account: User = self.state(caller.tenant, user.uuid()).await?;
        let user_person = account.person().ok_or_else(|| Refusal::not_found("user").on("user"))?;
        let content = json!({ "person": person, "user": user });
        let command = PersonCommand::LinkEndpointAccount {
            user,
            user_person,
            by: "admin".to_owned(),
        };
        self.run::<Person>(caller, "linkEndpointAccount", person.uuid(), &content, command)
            .await
    }

    /// Takes a link back.
    ///
    /// # Errors
    /// `NOT_LINKED`, `REQUESTS_OPEN`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn unlink_endpoint_account(&self, caller: &Caller, person: PersonId) -> Outcome<Written> {
        caller.demand(Act::WritePeople)?;
        self.caught_up(caller.tenant).await?;
        let mut tx = self.reading(caller.tenant).await?;
        if projections::request_queue::live_of_people(&mut tx, &[person])
            .await?
            .iter()
            .any(|live| live.open)
        {
            let message =
                "requests of this endpoint account are open; an unlinked account could be decided by its owner";
            return Err(Refusal::new("REQUESTS_OPEN", 409, message));
        }
        drop(tx);
        let content = json!({ "person": person });
        let command = PersonCommand::UnlinkEndpointAccount;
        self.run::<Person>(caller, "unlinkEndpointAccount", person.uuid(), &content, command)
            .await
    }

    /// Takes a user's one-time codes away, after they lost their device.
    ///
    /// # Errors
    /// `NOT_ENROLLED`, `ROLE_ABOVE_OWN`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn reset_totp(&self, caller: &Caller, user: UserId) -> Outcome<Written> {
        caller.demand(Act::ResetFactors)?;
        self.not_above(caller, user).await?;
        let command = UserCommand::RemoveMfa {
            method: "totp".to_owned(),
        };
        let written = self
            .run::<User>(caller, "resetTotp", user.uuid(), &json!({ "user": user }), command)
            .await?;
        let mut tx = self.writing(caller.tenant).await?;
        store::drop_totp(&mut tx, user).await?;
        tx.commit().await?;
        self.end_sessions(caller.tenant, user).await?;
        Ok(written)
    }

    /// Forgets who a user is at an identity provider, so that a verified address may link them anew. Their sessions end.
    ///
    /// # Errors
    /// `NOT_LINKED`, `ROLE_ABOVE_OWN`, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn unlink_identities(&self, caller: &Caller, user: UserId) -> Outcome<Written> {
        caller.demand(Act::WritePeople)?;
        self.not_above(caller, user).await?;
        let (content, command) = (json!({ "user": user }), UserCommand::UnlinkIdentities);
        let written = self
            .run::<User>(caller, "unlinkIdentities", user.uuid(), &content, command)
            .await?;
        self.end_sessions(caller.tenant, user).await?;
        Ok(written)
    }

    /// Nobody administers somebody of a higher role. Gives the user's roles.
    pub(crate) async fn not_above(&self, caller: &Caller, user: UserId) -> Outcome<Vec<Role>> {
        let roles: Roles = self.state(caller.tenant, caller.tenant.uuid()).await?;
        let theirs = roles.of(user);
        let own = caller.limit();
        if let (Some(own), Some(highest)) = (own, theirs.iter().max().copied())
            && highest > own
        {
            let message = format!("the user is {}, which is above your own role", highest.as_str());
            return Err(Refusal::new("ROLE_ABOVE_OWN", 403, message));
        }
        Ok(theirs)
    }
}
