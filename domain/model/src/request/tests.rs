//! given/when/then over `decide`; the windows' table to the millisecond.

use std::time::Duration;

use cqrs_es::test::TestFramework;
use formats::{EndpointId, PersonId, RequestId, Timestamp, UserId};
use policy_engine::{Action, ActionType};
use uuid::Uuid;

use super::*;
use crate::{Noun, Personal, text::TextError};

type Requests = TestFramework<Request>;

const MINUTE: i64 = 60_000;

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_772_000_000_000 + millis)
}

pub(super) fn user(n: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(n))
}

pub(super) fn action() -> Action {
    serde_json::from_value(serde_json::json!({
        "type": "privilege_elevation",
        "user": {"name": "CORP\\alice", "groups": ["Developers"]},
        "machine": {"name": "WS-001", "os": "windows"},
        "application": {"path": "C:\\Tools\\setup.exe"},
        "at": "2026-03-02T10:00:00+01:00",
        "variables": {},
        "online": true
    }))
    .unwrap()
}

pub(super) fn submission() -> Submission {
    Submission {
        request: RequestId::from_uuid(Uuid::from_u128(1)),
        person: PersonId::from_uuid(Uuid::from_u128(2)),
        user: Some(user(3)),
        endpoint: EndpointId::from_uuid(Uuid::from_u128(4)),
        action_type: ActionType::PrivilegeElevation,
        digest_mac: "d1".to_owned(),
        details: RequestDetails {
            action: action(),
            cwd: None,
            digest: "ab".repeat(32),
            justification: "  A new compiler is needed  ".to_owned(),
        },
        policies: Vec::new(),
        risk: 50,
        mfa: false,
        access_minutes: Some(240),
        snapshot: SnapshotRef {
            epoch: 1,
            version: 9,
            sha256: None,
        },
        route: Route {
            primary: vec![Approver::User(user(10))],
            quorum: 1,
            ..Route::default()
        },
        windows: Windows::default(),
        flags: Vec::new(),
        previous: None,
        justification_min: 1,
    }
}

pub(super) fn facts(approver: u128) -> DecisionFacts {
    DecisionFacts {
        approver: user(approver),
        eligible: true,
        secondary_only: false,
        own: false,
        self_approval: false,
        secondary_can_decide: false,
        digest_mac: "d1".to_owned(),
        denied_now: false,
        denial_needs_comment: false,
        comment: None,
    }
}

/// The events of a request that was filed at 0.
fn filed(change: impl FnOnce(&mut Submission)) -> Vec<RequestEvent> {
    let mut submission = submission();
    change(&mut submission);
    Request::default()
        .decide(RequestCommand::SubmitRequest {
            at: at(0),
            submission: Box::new(submission),
        })
        .expect("a good submission")
}

fn after(events: &[RequestEvent]) -> Request {
    let mut state = Request::default();
    for event in events {
        cqrs_es::Aggregate::apply(&mut state, event.clone());
    }
    state
}

fn approve(at: Timestamp, facts: DecisionFacts) -> RequestCommand {
    RequestCommand::Approve {
        at,
        facts,
        narrowing: Narrowing::default(),
    }
}

/// Events so far, followed by what the command adds.
fn then(mut events: Vec<RequestEvent>, command: RequestCommand) -> Vec<RequestEvent> {
    events.extend(after(&events).decide(command).expect("the command holds"));
    events
}

fn refused(events: &[RequestEvent], command: RequestCommand) -> RequestError {
    after(events).decide(command).expect_err("the command is refused")
}

