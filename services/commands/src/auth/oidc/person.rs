//! Whom a provider's word lets in, and as what.

use std::collections::BTreeSet;

use formats::{IdentityProviderId, PersonId, TenantId, UserId};
use model::{
    Role,
    identity_provider::Configured,
    person::{Person, PersonCommand},
    roles::{Roles, RolesCommand},
    user::{EMAIL, IDENTITY, User, UserCommand, identity},
};
use serde_json::{Value, json};

use super::protocol::Claims;
use crate::{App, Caller, Origin, Outcome, Principal, Refusal};

/// Whether a claim says yes. Some providers write it as a word.
fn yes(value: Option<&Value>) -> bool {
    matches!(value, Some(Value::Bool(true))) || value.and_then(Value::as_str) == Some("true")
}

/// A claim that is a text or a list of texts.
fn words(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(word)) => vec![word.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims
        .all
        .get(name)
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn closed() -> Refusal {
    Refusal::new("ACCOUNT_CLOSED", 403, "this account is closed")
}

/// Where claims come from, and into which tenant.
pub(super) struct Arrival<'a> {
    pub(super) origin: &'a Origin,
    pub(super) tenant: TenantId,
    pub(super) provider: IdentityProviderId,
    pub(super) configured: &'a Configured,
    pub(super) claims: &'a Claims,
}

impl Arrival<'_> {
    /// Whether the provider saw a second factor that the tenant trusts.
    pub(super) fn second_factor(&self) -> bool {
        let mut seen = words(self.claims.all.get("amr"));
        seen.extend(words(self.claims.all.get("acr")));
        let trusted = &self.configured.definition.trusted_factors;
        seen.iter().any(|factor| trusted.contains(factor))
    }

    fn groups(&self) -> Outcome<Vec<String>> {
        let name = &self.configured.definition.groups_claim;
        // A provider with too many groups for a token names a place where to ask for them; guessing would take roles away.
        let elsewhere = self
            .claims
            .all
            .get("_claim_names")
            .and_then(|names| names.get(name))
            .is_some();
        if elsewhere && !self.configured.definition.role_mapping.is_empty() {
            let message = "the identity provider leaves out groups; let it send only those of this application";
            return Err(Refusal::new("CLAIMS_INCOMPLETE", 403, message));
        }
        Ok(words(self.claims.all.get(name)))
    }
}

impl App {
    /// The user whom a provider's word is about; an account is linked or made where the tenant allows it. Brings roles
    /// and endpoint accounts to what the provider says.
    pub(super) async fn arrive(&self, arrival: &Arrival<'_>) -> Result<UserId, (Refusal, Option<UserId>)> {
        let claims = arrival.claims;
        let known = identity(&claims.issuer, &claims.subject);
        let holder = self.store.claim_holder(arrival.tenant, IDENTITY, &known).await;
        let user = match holder.map_err(|error| (error.into(), None))? {
            Some(id) => UserId::from_uuid(id),
            None => self.by_address(arrival).await?,
        };
        let (person, caller) = self
            .admitted(arrival, user)
            .await
            .map_err(|refusal| (refusal, Some(user)))?;
        let follow = async {
            self.follow_groups(arrival, &caller, user).await?;
            self.follow_account(arrival, &caller, user, person).await
        };
        follow.await.map_err(|refusal| (refusal, Some(user)))?;
        Ok(user)
    }

    /// Refuses a closed account, and one above whoever configured the provider: they could say that they are it.
    async fn admitted(&self, arrival: &Arrival<'_>, user: UserId) -> Outcome<(PersonId, Caller)> {
        let account: User = self.state(arrival.tenant, user.uuid()).await?;
        let person = account.person().filter(|_| !account.is_disabled()).ok_or_else(closed)?;
        let principal = self.user_principal(arrival.tenant, user, None, "oidc", None).await?;
        let mut origin = arrival.origin.clone();
        origin.idempotency_key = None;
        let caller = Caller {
            tenant: arrival.tenant,
            principal,
            origin,
        };
        let ceiling = arrival.configured.ceiling;
        if let Some(role) = caller.roles().iter().max().filter(|role| **role > ceiling) {
            let message = format!(
                "somebody who is {} can't sign in with a provider that {} configured",
                role.as_str(),
                ceiling.as_str()
            );
            return Err(Refusal::new("ROLE_ABOVE_PROVIDER", 403, message));
        }
        Ok((person, caller))
    }

