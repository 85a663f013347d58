//! What handlers take: bodies, parameters, and who asks. Every failure is a [`crate::Problem`].

mod authed;
mod body;
mod bytes;
mod csrf;
mod origin;
mod params;

pub use authed::{Authed, Endpoint, IdentityProvider, Operator, read_cookie, session_cookie, spent_cookie};
pub use body::{Form, Json};
pub use bytes::read_bytes;
pub use csrf::{check_same_origin, check_token};
pub use origin::From;
pub use params::{Params, Query, SlowPoll};

pub(crate) use body::{has_nul, is_json, is_scim, read_json};
pub(crate) use csrf::{equal, is_safe};
pub(crate) use origin::read_origin;
