//! One-time codes given at an agent: what a proof is good for, who may give one, and what a stranger can find out.

use std::time::Duration;

use commands::Caller;
use formats::{RequestId, UserId, agent_wire::Problem};
use model::request::Narrowing;
use policy_engine::{Action, ActionType, Step};
use portcullis_agent::{Agent, AgentError, Asked, Ran};
use serde_json::json;
use totp_rs::Secret;

use crate::{
    grants::{WHY, action, agent, create_policy},
    world::World,
};

/// The file that the demo data protects with a code.
fn hosts_file(world: &World, user: &str) -> Action {
    serde_json::from_value(json!({
        "type": "file_access",
        "user": {"name": user},
        "machine": {"name": "WS-900", "os": "windows"},
        "file": "C:\\Windows\\System32\\drivers\\etc\\hosts",
        "at": world.app().now().to_string(),
        "variables": {"windir": "C:\\Windows"},
    }))
    .unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, AgentError>) -> Problem {
    match result {
        Err(AgentError::Refused(problem)) => *problem,
        other => panic!("{other:?}"),
    }
}

async fn user_of(world: &World, role: &str) -> UserId {
    world.caller("acme", role).await.user().unwrap()
}

/// Gives the user of a role a secret for codes.
async fn enrol(world: &World, role: &str, secret: [u8; 20]) -> String {
    let system = Caller::system(world.tenant_id("acme"), world.app().ambient().uuid());
    let user = user_of(world, role).await;
    world.app().totp_preset(&system, user, &secret).await.unwrap();
    Secret::from(secret.to_vec()).to_base32()
}

fn mail_of(world: &World, role: &str) -> String {
    world.user("acme", role).email.clone()
}

