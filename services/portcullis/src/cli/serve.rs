//! `serve`, `migrate` and `doctor`.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use formats::Ambient;
use serde_json::{Map, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{Globals, say, store};
use crate::{
    config::{Config, Role, SETTINGS},
    server::{self, Keeps, Parts},
    telemetry,
};

#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// Which work this process does; all of it by default.
    #[arg(long, value_delimiter = ',', value_name = "ROLES")]
    roles: Vec<Role>,
    /// Where to listen.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<std::net::SocketAddr>,
    /// Print the merged settings, secrets hidden, and stop.
    #[arg(long)]
    print_config: bool,
}

/// An example, and the settings.
pub(super) fn help() -> String {
    let mut text = "Example:\n  PORTCULLIS_DATABASE_URL=postgres://portcullis_app@db/portcullis portcullis serve --roles \
                    api,projector\n\nSettings, in the file of --config or as PORTCULLIS_NAME in the environment, which counts more:\n"
        .to_owned();
    for (name, meaning) in SETTINGS {
        text.push_str(&format!("  {name:<21} {meaning}\n"));
    }
    text
}

/// The parts of a tool or server over the database of the settings.
pub(super) async fn connected(config: &Config, keeps: Keeps) -> anyhow::Result<Parts> {
    connect(config, keeps, Some(Duration::from_secs(5))).await
}

async fn connect(config: &Config, keeps: Keeps, patience: Option<Duration>) -> anyhow::Result<Parts> {
    let ambient = Ambient::system();
    let pool = server::pool(config, patience).await?;
    let doorbell = server::doorbell(config, &ambient).await?;
    server::parts(config, pool, ambient, server::master_keys(config)?, doorbell, keeps).await
}

pub(super) async fn serve(globals: &Globals, args: ServeArgs) -> anyhow::Result<ExitCode> {
    let mut flags = Map::new();
    if !args.roles.is_empty() {
        flags.insert("roles".to_owned(), json!(args.roles));
    }
    if let Some(listen) = args.listen {
        flags.insert("listen".to_owned(), json!(listen));
    }
    let config = globals.settings(&flags)?;
    if args.print_config {
        say(serde_json::to_string_pretty(&config)?);
        return Ok(ExitCode::SUCCESS);
    }
    let _telemetry = telemetry::begin(&config.log, config.log_json, config.otlp_url.as_deref())?;
    let stop = server::stop_at_signals()?;
    config.database()?;
    let listener =
        std::net::TcpListener::bind(config.listen).with_context(|| format!("listen on {}", config.listen))?;
    listener.set_nonblocking(true)?;
    let keeps = if config.roles.contains(&Role::Projector) {
        Keeps::ReadModels
    } else {
        Keeps::Nothing
    };
    let waiting = Waiting::begin(listener.try_clone()?)?;
    let parts = tokio::select! {
        parts = connect(&config, keeps, None) => parts?,
        () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    waiting.end().await;
    let listener = TcpListener::from_std(listener)?;
    check_keys(&parts).await?;
    if parts.app.store.tenants().await?.is_empty() {
        tracing::warn!(
            "there is no tenant yet: `portcullis tenant create` makes one, and prints a link with which its first owner \
             chooses a password, once"
        );
    }
    tracing::info!(listen = %config.listen, roles = ?config.roles, "serving");
    server::run(&config, &parts, listener, axum::Router::new(), stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// Answers probes while the database is not there yet, so that whoever looks learns what is missing.
struct Waiting {
    over: CancellationToken,
    serving: JoinHandle<()>,
}

impl Waiting {
    fn begin(listener: std::net::TcpListener) -> anyhow::Result<Self> {
        use axum::{Json, Router, http::StatusCode, response::IntoResponse, routing::get};
        let listener = TcpListener::from_std(listener)?;
        let ready = async || {
            let checks = json!([{ "name": "database", "status": "unavailable", "detail": "no connection yet" }]);
            (
                StatusCode::SERVICE_UNAVAILABLE,
                Json(json!({ "status": "unavailable", "checks": checks })),
            )
        };
        let other = async || {
            let problem = json!({ "type": "about:blank", "title": "Unavailable", "status": 503, "code": "UNAVAILABLE",
                "detail": "the database is not there yet; nothing is lost" });
            let headers = [("retry-after", "2"), ("content-type", "application/problem+json")];
            (StatusCode::SERVICE_UNAVAILABLE, headers, problem.to_string()).into_response()
        };
        let router = Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(ready))
            .fallback(other);
        let over = CancellationToken::new();
        let stop = over.clone();
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await;
        });
        Ok(Self { over, serving })
    }

    async fn end(mut self) {
        self.over.cancel();
        if tokio::time::timeout(Duration::from_secs(1), &mut self.serving)
            .await
            .is_err()
        {
            self.serving.abort();
        }
    }
}

