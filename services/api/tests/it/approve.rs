//! The page behind the link of a mail.

use axum::http::{Method, header};
use formats::{RequestId, UserId};
use model::{
    Role,
    approval_rule::RuleDefinition,
    request::{Approver, Status, Windows},
};

use crate::world::{Agent, PASSWORD, Reply, World, request};

struct Scene<'a> {
    world: &'a World,
    path: String,
    digest: String,
    request: RequestId,
}

/// A request that waits for ann, an administrator, and the link of her mail.
async fn scene<'a>(world: &'a World, agent: &Agent<'_>) -> Scene<'a> {
    let ann = world.user("ann", &[Role::Admin]).await;
    world.totp(ann).await;
    scene_for(world, agent, ann).await
}

async fn scene_for<'a>(world: &'a World, agent: &Agent<'_>, ann: UserId) -> Scene<'a> {
    let filed = agent.submit("/opt/tool <b>\u{202e}x").await.expect(201).json();
    let request: RequestId = filed["requestId"].as_str().unwrap().parse().unwrap();
    let link = world.app.link_for(world.tenant, request, ann).await.unwrap();
    let path = link
        .strip_prefix(world.app.config.public_url.as_str())
        .unwrap()
        .to_owned();
    let (_, digest) = agent.action("/opt/tool <b>\u{202e}x");
    Scene {
        world,
        path,
        digest,
        request,
    }
}

impl Scene<'_> {
    async fn visit(&self, cookie: &str) -> Reply {
        let ask = request(Method::GET, &self.path);
        let ask = if cookie.is_empty() {
            ask
        } else {
            ask.with(header::COOKIE, cookie)
        };
        self.world.send(ask.empty()).await
    }

    async fn send(&self, cookie: &str, fields: &[(&str, &str)]) -> Reply {
        let ask = request(Method::POST, &self.path);
        let ask = if cookie.is_empty() {
            ask
        } else {
            ask.with(header::COOKIE, cookie)
        };
        self.world.send(ask.form(fields)).await
    }

    async fn status(&self) -> Status {
        self.world.settle(self.world.tenant).await;
        let mut tx = self.world.app.reading(self.world.tenant).await.unwrap();
        projections::request_queue::find(&mut tx, self.request)
            .await
            .unwrap()
            .unwrap()
            .status
    }
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    page.split_once(&start)
        .unwrap_or_else(|| panic!("no {name}"))
        .1
        .split('"')
        .next()
        .unwrap()
        .to_owned()
}

async fn world() -> World {
    let world = World::new().await;
    world.policy("Ask first", "/opt/*").await;
    world
}

#[tokio::test]
async fn looking_shows_everything_and_changes_nothing() {
    let world = world().await;
    let agent = world.agent("lab").await;
    let scene = scene(&world, &agent).await;
    let head = world.app.store.head(world.tenant).await.unwrap();
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        for _ in 0..3 {
            world.send(request(method.clone(), &scene.path).empty()).await;
        }
    }
    let page = scene.visit("").await.expect(200);
    assert_eq!(
        (page.header("referrer-policy"), page.header("cache-control")),
        ("no-referrer", "no-store")
    );
    assert!(page.header("content-security-policy").contains("form-action 'self'"));
    let text = page.text();
    assert!(text.contains("A request waits for your decision") && text.contains("Ask first (revision 1)"));
    assert!(text.contains(&scene.digest) && text.contains("U+202E") && !text.contains('\u{202e}'));
    assert!(!text.contains("<b>") && !text.contains("<script"));
    assert_eq!(world.app.store.head(world.tenant).await.unwrap(), head);

    // Nor with everything that a form would send, in the address, by the approver's own browser.
    let cookie = world.sign_in("ann", Some(&world.code())).await.expect(200).cookie();
    let csrf = hidden(&scene.visit(&cookie).await.text(), "csrf");
    world.clock.advance(std::time::Duration::from_secs(30));
    let (code, digest) = (world.code(), &scene.digest);
    let head = world.app.store.head(world.tenant).await.unwrap();
    let form = format!("{}?button=approve&csrf={csrf}&digest={digest}&code={code}", scene.path);
    for path in [scene.path.as_str(), &form] {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            world
                .send(request(method, path).with(header::COOKIE, &cookie).empty())
                .await;
        }
    }
    assert_eq!(world.app.store.head(world.tenant).await.unwrap(), head);
    assert_eq!(scene.status().await, Status::Pending);
}

