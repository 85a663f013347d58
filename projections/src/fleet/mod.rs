//! Deployment groups with their registration tokens, and endpoints. What an agent says of itself by heartbeat, and of its
//! machine by inventory, is state beside it ([`record_heartbeat`], [`record_inventory`]), joined by the readers.

mod endpoints;
mod groups;
mod heartbeat;
mod inventory;
mod reducer;
mod tokens;

pub use endpoints::{
    EndpointFilter, EndpointState, EndpointView, Liveness, SnapshotState, by_machine_id, counts_by_group, endpoint,
    endpoints, endpoints_by_id, online, public_key,
};
pub use groups::{GroupView, group, group_by_name, groups};
pub use heartbeat::{Heartbeat, Plugin, record_heartbeat};
pub use inventory::{InventoryFilter, InventoryItem, inventory, record_inventory};
pub use tokens::{TokenView, token, tokens};

use crate::{Delta, Projection};

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct Fleet;

impl Projection for Fleet {
    fn name(&self) -> &'static str {
        "fleet"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["fleet_endpoint", "fleet_token", "fleet_group"]
    }

    fn streams(&self) -> Option<&'static [&'static str]> {
        Some(&["deployment_group", "endpoint"])
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(reducer::FleetDelta::default())
    }
}
