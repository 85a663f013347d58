//! `tenant create|list|suspend|resume|delete|cancel-deletion|log|purge`.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Subcommand;
use commands::{App, Caller, NewTenant, NewUser, Origin, PlatformEntry, Principal, Refusal};
use eventstore::{Purge, PurgeStep};
use formats::{Ambient, TenantId};
use model::Role;
use serde_json::{Map, json};

use super::{Globals, say, serve::connected};
use crate::{
    config::Config,
    server::{self, Keeps},
    telemetry,
};

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
    #[command(after_help = "Example:\n  portcullis tenant list --json")]
    List,
    /// Stop a tenant's doors at once; nothing is lost.
    #[command(after_help = "Example:\n  portcullis tenant suspend acme --reason 'Contract ended'")]
    Suspend {
        /// Its slug.
        slug: String,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Open them again.
    #[command(after_help = "Example:\n  portcullis tenant resume acme")]
    Resume {
        /// Its slug.
        slug: String,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Have a tenant deleted, data and keys, at the end of a grace period.
    #[command(after_help = "Example:\n  portcullis tenant delete acme --confirm acme --grace-days 7")]
    Delete {
        /// Its slug.
        slug: String,
        /// The slug again, to confirm.
        #[arg(long)]
        confirm: String,
        /// The grace period in days, 1 or more; the setting `deletion_grace_days` unless given.
        #[arg(long)]
        grace_days: Option<u32>,
    },
    /// Call a deletion off, while its grace period lasts.
    #[command(after_help = "Example:\n  portcullis tenant cancel-deletion acme")]
    CancelDeletion {
        /// Its slug.
        slug: String,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Show what operators did, the latest first: the platform's own log, which outlives every tenant.
    #[command(after_help = "Example:\n  portcullis tenant log --limit 20")]
    Log {
        /// At most so many entries, 500 or fewer.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Only entries before the one with this number.
        #[arg(long)]
        before: Option<u64>,
    },
    /// Remove every tenant whose grace period is over, for good, with the role of `purge_database_url`. It may be stopped
    /// at any time and goes on from there.
    #[command(
        after_help = "Example:\n  PORTCULLIS_PURGE_DATABASE_URL=postgres://portcullis_purge@db/portcullis portcullis tenant purge"
    )]
    Purge {
        /// Go on until stopped, looking every half minute.
        #[arg(long)]
        watch: bool,
        /// Only show which deletions were begun and how far they are.
        #[arg(long, conflicts_with = "watch")]
        status: bool,
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
            name: account(),
            method: "command_line",
        },
        origin: Origin::inside(app.store.ambient().uuid()),
    }
}

/// Whose shell it is, as the shell says: whoever runs a command has the database's password anyway.
fn account() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "command line".to_owned())
}

pub(super) async fn find(app: &App, slug: &str) -> anyhow::Result<TenantId> {
    app.store
        .find_tenant(slug)
        .await?
        .with_context(|| format!("there is no tenant {slug}"))
}

pub(super) async fn run(globals: &Globals, command: TenantCommand) -> anyhow::Result<ExitCode> {
    let config = globals.settings(&Map::new())?;
    if let TenantCommand::Purge { watch, status } = command {
        return purge(globals, &config, watch, status).await;
    }
    let parts = connected(&config, Keeps::Nothing).await?;
    let app = &parts.app;
    match command {
        TenantCommand::Purge { .. } => {}
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
            let token = app
                .invite_owner(&operator(app, made.id), owner)
                .await
                .map_err(refused)?;
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
                    .map(|row| json!({ "id": row.id, "slug": row.slug, "status": row.status, "createdAt": row.created_at, "purgeAt": row.purge_at }))
                    .collect();
                say(json!(rows));
            } else {
                for row in rows {
                    let until = row.purge_at.map(|at| format!("  until {at}")).unwrap_or_default();
                    say(format!(
                        "{:<40} {:<10} {}  {}{until}",
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
            let grace = grace_days.map(|days| Duration::from_secs(u64::from(days) * 24 * 3600));
            app.delete_tenant(&caller, &confirm, grace).await.map_err(refused)?;
            let days = grace_days.unwrap_or(config.deletion_grace_days);
            say(format!("tenant {slug} is closed, and will be deleted in {days} days"));
        }
        TenantCommand::CancelDeletion { slug, reason } => {
            let caller = operator(app, find(app, &slug).await?);
            app.cancel_tenant_deletion(&caller, reason).await.map_err(refused)?;
            say(format!("tenant {slug} stays"));
        }
        TenantCommand::Log { limit, before } => {
            let caller = operator(app, TenantId::default());
            for entry in app.platform_log(&caller, before, limit).await.map_err(refused)? {
                say(if globals.json { as_json(&entry) } else { as_line(&entry) });
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(entry: &PlatformEntry) -> String {
    json!({ "position": entry.position, "at": entry.at, "operator": entry.operator, "method": entry.method,
        "address": entry.address, "correlationId": entry.correlation, "act": entry.act, "tenantId": entry.tenant,
        "tenantSlug": entry.slug, "detail": entry.detail, "refused": entry.refused })
    .to_string()
}

fn as_line(entry: &PlatformEntry) -> String {
    let whence = entry.address.as_deref().unwrap_or("this machine");
    let about = entry.slug.as_deref().unwrap_or("-");
    let more = match (&entry.refused, &entry.detail) {
        (Some(code), _) => format!("  refused: {code}"),
        (None, Some(detail)) => format!("  {}", detail.escape_debug()),
        (None, None) => String::new(),
    };
    format!(
        "{:>6}  {}  {:<24} {about:<20} {} ({whence}){more}",
        entry.position, entry.at, entry.act, entry.operator
    )
}

/// Needs nothing of the server but the address of its database for another role.
async fn purge(globals: &Globals, config: &Config, watch: bool, status: bool) -> anyhow::Result<ExitCode> {
    let url = config.purge_database_url.as_ref().context(
        "settings: purge_database_url is missing; it names the database for the role portcullis_purge, which `migrate` makes",
    )?;
    let pool = eventstore::connect(url.expose(), 2).await?;
    let ambient = Ambient::system();
    if status {
        for purge in eventstore::purges(&pool).await? {
            let Purge {
                tenant,
                slug,
                began_at,
                rows_removed,
                finished_at,
            } = purge;
            if globals.json {
                say(
                    json!({ "id": tenant, "slug": slug, "beganAt": began_at, "rowsRemoved": rows_removed,
                    "finishedAt": finished_at }),
                );
            } else {
                let end = finished_at.map_or_else(|| "under way".to_owned(), |at| format!("finished {at}"));
                say(format!(
                    "{slug:<40} {tenant}  begun {began_at}  {rows_removed} rows  {end}"
                ));
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let stop = server::stop_at_signals()?;
    if watch {
        let _telemetry = telemetry::begin(&config.log, config.log_json, config.otlp_url.as_deref())?;
        worker::purge::run(pool, ambient, stop).await;
        return Ok(ExitCode::SUCCESS);
    }
    let mut tell = |tenant: TenantId, step: &PurgeStep| match step {
        PurgeStep::Removed { table, rows } => say(format!("{tenant}  {table}: {rows} rows")),
        PurgeStep::Finished => say(format!("{tenant}  nothing is left")),
    };
    let tenants = worker::purge::sweep(&pool, &ambient, &stop, &mut tell).await?;
    say(format!("{tenants} tenants were due"));
    Ok(ExitCode::SUCCESS)
}
