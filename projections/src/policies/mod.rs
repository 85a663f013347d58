//! Policies as they are now, and each of their revisions.
//!
//! A deleted policy keeps its row, so that old requests and decisions can still name it.

mod reader;
mod reducer;
mod store;

pub(crate) use reducer::collection_refs;

pub use reader::{
    CurrentPolicy, PolicyFilter, PolicySort, PolicyView, RevisionChange, RevisionState, RevisionView, Staged, count,
    counts_by_status, current, ever_monitored, find, find_many, list, monitored, revision, revisions,
    revisions_by_number, using_collection,
};

use crate::{Delta, Projection};

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct Policies;

impl Projection for Policies {
    fn name(&self) -> &'static str {
        "policies"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["policy_revision", "policy"]
    }

    fn streams(&self) -> Option<&'static [&'static str]> {
        Some(&["policy"])
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(reducer::PoliciesDelta::default())
    }
}
