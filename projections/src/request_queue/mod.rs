//! Requests with everything that a queue, a detail page, an agent's poll and a mail need: one row a request.
//!
//! The status is that of the log. The clock may have settled more (a deadline passed, the scheduler was not there yet):
//! see [`QueuedRequest::deadline`].

mod reader;
mod reducer;
mod row;
mod store;

pub use reader::{
    Filter, Routed, Seer, Sort, counts, find, find_live_by_digest, find_many, find_open_by_digest, list,
    live_of_endpoint, live_of_people,
};
pub use reducer::RequestQueue;
pub use row::{Counts, Decision, Escalation, Grant, LiveRequest, QueuedRequest};

/// The name of the projection.
pub const NAME: &str = "request_queue";
