//! So many timers that are due at one moment: how long after it each one has fired, with one scheduler
//! (`docs/domain.md § 3`).

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::ensure;
use commands::App;
use formats::{TenantId, Timestamp};
use projections::{Options, Runner};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Times,
    ground::Ground,
    history::{Desk, Town},
    progress, rate, verdict,
};
use crate::cli::{Globals, say};

/// Endpoints that file at once.
const DESKS: u64 = 64;
/// Each is to have fired by then.
const GOAL: Duration = Duration::from_secs(1);

pub(super) async fn run(globals: &Globals, timers: u64, tenants: u64) -> anyhow::Result<ExitCode> {
    progress("starting a private PostgreSQL (fsync on)");
    let ground = Ground::begin().await?;
    let runner = Runner::new(ground.store.clone(), Options::default());
    let app = App::new(ground.store.clone(), runner.waiter(), commands::Config::default());
    let stop = CancellationToken::new();
    let mut roles = JoinSet::new();
    roles.spawn({
        let stop = stop.clone();
        async move { runner.run(stop.cancelled_owned()).await }
    });
    roles.spawn(worker::scheduler::run(app.clone(), stop.clone()));

    let lead = Duration::from_secs(15) + Duration::from_millis(8) * u32::try_from(timers)?;
    let due = app.now() + lead;
    let towns = file(&ground, timers, tenants, due).await?;
    for tenant in &towns {
        let head = ground.store.head(*tenant).await?;
        while !app.settled(*tenant, head).await {}
    }
    ensure!(app.now() < due, "this machine files too slowly for so many timers");
    progress("waiting for the moment");
    tokio::time::sleep(due.since(app.now())).await;
    let begun = Instant::now();
    let late = lateness(&ground, &towns, timers, due).await?;
    let took = begun.elapsed();
    stop.cancel();
    roles.join_all().await;
    ground.end().await?;

    let times = Times::of(late);
    let [median, tail, last] = [500, 990, 1_000].map(|share| times.ms(share));
    let met = last <= GOAL.as_secs_f64() * 1e3;
    if globals.json {
        say(json!({
            "timers": timers, "tenants": tenants, "lateMs": { "p50": median, "p99": tail, "max": last },
            "firedPerSecond": rate(timers, took),
        }));
        return Ok(ExitCode::SUCCESS);
    }
    say(format!(
        "{timers} timers of {tenants} tenants, due at one moment, one scheduler"
    ));
    say(format!(
        "late by        p50 {median:>8.0} ms   p99 {tail:>8.0} ms   last {last:>8.0} ms"
    ));
    say(format!("fired          {:>8.0} a second", rate(timers, took)));
    say(format!("goal: each within {} ms: {}", GOAL.as_millis(), verdict(met)));
    Ok(ExitCode::SUCCESS)
}

/// Files requests whose first window ends at `due`.
async fn file(ground: &Ground, timers: u64, tenants: u64, due: Timestamp) -> anyhow::Result<Vec<TenantId>> {
    progress(format!("filing {timers} requests of {tenants} tenants"));
    let mut towns = Vec::new();
    for n in 0..tenants {
        towns.push(Town::found(&ground.store, n).await?);
    }
    let mut desks = JoinSet::new();
    let each = timers / DESKS;
    for n in 0..DESKS {
        let town = towns[usize::try_from(n % tenants)?].clone();
        let count = each + u64::from(n < timers % DESKS);
        desks.spawn(async move {
            let mut desk = Desk::settle(town).await?;
            for _ in 0..count {
                desk.file_until(due).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = desks.join_next().await {
        done??;
    }
    Ok(towns.iter().map(|town| town.tenant).collect())
}

/// How long after the moment each timer's event was recorded.
async fn lateness(ground: &Ground, tenants: &[TenantId], timers: u64, due: Timestamp) -> anyhow::Result<Vec<Duration>> {
    let mut cursors = vec![0; tenants.len()];
    let mut late = Vec::new();
    while (late.len() as u64) < timers {
        for (tenant, cursor) in tenants.iter().zip(&mut cursors) {
            for event in ground.store.read(*tenant, *cursor, 1_000).await? {
                *cursor = event.position;
                if event.body.event_type == "RequestExpired" {
                    late.push(event.body.recorded_at.since(due));
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(late)
}
