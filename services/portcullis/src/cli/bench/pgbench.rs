//! The peer: plain inserts by PostgreSQL's own load generator, from the same installation as the server.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use postgres_supervisor::SUPERUSER;

use super::{ground::Ground, store};

/// Inserts a second, into a table like that of the events.
pub(super) async fn plain_inserts(ground: &Ground, time: Duration, clients: u64) -> anyhow::Result<f64> {
    store::plain_table(&ground.admin).await?;
    let script = ground.file("plain.sql");
    tokio::fs::write(&script, store::PLAIN_INSERT).await?;
    let output = tokio::process::Command::new(program(ground))
        .args(["-n", "-M", "prepared", "-j", "2", "-U", SUPERUSER])
        .args(["-c", &clients.to_string(), "-T", &time.as_secs().to_string()])
        .arg("-f")
        .arg(&script)
        .arg("-h")
        .arg(ground.postgres.socket_dir())
        .arg("portcullis")
        .output()
        .await
        .context("pgbench, which comes with the PostgreSQL server or its contrib package")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Beside the running server's own program, else where packages put it, else on the `PATH`.
fn program(ground: &Ground) -> PathBuf {
    let running = std::fs::read_link(format!("/proc/{}/exe", ground.postgres.pid())).ok();
    let packaged = PathBuf::from(format!("/usr/lib/postgresql/{}/bin", ground.postgres.major()));
    running
        .as_deref()
        .and_then(|path| path.parent())
        .into_iter()
        .chain([packaged.as_path()])
        .map(|directory| directory.join("pgbench"))
        .find(|path| path.is_file())
        .unwrap_or_else(|| "pgbench".into())
}
