//! `bench append|project`: the event store and the projector on a private, durable PostgreSQL, beside a peer in the same
//! run. Rates are reported, not judged: machines differ.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Subcommand;
use eventstore::{Envelope, LocalMasterKey, NewTenant, Store, Upcasters, Vault};
use formats::{Ambient, DeploymentGroupId, EndpointId, RegistrationTokenId, TenantId};
use model::{
    endpoint::{Endpoint, EndpointCommand, Machine},
    tenant::{Settings, Tenant, TenantCommand},
};
use postgres_supervisor::{Options, Postgres, SUPERUSER, Supervisor};
use projections::Runner;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinSet;

use super::{Globals, say, store};
use crate::server::doorbell_inside;

#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// Appends on many tenants and on one, beside pgbench's plain inserts.
    #[command(after_help = "Example:\n  portcullis bench append --seconds 5 --tenants 1000 --tasks 256")]
    Append {
        /// How long each part lasts, 1 to 600.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
        seconds: u64,
        /// How many tenants, 1 to 10,000.
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
        tenants: u64,
        /// How many tasks write to the one tenant, 1 to 4,096.
        #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=4_096))]
        tasks: u64,
        /// How many clients pgbench and the many tenants have, 1 to 256.
        #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=256))]
        clients: u64,
    },
    /// All read models from a log of this length.
    #[command(after_help = "Example:\n  portcullis bench project --events 50000")]
    Project {
        /// How many events, 1,000 to 1,000,000.
        #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000))]
        events: u64,
    },
}

/// A private database and a store on it.
struct Ground {
    postgres: Postgres,
    pool: PgPool,
    admin: PgPool,
    store: Store,
    ambient: Ambient,
    _data: tempfile::TempDir,
}

impl Ground {
    async fn begin() -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let data = tempfile::Builder::new().prefix("pct-bench-").tempdir()?;
        std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o755))?;
        let mut options = Options::new(data.path().join("data"));
        options.max_connections = 200;
        let postgres = Supervisor::start(options).await?;
        postgres.ensure_database("portcullis").await?;
        postgres.ensure_role("portcullis_app").await?;
        let admin = PgPool::connect(&postgres.url("portcullis", SUPERUSER)).await?;
        eventstore::migrate(&admin).await?;
        let pool = eventstore::connect(&postgres.url("portcullis", "portcullis_app"), 40).await?;
        let ambient = Ambient::system();
        let master = Arc::new(LocalMasterKey::from_bytes(ambient.bytes()));
        let vault = Vault::new(pool.clone(), ambient.clone(), master, Vec::new());
        let options = eventstore::Options {
            states: 50_000,
            queue: 8_192,
            ..eventstore::Options::default()
        };
        let store = Store::new(
            pool.clone(),
            vault,
            ambient.clone(),
            Upcasters::default(),
            doorbell_inside(),
            options,
        );
        Ok(Self {
            postgres,
            pool,
            admin,
            store,
            ambient,
            _data: data,
        })
    }

    async fn end(self) -> anyhow::Result<()> {
        self.pool.close().await;
        self.admin.close().await;
        self.postgres.stop().await.context("stop PostgreSQL")
    }

    fn envelope(&self) -> Envelope {
        let id = self.ambient.uuid();
        Envelope::system(id, [0; 32], id)
    }

    async fn tenant(&self, n: u64) -> anyhow::Result<TenantId> {
        let id: TenantId = self.ambient.id();
        let slug = format!("bench-{n}");
        let command = TenantCommand::CreateTenant {
            tenant: id,
            slug: slug.clone(),
            name: slug.clone(),
            settings: Box::<Settings>::default(),
        };
        self.store
            .create_tenant::<Tenant>(NewTenant { id, slug }, &self.envelope(), command)
            .await?;
        Ok(id)
    }

    async fn endpoint(&self, tenant: TenantId) -> anyhow::Result<EndpointId> {
        let endpoint: EndpointId = self.ambient.id();
        let command = EndpointCommand::RegisterEndpoint {
            endpoint,
            group: DeploymentGroupId::default(),
            token: RegistrationTokenId::default(),
            machine: Machine {
                name: "BENCH".to_owned(),
                os: policy_engine::Os::Linux,
                os_version: "12".to_owned(),
                machine_id: endpoint.to_string(),
            },
            public_key: String::new(),
            replaces: None,
        };
        self.store
            .execute::<Endpoint>(tenant, endpoint.uuid(), &self.envelope(), |_| command.clone())
            .await?;
        Ok(endpoint)
    }

    /// Lets tasks move endpoints to and fro, each its own, until the time is over: one event a command.
    async fn load(&self, endpoints: Vec<Vec<(TenantId, EndpointId)>>, time: Duration) -> anyhow::Result<Load> {
        let stop = Arc::new(AtomicBool::new(false));
        let failed = Arc::new(AtomicU64::new(0));
        let before = store::counters(&self.admin).await?;
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for mine in endpoints {
            let (stop, failed) = (stop.clone(), failed.clone());
            let (store, ambient) = (self.store.clone(), self.ambient.clone());
            tasks.spawn(async move {
                let groups = [ambient.id::<DeploymentGroupId>(), ambient.id::<DeploymentGroupId>()];
                let mut took = Vec::new();
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let (tenant, endpoint) = mine[n % mine.len()];
                    let command = EndpointCommand::MoveEndpoint {
                        group: groups[(n / mine.len()) % 2],
                    };
                    let id = ambient.uuid();
                    let at = Instant::now();
                    let envelope = Envelope::system(id, [0; 32], id);
                    match store
                        .execute::<Endpoint>(tenant, endpoint.uuid(), &envelope, |_| command.clone())
                        .await
                    {
                        Ok(_) => took.push(at.elapsed()),
                        Err(_) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                took
            });
        }
        tokio::time::sleep(time).await;
        stop.store(true, Ordering::Relaxed);
        let mut took: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
        let elapsed = begun.elapsed();
        let after = store::counters(&self.admin).await?;
        took.sort_unstable();
        let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default();
        Ok(Load {
            commands: rate(took.len(), elapsed),
            p50: at(50),
            p99: at(99),
            failed: failed.load(Ordering::Relaxed),
            per_sync: ratio(after.commits - before.commits, after.syncs - before.syncs),
            commands_per_sync: ratio(i64::try_from(took.len())?, after.syncs - before.syncs),
            trips: ratio(after.commits - before.commits, i64::try_from(took.len())?),
            hot: ratio(after.hot - before.hot, after.updates - before.updates),
        })
    }
}

