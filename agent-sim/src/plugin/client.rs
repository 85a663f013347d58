//! Keeps in touch: heartbeats, inventory, and what becomes of filed requests.

use std::{collections::HashSet, time::Duration};

use formats::RequestId;
use tokio::{task::JoinSet, time::Instant};
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
