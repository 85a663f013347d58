//! The identity providers with which a tenant's people sign in. Their secrets are state, elsewhere.

mod reducer;
mod store;

pub use store::{ProviderView, provider, providers};

use crate::{Delta, Projection};

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct IdentityProviders;

impl Projection for IdentityProviders {
    fn name(&self) -> &'static str {
        "identity_providers"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["identity_provider"]
    }

    fn streams(&self) -> Option<&'static [&'static str]> {
        Some(&["identity_provider"])
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(reducer::ProvidersDelta::default())
    }
}
