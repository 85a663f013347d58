//! `fleet`.

use std::{process::ExitCode, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{args::Fleet, print, serve::signals};
use crate::{
    agent::Surroundings,
    fleet::{self, FleetPlan},
};

pub(super) async fn simulate(with: Fleet, around: &Surroundings) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    tokio::spawn(signals(stop.clone()));
    let plan = FleetPlan {
        server: with.server,
        token: with.token,
        root: with.root,
        agents: with.agents,
        at_once: with.at_once,
        stay: Duration::from_secs(with.stay),
        actions: with.actions,
        prefix: with.prefix,
    };
    let report = fleet::run(&plan, around, stop).await;
    let mut lines = vec![
        (
            "registered",
            format!(
                "{} of {} in {} ms",
                report.registered, report.wanted, report.registration_ms
            ),
        ),
        (
            "polls",
            format!(
                "{} unchanged, {} applied, {} failed",
                report.unchanged, report.applied, report.failed
            ),
        ),
        ("records", format!("{} delivered", report.delivered)),
        ("on newest", format!("{} of {}", report.on_newest, report.wanted)),
    ];
    for spread in &report.snapshots {
        let version = format!("{}/{}", spread.snapshot.epoch, spread.snapshot.version);
        let times = format!(
            "p50 {} ms, p99 {} ms, last {} ms",
            spread.p50_ms, spread.p99_ms, spread.last_ms
        );
        lines.push(("snapshot", format!("{version}: {} agents, {times}", spread.agents)));
    }
    lines.extend(report.errors.iter().map(|error| ("error", error.clone())));
    print(with.output.json, &serde_json::to_value(&report)?, &lines)?;
    Ok(if report.is_whole() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
