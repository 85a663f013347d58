//! Who may decide requests: whom their routes name and who can, then owners and admins (`docs/domain.md § 3`).
//!
//! This is for showing, by the read models. What counts is judged once more, by the log, when somebody decides
//! (`facts.rs`).

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use formats::{PersonId, RequestId, TeamId, TenantId, Timestamp, UserId};
use model::request::{Approver, Status};
use projections::{
    directory::{PersonView, UserView},
    request_queue::QueuedRequest,
};

use crate::{App, Outcome};

/// Why somebody may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Asked first.
    Primary,
    /// Asked after the first deadline.
    Secondary,
    /// Owners and admins may always decide.
    Administrator,
}

/// Who may decide one request now.
#[derive(Debug, Clone)]
pub struct Eligible {
    /// Where it stands by the clock, where the scheduler may still owe the step.
    pub status: Status,
    /// Who may decide it, each once; nobody where it is closed.
    pub approvers: Vec<(UserView, Side)>,
    /// Who may deny it and not approve it, since its one-time code was theirs.
    pub deniers: Vec<UserId>,
}

/// What is known of the people around some requests.
struct People {
    now: Timestamp,
    members: Vec<(TeamId, UserId)>,
    users: BTreeMap<UserId, UserView>,
    administrators: Vec<UserView>,
    requesters: HashMap<PersonId, PersonView>,
    self_approval: bool,
    /// Who gave the one-time code of which request's action.
    code_givers: HashSet<(RequestId, UserId)>,
}

impl App {
    /// Who may decide each of these requests now. Asks the database a constant number of times.
    ///
    /// # Errors
    /// `UNAVAILABLE`
    pub async fn eligible_approvers(
        &self,
        tenant: TenantId,
        requests: &[QueuedRequest],
    ) -> Outcome<HashMap<RequestId, Eligible>> {
        let people = self.people_around(tenant, requests).await?;
        Ok(requests
            .iter()
            .map(|request| (request.id, people.eligible(request)))
            .collect())
    }

    async fn people_around(&self, tenant: TenantId, requests: &[QueuedRequest]) -> Outcome<People> {
        let (mut named, mut teams) = (Vec::new(), Vec::new());
        for route in requests.iter().map(|request| &request.route) {
            for approver in route.primary.iter().chain(&route.secondary) {
                match approver {
                    Approver::User(user) => named.push(*user),
                    Approver::Team(team) => teams.push(*team),
                }
            }
        }
        let code_givers = self.code_givers(tenant, requests).await?;
        let persons: Vec<_> = requests.iter().map(|request| request.person).collect();
        let mut tx = self.reading(tenant).await?;
        let members = projections::directory::members(&mut tx, &teams).await?;
        named.extend(members.iter().map(|(_, user)| *user));
        let users = projections::directory::users_by_id(&mut tx, &named).await?;
        let administrators = projections::directory::administrators(&mut tx).await?;
        let requesters = projections::directory::persons(&mut tx, &persons).await?;
        let settings = projections::directory::tenant(&mut tx).await?.map(|t| t.settings);
        Ok(People {
            now: self.now(),
            members,
            users: users.into_iter().map(|user| (user.id, user)).collect(),
            administrators,
            requesters: requesters.into_iter().map(|person| (person.id, person)).collect(),
            self_approval: settings.unwrap_or_default().self_approval,
            code_givers,
        })
    }
}

impl People {
    fn eligible(&self, request: &QueuedRequest) -> Eligible {
        let secondary = self.able(request, &request.route.secondary);
        let status = stands(request, !secondary.is_empty(), self.now);
        let mut approvers: Vec<(UserView, Side)> = Vec::new();
        let mut deniers = Vec::new();
        if status.is_open() {
            let primary = self.able(request, &request.route.primary);
            let administrators: Vec<_> = self.administrators.iter().filter(|u| self.may(request, u)).collect();
            let asked = if status == Status::Escalated {
                secondary
            } else {
                Vec::new()
            };
            for (side, users) in [
                (Side::Primary, primary),
                (Side::Secondary, asked),
                (Side::Administrator, administrators),
            ] {
                for user in users {
                    let gave_code = self.code_givers.contains(&(request.id, user.id));
                    let decided = request.decisions.iter().any(|decision| decision.approver == user.id);
                    if gave_code && !decided {
                        deniers.push(user.id);
                    } else if !decided && approvers.iter().all(|(known, _)| known.id != user.id) {
                        approvers.push((user.clone(), side));
                    }
                }
            }
        }
        Eligible {
            status,
            approvers,
            deniers,
        }
    }

    /// Whom of these the account and its roles let decide, their own request aside.
    fn able(&self, request: &QueuedRequest, approvers: &[Approver]) -> Vec<&UserView> {
        let named = approvers.iter().flat_map(|approver| match approver {
            Approver::User(user) => vec![*user],
            Approver::Team(team) => {
                let members = self.members.iter().filter(|(known, _)| known == team);
                members.map(|(_, user)| *user).collect()
            }
        });
        named
            .filter_map(|user| self.users.get(&user))
            .filter(|user| self.may(request, user))
            .collect()
    }

    fn may(&self, request: &QueuedRequest, user: &UserView) -> bool {
        let requester = self.requesters.get(&request.person).map(PersonView::canonical);
        let own = user.person == request.person || requester == Some(user.person) || request.user == Some(user.id);
        user.decides() && (!own || self.self_approval || request.route.self_approval)
    }
}

/// Where a request stands by the clock.
fn stands(request: &QueuedRequest, secondary_can_decide: bool, now: Timestamp) -> Status {
    let second = Duration::from_secs(u64::from(request.windows.escalated_minutes) * 60);
    match request.status {
        Status::Pending | Status::Escalated if now < request.deadline => request.status,
        Status::Pending if secondary_can_decide && now < request.deadline + second => Status::Escalated,
        Status::Pending | Status::Escalated => Status::Expired,
        settled => settled,
    }
}
