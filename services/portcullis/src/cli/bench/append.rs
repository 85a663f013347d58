//! Appends beside plain inserts: over many tenants, and to one that is hot (`docs/eventstore.md`, rules 2 to 5).

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use eventstore::{Envelope, Store};
use formats::{DeploymentGroupId, EndpointId, TenantId};
use model::endpoint::{Endpoint, EndpointCommand};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    Times,
    ground::{Ground, endpoint, tenant},
    pgbench, progress, rate, ratio, store, verdict,
};
use crate::cli::{Globals, say};

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// How long each part lasts.
    pub(super) time: Duration,
    /// Tenants of the first part.
    pub(super) tenants: u64,
    /// Tasks on the one tenant of the second.
    pub(super) tasks: u64,
    /// Clients of pgbench, and tasks of the first part.
    pub(super) clients: u64,
}

/// What one task writes to, in turn.
type Share = Vec<(TenantId, EndpointId)>;

/// What came of a part.
struct Load {
    commands: f64,
    events: f64,
    times: Times,
    failed: u64,
    commits_per_sync: f64,
    commands_per_sync: f64,
    trips: f64,
    hot: f64,
}

pub(super) async fn run(globals: &Globals, plan: Plan) -> anyhow::Result<ExitCode> {
    progress("starting a private PostgreSQL (fsync on)");
    let ground = Ground::begin().await?;
    progress(format!(
        "making {} tenants, and one with {} endpoints",
        plan.tenants, plan.tasks
    ));
    let many = many(&ground, plan).await?;
    let one = one(&ground, plan).await?;
    progress("plain inserts by pgbench");
    let before = pgbench::plain_inserts(&ground, plan.time, plan.clients).await?;
    progress("appends to many tenants");
    let spread = load(&ground, &many, plan.time).await?;
    progress("appends to one tenant");
    let single = load(&ground, &one, plan.time).await?;
    progress("plain inserts by pgbench, again");
    let after = pgbench::plain_inserts(&ground, plan.time, plan.clients).await?;
    ground.end().await?;
    let rows = [
        (format!("{} tenants, {} tasks", plan.tenants, plan.clients), spread),
        (format!("one tenant, {} tasks", plan.tasks), single),
    ];
    print(globals, plan, [before, after], &rows);
    Ok(ExitCode::SUCCESS)
}

/// The tenants of the first part with an endpoint each, shared out among the tasks.
async fn many(ground: &Ground, plan: Plan) -> anyhow::Result<Vec<Share>> {
    let mut making = JoinSet::new();
    for task in 0..plan.clients {
        let store = ground.store.clone();
        making.spawn(async move {
            let mut share = Share::new();
            for n in (task..plan.tenants).step_by(usize::try_from(plan.clients)?) {
                let tenant = tenant(&store, n).await?;
                share.push((tenant, endpoint(&store, tenant, DeploymentGroupId::default()).await?));
            }
            anyhow::Ok(share)
        });
    }
    let mut shares = Vec::new();
    while let Some(share) = making.join_next().await {
        shares.push(share??);
    }
    shares.retain(|share| !share.is_empty());
    Ok(shares)
}

/// The tenant of the second part with an endpoint for each task.
async fn one(ground: &Ground, plan: Plan) -> anyhow::Result<Vec<Share>> {
    let tenant = tenant(&ground.store, plan.tenants).await?;
    let mut shares = Vec::new();
    for _ in 0..plan.tasks {
        let endpoint = endpoint(&ground.store, tenant, DeploymentGroupId::default()).await?;
        shares.push(vec![(tenant, endpoint)]);
    }
    Ok(shares)
}

/// How long connections get to know the statements before anything is timed.
const WARM: Duration = Duration::from_secs(1);

/// What a task did.
#[derive(Default)]
struct Done {
    /// All commands, those of the warming-up among them: what PostgreSQL's counters are compared with.
    commands: u64,
    /// From here on only what was timed.
    times: Vec<Duration>,
    events: u64,
    failed: u64,
}

/// Where a run stands.
#[derive(Default)]
struct Phase {
    timed: AtomicBool,
    over: AtomicBool,
}

