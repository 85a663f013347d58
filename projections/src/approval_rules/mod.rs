//! The tenant's approval rules, in the order in which they are asked.

mod reader;
mod reducer;
mod store;

pub use reader::{ApprovalRuleView, all, find};

use crate::{Delta, Projection};

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct ApprovalRules;

impl Projection for ApprovalRules {
    fn name(&self) -> &'static str {
        "approval_rules"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["approval_rule"]
    }

    fn streams(&self) -> Option<&'static [&'static str]> {
        Some(&["approval_rules"])
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(reducer::ApprovalRulesDelta::default())
    }
}
