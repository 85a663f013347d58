//! The binary's own parts: settings, wiring, the command line, development mode and its demo data.
//!
//! Here, and in tests, everything meets; nothing else may depend on this crate. Start reading at [`server`].

pub mod cli;
pub mod config;
pub mod demo;
pub mod dev;
pub mod server;
pub mod telemetry;
