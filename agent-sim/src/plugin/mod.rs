//! The agent's parts behind one trait: each runs on its own, and one that fails is begun again.

mod api;
mod client;
mod logging;
mod policy;

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use formats::{
    Ambient,
    agent_wire::{PluginReport, PluginState},
};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

pub use api::{Api, Doors};
pub use client::Client;
pub use logging::Logging;
pub use policy::Policy;

use crate::agent::Agent;

/// What a plugin's run becomes.
pub type Running<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'a>>;

/// One part of the agent.
pub trait Plugin: Send + Sync + 'static {
    /// Its name in reports.
    fn name(&self) -> &'static str;
    /// Works until `stop`, or until something fails; then it is begun again after a pause.
    fn run<'a>(&'a self, agent: &'a Agent, stop: &'a CancellationToken) -> Running<'a>;
}

/// How the parts are.
#[derive(Debug, Default)]
pub(crate) struct Reports(Mutex<BTreeMap<&'static str, PluginReport>>);

impl Reports {
    pub(crate) fn list(&self) -> Vec<PluginReport> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    fn set(&self, name: &'static str, state: PluginState, detail: Option<String>) {
        let report = PluginReport {
            name: name.to_owned(),
            state,
            detail,
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, report);
    }
}

/// A plugin that worked for so long begins again with the shortest pause.
const HEALTHY: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_secs(1);

/// Runs the plugins until `stop`.
pub async fn run(agent: Agent, plugins: Vec<Box<dyn Plugin>>, stop: CancellationToken) {
    let mut tasks = JoinSet::new();
    for plugin in plugins {
        agent.0.plugins.set(plugin.name(), PluginState::Starting, None);
        tasks.spawn(supervise(agent.clone(), plugin, stop.clone()));
    }
    while tasks.join_next().await.is_some() {}
}

async fn supervise(agent: Agent, plugin: Box<dyn Plugin>, stop: CancellationToken) {
    let reports = &agent.0.plugins;
    let mut pause = SHORTEST;
    while !stop.is_cancelled() {
        reports.set(plugin.name(), PluginState::Running, None);
        let began = Instant::now();
        if let Err(error) = plugin.run(&agent, &stop).await {
            tracing::warn!(plugin = plugin.name(), %error, "a part of the agent failed and is begun again");
            reports.set(plugin.name(), PluginState::Failed, Some(error.to_string()));
            pause = if began.elapsed() > HEALTHY { SHORTEST } else { pause };
            tokio::select! {
                () = tokio::time::sleep(spread(agent.ambient(), pause)) => {}
                () = stop.cancelled() => {}
            }
            pause = (pause * 2).min(LONGEST);
        }
    }
    reports.set(plugin.name(), PluginState::Stopped, None);
}

/// Between a half and the whole of a pause, so that agents that were cut off together don't come back together.
pub(crate) fn spread(ambient: &Ambient, pause: Duration) -> Duration {
    let [random] = ambient.bytes::<1>();
    pause / 2 + pause * u32::from(random) / 512
}
