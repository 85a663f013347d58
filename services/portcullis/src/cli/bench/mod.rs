//! `bench append|project|latency|timers|fairness`: the event store, the projector, the way from a request to a mail and
//! back, timers that are due at once, and what one tenant does to another, each on a private, durable PostgreSQL and beside
//! a peer in the same run where there is one. Rates are reported, not judged: machines differ (`docs/quality.md § 1`).

mod append;
mod crew;
mod fairness;
mod ground;
mod history;
mod latency;
mod pgbench;
mod project;
mod store;
mod timers;

use std::{process::ExitCode, time::Duration};

use clap::Subcommand;

use super::Globals;

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
        /// How many clients pgbench and the many tenants have, 1 to 128.
        #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=128))]
        clients: u64,
    },
    /// All read models from logs of so many events, together and each by itself.
    #[command(after_help = "Example:\n  portcullis bench project --events 100000 --tenants 4")]
    Project {
        /// How many events in all, 1,000 to 1,000,000.
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000))]
        events: u64,
        /// How many tenants they belong to, 1 to 100.
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=100))]
        tenants: u64,
    },
    /// What one tenant at fifty times its share does to another.
    #[command(after_help = "Example:\n  portcullis bench fairness --rate 5 --seconds 20")]
    Fairness {
        /// A tenant's share: changes a second, 1 to 200.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=200))]
        rate: u64,
        /// How long each part lasts, 5 to 120.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(5..=120))]
        seconds: u64,
    },
    /// From a filed request to its mail, and from an approval to the agent's answer, with agents, HTTP and SMTP.
    #[command(after_help = "Example:\n  portcullis bench latency --rate 200 --seconds 20")]
    Latency {
        /// Requests a second, 1 to 1,000.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=1_000))]
        rate: u64,
        /// How long, 1 to 120. At most 30,000 requests are filed in all.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=120))]
        seconds: u64,
    },
    /// So many deadlines at one moment: how late each is acted on.
    #[command(after_help = "Example:\n  portcullis bench timers --timers 10000 --tenants 1")]
    Timers {
        /// How many timers, 64 to 100,000.
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(64..=100_000))]
        timers: u64,
        /// How many tenants they belong to, 1 to 64.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
        tenants: u64,
    },
}

pub(super) async fn run(globals: &Globals, command: BenchCommand) -> anyhow::Result<ExitCode> {
    match command {
        BenchCommand::Append {
            seconds,
            tenants,
            tasks,
            clients,
        } => {
            let plan = append::Plan {
                time: Duration::from_secs(seconds),
                tenants,
                tasks,
                clients,
            };
            append::run(globals, plan).await
        }
        BenchCommand::Project { events, tenants } => project::run(globals, events, tenants).await,
        BenchCommand::Fairness { rate, seconds } => fairness::run(globals, rate, seconds).await,
        BenchCommand::Latency { rate, seconds } => latency::run(globals, rate, seconds).await,
        BenchCommand::Timers { timers, tenants } => timers::run(globals, timers, tenants).await,
    }
}

/// A line about long work, beside the output.
#[expect(clippy::print_stderr, reason = "progress of long work")]
fn progress(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

/// So many in this time, a second.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::EPSILON)
}

/// So many of the one for each of the other.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b.max(1) as f64
}

/// Whether a goal was met, in a word.
const fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

/// How long things took, in order.
struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time within which this share, in per mille, was done (nearest rank), in milliseconds; 0 where there is none.
    fn ms(&self, per_mille: usize) -> f64 {
        let rank = (self.0.len() * per_mille).div_ceil(1_000).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default().as_secs_f64() * 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_tail_are_those_of_the_nearest_rank() {
        let times = Times::of((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!(
            [times.ms(500), times.ms(990), times.ms(1_000)].map(f64::round),
            [50.0, 99.0, 100.0]
        );
        assert_eq!(Times::of(vec![Duration::from_millis(7)]).ms(990).round(), 7.0);
        assert_eq!(Times::of(Vec::new()).ms(500), 0.0);
    }
}
