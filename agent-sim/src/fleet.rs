//! Thousands of agents in one process: each registers, polls and verifies like a real one; none has a disk, and each body
//! is compiled once for all of them.

use std::{collections::BTreeMap, time::Duration};

use formats::{
    VerifyingKey,
    agent_wire::{MachineInfo, SnapshotVersion},
};
use policy_engine::{Action, ActionType, Application, Machine, Os, User};
use serde::Serialize;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{Agent, Registration, Surroundings},
    error::AgentError,
    local,
    plugin::spread,
    sync::Synced,
};

/// What a fleet is to do.
#[derive(Clone)]
pub struct FleetPlan {
    /// The server's public address.
    pub server: String,
    /// A registration token that is good for all of them.
    pub token: String,
    /// The tenant's root key.
    pub root: Option<VerifyingKey>,
    /// How many agents.
    pub agents: u32,
    /// How many of them register at a time.
    pub at_once: usize,
    /// How long they stay, after the last one registered.
    pub stay: Duration,
    /// How many actions each of them decides, records and delivers.
    pub actions: u32,
    /// What their machine names and ids begin with.
    pub prefix: String,
}

impl std::fmt::Debug for FleetPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FleetPlan")
            .field("server", &self.server)
            .field("agents", &self.agents)
            .finish_non_exhaustive()
    }
}

/// What became of a fleet.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetReport {
    /// How many agents were wanted.
    pub wanted: u32,
    /// How many registered.
    pub registered: u32,
    /// How long that took, in milliseconds.
    pub registration_ms: u64,
    /// Polls that brought nothing new.
    pub unchanged: u64,
    /// Polls that brought another snapshot.
    pub applied: u64,
    /// Polls and deliveries that failed.
    pub failed: u64,
    /// Recorded actions that were stored.
    pub delivered: u64,
    /// The first errors, as they were told.
    pub errors: Vec<String>,
    /// How each snapshot spread.
    pub snapshots: Vec<Spread>,
    /// How many agents ended on the newest snapshot.
    pub on_newest: u32,
}

/// How one snapshot spread over the fleet. Times are since the first agent had it, in milliseconds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// Which snapshot.
    pub snapshot: SnapshotVersion,
    /// How many agents took it.
    pub agents: usize,
    /// When a half of them had it.
    pub p50_ms: u64,
    /// When 99 of 100 had it.
    pub p99_ms: u64,
    /// When the last one had it.
    pub last_ms: u64,
}

impl FleetReport {
    /// Whether every agent registered, nothing failed, and all ended on one snapshot.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.registered == self.wanted && self.failed == 0 && self.on_newest == self.wanted
    }

    fn note(&mut self, error: &AgentError) {
        self.failed += 1;
        if self.errors.len() < 10 {
            self.errors.push(error.to_string());
        }
    }
}

/// What one agent tells at the end.
#[derive(Debug, Default)]
struct Told {
    report: FleetReport,
    taken: Vec<(SnapshotVersion, Instant)>,
}

/// Runs a fleet until its time is over or `stop`.
pub async fn run(plan: &FleetPlan, around: &Surroundings, stop: CancellationToken) -> FleetReport {
    let began = Instant::now();
    let mut report = FleetReport {
        wanted: plan.agents,
        ..FleetReport::default()
    };
    let agents = register(plan, around, &mut report, &stop).await;
    report.registration_ms = millis(began.elapsed());
    let until = Instant::now() + plan.stay;
    let mut tasks = JoinSet::new();
    for agent in agents {
        tasks.spawn(live(agent, plan.actions, until, stop.clone()));
    }
    let mut taken: BTreeMap<SnapshotVersion, Vec<Instant>> = BTreeMap::new();
    let mut last = Vec::new();
    while let Some(told) = tasks.join_next().await {
        let Ok(told) = told else { continue };
        report.unchanged += told.report.unchanged;
        report.applied += told.report.applied;
        report.failed += told.report.failed;
        report.delivered += told.report.delivered;
        let room = 10usize.saturating_sub(report.errors.len());
        report.errors.extend(told.report.errors.into_iter().take(room));
        last.extend(told.taken.last().map(|(version, _)| *version));
        for (version, at) in told.taken {
            taken.entry(version).or_default().push(at);
        }
    }
    let newest = taken.keys().next_back().copied();
    report.on_newest = u32::try_from(last.iter().filter(|v| Some(**v) == newest).count()).unwrap_or(u32::MAX);
    report.snapshots = taken
        .into_iter()
        .filter_map(|(version, times)| spread_of(version, times))
        .collect();
    report
}