#[tokio::test]
async fn an_approver_signs_in_on_the_page_decides_and_finds_the_outcome_later() {
    let world = world().await;
    let agent = world.agent("lab").await;
    let scene = scene(&world, &agent).await;
    let wrong = scene
        .send("", &[("button", "sign-in"), ("password", "wrong"), ("code", "")])
        .await
        .expect(401);
    assert!(wrong.text().contains("id=\"password-error\""));
    let code = world.code();
    let fields = [
        ("button", "sign-in"),
        ("email", "ann@acme.example"),
        ("password", PASSWORD),
        ("code", &code),
    ];
    let signed_in = scene.send("", &fields).await.expect(303);
    assert_eq!(signed_in.header("location"), scene.path);
    let cookie = signed_in.cookie();
    let page = scene.visit(&cookie).await.expect(200).text();
    assert!(page.contains("Signed in as ann@acme.example"));
    let csrf = hidden(&page, "csrf");

    let wide = [
        ("button", "approve"),
        ("csrf", &csrf),
        ("digest", &scene.digest),
        ("uses", "none"),
    ];
    let again = scene.send(&cookie, &wide).await.expect(422).text();
    assert!(again.contains("id=\"uses-error\"") && again.contains("value=\"none\""));
    assert_eq!(scene.status().await, Status::Pending);

    let good = [
        ("button", "approve"),
        ("csrf", &csrf),
        ("digest", &scene.digest),
        ("minutes", "30"),
        ("comment", "fine"),
    ];
    scene.send(&cookie, &good).await.expect(303);
    assert_eq!(scene.status().await, Status::Approved);
    for cookie in [cookie.as_str(), ""] {
        let outcome = scene.visit(cookie).await.expect(200).text();
        assert!(outcome.contains("This request was approved") && outcome.contains("ann (ann@acme.example)"));
        assert!(!outcome.contains("<form"));
    }
    let late = scene.send(&cookie, &good).await.expect(409).text();
    assert!(late.contains("This request was approved"));
}

#[tokio::test]
async fn a_one_time_code_alone_decides_and_its_use_is_recorded() {
    let world = world().await;
    let agent = world.agent("lab").await;
    let scene = scene(&world, &agent).await;
    let deny = |code| {
        [
            ("button", "deny"),
            ("digest", scene.digest.as_str()),
            ("code", code),
            ("comment", "no"),
        ]
    };
    scene.send("", &deny("")).await.expect(401);
    let wrong = scene.send("", &deny("000000")).await.expect(401).text();
    assert!(wrong.contains("id=\"code-error\""));
    assert_eq!(scene.status().await, Status::Pending);
    scene.send("", &deny(&world.code())).await.expect(303);
    assert_eq!(scene.status().await, Status::Denied);
    let mut tx = world.app.reading(world.tenant).await.unwrap();
    let row = projections::request_queue::find(&mut tx, scene.request)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.decisions[0].method.as_deref(), Some("link+totp"));
}

#[tokio::test]
async fn what_was_just_decided_is_not_offered_again_while_the_read_models_lag() {
    let world = world().await;
    let agent = world.agent("lab").await;
    let scene = scene(&world, &agent).await;
    let before = scene.visit("").await.expect(200);
    assert!(before.header("refresh").is_empty() && before.text().contains("<form"));
    let mut held = world.app.store.pool().begin().await.unwrap();
    sqlx::query("lock table request_queue in exclusive mode")
        .execute(&mut *held)
        .await
        .unwrap();
    let code = world.code();
    let fields = [
        ("button", "approve"),
        ("digest", scene.digest.as_str()),
        ("code", &code),
    ];
    scene.send("", &fields).await.expect(303);
    let page = scene.visit("").await.expect(200);
    assert_eq!(page.header("refresh"), "1");
    let text = page.text();
    assert!(text.contains("One moment") && !text.contains("<form"), "{text}");
    held.rollback().await.unwrap();
    assert_eq!(scene.status().await, Status::Approved);
    let after = scene.visit("").await.expect(200);
    assert!(after.header("refresh").is_empty() && after.text().contains("This request was approved"));
}

