//! What an agent said of itself the last time. State: the server writes it as it comes, and no rebuild touches it.

use eventstore::TenantTx;
use formats::{EndpointId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::columns::{moment, number, small, tenant, without_nul};

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Who.
    pub endpoint: EndpointId,
    /// When, by the server's clock.
    pub at: Timestamp,
    /// The agent's version.
    pub agent_version: Option<String>,
    /// The version of the snapshot it enforces, as it says.
    pub snapshot_version: Option<u64>,
    /// Records that wait on the endpoint.
    pub queue_length: Option<u32>,
    /// The endpoint's clock minus the server's, in milliseconds.
    pub clock_skew_ms: Option<i64>,
    /// What its plugins do.
    pub plugins: Vec<Plugin>,
}

/// A plugin of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plugin {
    /// Its name, such as `policy`.
    pub name: String,
    /// Its state in a word.
    pub state: String,
}

/// Stores what an agent says. What it leaves out stays as it was; a heartbeat that was overtaken changes nothing.
///
/// # Errors
/// Where the database refuses, or is away.
pub async fn record_heartbeat(tx: &mut TenantTx, heartbeat: &Heartbeat) -> Result<(), sqlx::Error> {
    let plugins = serde_json::to_string(&heartbeat.plugins).unwrap_or_else(|_| "[]".to_owned());
    sqlx::query(
        "insert into endpoint_status as s (tenant_id, endpoint_id, last_seen_at, agent_version, snapshot_version,
           queue_length, clock_skew_ms, plugins)
         values ($1, $2, $3, $4, $5, $6, $7, $8::text::json)
         on conflict (tenant_id, endpoint_id) do update set
           last_seen_at = excluded.last_seen_at,
           agent_version = coalesce(excluded.agent_version, s.agent_version),
           snapshot_version = coalesce(excluded.snapshot_version, s.snapshot_version),
           queue_length = coalesce(excluded.queue_length, s.queue_length),
           clock_skew_ms = coalesce(excluded.clock_skew_ms, s.clock_skew_ms),
           plugins = case when json_array_length(excluded.plugins) = 0 then s.plugins else excluded.plugins end
         where s.last_seen_at <= excluded.last_seen_at",
    )
    .bind(tenant(tx))
    .bind(heartbeat.endpoint.uuid())
    .bind(moment(heartbeat.at))
    .bind(heartbeat.agent_version.as_deref().map(without_nul))
    .bind(heartbeat.snapshot_version.map(number))
    .bind(heartbeat.queue_length.map(small))
    .bind(heartbeat.clock_skew_ms)
    .bind(plugins)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
