//! An endpoint whose clock is wrong still gets in: what counts is the server's, and each of its answers tells it.

use std::{sync::Arc, time::Duration};

use formats::{Ambient, ManualClock, SystemEntropy};
use portcullis_agent::{Agent, AgentError, Surroundings};

use crate::fake::{Fake, start_time};

const HOUR: Duration = Duration::from_secs(3600);

/// Surroundings of an endpoint with a clock of its own.
fn endpoint_of(server: &Fake) -> (Arc<ManualClock>, Surroundings) {
    let clock = Arc::new(ManualClock::at(start_time()));
    let around = Surroundings {
        ambient: Ambient::new(clock.clone(), Arc::new(SystemEntropy)),
        ..server.around()
    };
    (clock, around)
}

fn hours(agent: &Agent) -> f64 {
    let skew = agent.status().skew_ms as f64 / 3_600_000.0;
    (skew * 100.0).round() / 100.0
}

#[tokio::test]
async fn a_clock_that_jumps_after_registration_costs_no_token() {
    let server = Fake::start().await;
    let (clock, around) = endpoint_of(&server);
    let with = server.registration(Some(server.root.public()));
    let agent = Agent::register_in_memory(with, around).await.unwrap();
    agent.sync_once().await.unwrap();
    let tokens = server.told().tokens;

    // Ahead: the token in hand seems to have ended, and the next assertion is of a moment that is not yet.
    clock.advance(HOUR);
    agent.sync_once().await.unwrap();
    assert_eq!((server.told().tokens, hours(&agent)), (tokens + 1, 1.0));

    // The server goes on and the endpoint's clock stands: it is behind by then.
    server.advance(HOUR * 12);
    agent.heartbeat().await.unwrap();
    agent.sync_once().await.unwrap();
    assert_eq!(hours(&agent), -11.0);
    assert!(server.told().tokens > tokens + 1);
}

#[tokio::test]
async fn any_answer_tells_that_the_clock_jumped_and_none_spoils_what_is_known_exactly() {
    let server = Fake::start().await;
    let (clock, around) = endpoint_of(&server);
    let with = server.registration(Some(server.root.public()));
    let agent = Agent::register_in_memory(with, around).await.unwrap();
    agent.sync_once().await.unwrap();
    let exact = agent.status().skew_ms;
    agent.heartbeat().await.unwrap();
    assert_eq!(agent.status().skew_ms, exact, "a date is of a second only");
    // Within the life of the token in hand, so that no new one is asked for.
    let tokens = server.told().tokens;
    clock.advance(Duration::from_secs(120));
    agent.heartbeat().await.unwrap();
    assert_eq!(server.told().tokens, tokens);
    assert!(
        (119_000..=121_000).contains(&agent.status().skew_ms),
        "{}",
        agent.status().skew_ms
    );
}

#[tokio::test]
async fn a_machine_whose_clock_is_wrong_registers_and_a_restarted_agent_gets_in() {
    let server = Fake::start().await;
    let (clock, around) = endpoint_of(&server);
    clock.advance(HOUR);
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let with = server.registration(Some(server.root.public()));
    let agent = Agent::register(&state, with, around.clone()).await.unwrap();
    assert_eq!(hours(&agent), 1.0);
    drop(agent);
    let agent = Agent::open(&state, around).unwrap();
    agent.sync_once().await.unwrap();
    assert_eq!(hours(&agent), 1.0);
}

#[tokio::test]
async fn answers_that_are_dated_back_keep_no_statement_fresh() {
    let server = Fake::start().await;
    let (clock, around) = endpoint_of(&server);
    let with = server.registration(Some(server.root.public()));
    let agent = Agent::register_in_memory(with, around).await.unwrap();
    agent.sync_once().await.unwrap();
    // To the agent, a server whose time stands still is one whose old answers are played again.
    clock.advance(HOUR * 48);
    agent.heartbeat().await.unwrap();
    assert_eq!(hours(&agent), 48.0);
    assert!(agent.status().outdated, "it says so of itself");
    agent.heartbeat().await.unwrap();
    assert!(
        server.told().heartbeats[1].outdated,
        "and to the server, once it hears it again"
    );
    let refused = agent.sync_once().await.unwrap_err();
    assert!(refused.to_string().contains("expired"), "{refused}");
}

#[tokio::test]
async fn a_refusal_for_another_reason_is_not_tried_again() {
    let server = Fake::start().await;
    let (clock, around) = endpoint_of(&server);
    clock.advance(HOUR);
    let mut with = server.registration(Some(server.root.public()));
    with.token = "pct_reg_wrong".into();
    let refused = Agent::register_in_memory(with, around).await.unwrap_err();
    assert!(matches!(refused, AgentError::Refused(problem) if problem.code == "BAD_TOKEN"));
}