#[tokio::test]
async fn a_form_from_elsewhere_decides_nothing() {
    let world = world().await;
    let agent = world.agent("lab").await;
    let scene = scene(&world, &agent).await;
    let signed_in = world.sign_in("ann", Some(&world.code())).await.expect(200);
    let (cookie, session_csrf) = (
        signed_in.cookie(),
        signed_in.json()["csrfToken"].as_str().unwrap().to_owned(),
    );
    for csrf in ["", "rubbish", &session_csrf] {
        let fields = [("button", "approve"), ("csrf", csrf), ("digest", scene.digest.as_str())];
        scene.send(&cookie, &fields).await.expect(403);
    }
    let csrf = hidden(&scene.visit(&cookie).await.text(), "csrf");
    let foreign = request(Method::POST, &scene.path)
        .with(header::COOKIE, &cookie)
        .with("sec-fetch-site", "cross-site")
        .form(&[("button", "approve"), ("csrf", &csrf), ("digest", &scene.digest)]);
    world.send(foreign).await.expect(403);
    let mismatch = [
        ("button", "approve"),
        ("csrf", csrf.as_str()),
        ("digest", &"0".repeat(64)),
    ];
    scene.send(&cookie, &mismatch).await.expect(409);
    assert_eq!(scene.status().await, Status::Pending);
}

#[tokio::test]
async fn somebody_elses_session_does_not_decide_with_the_link() {
    let world = world().await;
    let agent = world.agent("lab").await;
    let scene = scene(&world, &agent).await;
    let owner = world.browser("owner").await;
    let page = scene.visit(&owner.cookie).await.expect(200).text();
    assert!(page.contains("You are signed in here as owner@acme.example, but this link is for ann@acme.example"));
    assert!(!page.contains("name=\"csrf\""));
    let fields = [
        ("button", "approve"),
        ("csrf", owner.csrf.as_str()),
        ("digest", scene.digest.as_str()),
    ];
    scene.send(&owner.cookie, &fields).await.expect(401);
    assert_eq!(scene.status().await, Status::Pending);
}

#[tokio::test]
async fn who_lost_the_role_finds_that_it_is_not_theirs_although_a_rule_names_them() {
    let world = world().await;
    let ann = world.user("ann", &[Role::Approver]).await;
    let rule = RuleDefinition {
        name: "Ann decides".to_owned(),
        types: Vec::new(),
        collections: Vec::new(),
        risk_from: 0,
        risk_to: 100,
        primary: vec![Approver::User(ann)],
        secondary: Vec::new(),
        quorum: 1,
        windows: Windows::default(),
        self_approval: false,
    };
    world.app.create_approval_rule(&world.system(), rule).await.unwrap();
    world.settle(world.tenant).await;
    let agent = world.agent("lab").await;
    let scene = scene_for(&world, &agent, ann).await;
    let page = scene.visit("").await.expect(200).text();
    assert!(page.contains("waits for your decision"), "{page}");
    world
        .app
        .assign_roles(&world.system(), ann, vec![Role::Member])
        .await
        .unwrap();
    world.settle(world.tenant).await;
    let page = scene.visit("").await.expect(200).text();
    assert!(page.contains("not yours to decide") && !page.contains("/opt/tool") && !page.contains("<form"));
}

#[tokio::test]
async fn who_lost_the_role_finds_that_it_is_not_theirs() {
    let world = world().await;
    let agent = world.agent("lab").await;
    let scene = scene(&world, &agent).await;
    let mut tx = world.app.reading(world.tenant).await.unwrap();
    let ann = projections::directory::user_by_email(&mut tx, "ann@acme.example")
        .await
        .unwrap()
        .unwrap()
        .id;
    drop(tx);
    world
        .app
        .assign_roles(&world.system(), ann, vec![Role::Member])
        .await
        .unwrap();
    world.settle(world.tenant).await;
    let page = scene.visit("").await.expect(200).text();
    assert!(page.contains("not yours to decide") && !page.contains("/opt/tool") && !page.contains("<form"));
    let code = world.code();
    let deny = [
        ("button", "deny"),
        ("digest", scene.digest.as_str()),
        ("code", &code),
        ("comment", "no"),
    ];
    scene.send("", &deny).await.expect(403);
    assert_eq!(scene.status().await, Status::Pending);
}

