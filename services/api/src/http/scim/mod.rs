//! `/scim/v2`: users and groups as an identity provider keeps them (RFC 7643, RFC 7644). It sees what its token's tenant
//! has, and nothing else of it.

mod body;
mod discovery;
mod door;
mod error;
mod filter;
mod groups;
mod handlers;
mod list;
mod patch;
mod path;
mod schema;
mod show;
#[cfg(test)]
mod tests;
mod users;

pub(super) use door::door;

use axum::{extract::FromRequestParts, http::request::Parts};
use commands::Caller;

use crate::{Answer, ApiState, Problem, extract::IdentityProvider};

/// How many bytes of a body are taken.
const BODY_MAX: usize = 1024 * 1024;

/// An identity provider with a SCIM token.
struct Token(Caller);

impl FromRequestParts<ApiState> for Token {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Answer<Self> {
        let IdentityProvider(caller) = IdentityProvider::from_request_parts(parts, state).await?;
        Ok(Self(caller))
    }
}

/// The door's address, which links never take from the request.
fn base(state: &ApiState) -> String {
    format!("{}/scim/v2", state.app.config.public_url)
}
