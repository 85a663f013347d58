//! Routes and what is said of them, together.

use axum::{
    Router,
    handler::Handler,
    routing::{MethodFilter, MethodRouter, on},
};

use super::operation::{Op, Operation};
use crate::ApiState;

/// A door: its routes, each with its description.
#[derive(Debug, Default)]
pub struct Door {
    router: Router<ApiState>,
    operations: Vec<Operation>,
}

impl Door {
    /// A door without routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A route that reads; HEAD goes with it.
    #[must_use]
    pub fn get<T: 'static>(self, path: &'static str, handler: impl Handler<T, ApiState>, op: Op) -> Self {
        self.add("get", path, on(MethodFilter::GET, handler), op)
    }

    /// A route that changes something.
    #[must_use]
    pub fn post<T: 'static>(self, path: &'static str, handler: impl Handler<T, ApiState>, op: Op) -> Self {
        self.add("post", path, on(MethodFilter::POST, handler), op)
    }

    /// A route that replaces something.
    #[must_use]
    pub fn put<T: 'static>(self, path: &'static str, handler: impl Handler<T, ApiState>, op: Op) -> Self {
        self.add("put", path, on(MethodFilter::PUT, handler), op)
    }

    /// A route that changes parts of something.
    #[must_use]
    pub fn patch<T: 'static>(self, path: &'static str, handler: impl Handler<T, ApiState>, op: Op) -> Self {
        self.add("patch", path, on(MethodFilter::PATCH, handler), op)
    }

    /// A route that takes something away.
    #[must_use]
    pub fn delete<T: 'static>(self, path: &'static str, handler: impl Handler<T, ApiState>, op: Op) -> Self {
        self.add("delete", path, on(MethodFilter::DELETE, handler), op)
    }

    fn add(mut self, method: &'static str, path: &'static str, route: MethodRouter<ApiState>, op: Op) -> Self {
        self.router = self.router.route(path, route);
        self.operations.push(Operation { method, path, op });
        self
    }

    /// Puts layers around the routes so far.
    #[must_use]
    pub fn with(mut self, layers: impl FnOnce(Router<ApiState>) -> Router<ApiState>) -> Self {
        self.router = layers(self.router);
        self
    }

    /// This door and another one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        self
    }

    pub(crate) fn into_parts(self) -> (Router<ApiState>, Vec<Operation>) {
        (self.router, self.operations)
    }
}
