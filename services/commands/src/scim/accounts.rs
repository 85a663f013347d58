//! Endpoint accounts that are linked because an attribute of a user names them (`docs/domain.md § 1`, person).

use formats::{PersonId, TenantId, UserId};
use model::{
    person::{Person, PersonCommand},
    scim::Scim,
};
use projections::{
    directory,
    scim::{self, UserView},
};
use serde_json::json;

use crate::{App, Caller, Outcome, Refusal};

/// Users that are looked at in one transaction.
const BATCH: u32 = 500;

impl App {
    /// Links the account that this user's attribute names, if it was seen on an endpoint and is linked to nobody.
    pub(super) async fn link_accounts_of(&self, caller: &Caller, user: UserId) -> Outcome<()> {
        let door: Scim = self.state(caller.tenant, caller.tenant.uuid()).await?;
        let Some(attribute) = door.account_attribute() else {
            return Ok(());
        };
        self.caught_up(caller.tenant).await?;
        let mut tx = self.reading(caller.tenant).await?;
        let row = scim::user(&mut tx, user).await?;
        let Some(account) = row.as_ref().and_then(|row| account_of(row, attribute)) else {
            return Ok(());
        };
        let seen = directory::person_by_account(&mut tx, &account).await?;
        drop(tx);
        match seen {
            Some(person) if person.link.is_none() && person.erased_at.is_none() => self
                .link_account(caller, attribute, &account, person.id)
                .await
                .map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Links an account that was just seen for the first time to the user whose attribute names it.
    pub(crate) async fn link_seen_account(&self, tenant: TenantId, account: &str, person: PersonId) -> Outcome<()> {
        let door: Scim = self.state(tenant, tenant.uuid()).await?;
        let Some(attribute) = door.account_attribute() else {
            return Ok(());
        };
        let system = Caller::system(tenant, self.ambient().uuid());
        if let Some(position) = self.link_account(&system, attribute, account, person).await? {
            self.settled(tenant, position).await;
        }
        Ok(())
    }

    /// Links whatever accounts are known, after the attribute became another one.
    ///
    /// # Errors
    /// `UNAVAILABLE`
    pub async fn link_known_accounts(&self, tenant: TenantId) -> Outcome<()> {
        let system = Caller::system(tenant, self.ambient().uuid());
        let mut after = None;
        loop {
            let mut tx = self.reading(tenant).await?;
            let rows = scim::users_after(&mut tx, after, BATCH).await?;
            drop(tx);
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.id);
            for row in rows.iter().filter(|row| row.profile.is_some()) {
                self.link_accounts_of(&system, row.id).await?;
            }
        }
    }

    /// Links, if exactly one user's attribute names the account. Gives the position to wait for.
    async fn link_account(
        &self,
        caller: &Caller,
        attribute: &str,
        account: &str,
        person: PersonId,
    ) -> Outcome<Option<u64>> {
        let mut tx = self.reading(caller.tenant).await?;
        let users = scim::users_with_account(&mut tx, attribute, account).await?;
        drop(tx);
        let [user] = users.as_slice() else { return Ok(None) };
        let mut log = caller.clone();
        log.origin.idempotency_key = None;
        let command = PersonCommand::LinkEndpointAccount {
            user: user.id,
            user_person: user.person,
            by: "scim".to_owned(),
        };
        let content = json!({ "person": person, "user": user.id });
        match self
            .run::<Person>(&log, "scim/linkEndpointAccount", person.uuid(), &content, command)
            .await
        {
            Ok(written) => Ok(Some(written.position)),
            // Somebody else was faster, or the person is erased: theirs stands.
            Err(Refusal {
                code: "ALREADY_LINKED" | "PERSON_ERASED",
                ..
            }) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }
}

/// The account that an attribute names.
fn account_of(row: &UserView, attribute: &str) -> Option<String> {
    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let profile = row.profile.as_ref()?;
    let text = |value: Option<&serde_json::Value>| value.and_then(|value| value.as_str()).map(str::to_owned);
    match attribute {
        "userName" => Some(profile.user_name.clone()),
        "externalId" => profile.external_id.clone(),
        "emails.value" => row.email.clone(),
        "employeeNumber" => text(
            profile
                .attributes
                .get(ENTERPRISE)
                .and_then(|more| more.get("employeeNumber")),
        ),
        other => text(profile.attributes.get(other)),
    }
}
