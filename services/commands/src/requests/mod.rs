//! Requests: filed by agents, decided by people, ended by the clock.

mod decide;
mod eligible;
mod end;
mod evaluate;
mod facts;
mod grant;
mod mfa;
mod routing;
mod submit;
mod timers;

pub use decide::BulkItem;
pub use eligible::{Eligible, Side};
pub(crate) use evaluate::Engines;
pub use mfa::MfaInput;
pub use submit::Submitted;
