//! `demo`: the product's story against a development server, each step with the event it left in the log. Exits 0 only
//! if each step held.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use formats::{Ambient, Clock, RequestId, SystemClock, SystemEntropy, Timestamp, agent_wire::MachineInfo};
use policy_engine::{Action, Outcome, Step};
use portcullis_agent::{Agent, Ran, Registration, Surroundings, Synced};
use reqwest::{Client, Method, StatusCode, header};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::{
    cli::say,
    dev::{Ready, ReadyTenant, ReadyUser},
};

/// How long a step that takes its time may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Tells the story, printing each step as text or as a JSON line; whether each step held.
///
/// # Errors
/// Where the server does not answer or is not in development mode.
pub async fn tell(server: &str, json: bool) -> anyhow::Result<bool> {
    let mut story = Story::begin(server.trim_end_matches('/').to_owned(), json).await?;
    match story.tell().await {
        Ok(()) => {
            if !json {
                say("\nEvery step held.");
            }
            Ok(true)
        }
        Err(error) => {
            say(format!("\nThis step did not hold: {error:#}"));
            Ok(false)
        }
    }
}

/// A signed-in browser.
struct Browser {
    client: Client,
    server: String,
    csrf: String,
}

impl Browser {
    async fn sign_in(
        server: &str,
        tenant: &ReadyTenant,
        user: &ReadyUser,
        code: Option<String>,
    ) -> anyhow::Result<Self> {
        let client = Client::builder()
            .cookie_store(true)
            .timeout(Duration::from_secs(30))
            .build()?;
        let body = json!({ "tenant": tenant.slug, "email": user.email, "password": user.password, "code": code });
        let answer = client.post(format!("{server}/auth/sign-in")).json(&body).send().await?;
        ensure!(
            answer.status().is_success(),
            "sign-in of {}: {}",
            user.email,
            answer.text().await?
        );
        let session: Value = client
            .get(format!("{server}/auth/session"))
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        let csrf = session["csrfToken"]
            .as_str()
            .context("the session has no csrfToken")?
            .to_owned();
        Ok(Self {
            client,
            server: server.to_owned(),
            csrf,
        })
    }

    async fn graphql(&self, query: &str, variables: Value) -> anyhow::Result<Value> {
        let answer = self
            .client
            .post(format!("{}/graphql", self.server))
            .header("x-csrf-token", &self.csrf)
            .json(&json!({ "query": query, "variables": variables }))
            .send()
            .await?;
        let body: Value = answer.json().await?;
        if let Some(errors) = body.get("errors").filter(|errors| !errors.is_null()) {
            bail!("GraphQL: {errors}");
        }
        Ok(body["data"].clone())
    }
}

struct Story {
    server: String,
    ready: Ready,
    client: Client,
    clock: Arc<SystemClock>,
    json: bool,
    step: u32,
    run: String,
}

