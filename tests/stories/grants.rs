//! Grants in the hands of a real agent: verified without the server, counted, ended, and never used twice unseen.

use std::{os::unix::fs::DirBuilderExt, path::Path, time::Duration};

use commands::{Caller, Principal};
use formats::{Purpose, RequestId, agent_wire::MachineInfo};
use model::request::Narrowing;
use policy_engine::{Action, Outcome, Step};
use portcullis_agent::{
    Agent, AgentError, Asked, HeldGrant, Ran, Registration, Surroundings,
    plugin::{self, Client, Plugin},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::World;

/// A justification.
pub const WHY: &str = "The release needs it";

/// An agent in the first group of `acme` that goes by the server's clock and has the current snapshot; it keeps its
/// state in `dir` if there is one.
pub async fn agent(world: &World, name: &str, dir: Option<&Path>) -> Agent {
    let tenant = world.tenant("acme");
    let with = Registration {
        server: world.url().to_owned(),
        token: tenant.deployment_groups[0].registration_token.clone(),
        root: Some(serde_json::from_value(json!(tenant.root_key)).unwrap()),
        machine: MachineInfo {
            name: "WS-900".to_owned(),
            os: policy_engine::Os::Windows,
            os_version: "11 24H2".to_owned(),
            machine_id: format!("stories-{name}"),
        },
        replace: false,
    };
    let agent = match dir {
        Some(dir) => Agent::register(dir, with, surroundings(world)).await.unwrap(),
        None => Agent::register_in_memory(with, surroundings(world)).await.unwrap(),
    };
    agent.sync_once().await.unwrap();
    agent
}

fn surroundings(world: &World) -> Surroundings {
    Surroundings {
        ambient: world.app().ambient().clone(),
        ..Surroundings::system(None).unwrap()
    }
}

/// The elevation of a program.
pub fn action(world: &World, user: &str, path: &str) -> Action {
    serde_json::from_value(json!({
        "type": "privilege_elevation",
        "user": {"name": user, "groups": ["Developers"]},
        "machine": {"name": "WS-900", "os": "windows"},
        "application": {"path": path},
        "at": world.app().now().to_string(),
        "variables": {"userprofile": "C:\\Users\\kim", "downloads": "C:\\Users\\kim\\Downloads"},
    }))
    .unwrap()
}

/// Makes a policy about programs, in force for everybody.
pub async fn create_policy(world: &World, name: &str, controls: &[&str], application: &str) {
    let document = json!({
        "name": name, "type": "privilege_elevation", "status": "enforce", "controls": controls,
        "users": ["*"], "machines": ["*"], "applications": [application], "riskLevel": 50
    });
    let document = serde_json::from_value(document).unwrap();
    let admin = world.caller("acme", "admin").await;
    let made = world
        .app()
        .create_policy(&admin, document, "A story".to_owned())
        .await
        .unwrap();
    assert!(world.app().settled(admin.tenant, made.position).await);
}

fn download(world: &World, agent: &Agent, name: &str) -> Asked {
    let path = format!("C:\\Users\\kim\\Downloads\\{name}");
    agent.ask(action(world, "DEMO\\kim", &path), None).unwrap()
}

async fn approve(world: &World, request: RequestId, asked: &Asked, narrowing: Narrowing) {
    let admin = world.caller("acme", "admin").await;
    let digest = asked.digest.to_string();
    world
        .app()
        .approve(&admin, request, &digest, narrowing, None)
        .await
        .unwrap();
}

/// Asks, has it approved, and fetches the grant.
async fn granted(world: &World, agent: &Agent, asked: &Asked, narrowing: Narrowing) -> RequestId {
    let request = agent.submit(asked, WHY).await.unwrap().request_id;
    approve(world, request, asked, narrowing).await;
    assert!(agent.poll_request(request, 0).await.unwrap().grant.is_some());
    request
}

/// Lets rules give this many uses.
async fn uses(world: &World, uses: u32) {
    let admin = world.caller("acme", "admin").await;
    let mut tx = world.app().reading(admin.tenant).await.unwrap();
    let rules = projections::approval_rules::all(&mut tx).await.unwrap();
    drop(tx);
    for rule in rules {
        let mut definition = rule.definition;
        definition.windows.uses = Some(uses);
        let changed = world
            .app()
            .change_approval_rule(&admin, rule.id, definition)
            .await
            .unwrap();
        world.app().settled(admin.tenant, changed.position).await;
    }
}

/// What the agent keeps of its grants, and what the log says of a request.
fn held(dir: &Path, request: RequestId) -> HeldGrant {
    let text = std::fs::read(dir.join("grants.json")).unwrap();
    let mut grants: std::collections::BTreeMap<RequestId, HeldGrant> = serde_json::from_slice(&text).unwrap();
    grants.remove(&request).unwrap()
}

async fn told(world: &World, request: RequestId) -> Vec<(String, Value)> {
    let events = world.log("acme", 0).await.into_iter();
    let of =
        events.filter(|event| event.body.stream.id == request.uuid() && event.body.event_type.starts_with("Grant"));
    of.map(|event| (event.body.event_type, Value::Object(event.body.data)))
        .collect()
}

async fn until_told(world: &World, request: RequestId, wanted: &[&str]) -> Vec<(String, Value)> {
    world
        .until(&format!("{wanted:?}"), async || {
            let told = told(world, request).await;
            told.iter()
                .map(|(kind, _)| kind.as_str())
                .eq(wanted.iter().copied())
                .then_some(told)
        })
        .await
}

fn steps(ran: Ran) -> Vec<Step> {
    match ran {
        Ran::Missing { missing, .. } => missing,
        other => panic!("{other:?}"),
    }
}

fn copy(from: &Path, to: &Path) {
    // As private as an agent wants its own.
    std::fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_verified_offline_its_uses_count_and_a_double_use_is_recorded_and_mailed() {
    let world = World::begin().await;
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().join("here");
    let agent = agent(&world, "here", Some(&here)).await;
    let asked = download(&world, &agent, "tool.exe");
    let request = granted(&world, &agent, &asked, Narrowing::default()).await;

    // Backups of the machine: one as it was, one with a grant that says more than was signed.
    let (backup, forged) = (dir.path().join("backup"), dir.path().join("forged"));
    copy(&here, &backup);
    copy(&here, &forged);
    let mut grants: Value = serde_json::from_slice(&std::fs::read(forged.join("grants.json")).unwrap()).unwrap();
    grants[request.to_string()]["claims"]["uses"] = json!(100);
    std::fs::write(forged.join("grants.json"), grants.to_string()).unwrap();

    agent.set_offline();
    assert!(agent.run(&asked, None).unwrap().is_permitted());
    let ran = agent.run(&asked, Some(WHY)).unwrap();
    assert!(matches!(ran, Ran::Refused { .. }), "used up: {ran:?}");
    agent.deliver().await.unwrap();
    until_told(&world, request, &["GrantUsed", "GrantExhausted"]).await;
    drop(agent);

    let restored = Agent::open(&forged, surroundings(&world)).unwrap();
    let ran = restored.run(&asked, Some(WHY)).unwrap();
    assert!(matches!(ran, Ran::Refused { .. }), "not as it was signed: {ran:?}");

    // The restored machine does not know of the use; the server does.
    let restored = Agent::open(&backup, surroundings(&world)).unwrap();
    for n in 0..2 {
        let other = download(&world, &restored, &format!("other-{n}.exe"));
        assert!(matches!(restored.run(&other, Some(WHY)).unwrap(), Ran::Refused { .. }));
    }
    assert!(restored.run(&asked, None).unwrap().is_permitted());
    restored.deliver().await.unwrap();
    let told = until_told(&world, request, &["GrantUsed", "GrantExhausted", "GrantOverused"]).await;
    assert_eq!(told[2].1["status"], "exhausted");
    for role in ["admin", "owner"] {
        let to = world.user("acme", role).email.clone();
        world
            .until("the alert", async || {
                let mails = world.mails().await;
                mails.into_iter().find(|mail| {
                    mail["to"][0] == to
                        && mail["subject"].as_str().unwrap().starts_with("Alert")
                        && mail["text"].as_str().unwrap().contains(&request.to_string())
                })
            })
            .await;
    }
    // Contact told the restored machine, and delivering again records nothing again.
    restored.heartbeat().await.unwrap();
    restored.deliver().await.unwrap();
    assert_eq!(told.len(), self::told(&world, request).await.len());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_taken_back_ends_at_the_next_contact_of_either_kind_and_a_use_before_that_is_an_alert() {
    let world = World::begin().await;
    let (app, admin) = (world.app(), world.caller("acme", "admin").await);
    let agent = agent(&world, "here", None).await;
    let mut grants = Vec::new();
    for name in ["beat.exe", "asked.exe", "late.exe"] {
        let asked = download(&world, &agent, name);
        let request = granted(&world, &agent, &asked, Narrowing::default()).await;
        grants.push((asked, request));
    }
    assert_eq!(agent.status().grants, 3);
    let revoke = async |request| {
        let reason = Some("The machine was stolen".to_owned());
        app.revoke_grant(&admin, request, reason).await.unwrap();
    };
    // The heartbeat names it.
    let (asked, request) = &grants[0];
    revoke(*request).await;
    agent.heartbeat().await.unwrap();
    assert_eq!(agent.status().grants, 2);
    assert_eq!(steps(agent.run(asked, Some(WHY)).unwrap()), [Step::Approval]);
    // So does the answer to whoever asks for the request.
    let (asked, request) = &grants[1];
    revoke(*request).await;
    let begun = Instant::now();
    assert!(agent.poll_request(*request, 30).await.unwrap().grant.is_none());
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(steps(agent.run(asked, Some(WHY)).unwrap()), [Step::Approval]);
    // Without contact it can still be used: that shows as soon as it is told.
    let (asked, request) = &grants[2];
    agent.set_offline();
    revoke(*request).await;
    assert!(agent.run(asked, None).unwrap().is_permitted());
    agent.deliver().await.unwrap();
    let told = until_told(&world, *request, &["GrantRevoked", "GrantOverused"]).await;
    assert_eq!(told[1].1["status"], "revoked");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_agent_refuses_the_next_use_of_a_grant_within_a_second_of_its_end() {
    let world = World::begin().await;
    let (app, admin) = (world.app(), world.caller("acme", "admin").await);
    let running = agent(&world, "runs", None).await;
    // The control: an agent that does not watch its grants.
    let idle = agent(&world, "idle", None).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let parts: Vec<Box<dyn Plugin>> = vec![Box::new(Client)];
    let runs = tokio::spawn(plugin::run(running.clone(), parts, stop.clone()));
    for round in 0..3 {
        let name = format!("round-{round}.exe");
        let mut grants = Vec::new();
        for agent in [&running, &idle] {
            let asked = download(&world, agent, &name);
            let request = granted(&world, agent, &asked, Narrowing::default()).await;
            grants.push((asked, request));
        }
        assert_eq!(running.status().grants, 1);
        for (_, request) in &grants {
            app.revoke_grant(&admin, *request, None).await.unwrap();
        }
        let revoked = Instant::now();
        while running.status().grants > 0 {
            assert!(revoked.elapsed() < Duration::from_secs(1), "it was not told in time");
            tokio::task::yield_now().await;
        }
        let refused = running.run(&grants[0].0, Some(WHY)).unwrap();
        assert_eq!(steps(refused), [Step::Approval]);
        assert!(
            idle.run(&grants[1].0, None).unwrap().is_permitted(),
            "it goes on by itself"
        );
    }
    stop.cancel();
    runs.await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_agent_has_the_end_of_its_request_within_a_second() {
    let world = World::begin().await;
    let admin = world.caller("acme", "admin").await;
    let agent = agent(&world, "here", None).await;
    for n in 0..3 {
        let asked = download(&world, &agent, &format!("wait-{n}.exe"));
        let request = agent.submit(&asked, WHY).await.unwrap().request_id;
        let waiting = tokio::spawn({
            let agent = agent.clone();
            async move { (agent.poll_request(request, 50).await, Instant::now()) }
        });
        // A heartbeat goes and comes: by then the poll is open, and it has not been answered.
        agent.heartbeat().await.unwrap();
        assert!(!waiting.is_finished());
        let digest = asked.digest.to_string();
        let (app, reason) = (world.app(), Some("no".to_owned()));
        match n {
            0 => app.approve(&admin, request, &digest, Narrowing::default(), None).await,
            1 => app.deny(&admin, request, &digest, reason).await,
            _ => app.cancel_request(&admin, request, reason).await,
        }
        .unwrap();
        let settled = Instant::now();
        let (state, at) = waiting.await.unwrap();
        let state = state.unwrap();
        assert!(
            state.status.is_final() && state.grant.is_some() == (n == 0),
            "{state:?}"
        );
        assert!(at.saturating_duration_since(settled) < Duration::from_secs(1));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_ends_by_the_clock_and_a_narrowed_one_sooner_and_after_fewer_uses() {
    let world = World::begin().await;
    uses(&world, 3).await;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("here");
    let agent = agent(&world, "here", Some(&dir)).await;
    let narrowing = Narrowing {
        uses: Some(2),
        grant_minutes: Some(10),
    };
    let narrowed = download(&world, &agent, "narrowed.exe");
    let narrow = granted(&world, &agent, &narrowed, narrowing).await;
    let whole = download(&world, &agent, "whole.exe");
    let wide = granted(&world, &agent, &whole, Narrowing::default()).await;
    let (claims, other) = (held(&dir, narrow).claims, held(&dir, wide).claims);
    assert!(claims.narrowed && !other.narrowed);
    assert_eq!((claims.uses, other.uses), (Some(2), Some(3)));
    let now = world.app().now();
    assert!(claims.not_after < now + Duration::from_secs(601));
    assert!(other.not_after > now + Duration::from_secs(24 * 3600 - 60));

    for _ in 0..2 {
        assert!(agent.run(&narrowed, None).unwrap().is_permitted());
    }
    let two = agent.run(&narrowed, Some(WHY)).unwrap();
    assert_eq!(steps(two), [Step::Approval]);
    let second = download(&world, &agent, "narrowed-again.exe");
    let again = granted(&world, &agent, &second, narrowing).await;
    world.advance(Duration::from_secs(600)).await;
    assert_eq!(steps(agent.run(&second, Some(WHY)).unwrap()), [Step::Approval]);
    assert!(agent.run(&whole, None).unwrap().is_permitted());
    until_told(&world, again, &["GrantExpired"]).await;

    world.advance(Duration::from_secs(24 * 3600)).await;
    agent.set_offline();
    let ran = agent.run(&whole, Some(WHY)).unwrap();
    assert!(matches!(ran, Ran::Refused { .. }), "{ran:?}");
    until_told(&world, wide, &["GrantExpired"]).await;
    // A use in time that is reported late counts as one.
    agent.deliver().await.unwrap();
    let told = until_told(&world, wide, &["GrantExpired", "GrantUsed"]).await;
    assert_eq!(told[1].1["number"], 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_denies_by_now_refuses_the_approval_and_stops_the_grant() {
    let world = World::begin().await;
    let agent = agent(&world, "here", None).await;
    let asked = download(&world, &agent, "granted.exe");
    granted(&world, &agent, &asked, Narrowing::default()).await;
    let waiting = download(&world, &agent, "waiting.exe");
    let request = agent.submit(&waiting, WHY).await.unwrap().request_id;
    create_policy(&world, "No downloads", &["deny"], "path:C:\\Users\\*\\Downloads\\*").await;

    let admin = world.caller("acme", "admin").await;
    let digest = waiting.digest.to_string();
    let approving = world
        .app()
        .approve(&admin, request, &digest, Narrowing::default(), None);
    let refusal = approving.await.unwrap_err();
    assert_eq!(refusal.code, "NOW_DENIED", "{refusal}");
    world
        .until("the new snapshot", async || {
            agent.sync_once().await.unwrap();
            (download(&world, &agent, "x.exe").decision.outcome == Outcome::Denied).then_some(())
        })
        .await;
    for online in [true, false] {
        if !online {
            agent.set_offline();
        }
        let ran = agent.run(&asked, Some(WHY)).unwrap();
        assert!(matches!(ran, Ran::Refused { .. }), "{ran:?}");
    }
    // It can still be denied, and a new one is not even filed.
    let denied = world.app().deny(&admin, request, &digest, Some("no".to_owned())).await;
    denied.unwrap();
    let filing = agent.submit(&asked, WHY).await;
    assert!(
        matches!(&filing, Err(AgentError::Refused(problem)) if problem.code == "NOW_DENIED"),
        "{filing:?}"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_server_an_agent_does_what_the_offline_table_says_and_tells_it_in_order_afterwards() {
    let world = World::begin().await;
    create_policy(&world, "Guarded", &["approval", "mfa"], "path:C:\\Guarded\\*").await;
    create_policy(&world, "Coded", &["mfa"], "path:C:\\Coded\\*").await;
    create_policy(&world, "Allowed", &["allow"], "path:C:\\Allowed\\*").await;
    create_policy(&world, "Denied", &["deny"], "path:C:\\Denied\\*").await;
    let app = world.app();
    let agent = agent(&world, "here", None).await;
    let ask = |path: &str| agent.ask(action(&world, "DEMO\\kim", path), None).unwrap();
    let guarded = ask("C:\\Guarded\\tool.exe");
    granted(&world, &agent, &guarded, Narrowing::default()).await;
    let download = download(&world, &agent, "tool.exe");
    granted(&world, &agent, &download, Narrowing::default()).await;
    let code = world
        .code(world.user("acme", "approver").totp_secret.as_deref().unwrap())
        .await;
    let email = world.user("acme", "approver").email.clone();
    agent.verify_mfa(&guarded, &email, &code).await.unwrap();
    assert!(ask("C:\\Coded\\tool.exe").missing.is_empty(), "a session runs");

    // A suspended tenant's agents find no server.
    let after = app.store.head(world.tenant_id("acme")).await.unwrap();
    let operator = Caller {
        principal: Principal::Operator {
            name: "development".to_owned(),
            method: "platform_credential",
        },
        ..Caller::system(world.tenant_id("acme"), app.ambient().uuid())
    };
    app.suspend_tenant(&operator, "unpaid".to_owned()).await.unwrap();
    assert!(matches!(agent.sync_once().await, Err(AgentError::Offline(_))));
    assert!(!agent.is_online());
    let refused = |path: &str, why: Option<&str>| {
        let ran = agent.run(&ask(path), why).unwrap();
        assert!(matches!(ran, Ran::Refused { .. }), "{path}: {ran:?}");
    };
    let permitted = |asked: &Asked, why: Option<&str>| {
        let ran = agent.run(asked, why).unwrap();
        assert!(ran.is_permitted(), "{asked:?}: {ran:?}");
    };
    let wanted = ask("C:\\Users\\kim\\Downloads\\new.exe");
    assert_eq!(wanted.decision.outcome, Outcome::BlockedOffline);
    let filing = agent.submit(&wanted, WHY).await;
    assert!(matches!(filing, Err(AgentError::Offline(_))), "{filing:?}");
    refused("C:\\Users\\kim\\Downloads\\new.exe", Some(WHY));
    permitted(&download, None);
    refused("C:\\Guarded\\tool.exe", Some(WHY));
    refused("C:\\Coded\\tool.exe", Some(WHY));
    let tools = ask("C:\\Tools\\tool.exe");
    assert_eq!(steps(agent.run(&tools, None).unwrap()), [Step::Justification]);
    permitted(&tools, Some("Only words are wanted"));
    permitted(&ask("C:\\Allowed\\tool.exe"), None);
    refused("C:\\Denied\\tool.exe", None);
    assert!(matches!(agent.deliver().await, Err(AgentError::Offline(_))));
    assert_eq!(agent.status().queue_length, 7);

    app.resume_tenant(&operator, "paid".to_owned()).await.unwrap();
    assert_eq!(agent.deliver().await.unwrap(), 7);
    assert_eq!(agent.deliver().await.unwrap(), 0);
    assert!(agent.is_online());
    let events = world.log("acme", after).await;
    assert!(events.iter().all(|event| event.body.event_type != "RequestSubmitted"));
    assert!(agent.open_requests().is_empty());
    let records: Vec<_> = events
        .iter()
        .filter(|event| event.body.event_type == "ActionRecorded")
        .collect();
    let numbers: Vec<_> = records.iter().map(|event| event.body.data["seq"].clone()).collect();
    assert_eq!(json!(numbers), json!([1, 2, 3, 4, 5, 6, 7]));
    let outcomes: Vec<_> = records
        .iter()
        .map(|event| event.body.data["decision"]["outcome"].clone())
        .collect();
    assert_eq!(outcomes[0], json!("blocked_offline"), "{outcomes:?}");
    assert!(
        json!(records[4].body.data)
            .to_string()
            .contains("Only words are wanted")
    );
    assert!(
        records
            .iter()
            .all(|event| event.body.occurred_at <= event.body.recorded_at)
    );
    // Back in touch, the session and the grant that waits for its code go on.
    permitted(&guarded, Some(WHY));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_follows_when_the_tenants_keys_change() {
    let world = World::begin().await;
    let agent = agent(&world, "here", None).await;
    let (app, tenant) = (world.app(), world.tenant_id("acme"));
    let before = agent.status().key_set_version;
    let operator = Caller::system(tenant, app.ambient().uuid());
    for purpose in [Purpose::Grant, Purpose::Snapshot] {
        app.rotate_key(&operator, purpose, Duration::from_secs(3600))
            .await
            .unwrap();
    }
    let asked = download(&world, &agent, "after-rotation.exe");
    granted(&world, &agent, &asked, Narrowing::default()).await;
    assert!(agent.status().key_set_version > before);
    agent.sync_once().await.unwrap();
    assert!(agent.run(&asked, None).unwrap().is_permitted());
    world.end().await;
}
