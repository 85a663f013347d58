//! Lies about snapshots and keys: the agent keeps the last good snapshot, says why, and keeps nothing unverified.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::IntoResponse,
};
use formats::{
    Purpose, SigningKey,
    agent_wire::{KEY_SET_HEADER, STATEMENT_HEADER},
    jws::JwsError,
    keyset::KeySetError,
    statement::StatementError,
};
use policy_engine::Outcome;
use portcullis_agent::{Agent, AgentError, Synced, Untrusted, link};
use tempfile::TempDir;

use crate::fake::{Fake, action, body, policy};

struct World {
    fake: Arc<Fake>,
    agent: Agent,
    dir: TempDir,
}

/// An agent that enforces version 10, which denies everything under /opt.
async fn world() -> World {
    let fake = Fake::start().await;
    fake.told().body = body(&[policy("deny", &["deny"])]);
    let dir = tempfile::tempdir().unwrap();
    let agent = fake.agent(&dir.path().join("state")).await;
    World { fake, agent, dir }
}

/// What an attacker would like to be enforced.
fn loose() -> Vec<u8> {
    body(&[policy("allow", &["allow"])])
}

impl World {
    /// The next poll is refused for a reason that fits; nothing changes, in memory or on disk, and the truth is taken
    /// afterwards.
    async fn refuses(self, fits: impl Fn(&Untrusted) -> bool) {
        let refused = self.agent.sync_once().await;
        match &refused {
            Err(AgentError::Untrusted(why)) if fits(why) => {}
            other => panic!("{other:?}"),
        }
        self.still_denies(&self.agent);
        assert!(self.agent.status().refusal.is_some());
        self.fake.advance(Duration::from_secs(1));
        self.fake.serve_truth();
        self.fake.told().key_set = None;
        let World { fake, agent, dir } = self;
        drop(agent);
        let agent = Agent::open(&dir.path().join("state"), fake.around()).unwrap();
        let world = World { fake, agent, dir };
        world.still_denies(&world.agent);
        world.fake.publish(&[policy("two", &["justification"])]);
        assert!(matches!(world.agent.sync_once().await.unwrap(), Synced::Applied(v) if v.version == 11));
        assert_eq!(world.agent.status().refusal, None);
        assert_eq!(
            world.agent.ask(action("tool"), None).unwrap().decision.outcome,
            Outcome::Required
        );
    }

    fn still_denies(&self, agent: &Agent) {
        assert_eq!(agent.status().snapshot.unwrap().version, 10);
        assert_eq!(
            agent.ask(action("tool"), None).unwrap().decision.outcome,
            Outcome::Denied
        );
    }

    /// Serves the loose body with a statement that is true but for this change.
    fn lie(&self, change: impl FnOnce(&mut formats::Statement), key: &SigningKey) {
        let mut statement = self.fake.statement();
        statement.version += 1;
        statement.sha256 = formats::BodyHash::of(&loose());
        change(&mut statement);
        self.fake.serve(&statement, key, &loose());
    }

    fn snapshot_key(&self) -> SigningKey {
        self.fake.key(Purpose::Snapshot)
    }
}

#[tokio::test]
async fn an_older_version_is_refused() {
    let w = world().await;
    w.lie(|s| s.version = 9, &w.snapshot_key());
    w.refuses(|why| {
        matches!(
            why,
            Untrusted::Statement(StatementError::Rollback {
                version: 9,
                known_version: 10,
                ..
            })
        )
    })
    .await;
}

#[tokio::test]
async fn an_older_epoch_is_refused_even_with_a_higher_version() {
    let w = world().await;
    w.lie(|s| (s.epoch, s.version) = (0, 1000), &w.snapshot_key());
    w.refuses(|why| matches!(why, Untrusted::Statement(StatementError::Rollback { epoch: 0, .. })))
        .await;
}

#[tokio::test]
async fn another_body_under_the_same_version_is_refused() {
    let w = world().await;
    w.lie(|s| s.version = 10, &w.snapshot_key());
    w.refuses(|why| matches!(why, Untrusted::Statement(StatementError::Fork { .. })))
        .await;
}

