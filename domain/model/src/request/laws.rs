//! The aggregate against a model of it so simple that one can see it is right: random commands at random moments.

use std::time::Duration;

use formats::Timestamp;
use proptest::prelude::*;

use super::{tests::*, *};
use crate::Noun;

const MINUTE: i64 = 60_000;

/// What may be asked, after this many minutes have passed.
#[derive(Debug, Clone, Copy)]
enum Act {
    Approve(u128),
    Deny(u128),
    EscalateByClock,
    EscalateByHand,
    ExpireByClock,
    Cancel,
    Revoke,
    Use,
    ExpireGrant,
}

fn acts() -> impl Strategy<Value = Vec<(i64, Act)>> {
    let act = prop_oneof![
        3 => (10u128..13).prop_map(Act::Approve),
        1 => (10u128..13).prop_map(Act::Deny),
        2 => Just(Act::EscalateByClock),
        1 => Just(Act::EscalateByHand),
        2 => Just(Act::ExpireByClock),
        1 => Just(Act::Cancel),
        1 => Just(Act::Revoke),
        4 => Just(Act::Use),
        1 => Just(Act::ExpireGrant),
    ];
    // Minutes that often land on a deadline: 30, 270 and the grant's 60.
    let wait = prop_oneof![Just(0i64), Just(1), Just(29), Just(30), Just(60), Just(239), Just(240)];
    prop::collection::vec((wait, act), 1..25)
}

/// The model: the state by the clock, in minutes.
#[derive(Debug, Clone, PartialEq)]
enum Model {
    /// Open until; whether the secondary approvers are asked; who agreed.
    Open {
        until: i64,
        escalated: bool,
        agreed: Vec<u128>,
    },
    /// The grant's end, its uses left, whether it is dead.
    Approved {
        end: i64,
        left: u32,
        dead: bool,
    },
    Ended(Status),
}

#[derive(Debug, Clone, Copy)]
struct World {
    secondary: bool,
    quorum: u32,
    uses: u32,
}

impl World {
    /// What the clock alone makes of an open request.
    fn pass(self, model: Model, now: i64) -> Model {
        match model {
            Model::Open {
                until,
                escalated: false,
                agreed,
            } if now >= until && self.secondary => self.pass(
                Model::Open {
                    until: until + 240,
                    escalated: true,
                    agreed,
                },
                now,
            ),
            Model::Open { until, .. } if now >= until => Model::Ended(Status::Expired),
            other => other,
        }
    }

    /// The state after an act, or none where it is refused.
    fn act(self, model: &Model, act: Act, now: i64) -> Option<Model> {
        let by_clock = self.pass(model.clone(), now);
        match (act, by_clock) {
            (
                Act::Approve(who),
                Model::Open {
                    until,
                    escalated,
                    mut agreed,
                },
            ) if !agreed.contains(&who) => {
                agreed.push(who);
                Some(if agreed.len() as u32 >= self.quorum {
                    Model::Approved {
                        end: now + 60,
                        left: self.uses,
                        dead: false,
                    }
                } else {
                    Model::Open {
                        until,
                        escalated,
                        agreed,
                    }
                })
            }
            (Act::Deny(who), Model::Open { agreed, .. }) if !agreed.contains(&who) => {
                Some(Model::Ended(Status::Denied))
            }
            (
                Act::EscalateByHand,
                Model::Open {
                    escalated: false,
                    agreed,
                    ..
                },
            ) if self.secondary => Some(Model::Open {
                until: now + 240,
                escalated: true,
                agreed,
            }),
            (Act::Cancel, Model::Open { .. }) => Some(Model::Ended(Status::Cancelled)),
            (Act::Revoke, Model::Approved { end, left, dead: false }) if now < end => {
                Some(Model::Approved { end, left, dead: true })
            }
            (Act::Use, Model::Approved { end, left, dead: false }) if now < end => Some(Model::Approved {
                end,
                left: left - 1,
                dead: left == 1,
            }),
            // The clock's own acts never contradict the clock, and a use of a dead grant is recorded, not refused.
            (Act::EscalateByClock | Act::ExpireByClock | Act::ExpireGrant, state) => Some(state),
            (Act::Use, state @ Model::Approved { .. }) => Some(state),
            _ => None,
        }
    }
}

