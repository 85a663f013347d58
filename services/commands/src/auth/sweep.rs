//! What is over goes: failures that count no more, locks, sessions, assertions. Whoever tries addresses that nobody has
//! leaves rows behind that no sign-in would ever come upon.

use formats::TenantId;

use super::store;
use crate::{App, Outcome};

/// Rows of a table that go in one transaction.
pub const SWEEP_ROWS: u32 = 1_000;

impl App {
    /// Removes one batch of what is over in a tenant; whether there may be more.
    ///
    /// # Errors
    /// `UNAVAILABLE`
    pub async fn sweep(&self, tenant: TenantId) -> Outcome<bool> {
        let mut tx = self.writing(tenant).await?;
        let most = store::sweep(&mut tx, self.now(), SWEEP_ROWS).await?;
        tx.commit().await?;
        Ok(most >= u64::from(SWEEP_ROWS))
    }
}
