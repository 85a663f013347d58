//! A visit, and what is looked up for it.

use commands::{
    Origin, Outcome,
    auth::{LinkVisit, Session},
};
use formats::{hash::to_hex, mac::hmac_sha256};
use model::request::Status;
use projections::{
    directory, fleet, policies,
    request_queue::{self, QueuedRequest},
};

use crate::ApiState;

/// Somebody with a link.
pub(super) struct Visit {
    pub(super) token: String,
    pub(super) link: LinkVisit,
    pub(super) origin: Origin,
    /// Whoever is signed in with this browser, the link's approver or not.
    pub(super) session: Option<Session>,
}

impl Visit {
    /// The approver's own session.
    pub(super) fn own_session(&self) -> Option<&Session> {
        self.session.as_ref().filter(|session| {
            session.caller.tenant == self.link.tenant && session.caller.user() == Some(self.link.approver)
        })
    }

    /// The token of the page's forms: bound to the session and to the link.
    pub(super) fn csrf(&self, session: &Session) -> String {
        let key = *formats::BodyHash::of(session.csrf.as_bytes()).as_bytes();
        to_hex(&hmac_sha256(&key, &[b"portcullis/approve/1", self.token.as_bytes()]))
    }

    /// The page's own address.
    pub(super) fn address(&self) -> String {
        format!("/approve/{}", self.token)
    }

    pub(super) async fn denial_needs_comment(&self, state: &ApiState) -> Outcome<bool> {
        let mut tx = state.app.reading(self.link.tenant).await?;
        let tenant = directory::tenant(&mut tx).await?;
        Ok(tenant.is_some_and(|tenant| tenant.settings.denial_needs_comment))
    }
}

/// How the request stands for this visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// They may decide it.
    Open,
    /// They may deny it; approve it may others, since its one-time code was theirs.
    Deniable,
    /// Its time is over, or about to be judged by the scheduler.
    Late,
    /// Nobody decides it any more.
    Settled,
    /// Others may decide it, this approver may not (any more).
    NotYours,
    /// Something was decided just now that the read models don't show yet.
    Behind,
}

/// The request and the names of what it mentions.
pub(super) struct Found {
    pub(super) row: QueuedRequest,
    pub(super) standing: Standing,
    pub(super) tenant_name: String,
    pub(super) denial_needs_comment: bool,
    pub(super) machine: Option<String>,
    pub(super) requester: Option<String>,
    /// Name and revision.
    pub(super) policies: Vec<(String, u32)>,
    pub(super) deciders: Vec<directory::UserView>,
}

/// None where the request does not exist.
pub(super) async fn find(state: &ApiState, visit: &Visit) -> Outcome<Option<Found>> {
    let link = &visit.link;
    let mut tx = state.app.reading(link.tenant).await?;
    let Some(row) = request_queue::find(&mut tx, link.request).await? else {
        return Ok(None);
    };
    let tenant = directory::tenant(&mut tx).await?;
    let machine = fleet::endpoint(&mut tx, row.endpoint)
        .await?
        .map(|endpoint| endpoint.machine.name);
    let mut names = Vec::with_capacity(row.policies.len());
    for policy in &row.policies {
        let revision = policies::revision(&mut tx, policy.id, policy.revision).await?;
        let name = revision.map_or_else(|| policy.id.to_string(), |revision| revision.document.name);
        names.push((name, policy.revision));
    }
    let mut users: Vec<_> = row.decisions.iter().map(|decision| decision.approver).collect();
    users.extend(row.settled_by);
    users.extend(row.user);
    let deciders = directory::users_by_id(&mut tx, &users).await?;
    drop(tx);
    let requester = row.user.and_then(|user| name_of(&deciders, user));
    let open = matches!(row.status, Status::Pending | Status::Escalated);
    let standing = if !open {
        Standing::Settled
    } else if !state.app.is_up_to_date(link.tenant, &row, link.approver).await? {
        Standing::Behind
    } else {
        let mut eligible = state
            .app
            .eligible_approvers(link.tenant, std::slice::from_ref(&row))
            .await?;
        match eligible.remove(&row.id) {
            Some(now) if !now.status.is_open() => Standing::Late,
            Some(now) if now.approvers.iter().any(|(user, _)| user.id == link.approver) => Standing::Open,
            Some(now) if now.deniers.contains(&link.approver) => Standing::Deniable,
            _ => Standing::NotYours,
        }
    };
    Ok(Some(Found {
        row,
        standing,
        denial_needs_comment: tenant
            .as_ref()
            .is_some_and(|tenant| tenant.settings.denial_needs_comment),
        tenant_name: tenant.map(|tenant| tenant.name).unwrap_or_default(),
        machine,
        requester,
        policies: names,
        deciders,
    }))
}

/// A user as people know them.
pub(super) fn name_of(users: &[directory::UserView], user: formats::UserId) -> Option<String> {
    let user = users.iter().find(|known| known.id == user)?;
    match (&user.name, &user.email) {
        (Some(name), Some(email)) if !name.is_empty() => Some(format!("{name} ({email})")),
        (_, Some(email)) => Some(email.clone()),
        (Some(name), None) => Some(name.clone()),
        (None, None) => None,
    }
}