/// Refuses to serve with a master key that does not open the tenants' keys.
async fn check_keys(parts: &Parts) -> anyhow::Result<()> {
    for tenant in parts.app.store.tenants().await?.into_iter().take(3) {
        parts.app.store.vault().tenant(tenant).await.context("master key")?;
    }
    Ok(())
}

pub(super) async fn migrate(globals: &Globals) -> anyhow::Result<ExitCode> {
    let config = globals.settings(&Map::new())?;
    let pool = sqlx::PgPool::connect(config.database()?)
        .await
        .context("connect to the database")?;
    eventstore::migrate(&pool).await.context("migrate")?;
    say("the database is at the newest schema");
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn doctor(globals: &Globals) -> anyhow::Result<ExitCode> {
    let config = globals.settings(&Map::new())?;
    let mut checks: Vec<(&str, Result<String, String>)> = vec![("settings", Ok("good".to_owned()))];
    let keys = server::master_keys(&config);
    checks.push((
        "master key",
        keys.as_ref()
            .map(|_| "readable".to_owned())
            .map_err(|e| format!("{e:#}")),
    ));
    match config.database().map(str::to_owned) {
        Err(error) => checks.push(("database", Err(error.to_string()))),
        Ok(url) => match eventstore::connect(&url, 4).await {
            Err(error) => checks.push(("database", Err(error.to_string()))),
            Ok(pool) => {
                let version = store::server_version(&pool).await?;
                let major: u32 = version
                    .split('.')
                    .next()
                    .and_then(|v| v.split(' ').next())
                    .and_then(|v| v.parse().ok())
                    .unwrap_or(0);
                let least = postgres_supervisor::MINIMUM_MAJOR;
                checks.push((
                    "database",
                    if major >= least {
                        Ok(format!("PostgreSQL {version}"))
                    } else {
                        Err(format!("PostgreSQL {version}; {least} is the oldest that works"))
                    },
                ));
                checks.push(("clock", clock(&pool).await));
                if let Ok(keys) = keys {
                    checks.push((
                        "tenants' keys",
                        tenants_keys(&config, pool, keys).await.map_err(|e| format!("{e:#}")),
                    ));
                }
            }
        },
    }
    checks.push((
        "mail",
        match server::notifier(&config) {
            Ok(None) => Err("no smtp_url is set: mails wait in the outbox".to_owned()),
            Ok(Some(notifier)) => match notifier.check().await {
                Ok(true) => Ok("the server answers".to_owned()),
                Ok(false) => Err("the server does not answer".to_owned()),
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(format!("{error:#}")),
        },
    ));
    let good = checks.iter().all(|(_, check)| check.is_ok());
    if globals.json {
        let checks: Vec<_> = checks
            .iter()
            .map(|(name, check)| json!({ "check": name, "ok": check.is_ok(), "message": check.as_ref().unwrap_or_else(|e| e) }))
            .collect();
        say(json!({ "ok": good, "checks": checks }));
    } else {
        for (name, check) in &checks {
            let (mark, text) = match check {
                Ok(text) => ("ok ", text),
                Err(text) => ("BAD", text),
            };
            say(format!("{mark}  {name:<14} {text}"));
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn clock(pool: &sqlx::PgPool) -> Result<String, String> {
    let theirs = store::database_clock(pool).await.map_err(|error| error.to_string())?;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit")]
    let ours = Ambient::system().now().millis() as f64 / 1000.0;
    let apart = (ours - theirs).abs();
    if apart < 1.0 {
        Ok(format!("{apart:.3} s apart from the database's"))
    } else {
        Err(format!("{apart:.1} s apart from the database's"))
    }
}

async fn tenants_keys(
    config: &Config,
    pool: sqlx::PgPool,
    keys: Vec<Arc<dyn eventstore::MasterKey>>,
) -> anyhow::Result<String> {
    let doorbell = server::doorbell_inside();
    let parts = server::parts(config, pool, Ambient::system(), keys, doorbell, Keeps::Nothing).await?;
    let tenants = parts.app.store.tenants().await?;
    for tenant in &tenants {
        parts.app.store.vault().tenant(*tenant).await?;
    }
    Ok(format!("{} tenants open", tenants.len()))
}
