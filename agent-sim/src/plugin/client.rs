//! Keeps in touch: heartbeats, inventory, what becomes of filed requests, and whether a grant was taken back.

use std::{collections::HashSet, time::Duration};

use formats::{RequestId, agent_wire::MAX_WAIT};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{Plugin, Running, spread};
use crate::{agent::Agent, local};

const HEARTBEAT: Duration = Duration::from_secs(60);
const INVENTORY: Duration = Duration::from_secs(24 * 3600);
/// How long one task follows a request before it is begun again.
const FOLLOW: Duration = Duration::from_secs(600);

/// The agent's own conversation with the server.
#[derive(Debug, Default)]
pub struct Client;

impl Plugin for Client {
    fn name(&self) -> &'static str {
        "client"
    }

    fn run<'a>(&'a self, agent: &'a Agent, stop: &'a CancellationToken) -> Running<'a> {
        Box::pin(async move {
            let mut follow = Follow::default();
            let mut watch = Watch::default();
            let mut inventory_due = Instant::now();
            let mut heartbeat_due = Instant::now();
            loop {
                if heartbeat_due <= Instant::now() {
                    agent.heartbeat().await?;
                    heartbeat_due = Instant::now() + spread(agent.ambient(), HEARTBEAT);
                }
                if inventory_due <= Instant::now() {
                    let found = tokio::task::spawn_blocking(local::inventory).await?;
                    agent.report_inventory(&found).await?;
                    inventory_due = Instant::now() + INVENTORY;
                }
                follow.begin(agent);
                watch.begin(agent);
                tokio::select! {
                    () = tokio::time::sleep_until(heartbeat_due) => {}
                    () = agent.0.filed.notified() => {}
                    ended = follow.tasks.join_next(), if !follow.tasks.is_empty() => {
                        if let Some(Ok(id)) = ended {
                            follow.followed.remove(&id);
                        }
                    }
                    () = stop.cancelled() => return Ok(()),
                }
            }
        })
    }
}

/// The tasks that wait for open requests, one each.
#[derive(Default)]
struct Follow {
    tasks: JoinSet<RequestId>,
    followed: HashSet<RequestId>,
}

impl Follow {
    fn begin(&mut self, agent: &Agent) {
        for id in agent.open_requests() {
            if self.followed.insert(id) {
                let agent = agent.clone();
                self.tasks.spawn(async move {
                    if let Err(error) = agent.wait_decision(id, FOLLOW).await {
                        tracing::warn!(request = %id, %error, "a request could not be followed");
                        agent.forget_if_unknown(id, &error);
                        tokio::time::sleep(spread(agent.ambient(), Duration::from_secs(30))).await;
                    }
                    id
                });
            }
        }
    }
}

/// The task that hears of the end of grants in hand; begun again when there are others.
#[derive(Default)]
struct Watch {
    held: Vec<RequestId>,
    task: Option<JoinHandle<()>>,
}

impl Watch {
    fn begin(&mut self, agent: &Agent) {
        let held = agent.held_grants();
        let runs = self.task.as_ref().is_some_and(|task| !task.is_finished());
        if held == self.held && (runs || held.is_empty()) {
            return;
        }
        self.end();
        self.held.clone_from(&held);
        if !held.is_empty() {
            self.task = Some(tokio::spawn(watch(agent.clone(), held)));
        }
    }

    fn end(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends with the first grant that ended, since others are in hand then.
async fn watch(agent: Agent, held: Vec<RequestId>) {
    loop {
        let began = Instant::now();
        match agent.watch_grants(&held, MAX_WAIT).await {
            Ok(0) => {
                // A server that answers at once, though it was asked to wait, is not asked in a hot loop.
                tokio::time::sleep(Duration::from_millis(200).saturating_sub(began.elapsed())).await;
            }
            Ok(ended) => {
                tracing::info!(ended, "grants were taken back, or are over");
                agent.0.filed.notify_one();
                return;
            }
            Err(error) => {
                tracing::debug!(%error, "grants can't be watched for now; heartbeats still tell");
                tokio::time::sleep(spread(agent.ambient(), Duration::from_secs(30))).await;
            }
        }
    }
}
