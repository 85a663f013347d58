//! The table of `docs/domain.md § 5`, row by row.

use formats::{agent_wire::RecordResult, grant::Step};
use policy_engine::Outcome;
use portcullis_agent::{AgentError, AttemptStatus, Ran};

use crate::{
    approvals::{World, assert_missing},
    fake::{action, policy},
};

const REASON: &str = "Payroll update";

impl World {
    async fn goes_offline(&self) {
        self.fake.told().is_down = true;
        assert!(matches!(self.agent.sync_once().await, Err(AgentError::Offline(_))));
        assert!(!self.agent.is_online());
    }

    async fn comes_back(&self) {
        self.fake.told().is_down = false;
        self.agent.sync_once().await.unwrap();
        assert!(self.agent.is_online());
    }
}

#[tokio::test]
async fn an_approval_is_blocked_and_no_request_is_queued() {
    let w = World::demanding(&["approval"]).await;
    w.goes_offline().await;
    let asked = w.ask();
    assert_eq!(asked.decision.outcome, Outcome::BlockedOffline);
    assert!(matches!(
        w.agent.submit(&asked, REASON).await,
        Err(AgentError::Offline(_))
    ));
    assert!(matches!(
        w.agent.run(&asked, Some(REASON)).unwrap(),
        Ran::Refused { .. }
    ));
    assert_eq!(
        w.agent.begin(1000, action("tool"), None).unwrap().status,
        AttemptStatus::Refused
    );
    w.comes_back().await;
    assert!(w.fake.told().submitted.is_empty() && w.agent.open_requests().is_empty());
}

#[tokio::test]
async fn a_grant_obtained_before_works_unless_a_code_is_still_to_be_shown() {
    let w = World::demanding(&["approval"]).await;
    w.granted(|_| {}).await;
    w.goes_offline().await;
    assert!(w.agent.run(&w.ask(), None).unwrap().is_permitted());
    assert!(matches!(w.agent.run(&w.ask(), None).unwrap(), Ran::Refused { .. }));

    let w = World::demanding(&["approval", "mfa"]).await;
    w.granted(|grant| grant.mfa_pending = true).await;
    w.agent.verify_mfa(&w.ask(), "a@example.test", "123456").await.unwrap();
    w.goes_offline().await;
    assert!(matches!(
        w.agent.run(&w.ask(), Some(REASON)).unwrap(),
        Ran::Refused { .. }
    ));
    w.comes_back().await;
    assert!(w.agent.run(&w.ask(), None).unwrap().is_permitted());
}

#[tokio::test]
async fn a_grant_that_wants_a_code_does_not_hide_one_that_is_complete() {
    let w = World::demanding(&["approval"]).await;
    let asked = w.ask();
    let sooner = w.fake.ambient.now() + std::time::Duration::from_secs(3600);
    for mfa_pending in [true, false] {
        let id = w.agent.submit(&asked, REASON).await.unwrap().request_id;
        let not_after = if mfa_pending {
            sooner
        } else {
            sooner + std::time::Duration::from_secs(1)
        };
        w.fake.approve(id, |grant| {
            (grant.mfa_pending, grant.not_after) = (mfa_pending, not_after)
        });
        w.agent.wait_decision(id, std::time::Duration::ZERO).await.unwrap();
    }
    w.goes_offline().await;
    assert!(w.agent.run(&asked, None).unwrap().is_permitted());
}

#[tokio::test]
async fn a_code_is_blocked_also_inside_a_running_session() {
    let w = World::demanding(&["mfa"]).await;
    w.agent.verify_mfa(&w.ask(), "a@example.test", "123456").await.unwrap();
    assert!(w.agent.run(&w.ask(), None).unwrap().is_permitted());
    w.goes_offline().await;
    assert!(matches!(w.agent.run(&w.ask(), None).unwrap(), Ran::Refused { .. }));
}

#[tokio::test]
async fn a_justification_alone_is_enough_and_is_delivered_later() {
    let w = World::demanding(&["justification"]).await;
    w.goes_offline().await;
    let asked = w.ask();
    assert_eq!(asked.decision.outcome, Outcome::Required);
    assert_missing(&w.agent.run(&asked, None).unwrap(), &[Step::Justification]);
    assert!(matches!(
        w.agent.run(&asked, Some("no")),
        Err(AgentError::Justification { least: 3 })
    ));
    assert!(w.agent.run(&asked, Some(REASON)).unwrap().is_permitted());
    assert!(matches!(w.agent.deliver().await, Err(AgentError::Offline(_))));
    let w = w.reopen();
    assert!(!w.agent.is_online());
    w.fake.told().is_down = false;
    assert_eq!(w.agent.deliver().await.unwrap(), 1);
    let told = w.fake.told();
    assert_eq!(
        (told.stored[0].justification.as_deref(), told.stored[0].action.online),
        (Some(REASON), false)
    );
}

#[tokio::test]
async fn allowed_and_denied_actions_are_decided_alone() {
    let w = World::demanding(&["allow"]).await;
    w.goes_offline().await;
    assert!(w.agent.run(&w.ask(), None).unwrap().is_permitted());
    w.comes_back().await;
    w.fake.publish(&[policy("p", &["deny"])]);
    w.agent.sync_once().await.unwrap();
    w.goes_offline().await;
    assert!(matches!(w.agent.run(&w.ask(), None).unwrap(), Ran::Refused { .. }));
    w.comes_back().await;
    w.agent.deliver().await.unwrap();
    let results: Vec<_> = w
        .fake
        .told()
        .stored
        .iter()
        .map(|record| record.result.unwrap())
        .collect();
    assert_eq!(results, [RecordResult::Permitted, RecordResult::Refused]);
}

#[tokio::test]
async fn a_suspended_tenants_agents_act_as_offline() {
    use axum::{Json, http::StatusCode, response::IntoResponse};
    let w = World::demanding(&["justification"]).await;
    w.fake.told().snapshot = Some(Box::new(|_| {
        let problem = serde_json::json!({"title": "suspended", "status": 403, "code": "TENANT_SUSPENDED"});
        (StatusCode::FORBIDDEN, Json(problem)).into_response()
    }));
    assert!(matches!(w.agent.sync_once().await, Err(AgentError::Offline(_))));
    assert!(!w.agent.is_online());
    assert!(w.agent.run(&w.ask(), Some(REASON)).unwrap().is_permitted());
}
