//! The decision of Portcullis: policies in, one action in, one answer out.
//!
//! Pure. This crate must never know a clock, a network, a disk, a database, a thread pool, or who the tenant is: time,
//! variables and every looked-up fact come in as arguments. Server and agent run the same code, so that an approval is
//! asked for by the same rule that later grants it.
//!
//! Start reading at [`document`] (what a policy is).

pub mod document;

pub use document::{
    ActionType, Baseline, BaselineSetting, Collection, CollectionKind, Control, DateRange, Day, Notification, Os,
    PolicyDocument, PolicyStatus, PolicyType, ScopeEntry, TimeRange,
};
