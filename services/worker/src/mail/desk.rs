//! A tenant's read models as the mails of one transaction need them: each row is read once, however many mails name it.

use std::collections::{BTreeSet, HashMap};

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

/// Objects that are read in one question.
const AT_ONCE: usize = 200;

/// Without repetitions, in order.
fn each_once<T: Ord>(ids: impl Iterator<Item = T>) -> Vec<T> {
    ids.collect::<BTreeSet<T>>().into_iter().collect()
}

/// What was read, inside the transaction it was read in.
pub(super) struct Desk<'tx> {
    pub(super) tx: &'tx mut TenantTx,
    tenant: Option<TenantView>,
    requests: HashMap<RequestId, QueuedRequest>,
    users: HashMap<UserId, Option<UserView>>,
    people: HashMap<PersonId, PersonView>,
    approvers: HashMap<Vec<Approver>, Vec<UserView>>,
    administrators: Option<Vec<UserView>>,
    policies: HashMap<PolicyId, String>,
    machines: HashMap<EndpointId, String>,
}

impl<'tx> Desk<'tx> {
    /// A desk for these mails: with the requests that they are about and, in one question each, the people around them.
    pub(super) async fn open(
        tx: &'tx mut TenantTx,
        mails: impl Iterator<Item = &Outgoing> + Clone,
        recipients: impl Iterator<Item = UserId>,
    ) -> Outcome<Desk<'tx>> {
        let tenant = directory::tenant(tx).await?;
        let mut requests = HashMap::new();
        for ids in each_once(mails.clone().filter_map(|mail| mail.request)).chunks(AT_ONCE) {
            let found = request_queue::find_many(tx, ids).await?;
            requests.extend(found.into_iter().map(|request| (request.id, request)));
        }
        let mut people = HashMap::new();
        for ids in each_once(requests.values().map(|request| request.person)).chunks(AT_ONCE) {
            let found = directory::persons(tx, ids).await?;
            people.extend(found.into_iter().map(|person| (person.id, person)));
        }
        let linked = people
            .values()
            .filter_map(|person: &PersonView| Some(person.link.as_ref()?.user));
        let around = requests.values().flat_map(|request| {
            let approvers = request.decisions.iter().map(|decision| decision.approver);
            request.user.into_iter().chain(request.settled_by).chain(approvers)
        });
        let named = mails.flat_map(|mail| mail.user.into_iter().chain(mail.by));
        let mut users = HashMap::new();
        for ids in each_once(recipients.chain(linked).chain(around).chain(named)).chunks(AT_ONCE) {
            users.extend(ids.iter().map(|id| (*id, None)));
            let found = directory::users_by_id(tx, ids).await?;
            users.extend(found.into_iter().map(|user| (user.id, Some(user))));
        }
        Ok(Desk {
            tx,
            tenant,
            requests,
            users,
            people,
            approvers: HashMap::new(),
            administrators: None,
            policies: HashMap::new(),
            machines: HashMap::new(),
        })
    }

    /// Reads what else letters about these requests name, in one question each.
    pub(super) async fn read_for_letters(&mut self) -> Outcome<()> {
        let cited = self.requests.values().flat_map(|request| &request.policies);
        for ids in each_once(cited.map(|policy| policy.id)).chunks(AT_ONCE) {
            let found = policies::find_many(self.tx, ids).await?;
            let names = found.into_iter().map(|policy| (policy.id, policy.document.name));
            self.policies.extend(names);
        }
        for ids in each_once(self.requests.values().map(|request| request.endpoint)).chunks(AT_ONCE) {
            let found = fleet::endpoints_by_id(self.tx, ids).await?;
            let names = found.into_iter().map(|endpoint| (endpoint.id, endpoint.machine.name));
            self.machines.extend(names);
        }
        Ok(())
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

    /// A person who filed one of the requests.
    pub(super) fn person(&self, id: PersonId) -> Option<&PersonView> {
        self.people.get(&id)
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

    /// The name of a policy that one of the requests cites, once that was read for letters.
    pub(super) fn policy(&self, id: PolicyId) -> Option<&str> {
        self.policies.get(&id).map(String::as_str)
    }

    /// The name of an endpoint that one of the requests comes from, once that was read for letters.
    pub(super) fn machine(&self, id: EndpointId) -> Option<&str> {
        self.machines.get(&id).map(String::as_str)
    }
}