fn command(world: World, act: Act, at: Timestamp) -> RequestCommand {
    let facts = |who| DecisionFacts {
        secondary_can_decide: world.secondary,
        ..facts(who)
    };
    let secondary_can_decide = world.secondary;
    let by = By::User {
        user: user(1),
        permitted: true,
    };
    match act {
        Act::Approve(who) => RequestCommand::Approve {
            at,
            facts: facts(who),
            narrowing: Narrowing::default(),
        },
        Act::Deny(who) => RequestCommand::Deny { at, facts: facts(who) },
        Act::EscalateByClock => RequestCommand::Escalate {
            at,
            by: By::Clock,
            reason: None,
            secondary_can_decide,
        },
        Act::EscalateByHand => RequestCommand::Escalate {
            at,
            by,
            reason: Some("now".to_owned()),
            secondary_can_decide,
        },
        Act::ExpireByClock => RequestCommand::Expire {
            at,
            by: By::Clock,
            secondary_can_decide,
        },
        Act::Cancel => RequestCommand::CancelRequest {
            at,
            by,
            cause: CancelCause::Withdrawn,
            reason: None,
            secondary_can_decide,
        },
        Act::Revoke => RequestCommand::RevokeGrant {
            at,
            by,
            cause: CancelCause::Administrator,
            reason: None,
        },
        Act::Use => RequestCommand::UseGrant { used_at: at },
        Act::ExpireGrant => RequestCommand::ExpireGrant { at },
    }
}

/// The aggregate's state as the model sees it at a moment.
fn seen(world: World, request: &Request, agreed: &[u128], now: i64) -> Model {
    let minutes = |t: Timestamp| (t.millis() - at(0).millis()) / MINUTE;
    let raw = match request.status() {
        Status::Pending | Status::Escalated => Model::Open {
            until: minutes(request.deadline()),
            escalated: request.status() == Status::Escalated,
            agreed: agreed.to_vec(),
        },
        Status::Approved => {
            let grant = request.grant().unwrap();
            let left = world.uses - grant.used.min(world.uses);
            let dead = left == 0 || grant.status == GrantStatus::Revoked;
            Model::Approved {
                end: minutes(grant.terms.not_after),
                left,
                dead,
            }
        }
        other => Model::Ended(other),
    };
    world.pass(raw, now)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_aggregate_does_what_the_simple_model_does(
        acts in acts(), secondary: bool, quorum in 1u32..3, uses in 1u32..4,
    ) {
        let world = World { secondary, quorum, uses };
        let mut submission = submission();
        submission.route.quorum = quorum;
        submission.windows = Windows { grant_minutes: 60, uses: Some(uses), ..Windows::default() };
        let mut request = Request::default();
        let mut terminal = 0;
        let submit = RequestCommand::SubmitRequest { at: at(0), submission: Box::new(submission) };
        for event in request.decide(submit).unwrap() {
            cqrs_es::Aggregate::apply(&mut request, event);
        }
        let mut model = Model::Open { until: 30, escalated: false, agreed: vec![] };
        let mut agreed = Vec::new();
        let mut now = 0;
        for (wait, act) in acts {
            now += wait;
            let moment = at(0) + Duration::from_secs(u64::try_from(now).unwrap() * 60);
            let expected = world.act(&model, act, now);
            let decided = request.decide(command(world, act, moment));
            match (&expected, decided) {
                (Some(next), Ok(events)) => {
                    for event in events {
                        if let RequestEvent::ApprovalGiven(e) = &event {
                            agreed.push(e.approver.uuid().as_u128());
                        }
                        terminal += usize::from(matches!(
                            event,
                            RequestEvent::RequestApproved(_) | RequestEvent::RequestDenied(_)
                                | RequestEvent::RequestExpired(_) | RequestEvent::RequestCancelled(_)
                        ));
                        cqrs_es::Aggregate::apply(&mut request, event);
                    }
                    model = next.clone();
                }
                (None, Err(_)) => {}
                // The clock's command may come too early or find nobody to ask: that is its refusal.
                (Some(_), Err(RequestError::NotDue { .. } | RequestError::NobodyToEscalateTo)) => {}
                (expected, decided) => {
                    prop_assert!(false, "{act:?} at {now}: {expected:?} and {decided:?}");
                }
            }
            prop_assert_eq!(seen(world, &request, &agreed, now), world.pass(model.clone(), now));
        }
        prop_assert!(terminal <= 1, "{} terminal events", terminal);
    }
}
