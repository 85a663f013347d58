//! What one tenant that asks for many times its share does to another: a development server in this process, changes by
//! HTTP at a fixed rate by the one, first alone, then beside so many times as many by the other. Times run from the moment
//! a call was due, whether or not it could be made then.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Times, ground, progress, verdict};
use crate::{
    cli::{Globals, say},
    config::Config,
    dev::{self, DevOptions, ReadyTenant},
};

/// How many times its share the noisy tenant asks for.
const TIMES: u64 = 50;
/// Calls of the noisy tenant under way at once. What is due beyond them is left out: it would wait for its own kind.
const UNDER_WAY: usize = 256;
/// Collections that are renamed in turn, so that one tenant's calls don't wait for one stream.
const COLLECTIONS: usize = 16;
/// The most by which the others' times may grow.
const GOAL: f64 = 0.20;

pub(super) async fn run(globals: &Globals, rate: u64, seconds: u64) -> anyhow::Result<ExitCode> {
    progress("starting a development server with its own PostgreSQL (fsync on)");
    let directory = ground::directory()?;
    let mut config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        ..Config::default()
    };
    // Limits in number would hide what turns do.
    config.rates.principals.calls = u32::MAX;
    let options = DevOptions {
        data_dir: Some(directory.path().join("data")),
        empty: false,
        ready_file: None,
        beyond_loopback: false,
        smtp: None,
    };
    let running = dev::start(config, options, CancellationToken::new()).await?;
    let measured = measure(&running.ready.url, &running.ready.tenants, rate, seconds).await;
    running.stop().await?;
    let (alone, beside, noise) = measured?;
    print(globals, [rate, seconds], &alone, &beside, &noise);
    Ok(ExitCode::SUCCESS)
}

async fn measure(
    url: &str,
    tenants: &[ReadyTenant],
    rate: u64,
    seconds: u64,
) -> anyhow::Result<(Times, Times, Arc<Noise>)> {
    let [noisy, other] = tenants else {
        anyhow::bail!("the demo data has two tenants");
    };
    let noisy = Arc::new(Tenant::begin(url, noisy).await?);
    let other = Arc::new(Tenant::begin(url, other).await?);
    let calls = rate * seconds;
    progress("warming up");
    steady(&other, rate, 2 * rate).await?;
    progress(format!("{rate} changes a second by one tenant, for {seconds} s"));
    let alone = steady(&other, rate, calls).await?;
    progress(format!("the same, beside {} a second by another", rate * TIMES));
    let noise = Arc::new(Noise::default());
    let stop = CancellationToken::new();
    let noise_task = tokio::spawn(make_noise(noisy, rate * TIMES, noise.clone(), stop.clone()));
    // The queues fill up before it counts.
    steady(&other, rate, 2 * rate).await?;
    let beside = steady(&other, rate, calls).await?;
    stop.cancel();
    noise_task.await??;
    Ok((alone, beside, noise))
}

/// One tenant's integrator, with a key.
struct Tenant {
    client: Client,
    url: String,
    key: String,
    collections: Vec<String>,
    n: AtomicU64,
}

impl Tenant {
    async fn begin(url: &str, tenant: &ReadyTenant) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(Duration::from_secs(60)).build()?;
        let mut made = Self {
            client,
            url: format!("{url}/graphql"),
            key: tenant.api_key.clone(),
            collections: Vec::new(),
            n: AtomicU64::new(0),
        };
        for n in 0..COLLECTIONS {
            let create = "mutation($n: String!) { createCollection(input: { name: $n, kind: MACHINES, members: [\"machine:x\"] }) { collection { id } } }";
            let body = made.ask(create, json!({ "n": format!("Bench {n}") })).await?;
            let id = body
                .pointer("/data/createCollection/collection/id")
                .and_then(Value::as_str);
            made.collections.push(id.with_context(|| body.to_string())?.to_owned());
        }
        Ok(made)
    }

    async fn ask(&self, query: &str, variables: Value) -> anyhow::Result<Value> {
        let body = json!({ "query": query, "variables": variables });
        let call = self.client.post(&self.url).bearer_auth(&self.key).json(&body);
        Ok(call.send().await?.json().await?)
    }

    /// Renames the next collection. Whether it was done, and not refused.
    async fn change(&self) -> anyhow::Result<bool> {
        let n = self.n.fetch_add(1, Ordering::Relaxed);
        let id = &self.collections[usize::try_from(n)? % COLLECTIONS];
        let change =
            "mutation($i: ID!, $n: String!) { changeCollection(input: { collectionId: $i, name: $n }) { position } }";
        let body = self
            .ask(change, json!({ "i": id, "n": format!("Bench {n} anew") }))
            .await?;
        Ok(body.pointer("/data/changeCollection/position").is_some())
    }
}