#[tokio::test]
async fn another_tenants_and_another_groups_snapshot_are_refused() {
    let w = world().await;
    w.lie(|s| s.tenant = w.fake.ambient.id(), &w.snapshot_key());
    w.refuses(|why| matches!(why, Untrusted::Statement(StatementError::Tenant)))
        .await;
    let w = world().await;
    w.lie(|s| s.group = w.fake.ambient.id(), &w.snapshot_key());
    w.refuses(|why| matches!(why, Untrusted::Statement(StatementError::Group)))
        .await;
}

#[tokio::test]
async fn a_strangers_key_and_a_key_of_another_purpose_are_refused() {
    let is_unknown_key =
        |why: &Untrusted| matches!(why, Untrusted::Statement(StatementError::Token(JwsError::UnknownKey)));
    let w = world().await;
    w.lie(|_| {}, &SigningKey::from_seed(&[7; 32]));
    w.refuses(is_unknown_key).await;
    for purpose in [
        Purpose::Grant,
        Purpose::Mfa,
        Purpose::Token,
        Purpose::Audit,
        Purpose::Webhook,
    ] {
        let w = world().await;
        w.lie(|_| {}, &w.fake.key(purpose));
        w.refuses(is_unknown_key).await;
    }
    let w = world().await;
    w.lie(|_| {}, &w.fake.root.clone());
    w.refuses(is_unknown_key).await;
}

#[tokio::test]
async fn a_grant_is_no_statement() {
    let w = world().await;
    let grant = formats::jws::sign(
        formats::Typ::Grant,
        &w.snapshot_key().public().kid(),
        &w.snapshot_key(),
        &w.fake.statement(),
    )
    .unwrap();
    w.fake.told().snapshot = Some(Box::new(move |_| {
        ([(STATEMENT_HEADER, grant.clone())], loose()).into_response()
    }));
    w.refuses(|why| matches!(why, Untrusted::Statement(StatementError::Token(JwsError::Type(_)))))
        .await;
}

#[tokio::test]
async fn a_new_statement_with_an_old_or_altered_body_is_refused() {
    let w = world().await;
    let statement = {
        let mut statement = w.fake.statement();
        statement.version += 1;
        statement.sha256 = formats::BodyHash::of(b"another body");
        statement
    };
    w.fake.serve(&statement, &w.snapshot_key(), &loose());
    w.refuses(|why| matches!(why, Untrusted::Body)).await;
}

#[tokio::test]
async fn a_signed_body_that_is_no_snapshot_is_refused() {
    for bytes in [
        &b"{}x"[..],
        b"[]",
        b"{}",
        br#"{"policies":[],"collections":[],"baseline":{}}"#,
        br#"{"policies":[],"collections":[],"baseline":{},"settings":{},"more":1}"#,
        b"",
    ] {
        let w = world().await;
        let mut statement = w.fake.statement();
        statement.version += 1;
        statement.sha256 = formats::BodyHash::of(bytes);
        w.fake.serve(&statement, &w.snapshot_key(), bytes);
        w.refuses(|why| matches!(why, Untrusted::Shape(_))).await;
    }
}

#[tokio::test]
async fn a_snapshot_without_a_statement_is_refused() {
    let w = world().await;
    w.fake.told().snapshot = Some(Box::new(|_| loose().into_response()));
    w.refuses(|why| matches!(why, Untrusted::NoStatement)).await;
}

#[tokio::test]
async fn not_modified_about_another_body_is_refused() {
    let w = world().await;
    let mut statement = w.fake.statement();
    statement.version += 1;
    statement.sha256 = formats::BodyHash::of(&loose());
    let token = statement.sign(&w.snapshot_key()).unwrap();
    w.fake.told().snapshot = Some(Box::new(move |_| {
        (StatusCode::NOT_MODIFIED, [(STATEMENT_HEADER, token.clone())]).into_response()
    }));
    w.refuses(|why| matches!(why, Untrusted::NotModified)).await;
}

#[tokio::test]
async fn an_expired_statement_is_refused_when_it_is_replayed() {
    let w = world().await;
    let old = w.fake.statement();
    w.fake.advance(Duration::from_secs(7200));
    w.fake
        .serve(&old, &w.snapshot_key(), &body(&[policy("deny", &["deny"])]));
    w.refuses(|why| matches!(why, Untrusted::Statement(StatementError::Expired(_))))
        .await;
}

