//! From the question to the use of a grant.

use std::{sync::Arc, time::Duration};

use formats::{
    Ambient, Clock, GrantClaims, ManualClock, Purpose, RequestId, SigningKey, SystemEntropy,
    agent_wire::{RecordResult, RequestStatus},
    grant::{GrantError, Step},
    mfa::MfaProofError,
};
use policy_engine::Outcome;
use portcullis_agent::{
    Agent, AgentError, Asked, AttemptStatus, Ran, Surroundings, Untrusted,
    plugin::{self, Client},
};
use tempfile::TempDir;

use crate::fake::{Fake, action, policy};

const REASON: &str = "Payroll update";
const NOW: Duration = Duration::ZERO;

pub struct World {
    pub fake: Arc<Fake>,
    pub agent: Agent,
    pub dir: TempDir,
}

impl World {
    /// An agent whose only policy demands these controls.
    pub async fn demanding(controls: &[&str]) -> Self {
        let fake = Fake::start().await;
        fake.publish(&[policy("p", controls)]);
        let dir = tempfile::tempdir().unwrap();
        let agent = fake.agent(&dir.path().join("state")).await;
        Self { fake, agent, dir }
    }

    pub fn ask(&self) -> Asked {
        self.agent.ask(action("tool"), None).unwrap()
    }

    /// Files a request and approves it with these terms.
    pub async fn granted(&self, change: impl FnOnce(&mut GrantClaims)) -> RequestId {
        let id = self.agent.submit(&self.ask(), REASON).await.unwrap().request_id;
        self.fake.approve(id, change);
        assert_eq!(
            self.agent.wait_decision(id, NOW).await.unwrap().status,
            RequestStatus::Approved
        );
        id
    }

    pub fn reopen(self) -> Self {
        let Self { fake, agent, dir } = self;
        drop(agent);
        let agent = Agent::open(&dir.path().join("state"), fake.around()).unwrap();
        Self { fake, agent, dir }
    }
}

