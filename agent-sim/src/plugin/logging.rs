//! Delivers recorded actions.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Plugin, Running};
use crate::agent::Agent;

/// The delivery of recorded actions: when one was queued, and now and then.
#[derive(Debug, Default)]
pub struct Logging;

impl Plugin for Logging {
    fn name(&self) -> &'static str {
        "logging"
    }

    fn run<'a>(&'a self, agent: &'a Agent, stop: &'a CancellationToken) -> Running<'a> {
        Box::pin(async move {
            loop {
                agent.deliver().await?;
                tokio::select! {
                    () = agent.0.recorded.notified() => {}
                    () = tokio::time::sleep(Duration::from_secs(30)) => {}
                    () = stop.cancelled() => return Ok(()),
                }
            }
        })
    }
}