impl Story {
    async fn begin(server: String, json: bool) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let answer = client
            .get(format!("{server}/dev/ready.json"))
            .send()
            .await
            .with_context(|| format!("no server answers at {server}; start one with `portcullis dev`"))?;
        ensure!(
            answer.status().is_success(),
            "{server} is not in development mode: the demo needs its mailbox and clock"
        );
        let ready: Ready = answer.json().await?;
        let clock = Arc::new(SystemClock::default());
        let run = Ambient::system().uuid().simple().to_string()[26..].to_owned();
        let story = Self {
            server,
            ready,
            client,
            clock,
            json,
            step: 0,
            run,
        };
        story.follow_clock().await?;
        Ok(story)
    }

    async fn tell(&mut self) -> anyhow::Result<()> {
        let tenant = self
            .ready
            .tenants
            .first()
            .cloned()
            .context("the server has no demo data (it was started with --empty)")?;
        self.tell_approval(&tenant).await?;
        self.tell_escalation(&tenant).await
    }

    /// The first story: asked, approved, used, found in the audit trail.
    async fn tell_approval(&mut self, tenant: &ReadyTenant) -> anyhow::Result<()> {
        self.headline("An action is asked for, approved by mail, and used");
        let admin = Browser::sign_in(&self.server, tenant, user(tenant, "admin")?, None).await?;
        let after = self.head(&admin).await?;
        self.create_policy(&admin).await?;
        let agent = self.register(tenant).await?;
        let asked = self.hold(&agent, "tool.exe").await?;
        let request = self.submit(&agent, &asked).await?;
        self.queue(&admin, request).await?;
        let link = self.link(user(tenant, "approver")?, request).await?;
        self.scan(&admin, &link, request).await?;
        let waiting = tokio::spawn({
            let agent = agent.clone();
            async move { agent.wait_decision(request, Duration::from_secs(60)).await }
        });
        self.approve(&link, user(tenant, "approver")?).await?;
        self.told(
            "RequestApproved",
            "the approver approved on the page behind the link, after a one-time code",
        );
        let state = waiting.await??;
        ensure!(
            state.grant.is_some(),
            "the agent's long poll came back without a grant: {state:?}"
        );
        self.told(
            "",
            "the agent's long poll came back with a signed grant, which it verified",
        );
        match agent.run_with_grant(&asked, request, None)? {
            Ran::Permitted { grant_use: Some(_), .. } => self.told("", "the agent let the action go on, once"),
            other => bail!("the agent did not let the action go on: {other:?}"),
        }
        agent.deliver().await?;
        self.told("ActionRecorded", "the agent delivered its record");
        let wanted = [
            "PolicyCreated",
            "EndpointRegistered",
            "SnapshotApplied",
            "RequestSubmitted",
            "ApprovalGiven",
            "RequestApproved",
            "ActionRecorded",
            "GrantUsed",
            "GrantExhausted",
        ];
        self.audit(&admin, after, request, &wanted).await
    }

    /// The second story: nobody decides, by the moved clock.
    async fn tell_escalation(&mut self, tenant: &ReadyTenant) -> anyhow::Result<()> {
        self.headline("Nobody decides: the clock escalates, then expires");
        let admin = Browser::sign_in(&self.server, tenant, user(tenant, "admin")?, None).await?;
        let after = self.head(&admin).await?;
        let agent = self.register(tenant).await?;
        let asked = self.hold(&agent, "other.exe").await?;
        let request = self.submit(&agent, &asked).await?;
        self.advance(Duration::from_secs(30 * 60)).await?;
        self.status(&admin, request, "ESCALATED").await?;
        self.told(
            "RequestEscalated",
            "half an hour passed: the secondary approvers are asked",
        );
        self.link(user(tenant, "admin")?, request).await?;
        self.advance(Duration::from_secs(4 * 60 * 60)).await?;
        self.status(&admin, request, "EXPIRED").await?;
        self.told("RequestExpired", "four more hours passed: the request is over");
        let state = agent.wait_decision(request, PATIENCE).await?;
        ensure!(state.grant.is_none(), "an expired request has a grant");
        self.told("", "the agent learned that nobody decided; the action stays blocked");
        self.audit(
            &admin,
            after,
            request,
            &["RequestSubmitted", "RequestEscalated", "RequestExpired"],
        )
        .await
    }

    async fn create_policy(&mut self, admin: &Browser) -> anyhow::Result<()> {
        let document = json!({
            "name": format!("Demo {} asks a colleague", self.run), "type": "privilege_elevation", "status": "enforce",
            "controls": ["approval"], "users": ["*"], "machines": ["*"],
            "applications": [format!("path:C:\\Demo\\{}\\*", self.run)], "riskLevel": 40
        });
        let mutation =
            "mutation($input: CreatePolicyInput!) { createPolicy(input: $input) { position policy { id } } }";
        let done = admin
            .graphql(
                mutation,
                json!({ "input": { "document": document, "comment": "The demo" } }),
            )
            .await?;
        let position = done["createPolicy"]["position"].clone();
        self.told_at("PolicyCreated", &position, "the admin created a policy by GraphQL");
        Ok(())
    }

    async fn register(&mut self, tenant: &ReadyTenant) -> anyhow::Result<Agent> {
        let group = tenant.deployment_groups.first().context("no deployment group")?;
        let around = Surroundings {
            ambient: Ambient::new(self.clock.clone(), Arc::new(SystemEntropy)),
            ..Surroundings::system(None)?
        };
        let n = around.ambient.uuid().simple().to_string();
        let machine = MachineInfo {
            name: format!("DEMO-{}", &n[26..]),
            os: policy_engine::Os::Windows,
            os_version: "11 24H2".to_owned(),
            machine_id: format!("demo-{n}"),
        };
        let with = Registration {
            server: self.server.clone(),
            token: group.registration_token.clone(),
            root: Some(serde_json::from_value(json!(tenant.root_key))?),
            machine,
            replace: false,
        };
        let agent = Agent::register_in_memory(with, around).await?;
        self.told(
            "EndpointRegistered",
            &format!("an agent registered with the token of “{}”", group.name),
        );
        let synced = agent.sync_once().await?;
        ensure!(
            !matches!(synced, Synced::Unchanged),
            "the agent got no snapshot: {synced:?}"
        );
        let enforced = agent.enforced().context("the agent enforces nothing")?;
        self.told(
            "SnapshotApplied",
            &format!(
                "it verified and applied the signed snapshot, version {}",
                enforced.statement.version
            ),
        );
        Ok(agent)
    }

    async fn hold(&mut self, agent: &Agent, program: &str) -> anyhow::Result<portcullis_agent::Asked> {
        let action: Action = serde_json::from_value(json!({
            "type": "privilege_elevation",
            "user": {"name": "DEMO\\dana", "groups": ["Developers"]},
            "machine": {"name": agent.identity().machine.name, "os": "windows"},
            "application": {"path": format!("C:\\Demo\\{}\\{program}", self.run)},
            "at": self.clock.now().to_string(),
            "variables": {"userprofile": "C:\\Users\\dana", "windir": "C:\\Windows"},
        }))?;
        // The policy may still be on its way to this group.
        let begun = tokio::time::Instant::now();
        loop {
            let asked = agent.ask(action.clone(), None)?;
            if asked.decision.outcome == Outcome::Required && asked.missing.contains(&Step::Approval) {
                self.told(
                    "",
                    "a user's elevation is held: it needs a justification and an approval",
                );
                return Ok(asked);
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "the agent did not hold the action: {:?}",
                asked.decision
            );
            agent.sync(1).await?;
        }
    }

    async fn submit(&mut self, agent: &Agent, asked: &portcullis_agent::Asked) -> anyhow::Result<RequestId> {
        let state = agent.submit(asked, "The demo needs it").await?;
        self.told("RequestSubmitted", &format!("the agent filed {}", state.request_id));
        Ok(state.request_id)
    }

    async fn queue(&mut self, admin: &Browser, request: RequestId) -> anyhow::Result<()> {
        let begun = tokio::time::Instant::now();
        loop {
            let query = "{ requests(first: 20, filter: {statuses: [PENDING]}) { nodes { id } } }";
            let data = admin.graphql(query, json!({})).await?;
            let found = data["requests"]["nodes"]
                .as_array()
                .is_some_and(|rows| rows.iter().any(|r| r["id"] == json!(request)));
            if found {
                self.told("", "the request is in the queue");
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "the request did not reach the queue");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The link in the mail about this request.
    async fn link(&mut self, user: &ReadyUser, request: RequestId) -> anyhow::Result<String> {
        let begun = tokio::time::Instant::now();
        loop {
            let mails: Vec<Value> = self
                .client
                .get(format!("{}/messages.json", self.ready.mailbox_url))
                .send()
                .await?
                .json()
                .await?;
            let mail = mails.iter().rev().find(|mail| {
                mail["to"].as_array().is_some_and(|to| to.contains(&json!(user.email)))
                    && mail["text"]
                        .as_str()
                        .is_some_and(|text| text.contains(&request.to_string()))
            });
            if let Some(link) = mail.and_then(|mail| mail["links"][0].as_str()) {
                let subject = mail.map(|mail| mail["subject"].clone()).unwrap_or_default();
                self.told("", &format!("a mail came by SMTP to {}: {subject}", user.email));
                return Ok(link.to_owned());
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "no mail about {request} came to {}",
                user.email
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What link scanners do changes nothing.
    async fn scan(&mut self, admin: &Browser, link: &str, request: RequestId) -> anyhow::Result<()> {
        for method in [Method::GET, Method::HEAD, Method::GET] {
            let answer = self.client.request(method, link).send().await?;
            ensure!(
                answer.status() == StatusCode::OK,
                "the link answered {}",
                answer.status()
            );
        }
        self.status(admin, request, "PENDING").await?;
        self.told("", "opening the link three times changed nothing");
        Ok(())
    }

    async fn approve(&mut self, link: &str, approver: &ReadyUser) -> anyhow::Result<()> {
        let page = self.client.get(link).send().await?.text().await?;
        let digest = page
            .split("name=\"digest\" value=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .context("the page shows no digest")?
            .to_owned();
        // A time step is accepted once: the clock moves to the next, so that the story can be told again at once.
        self.advance(Duration::from_secs(30)).await?;
        let code = code(approver, self.clock.now())?;
        let form = [
            ("button", "approve"),
            ("digest", &digest),
            ("code", &code),
            ("comment", "Looks right"),
        ];
        let answer = self
            .client
            .post(link)
            .header(header::ORIGIN, &self.server)
            .form(&form)
            .send()
            .await?;
        let status = answer.status();
        ensure!(
            status == StatusCode::SEE_OTHER,
            "the page answered {status}: {}",
            answer.text().await?
        );
        Ok(())
    }

    async fn status(&self, admin: &Browser, request: RequestId, wanted: &str) -> anyhow::Result<()> {
        let begun = tokio::time::Instant::now();
        loop {
            let data = admin
                .graphql(
                    "query($id: ID!) { request(id: $id) { status } }",
                    json!({ "id": request }),
                )
                .await?;
            if data["request"]["status"] == json!(wanted) {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "the request is {} and not {wanted}",
                data["request"]["status"]
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn head(&self, admin: &Browser) -> anyhow::Result<u64> {
        let data = admin
            .graphql("{ auditEvents(first: 1) { nodes { position } } }", json!({}))
            .await?;
        data["auditEvents"]["nodes"][0]["position"]
            .as_u64()
            .context("the audit trail is empty")
    }

    /// Waits until the audit trail lists these events, then prints them with their positions.
    async fn audit(&mut self, admin: &Browser, after: u64, request: RequestId, wanted: &[&str]) -> anyhow::Result<()> {
        let begun = tokio::time::Instant::now();
        loop {
            let query = "query($from: Position!) { auditEvents(first: 200, filter: {fromPosition: $from}) { nodes { position type summary streamType streamId } } }";
            let data = admin.graphql(query, json!({ "from": after + 1 })).await?;
            let mut rows = data["auditEvents"]["nodes"].as_array().cloned().unwrap_or_default();
            // Other requests may end by the moved clock too.
            rows.retain(|row| row["streamType"] != json!("request") || row["streamId"] == json!(request));
            rows.sort_by_key(|row| row["position"].as_u64());
            let missing: Vec<_> = wanted
                .iter()
                .filter(|w| !rows.iter().any(|row| row["type"] == json!(**w)))
                .collect();
            if missing.is_empty() {
                self.told("", "the audit trail lists it all:");
                for row in rows
                    .iter()
                    .filter(|row| wanted.contains(&row["type"].as_str().unwrap_or_default()))
                {
                    if !self.json {
                        let (position, kind) = (&row["position"], row["type"].as_str().unwrap_or_default());
                        say(format!(
                            "        {position:>6}  {kind:<20} {}",
                            row["summary"].as_str().unwrap_or_default()
                        ));
                    }
                }
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "the audit trail lacks {missing:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn advance(&self, by: Duration) -> anyhow::Result<()> {
        let body = json!({ "advanceMs": u64::try_from(by.as_millis())? });
        self.client
            .post(format!("{}/clock", self.ready.mailbox_url))
            .json(&body)
            .send()
            .await?
            .error_for_status()?;
        self.follow_clock().await
    }

    /// Sets this process's clock to the server's.
    async fn follow_clock(&self) -> anyhow::Result<()> {
        let answer: Value = self
            .client
            .get(format!("{}/clock", self.ready.mailbox_url))
            .send()
            .await?
            .json()
            .await?;
        let theirs: Timestamp = serde_json::from_value(answer["now"].clone())?;
        self.clock.advance(theirs.millis() - self.clock.now().millis());
        Ok(())
    }

    fn headline(&self, text: &str) {
        if !self.json {
            say(format!("\n{text}\n"));
        }
    }

    fn told(&mut self, event: &str, text: &str) {
        self.told_at(event, &Value::Null, text);
    }

    fn told_at(&mut self, event: &str, position: &Value, text: &str) {
        self.step += 1;
        if self.json {
            say(json!({ "step": self.step, "event": event, "position": position, "text": text }));
        } else {
            let event = match position.as_u64() {
                Some(position) => format!("{event} @{position}"),
                None => event.to_owned(),
            };
            say(format!(
                "  {:>2}. {text}{}",
                self.step,
                if event.is_empty() {
                    String::new()
                } else {
                    format!("  [{event}]")
                }
            ));
        }
    }
}

fn user<'a>(tenant: &'a ReadyTenant, role: &str) -> anyhow::Result<&'a ReadyUser> {
    tenant
        .users
        .iter()
        .find(|user| user.roles.iter().any(|r| r == role))
        .with_context(|| format!("no {role} in the demo data"))
}

/// The one-time code of a user at a moment.
fn code(user: &ReadyUser, now: Timestamp) -> anyhow::Result<String> {
    let secret = user.totp_secret.as_deref().context("the user has no TOTP secret")?;
    let secret = Secret::try_from_base32(secret).map_err(|_| anyhow::anyhow!("the TOTP secret is no base32"))?;
    let totp = Builder::new()
        .with_secret(secret)
        .with_account_name(user.email.clone())
        .with_issuer(Some("Portcullis".to_owned()))
        .build()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(totp.generate(u64::try_from(now.seconds())?).to_string())
}
