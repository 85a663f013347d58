//! Stories over real parts: HTTP, PostgreSQL, SMTP, agents. Two tenants exist in every world.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod crash;
mod deciding;
mod installation;
mod isolation;
mod links;
mod telling;
mod world;
