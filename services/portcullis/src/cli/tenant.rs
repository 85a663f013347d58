//! `tenant create|list|suspend|resume|delete`.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Subcommand;
use commands::{App, Caller, NewTenant, NewUser, Origin, Principal, Refusal};
use formats::TenantId;
use model::Role;
use serde_json::{Map, json};

use super::{Globals, say, serve::connected};
use crate::server::Keeps;

#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Make a tenant and its first owner; prints a link with which the owner chooses a password, once.
    #[command(after_help = "Example:\n  portcullis tenant create --slug acme --name 'Acme' --owner owner@example.com")]
    Create {
        /// What people type when they sign in: 2 to 40 of a-z, 0-9 and -.
        #[arg(long)]
        slug: String,
        /// What it is called.
        #[arg(long)]
        name: String,
        /// The e-mail address of the first owner.
        #[arg(long)]
        owner: String,
        /// The name of the first owner.
        #[arg(long, default_value = "Owner")]
        owner_name: String,
    },
    /// List all tenants.
    List,
    /// Stop a tenant's doors at once; nothing is lost.
    Suspend {
        /// Its slug.
        slug: String,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Open them again.
    Resume {
        /// Its slug.
        slug: String,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Have a tenant deleted, data and keys, at the end of a grace period.
    Delete {
        /// Its slug.
        slug: String,
        /// The slug again, to confirm.
        #[arg(long)]
        confirm: String,
        /// The grace period in days, 1 or more.
        #[arg(long, default_value_t = 30)]
        grace_days: u64,
    },
}

pub(super) fn refused(refusal: Refusal) -> anyhow::Error {
    match refusal.field {
        Some(field) => anyhow::anyhow!("{}: {} ({field})", refusal.code, refusal.message),
        None => anyhow::anyhow!("{}: {}", refusal.code, refusal.message),
    }
}

pub(super) fn operator(app: &App, tenant: TenantId) -> Caller {
    Caller {
        tenant,
        principal: Principal::Operator {
            name: "command line".to_owned(),
        },
        origin: Origin::inside(app.store.ambient().uuid()),
    }
}

pub(super) async fn find(app: &App, slug: &str) -> anyhow::Result<TenantId> {
    app.store
        .find_tenant(slug)
        .await?
        .with_context(|| format!("there is no tenant {slug}"))
}

pub(super) async fn run(globals: &Globals, command: TenantCommand) -> anyhow::Result<ExitCode> {
    let config = globals.settings(&Map::new())?;
    let parts = connected(&config, Keeps::Nothing).await?;
    let app = &parts.app;
    match command {
        TenantCommand::Create {
            slug,
            name,
            owner,
            owner_name,
        } => {
            let owner = NewUser {
                email: owner,
                name: owner_name,
                roles: vec![Role::Owner],
                password: None,
                source: "operator",
            };
            let new = NewTenant {
                id: None,
                slug: slug.clone(),
                name,
                owner: Some(owner),
            };
            let made = app
                .create_tenant(&operator(app, TenantId::default()), new)
                .await
                .map_err(refused)?;
            let owner = made.owner.context("the owner was not made")?;
            let token = app.invitation(made.id, owner).await.map_err(refused)?;
            let link = format!("{}/invitation/{token}", config.public_url);
            if globals.json {
                say(json!({ "id": made.id, "slug": slug, "owner": owner, "welcomeUrl": link }));
            } else {
                say(format!("tenant {slug} is made ({})", made.id));
                say(format!(
                    "its owner chooses a password here, once, within three days:\n  {link}"
                ));
            }
        }
        TenantCommand::List => {
            let rows = app
                .list_tenants(&operator(app, TenantId::default()))
                .await
                .map_err(refused)?;
            if globals.json {
                let rows: Vec<_> = rows
                    .iter()
                    .map(|row| json!({ "id": row.id, "slug": row.slug, "status": row.status, "createdAt": row.created_at }))
                    .collect();
                say(json!(rows));
            } else {
                for row in rows {
                    say(format!(
                        "{:<40} {:<10} {}  {}",
                        row.slug, row.status, row.created_at, row.id
                    ));
                }
            }
        }
        TenantCommand::Suspend { slug, reason } => {
            let caller = operator(app, find(app, &slug).await?);
            app.suspend_tenant(&caller, reason).await.map_err(refused)?;
            say(format!("tenant {slug} is suspended"));
        }
        TenantCommand::Resume { slug, reason } => {
            let caller = operator(app, find(app, &slug).await?);
            app.resume_tenant(&caller, reason).await.map_err(refused)?;
            say(format!("tenant {slug} goes on"));
        }
        TenantCommand::Delete {
            slug,
            confirm,
            grace_days,
        } => {
            let caller = operator(app, find(app, &slug).await?);
            let grace = Duration::from_secs(grace_days.saturating_mul(24 * 3600));
            app.delete_tenant(&caller, &confirm, grace).await.map_err(refused)?;
            say(format!(
                "tenant {slug} is closed, and will be deleted in {grace_days} days"
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