async fn register(
    plan: &FleetPlan,
    around: &Surroundings,
    report: &mut FleetReport,
    stop: &CancellationToken,
) -> Vec<Agent> {
    let mut agents = Vec::new();
    let mut tasks = JoinSet::new();
    let mut next = 0;
    while next < plan.agents || !tasks.is_empty() {
        while next < plan.agents && tasks.len() < plan.at_once.max(1) && !stop.is_cancelled() {
            next += 1;
            let name = format!("{}-{next:05}", plan.prefix);
            let with = Registration {
                server: plan.server.clone(),
                token: plan.token.clone(),
                root: plan.root,
                machine: MachineInfo {
                    machine_id: name.clone(),
                    name,
                    os: Os::Linux,
                    os_version: "simulated".to_owned(),
                },
                replace: false,
            };
            tasks.spawn(Agent::register_in_memory(with, around.clone()));
        }
        match tasks.join_next().await {
            Some(Ok(Ok(agent))) => agents.push(agent),
            Some(Ok(Err(error))) => report.note(&error),
            Some(Err(_)) => {}
            None => break,
        }
    }
    report.registered = u32::try_from(agents.len()).unwrap_or(u32::MAX);
    agents
}

async fn live(agent: Agent, actions: u32, until: Instant, stop: CancellationToken) -> Told {
    let mut told = Told::default();
    let mut pause = Duration::from_millis(500);
    let mut has_acted = actions == 0;
    let mut wait = 0;
    loop {
        let synced = tokio::select! {
            synced = agent.sync(wait) => synced,
            () = tokio::time::sleep_until(until) => return told,
            () = stop.cancelled() => return told,
        };
        match synced {
            Ok(Synced::Applied(version)) => {
                told.report.applied += 1;
                told.taken.push((version, Instant::now()));
            }
            Ok(Synced::Unchanged) => told.report.unchanged += 1,
            Err(error) => {
                told.report.note(&error);
                tokio::time::sleep(spread(agent.ambient(), pause)).await;
                pause = (pause * 2).min(Duration::from_secs(30));
                continue;
            }
        }
        (pause, wait) = (Duration::from_millis(500), 50);
        if !has_acted {
            has_acted = true;
            match act(&agent, actions).await {
                Ok(delivered) => told.report.delivered += delivered,
                Err(error) => told.report.note(&error),
            }
        }
    }
}

/// Decides and records so many actions, and delivers them.
async fn act(agent: &Agent, actions: u32) -> Result<u64, AgentError> {
    let machine = agent.identity().machine;
    for n in 0..actions {
        let action = Action {
            action_type: ActionType::PrivilegeElevation,
            user: User {
                name: "simulated".to_owned(),
                groups: Vec::new(),
            },
            machine: Machine {
                name: machine.name.clone(),
                os: machine.os,
            },
            application: Some(Application {
                path: format!("/opt/simulated/tool-{n}"),
                ..Application::default()
            }),
            command_line: None,
            file: None,
            at: local::local_time(agent.ambient().now()),
            variables: BTreeMap::new(),
            online: true,
        };
        let asked = agent.ask(action, None)?;
        agent.run(
            &asked,
            Some("A simulated reason that is long enough for every tenant's setting."),
        )?;
    }
    agent.deliver().await
}

fn spread_of(snapshot: SnapshotVersion, mut times: Vec<Instant>) -> Option<Spread> {
    times.sort_unstable();
    let first = *times.first()?;
    let at = |share: usize| {
        let index = (times.len() * share).div_ceil(100).saturating_sub(1);
        millis(times[index] - first)
    };
    Some(Spread {
        snapshot,
        agents: times.len(),
        p50_ms: at(50),
        p99_ms: at(99),
        last_ms: at(100),
    })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