/// So many changes at this rate; each has to be done.
async fn steady(tenant: &Arc<Tenant>, rate: u64, calls: u64) -> anyhow::Result<Times> {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..calls {
        let due = begun + Duration::from_secs(n) / u32::try_from(rate)?;
        tokio::time::sleep_until(due.into()).await;
        let tenant = tenant.clone();
        tasks.spawn(async move { anyhow::Ok((tenant.change().await?, due.elapsed())) });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (done, time) = done??;
        ensure!(done, "a change of the quiet tenant was refused");
        times.push(time);
    }
    Ok(Times::of(times))
}

/// What the noisy tenant got.
#[derive(Default)]
struct Noise {
    done: AtomicU64,
    refused: AtomicU64,
    left_out: AtomicU64,
}

async fn make_noise(tenant: Arc<Tenant>, rate: u64, noise: Arc<Noise>, stop: CancellationToken) -> anyhow::Result<()> {
    let places = Arc::new(Semaphore::new(UNDER_WAY));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0.. {
        let due = begun + Duration::from_secs(n) / u32::try_from(rate)?;
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep_until(due.into()) => {}
        }
        let Ok(place) = places.clone().try_acquire_owned() else {
            noise.left_out.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let (tenant, noise) = (tenant.clone(), noise.clone());
        tasks.spawn(async move {
            let _place = place;
            let counter = match tenant.change().await {
                Ok(true) => &noise.done,
                _ => &noise.refused,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        });
        while tasks.try_join_next().is_some() {}
    }
    tasks.join_all().await;
    Ok(())
}

fn print(globals: &Globals, [rate, seconds]: [u64; 2], alone: &Times, beside: &Times, noise: &Noise) {
    let grown = |per_mille| beside.ms(per_mille) / alone.ms(per_mille).max(f64::EPSILON) - 1.0;
    let delays = [("p50", grown(500)), ("p99", grown(990))];
    let [done, refused, left_out] =
        [&noise.done, &noise.refused, &noise.left_out].map(|counter| counter.load(Ordering::Relaxed));
    if globals.json {
        let of = |t: &Times| json!({ "p50Ms": t.ms(500), "p99Ms": t.ms(990), "maxMs": t.ms(1_000) });
        say(
            json!({ "rate": rate, "seconds": seconds, "times": TIMES, "alone": of(alone), "beside": of(beside),
            "noise": { "done": done, "refused": refused, "leftOut": left_out },
            "delayP50": delays[0].1, "delayP99": delays[1].1 }),
        );
        return;
    }
    say(format!(
        "one tenant's {rate} changes/s for {seconds} s, alone and beside {TIMES} times as many by another"
    ));
    say(format!("{:<10} {:>9} {:>9} {:>9}", "", "p50 ms", "p99 ms", "max ms"));
    for (name, t) in [("alone", alone), ("beside", beside)] {
        say(format!(
            "{name:<10} {:>9.1} {:>9.1} {:>9.1}",
            t.ms(500),
            t.ms(990),
            t.ms(1_000)
        ));
    }
    say(format!(
        "the noisy one: {done} done, {refused} refused, {left_out} never sent"
    ));
    for (name, grown) in delays {
        say(format!(
            "goal: {name} grows by less than {:.0} %: {:+.0} %: {}",
            GOAL * 100.0,
            grown * 100.0,
            verdict(grown < GOAL)
        ));
    }
}