struct Load {
    commands: f64,
    p50: Duration,
    p99: Duration,
    failed: u64,
    per_sync: f64,
    commands_per_sync: f64,
    trips: f64,
    hot: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn ratio(a: i64, b: i64) -> f64 {
    a as f64 / (b.max(1)) as f64
}

pub(super) async fn run(globals: &Globals, command: BenchCommand) -> anyhow::Result<ExitCode> {
    match command {
        BenchCommand::Append {
            seconds,
            tenants,
            tasks,
            clients,
        } => append(globals, Duration::from_secs(seconds), tenants, tasks, clients).await,
        BenchCommand::Project { events } => project(globals, events).await,
    }
}

#[expect(clippy::print_stderr, reason = "progress of long work")]
fn progress(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

async fn append(globals: &Globals, time: Duration, tenants: u64, tasks: u64, clients: u64) -> anyhow::Result<ExitCode> {
    progress("starting a private PostgreSQL (fsync on)");
    let ground = Ground::begin().await?;
    progress(format!("making {tenants} tenants"));
    let mut many = Vec::new();
    for n in 0..tenants {
        let tenant = ground.tenant(n).await?;
        many.push((tenant, ground.endpoint(tenant).await?));
    }
    let one = ground.tenant(tenants).await?;
    let mut hot = Vec::new();
    for _ in 0..tasks {
        hot.push(vec![(one, ground.endpoint(one).await?)]);
    }
    progress("plain inserts by pgbench");
    let plain = pgbench(&ground, time, clients).await?;
    progress("appends on many tenants");
    let share = many.len().div_ceil(usize::try_from(clients)?);
    let spread = ground
        .load(many.chunks(share).map(<[_]>::to_vec).collect(), time)
        .await?;
    progress("appends on one tenant");
    let single = ground.load(hot, time).await?;
    progress("plain inserts by pgbench, again");
    let again = pgbench(&ground, time, clients).await?;
    let peer = f64::midpoint(plain, again);
    ground.end().await?;
    let rows = [
        (format!("{tenants} tenants, {clients} tasks"), &spread),
        (format!("one tenant, {tasks} tasks"), &single),
    ];
    if globals.json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(name, l)| {
                json!({ "name": name, "commandsPerSecond": l.commands, "toPlain": l.commands / peer, "p50Ms": l.p50.as_secs_f64() * 1e3,
                    "p99Ms": l.p99.as_secs_f64() * 1e3, "failed": l.failed, "commitsPerSync": l.per_sync,
                    "commandsPerSync": l.commands_per_sync, "roundTripsPerCommand": l.trips, "hotShare": l.hot })
            })
            .collect();
        say(json!({ "plainInsertsPerSecond": [plain, again], "appends": rows }));
    } else {
        say(format!(
            "plain inserts, {clients} clients (pgbench): {plain:.0}/s before, {again:.0}/s after"
        ));
        say(format!(
            "{:<28} {:>11} {:>9} {:>9} {:>9} {:>13} {:>14} {:>12} {:>6}",
            "", "commands/s", "to plain", "p50 ms", "p99 ms", "commits/fsync", "commands/fsync", "trips/command", "HOT"
        ));
        for (name, l) in rows {
            say(format!(
                "{name:<28} {:>11.0} {:>9.2} {:>9.2} {:>9.2} {:>13.1} {:>14.1} {:>12.2} {:>6.2}",
                l.commands,
                l.commands / peer,
                l.p50.as_secs_f64() * 1e3,
                l.p99.as_secs_f64() * 1e3,
                l.per_sync,
                l.commands_per_sync,
                l.trips,
                l.hot
            ));
            if l.failed > 0 {
                say(format!("  {} commands failed", l.failed));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Inserts a second by pgbench, into a table like that of the events.
async fn pgbench(ground: &Ground, time: Duration, clients: u64) -> anyhow::Result<f64> {
    store::plain_table(&ground.admin).await?;
    let script = ground.postgres.socket_dir().join("../plain.sql");
    std::fs::write(&script, store::PLAIN_INSERT)?;
    let program = format!("/usr/lib/postgresql/{}/bin/pgbench", ground.postgres.major());
    let program = if std::path::Path::new(&program).is_file() {
        program
    } else {
        "pgbench".to_owned()
    };
    let output = tokio::process::Command::new(program)
        .args([
            "-n",
            "-M",
            "prepared",
            "-j",
            "2",
            "-U",
            SUPERUSER,
            "-c",
            &clients.to_string(),
        ])
        .args(["-T", &time.as_secs().to_string(), "-f"])
        .arg(&script)
        .arg("-h")
        .arg(ground.postgres.socket_dir())
        .arg("portcullis")
        .output()
        .await
        .context("pgbench (apt-get install postgresql-contrib)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

async fn project(globals: &Globals, events: u64) -> anyhow::Result<ExitCode> {
    progress("starting a private PostgreSQL (fsync on)");
    let ground = Ground::begin().await?;
    let tenant = ground.tenant(0).await?;
    let mut endpoints = Vec::new();
    for _ in 0..256 {
        endpoints.push(vec![(tenant, ground.endpoint(tenant).await?)]);
    }
    loop {
        let head = ground.store.head(tenant).await?;
        progress(format!("{head} of {events} events"));
        if head >= events {
            break;
        }
        ground.load(endpoints.clone(), Duration::from_secs(2)).await?;
    }
    let head = ground.store.head(tenant).await?;
    let mut rows = Vec::new();
    progress("all read models");
    let runner = Runner::new(ground.store.clone(), projections::Options::default());
    let begun = Instant::now();
    runner.drain(tenant).await?;
    rows.push(("all twelve together", rate(usize::try_from(head)?, begun.elapsed())));
    for projection in projections::all() {
        let name = projection.name();
        progress(name);
        store::forget_projection(&ground.admin, name, projection.tables()).await?;
        let alone = Runner::with(ground.store.clone(), vec![projection], projections::Options::default());
        let begun = Instant::now();
        alone.drain(tenant).await?;
        rows.push((name, rate(usize::try_from(head)?, begun.elapsed())));
    }
    ground.end().await?;
    if globals.json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(name, rate)| json!({ "name": name, "eventsPerSecond": rate }))
            .collect();
        say(json!({ "events": head, "projections": rows }));
    } else {
        say(format!("{head} events of one tenant, one worker"));
        for (name, rate) in rows {
            say(format!("{name:<24} {rate:>10.0} events/s"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
