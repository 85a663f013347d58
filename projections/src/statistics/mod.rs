//! Figures of the front page: how many of what happened on which day, in UTC. What there is now (policies by status,
//! endpoints by group, open requests) is counted where it stands.

mod reader;
mod reducer;

pub use reader::{DayFigures, Figure, days, total};

use crate::{Delta, Projection};

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct Statistics;

impl Projection for Statistics {
    fn name(&self) -> &'static str {
        "statistics"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["statistic"]
    }

    fn streams(&self) -> Option<&'static [&'static str]> {
        Some(&["request", "activity"])
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(reducer::StatisticsDelta::default())
    }
}
