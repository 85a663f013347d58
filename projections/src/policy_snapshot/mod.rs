//! What the agents of each deployment group enforce: one canonical body per group, its hash, and the version, which is
//! the last position that changed the body (`docs/formats.md § 7`).
//!
//! The rules are in [`Shelf`], which is pure: it takes the tenant's events one by one, so that versions don't depend on
//! how the log is cut into batches, and serves replays of the past as well as the rows. A group is given only what it
//! needs: policies that are not `off`, the staged revision where it is among its groups, and the collections that these
//! name.
//!
//! A change that leaves less than half of ten or more policies, within one spell of changes, is held until somebody
//! confirms it; agents go on with what they were given before.

mod reader;
mod rendition;
mod shelf;
mod store;
#[cfg(test)]
mod tests;

pub use reader::{Body, HeldSnapshot, Offered, body, body_of, forget_bodies, held, offered, offered_to};
pub use shelf::{HELD_FROM, SPELL, Shelf};

use eventstore::TenantTx;

use crate::{Build, Delta, Envelope, FlushError, FoldError, Projection, projection::BoxFuture};

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct PolicySnapshot;

impl Projection for PolicySnapshot {
    fn name(&self) -> &'static str {
        "policy_snapshot"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[
            "snapshot_group",
            "snapshot_tenant",
            "snapshot_collection",
            "snapshot_policy",
        ]
    }

    fn streams(&self) -> Option<&'static [&'static str]> {
        Some(&["tenant", "policy", "collection", "deployment_group"])
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(SnapshotDelta::default())
    }
}

/// The events that may change a snapshot. They are rare, and each is judged against what came before it.
#[derive(Debug, Default)]
struct SnapshotDelta {
    events: Vec<Envelope>,
}

impl Delta for SnapshotDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        if Shelf::concerns(&event.event) {
            self.events.push(event.clone());
        }
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move {
            if self.events.is_empty() {
                return Ok(());
            }
            let mut shelf = store::load(tx, build.number).await?;
            for event in &self.events {
                shelf
                    .take(event)
                    .map_err(|error| FlushError::Value(error.to_string()))?;
            }
            shelf.settle();
            store::save(tx, build.number, &shelf).await
        })
    }
}
