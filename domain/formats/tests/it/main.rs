//! The formats from outside: known answers made by another implementation, laws over generated values, refusals.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod fixture;
mod golden;
mod laws;
mod refusals;
mod wire;
