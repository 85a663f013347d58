//! Stories over real parts: HTTP, PostgreSQL, SMTP, agents. Two tenants exist in every world.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod canaries;
mod crash;
mod deciding;
mod grants;
mod installation;
mod isolation;
mod links;
mod mail;
mod mail_server;
mod mfa;
mod policy_files;
mod provisioning;
mod secrets;
mod telling;
mod tenants;
mod timers;
mod world;