#[tokio::test]
async fn after_its_time_the_page_says_so() {
    let world = world().await;
    let agent = world.agent("lab").await;
    let scene = scene(&world, &agent).await;
    world.clock.advance(std::time::Duration::from_secs(30 * 60));
    let page = scene.visit("").await.expect(200).text();
    assert!(page.contains("The time to decide is over") && !page.contains("<form"));
    let code = world.code();
    let deny = [
        ("button", "deny"),
        ("digest", scene.digest.as_str()),
        ("code", &code),
        ("comment", "no"),
    ];
    assert!(scene.send("", &deny).await.status.is_client_error());
    assert_eq!(scene.status().await, Status::Pending);
}

#[tokio::test]
async fn an_edited_link_leads_nowhere() {
    let world = world().await;
    let agent = world.agent("lab").await;
    let scene = scene(&world, &agent).await;
    let last = if scene.path.ends_with('0') { "8" } else { "0" };
    let edited = format!("{}{last}", &scene.path[..scene.path.len() - 1]);
    for path in [edited.as_str(), "/approve/rubbish", &scene.path[..60]] {
        let page = world.send(request(Method::GET, path).empty()).await.expect(404);
        assert!(page.text().contains("This link leads nowhere"));
    }
}

#[tokio::test]
async fn the_pages_of_a_suspended_tenant_show_and_decide_nothing() {
    let world = World::new().await;
    world.policy("Ask first", "/opt/*").await;
    let agent = world.agent("lab").await;
    let scene = scene(&world, &agent).await;
    assert!(scene.visit("").await.expect(200).text().contains("/opt/tool"));
    let operator = commands::Caller {
        principal: commands::Principal::Operator {
            name: "ops".to_owned(),
            method: "platform_credential",
        },
        ..world.system()
    };
    world.app.suspend_tenant(&operator, "unpaid".to_owned()).await.unwrap();
    let page = scene.visit("").await.expect(403).text();
    assert!(page.contains("is suspended") && !page.contains("/opt/tool"), "{page}");
    let code = world.code();
    let decide = [
        ("action", "approve"),
        ("digest", scene.digest.as_str()),
        ("code", code.as_str()),
    ];
    scene.send("", &decide).await.expect(403);
    world.app.resume_tenant(&operator, "paid".to_owned()).await.unwrap();
    assert_eq!(scene.status().await, Status::Pending);
    scene.visit("").await.expect(200);
}

#[tokio::test]
async fn whoever_gave_the_requests_code_may_deny_it_here_too_and_not_approve_it() {
    let world = World::new().await;
    let document = serde_json::json!({
        "name": "Ask, and a code", "type": "privilege_elevation", "status": "enforce",
        "controls": ["approval", "mfa"], "users": ["*"], "machines": ["*"], "applications": ["path:/opt/*"],
    });
    let document = serde_json::from_value(document).unwrap();
    let written = world
        .app
        .create_policy(&world.system(), document, String::new())
        .await
        .unwrap();
    assert!(world.app.settled(world.tenant, written.position).await);
    let agent = world.agent("lab").await;
    let scene = scene(&world, &agent).await;
    world.settle(world.tenant).await;
    let given = serde_json::json!({
        "email": "ann@acme.example", "code": world.code(), "digest": scene.digest,
        "actionType": "privilege_elevation", "endpointUser": "dora",
    });
    agent.post("/agent/v1/mfa/verify", &given).await.expect(200);
    world.clock.advance(std::time::Duration::from_secs(31));

    let page = scene.visit("").await.expect(200).text();
    assert!(page.contains("Its one-time code was yours"), "{page}");
    assert!(
        page.contains("value=\"deny\"") && !page.contains("value=\"approve\""),
        "{page}"
    );
    let code = world.code();
    let approve = [
        ("button", "approve"),
        ("digest", &scene.digest),
        ("code", &code),
        ("uses", ""),
        ("minutes", ""),
    ];
    let refused = scene.send("", &approve).await;
    assert!(
        refused.text().contains("Whoever approves a request can"),
        "{}",
        refused.text()
    );
    assert_eq!(scene.status().await, Status::Pending);
    world.clock.advance(std::time::Duration::from_secs(31));
    let code = world.code();
    let deny = [
        ("button", "deny"),
        ("digest", &scene.digest),
        ("code", &code),
        ("comment", "No"),
    ];
    scene.send("", &deny).await.expect(303);
    assert_eq!(scene.status().await, Status::Denied);
    assert!(scene.visit("").await.text().contains("This request was denied"));
}
