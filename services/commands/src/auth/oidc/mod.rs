//! Sign-in with an identity provider: OpenID Connect, authorization code with PKCE.
//!
//! `providers` is what administrators do; `flow` begins a sign-in in a browser and takes it back, once; `protocol` speaks
//! with the provider and verifies what it says; `person` decides whom that lets in, and as what. Who somebody is, is
//! issuer and subject together; an address only leads to an account that has no identity yet.

mod flow;
mod person;
mod protocol;
mod providers;
pub(crate) mod store;

pub use flow::{Begun, Came, FLOW_MINUTES, Finished};
pub(crate) use providers::client_secret_name;
pub use providers::{ProviderInput, SecretInput};
