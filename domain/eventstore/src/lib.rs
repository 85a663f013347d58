//! The event store: one gapless log per tenant in PostgreSQL, which is the truth of the product.
//!
//! An append is one round trip to the function `append_batch` (`migrations/0015_append_for_many_tenants.sql`): it locks the tenants'
//! heads, gives each command of the batch its own verdict and assigns positions, so that whoever sees position *p* sees
//! every position before it. Readers ask for `position > cursor` and need nothing else. The rules and their reasons are
//! in `docs/eventstore.md`.
//!
//! This crate knows no aggregate, no read model and no HTTP. Start reading at [`Store::execute`], then [`Vault`] for the
//! keys and [`TenantTx`] for how every other statement is kept inside one tenant.

mod append;
mod cache;
mod database;
mod decode;
pub mod doorbell;
mod encode;
mod envelope;
mod error;
mod fresh;
mod handle;
mod lane;
mod load;
mod purge;
mod read;
mod snapshot;
mod state;
mod store;
mod tenant;
mod turn;
mod tx;
mod upcast;
pub mod vault;
mod verify;

pub use cache::Cache;
pub use database::{ConnectError, connect, migrate, missing_migrations, schema_fingerprint};
pub use decode::Recorded;
pub use doorbell::{Doorbell, InProcess, News, PostgresDoorbell, Subscription};
pub use envelope::{Done, Envelope, Options};
pub use error::{ExecuteError, Holder, StoreError};
pub use fresh::as_of_now;
pub use handle::{Loaded, TenantHandle};
pub use purge::{Purge, PurgeError, PurgeStep, due_purges, purge_step, purges};
pub use snapshot::SnapshotError;
pub use store::Store;
pub use tenant::{CreateTenantError, NewTenant};
pub use tx::TenantTx;
pub use upcast::Upcasters;
pub use vault::{
    CommandMasterKey, DataRotation, KeyChange, KeyInfo, LocalMasterKey, MasterKey, MasterKeyError, TenantKeys, Vault,
    VaultError, WrappedColumn,
};
pub use verify::{Fault, Verified};
