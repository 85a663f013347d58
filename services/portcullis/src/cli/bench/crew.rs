//! Who takes part in a measurement of latency: agents that file, and administrators who approve, in each tenant of the
//! demo data. There are so many that nobody meets a limit of calls (`api::Rates`).

use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use commands::{Caller, NewUser, Origin, Principal};
use formats::{RequestId, TenantId, agent_wire::MachineInfo};
use model::Role;
use portcullis_agent::{Agent, Registration, Surroundings};
use reqwest::Client;
use serde_json::{Value, json};

use crate::dev::{PASSWORD, ReadyTenant, Running};

/// Requests that an agent files: it makes at least two calls for each, of 600 a minute.
const FILED_BY_ONE: u64 = 200;
/// Requests that an administrator approves, of 1,000 calls a minute.
const APPROVED_BY_ONE: u64 = 800;

/// Everybody.
pub(super) struct Crew {
    /// The agents, tenants in turn.
    pub(super) agents: Vec<(usize, Agent)>,
    /// The administrators of each tenant.
    pub(super) approvers: Vec<Vec<Approver>>,
}

impl Crew {
    /// Makes and signs in as many as so many requests take.
    pub(super) async fn gather(running: &Running, requests: u64) -> anyhow::Result<Self> {
        let tenants = &running.ready.tenants;
        let each = requests.div_ceil(tenants.len() as u64);
        let around = Surroundings::system(None)?;
        let mut approvers = Vec::new();
        let mut agents = Vec::new();
        for (n, tenant) in tenants.iter().enumerate() {
            let mut ours = Vec::new();
            for k in 0..each.div_ceil(APPROVED_BY_ONE) {
                ours.push(Approver::hire(running, tenant, k).await?);
            }
            approvers.push(ours);
            for k in 0..each.div_ceil(FILED_BY_ONE).max(8) {
                agents.push((n, register(running, tenant, &around, k).await?));
            }
        }
        agents.sort_by_key(|(n, agent)| (agent.identity().machine.name, *n));
        Ok(Self { agents, approvers })
    }
}

async fn register(running: &Running, tenant: &ReadyTenant, around: &Surroundings, n: u64) -> anyhow::Result<Agent> {
    let group = tenant.deployment_groups.last().context("a deployment group")?;
    let with = Registration {
        server: running.ready.url.clone(),
        token: group.registration_token.clone(),
        root: Some(serde_json::from_value(json!(tenant.root_key))?),
        machine: MachineInfo {
            name: format!("BENCH-{n:04}"),
            os: policy_engine::Os::Windows,
            os_version: "11 24H2".to_owned(),
            machine_id: around.ambient.uuid().to_string(),
        },
        replace: false,
    };
    let agent = Agent::register_in_memory(with, around.clone()).await?;
    agent.sync_once().await?;
    ensure!(agent.enforced().is_some(), "an agent got no snapshot");
    Ok(agent)
}

/// An administrator's browser.
#[derive(Clone)]
pub(super) struct Approver {
    client: Client,
    server: String,
    csrf: String,
}

impl Approver {
    async fn hire(running: &Running, tenant: &ReadyTenant, n: u64) -> anyhow::Result<Self> {
        let app = &running.parts.app;
        let id: TenantId = tenant.id.parse()?;
        let system = Caller {
            tenant: id,
            principal: Principal::System,
            origin: Origin::inside(app.store.ambient().uuid()),
        };
        let email = format!("bench-{n}@{}.test", tenant.slug);
        let new = NewUser {
            email: email.clone(),
            name: format!("Administrator {n}"),
            roles: vec![Role::Admin],
            password: Some(PASSWORD.to_owned()),
            source: "demo",
        };
        let made = app
            .create_user(&system, new)
            .await
            .map_err(|refusal| anyhow!("{refusal}"))?;
        app.settled(id, made.position).await;
        let client = Client::builder()
            .cookie_store(true)
            .timeout(Duration::from_secs(60))
            .build()?;
        let server = running.ready.url.clone();
        let body = json!({ "tenant": tenant.slug, "email": email, "password": PASSWORD });
        let answer = client.post(format!("{server}/auth/sign-in")).json(&body).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "sign-in: {}", answer.text().await?);
        let session: Value = client
            .get(format!("{server}/auth/session"))
            .send()
            .await?
            .json()
            .await?;
        let csrf = session["csrfToken"]
            .as_str()
            .context("the session has no csrfToken")?
            .to_owned();
        Ok(Self { client, server, csrf })
    }

    /// Approves through GraphQL, as the console does.
    pub(super) async fn approve(&self, request: RequestId, digest: &str) -> anyhow::Result<()> {
        let mutation = "mutation($input: ApproveInput!) { approve(input: $input) { position } }";
        let input = json!({ "requestId": request, "digest": digest });
        let answer = self
            .client
            .post(format!("{}/graphql", self.server))
            .header("x-csrf-token", &self.csrf)
            .json(&json!({ "query": mutation, "variables": { "input": input } }))
            .send()
            .await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        ensure!(
            body["data"]["approve"]["position"].is_u64(),
            "the approval was answered {status}: {body}"
        );
        Ok(())
    }
}
