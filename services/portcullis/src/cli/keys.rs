//! `keys generate|rotate|rewrap`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Subcommand;
use eventstore::LocalMasterKey;
use formats::{Ambient, Purpose};
use serde_json::Map;

use super::{Globals, say, serve::connected, tenant::find};
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
    /// Give a tenant a new signing key; the old one is good for a while longer.
    Rotate {
        /// The tenant's slug.
        #[arg(long)]
        tenant: String,
        /// `snapshot`, `grant`, `mfa`, `token`, `audit` or `webhook`.
        #[arg(long)]
        purpose: String,
        /// How long both are good, in hours.
        #[arg(long, default_value_t = 24)]
        overlap_hours: u64,
    },
    /// Wrap every tenant's data key under the present master key, after it was changed.
    Rewrap,
}

pub(super) async fn run(globals: &Globals, command: KeysCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeysCommand::Generate { file } => {
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
        }
        KeysCommand::Rotate {
            tenant,
            purpose,
            overlap_hours,
        } => {
            let parts = connected(&globals.settings(&Map::new())?, Keeps::Nothing).await?;
            let id = find(&parts.app, &tenant).await?;
            let purpose = Purpose::ALL
                .into_iter()
                .find(|p| p.as_str() == purpose)
                .ok_or_else(|| {
                    anyhow::anyhow!(
                        "--purpose has to be one of {}",
                        Purpose::ALL.map(Purpose::as_str).join(", ")
                    )
                })?;
            let overlap = Duration::from_secs(overlap_hours.saturating_mul(3600));
            let kid = parts
                .app
                .rotate_key(id, purpose, overlap)
                .await
                .map_err(super::tenant::refused)?;
            say(format!("{} is now signed with {kid}", purpose.as_str()));
        }
        KeysCommand::Rewrap => {
            let parts = connected(&globals.settings(&Map::new())?, Keeps::Nothing).await?;
            let tenants = parts.app.store.tenants().await?;
            for tenant in &tenants {
                parts.app.store.vault().rewrap(*tenant).await?;
            }
            say(format!("{} tenants are under the present master key", tenants.len()));
        }
    }
    Ok(ExitCode::SUCCESS)
}
