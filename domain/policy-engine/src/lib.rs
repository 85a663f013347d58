//! The decision of Portcullis: policies in, one action in, one answer out.
//!
//! Pure. This crate must never know a clock, a network, a disk, a database, a thread pool, or who the tenant is: time,
//! variables and every looked-up fact come in as arguments. Server and agent run the same code, so that an approval is
//! asked for by the same rule that later grants it.
//!
//! Start reading at [`document`] (what a policy is), then `settle.rs` (the rules, one page), then [`Index`] (how ten
//! thousand policies are asked in less than a microsecond). What goes in is a [`Snapshot`] and an [`Action`], what comes
//! out is a [`Decision`] or, with reasons, an [`Explanation`]. The contract is `docs/domain.md § 2`.

mod action;
pub mod cases;
mod decision;
pub mod document;
mod fold;
pub mod import;
mod index;
pub mod keeper;
pub mod limits;
pub mod lint;
mod path;
pub mod pattern;
mod problem;
pub mod protected;
mod settle;
mod snapshot;
mod time;
pub mod validate;

pub use action::{Action, Application, Machine, User};
pub use decision::{Decision, Notice, Outcome, PolicyIdentity, PolicyRef, SettledBy, Step, Steps, WouldHave};
pub use document::{
    ActionType, Baseline, BaselineSetting, Collection, CollectionKind, Control, DateRange, Day, Notification, Os,
    PolicyDocument, PolicyStatus, PolicyType, ScopeEntry, TimeRange,
};
pub use fold::{eq_folded, fold, fold_char};
pub use index::{CompileError, Considered, Effect, Explanation, Index, LeastPrivilege, Session};
pub use path::normalise;
pub use problem::Problem;
pub use snapshot::{Snapshot, SnapshotCollection, SnapshotPolicy};
pub use time::{BadTime, LocalTime};