#[tokio::test]
async fn a_freeze_makes_the_agent_outdated_and_it_goes_on_enforcing() {
    let w = world().await;
    let frozen = w.fake.statement();
    w.fake
        .serve(&frozen, &w.snapshot_key(), &body(&[policy("deny", &["deny"])]));
    w.fake.advance(Duration::from_secs(7199));
    assert!(!w.agent.status().outdated);
    assert_eq!(w.agent.sync_once().await.unwrap(), Synced::Unchanged);
    w.fake.advance(Duration::from_secs(1));
    assert!(w.agent.status().outdated);
    assert!(w.agent.sync_once().await.is_err());
    w.still_denies(&w.agent);
    w.agent.heartbeat().await.unwrap();
    assert!(w.fake.told().heartbeats[0].outdated);
    w.fake.serve_truth();
    assert_eq!(w.agent.sync_once().await.unwrap(), Synced::Unchanged);
    assert!(!w.agent.status().outdated);
}

#[tokio::test]
async fn a_fast_forward_by_a_dead_key_is_refused_and_the_true_version_is_taken() {
    let w = world().await;
    let dead = w.fake.rotate(Purpose::Snapshot);
    assert_eq!(w.agent.sync_once().await.unwrap(), Synced::Unchanged);
    assert_eq!(w.agent.status().key_set_version, 2);
    w.lie(|s| (s.epoch, s.version) = (9, (1 << 53) - 1), &dead);
    w.refuses(|why| matches!(why, Untrusted::Statement(StatementError::Token(JwsError::UnknownKey))))
        .await;
}

#[tokio::test]
async fn a_rotated_key_is_learnt_from_the_roots_key_set_without_a_hint() {
    let w = world().await;
    w.fake.rotate(Purpose::Snapshot);
    w.lie(|_| {}, &w.snapshot_key());
    assert!(matches!(w.agent.sync_once().await.unwrap(), Synced::Applied(_)));
    assert_eq!(w.agent.status().key_set_version, 2);
}

#[tokio::test]
async fn a_key_set_of_another_root_is_refused() {
    let w = world().await;
    let attacker = SigningKey::from_seed(&[9; 32]);
    let mut set = w.fake.true_key_set();
    set.version = 99;
    set.keys
        .push(formats::PublishedKey::new(Purpose::Snapshot, attacker.public()));
    w.fake.told().key_set = Some(set.sign(&attacker).unwrap());
    w.lie(|_| {}, &attacker);
    w.refuses(|why| matches!(why, Untrusted::KeySet(KeySetError::Token(JwsError::UnknownKey))))
        .await;
}

#[tokio::test]
async fn an_older_key_set_does_not_bring_a_dead_key_back() {
    let w = world().await;
    let old_set = w.fake.true_key_set().sign(&w.fake.root).unwrap();
    let dead = w.fake.rotate(Purpose::Snapshot);
    w.agent.sync_once().await.unwrap();
    w.fake.told().key_set = Some(old_set);
    w.lie(|_| {}, &dead);
    w.refuses(|why| matches!(why, Untrusted::KeySet(KeySetError::NotNewer { known: 2, offered: 1 })))
        .await;
}

#[tokio::test]
async fn another_tenants_key_set_is_refused_though_the_root_signed_it() {
    let w = world().await;
    let mut set = w.fake.true_key_set();
    set.version = 5;
    set.tenant = w.fake.ambient.id();
    w.fake.told().key_set = Some(set.sign(&w.fake.root).unwrap());
    let token = w.fake.statement().sign(&w.snapshot_key()).unwrap();
    w.fake.told().snapshot = Some(Box::new(move |_| {
        (
            [(STATEMENT_HEADER, token.clone()), (KEY_SET_HEADER, "5".to_owned())],
            loose(),
        )
            .into_response()
    }));
    w.refuses(|why| matches!(why, Untrusted::KeySet(KeySetError::Tenant)))
        .await;
}

#[tokio::test]
async fn endless_data_is_cut_off() {
    let w = world().await;
    w.fake.told().snapshot = Some(Box::new(|_| {
        let chunk = Bytes::from(vec![b' '; 1 << 20]);
        let endless = futures(move || chunk.clone());
        ([(STATEMENT_HEADER, "x")], endless).into_response()
    }));
    w.refuses(|why| matches!(why, Untrusted::Endless(link::MAX_BODY))).await;
}

