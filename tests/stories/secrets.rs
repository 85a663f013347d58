//! No secret is in any log of the server's other roles or of the agent: `services/api/tests/it/secrets.rs` searches
//! what the doors log. Everything is logged at `trace`, whoever's it is, and mails go over real SMTP.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use commands::Caller;
use formats::RequestId;
use model::request::Narrowing;
use portcullis_agent::{Agent, AgentError};
use serde_json::{Value, json};
use worker::mail::{MailConfig, Notifier};

use crate::{
    canaries::{Log, Secrets},
    grants::{WHY, action, agent, create_policy},
    installation::program,
    mail_server::{MailServer, Mood},
    world::World,
};

const SMTP_USER: &str = "canary-smtp-user";
const SMTP_PASSWORD: &str = "canary-smtp-password";

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// The words of a text that are credentials, or signed as a whole: whatever they are, a log has none.
fn bearers(text: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let signed = |word: &str| {
        let parts: Vec<&str> = word.split('.').collect();
        parts.len() == 3 && parts[0].starts_with("eyJ") && parts[2].len() >= 80
    };
    let credential = |word: &str| word.starts_with("pct_") && word.len() > 60;
    let words = text.split(|c| !is_part(c));
    words.filter(|word| signed(word) || credential(word)).collect()
}

/// Mails sent, put off and refused, and a server that does not believe the password and repeats it.
async fn mails(world: &World, post: &MailServer, secrets: &mut Secrets) {
    let (endpoint, to) = (
        world.endpoint("acme").await,
        world.user("acme", "approver").email.clone(),
    );
    post.treat(&to, Mood::Refuses("550 no such mailbox"));
    world.file(&endpoint, "setup-refused.exe").await;
    post.treat(&to, Mood::BreaksOff);
    world.file(&endpoint, "setup-broken-off.exe").await;
    world
        .until("a mail that is broken off", async || {
            (!post.broken_off().is_empty()).then_some(())
        })
        .await;
    post.treat(&to, Mood::Takes);
    let (request, _) = world.file(&endpoint, "setup-taken.exe").await;
    let sent = world
        .until("the mail", async || post.mails_to(&to, &request.to_string()).pop())
        .await;
    secrets.add("link to a request", last(sent.link()));

    let system = Caller::system(endpoint.tenant, world.app().ambient().uuid());
    let member = world.caller("acme", "member").await.user().unwrap();
    let token = world.app().invite(&system, member, false).await.unwrap().1;
    secrets.add_credential("invitation", &token);
    let to = &world.user("acme", "member").email;
    let invited = world
        .until("the invitation", async || post.mails_to(to, "Choose a password").pop())
        .await;
    secrets.add("link of an invitation", last(invited.link()));
    assert!(post.sign_ins() > 0, "the server is asked with the password");

    // Connections are kept; one that breaks makes it sign in again.
    post.believe(false);
    let (before, to) = (post.sign_ins(), &world.user("acme", "approver").email);
    post.treat(to, Mood::BreaksOff);
    world.file(&endpoint, "setup-disbelieved.exe").await;
    world
        .until("a password that is not believed", async || {
            world.advance(Duration::from_secs(5)).await;
            (post.sign_ins() > before + 1).then_some(())
        })
        .await;
    post.treat(to, Mood::Takes);
    post.believe(true);
}

