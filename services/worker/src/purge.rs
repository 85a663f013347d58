//! Deleted tenants: whatever is due goes, batch by batch, with the purge role.
//!
//! Any number of processes may do this at once; each batch is a transaction, and whoever comes later goes on.

use std::time::Duration;

use eventstore::{PurgeError, PurgeStep, due_purges, purge_step};
use formats::{Ambient, TenantId};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{AGAIN, failed, pause};

/// How often it looks for tenants whose grace period is over.
const EVERY: Duration = Duration::from_secs(30);

/// Removes deleted tenants until it is to stop. `pool` is one of the purge role.
pub async fn run(pool: PgPool, ambient: Ambient, stop: CancellationToken) {
    loop {
        let wait = match sweep(&pool, &ambient, &stop, &mut |_, _| {}).await {
            Ok(_) => EVERY,
            Err(error) => {
                failed("purge", &error);
                AGAIN
            }
        };
        if !pause(&stop, wait).await {
            return;
        }
    }
}

/// Removes every tenant that is due now; how many there were. `progress` hears of each batch.
///
/// # Errors
/// Where the database fails. A tenant whose own removal fails is told and left for the next time; the others go on.
pub async fn sweep(
    pool: &PgPool,
    ambient: &Ambient,
    stop: &CancellationToken,
    progress: &mut (dyn FnMut(TenantId, &PurgeStep) + Send),
) -> Result<usize, sqlx::Error> {
    let mut failure = None;
    let due = due_purges(pool, ambient.now()).await?;
    for tenant in &due {
        if let Err(error) = remove(pool, ambient, *tenant, stop, progress).await {
            tracing::warn!(%tenant, %error, "a deleted tenant stays for now");
            failure = Some(error);
        }
    }
    match failure {
        Some(PurgeError::Database(error)) => Err(error),
        _ => Ok(due.len()),
    }
}

async fn remove(
    pool: &PgPool,
    ambient: &Ambient,
    tenant: TenantId,
    stop: &CancellationToken,
    progress: &mut (dyn FnMut(TenantId, &PurgeStep) + Send),
) -> Result<(), PurgeError> {
    let mut rows = 0;
    while !stop.is_cancelled() {
        let step = purge_step(pool, tenant, ambient.now()).await?;
        progress(tenant, &step);
        match step {
            PurgeStep::Removed { rows: more, .. } => rows += more,
            PurgeStep::Finished => {
                if rows > 0 {
                    tracing::info!(%tenant, rows, "a deleted tenant is gone");
                }
                return Ok(());
            }
        }
    }
    Ok(())
}
