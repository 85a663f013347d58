//! Who may do what to a request, for showing: buttons, reasons, lists. What counts is judged once more, by the log,
//! when somebody does it (`commands`).
//!
//! Everything here asks the database a constant number of times, however many requests are shown.

use std::sync::Arc;

use async_graphql::SimpleObject;
use commands::{Act, Outcome};
use formats::{Timestamp, UserId};
use model::request::{Approver, Route, Status};
use projections::request_queue::{QueuedRequest, Routed, Seer};

use super::{
    context::{Frame, ViewerFacts},
    error::Answer,
    loaders::{EligibleFor, MembersOf},
    users::User,
    words::DecidedAs,
};

/// Somebody who may decide.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct EligibleApprover {
    user: User,
    #[graphql(name = "as")]
    side: DecidedAs,
}

/// Where a request stands by the clock, where the scheduler may still owe the step.
fn stands(request: &QueuedRequest, now: Timestamp) -> Status {
    let second = std::time::Duration::from_secs(u64::from(request.windows.escalated_minutes) * 60);
    match request.status {
        Status::Pending if now < request.deadline => Status::Pending,
        Status::Pending if !request.route.secondary.is_empty() && now < request.deadline + second => Status::Escalated,
        Status::Pending => Status::Expired,
        Status::Escalated if now >= request.deadline => Status::Expired,
        other => other,
    }
}

/// Why the viewer may not decide, as the command would refuse it; none where they may.
pub(crate) async fn refusal(frame: &Frame, request: &QueuedRequest) -> Answer<Option<&'static str>> {
    if !frame.decides() || frame.caller.user().is_none() {
        return Ok(Some("FORBIDDEN"));
    }
    let viewer = frame.viewer().await?;
    let self_approval = request.route.lets_own(&frame.tenant().await?.settings);
    Ok(judge(
        request,
        &viewer,
        frame.caller.is_admin(),
        self_approval,
        frame.now,
    ))
}

/// The rules of `docs/domain.md § 3`, in the order in which the aggregate asks them.
fn judge(
    request: &QueuedRequest,
    viewer: &ViewerFacts,
    is_admin: bool,
    self_approval: bool,
    now: Timestamp,
) -> Option<&'static str> {
    let status = stands(request, now);
    match status {
        Status::Pending | Status::Escalated => {}
        Status::Expired => return Some("EXPIRED"),
        Status::None | Status::Approved | Status::Denied | Status::Cancelled => return Some("ALREADY_DECIDED"),
    }
    let primary = is_admin || viewer.is_among(&request.route.primary);
    let secondary = viewer.is_among(&request.route.secondary);
    if !primary && !secondary {
        return Some("NOT_ELIGIBLE");
    }
    if !primary && status != Status::Escalated {
        return Some("NOT_ESCALATED");
    }
    if viewer.owns(request) && !self_approval {
        return Some("SELF_APPROVAL");
    }
    let decided = |user: UserId| request.decisions.iter().any(|decision| decision.approver == user);
    viewer.user.is_some_and(decided).then_some("DECIDED_TWICE")
}

pub(crate) async fn can_escalate(frame: &Frame, request: &QueuedRequest) -> Answer<bool> {
    let in_time = request.status == Status::Pending && frame.now < request.deadline;
    if !in_time || request.route.secondary.is_empty() || !frame.decides() {
        return Ok(false);
    }
    Ok(frame.caller.is_admin() || frame.viewer().await?.is_among(&request.route.primary))
}

pub(crate) fn can_expire(frame: &Frame, request: &QueuedRequest) -> bool {
    let over = request.status.is_open() && stands(request, frame.now) == Status::Expired;
    over && frame.caller.may(Act::AdministerRequests)
}

pub(crate) async fn can_cancel(frame: &Frame, request: &QueuedRequest) -> Answer<bool> {
    if !request.status.is_open() || stands(request, frame.now) == Status::Expired {
        return Ok(false);
    }
    Ok(frame.caller.may(Act::AdministerRequests) || frame.viewer().await?.owns(request))
}

