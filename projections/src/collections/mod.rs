//! The tenant's collections as they are now.

mod reader;
mod reducer;
mod store;

pub use reader::{CollectionFilter, CollectionView, Usage, all, find, find_by_ref, list, lookup, used_by};

use crate::{Delta, Projection};

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct Collections;

impl Projection for Collections {
    fn name(&self) -> &'static str {
        "collections"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["collection"]
    }

    fn streams(&self) -> Option<&'static [&'static str]> {
        Some(&["collection"])
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(reducer::CollectionsDelta::default())
    }
}