/// Lets each task move its endpoints to and fro until the time is over: one command, one event.
async fn load(ground: &Ground, shares: &[Share], time: Duration) -> anyhow::Result<Load> {
    let phase = Arc::new(Phase::default());
    let before = store::counters(&ground.admin).await?;
    let mut tasks = JoinSet::new();
    for share in shares {
        tasks.spawn(move_about(ground.store.clone(), share.clone(), phase.clone()));
    }
    tokio::time::sleep(WARM).await;
    let begun = Instant::now();
    phase.timed.store(true, Ordering::Relaxed);
    tokio::time::sleep(time).await;
    phase.over.store(true, Ordering::Relaxed);
    let mut all = Done::default();
    for done in tasks.join_all().await {
        all.commands += done.commands;
        all.times.extend(done.times);
        all.events += done.events;
        all.failed += done.failed;
    }
    let elapsed = begun.elapsed();
    let after = store::counters(&ground.admin).await?;
    let (commits, syncs) = (after.commits - before.commits, after.syncs - before.syncs);
    Ok(Load {
        commands: rate(all.times.len() as u64, elapsed),
        events: rate(all.events, elapsed),
        times: Times::of(all.times),
        failed: all.failed,
        commits_per_sync: ratio(commits, syncs),
        commands_per_sync: ratio(all.commands, syncs),
        trips: ratio(commits, all.commands),
        hot: ratio(after.hot - before.hot, after.updates - before.updates),
    })
}

async fn move_about(store: Store, share: Share, phase: Arc<Phase>) -> Done {
    let groups = [store.ambient().id(), store.ambient().id()];
    let mut done = Done::default();
    let mut n = 0;
    while !phase.over.load(Ordering::Relaxed) {
        let (tenant, endpoint) = share[n % share.len()];
        let group = groups[(n / share.len()) % 2];
        n += 1;
        let id = store.ambient().uuid();
        let envelope = Envelope::system(id, [0; 32], id);
        let timed = phase.timed.load(Ordering::Relaxed);
        let begun = Instant::now();
        let moved = store
            .execute::<Endpoint>(tenant, endpoint.uuid(), &envelope, |_| EndpointCommand::MoveEndpoint {
                group,
            })
            .await;
        match moved {
            Ok(moved) => {
                done.commands += 1;
                if timed {
                    done.times.push(begun.elapsed());
                    done.events += moved.events.len() as u64;
                }
            }
            Err(_) => done.failed += 1,
        }
    }
    done
}

fn print(globals: &Globals, plan: Plan, plain: [f64; 2], rows: &[(String, Load); 2]) {
    let [before, after] = plain;
    let peer = f64::midpoint(before, after);
    if globals.json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(name, l)| {
                json!({ "name": name, "commandsPerSecond": l.commands, "eventsPerSecond": l.events, "toPlain": l.commands / peer,
                    "p50Ms": l.times.ms(500), "p99Ms": l.times.ms(990), "failed": l.failed,
                    "commitsPerSync": l.commits_per_sync, "commandsPerSync": l.commands_per_sync,
                    "roundTripsPerCommand": l.trips, "hotShare": l.hot })
            })
            .collect();
        say(json!({ "plainInsertsPerSecond": plain, "clients": plan.clients, "appends": rows }));
        return;
    }
    say(format!(
        "plain inserts, {} clients (pgbench): {before:.0}/s before, {after:.0}/s after",
        plan.clients
    ));
    say(format!(
        "{:<26} {:>10} {:>9} {:>8} {:>7} {:>7} {:>7} {:>13} {:>14} {:>13} {:>5}",
        "",
        "commands/s",
        "events/s",
        "to plain",
        "p50 ms",
        "p99 ms",
        "failed",
        "commits/fsync",
        "commands/fsync",
        "trips/command",
        "HOT"
    ));
    for (name, l) in rows {
        say(format!(
            "{name:<26} {:>10.0} {:>9.0} {:>8.2} {:>7.2} {:>7.2} {:>7} {:>13.1} {:>14.1} {:>13.2} {:>5.2}",
            l.commands,
            l.events,
            l.commands / peer,
            l.times.ms(500),
            l.times.ms(990),
            l.failed,
            l.commits_per_sync,
            l.commands_per_sync,
            l.trips,
            l.hot
        ));
    }
    let [(_, many), (_, one)] = rows;
    let apart = many.commands.max(one.commands) / many.commands.min(one.commands).max(f64::EPSILON);
    for (goal, met) in [
        (
            "many tenants at least 0.7 of plain inserts",
            many.commands >= 0.7 * peer,
        ),
        ("one tenant at least as fast as plain inserts", one.commands >= peer),
        ("one tenant and many within a factor of two", apart <= 2.0),
    ] {
        say(format!("goal: {goal}: {}", verdict(met)));
    }
}
