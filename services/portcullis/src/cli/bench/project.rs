//! The read models from logs that are there already: all of them by one worker, then each by itself
//! (`docs/eventstore.md`, rule 8).

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use formats::TenantId;
use projections::{Options, Runner};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    ground::Ground,
    history::{Desk, Town},
    progress, rate, store, verdict,
};
use crate::cli::{Globals, say};

/// Endpoints that write at once while the logs are filled.
const DESKS: u64 = 128;
/// What one worker ought to keep up with.
const GOAL: f64 = 100_000.0;

pub(super) async fn run(globals: &Globals, events: u64, tenants: u64) -> anyhow::Result<ExitCode> {
    progress("starting a private PostgreSQL (fsync on)");
    let ground = Ground::begin().await?;
    let towns = fill(&ground, events, tenants).await?;
    store::analyze(&ground.admin).await?;
    let mut total = 0;
    for tenant in &towns {
        total += ground.store.head(*tenant).await?;
    }
    let all = projections::all();
    let together = format!("all {} together", all.len());
    progress(&together);
    let mut rows = Vec::new();
    let runner = Runner::new(ground.store.clone(), Options::default());
    rows.push((together, rate(total, drain(&runner, &towns).await?)));
    for projection in all {
        let name = projection.name();
        progress(name);
        store::forget_projection(&ground.admin, name, projection.tables()).await?;
        let alone = Runner::with(ground.store.clone(), vec![projection], Options::default());
        rows.push((name.to_owned(), rate(total, drain(&alone, &towns).await?)));
    }
    ground.end().await?;
    if globals.json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(name, rate)| json!({ "name": name, "eventsPerSecond": rate }))
            .collect();
        say(json!({ "events": total, "tenants": tenants, "projections": rows }));
        return Ok(ExitCode::SUCCESS);
    }
    say(format!("{total} events of {tenants} tenants, one worker"));
    for (name, rate) in &rows {
        say(format!("{name:<24} {rate:>10.0} events/s"));
    }
    let met = rows.first().is_some_and(|(_, rate)| *rate >= GOAL);
    say(format!(
        "goal: all together at least {GOAL:.0} events/s: {}",
        verdict(met)
    ));
    Ok(ExitCode::SUCCESS)
}

/// Lets things happen in each tenant until the logs hold so many events together.
async fn fill(ground: &Ground, events: u64, tenants: u64) -> anyhow::Result<Vec<TenantId>> {
    progress(format!("writing {events} events of {tenants} tenants"));
    let mut towns = Vec::new();
    for n in 0..tenants {
        towns.push(Town::found(&ground.store, n).await?);
    }
    let written = Arc::new(AtomicU64::new(0));
    let mut desks = JoinSet::new();
    for n in 0..DESKS {
        let town = towns[usize::try_from(n % tenants)?].clone();
        let written = written.clone();
        desks.spawn(async move {
            let mut desk = Desk::settle(town).await?;
            while written.load(Ordering::Relaxed) < events {
                let more = desk.step().await?;
                written.fetch_add(more, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    tick.tick().await;
    loop {
        tokio::select! {
            done = desks.join_next() => match done {
                Some(done) => done??,
                None => break,
            },
            _ = tick.tick() => progress(format!("  {} written", written.load(Ordering::Relaxed))),
        }
    }
    Ok(towns.iter().map(|town| town.tenant).collect())
}

/// How long one worker takes for all tenants, one after the other.
async fn drain(runner: &Runner, tenants: &[TenantId]) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    for tenant in tenants {
        runner.drain(*tenant).await?;
    }
    Ok(begun.elapsed())
}
