//! The agent against a server that tells lies, loses answers and goes away. The real server has its own stories.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod approvals;
mod attacks;
mod cli;
mod clocks;
mod doors;
mod fake;
mod fleet;
mod offline;
mod records;
