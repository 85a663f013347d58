//! What is over goes: failures that count no more, locks, sessions, assertions; snapshots that nothing cites. Whoever
//! tries addresses that nobody has leaves rows behind that no sign-in would ever come upon.

use std::time::Duration;

use formats::TenantId;

use super::store;
use crate::{App, Outcome};

/// Rows of a table that go in one transaction.
pub const SWEEP_ROWS: u32 = 1_000;
/// How long a snapshot's body is kept that nothing cites: an agent that was offline may still send records that do.
pub const UNCITED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

impl App {
    /// Removes one batch of what is over in a tenant; whether there may be more.
    ///
    /// # Errors
    /// `UNAVAILABLE`
    pub async fn sweep(&self, tenant: TenantId) -> Outcome<bool> {
        let mut tx = self.writing(tenant).await?;
        let most = store::sweep(&mut tx, self.now(), SWEEP_ROWS).await?;
        projections::policy_snapshot::forget_bodies(&mut tx, UNCITED).await?;
        tx.commit().await?;
        Ok(most >= u64::from(SWEEP_ROWS))
    }
}