/// Registration, tokens, codes, a grant and its use, and the key in its file.
async fn at_the_agent(world: &World, secrets: &mut Secrets) {
    create_policy(world, "Guarded", &["mfa", "approval"], "path:C:\\Guarded\\*").await;
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("agent");
    let here: Agent = agent(world, "secrets", Some(&home)).await;
    let registration = &world.tenant("acme").deployment_groups[0].registration_token;
    secrets.add_credential("registration token", registration);
    let identity: Value = serde_json::from_slice(&std::fs::read(home.join("identity.json")).unwrap()).unwrap();
    let seed = secrets.add_from("agent's key", &identity["key"]);
    let seed: [u8; 32] = formats::hash::from_hex(&seed).unwrap();
    secrets.add_bytes("agent's key as bytes", &seed);

    let asked = here
        .ask(action(world, "DEMO\\kim", "C:\\Guarded\\tool.exe"), None)
        .unwrap();
    let approver = world.user("acme", "approver");
    let wrong = here.verify_mfa(&asked, &approver.email, "canary-mfa-code").await;
    assert!(matches!(wrong, Err(AgentError::Refused(_))), "{wrong:?}");
    secrets.add("wrong code", "canary-mfa-code");
    let member = world.caller("acme", "member").await;
    let system = Caller::system(member.tenant, world.app().ambient().uuid());
    let preset = *b"canary one-time code";
    world
        .app()
        .totp_preset(&system, member.user().unwrap(), &preset)
        .await
        .unwrap();
    secrets.add("one-time secret", "canary one-time code");
    let code = world.code(&totp_rs::Secret::from(preset.to_vec()).to_base32()).await;
    let email = &world.user("acme", "member").email;
    here.verify_mfa(&asked, email, &code).await.unwrap();
    secrets.add("one-time code", &code);

    let request = here.submit(&asked, WHY).await.unwrap().request_id;
    let admin = world.caller("acme", "admin").await;
    let digest = asked.digest.to_string();
    let approved = world
        .app()
        .approve(&admin, request, &digest, Narrowing::default(), None);
    approved.await.unwrap();
    assert!(here.poll_request(request, 0).await.unwrap().grant.is_some());
    let grants: Value = serde_json::from_slice(&std::fs::read(home.join("grants.json")).unwrap()).unwrap();
    secrets.add_signed("grant", grants[request.to_string()]["token"].as_str().unwrap());
    let ran = here.run(&asked, Some(WHY)).unwrap();
    assert!(ran.is_permitted(), "{ran:?}");
    here.deliver().await.unwrap();
    here.heartbeat().await.unwrap();

    // What it says of itself, and an agent whose endpoint the server does not know any more.
    let said = format!("{:?} {:?} {:?}", here, here.identity(), here.status());
    tracing::info!(%said, "the agent in Debug");
    let endpoint = here.identity().endpoint;
    let removed = world.app().remove_endpoint(&admin, endpoint, "It is gone".to_owned());
    removed.await.unwrap();
    world
        .until("a token that is refused", async || here.heartbeat().await.err())
        .await;
}

