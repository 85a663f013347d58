//! A tenant's read models as the mails of one transaction need them: each row is read once, however many mails name it.

use std::collections::HashMap;

use commands::Outcome;
use eventstore::TenantTx;
use formats::{EndpointId, PersonId, PolicyId, RequestId, UserId};
use model::request::Approver;
use projections::{
    directory::{self, PersonView, TenantView, UserView},
    fleet,
    mail_outbox::Outgoing,
    policies,
    request_queue::{self, QueuedRequest},
};

/// What was read, inside the transaction it was read in.
pub(super) struct Desk<'tx> {
    pub(super) tx: &'tx mut TenantTx,
    tenant: Option<TenantView>,
    requests: HashMap<RequestId, QueuedRequest>,
    users: HashMap<UserId, Option<UserView>>,
    people: HashMap<PersonId, Option<PersonView>>,
    approvers: HashMap<Vec<Approver>, Vec<UserView>>,
    administrators: Option<Vec<UserView>>,
    policies: HashMap<PolicyId, Option<String>>,
    machines: HashMap<EndpointId, Option<String>>,
}

impl<'tx> Desk<'tx> {
    /// A desk for these mails, with the requests that they are about.
    pub(super) async fn open(tx: &'tx mut TenantTx, mails: impl Iterator<Item = &Outgoing>) -> Outcome<Desk<'tx>> {
        let mut ids: Vec<RequestId> = mails.filter_map(|mail| mail.request).collect();
        ids.sort_unstable();
        ids.dedup();
        let tenant = directory::tenant(tx).await?;
        let mut requests = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(200) {
            let found = request_queue::find_many(tx, ids).await?;
            requests.extend(found.into_iter().map(|request| (request.id, request)));
        }
        Ok(Desk {
            tx,
            tenant,
            requests,
            users: HashMap::new(),
            people: HashMap::new(),
            approvers: HashMap::new(),
            administrators: None,
            policies: HashMap::new(),
            machines: HashMap::new(),
        })
    }

    pub(super) fn tenant(&self) -> Option<&TenantView> {
        self.tenant.as_ref()
    }

    /// The request that a mail is about, of those the desk was opened for.
    pub(super) fn request(&self, mail: &Outgoing) -> Option<QueuedRequest> {
        self.requests.get(&mail.request?).cloned()
    }

    pub(super) async fn user(&mut self, id: UserId) -> Outcome<Option<UserView>> {
        if let Some(known) = self.users.get(&id) {
            return Ok(known.clone());
        }
        let found = directory::user(self.tx, id).await?;
        self.users.insert(id, found.clone());
        Ok(found)
    }

    pub(super) async fn person(&mut self, id: PersonId) -> Outcome<Option<PersonView>> {
        if let Some(known) = self.people.get(&id) {
            return Ok(known.clone());
        }
        let found = directory::person(self.tx, id).await?;
        self.people.insert(id, found.clone());
        Ok(found)
    }

    /// Whoever these approvers are now.
    pub(super) async fn resolve(&mut self, approvers: &[Approver]) -> Outcome<Vec<UserView>> {
        if let Some(known) = self.approvers.get(approvers) {
            return Ok(known.clone());
        }
        let found = directory::resolve(self.tx, approvers).await?;
        self.approvers.insert(approvers.to_vec(), found.clone());
        Ok(found)
    }

    pub(super) async fn administrators(&mut self) -> Outcome<Vec<UserView>> {
        if self.administrators.is_none() {
            self.administrators = Some(directory::administrators(self.tx).await?);
        }
        Ok(self.administrators.clone().unwrap_or_default())
    }

    /// A policy's name.
    pub(super) async fn policy(&mut self, id: PolicyId) -> Outcome<Option<String>> {
        if let Some(known) = self.policies.get(&id) {
            return Ok(known.clone());
        }
        let found = policies::find(self.tx, id).await?.map(|policy| policy.document.name);
        self.policies.insert(id, found.clone());
        Ok(found)
    }

    /// An endpoint's name.
    pub(super) async fn machine(&mut self, id: EndpointId) -> Outcome<Option<String>> {
        if let Some(known) = self.machines.get(&id) {
            return Ok(known.clone());
        }
        let found = fleet::endpoint(self.tx, id)
            .await?
            .map(|endpoint| endpoint.machine.name);
        self.machines.insert(id, found.clone());
        Ok(found)
    }
}
