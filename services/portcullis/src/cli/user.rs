//! `user reset`: a way back in for somebody who lost their password or device.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Map, json};

use super::{
    Globals, say,
    serve::connected,
    tenant::{find, operator, refused},
};
use crate::server::Keeps;

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Print a link with which a user chooses a new password, once; sessions end and passkeys are gone at once.
    #[command(after_help = "Example:\n  portcullis user reset --tenant acme --email owner@example.com --totp")]
    Reset {
        /// The tenant's slug.
        #[arg(long)]
        tenant: String,
        /// The user's address.
        #[arg(long)]
        email: String,
        /// Take the one-time codes away too, after the device was lost.
        #[arg(long)]
        totp: bool,
    },
}

pub(super) async fn run(globals: &Globals, command: UserCommand) -> anyhow::Result<ExitCode> {
    let config = globals.settings(&Map::new())?;
    let parts = connected(&config, Keeps::Nothing).await?;
    let app = &parts.app;
    let UserCommand::Reset { tenant, email, totp } = command;
    let id = find(app, &tenant).await?;
    let mut tx = app.reading(id).await.map_err(refused)?;
    let user = projections::directory::user_by_email(&mut tx, &email)
        .await?
        .with_context(|| format!("tenant {tenant} has no user {email}"))?
        .id;
    drop(tx);
    let token = app
        .help_back_in(&operator(app, id), user, totp)
        .await
        .map_err(refused)?;
    let link = format!("{}/invitation/{token}", config.public_url);
    if globals.json {
        say(json!({ "user": user, "welcomeUrl": link }));
    } else {
        say(format!(
            "{email} chooses a new password here, once, within an hour:\n  {link}"
        ));
    }
    Ok(ExitCode::SUCCESS)
}
