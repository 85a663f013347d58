//! One file per door.

pub mod agent;
mod approve;
mod audit;
mod auth;
mod console;
mod figures;
mod health;
mod news;
mod oidc;
mod openapi;
mod passkeys;
mod platform;
mod scim;
mod security_txt;

pub use news::TenantNews;

pub(crate) use console::console;

use crate::{ApiState, openapi::Door};

/// What says how the process is.
pub(crate) fn probes() -> Door {
    health::door()
}

/// Every REST route with its description. The layers that count strangers need the state; for a description alone there
/// is none.
pub(crate) fn doors(state: Option<&ApiState>) -> Door {
    Door::new()
        .and(auth::door(state))
        .and(passkeys::door())
        .and(oidc::door(state))
        .and(agent::door())
        .and(approve::door())
        .and(platform::door())
        .and(scim::door())
        .and(audit::door())
        .and(health::door())
        .and(security_txt::door())
        .and(openapi::door())
}
