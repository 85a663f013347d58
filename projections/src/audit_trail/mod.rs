//! Every event of a tenant as an auditor reads it: who, when, from where, what, and whether to look twice.

mod content;
mod reader;
mod reducer;

pub use reader::{AuditEntry, Filter, as_of, find, list};
pub use reducer::AuditTrail;

/// The name of the projection.
pub const NAME: &str = "audit_trail";
