//! What agents ask and tell.

use std::{io::Write, time::Duration};

use axum::http::Method;
use flate2::{Compression, write::GzEncoder};
use formats::{BodyHash, GrantClaims, KeySet, Statement};
use model::Role;
use policy_engine::CollectionKind;
use serde_json::{Value, json};

use crate::world::{World, request, soon};

fn pack(plain: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(plain).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn an_agent_gets_tokens_for_fresh_assertions_only() {
    let world = World::new().await;
    let agent = world.agent("lab").await;
    KeySet::verify(&agent.root, &agent.key_set, Some(world.tenant), 0).unwrap();
    let assertion = agent.assertion();
    agent.ask_token(&assertion).await.expect(200);
    assert_eq!(agent.ask_token(&assertion).await.expect(401).code(), "UNAUTHENTICATED");
    assert_eq!(agent.ask_token("rubbish").await.expect(401).code(), "UNAUTHENTICATED");
    agent.get("/agent/v1/keyset", &[]).await.expect(200);
    world.get("/agent/v1/keyset", "rubbish").await.expect(401);
    world.get("/auth/session", &agent.token).await.expect(401);
    let browser = world.browser("owner").await;
    browser.get("/agent/v1/snapshot").await.expect(401);
}

#[tokio::test]
async fn a_snapshot_is_served_in_the_form_that_is_accepted_and_its_statement_verifies() {
    let world = World::new().await;
    world.policy("Ask first", "/opt/*").await;
    let agent = world.agent("lab").await;
    let plain = agent.get("/agent/v1/snapshot", &[]).await.expect(200);
    assert_eq!(plain.header("etag"), format!("\"{}\"", BodyHash::of(&plain.body)));
    assert_eq!(plain.json()["policies"].as_array().unwrap().len(), 1);
    let zstd = agent
        .get("/agent/v1/snapshot", &[("accept-encoding", "zstd, gzip")])
        .await
        .expect(200);
    assert_eq!(zstd.header("content-encoding"), "zstd");
    assert!(zstd.body.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]));
    let gzip = agent
        .get("/agent/v1/snapshot", &[("accept-encoding", "gzip")])
        .await
        .expect(200);
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gzip.body[..]), &mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);

    let known = agent
        .get("/agent/v1/snapshot", &[("if-none-match", plain.header("etag"))])
        .await
        .expect(304);
    assert!(known.body.is_empty());
    assert_eq!(known.header("portcullis-key-set"), "1");
    let keys = KeySet::verify(&agent.root, &agent.key_set, None, 0).unwrap();
    let now = world.app.ambient().now();
    let (statement, _) =
        Statement::accept(known.header("portcullis-statement"), &keys, agent.group, None, now).unwrap();
    assert_eq!(statement.sha256, BodyHash::of(&plain.body));
    assert!(statement.issued_at <= now && statement.expires_at > now);

    let ack = json!({ "epoch": 1, "version": statement.version, "appliedAt": now });
    agent.post("/agent/v1/snapshot/ack", &ack).await.expect(204);
    let ahead = json!({ "epoch": 1, "version": statement.version + 1_000, "appliedAt": now });
    assert_eq!(
        agent.post("/agent/v1/snapshot/ack", &ahead).await.expect(409).code(),
        "NEVER_OFFERED"
    );
}

