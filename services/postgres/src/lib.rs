//! A private PostgreSQL, kept by the process that needs it: the embedded default of `portcullis dev` and the server
//! under every test (`docs/architecture.md`, section "Embedded default").
//!
//! The crate finds the installed binaries, makes a cluster with checksums, starts it on a Unix socket in a directory
//! only its own user can enter, notices when it dies and stops it cleanly. Started as root it runs PostgreSQL as
//! `postgres`, else `nobody`. It knows nothing of Portcullis: no table, no event, no setting.
//!
//! Start reading at [`Supervisor::start`]; tests start at [`testing::database`].

mod account;
mod binaries;
mod cluster;
mod error;
mod keeper;
mod occupants;
mod postgres;
mod sql;
mod supervisor;
pub mod testing;

pub use binaries::{MINIMUM_MAJOR, install_command};
pub use cluster::default_data_dir;
pub use error::Error;
pub use postgres::{Exited, Postgres};
pub use supervisor::{Options, Supervisor};

/// The superuser of a cluster made here.
pub const SUPERUSER: &str = "postgres";
