//! Telling the server how it goes: recorded actions, inventory, heartbeats.

use formats::{
    RequestId,
    agent_wire::{
        ActivityBatch, ActivityStored, EndedGrants, Heartbeat, HeartbeatAnswer, HeldGrants, Inventory, PluginReport,
    },
};
use serde::Serialize;

use crate::{agent::Agent, enforced::Enforced, error::AgentError, link::Call};

/// What an agent says of itself, at its doors and in the terminal. Holds no personal data.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The agent's version.
    pub agent_version: &'static str,
    /// The server's public address.
    pub server: String,
    /// The endpoint.
    pub endpoint: formats::EndpointId,
    /// Its tenant.
    pub tenant: formats::TenantId,
    /// Its deployment group.
    pub group: formats::DeploymentGroupId,
    /// Whether the root key came with the deployment package.
    pub root_pinned: bool,
    /// Whether the server answered when it was last called.
    pub online: bool,
    /// The snapshot in force.
    pub snapshot: Option<formats::agent_wire::CitedSnapshot>,
    /// When the last statement about it expires.
    pub statement_expires_at: Option<formats::Timestamp>,
    /// Whether it has.
    pub outdated: bool,
    /// Why the last offered snapshot was refused.
    pub refusal: Option<String>,
    /// The version of the key set.
    pub key_set_version: u64,
    /// How many records wait to be delivered.
    pub queue_length: usize,
    /// How many grants are in hand.
    pub grants: usize,
    /// How many requests are open.
    pub open_requests: usize,
    /// How far this clock is ahead of the server's, in milliseconds.
    pub skew_ms: i64,
    /// The agent's parts.
    pub plugins: Vec<PluginReport>,
}

impl Agent {
    /// How the agent is.
    #[must_use]
    pub fn status(&self) -> Status {
        let core = self.core();
        let now = self.now();
        Status {
            agent_version: env!("CARGO_PKG_VERSION"),
            server: core.identity.server.clone(),
            endpoint: core.identity.endpoint,
            tenant: core.identity.tenant,
            group: core.identity.group,
            root_pinned: core.identity.pinned,
            online: self.is_online(),
            snapshot: core.enforced.as_ref().map(Enforced::cited),
            statement_expires_at: core.enforced.as_ref().map(|enforced| enforced.statement.expires_at),
            outdated: core.is_outdated(now),
            refusal: core.refusal.clone(),
            key_set_version: core.keys.version,
            queue_length: core.queue.len(),
            grants: core
                .grants
                .values()
                .filter(|grant| !grant.ended && core.by_server(now) < grant.claims.not_after)
                .count(),
            open_requests: core
                .requests
                .values()
                .filter(|request| !request.state.status.is_final())
                .count(),
            skew_ms: core.skew_ms,
            plugins: self.0.plugins.list(),
        }
    }

    /// Delivers recorded actions, oldest first, until none waits. How many were stored is told.
    ///
    /// # Errors
    /// As any call; what the server has not confirmed is sent again next time.
    pub async fn deliver(&self) -> Result<u64, AgentError> {
        let mut delivered = 0;
        loop {
            let (batch, last) = {
                let core = self.core();
                let records = core.queue.batch(&self.0.disk)?;
                let last = records.last().map(|record| record.seq);
                (
                    ActivityBatch {
                        records,
                        skew_ms: core.skew_ms,
                    },
                    last,
                )
            };
            let Some(last) = last else { return Ok(delivered) };
            let answer: ActivityStored = self.post("/activity", &batch).await?.json()?;
            if answer.stored_seq < last {
                return Err(AgentError::Protocol(format!(
                    "{last} was sent, and only {} is stored",
                    answer.stored_seq
                )));
            }
            self.core().queue.stored(&self.0.disk, answer.stored_seq)?;
            delivered += batch.records.len() as u64;
        }
    }

    /// Says how the agent is, and learns which grants have ended and whether there is a newer key set.
    ///
    /// # Errors
    /// As any call.
    pub async fn heartbeat(&self) -> Result<(), AgentError> {
        let report = {
            let mut core = self.core();
            let now = self.now();
            core.sweep(now);
            Heartbeat {
                agent_version: env!("CARGO_PKG_VERSION").to_owned(),
                snapshot: core.enforced.as_ref().map(Enforced::version),
                outdated: core.is_outdated(now),
                refusal: core.refusal.clone(),
                plugins: self.0.plugins.list(),
                queue_length: core.queue.len() as u64,
                grants: core.held_grants(),
                clock: now,
            }
        };
        let answer: HeartbeatAnswer = self.post("/heartbeat", &report).await?.json()?;
        let is_behind = {
            let mut core = self.core();
            core.end_grants(&self.0.disk, &answer.ended_grants)?;
            core.keys.version < answer.key_set_version
        };
        if is_behind {
            self.refresh_keys().await?;
        }
        Ok(())
    }

    /// The grants in hand that may be used, as far as the agent knows.
    #[must_use]
    pub fn held_grants(&self) -> Vec<RequestId> {
        let mut core = self.core();
        core.sweep(self.now());
        core.held_grants()
    }

    /// Asks which of these grants have ended, waiting up to so many seconds until one has, and uses those no more. How
    /// many it were is told.
    ///
    /// # Errors
    /// As any call.
    pub async fn watch_grants(&self, held: &[RequestId], wait: u32) -> Result<usize, AgentError> {
        let held = HeldGrants { grants: held.to_vec() };
        let call = Call::post("/grants", &held)?.waiting(wait);
        let EndedGrants { ended_grants } = self.send(call).await?.json()?;
        self.core().end_grants(&self.0.disk, &ended_grants)?;
        Ok(ended_grants.len())
    }

    /// Reports what is on the machine.
    ///
    /// # Errors
    /// As any call.
    pub async fn report_inventory(&self, inventory: &Inventory) -> Result<(), AgentError> {
        self.post("/inventory", inventory).await.map(drop)
    }
}
