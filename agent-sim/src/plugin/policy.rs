//! Keeps the snapshot current.

use tokio_util::sync::CancellationToken;

use super::{Plugin, Running};
use crate::agent::Agent;

/// How long one poll waits, in seconds.
const WAIT: u32 = 50;

/// The long poll for the snapshot.
#[derive(Debug, Default)]
pub struct Policy;

impl Plugin for Policy {
    fn name(&self) -> &'static str {
        "policy"
    }

    fn run<'a>(&'a self, agent: &'a Agent, stop: &'a CancellationToken) -> Running<'a> {
        Box::pin(async move {
            loop {
                let began = tokio::time::Instant::now();
                tokio::select! {
                    synced = agent.sync(WAIT) => {
                        synced?;
                    }
                    () = stop.cancelled() => return Ok(()),
                }
                // A server that answers at once though nothing changed is not asked in a hot loop.
                let rest = std::time::Duration::from_millis(200).saturating_sub(began.elapsed());
                tokio::time::sleep(rest).await;
            }
        })
    }
}