#[tokio::test]
async fn a_waiting_agent_learns_of_a_new_policy_at_once() {
    let world = World::new().await;
    let agent = world.agent("lab").await;
    let first = agent.get("/agent/v1/snapshot", &[]).await.expect(200);
    let headers = [("if-none-match", first.header("etag")), ("prefer", "wait=50")];
    let poll = agent.get("/agent/v1/snapshot", &headers);
    let (polled, ()) = soon(async { tokio::join!(poll, world.policy("Ask first", "/opt/*")) }).await;
    let polled = polled.expect(200);
    assert_ne!(polled.header("etag"), first.header("etag"));
    assert_eq!(polled.json()["policies"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_poll_ends_when_its_time_is_up_or_the_server_stops() {
    let world = World::new().await;
    let agent = world.agent("lab").await;
    let first = agent.get("/agent/v1/snapshot", &[]).await.expect(200);
    let wait = |prefer| [("if-none-match", first.header("etag")), ("prefer", prefer)];
    let begun = tokio::time::Instant::now();
    soon(agent.get("/agent/v1/snapshot", &wait("wait=1"))).await.expect(304);
    assert!(begun.elapsed() >= Duration::from_millis(890));
    let (long_wait, state) = (wait("wait=50"), world.state.clone());
    let poll = agent.get("/agent/v1/snapshot", &long_wait);
    let stop = async { state.shutdown.cancel() };
    let (polled, ()) = soon(async { tokio::join!(poll, stop) }).await;
    polled.expect(304);
}

#[tokio::test]
async fn the_open_poll_of_a_removed_endpoint_is_closed_within_five_seconds() {
    let world = World::new().await;
    let agent = world.agent("lab").await;
    let first = agent.get("/agent/v1/snapshot", &[]).await.expect(200);
    let headers = [("if-none-match", first.header("etag")), ("prefer", "wait=50")];
    let poll = agent.get("/agent/v1/snapshot", &headers);
    let remove = async {
        world
            .app
            .remove_endpoint(&world.system(), agent.endpoint, "lost".to_owned())
            .await
            .unwrap();
        tokio::time::Instant::now()
    };
    let (polled, removed) = soon(async { tokio::join!(poll, remove) }).await;
    polled.expect(401);
    assert!(removed.elapsed() <= Duration::from_secs(5));
    assert!(agent.ask_token(&agent.assertion()).await.status.is_client_error());
}

#[tokio::test]
async fn a_request_is_filed_once_and_its_approval_wakes_the_agent_with_a_grant() {
    let world = World::new().await;
    world.policy("Ask first", "/opt/*").await;
    let agent = world.agent("lab").await;
    world.user("ann", &[Role::Admin]).await;
    let filed = agent.submit("/opt/tool").await.expect(201).json();
    let id = filed["requestId"].as_str().unwrap().to_owned();
    assert_eq!(
        (filed["status"].as_str(), filed["asked"].as_u64()),
        (Some("pending"), Some(1))
    );
    let again = agent.submit("/opt/tool").await.expect(200).json();
    assert_eq!(
        (again["requestId"].as_str(), again["asked"].as_u64()),
        (Some(id.as_str()), Some(2))
    );

    let path = format!("/agent/v1/requests/{id}");
    let headers = [("prefer", "wait=50")];
    let (_, digest) = agent.action("/opt/tool");
    let origin = commands::Origin::inside(uuid::Uuid::nil());
    let browser = world.browser("ann").await;
    let cookie = browser.cookie.split_once('=').unwrap().1;
    let ann = world.app.session(&origin, cookie).await.unwrap().caller;
    let narrowing = model::request::Narrowing {
        uses: Some(1),
        grant_minutes: None,
    };
    let approve = async {
        world
            .app
            .approve(&ann, id.parse().unwrap(), &digest, narrowing, None)
            .await
            .unwrap()
    };
    let (polled, _) = soon(async { tokio::join!(agent.get(&path, &headers), approve) }).await;
    let polled = polled.expect(200).json();
    assert_eq!(polled["status"], "approved");
    let keys = KeySet::verify(&agent.root, &agent.key_set, None, 0).unwrap();
    let grant = GrantClaims::verify(polled["grant"].as_str().unwrap(), &keys, world.app.ambient().now()).unwrap();
    assert_eq!((grant.endpoint, grant.digest.to_string()), (agent.endpoint, digest));

    let other = world.agent("other").await;
    other.get(&path, &[]).await.expect(404);
    agent.get("/agent/v1/requests/rubbish", &[]).await.expect(404);
}

#[tokio::test]
async fn a_grant_that_ends_wakes_its_agent_and_no_other() {
    let world = World::new().await;
    world.policy("Ask first", "/opt/*").await;
    let agent = world.agent("lab").await;
    world.user("ann", &[Role::Admin]).await;
    let origin = commands::Origin::inside(uuid::Uuid::nil());
    let browser = world.browser("ann").await;
    let cookie = browser.cookie.split_once('=').unwrap().1;
    let ann = world.app.session(&origin, cookie).await.unwrap().caller;
    let mut granted: Vec<formats::RequestId> = Vec::new();
    for path in ["/opt/a", "/opt/b"] {
        let filed = agent.submit(path).await.expect(201).json();
        granted.push(filed["requestId"].as_str().unwrap().parse().unwrap());
        let (_, digest) = agent.action(path);
        let all = model::request::Narrowing::default();
        let approved = world.app.approve(&ann, granted[granted.len() - 1], &digest, all, None);
        approved.await.unwrap();
    }
    let path = "/agent/v1/grants";
    let waiting = [("prefer", "wait=50")];
    let (first, second) = (json!({ "grants": [granted[0]] }), json!({ "grants": [granted[1]] }));
    let answer = agent.post(path, &first).await.expect(200).json();
    assert_eq!(answer, json!({ "endedGrants": [] }));

    let revoke = async |id| world.app.revoke_grant(&ann, id, None).await.unwrap();
    // What ends for another agent's poll leaves this one open: it goes on until its own grant ends.
    let both = soon(async {
        tokio::join!(
            agent.post_with(path, &first, &waiting),
            agent.post_with(path, &second, &waiting),
            async {
                let told = world.app.store.head(world.tenant).await.unwrap();
                revoke(granted[1]).await;
                world.app.settled(world.tenant, told + 1).await;
                let answer = agent.post(path, &first).await.expect(200).json();
                assert_eq!(answer, json!({ "endedGrants": [] }));
                revoke(granted[0]).await;
            }
        )
    });
    let (one, two, ()) = both.await;
    assert_eq!(one.expect(200).json(), json!({ "endedGrants": [granted[0]] }));
    assert_eq!(two.expect(200).json(), json!({ "endedGrants": [granted[1]] }));
    // One that ended before, or is another endpoint's, is told at once.
    let other = world.agent("other").await;
    for who in [&agent, &other] {
        let answer = soon(who.post_with(path, &first, &waiting)).await.expect(200).json();
        assert_eq!(answer, json!({ "endedGrants": [granted[0]] }));
    }
    let many: Vec<_> = std::iter::repeat_n(granted[0], 1_001).collect();
    let refused = agent.post(path, &json!({ "grants": many })).await.expect(422);
    assert_eq!(refused.json()["field"], "grants");
}

#[tokio::test]
async fn a_request_with_another_digest_is_refused_and_one_can_be_taken_back() {
    let world = World::new().await;
    world.policy("Ask first", "/opt/*").await;
    let agent = world.agent("lab").await;
    let (action, _) = agent.action("/opt/tool");
    let body = json!({
        "action": action, "digest": "0".repeat(64), "justification": "x",
        "snapshotVersion": { "epoch": 1, "version": 1 },
    });
    assert_eq!(
        agent.post("/agent/v1/requests", &body).await.expect(409).code(),
        "DIGEST_MISMATCH"
    );
    let filed = agent.submit("/opt/tool").await.expect(201).json();
    let cancel = format!("/agent/v1/requests/{}/cancel", filed["requestId"].as_str().unwrap());
    let state = agent
        .post(&cancel, &json!({ "reason": "not needed" }))
        .await
        .expect(200)
        .json();
    assert_eq!(state["status"], "cancelled");
}

fn record(agent: &crate::world::Agent<'_>, seq: u64, command: &str) -> Value {
    let (mut action, _) = agent.action("/opt/tool");
    action["commandLine"] = command.into();
    json!({
        "id": "act_01h2xcejqtf2nbrexx3vqjhp41", "seq": seq, "occurredAt": "2026-03-02T08:59:00.000Z", "action": action,
        "decision": { "outcome": "denied", "steps": [], "matched": [], "engine": "0.1.0" },
        "snapshot": { "epoch": 1, "version": 1, "sha256": "0".repeat(64) }, "result": "refused",
    })
}

#[tokio::test]
async fn records_come_compressed_with_any_character_and_are_stored_once() {
    let world = World::new().await;
    let agent = world.agent("lab").await;
    let mut second = record(&agent, 2, "x\u{0}y");
    second["id"] = "act_01h2xcejqtf2nbrexx3vqjhp42".into();
    let batch = json!({ "records": [record(&agent, 1, "ls"), second] });
    let send = |body: Vec<u8>| {
        let ask = request(Method::POST, "/agent/v1/activity")
            .bearer(&agent.token)
            .with("content-encoding", "gzip");
        world.send(ask.body("application/json", body))
    };
    let packed = pack(batch.to_string().as_bytes());
    assert_eq!(send(packed.clone()).await.expect(200).json()["storedSeq"], 2);
    let head = world.app.store.head(world.tenant).await.unwrap();
    assert_eq!(send(packed).await.expect(200).json()["storedSeq"], 2);
    assert_eq!(world.app.store.head(world.tenant).await.unwrap(), head);

    let bomb = pack(&vec![b' '; 64 << 20]);
    assert_eq!(send(bomb).await.expect(413).code(), "BODY_TOO_LONG");
    assert_eq!(send(b"not gzip".to_vec()).await.expect(400).code(), "BODY_BROKEN");
    let strange = request(Method::POST, "/agent/v1/activity")
        .bearer(&agent.token)
        .with("content-encoding", "br");
    world.send(strange.json(&batch)).await.expect(415);
}

#[tokio::test]
async fn a_record_is_shown_whole_and_one_under_a_taken_number_is_kept_beside_the_other() {
    let world = World::new().await;
    let agent = world.agent("lab").await;
    let mut first = record(&agent, 1, "ls");
    first["cwd"] = "/srv/canary".into();
    first["mfaProof"] = "019b0000-0000-7000-8000-000000000007".into();
    first["justification"] = "It is needed".into();
    let batch = |records: Value| json!({ "records": records });
    let send = async |records: Value| {
        agent
            .post("/agent/v1/activity", &batch(records))
            .await
            .expect(200)
            .json()
    };
    assert_eq!(send(json!([first])).await["storedSeq"], 1);
    // Restored from a copy, the agent gives the number 1 once more, and goes on.
    let (mut other, mut next) = (record(&agent, 1, "rm"), record(&agent, 2, "id"));
    other["id"] = "act_01h2xcejqtf2nbrexx3vqjhp43".into();
    next["id"] = "act_01h2xcejqtf2nbrexx3vqjhp44".into();
    assert_eq!(send(json!([other, next])).await["storedSeq"], 2);
    let head = world.app.store.head(world.tenant).await.unwrap();
    assert_eq!(send(json!([other, next])).await["storedSeq"], 2, "sent again");
    assert_eq!(world.app.store.head(world.tenant).await.unwrap(), head);

    assert!(world.app.settled(world.tenant, head).await);
    let browser = world.browser("owner").await;
    let query = r"query ($id: ID!) { endpoint(id: $id) { gaps reusedNumbers numbersReusedAt
        records(first: 5) { nodes { id number outcome result justification mfaProofId reusesNumberOfId
            action { commandLine cwd } snapshot { version } } } } }";
    let shown = crate::graphql::data(&browser, query, json!({ "id": agent.endpoint })).await;
    let endpoint = &shown["endpoint"];
    assert_eq!((&endpoint["gaps"], &endpoint["reusedNumbers"]), (&json!(0), &json!(1)));
    assert!(endpoint["numbersReusedAt"].is_string());
    let nodes = endpoint["records"]["nodes"].as_array().unwrap();
    let lines: Vec<_> = nodes
        .iter()
        .map(|node| (&node["number"], &node["action"]["commandLine"]))
        .collect();
    assert_eq!(
        lines,
        [
            (&json!(2), &json!("id")),
            (&json!(1), &json!("rm")),
            (&json!(1), &json!("ls"))
        ]
    );
    assert_eq!(nodes[1]["reusesNumberOfId"], nodes[2]["id"]);
    assert_eq!(
        json!([
            nodes[2]["action"]["cwd"],
            nodes[2]["result"],
            nodes[2]["mfaProofId"],
            nodes[2]["justification"]
        ]),
        json!([
            "/srv/canary",
            "REFUSED",
            "019b0000-0000-7000-8000-000000000007",
            "It is needed"
        ])
    );
    let marked = "{ auditEvents(filter: {markedOnly: true}) { nodes { type summary } } }";
    let marked = crate::graphql::data(&browser, marked, json!({})).await;
    assert_eq!(marked["auditEvents"]["nodes"][0]["type"], "NumbersReused");
    // The log holds the directory sealed, and what became of it in clear.
    let events = world.app.store.read(world.tenant, 0, 1_000).await.unwrap();
    let recorded = events.iter().find(|e| e.body.event_type == "ActionRecorded").unwrap();
    assert_eq!(recorded.body.data["result"], "refused");
    let stored: Vec<String> = sqlx::query_scalar("select convert_from(body, 'UTF8') from events")
        .fetch_all(&mut *world.app.reading(world.tenant).await.unwrap())
        .await
        .unwrap();
    assert!(!stored.iter().any(|body| body.contains("canary")), "sealed");
}

#[tokio::test]
async fn every_answer_tells_agents_the_servers_time_refusals_too() {
    let world = World::new().await;
    let agent = world.agent("lab").await;
    let assertion = agent.assertion();
    world.clock.advance(Duration::from_secs(3_600));
    let late = agent.ask_token(&assertion).await.expect(401);
    assert_eq!(
        (late.code().as_str(), late.header("date")),
        ("CLOCK_SKEW", "Mon, 02 Mar 2026 10:00:00 GMT")
    );
    let answer = agent.get("/agent/v1/keyset", &[]).await;
    assert_eq!(answer.header("date"), "Mon, 02 Mar 2026 10:00:00 GMT");
}

#[tokio::test]
async fn a_heartbeat_and_an_inventory_are_kept() {
    let world = World::new().await;
    let agent = world.agent("lab").await;
    let beat = json!({
        "agentVersion": "1.2.3", "clock": "2026-03-02T09:00:01.000Z", "queueLength": 4,
        "plugins": [{ "name": "policy", "state": "running" }], "grants": ["req_01h2xcejqtf2nbrexx3vqjhp41"],
    });
    let answer = agent.post("/agent/v1/heartbeat", &beat).await.expect(200).json();
    assert_eq!(answer["serverTime"], "2026-03-02T09:00:00.000Z");
    assert_eq!(answer["endedGrants"], json!(["req_01h2xcejqtf2nbrexx3vqjhp41"]));
    let inventory =
        json!({ "osVersion": "12.5", "applications": [{ "name": "vim", "version": "9" }], "administrators": ["root"] });
    agent.post("/agent/v1/inventory", &inventory).await.expect(204);
    agent.post("/agent/v1/inventory", &inventory).await.expect(204);
    let mut tx = world.app.reading(world.tenant).await.unwrap();
    let view = projections::fleet::endpoint(&mut tx, agent.endpoint)
        .await
        .unwrap()
        .unwrap();
    let status = view.status.unwrap();
    assert_eq!(
        (status.agent_version.as_deref(), status.clock_skew_ms),
        (Some("1.2.3"), Some(1_000))
    );
    assert_eq!(view.machine.os_version, "12.5");
    let page = projections::Page::first(10);
    let kept = projections::fleet::inventory(&mut tx, CollectionKind::Applications, &Default::default(), &page).await;
    assert_eq!(kept.unwrap().nodes()[0].name, "vim");
}