/// Timers that fire, and an event that parks every read model of a tenant.
async fn timers_and_a_damaged_event(world: &World) {
    let endpoint = world.endpoint("acme").await;
    let (request, _): (RequestId, _) = world.file(&endpoint, "setup-late.exe").await;
    world
        .until("the timer", async || {
            world.advance(Duration::from_secs(3600)).await;
            let log = world.log("acme", 0).await;
            log.iter()
                .any(|e| e.body.stream.id == formats::TypedId::uuid(request) && e.body.event_type == "RequestExpired")
                .then_some(())
        })
        .await;

    let owner = world.server.ready.database_url.replace("portcullis_app", "postgres");
    let owner = sqlx::PgPool::connect(&owner).await.unwrap();
    let mut tx = owner.begin().await.unwrap();
    let unknown = "create function spoil() returns trigger language plpgsql as $$ begin
        new.body := convert_to(replace(convert_from(new.body, 'utf8'), 'RequestSubmitted', 'RequestOfNoKind'), 'utf8');
        return new; end $$";
    sqlx::query(unknown).execute(&mut *tx).await.unwrap();
    let spoil = "create trigger spoil before insert on events for each row execute function spoil()";
    sqlx::query(spoil).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), async {
        let _ = world.file(&endpoint, "setup-spoilt.exe").await;
    })
    .await
    .unwrap();
    world
        .until("a parked read model", async || {
            let status = projections::status(world.app().pool()).await.unwrap();
            status.iter().any(|s| !s.parked.is_empty()).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_any_log_of_worker_and_agent() {
    let log = Log::begin(&[], "trace");
    let post = MailServer::begin().await;
    post.believe(true);
    let world = World::with_smtp(post.url_with(SMTP_USER, SMTP_PASSWORD)).await;
    let mut secrets = Secrets::default();
    secrets.add("mail server's password", SMTP_PASSWORD);
    secrets.add("both in PLAIN", &format!("\0{SMTP_USER}\0{SMTP_PASSWORD}"));
    for user in &world.tenant("acme").users {
        secrets.add("a user's password", &user.password);
    }
    mails(&world, &post, &mut secrets).await;
    at_the_agent(&world, &mut secrets).await;
    timers_and_a_damaged_event(&world).await;
    // Settings that can't be used are told without what is in them.
    for url in [
        "smtp://u:P@mail.test:port",
        "http://u:P@mail.test",
        "smtp://u:P@mail.test?tls=maybe",
        "smtps://u:P@",
    ] {
        let config = MailConfig {
            smtp_url: url.replace('P', SMTP_PASSWORD),
            from: "Portcullis <p@mail.test>".to_owned(),
        };
        let error = Notifier::new(&config).unwrap_err();
        tracing::warn!(%error, chain = ?error, ?config, "settings");
    }
    world.end().await;

    let logged = log.text();
    assert!(logged.contains("parked"), "the damaged event is told of");
    for who in [
        "worker::",
        "eventstore::",
        "portcullis_agent::",
        "projections::",
        "hyper",
        "sqlx",
    ] {
        assert!(logged.contains(&format!(" {who}")), "{who} logs at all");
    }
    assert_eq!(secrets.in_text(&logged), Vec::<&str>::new());
    assert_eq!(bearers(&logged), Vec::<&str>::new());

    // The control: what slips is found, in clear, as base64 in the words of the mail protocol, and as a token.
    tracing::debug!("Wrote: AUTH PLAIN AGNhbmFyeS1zbXRwLXVzZXIAY2FuYXJ5LXNtdHAtcGFzc3dvcmQ=");
    let token = format!("{}.{}.{}", "eyJhbGciOiJFZERTQSJ9", "eyJzdWIiOiJ4In0", "c".repeat(86));
    tracing::trace!(token, "a slip");
    let logged = log.text();
    assert_eq!(secrets.in_text(&logged), ["mail server's password", "both in PLAIN"]);
    assert_eq!(bearers(&logged).len(), 1);
}

/// The agent's program, run at `trace`, and the file that takes whatever it says.
struct Program {
    home: PathBuf,
    token: String,
    log: PathBuf,
}

impl Program {
    fn start(&self, arguments: &[&str]) -> std::process::Child {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        Command::new(program().with_file_name("portcullis-agent"))
            .args(arguments)
            .env("PORTCULLIS_AGENT_STATE", &self.home)
            .env("PORTCULLIS_AGENT_TOKEN", &self.token)
            .env("PORTCULLIS_AGENT_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Whether it succeeded.
    async fn run(&self, arguments: &[&str]) -> bool {
        let mut child = self.start(arguments);
        let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
        ended.await.unwrap().success()
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

/// The request that waits is approved, once it was filed again.
async fn approve_what_waits(world: &World) {
    let admin = world.caller("acme", "admin").await;
    let waiting = world
        .until("the request", async || {
            let mut tx = world.app().reading(admin.tenant).await.unwrap();
            let page = projections::Page::first(50);
            let filter = projections::request_queue::Filter::default();
            let sort = projections::request_queue::Sort::Newest;
            let found = projections::request_queue::list(&mut tx, &filter, sort, &page)
                .await
                .unwrap();
            let ours = |path: &str| path == "C:\\Guarded\\tool.exe";
            found.nodes().into_iter().find(|row| {
                let application = row
                    .details
                    .as_ref()
                    .and_then(|details| details.action.application.as_ref());
                row.status.is_open() && row.times > 1 && application.is_some_and(|application| ours(&application.path))
            })
        })
        .await;
    let digest = &waiting.details.unwrap().digest;
    let approved = world
        .app()
        .approve(&admin, waiting.id, digest, Narrowing::default(), None);
    approved.await.unwrap();
}

fn kept(home: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(home.join(name)).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_what_the_agents_program_says() {
    let world = World::begin().await;
    let mut secrets = Secrets::default();
    let member = world.caller("acme", "member").await;
    let system = Caller::system(member.tenant, world.app().ambient().uuid());
    let (member, preset) = (member.user().unwrap(), *b"canary one-time code");
    world.app().totp_preset(&system, member, &preset).await.unwrap();
    secrets.add("one-time secret", "canary one-time code");
    let code = world.code(&totp_rs::Secret::from(preset.to_vec()).to_base32()).await;
    secrets.add("one-time code", &code);
    create_policy(&world, "Guarded", &["mfa", "approval"], "path:C:\\Guarded\\*").await;

    let dir = tempfile::tempdir().unwrap();
    let token = world.tenant("acme").deployment_groups[0].registration_token.clone();
    let mut it = Program {
        home: dir.path().join("agent"),
        token: format!("{}{}", &token[..token.len() - 24], "0".repeat(24)),
        log: dir.path().join("log"),
    };
    let machine = [
        "--machine-name",
        "WS-900",
        "--machine-os",
        "windows",
        "--machine-id",
        "program",
    ];
    let register = [&["register", "--server", world.url()], &machine[..]].concat();
    secrets.add_credential("wrong registration token", &it.token);
    assert!(!it.run(&register).await, "{}", it.said());
    it.token = token;
    secrets.add_credential("registration token", &it.token);
    assert!(it.run(&register).await, "{}", it.said());
    let seed = secrets.add_from("agent's key", &kept(&it.home, "identity.json")["key"]);
    let seed: [u8; 32] = formats::hash::from_hex(&seed).unwrap();
    secrets.add_bytes("agent's key as bytes", &seed);

    let file = dir.path().join("action.json");
    let tool = action(&world, "DEMO\\kim", "C:\\Guarded\\tool.exe");
    std::fs::write(&file, json!(tool).to_string()).unwrap();
    let (file, email) = (file.to_str().unwrap(), &world.user("acme", "member").email);
    let request = ["request", file, "--justification", WHY, "--email", email, "--code"];
    let wrong = [&request[..], &["canary-mfa-code", "--wait", "0"]].concat();
    assert!(!it.run(&wrong).await, "{}", it.said());
    secrets.add("wrong code", "canary-mfa-code");
    let asks = [&request[..], &[&code, "--wait", "60"]].concat();
    let (ran, ()) = tokio::join!(it.run(&asks), approve_what_waits(&world));
    assert!(ran, "{}", it.said());
    let grants = kept(&it.home, "grants.json");
    let grant = grants.as_object().unwrap().values().next().unwrap();
    secrets.add_signed("grant", grant["token"].as_str().unwrap());
    for arguments in [&["status"][..], &["refresh"], &["evaluate", file, "--explain"]] {
        assert!(it.run(arguments).await, "{arguments:?}: {}", it.said());
    }

    // As a service, and when the server does not know it any more.
    let mut service = it.start(&["run", "--listen", "127.0.0.1:0"]);
    world
        .until("the service", async || {
            it.said().contains("the server is there").then_some(())
        })
        .await;
    service.kill().unwrap();
    service.wait().unwrap();
    let endpoint = kept(&it.home, "identity.json")["endpoint"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let admin = world.caller("acme", "admin").await;
    world
        .app()
        .remove_endpoint(&admin, endpoint, "It is gone".to_owned())
        .await
        .unwrap();
    assert!(!it.run(&["refresh"]).await, "{}", it.said());
    world.end().await;

    let said = it.said();
    for word in ["TRACE", "portcullis_agent", "hyper", "reqwest"] {
        assert!(said.contains(word), "{word} is nowhere");
    }
    assert_eq!(secrets.in_text(&said), Vec::<&str>::new());
    assert_eq!(bearers(&said), Vec::<&str>::new());
    // The control.
    let slipped = format!("{said} {}", grant["token"]);
    assert_eq!((secrets.in_text(&slipped), bearers(&slipped).len()), (vec!["grant"], 1));
}