#[track_caller]
pub fn assert_missing(ran: &Ran, steps: &[Step]) {
    match ran {
        Ran::Missing { missing, .. } => assert_eq!(missing, steps),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_approved_action_goes_on_once() {
    let w = World::demanding(&["approval"]).await;
    let asked = w.ask();
    assert_eq!(
        (asked.decision.outcome, &*asked.missing),
        (Outcome::Required, &[Step::Justification, Step::Approval][..])
    );
    let state = w.agent.submit(&asked, "  Payroll update ").await.unwrap();
    assert_eq!(state.status, RequestStatus::Pending);
    {
        let told = w.fake.told();
        let filed = &told.submitted[0];
        assert_eq!((filed.justification.as_str(), filed.digest), (REASON, asked.digest));
        assert_eq!(
            (filed.policies[0].id.as_str(), filed.snapshot_version.version),
            ("p", 11)
        );
    }
    assert_missing(&w.agent.run(&asked, Some(REASON)).unwrap(), &[Step::Approval]);
    assert_eq!(
        w.agent.wait_decision(state.request_id, NOW).await.unwrap().status,
        RequestStatus::Pending
    );
    w.fake.approve(state.request_id, |_| {});
    w.agent.wait_decision(state.request_id, NOW).await.unwrap();
    let Ran::Permitted {
        grant_use: Some(grant_use),
        ..
    } = w.agent.run(&asked, None).unwrap()
    else {
        panic!("the grant permits it");
    };
    assert_eq!((grant_use.request_id, grant_use.number), (state.request_id, 1));
    assert_missing(
        &w.agent.run(&asked, None).unwrap(),
        &[Step::Justification, Step::Approval],
    );
    w.agent.deliver().await.unwrap();
    let told = w.fake.told();
    assert_eq!(
        (told.stored.len(), told.stored[0].result),
        (1, Some(RecordResult::Permitted))
    );
    assert_eq!(told.stored[0].grant_use, Some(grant_use));
}

#[tokio::test]
async fn a_decision_is_waited_for() {
    let w = World::demanding(&["approval"]).await;
    let id = w.agent.submit(&w.ask(), REASON).await.unwrap().request_id;
    let (waited, ()) = tokio::join!(w.agent.wait_decision(id, Duration::from_secs(30)), async {
        tokio::task::yield_now().await;
        w.fake.settle(id, RequestStatus::Denied, None);
    });
    assert_eq!(waited.unwrap().status, RequestStatus::Denied);
    assert_missing(&w.agent.run(&w.ask(), Some(REASON)).unwrap(), &[Step::Approval]);
}

#[tokio::test]
async fn neither_a_restart_nor_fetching_it_again_gives_a_grant_new_uses() {
    let w = World::demanding(&["approval"]).await;
    let id = w.granted(|grant| grant.uses = Some(2)).await;
    assert!(w.agent.run(&w.ask(), None).unwrap().is_permitted());
    let w = w.reopen();
    w.agent.sync_once().await.unwrap();
    w.agent.wait_decision(id, NOW).await.unwrap();
    assert!(w.agent.run(&w.ask(), None).unwrap().is_permitted());
    w.agent.wait_decision(id, NOW).await.unwrap();
    assert_missing(
        &w.agent.run(&w.ask(), None).unwrap(),
        &[Step::Justification, Step::Approval],
    );
}

#[tokio::test]
async fn a_grant_covers_neither_another_action_nor_another_account_nor_another_directory() {
    let w = World::demanding(&["approval"]).await;
    w.granted(|_| {}).await;
    let mut other_user = action("tool");
    other_user.user.name = "bob".into();
    let mut other_arguments = action("tool");
    other_arguments.command_line = Some("tool --all".into());
    for asked in [
        w.agent.ask(action("other"), None),
        w.agent.ask(other_user, None),
        w.agent.ask(other_arguments, None),
        w.agent.ask(action("tool"), Some("/root".into())),
    ] {
        assert_missing(&w.agent.run(&asked.unwrap(), Some(REASON)).unwrap(), &[Step::Approval]);
    }
    assert!(w.agent.run(&w.ask(), None).unwrap().is_permitted());
}

#[tokio::test]
async fn a_grant_ends_at_its_time() {
    let w = World::demanding(&["approval"]).await;
    w.granted(|grant| grant.uses = None).await;
    let day = Duration::from_secs(24 * 3600);
    w.fake.advance(day - Duration::from_millis(1));
    let asked = w.ask();
    assert!(w.agent.run(&asked, None).unwrap().is_permitted());
    w.fake.advance(Duration::from_millis(1));
    assert_missing(&w.agent.run(&asked, Some(REASON)).unwrap(), &[Step::Approval]);
}

#[tokio::test]
async fn a_grant_ends_by_the_servers_clock_whatever_the_endpoints_shows() {
    // As far off as a registration lets it be.
    let off = Duration::from_secs(50);
    for ahead in [true, false] {
        let fake = Fake::start().await;
        fake.publish(&[policy("p", &["approval"])]);
        let now = Clock::now(&*fake.clock);
        let clock = Arc::new(ManualClock::at(if ahead { now + off } else { now - off }));
        let around = Surroundings {
            ambient: Ambient::new(clock.clone(), Arc::new(SystemEntropy)),
            ..fake.around()
        };
        let dir = tempfile::tempdir().unwrap();
        let registration = fake.registration(Some(fake.root.public()));
        let agent = Agent::register(&dir.path().join("state"), registration, around)
            .await
            .unwrap();
        agent.sync_once().await.unwrap();
        let w = World { fake, agent, dir };
        w.granted(|grant| grant.uses = None).await;
        let pass = |time| {
            w.fake.advance(time);
            clock.advance(time);
        };
        pass(Duration::from_secs(24 * 3_600) - Duration::from_millis(1));
        assert!(w.agent.run(&w.ask(), None).unwrap().is_permitted(), "ahead: {ahead}");
        pass(Duration::from_millis(1));
        assert_missing(&w.agent.run(&w.ask(), Some(REASON)).unwrap(), &[Step::Approval]);
    }
}

#[tokio::test]
async fn a_policy_that_denies_by_now_denies_in_spite_of_a_grant() {
    let w = World::demanding(&["approval"]).await;
    w.granted(|_| {}).await;
    let asked = w.ask();
    w.fake.publish(&[policy("p", &["approval"]), policy("no", &["deny"])]);
    w.agent.sync_once().await.unwrap();
    assert!(matches!(w.agent.run(&asked, None).unwrap(), Ran::Refused { .. }));
}

#[tokio::test]
async fn a_step_that_the_grant_does_not_cover_is_still_asked() {
    let w = World::demanding(&["approval"]).await;
    w.granted(|_| {}).await;
    w.fake.publish(&[policy("p", &["approval", "mfa"])]);
    w.agent.sync_once().await.unwrap();
    let asked = w.ask();
    assert_missing(&w.agent.run(&asked, None).unwrap(), &[Step::Mfa]);
    w.agent
        .verify_mfa(&asked, "alice@example.test", "123456")
        .await
        .unwrap();
    assert!(w.agent.run(&asked, None).unwrap().is_permitted());
}

#[tokio::test]
async fn a_grant_dies_with_its_key() {
    let w = World::demanding(&["approval"]).await;
    w.granted(|_| {}).await;
    w.fake.rotate(Purpose::Grant);
    w.agent.heartbeat().await.unwrap();
    assert_missing(&w.agent.run(&w.ask(), Some(REASON)).unwrap(), &[Step::Approval]);
}

#[tokio::test]
async fn a_revoked_grant_ends_with_the_next_heartbeat() {
    let w = World::demanding(&["approval"]).await;
    let id = w.granted(|_| {}).await;
    w.fake.told().ended_grants = vec![id];
    w.agent.heartbeat().await.unwrap();
    assert_eq!(w.fake.told().heartbeats[0].grants, [id]);
    assert_missing(&w.agent.run(&w.ask(), Some(REASON)).unwrap(), &[Step::Approval]);
    let w = w.reopen();
    w.agent.sync_once().await.unwrap();
    assert_missing(&w.agent.run(&w.ask(), Some(REASON)).unwrap(), &[Step::Approval]);
}

#[tokio::test]
async fn a_running_agent_ends_a_revoked_grant_as_soon_as_it_is_told_and_watches_the_ones_that_come_later() {
    let w = World::demanding(&["approval"]).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let runs = tokio::spawn(plugin::run(w.agent.clone(), vec![Box::new(Client)], stop.clone()));
    for _ in 0..2 {
        let id = w.granted(|_| {}).await;
        assert_eq!(w.agent.status().grants, 1);
        w.fake.told().ended_grants.push(id);
        w.fake.rang.notify_waiters();
        tokio::time::timeout(Duration::from_secs(10), async {
            while w.agent.status().grants > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        assert_missing(&w.agent.run(&w.ask(), Some(REASON)).unwrap(), &[Step::Approval]);
    }
    assert_eq!(w.fake.told().heartbeats.len(), 1, "no heartbeat told it");
    stop.cancel();
    runs.await.unwrap();
}

#[tokio::test]
async fn a_grant_for_something_else_is_not_taken() {
    type Change = fn(&mut GrantClaims);
    type Fits = fn(&GrantError) -> bool;
    let foreign: [(Change, Fits); 5] = [
        (
            |g| g.digest = formats::ActionDigest::from_bytes([0; 32]),
            |e| matches!(e, GrantError::Digest),
        ),
        (|g| g.user = "bob".into(), |e| matches!(e, GrantError::Foreign)),
        (
            |g| g.endpoint = formats::EndpointId::default(),
            |e| matches!(e, GrantError::Foreign),
        ),
        (
            |g| g.tenant = formats::TenantId::default(),
            |e| matches!(e, GrantError::Foreign),
        ),
        (
            |g| g.request = RequestId::default(),
            |e| matches!(e, GrantError::Foreign),
        ),
    ];
    for (change, fits) in foreign {
        let w = World::demanding(&["approval"]).await;
        let id = w.agent.submit(&w.ask(), REASON).await.unwrap().request_id;
        w.fake.approve(id, change);
        match w.agent.wait_decision(id, NOW).await {
            Err(AgentError::Untrusted(Untrusted::Grant(e))) if fits(&e) => {}
            other => panic!("{other:?}"),
        }
        assert_missing(&w.agent.run(&w.ask(), Some(REASON)).unwrap(), &[Step::Approval]);
    }
}

#[tokio::test]
async fn a_grant_of_a_strangers_key_is_not_taken() {
    let w = World::demanding(&["approval"]).await;
    let id = w.agent.submit(&w.ask(), REASON).await.unwrap().request_id;
    let claims = w.fake.approve(id, |_| {});
    let forged = claims.sign(&SigningKey::from_seed(&[5; 32])).unwrap();
    w.fake.settle(id, RequestStatus::Approved, Some(forged));
    assert!(matches!(
        w.agent.wait_decision(id, NOW).await,
        Err(AgentError::Untrusted(Untrusted::Grant(GrantError::Token(_))))
    ));
    assert_missing(&w.agent.run(&w.ask(), Some(REASON)).unwrap(), &[Step::Approval]);
}

#[tokio::test]
async fn a_chosen_grant_is_used_and_no_other() {
    let w = World::demanding(&["approval"]).await;
    let first = w.granted(|grant| grant.uses = Some(5)).await;
    let asked = w.ask();
    assert_missing(
        &w.agent
            .run_with_grant(&asked, RequestId::default(), Some(REASON))
            .unwrap(),
        &[Step::Approval],
    );
    assert!(w.agent.run_with_grant(&asked, first, None).unwrap().is_permitted());
}

#[tokio::test]
async fn a_request_needs_a_missing_approval_and_a_long_enough_reason() {
    let w = World::demanding(&["justification"]).await;
    assert!(matches!(
        w.agent.submit(&w.ask(), REASON).await,
        Err(AgentError::NotNow(_))
    ));
    let w = World::demanding(&["approval"]).await;
    for text in ["", "   ", "no", " no \n"] {
        let refused = w.agent.submit(&w.ask(), text).await;
        assert!(
            matches!(refused, Err(AgentError::Justification { least: 3 })),
            "{text:?}"
        );
    }
    assert!(w.fake.told().submitted.is_empty());
}

#[tokio::test]
async fn a_wrong_code_and_a_proof_for_something_else_do_not_count() {
    let w = World::demanding(&["mfa"]).await;
    let asked = w.ask();
    assert!(matches!(
        w.agent.verify_mfa(&asked, "a@example.test", "000000").await,
        Err(AgentError::Refused(_))
    ));
    let verify = formats::agent_wire::MfaVerify {
        email: "a@example.test".into(),
        code: "123456".into(),
        action_type: policy_engine::ActionType::PrivilegeElevation,
        endpoint_user: "alice".into(),
        digest: asked.digest,
        always: false,
    };
    type Change = fn(&mut formats::MfaProof);
    let changes: [Change; 4] = [
        |p| p.endpoint_user = "bob".into(),
        |p| p.endpoint = formats::EndpointId::default(),
        |p| p.action_type = policy_engine::ActionType::FileAccess,
        |p| p.expires_at = p.issued_at,
    ];
    for change in changes {
        let mut proof = w.fake.proof(&verify);
        change(&mut proof);
        w.fake.told().mfa = Some(proof);
        let refused = w.agent.verify_mfa(&asked, "a@example.test", "123456").await;
        assert!(matches!(
            refused,
            Err(AgentError::Untrusted(Untrusted::Mfa(
                MfaProofError::Foreign | MfaProofError::Expired(_)
            )))
        ));
        assert_missing(&w.agent.run(&asked, None).unwrap(), &[Step::Mfa]);
    }
}

#[tokio::test]
async fn a_session_lasts_five_minutes_and_a_single_action_where_a_policy_says_so() {
    let w = World::demanding(&["mfa"]).await;
    w.agent.verify_mfa(&w.ask(), "a@example.test", "123456").await.unwrap();
    assert!(
        w.agent
            .run(&w.agent.ask(action("other"), None).unwrap(), None)
            .unwrap()
            .is_permitted()
    );
    w.fake.advance(Duration::from_millis(299_999));
    assert!(w.agent.run(&w.ask(), None).unwrap().is_permitted());
    w.fake.advance(Duration::from_millis(1));
    assert_missing(&w.agent.run(&w.ask(), None).unwrap(), &[Step::Mfa]);

    let mut always = policy("p", &["mfa"]);
    always["mfaAlways"] = true.into();
    w.fake.publish(&[always]);
    w.agent.sync_once().await.unwrap();
    w.agent.verify_mfa(&w.ask(), "a@example.test", "123456").await.unwrap();
    assert!(w.agent.run(&w.ask(), None).unwrap().is_permitted());
    let other = w.agent.ask(action("other"), None).unwrap();
    assert_missing(&w.agent.run(&other, None).unwrap(), &[Step::Mfa]);
}

#[tokio::test]
async fn an_attempt_goes_step_by_step_and_belongs_to_its_account() {
    let w = World::demanding(&["approval", "mfa"]).await;
    let begun = w.agent.begin(1000, action("tool"), None).unwrap();
    assert_eq!(begun.missing, [Step::Justification, Step::Approval, Step::Mfa]);
    assert!(matches!(w.agent.look(1001, begun.id), Err(AgentError::UnknownAttempt)));
    assert!(matches!(
        w.agent.show_code(1000, begun.id, "a@example.test", "123456").await,
        Err(AgentError::NotNow(_))
    ));
    let asked = w.agent.justify(1000, begun.id, REASON).await.unwrap();
    assert_eq!(
        (asked.status, &*asked.missing),
        (AttemptStatus::Waiting, &[Step::Approval, Step::Mfa][..])
    );
    let request = asked.request.unwrap();
    w.fake.approve(request, |grant| grant.mfa_pending = true);
    w.agent.wait_decision(request, NOW).await.unwrap();
    assert_eq!(w.agent.look(1000, begun.id).unwrap().missing, [Step::Mfa]);
    let done = w
        .agent
        .show_code(1000, begun.id, "a@example.test", "123456")
        .await
        .unwrap();
    assert_eq!(done.status, AttemptStatus::Permitted);
    // Looking again settles nothing again.
    assert_eq!(w.agent.look(1000, begun.id).unwrap().status, AttemptStatus::Permitted);
    w.agent.deliver().await.unwrap();
    let told = w.fake.told();
    assert_eq!(told.stored.len(), 1);
    assert!(told.stored[0].mfa_proof.is_some() && told.stored[0].justification.as_deref() == Some(REASON));
}

#[tokio::test]
async fn a_denied_and_a_cancelled_attempt_end_and_are_recorded() {
    let w = World::demanding(&["approval"]).await;
    let denied = w.agent.begin(1000, action("tool"), None).unwrap();
    let request = w.agent.justify(1000, denied.id, REASON).await.unwrap().request.unwrap();
    w.fake.settle(request, RequestStatus::Denied, None);
    w.agent.wait_decision(request, NOW).await.unwrap();
    assert_eq!(w.agent.look(1000, denied.id).unwrap().status, AttemptStatus::Refused);

    let begun = w.agent.begin(1000, action("other"), None).unwrap();
    let request = w.agent.justify(1000, begun.id, REASON).await.unwrap().request.unwrap();
    assert_eq!(
        w.agent.cancel(1000, begun.id).await.unwrap().status,
        AttemptStatus::Cancelled
    );
    assert!(matches!(
        w.agent.cancel(1000, begun.id).await,
        Err(AgentError::NotNow(_))
    ));
    assert_eq!(w.fake.told().cancelled, [request]);
    w.agent.deliver().await.unwrap();
    let results: Vec<_> = w
        .fake
        .told()
        .stored
        .iter()
        .map(|record| record.result.unwrap())
        .collect();
    assert_eq!(results, [RecordResult::Refused, RecordResult::Cancelled]);
}
