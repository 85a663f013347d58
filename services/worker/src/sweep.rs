//! What is over goes, in every tenant, some rows at a time.

use std::time::Duration;

use commands::{App, Outcome};
use tokio_util::sync::CancellationToken;

use crate::{AGAIN, failed, pause};

/// How often it goes round.
const EVERY: Duration = Duration::from_secs(10 * 60);
/// Batches of one tenant before it is the next one's turn. What is left goes in the next round.
const BATCHES: u32 = 20;

/// Sweeps until it is to stop.
pub async fn run(app: App, stop: CancellationToken) {
    loop {
        let wait = match round(&app, &stop).await {
            Ok(()) => EVERY,
            Err(error) => {
                failed("sweep", &error);
                AGAIN
            }
        };
        if !pause(&stop, wait).await {
            return;
        }
    }
}

/// Goes round once.
///
/// # Errors
/// Where the database is away. A tenant that fails is told, and the others go on.
pub async fn round(app: &App, stop: &CancellationToken) -> Outcome<()> {
    for tenant in app.store.tenants().await? {
        for _ in 0..BATCHES {
            if stop.is_cancelled() {
                return Ok(());
            }
            match app.sweep(tenant).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    failed("sweep", &error);
                    break;
                }
            }
        }
    }
    Ok(())
}