/// A body of chunks without end.
fn futures(next: impl Fn() -> Bytes + Send + 'static) -> Body {
    struct Endless<F>(F);
    impl<F: Fn() -> Bytes + Send + 'static> http_body::Body for Endless<F>
    where
        F: Unpin,
    {
        type Data = Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Ready(Some(Ok(http_body::Frame::data((self.0)()))))
        }
    }
    Body::new(Endless(Box::new(next)))
}

#[tokio::test]
async fn a_cut_off_body_changes_nothing() {
    let w = world().await;
    let mut statement = w.fake.statement();
    statement.version += 1;
    statement.sha256 = formats::BodyHash::of(&loose());
    let token = statement.sign(&w.snapshot_key()).unwrap();
    let packed = zstd::encode_all(&*loose(), 3).unwrap();
    w.fake.told().snapshot = Some(Box::new(move |_| {
        let half = packed[..packed.len() / 2].to_vec();
        (
            [
                (STATEMENT_HEADER, token.as_str()),
                (header::CONTENT_ENCODING.as_str(), "zstd"),
            ],
            half,
        )
            .into_response()
    }));
    assert!(matches!(w.agent.sync_once().await, Err(AgentError::Protocol(_))));
    w.still_denies(&w.agent);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let w = world().await;
    let elsewhere = format!("{}/agent/v1/keyset", w.fake.url);
    w.fake.told().snapshot = Some(Box::new(move |_| {
        (StatusCode::FOUND, [(header::LOCATION, elsewhere.clone())]).into_response()
    }));
    assert!(matches!(w.agent.sync_once().await, Err(AgentError::Protocol(_))));
    w.still_denies(&w.agent);
}

#[tokio::test]
async fn a_server_without_the_pinned_root_registers_nobody() {
    let fake = Fake::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let pinned = SigningKey::from_seed(&[3; 32]).public();
    let refused = Agent::register(&state, fake.registration(Some(pinned)), fake.around()).await;
    assert!(matches!(refused, Err(AgentError::Untrusted(Untrusted::KeySet(_)))));
    assert!(Agent::open(&state, fake.around()).is_err());
}

#[tokio::test]
async fn a_moved_endpoint_learns_its_group_from_a_signed_token_and_takes_that_groups_snapshot() {
    let w = world().await;
    let other = w.fake.ambient.id();
    {
        let mut told = w.fake.told();
        told.group = other;
        told.version = 3;
        told.body = body(&[policy("pilot", &["justification"])]);
    }
    assert!(matches!(w.agent.sync_once().await.unwrap(), Synced::Applied(v) if v.version == 3));
    assert_eq!(w.agent.identity().group, other);
}

#[tokio::test]
async fn a_restored_log_is_taken_with_its_higher_epoch() {
    let w = world().await;
    {
        let mut told = w.fake.told();
        (told.epoch, told.version, told.body) = (2, 4, loose());
    }
    assert!(matches!(w.agent.sync_once().await.unwrap(), Synced::Applied(v) if (v.epoch, v.version) == (2, 4)));
}

#[tokio::test]
async fn an_agent_without_any_snapshot_decides_nothing() {
    let fake = Fake::start().await;
    let dir = tempfile::tempdir().unwrap();
    let agent = fake.register(&dir.path().join("state")).await.unwrap();
    assert!(matches!(agent.ask(action("tool"), None), Err(AgentError::NoSnapshot)));
}

#[tokio::test]
async fn a_snapshot_is_acknowledged_once() {
    let w = world().await;
    w.agent.sync_once().await.unwrap();
    w.fake.publish(&[policy("two", &["allow"])]);
    w.agent.sync_once().await.unwrap();
    w.agent.sync_once().await.unwrap();
    let acks: Vec<u64> = w.fake.told().acks.iter().map(|ack| ack.version).collect();
    assert_eq!(acks, [10, 11]);
}

#[tokio::test]
async fn a_token_that_the_server_forgot_is_fetched_anew() {
    let w = world().await;
    assert_eq!(w.fake.told().tokens, 1);
    w.agent.sync_once().await.unwrap();
    assert_eq!(w.fake.told().tokens, 1);
    w.fake.rotate(Purpose::Token);
    assert_eq!(w.agent.sync_once().await.unwrap(), Synced::Unchanged);
    assert_eq!(w.fake.told().tokens, 2);
}
