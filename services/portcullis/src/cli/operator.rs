//! `operator create|list|revoke`: who may use `/platform/v1`.

use std::process::ExitCode;

use clap::Subcommand;
use formats::TenantId;
use serde_json::{Map, json};

use super::{
    Globals, say,
    serve::connected,
    tenant::{operator, refused},
};
use crate::server::Keeps;

#[derive(Debug, Subcommand)]
pub(super) enum OperatorCommand {
    /// Make a credential for `/platform/v1`; printed once.
    #[command(after_help = "Example:\n  portcullis operator create --name provisioning")]
    Create {
        /// What the platform's log calls whoever uses it.
        #[arg(long)]
        name: String,
    },
    /// List all credentials.
    #[command(after_help = "Example:\n  portcullis operator list --json")]
    List,
    /// Revoke a credential: the next call with it is refused.
    #[command(after_help = "Example:\n  portcullis operator revoke --name provisioning")]
    Revoke {
        /// Its name.
        #[arg(long)]
        name: String,
    },
}

pub(super) async fn run(globals: &Globals, command: OperatorCommand) -> anyhow::Result<ExitCode> {
    let parts = connected(&globals.settings(&Map::new())?, Keeps::Nothing).await?;
    let app = &parts.app;
    let caller = operator(app, TenantId::default());
    match command {
        OperatorCommand::Create { name } => {
            let token = app.create_platform_credential(&caller, &name).await.map_err(refused)?;
            if globals.json {
                say(json!({ "name": name, "token": token }));
            } else {
                say(format!(
                    "{name} is an operator with this credential, shown once:\n  {token}"
                ));
            }
        }
        OperatorCommand::List => {
            for credential in app.platform_credentials(&caller).await.map_err(refused)? {
                let (name, made, revoked) = (credential.name, credential.created_at, credential.revoked_at);
                if globals.json {
                    say(json!({ "name": name, "createdAt": made, "revokedAt": revoked }));
                } else {
                    let revoked = revoked.map(|at| format!("  revoked {at}")).unwrap_or_default();
                    say(format!("{name:<30} {made}{revoked}"));
                }
            }
        }
        OperatorCommand::Revoke { name } => {
            app.revoke_platform_credential(&caller, &name).await.map_err(refused)?;
            say(format!("{name} is no operator any more"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
