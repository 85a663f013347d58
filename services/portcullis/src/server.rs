//! Wiring: from settings to running roles.

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::Context;
use api::{ApiConfig, ApiState};
use axum::Router;
use commands::App;
use eventstore::{
    CommandMasterKey, Doorbell, InProcess, LocalMasterKey, MasterKey, PostgresDoorbell, Store, Upcasters, Vault,
};
use formats::Ambient;
use projections::{Runner, Waiter};
use sqlx::PgPool;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use worker::mail::{MailConfig, Notifier};

use crate::config::{Config, Role};

/// The parts of a process that every role and tool shares.
#[derive(Clone)]
pub struct Parts {
    /// The use cases.
    pub app: App,
    /// Keeps the read models, in processes that do.
    pub runner: Runner,
    /// Rings when a log has grown.
    pub doorbell: Arc<dyn Doorbell>,
}

/// The master keys of the settings, the present one first.
///
/// # Errors
/// Where none is set or one is none.
pub fn master_keys(config: &Config) -> anyhow::Result<Vec<Arc<dyn MasterKey>>> {
    let present: Arc<dyn MasterKey> = match (&config.master_key, &config.master_key_file, &config.kms_key) {
        (Some(text), _, _) => Arc::new(LocalMasterKey::from_text(text.expose()).context("settings: master_key")?),
        (None, Some(file), _) => Arc::new(LocalMasterKey::from_file(file).context("settings: master_key_file")?),
        (None, None, Some(key)) => {
            Arc::new(CommandMasterKey::new(&config.kms_command, key).context("settings: kms_command")?)
        }
        (None, None, None) => {
            anyhow::bail!(
                "settings: master_key, master_key_file or kms_command is missing; `portcullis keys generate` makes a key"
            )
        }
    };
    let mut keys = vec![present];
    for older in &config.older_master_keys {
        keys.push(Arc::new(
            LocalMasterKey::from_text(older.expose()).context("settings: older_master_keys")?,
        ));
    }
    Ok(keys)
}

/// Whether this process keeps the read models itself, or only reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// It runs the projector.
    ReadModels,
    /// Another process does.
    Nothing,
}

/// Puts a process together over a pool.
///
/// # Errors
/// Where the doorbell can't be hung up.
pub async fn parts(
    config: &Config,
    pool: PgPool,
    ambient: Ambient,
    masters: Vec<Arc<dyn MasterKey>>,
    doorbell: Arc<dyn Doorbell>,
    keeps: Keeps,
) -> anyhow::Result<Parts> {
    let mut masters = masters.into_iter();
    let present = masters.next().context("no master key")?;
    let vault = Vault::new(pool.clone(), ambient.clone(), present, masters.collect());
    let store = Store::new(
        pool.clone(),
        vault,
        ambient,
        Upcasters::default(),
        doorbell.clone(),
        eventstore::Options::default(),
    );
    let runner = Runner::new(store.clone(), projections::Options::default());
    let waiter = match keeps {
        Keeps::ReadModels => runner.waiter(),
        Keeps::Nothing => Waiter::new(pool),
    };
    let settings = commands::Config {
        public_url: config.public_url.clone(),
        outbound_networks: config
            .outbound_networks
            .iter()
            .filter_map(|network| network.parse().ok())
            .collect(),
        session_hours: config.session_hours,
        deletion_grace: Duration::from_secs(u64::from(config.deletion_grace_days) * 24 * 60 * 60),
        ..commands::Config::default()
    };
    Ok(Parts {
        app: App::new(store, waiter, settings),
        runner,
        doorbell,
    })
}

