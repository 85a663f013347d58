//! `keys generate|rotate|revoke|list|rewrap`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Subcommand;
use commands::{App, Caller};
use eventstore::{DataRotation, LocalMasterKey};
use formats::{Ambient, Purpose, TenantId};
use serde_json::{Map, json};

use super::{
    Globals, say,
    serve::connected,
    tenant::{find, operator, refused},
};
use crate::server::Keeps;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a master key: printed, or written to a new file that only its owner reads.
    #[command(after_help = "Example:\n  portcullis keys generate --file /etc/portcullis/master.key")]
    Generate {
        /// The new file.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Give a tenant a new signing key; the old one is good for a while longer. Or, with `--purpose data`, another data
    /// key: everything that is wrapped under the old one is wrapped anew, and the old one destroyed. That takes four
    /// minutes, since every process has to know; it may be stopped and begun again.
    #[command(after_help = "Example:\n  portcullis keys rotate --tenant acme --purpose snapshot")]
    Rotate {
        /// The tenant's slug.
        #[arg(long)]
        tenant: String,
        /// `snapshot`, `grant`, `mfa`, `token`, `audit`, `webhook` or `data`.
        #[arg(long)]
        purpose: String,
        /// How long both are good, in hours; of signing keys.
        #[arg(long, default_value_t = 24)]
        overlap_hours: u64,
    },
    /// Take a signing key out of a tenant's key set at once and destroy it: whatever it signed is worth nothing any more.
    #[command(
        after_help = "Example:\n  portcullis keys list --tenant acme\n  portcullis keys revoke --tenant acme --kid KID"
    )]
    Revoke {
        /// The tenant's slug.
        #[arg(long)]
        tenant: String,
        /// The key's id.
        #[arg(long)]
        kid: String,
    },
    /// List a tenant's signing keys.
    #[command(after_help = "Example:\n  portcullis keys list --tenant acme")]
    List {
        /// The tenant's slug.
        #[arg(long)]
        tenant: String,
    },
    /// Wrap every tenant's data key under the present master key, after it was changed.
    #[command(after_help = "Example:\n  portcullis keys rewrap --config portcullis.toml")]
    Rewrap,
}

pub(super) async fn run(globals: &Globals, command: KeysCommand) -> anyhow::Result<ExitCode> {
    if let KeysCommand::Generate { file } = command {
        return generate(file);
    }
    let parts = connected(&globals.settings(&Map::new())?, Keeps::Nothing).await?;
    let app = &parts.app;
    match command {
        KeysCommand::Generate { .. } => {}
        KeysCommand::Rotate {
            tenant,
            purpose,
            overlap_hours,
        } => {
            let mut caller = operator(app, find(app, &tenant).await?);
            if purpose == "data" {
                // One act, however often it has to look again.
                caller.origin.idempotency_key = Some(caller.origin.correlation.to_string());
                return rotate_data(app, &caller).await;
            }
            let purpose = Purpose::ALL
                .into_iter()
                .find(|p| p.as_str() == purpose)
                .ok_or_else(|| {
                    let known = Purpose::ALL.map(Purpose::as_str).join(", ");
                    anyhow::Error::new(super::WrongUsage(format!("--purpose has to be one of {known}, data")))
                })?;
            let overlap = Duration::from_secs(overlap_hours.saturating_mul(3600));
            let kid = app.rotate_key(&caller, purpose, overlap).await.map_err(refused)?;
            say(format!("{} is now signed with {kid}", purpose.as_str()));
        }
        KeysCommand::Revoke { tenant, kid } => {
            let caller = operator(app, find(app, &tenant).await?);
            let next = app.revoke_key(&caller, &kid).await.map_err(refused)?;
            say(format!("{kid} is out of the key set and destroyed"));
            if let Some(next) = next {
                say(format!("{next} takes its place"));
            }
        }
        KeysCommand::List { tenant } => {
            let caller = operator(app, find(app, &tenant).await?);
            for key in app.signing_keys(&caller).await.map_err(refused)? {
                let (purpose, kid, status) = (key.purpose.as_str(), key.kid, key.status);
                if globals.json {
                    say(
                        json!({ "kid": kid, "purpose": purpose, "status": status, "createdAt": key.created_at,
                        "notAfter": key.not_after }),
                    );
                } else {
                    let until = key.not_after.map(|at| format!("  until {at}")).unwrap_or_default();
                    say(format!("{purpose:<10} {status:<9} {kid}  {}{until}", key.created_at));
                }
            }
        }
        KeysCommand::Rewrap => {
            let caller = operator(app, TenantId::default());
            let tenants = app.rewrap_data_keys(&caller).await.map_err(refused)?;
            say(format!("{tenants} data keys are under the present master key"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn generate(file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let bytes: [u8; 32] = Ambient::system().bytes();
    match file {
        Some(file) => {
            LocalMasterKey::from_bytes(bytes).write_new(&file)?;
            say(format!(
                "the master key is in {}; keep a copy where the database is not",
                file.display()
            ));
        }
        None => say(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()),
    }
    Ok(ExitCode::SUCCESS)
}

async fn rotate_data(app: &App, caller: &Caller) -> anyhow::Result<ExitCode> {
    loop {
        match app.rotate_data_key(caller).await.map_err(refused)? {
            DataRotation::Done { rewrapped } => {
                say(format!(
                    "the old data key is destroyed; the last look wrapped {rewrapped} secrets anew"
                ));
                return Ok(ExitCode::SUCCESS);
            }
            DataRotation::Waiting(until) => {
                say(format!("until {until}, so that every process knows"));
                tokio::time::sleep(until.since(app.now()) + Duration::from_millis(1)).await;
            }
        }
    }
}