    /// The user of a verified address who has no identity yet, or a new one.
    async fn by_address(&self, arrival: &Arrival<'_>) -> Result<UserId, (Refusal, Option<UserId>)> {
        let (claims, definition) = (arrival.claims, &arrival.configured.definition);
        let unverified = || {
            let message = "the identity provider does not vouch for an e-mail address of this organisation";
            (Refusal::new("EMAIL_UNVERIFIED", 403, message), None)
        };
        let email = text(claims, "email").ok_or_else(unverified)?;
        if !yes(claims.all.get("email_verified")) || !definition.believes(email) {
            return Err(unverified());
        }
        let holder = self
            .store
            .claim_holder(arrival.tenant, EMAIL, &email.to_lowercase())
            .await;
        let (user, how) = match holder.map_err(|error| (error.into(), None))? {
            Some(id) => {
                let user = UserId::from_uuid(id);
                // Judged before anything is remembered.
                self.admitted(arrival, user)
                    .await
                    .map_err(|refusal| (refusal, Some(user)))?;
                (user, "email")
            }
            None if definition.provision => (
                self.provision(arrival, email).await.map_err(|e| (e, None))?,
                "provisioned",
            ),
            None => {
                let message = "nobody here has this address; ask an administrator for an account";
                return Err((Refusal::new("NO_ACCOUNT", 403, message), None));
            }
        };
        let (_, caller) = self
            .admitted(arrival, user)
            .await
            .map_err(|refusal| (refusal, Some(user)))?;
        let command = UserCommand::LinkIdentity {
            provider: arrival.provider,
            issuer: claims.issuer.clone(),
            subject: claims.subject.clone(),
            how: how.to_owned(),
        };
        let content = json!({ "user": user, "n": self.ambient().uuid() });
        self.run::<User>(&caller, "linkIdentity", user.uuid(), &content, command)
            .await
            .map_err(|refusal| (refusal, Some(user)))?;
        Ok(user)
    }

    async fn provision(&self, arrival: &Arrival<'_>, email: &str) -> Outcome<UserId> {
        let (user, person): (UserId, PersonId) = (self.ambient().id(), self.ambient().id());
        let system = arrival.system();
        let command = UserCommand::CreateUser {
            user,
            person,
            email: email.to_owned(),
            name: text(arrival.claims, "name")
                .unwrap_or(email)
                .chars()
                .take(200)
                .collect(),
            source: "oidc".to_owned(),
        };
        self.run_as_provider::<User>(&system, "createUser", user.uuid(), command)
            .await?;
        Ok(user)
    }

    /// Gives and takes the roles that the mapping names; what was given by hand beyond them stays.
    async fn follow_groups(&self, arrival: &Arrival<'_>, caller: &Caller, user: UserId) -> Outcome<()> {
        let definition = &arrival.configured.definition;
        if definition.role_mapping.is_empty() {
            return Ok(());
        }
        let (governed, given) = (definition.governed(), definition.roles_of(&arrival.groups()?));
        let roles: Roles = self.state(arrival.tenant, arrival.tenant.uuid()).await?;
        let before: BTreeSet<Role> = roles.assigned(user).into_iter().collect();
        let mut after: BTreeSet<Role> = before.difference(&governed).copied().collect();
        after.extend(given);
        if after.len() > 1 {
            after.remove(&Role::Member);
        }
        let same = |roles: &BTreeSet<Role>| {
            roles
                .iter()
                .copied()
                .filter(|role| *role != Role::Member)
                .collect::<Vec<_>>()
        };
        if same(&before) == same(&after) {
            return Ok(());
        }
        let command = RolesCommand::AssignRoles {
            user,
            roles: after.into_iter().collect(),
            by: None,
        };
        let content = json!({ "user": user, "n": self.ambient().uuid() });
        self.run::<Roles>(caller, "followGroups", arrival.tenant.uuid(), &content, command)
            .await?;
        // As after any change of roles: what is open goes on with none of the old ones.
        self.end_sessions(arrival.tenant, user).await
    }

    /// Links the endpoint account that a claim names, where it was seen and nobody has it.
    async fn follow_account(
        &self,
        arrival: &Arrival<'_>,
        caller: &Caller,
        user: UserId,
        user_person: PersonId,
    ) -> Outcome<()> {
        let Some(claim) = &arrival.configured.definition.account_claim else {
            return Ok(());
        };
        let Some(account) = text(arrival.claims, claim) else {
            return Ok(());
        };
        let space = model::person::ENDPOINT_ACCOUNT;
        let Some(id) = self
            .store
            .claim_holder(arrival.tenant, space, &account.to_lowercase())
            .await?
        else {
            return Ok(());
        };
        let seen: Person = self.state(arrival.tenant, id).await?;
        if seen.user().is_some() {
            return Ok(());
        }
        let command = PersonCommand::LinkEndpointAccount {
            user,
            user_person,
            by: "oidc".to_owned(),
        };
        let content = json!({ "person": PersonId::from_uuid(id), "user": user });
        self.run::<Person>(caller, "linkEndpointAccount", id, &content, command)
            .await
            .map(drop)
    }
}

impl Arrival<'_> {
    /// The product itself, at the provider's word.
    pub(super) fn system(&self) -> Caller {
        let mut origin = self.origin.clone();
        origin.idempotency_key = None;
        Caller {
            tenant: self.tenant,
            principal: Principal::System,
            origin,
        }
    }
}
