//! The doors of the server: HTTP for people, agents, integrators and operators, and GraphQL.
//!
//! A door reads a call, says who makes it ([`extract`]), hands it to a use case of the crate `commands` and writes the
//! answer; it decides nothing itself and writes no SQL. What holds for every call stands once, in [`layers`]: the
//! request's id, its trace, limits in size, time and number, headers, errors. One file per door in [`http`].
//!
//! Nothing here knows the worker, SMTP or the command line. Start reading at [`router`](router()).

mod config;
pub mod extract;
pub mod graphql;
pub mod http;
pub mod layers;
pub mod openapi;
mod problem;
mod router;
mod serve;
mod state;

pub use config::{ApiConfig, Rate, Rates};
pub use problem::{Answer, Problem};
pub use router::{description, probes, router};
pub use serve::{Guards, serve, serve_with};
pub use state::ApiState;