/// A pool for the server's role. A database that is not there yet is waited for: as long as it takes, or for `patience`.
///
/// # Errors
/// Where it does not come in time, or the role sees every tenant.
pub async fn pool(config: &Config, patience: Option<Duration>) -> anyhow::Result<PgPool> {
    let url = config.database()?;
    let begun = tokio::time::Instant::now();
    loop {
        match eventstore::connect(url, config.database_connections).await {
            Ok(pool) => return Ok(pool),
            Err(error @ eventstore::ConnectError::Role(_)) => return Err(error.into()),
            Err(error) if patience.is_some_and(|patience| begun.elapsed() > patience) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "waiting for the database");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

/// A doorbell that rings in every process, or in this one alone where all roles are here.
///
/// # Errors
/// Where the database refuses to listen.
pub async fn doorbell(config: &Config, ambient: &Ambient) -> anyhow::Result<Arc<dyn Doorbell>> {
    Ok(Arc::new(
        PostgresDoorbell::start(config.database()?, ambient)
            .await
            .context("doorbell")?,
    ))
}

/// A doorbell for a single process.
#[must_use]
pub fn doorbell_inside() -> Arc<dyn Doorbell> {
    Arc::new(InProcess::new())
}

/// The mail sender of the settings, if there is one.
///
/// # Errors
/// Where a setting can't be used, by name.
pub fn notifier(config: &Config) -> anyhow::Result<Option<Notifier>> {
    config
        .smtp_url
        .as_ref()
        .map(|url| {
            let mail = MailConfig {
                smtp_url: url.expose().to_owned(),
                from: config.mail_from.clone(),
            };
            Notifier::new(&mail).context("settings")
        })
        .transpose()
}

/// Runs the roles until `stop` is cancelled, then lets each finish what it is at. `extra` are doors of this process alone.
///
/// # Errors
/// Where a role ends before it should.
pub async fn run(
    config: &Config,
    parts: &Parts,
    listener: TcpListener,
    extra: Router,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut roles: JoinSet<(&'static str, anyhow::Result<()>)> = JoinSet::new();
    let notifier = notifier(config)?;
    let doors = doors(config, parts, notifier.is_some(), &stop)?;
    let router = if config.roles.contains(&Role::Api) {
        api::router(doors)
    } else {
        api::probes(doors)
    };
    let router = extra.merge(router);
    spawn(&mut roles, "api", {
        let stop = stop.clone();
        let tls = tls(config)?;
        async move {
            let guards = api::Guards {
                tls,
                ..api::Guards::default()
            };
            api::serve_with(listener, router, guards, stop).await.context("http")
        }
    });
    if config.roles.contains(&Role::Projector) {
        let (runner, stopped) = (parts.runner.clone(), stop.clone());
        spawn(&mut roles, "projector", async move {
            runner.run(stopped.cancelled_owned()).await;
            Ok(())
        });
        let (app, stop) = (parts.app.clone(), stop.clone());
        spawn(&mut roles, "reactor", async move {
            worker::reactor::run(app, stop).await;
            Ok(())
        });
    }
    if config.roles.contains(&Role::Scheduler) {
        let (app, stop) = (parts.app.clone(), stop.clone());
        spawn(&mut roles, "scheduler", async move {
            worker::scheduler::run(app, stop).await;
            Ok(())
        });
    }
    if config.roles.contains(&Role::Scheduler) {
        let (app, stop) = (parts.app.clone(), stop.clone());
        spawn(&mut roles, "sweep", async move {
            worker::sweep::run(app, stop).await;
            Ok(())
        });
    }
    if config.roles.contains(&Role::Notifier) {
        match notifier {
            Some(notifier) => {
                let (app, stop) = (parts.app.clone(), stop.clone());
                spawn(&mut roles, "notifier", async move {
                    worker::mail::run(app, notifier, stop).await;
                    Ok(())
                });
            }
            None => tracing::warn!("no smtp_url is set: mails wait in the outbox"),
        }
    }
    while let Some(ended) = roles.join_next().await {
        match ended {
            Ok((_, Ok(()))) if stop.is_cancelled() => {}
            Ok((role, Ok(()))) => {
                stop.cancel();
                anyhow::bail!("the {role} ended by itself");
            }
            Ok((role, Err(error))) => {
                stop.cancel();
                return Err(error.context(role));
            }
            Err(error) => {
                stop.cancel();
                return Err(error.into());
            }
        }
    }
    Ok(())
}

fn spawn(
    roles: &mut JoinSet<(&'static str, anyhow::Result<()>)>,
    name: &'static str,
    work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) {
    roles.spawn(async move { (name, work.await) });
}

fn doors(config: &Config, parts: &Parts, mail: bool, stop: &CancellationToken) -> anyhow::Result<ApiState> {
    let settings = ApiConfig {
        public_url: config.public_url.clone(),
        trusted_proxies: config
            .trusted_proxies
            .iter()
            .filter_map(|network| network.parse().ok())
            .collect(),
        metrics_from: config
            .metrics_from
            .iter()
            .filter_map(|network| network.parse().ok())
            .collect(),
        security_contact: config.security_contact.clone(),
        introspection: config.introspection,
        rates: config.rates,
        // Two thirds of the connections: the other roles of this process need some too.
        places: usize::try_from(config.database_connections * 2 / 3).unwrap_or(16),
        mail,
    };
    ApiState::new(parts.app.clone(), settings, stop.clone()).context("metrics")
}

fn tls(config: &Config) -> anyhow::Result<Option<rustls::ServerConfig>> {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let (Some(cert), Some(key)) = (&config.tls_cert, &config.tls_key) else {
        return Ok(None);
    };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("settings: tls_cert {}", cert.display()))?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("settings: tls_key {}", key.display()))?;
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("settings: tls")?;
    Ok(Some(tls))
}

/// Cancelled at Ctrl-C or SIGTERM.
///
/// # Errors
/// Where the signals can't be heard.
pub fn stop_at_signals() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
        }
        cancel.cancel();
    });
    Ok(stop)
}