#[test]
fn a_submission_copies_the_windows_and_trims_the_justification() {
    let events = filed(|s| s.windows.pending_minutes = 7);
    let [RequestEvent::RequestSubmitted(e)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(e.pending_until, at(7 * MINUTE));
    assert_eq!(e.details.get().unwrap().justification, "A new compiler is needed");
}

#[test]
fn a_justification_of_white_space_is_refused() {
    let mut blank = submission();
    blank.details.justification = " \t\n ".to_owned();
    Requests::with(())
        .given_no_previous_events()
        .when(RequestCommand::SubmitRequest {
            at: at(0),
            submission: Box::new(blank),
        })
        .then_expect_error_message("justification must not be empty");
}

#[test]
fn a_justification_has_1_to_4096_characters_and_the_tenants_least() {
    let decide = |text: String, least| {
        let mut s = submission();
        s.details.justification = text;
        s.justification_min = least;
        Request::default().decide(RequestCommand::SubmitRequest {
            at: at(0),
            submission: Box::new(s),
        })
    };
    assert!(decide("ü".repeat(4_096), 1).is_ok());
    let too_long = TextError::TooLong {
        limit: 4_096,
        found: 4_097,
    };
    assert_eq!(
        decide("ü".repeat(4_097), 1),
        Err(RequestError::Text {
            field: "justification",
            error: too_long
        })
    );
    let too_short = TextError::TooShort { limit: 20, found: 5 };
    assert_eq!(
        decide("short".to_owned(), 20),
        Err(RequestError::Text {
            field: "justification",
            error: too_short
        })
    );
}

#[test]
fn nothing_can_be_asked_of_a_request_that_was_not_filed() {
    Requests::with(())
        .given_no_previous_events()
        .when(approve(at(1), facts(10)))
        .then_expect_error(RequestError::NotFound);
}

#[test]
fn an_approval_yields_a_grant_for_24_hours_and_one_use() {
    let events = then(filed(|_| ()), approve(at(5), facts(10)));
    let RequestEvent::RequestApproved(e) = &events[2] else {
        panic!("{events:?}")
    };
    assert_eq!(
        e.grant,
        GrantTerms {
            not_after: at(5 + 24 * 60 * MINUTE),
            uses: Some(1),
            mfa_pending: false
        }
    );
    assert_eq!(after(&events).status(), Status::Approved);
}

#[test]
fn the_second_of_two_decisions_is_told_who_was_first_and_when() {
    let events = then(filed(|_| ()), approve(at(5), facts(10)));
    let first = RequestError::AlreadyDecided {
        status: "approved",
        by: Some(user(10)),
        at: at(5),
    };
    assert_eq!(
        refused(
            &events,
            RequestCommand::Deny {
                at: at(6),
                facts: facts(11)
            }
        ),
        first
    );
    assert_eq!(refused(&events, approve(at(6), facts(11))), first);
}

#[test]
fn nobody_decides_their_own_request_unless_the_tenant_opts_in_and_then_it_is_marked() {
    let own = DecisionFacts { own: true, ..facts(3) };
    assert_eq!(
        refused(&filed(|_| ()), approve(at(1), own.clone())),
        RequestError::SelfApproval
    );
    let opted_in = DecisionFacts {
        self_approval: true,
        ..own
    };
    let events = then(filed(|_| ()), approve(at(1), opted_in));
    assert!(matches!(&events[1], RequestEvent::ApprovalGiven(e) if e.self_approval));
}

#[test]
fn an_approval_of_another_digest_is_refused() {
    let other = DecisionFacts {
        digest_mac: "d2".to_owned(),
        ..facts(10)
    };
    assert_eq!(
        refused(&filed(|_| ()), approve(at(1), other.clone())),
        RequestError::DigestMismatch
    );
    assert_eq!(
        refused(
            &filed(|_| ()),
            RequestCommand::Deny {
                at: at(1),
                facts: other
            }
        ),
        RequestError::DigestMismatch
    );
}

#[test]
fn a_policy_that_denies_by_now_refuses_the_approval_but_not_the_denial() {
    let denied = DecisionFacts {
        denied_now: true,
        ..facts(10)
    };
    assert_eq!(
        refused(&filed(|_| ()), approve(at(1), denied.clone())),
        RequestError::NowDenied
    );
    then(
        filed(|_| ()),
        RequestCommand::Deny {
            at: at(1),
            facts: denied,
        },
    );
}

#[test]
fn who_is_not_eligible_decides_nothing() {
    let outsider = DecisionFacts {
        eligible: false,
        ..facts(99)
    };
    assert_eq!(
        refused(&filed(|_| ()), approve(at(1), outsider)),
        RequestError::NotEligible
    );
}

#[test]
fn a_secondary_approver_decides_only_from_escalation_on() {
    let secondary = DecisionFacts {
        secondary_only: true,
        secondary_can_decide: true,
        ..facts(20)
    };
    let events = filed(|_| ());
    assert_eq!(
        refused(&events, approve(at(30 * MINUTE - 1), secondary.clone())),
        RequestError::NotEscalated
    );
    // At the deadline the clock has escalated it, whether the scheduler was there or not.
    let events = then(events, approve(at(30 * MINUTE), secondary));
    assert!(matches!(&events[1], RequestEvent::RequestEscalated(e) if e.due == Some(at(30 * MINUTE))));
    assert!(matches!(&events[3], RequestEvent::RequestApproved(_)));
}

#[test]
fn a_quorum_of_two_needs_two_people_and_takes_the_narrowest() {
    let events = filed(|s| {
        s.route.quorum = 2;
        s.windows.uses = Some(10);
    });
    let narrowing = Narrowing {
        uses: Some(3),
        grant_minutes: None,
    };
    let events = then(
        events,
        RequestCommand::Approve {
            at: at(1),
            facts: facts(10),
            narrowing,
        },
    );
    assert_eq!(after(&events).status(), Status::Pending);
    assert_eq!(refused(&events, approve(at(2), facts(10))), RequestError::DecidedTwice);
    assert_eq!(
        refused(
            &events,
            RequestCommand::Deny {
                at: at(2),
                facts: facts(10)
            }
        ),
        RequestError::DecidedTwice
    );
    let narrowing = Narrowing {
        uses: Some(5),
        grant_minutes: Some(15),
    };
    let events = then(
        events,
        RequestCommand::Approve {
            at: at(2),
            facts: facts(11),
            narrowing,
        },
    );
    let Some(RequestEvent::RequestApproved(e)) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(e.grant.uses, Some(3));
    assert_eq!(e.grant.not_after, at(2 + 15 * MINUTE));
}

#[test]
fn one_denial_settles_a_request_whatever_the_quorum() {
    let events = then(filed(|s| s.route.quorum = 3), approve(at(1), facts(10)));
    let events = then(
        events,
        RequestCommand::Deny {
            at: at(2),
            facts: facts(11),
        },
    );
    assert_eq!(after(&events).status(), Status::Denied);
}

#[test]
fn a_grant_is_narrowed_and_never_widened() {
    let widened = |uses, grant_minutes| {
        refused(
            &filed(|_| ()),
            RequestCommand::Approve {
                at: at(1),
                facts: facts(10),
                narrowing: Narrowing { uses, grant_minutes },
            },
        )
    };
    assert_eq!(
        widened(Some(2), None),
        RequestError::Widened {
            field: "uses",
            limit: 1
        }
    );
    assert_eq!(
        widened(None, Some(1_441)),
        RequestError::Widened {
            field: "grantMinutes",
            limit: 1_440
        }
    );
    assert_eq!(widened(Some(0), None), RequestError::OutOfRange { field: "uses" });
}

#[test]
fn an_unlimited_grant_can_be_narrowed_to_a_number() {
    let narrowing = Narrowing {
        uses: Some(1_000),
        grant_minutes: None,
    };
    let events = then(
        filed(|s| s.windows.uses = None),
        RequestCommand::Approve {
            at: at(1),
            facts: facts(10),
            narrowing,
        },
    );
    assert_eq!(after(&events).grant().unwrap().terms.uses, Some(1_000));
}

#[test]
fn a_denial_needs_a_comment_where_the_tenant_says_so() {
    let silent = DecisionFacts {
        denial_needs_comment: true,
        ..facts(10)
    };
    let error = RequestError::Text {
        field: "comment",
        error: TextError::Empty,
    };
    assert_eq!(
        refused(
            &filed(|_| ()),
            RequestCommand::Deny {
                at: at(1),
                facts: silent.clone()
            }
        ),
        error
    );
    let comment = Some("Not on this machine".to_owned());
    let events = then(
        filed(|_| ()),
        RequestCommand::Deny {
            at: at(1),
            facts: DecisionFacts { comment, ..silent },
        },
    );
    let Some(RequestEvent::RequestDenied(e)) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(e.comment, Personal::new("Not on this machine".to_owned()));
}

/// The table of `docs/domain.md § 3`: one millisecond before, at and after each window's end.
#[test]
fn each_window_is_open_strictly_before_its_end() {
    let pending_end = 30 * MINUTE;
    let escalated_end = pending_end + 4 * 60 * MINUTE;
    let secondary = |yes| DecisionFacts {
        secondary_can_decide: yes,
        ..facts(10)
    };
    let expired = |millis| Err(RequestError::Expired { deadline: at(millis) });
    let decide = |events: &[RequestEvent], millis, yes| {
        after(events)
            .decide(approve(at(millis), secondary(yes)))
            .map(|events| events.len())
    };

    // Without secondary approvers the first window's end is the end.
    let pending = filed(|_| ());
    assert_eq!(decide(&pending, pending_end - 1, false), Ok(2));
    assert_eq!(decide(&pending, pending_end, false), expired(pending_end));
    assert_eq!(decide(&pending, pending_end + 1, false), expired(pending_end));

    // With them it goes on until the second end, whether or not the scheduler was there.
    for events in [
        pending.clone(),
        then(
            pending.clone(),
            RequestCommand::Escalate {
                at: at(pending_end),
                by: By::Clock,
                reason: None,
                secondary_can_decide: true,
            },
        ),
    ] {
        assert!(decide(&events, escalated_end - 1, true).is_ok());
        assert_eq!(decide(&events, escalated_end, true), expired(escalated_end));
        assert_eq!(decide(&events, escalated_end + 1, true), expired(escalated_end));
    }

    // The grant: usable strictly before its end.
    let approved = then(pending, approve(at(0), facts(10)));
    let grant_end = 24 * 60 * MINUTE;
    let uses = |millis| {
        after(&approved)
            .decide(RequestCommand::UseGrant { used_at: at(millis) })
            .unwrap()
    };
    assert!(matches!(uses(grant_end - 1)[0], RequestEvent::GrantUsed(_)));
    assert!(matches!(uses(grant_end)[0], RequestEvent::GrantOverused(_)));
    assert!(matches!(uses(grant_end + 1)[0], RequestEvent::GrantOverused(_)));
    let expire = |millis| after(&approved).decide(RequestCommand::ExpireGrant { at: at(millis) });
    assert_eq!(expire(grant_end - 1), Err(RequestError::NotDue { due: at(grant_end) }));
    assert!(matches!(expire(grant_end).unwrap()[0], RequestEvent::GrantExpired(_)));
}

#[test]
fn an_hour_of_silence_is_caught_up_with_each_event_once_at_its_due_time() {
    let expire = |millis| RequestCommand::Expire {
        at: at(millis),
        by: By::Clock,
        secondary_can_decide: true,
    };
    let late = 30 * MINUTE + 4 * 60 * MINUTE + 60 * MINUTE;
    let events = then(filed(|_| ()), expire(late));
    assert!(matches!(&events[1], RequestEvent::RequestEscalated(e) if e.due == Some(at(30 * MINUTE))));
    assert!(matches!(&events[2], RequestEvent::RequestExpired(e) if e.due == at(270 * MINUTE)));
    // Doubled runs change nothing.
    assert_eq!(after(&events).decide(expire(late + 1)), Ok(Vec::new()));
}

#[test]
fn a_doubled_escalation_by_the_clock_changes_nothing() {
    let escalate = RequestCommand::Escalate {
        at: at(31 * MINUTE),
        by: By::Clock,
        reason: None,
        secondary_can_decide: true,
    };
    let events = then(filed(|_| ()), escalate.clone());
    assert_eq!(after(&events).decide(escalate), Ok(Vec::new()));
    let RequestEvent::RequestEscalated(e) = &events[1] else {
        panic!("{events:?}")
    };
    assert_eq!(
        e.escalated_until,
        at(270 * MINUTE),
        "the window runs from the due time, not from the late run"
    );
}

#[test]
fn escalating_before_its_time_needs_permission_a_reason_and_someone_to_ask() {
    let escalate = |permitted, reason: Option<&str>, secondary_can_decide| RequestCommand::Escalate {
        at: at(1),
        by: By::User {
            user: user(10),
            permitted,
        },
        reason: reason.map(str::to_owned),
        secondary_can_decide,
    };
    let events = filed(|_| ());
    assert_eq!(
        refused(&events, escalate(false, Some("urgent"), true)),
        RequestError::NotPermitted
    );
    assert_eq!(
        refused(&events, escalate(true, Some("urgent"), false)),
        RequestError::NobodyToEscalateTo
    );
    let error = RequestError::Text {
        field: "reason",
        error: TextError::Empty,
    };
    assert_eq!(refused(&events, escalate(true, None, true)), error);
    let events = then(events, escalate(true, Some("urgent"), true));
    assert_eq!(
        refused(&events, escalate(true, Some("again"), true)),
        RequestError::AlreadyEscalated
    );
    assert_eq!(after(&events).deadline(), at(1 + 240 * MINUTE));
}

#[test]
fn expiring_by_hand_before_the_deadline_is_not_due() {
    let by = By::User {
        user: user(1),
        permitted: true,
    };
    let expire = |millis| RequestCommand::Expire {
        at: at(millis),
        by,
        secondary_can_decide: false,
    };
    let events = filed(|_| ());
    assert_eq!(
        refused(&events, expire(30 * MINUTE - 1)),
        RequestError::NotDue { due: at(30 * MINUTE) }
    );
    let events = then(events, expire(30 * MINUTE));
    assert!(matches!(&events[1], RequestEvent::RequestExpired(e) if e.by == Some(user(1))));
    assert_eq!(
        refused(&events, expire(31 * MINUTE)),
        RequestError::Expired {
            deadline: at(30 * MINUTE)
        }
    );
}

#[test]
fn uses_are_counted_and_one_too_many_is_recorded_as_an_alert() {
    let used = |millis| RequestCommand::UseGrant { used_at: at(millis) };
    let mut events = filed(|s| s.windows.uses = Some(2));
    events = then(events, approve(at(0), facts(10)));
    events = then(events, used(1));
    assert_eq!(after(&events).grant().unwrap().status, GrantStatus::Active);
    events = then(events, used(2));
    assert_eq!(after(&events).grant().unwrap().status, GrantStatus::Exhausted);
    events = then(events, used(3));
    assert!(matches!(events.last(), Some(RequestEvent::GrantOverused(e)) if e.status == "exhausted"));
}

#[test]
fn an_offline_use_from_before_the_end_counts_although_it_is_reported_after() {
    let end = 24 * 60 * MINUTE;
    let mut events = then(filed(|_| ()), approve(at(0), facts(10)));
    events = then(events, RequestCommand::ExpireGrant { at: at(end + 5) });
    events = then(events, RequestCommand::UseGrant { used_at: at(end - 1) });
    assert!(matches!(events.last(), Some(RequestEvent::GrantUsed(_))), "{events:?}");
    let second = after(&events)
        .decide(RequestCommand::UseGrant { used_at: at(end - 1) })
        .unwrap();
    assert!(matches!(second[0], RequestEvent::GrantOverused(_)), "{second:?}");
}

#[test]
fn a_revoked_grant_is_dead() {
    let revoke = |by| RequestCommand::RevokeGrant {
        at: at(2),
        by,
        cause: CancelCause::Administrator,
        reason: Some("lost laptop".to_owned()),
    };
    let admin = By::User {
        user: user(1),
        permitted: true,
    };
    let events = then(filed(|_| ()), approve(at(0), facts(10)));
    let events = then(events, revoke(admin));
    assert_eq!(
        refused(&events, revoke(admin)),
        RequestError::NoActiveGrant {
            status: Some("revoked")
        }
    );
    assert_eq!(
        after(&events).decide(revoke(By::System)),
        Ok(Vec::new()),
        "a doubled reactor changes nothing"
    );
    let used = after(&events)
        .decide(RequestCommand::UseGrant { used_at: at(3) })
        .unwrap();
    assert!(matches!(&used[0], RequestEvent::GrantOverused(e) if e.status == "revoked"));
}

#[test]
fn a_cancelled_request_stays_cancelled() {
    let cancel = |by| RequestCommand::CancelRequest {
        at: at(1),
        by,
        cause: CancelCause::UserDisabled,
        reason: None,
        secondary_can_decide: false,
    };
    let events = then(filed(|_| ()), cancel(By::System));
    assert_eq!(after(&events).status(), Status::Cancelled);
    assert_eq!(after(&events).decide(cancel(By::System)), Ok(Vec::new()));
    assert!(matches!(
        refused(&events, approve(at(2), facts(10))),
        RequestError::AlreadyDecided { .. }
    ));
}

#[test]
fn asking_again_while_it_is_open_counts() {
    let repeat = |millis| RequestCommand::RepeatRequest {
        at: at(millis),
        secondary_can_decide: false,
    };
    let events = then(then(filed(|_| ()), repeat(1)), repeat(2));
    assert!(matches!(events.last(), Some(RequestEvent::RequestRepeated(e)) if e.count == 3));
}

#[test]
fn a_window_of_a_leap_day_has_its_whole_length() {
    // 2028-02-28T23:59:00Z; the windows are durations, so a leap day or a change of the clocks moves nothing.
    let before: Timestamp = "2028-02-28T23:59:00.000Z".parse().unwrap();
    let events = Request::default()
        .decide(RequestCommand::SubmitRequest {
            at: before,
            submission: Box::new(submission()),
        })
        .unwrap();
    assert_eq!(after(&events).deadline(), before + Duration::from_secs(30 * 60));
    assert_eq!(after(&events).deadline().to_string(), "2028-02-29T00:29:00.000Z");
}
