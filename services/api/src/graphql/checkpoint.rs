//! Checkpoints of the log: the shape of them.

#![expect(unreachable_code, reason = "resolvers of a type without values are never called")]

use async_graphql::Object;

use super::scalars::{DateTime, Position};

#[derive(Debug, Clone, Copy)]
pub(crate) enum Checkpoint {}

/// The newest signed checkpoint of the log. This server issues none yet, so there is no value of it.
#[Object]
impl Checkpoint {
    async fn size(&self) -> Position {
        match *self {}
    }

    /// In hexadecimal.
    async fn root(&self) -> String {
        match *self {}
    }

    async fn issued_at(&self) -> DateTime {
        match *self {}
    }

    /// C2SP `tlog-checkpoint` text, signature included.
    async fn text(&self) -> String {
        match *self {}
    }
}
