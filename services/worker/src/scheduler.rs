//! The clock's part: tenants whose earliest timer is due are claimed, their timers fired, each once however often this
//! runs (`docs/domain.md § 3`).

use std::time::Duration;

use commands::App;
use formats::TenantId;
use futures_util::{FutureExt, StreamExt, stream};
use projections::{escalation_schedule, work};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{AGAIN, failed, figures, pause};

/// How often it looks for due timers.
const EVERY: Duration = Duration::from_millis(100);
/// How long a claim lasts if its process dies.
const LEASE: Duration = Duration::from_secs(15);
/// Tenants that are worked on at once.
const TENANTS: u32 = 8;
/// Timers of a tenant that are read at once, and that are fired at once.
const TIMERS: (u32, usize) = (2_000, 256);

/// Fires timers until it is to stop.
pub async fn run(app: App, stop: CancellationToken) {
    std::sync::LazyLock::force(&figures::TIMERS);
    // Turns go on side by side: a tenant with many timers keeps one place, and no other tenant waits for it.
    let mut turns = JoinSet::new();
    loop {
        while turns.try_join_next().is_some() {}
        let places = TENANTS.saturating_sub(u32::try_from(turns.len()).unwrap_or(TENANTS));
        let wait = match work::claim(app.pool(), work::TIMERS, app.now(), LEASE, places).await {
            Ok(claimed) => {
                for claim in claimed {
                    turns.spawn(turn(app.clone(), claim.tenant));
                }
                EVERY
            }
            Err(error) => {
                failed("scheduler", &error);
                AGAIN
            }
        };
        let go_on = tokio::select! {
            go_on = pause(&stop, wait) => go_on,
            _ = turns.join_next(), if !turns.is_empty() => !stop.is_cancelled(),
        };
        if !go_on {
            turns.join_all().await;
            return;
        }
    }
}

async fn turn(app: App, tenant: TenantId) {
    match fire(&app, tenant).await {
        Ok(()) => {
            if let Err(error) = work::release(app.pool(), work::TIMERS, tenant).await {
                failed("scheduler", &error);
            }
        }
        // The claim runs out by itself, so that a tenant that fails is not tried in a tight loop.
        Err(error) => failed("scheduler", &error),
    }
}

/// Fires one batch of a tenant's due timers; what is left is claimed again.
///
/// # Errors
/// Where the database is away, or a command failed for another reason than the domain's.
#[tracing::instrument(skip_all, fields(%tenant))]
pub async fn fire(app: &App, tenant: TenantId) -> Result<(), commands::Refusal> {
    let mut tx = app.reading(tenant).await?;
    let due = escalation_schedule::due(&mut tx, app.now(), TIMERS.0).await?;
    drop(tx);
    let firing = due.into_iter().map(|timer| {
        let app = app.clone();
        async move {
            let fired = app.fire_timer(tenant, &timer).await;
            let late = app.now().millis().saturating_sub(timer.due_at.millis());
            if fired.is_ok() {
                figures::TIMERS.observe(Duration::from_millis(late.unsigned_abs()).as_secs_f64());
            }
            fired
        }
        .boxed()
    });
    let results: Vec<_> = stream::iter(firing).buffer_unordered(TIMERS.1).collect().await;
    // The schedule has to show what was done before it is asked again.
    let head = app.store.head(tenant).await?;
    app.settled(tenant, head).await;
    results.into_iter().collect::<Result<(), _>>()
}
