//! The GraphQL door: `/graphql` and `/graphql/ws`.

use axum::Router;

use crate::ApiState;

/// Its routes.
pub fn routes() -> Router<ApiState> {
    Router::new()
}
