//! `register`.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, bail};
use formats::agent_wire::DeploymentPackage;

use super::{args::Register, print, read_json};
use crate::{
    agent::{Agent, Registration, Surroundings},
    local,
};

pub(super) async fn register(dir: &Path, with: Register, around: Surroundings) -> anyhow::Result<ExitCode> {
    let (server, token, root) = match (with.package, with.server, with.token) {
        (Some(path), ..) => {
            let package: DeploymentPackage = read_json(&path)?;
            (package.server, package.registration_token, Some(package.root_key))
        }
        (None, Some(server), Some(token)) => (server, token, with.root),
        _ => bail!("give --package, or --server and --token"),
    };
    let mut machine = local::machine().context("this machine has no name or no id")?;
    machine.name = with.machine_name.unwrap_or(machine.name);
    machine.os = with.machine_os.unwrap_or(machine.os);
    machine.machine_id = with.machine_id.unwrap_or(machine.machine_id);
    if root.is_none() {
        tracing::warn!("no root key was given: whoever answers at {server} now is trusted from now on");
    }
    let agent = Agent::register(
        dir,
        Registration {
            server,
            token,
            root,
            machine,
            replace: with.replace,
        },
        around,
    )
    .await?;
    let synced = agent.sync_once().await;
    let status = agent.status();
    let lines = [
        ("endpoint", status.endpoint.to_string()),
        ("tenant", status.tenant.to_string()),
        ("group", status.group.to_string()),
        (
            "root key",
            format!(
                "{}{}",
                agent.identity().root,
                if status.root_pinned { "" } else { " (not pinned)" }
            ),
        ),
        (
            "snapshot",
            status
                .snapshot
                .as_ref()
                .map_or("none yet".to_owned(), |s| format!("{}/{}", s.epoch, s.version)),
        ),
        ("state", dir.display().to_string()),
        ("next", "portcullis-agent run".to_owned()),
    ];
    print(with.output.json, &serde_json::to_value(&status)?, &lines)?;
    synced.context("registered, but the first snapshot was not taken")?;
    Ok(ExitCode::SUCCESS)
}
