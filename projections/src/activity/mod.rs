//! What agents recorded: the material of backtests, and of explanations years later.

mod reader;
mod reducer;

pub use reader::{ActivityView, Numbers, find, list, numbers, recorded_between, under_numbers};

use crate::{Delta, Projection};

/// The projection's name, for ever.
pub const NAME: &str = "activity";

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct Activity;

impl Projection for Activity {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["activity", "activity_endpoint"]
    }

    fn streams(&self) -> Option<&'static [&'static str]> {
        Some(&["activity", "person"])
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(reducer::ActivityDelta::default())
    }
}