/// What a list of what the viewer may decide asks for; none where they decide nothing.
pub(crate) async fn routed(frame: &Frame) -> Outcome<Option<Routed>> {
    let viewer = frame.viewer().await?;
    let Some(user) = viewer.user.filter(|_| frame.decides()) else {
        return Ok(None);
    };
    Ok(Some(Routed {
        ids: viewer
            .teams
            .iter()
            .map(|team| team.uuid())
            .chain([user.uuid()])
            .collect(),
        user: Some(user),
        people: viewer.people.iter().copied().collect(),
        any: frame.caller.is_admin(),
        own: frame.tenant().await?.settings.self_approval,
    }))
}

/// What a list asks for on behalf of somebody who may not read every request.
pub(crate) async fn seer(frame: &Frame) -> Outcome<Seer> {
    let viewer = frame.viewer().await?;
    let deciding = viewer.user.filter(|_| frame.decides());
    let teams = viewer.teams.iter().map(|team| team.uuid());
    Ok(Seer {
        user: viewer.user,
        people: viewer.people.iter().copied().collect(),
        approver: deciding
            .map(|user| teams.chain([user.uuid()]).collect())
            .unwrap_or_default(),
    })
}

/// Which side of a route a user is on, by the teams of this moment.
pub(crate) async fn side(frame: &Frame, route: &Route, user: UserId) -> Answer<DecidedAs> {
    if named(frame, &route.primary).await?.contains(&user) {
        return Ok(DecidedAs::Primary);
    }
    if named(frame, &route.secondary).await?.contains(&user) {
        return Ok(DecidedAs::Secondary);
    }
    Ok(DecidedAs::Administrator)
}

/// The users whom a list of approvers names, directly or by a team.
async fn named(frame: &Frame, approvers: &[Approver]) -> Answer<Vec<UserId>> {
    let teams = approvers.iter().filter_map(|approver| match approver {
        Approver::Team(team) => Some(MembersOf(*team)),
        Approver::User(_) => None,
    });
    let members = frame.load().load_many(teams).await?;
    let mut users = Vec::new();
    for approver in approvers {
        match approver {
            Approver::User(user) => users.push(*user),
            Approver::Team(team) => {
                users.extend(
                    members
                        .get(&MembersOf(*team))
                        .into_iter()
                        .flat_map(|members| members.iter().copied()),
                );
            }
        }
    }
    Ok(users)
}

/// Whom of these their accounts and roles let decide, whoever files.
pub(crate) async fn deciders(frame: &Frame, approvers: &[Approver]) -> Answer<usize> {
    let users = frame.load().load_many(named(frame, approvers).await?).await?;
    Ok(users.values().filter(|user| user.decides()).count())
}

