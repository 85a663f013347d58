//! `projections status|rebuild|retry`.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Map, json};

use super::{Globals, say, serve::connected, tenant::find};
use crate::server::Keeps;

#[derive(Debug, Subcommand)]
pub(super) enum ProjectionsCommand {
    /// How far each read model is, and what is parked.
    #[command(after_help = "Example:\n  portcullis projections status --json")]
    Status,
    /// Build read models anew from the log, beside the old ones; readers are served meanwhile.
    #[command(after_help = "Example:\n  portcullis projections rebuild request_queue --tenant acme")]
    Rebuild {
        /// Which; all by default.
        names: Vec<String>,
        /// Of this tenant alone.
        #[arg(long, value_name = "SLUG")]
        tenant: Option<String>,
    },
    /// Try a parked read model again.
    #[command(after_help = "Example:\n  portcullis projections retry request_queue --tenant acme")]
    Retry {
        /// Which.
        name: String,
        /// Of which tenant.
        #[arg(long, value_name = "SLUG")]
        tenant: String,
    },
}

pub(super) async fn run(globals: &Globals, command: ProjectionsCommand) -> anyhow::Result<ExitCode> {
    let parts = connected(&globals.settings(&Map::new())?, Keeps::ReadModels).await?;
    let app = &parts.app;
    match command {
        ProjectionsCommand::Status => {
            let rows = projections::status(app.pool()).await?;
            let parked: usize = rows.iter().map(|row| row.parked.len()).sum();
            if globals.json {
                let rows: Vec<_> = rows
                    .iter()
                    .map(|row| {
                        let parked: Vec<_> = row
                            .parked
                            .iter()
                            .map(|p| json!({ "tenant": p.tenant, "position": p.position, "error": p.error, "attempts": p.attempts }))
                            .collect();
                        json!({ "name": row.name, "version": row.version, "tenants": row.tenants, "behind": row.behind,
                            "lag": row.lag, "building": row.building, "parked": parked })
                    })
                    .collect();
                say(json!(rows));
            } else {
                say(format!(
                    "{:<22} {:>8} {:>8} {:>8} {:>9}",
                    "read model", "tenants", "behind", "lag", "building"
                ));
                for row in &rows {
                    say(format!(
                        "{:<22} {:>8} {:>8} {:>8} {:>9}",
                        row.name, row.tenants, row.behind, row.lag, row.building
                    ));
                    for p in &row.parked {
                        say(format!(
                            "  parked: tenant {} in front of position {}: {}",
                            p.tenant, p.position, p.error
                        ));
                    }
                }
            }
            return Ok(if parked == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        ProjectionsCommand::Rebuild { names, tenant } => {
            let known: Vec<_> = projections::all().iter().map(|p| p.name()).collect();
            if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
                anyhow::bail!(super::WrongUsage(format!(
                    "there is no read model {unknown}; there are {}",
                    known.join(", ")
                )));
            }
            let chosen: Vec<&str> = if names.is_empty() {
                known
            } else {
                names.iter().map(String::as_str).collect()
            };
            let tenant = match tenant {
                Some(slug) => Some(find(app, &slug).await?),
                None => None,
            };
            let begun = parts.runner.rebuild(&chosen, tenant).await?;
            let tenants = match tenant {
                Some(tenant) => vec![tenant],
                None => app.store.tenants().await?,
            };
            for (n, tenant) in tenants.iter().enumerate() {
                parts.runner.drain(*tenant).await?;
                if !globals.json {
                    say(format!("tenant {} of {}: done", n + 1, tenants.len()));
                }
            }
            say(format!(
                "{begun} builds were made anew and took the place of the old ones"
            ));
        }
        ProjectionsCommand::Retry { name, tenant } => {
            let id = find(app, &tenant).await?;
            projections::retry(app.pool(), Some(&name), Some(id)).await?;
            parts.runner.drain(id).await?;
            say(format!(
                "{name} of {tenant} was tried again; see `portcullis projections status`"
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