fn missing(agent: &Agent, action: Action) -> Vec<Step> {
    agent.ask(action, None).unwrap().missing
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_good_for_its_endpoint_account_and_type_for_five_minutes_and_its_code_for_nothing_more() {
    let world = World::begin().await;
    create_policy(&world, "Guarded", &["mfa"], "path:C:\\Guarded\\*").await;
    let (here, there) = (agent(&world, "here", None).await, agent(&world, "there", None).await);
    let secret = enrol(&world, "member", [7; 20]).await;
    let code = world.code(&secret).await;
    let asked = here.ask(hosts_file(&world, "DEMO\\kim"), None).unwrap();
    assert_eq!(asked.missing, [Step::Mfa]);
    let proof = here
        .verify_mfa(&asked, &mail_of(&world, "member"), &code)
        .await
        .unwrap();
    assert_eq!(proof.identity, user_of(&world, "member").await);
    assert_eq!(
        (proof.endpoint, proof.endpoint_user.as_str(), proof.action_type),
        (here.identity().endpoint, "DEMO\\kim", ActionType::FileAccess)
    );
    assert!(here.run(&asked, None).unwrap().is_permitted());
    // Not elsewhere, not for another account, not for another type of action.
    assert_eq!(missing(&there, hosts_file(&world, "DEMO\\kim")), [Step::Mfa]);
    assert_eq!(missing(&here, hosts_file(&world, "DEMO\\lee")), [Step::Mfa]);
    let other = action(&world, "DEMO\\kim", "C:\\Guarded\\tool.exe");
    assert_eq!(missing(&here, other), [Step::Mfa]);

    // The step is used up for the identity: at this agent, at another, and at the sign-in.
    for again in [&here, &there] {
        let asked = again.ask(hosts_file(&world, "DEMO\\lee"), None).unwrap();
        let problem = refused(again.verify_mfa(&asked, &mail_of(&world, "member"), &code).await);
        assert_eq!((problem.status, problem.code.as_str()), (401, "INVALID_CODE"));
    }
    let body = json!({
        "tenant": "acme", "email": mail_of(&world, "member"), "password": world.user("acme", "member").password,
        "code": code,
    });
    let answer = world
        .nobody
        .post(format!("{}/auth/sign-in", world.url()))
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 401);

    let left = proof.expires_at.since(world.app().now());
    world.advance(left.saturating_sub(Duration::from_secs(10))).await;
    assert!(missing(&here, hosts_file(&world, "DEMO\\kim")).is_empty());
    world.advance(Duration::from_secs(10)).await;
    assert_eq!(missing(&here, hosts_file(&world, "DEMO\\kim")), [Step::Mfa]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_codes_at_an_agent_lock_the_agents_and_neither_sign_in_nor_deciding() {
    let world = World::begin().await;
    let after = world.app().store.head(world.tenant_id("acme")).await.unwrap();
    let agent = agent(&world, "here", None).await;
    let (email, secret) = (
        mail_of(&world, "approver"),
        world.user("acme", "approver").totp_secret.clone().unwrap(),
    );
    let asked = agent.ask(hosts_file(&world, "DEMO\\kim"), None).unwrap();
    for _ in 0..5 {
        let problem = refused(agent.verify_mfa(&asked, &email, "12345").await);
        assert_eq!((problem.status, problem.code.as_str()), (401, "INVALID_CODE"));
    }
    let code = world.code(&secret).await;
    let problem = refused(agent.verify_mfa(&asked, &email, &code).await);
    assert_eq!((problem.status, problem.code.as_str()), (429, "LOCKED"));
    let locked: Vec<_> = world.log("acme", after).await;
    let locked: Vec<_> = locked
        .iter()
        .filter(|event| event.body.event_type == "ChannelLocked")
        .collect();
    assert_eq!(locked.len(), 1);
    assert_eq!(locked[0].body.data["channel"], "agent");

    // The victim signs in and decides, each with a code.
    let browser = world.browser("acme", "approver").await;
    let code = world.code(&secret).await;
    let answer = browser
        .call(reqwest::Method::POST, "/auth/step-up", Some(json!({ "code": code })))
        .await;
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());

    world.advance(Duration::from_secs(15 * 60)).await;
    let code = world.code(&secret).await;
    agent.verify_mfa(&asked, &email, &code).await.unwrap();
    world.end().await;
}

async fn approved_by(world: &World, role: &str, request: RequestId, asked: &Asked) -> Result<(), commands::Refusal> {
    let caller = world.caller("acme", role).await;
    let digest = asked.digest.to_string();
    let approving = world
        .app()
        .approve(&caller, request, &digest, Narrowing::default(), None);
    approving.await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_approves_a_request_cannot_give_its_code_in_either_order() {
    let world = World::begin().await;
    create_policy(&world, "Guarded", &["approval", "mfa"], "path:C:\\Guarded\\*").await;
    let agent = agent(&world, "here", None).await;
    let member = enrol(&world, "member", [7; 20]).await;
    let approver = world.user("acme", "approver").totp_secret.clone().unwrap();

    // Approved, then asked for the code: of this action, and of another for which the proof would hold as well.
    let asked = agent
        .ask(action(&world, "DEMO\\kim", "C:\\Guarded\\a.exe"), None)
        .unwrap();
    let request = agent.submit(&asked, WHY).await.unwrap().request_id;
    approved_by(&world, "approver", request, &asked).await.unwrap();
    agent.poll_request(request, 0).await.unwrap();
    assert_eq!(missing(&agent, asked.action.clone()), [Step::Mfa]);
    let other = agent
        .ask(action(&world, "DEMO\\kim", "C:\\Guarded\\b.exe"), None)
        .unwrap();
    for asked in [&asked, &other] {
        let code = world.code(&approver).await;
        let given = agent.verify_mfa(asked, &mail_of(&world, "approver"), &code).await;
        let problem = refused(given);
        assert_eq!((problem.status, problem.code.as_str()), (403, "MFA_BY_APPROVER"));
    }
    assert!(matches!(agent.run(&asked, Some(WHY)).unwrap(), Ran::Missing { .. }));
    let code = world.code(&member).await;
    agent
        .verify_mfa(&asked, &mail_of(&world, "member"), &code)
        .await
        .unwrap();
    assert!(agent.run(&asked, Some(WHY)).unwrap().is_permitted());

    // The code first, then the approval: another approver is needed.
    let asked = agent
        .ask(action(&world, "DEMO\\lee", "C:\\Guarded\\a.exe"), None)
        .unwrap();
    let request = agent.submit(&asked, WHY).await.unwrap().request_id;
    let code = world.code(&approver).await;
    agent
        .verify_mfa(&asked, &mail_of(&world, "approver"), &code)
        .await
        .unwrap();
    let refusal = approved_by(&world, "approver", request, &asked).await.unwrap_err();
    assert_eq!(refusal.code, "MFA_BY_APPROVER", "{refusal}");
    approved_by(&world, "admin", request, &asked).await.unwrap();
    agent.poll_request(request, 0).await.unwrap();
    assert!(agent.run(&asked, Some(WHY)).unwrap().is_permitted());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_code_is_flagged_and_refused_where_the_tenant_binds_codes_to_the_requester() {
    let world = World::begin().await;
    let app = world.app();
    let after = app.store.head(world.tenant_id("acme")).await.unwrap();
    let agent = agent(&world, "here", None).await;
    let (member, email) = (enrol(&world, "member", [7; 20]).await, mail_of(&world, "member"));
    let asked = agent.ask(hosts_file(&world, "DEMO\\kim"), None).unwrap();
    let code = world.code(&member).await;
    agent.verify_mfa(&asked, &email, &code).await.unwrap();

    let owner = world.caller("acme", "owner").await;
    let settings = model::tenant::Settings {
        mfa_bound_to_requester: true,
        ..Default::default()
    };
    app.change_settings(&owner, settings).await.unwrap();
    let code = world.code(&member).await;
    let problem = refused(agent.verify_mfa(&asked, &email, &code).await);
    assert_eq!((problem.status, problem.code.as_str()), (403, "MFA_OTHER_USER"));

    let person = world
        .until("the account", async || {
            let mut tx = app.reading(owner.tenant).await.unwrap();
            projections::directory::person_by_account(&mut tx, "demo\\kim")
                .await
                .unwrap()
        })
        .await
        .id;
    let user = user_of(&world, "member").await;
    app.link_endpoint_account(&owner, person, user).await.unwrap();
    let code = world.code(&member).await;
    let proof = agent.verify_mfa(&asked, &email, &code).await.unwrap();
    assert_eq!(proof.identity, user);
    let events = world.log("acme", after).await;
    let flags: Vec<_> = events
        .iter()
        .filter(|event| event.body.event_type == "CodeVerified")
        .map(|event| event.body.data["otherUser"].clone())
        .collect();
    assert_eq!(flags, [json!(true), json!(false)]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_cannot_find_out_which_addresses_exist() {
    let world = World::begin().await;
    let agent = agent(&world, "here", None).await;
    let asked = agent.ask(hosts_file(&world, "DEMO\\kim"), None).unwrap();
    enrol(&world, "auditor", [9; 20]).await;
    let (admin, auditor) = (world.caller("acme", "admin").await, user_of(&world, "auditor").await);
    let closed = world
        .app()
        .disable_user(&admin, auditor, "left".to_owned())
        .await
        .unwrap();
    world.app().settled(admin.tenant, closed.position).await;
    // Enrolled; without codes; closed; nobody; the neighbour's.
    let addresses = [
        mail_of(&world, "approver"),
        mail_of(&world, "member"),
        mail_of(&world, "auditor"),
        "nobody@acme.test".to_owned(),
        world.user("globex", "approver").email.clone(),
    ];
    let mut told = Vec::new();
    for address in &addresses {
        let mut answers = Vec::new();
        for _ in 0..7 {
            // Not a code at all, so that no chance makes it a good one.
            let mut problem = refused(agent.verify_mfa(&asked, address, "12345").await);
            problem.detail = problem.detail.map(|text| text.replace(address.as_str(), ""));
            answers.push(problem);
        }
        told.push(answers);
    }
    let codes: Vec<_> = told[0].iter().map(|problem| problem.code.as_str()).collect();
    assert_eq!(codes[..5], ["INVALID_CODE"; 5]);
    assert_eq!(codes[5..], ["LOCKED"; 2]);
    for (address, answers) in addresses.iter().zip(&told) {
        assert_eq!(answers, &told[0], "{address}");
    }
    // Written another way it is the same address.
    let problem = refused(agent.verify_mfa(&asked, " NOBODY@acme.test", "12345").await);
    assert_eq!(problem.code, "LOCKED");
    let problem = refused(agent.verify_mfa(&asked, "Approver@acme.test ", "12345").await);
    assert_eq!(problem.code, "LOCKED");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_find_out_which_addresses_exist() {
    let world = World::begin().await;
    let mut told = Vec::new();
    for address in ["member@acme.test", "nobody@acme.test"] {
        let mut answers = Vec::new();
        for _ in 0..7 {
            let body = json!({ "tenant": "acme", "email": address, "password": "not the portcullis" });
            let sent = world
                .nobody
                .post(format!("{}/auth/sign-in", world.url()))
                .json(&body)
                .send();
            let problem: Problem = sent.await.unwrap().json().await.unwrap();
            answers.push(problem);
        }
        told.push(answers);
    }
    let codes: Vec<_> = told[0].iter().map(|problem| problem.code.as_str()).collect();
    assert_eq!(codes[..5], ["INVALID_SIGN_IN"; 5]);
    assert_eq!(codes[5..], ["LOCKED"; 2]);
    assert_eq!(told[0], told[1]);
    world.end().await;
}