/// Who may decide a request now.
pub(crate) async fn eligible_approvers(frame: &Frame, request: &QueuedRequest) -> Answer<Vec<EligibleApprover>> {
    let eligible = frame.load().load_one(EligibleFor(request.id)).await?;
    let approvers = eligible.map(|eligible| eligible.approvers.clone()).unwrap_or_default();
    let shown = approvers.into_iter().map(|(user, side)| EligibleApprover {
        user: User(Arc::new(user)),
        side: side.into(),
    });
    Ok(shown.collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use formats::{EndpointId, PersonId, RequestId, TeamId};
    use model::request::{SnapshotRef, Windows};
    use policy_engine::ActionType;
    use projections::request_queue::Decision;
    use uuid::Uuid;

    use super::*;

    fn user(n: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(n))
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    /// Asked of user 1 and team 5 first, of user 2 from minute 30 to 90; filed by user 9.
    fn request() -> QueuedRequest {
        QueuedRequest {
            id: RequestId::default(),
            status: Status::Pending,
            action_type: ActionType::CommandLine,
            endpoint: EndpointId::default(),
            person: PersonId::from_uuid(Uuid::from_u128(90)),
            user: Some(user(9)),
            digest_mac: String::new(),
            details: None,
            policies: Vec::new(),
            risk: 50,
            mfa: false,
            access_minutes: None,
            snapshot: SnapshotRef {
                epoch: 1,
                version: 1,
                sha256: None,
            },
            route: Route {
                rule: None,
                primary: vec![
                    Approver::User(user(1)),
                    Approver::Team(TeamId::from_uuid(Uuid::from_u128(5))),
                ],
                secondary: vec![Approver::User(user(2))],
                quorum: 1,
                self_approval: false,
            },
            windows: Windows {
                escalated_minutes: 60,
                ..Windows::default()
            },
            flags: Vec::new(),
            times: 1,
            previous: None,
            submitted_at: at(0),
            submitted_position: 1,
            pending_until: at(30),
            deadline: at(30),
            escalation: None,
            settled_at: None,
            settled_by: None,
            cancel_cause: None,
            cancel_reason: None,
            decisions: Vec::new(),
            grant: None,
            position: 1,
            changed_at: at(0),
        }
    }

    fn viewer(n: u128) -> ViewerFacts {
        ViewerFacts {
            user: Some(user(n)),
            ..ViewerFacts::default()
        }
    }

    #[test]
    fn those_who_are_asked_may_decide_until_the_clock_says_no() {
        let request = request();
        assert_eq!(judge(&request, &viewer(1), false, false, at(29)), None);
        let member = ViewerFacts {
            teams: HashSet::from([TeamId::from_uuid(Uuid::from_u128(5))]),
            ..viewer(7)
        };
        assert_eq!(judge(&request, &member, false, false, at(29)), None);
        assert_eq!(judge(&request, &viewer(3), false, false, at(29)), Some("NOT_ELIGIBLE"));
        assert_eq!(judge(&request, &viewer(3), true, false, at(29)), None);
        assert_eq!(judge(&request, &viewer(1), false, false, at(90)), Some("EXPIRED"));
    }

    #[test]
    fn secondary_approvers_may_decide_from_the_first_deadline_even_where_the_scheduler_is_late() {
        let request = request();
        assert_eq!(judge(&request, &viewer(2), false, false, at(29)), Some("NOT_ESCALATED"));
        assert_eq!(judge(&request, &viewer(2), false, false, at(30)), None);
        let alone = QueuedRequest {
            route: Route {
                secondary: Vec::new(),
                ..request.route.clone()
            },
            ..request
        };
        assert_eq!(judge(&alone, &viewer(1), false, false, at(30)), Some("EXPIRED"));
    }

    #[test]
    fn nobody_decides_their_own_request_unless_the_tenant_lets_them() {
        let request = request();
        assert_eq!(judge(&request, &viewer(9), true, false, at(1)), Some("SELF_APPROVAL"));
        assert_eq!(judge(&request, &viewer(9), true, true, at(1)), None);
        let linked = ViewerFacts {
            people: HashSet::from([request.person]),
            ..viewer(1)
        };
        assert_eq!(judge(&request, &linked, false, false, at(1)), Some("SELF_APPROVAL"));
    }

    #[test]
    fn nobody_decides_twice_and_nothing_that_is_settled() {
        let mut request = request();
        request.route.quorum = 2;
        request.decisions = vec![Decision {
            approver: user(1),
            approved: true,
            comment: None,
            uses: None,
            grant_minutes: None,
            self_approval: false,
            method: None,
            at: at(1),
            position: 2,
        }];
        assert_eq!(judge(&request, &viewer(1), false, false, at(2)), Some("DECIDED_TWICE"));
        for status in [Status::Approved, Status::Denied, Status::Cancelled] {
            let settled = QueuedRequest {
                status,
                ..request.clone()
            };
            assert_eq!(judge(&settled, &viewer(1), true, false, at(2)), Some("ALREADY_DECIDED"));
        }
    }
}
