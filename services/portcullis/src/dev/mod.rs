//! Development mode: everything in one process, with its own PostgreSQL, a mailbox and demo data, on loopback.

mod entrance;
mod mailbox;
mod seed;
mod smtp;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use eventstore::LocalMasterKey;
use formats::{Ambient, SystemClock, SystemEntropy};
use postgres_supervisor::{Options, Postgres, SUPERUSER, Supervisor};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use self::entrance::Entrance;
use crate::{
    config::Config,
    server::{self, Parts},
};

pub(crate) use mailbox::Arrival;
pub use seed::PASSWORD;

/// What `portcullis dev` was asked for.
#[derive(Debug, Clone)]
pub struct DevOptions {
    /// Where everything is kept.
    pub data_dir: Option<PathBuf>,
    /// Start without demo data.
    pub empty: bool,
    /// Where to write how to get in, once everything answers.
    pub ready_file: Option<PathBuf>,
    /// Listen beyond loopback although this is development mode.
    pub beyond_loopback: bool,
    /// Where mails go instead of the mailbox, as the setting `smtp_url` names it.
    pub smtp: Option<String>,
}

/// How to get in: what `--ready-file` holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// The server.
    pub url: String,
    /// The development mailbox; its clock control is below it.
    pub mailbox_url: String,
    /// Where the mailbox takes mails, `host:port`.
    pub smtp: String,
    /// The database, as the server's role.
    pub database_url: String,
    /// An operator's credential.
    pub platform_token: String,
    /// A link to the first sign-in, where there is no demo data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_run_url: Option<String>,
    /// The tenants of the demo data.
    pub tenants: Vec<ReadyTenant>,
}

/// A tenant of the demo data.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadyTenant {
    /// What people type when they sign in.
    pub slug: String,
    /// Its id.
    pub id: String,
    /// Its people.
    pub users: Vec<ReadyUser>,
    /// Its deployment groups.
    pub deployment_groups: Vec<ReadyGroup>,
    /// A key of a service account with every scope.
    pub api_key: String,
    /// A key of a service account that may change people: what an identity provider uses.
    pub scim_token: String,
    /// The root key that agents pin.
    pub root_key: String,
}

/// A user of the demo data.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadyUser {
    /// The address.
    pub email: String,
    /// The password.
    pub password: String,
    /// The TOTP secret in base32, where codes are enrolled.
    pub totp_secret: Option<String>,
    /// The roles.
    pub roles: Vec<String>,
}

/// A deployment group of the demo data.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadyGroup {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// A token with which endpoints register.
    pub registration_token: String,
}

/// A development server that runs in this process.
pub struct Running {
    /// How to get in.
    pub ready: Ready,
    /// A link that signs in as the demo data's owner, once and from this machine.
    pub sign_in_url: Option<String>,
    /// The parts, for tests that look inside.
    pub parts: Parts,
    data_dir: PathBuf,
    postgres: Postgres,
    pool: PgPool,
    serving: JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
    mailbox: mailbox::Mailbox,
}

/// Runs development mode until a signal.
///
/// # Errors
/// Whatever keeps it from starting, with what to do about it.
pub async fn run(config: Config, options: DevOptions) -> anyhow::Result<()> {
    let begun = Instant::now();
    let stop = server::stop_at_signals()?;
    let ready_file = options.ready_file.clone();
    let running = start(config, options, stop).await?;
    if let Some(file) = &ready_file {
        write_private(file, &serde_json::to_vec_pretty(&running.ready)?)?;
    }
    greet(&running, begun.elapsed());
    running.ended().await
}

impl Running {
    /// Waits until the server ends, because it was stopped or because something died; then ends the rest.
    ///
    /// # Errors
    /// Why it ended, unless it was stopped.
    pub async fn ended(mut self) -> anyhow::Result<()> {
        let died = tokio::select! {
            ended = &mut self.serving => Some(ended.map_err(anyhow::Error::from).and_then(|ended| ended)),
            _ = self.postgres.exited() => None,
        };
        let ended = match died {
            Some(ended) => ended,
            None => {
                self.stop.cancel();
                let _ = self.serving.await;
                let log = self.data_dir.join("postgres.log");
                Err(anyhow::anyhow!(
                    "the embedded PostgreSQL ended; its log is {}",
                    log.display()
                ))
            }
        };
        // Connections that long calls still hold don't keep the database from stopping.
        let _ = tokio::time::timeout(Duration::from_secs(3), self.pool.close()).await;
        self.postgres.stop().await.context("stop PostgreSQL")?;
        ended
    }

    /// Each mail that comes from now on, for whoever asks first.
    pub(crate) fn mails(&self) -> Option<tokio::sync::mpsc::UnboundedReceiver<Arrival>> {
        self.mailbox.watch()
    }

    /// Where the database's owner connects.
    pub(crate) fn admin_url(&self) -> String {
        self.postgres.url("portcullis", SUPERUSER)
    }

    /// Stops the server and its database.
    ///
    /// # Errors
    /// Where something did not end as it should.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.ended().await
    }
}

/// Starts development mode in this process; returns once everything answers.
///
/// # Errors
/// Whatever keeps it from starting, with what to do about it.
pub async fn start(mut config: Config, options: DevOptions, stop: CancellationToken) -> anyhow::Result<Running> {
    if !config.listen.ip().is_loopback() && !options.beyond_loopback {
        bail!(crate::cli::WrongUsage(
            "development mode has known passwords and listens on loopback only; --beyond-loopback overrides that"
                .to_owned()
        ));
    }
    let data_dir = options
        .data_dir
        .clone()
        .or_else(postgres_supervisor::default_data_dir)
        .context("there is no place for data by default: name one with --data-dir")?;
    let clock = Arc::new(SystemClock::default());
    let ambient = Ambient::new(clock.clone(), Arc::new(SystemEntropy));

    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listen on {}", config.listen))?;
    config.public_url = format!("http://{}", shown(listener.local_addr()?));

    let postgres = database(&config, &data_dir).await?;
    let (owner_url, app_url) = (
        postgres.url("portcullis", SUPERUSER),
        postgres.url("portcullis", "portcullis_app"),
    );
    let owner = PgPool::connect(&owner_url)
        .await
        .context("connect to the embedded PostgreSQL")?;
    eventstore::migrate(&owner).await.context("migrate")?;
    owner.close().await;
    config.database_url = Some(app_url.clone().into());

    let mailbox = mailbox::Mailbox::default();
    let smtp = smtp::listen(mailbox.clone(), stop.clone())
        .await
        .context("development mail server")?;
    let mail_server = options.smtp.clone().unwrap_or_else(|| format!("smtp://{smtp}"));
    config.smtp_url = Some(mail_server.into());
    let tools = mailbox::listen(mailbox.clone(), clock, stop.clone())
        .await
        .context("development mailbox")?;

    let master = master_key(&data_dir, &ambient)?;
    let pool = server::pool(&config, Some(Duration::from_secs(30))).await?;
    let parts = server::parts(
        &config,
        pool.clone(),
        ambient.clone(),
        vec![Arc::new(master)],
        server::doorbell_inside(),
        server::Keeps::ReadModels,
    )
    .await?;
    // In earnest this is a process of its own: the server has no right to remove a tenant.
    let purge = eventstore::connect(&postgres.url("portcullis", "portcullis_purge"), 1)
        .await
        .context("purge role")?;
    tokio::spawn(worker::purge::run(purge, ambient.clone(), stop.clone()));
    let entrance = Entrance::default();
    let mut serving = {
        let (config, parts, stop, extra) = (config.clone(), parts.clone(), stop.clone(), entrance.doors());
        tokio::spawn(async move { server::run(&config, &parts, listener, extra, stop).await })
    };
    let known = data_dir.join("demo.json");
    let prepared = async {
        let mut ready = match read_ready(&known)? {
            Some(ready) => ready,
            None => {
                let ready = seed::seed(&config, &parts, &ambient, options.empty)
                    .await
                    .context("demo data")?;
                write_private(&known, &serde_json::to_vec_pretty(&ready)?)?;
                ready
            }
        };
        ready.url.clone_from(&config.public_url);
        ready.mailbox_url = format!("http://{}", shown(tools));
        ready.smtp = smtp.to_string();
        ready.database_url.clone_from(&app_url);
        wait_until_ready(&config.public_url, &stop).await?;
        anyhow::Ok(ready)
    };
    let ready = tokio::select! {
        ready = prepared => ready?,
        ended = &mut serving => {
            ended??;
            bail!("the server ended before it was ready");
        }
    };
    let sign_in_url = entrance.open(&ready, &ambient);
    Ok(Running {
        ready,
        sign_in_url,
        parts,
        data_dir,
        postgres,
        pool,
        serving,
        stop,
        mailbox,
    })
}

async fn database(config: &Config, data_dir: &Path) -> anyhow::Result<Postgres> {
    let mut options = Options::new(data_dir);
    options.binaries.clone_from(&config.postgres_binaries);
    let postgres = Supervisor::start(options).await?;
    postgres.ensure_database("portcullis").await?;
    postgres.ensure_role("portcullis_app").await?;
    Ok(postgres)
}

/// The master key of this data directory, made at the first start.
fn master_key(data_dir: &Path, ambient: &Ambient) -> anyhow::Result<LocalMasterKey> {
    let file = data_dir.join("master.key");
    if !file.exists() {
        LocalMasterKey::from_bytes(ambient.bytes())
            .write_new(&file)
            .context("master key")?;
    }
    LocalMasterKey::from_file(&file).with_context(|| format!("master key {}", file.display()))
}

fn read_ready(file: &Path) -> anyhow::Result<Option<Ready>> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(
            serde_json::from_slice(&bytes).with_context(|| file.display().to_string())?,
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}

/// Writes a file that only its owner reads, whole or not at all.
fn write_private(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let part = file.with_extension("part");
    let write = || {
        let mut out = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        std::fs::rename(&part, file)
    };
    write().with_context(|| format!("write {}", file.display()))
}

/// Waits until the doors answer and the read models show the demo data.
async fn wait_until_ready(url: &str, stop: &CancellationToken) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let begun = Instant::now();
    loop {
        if stop.is_cancelled() {
            bail!("stopped before it was ready");
        }
        let answer = client.get(format!("{url}/readyz")).send().await;
        if answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(60) {
            match answer {
                Ok(answer) => bail!("not ready after a minute: {}", answer.text().await.unwrap_or_default()),
                Err(error) => bail!("not ready after a minute: {error}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An address as a browser takes it: this machine by its name, since passkeys belong to names.
fn shown(address: SocketAddr) -> String {
    if address.ip().is_unspecified() || address.ip().is_loopback() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

#[expect(clippy::print_stdout, reason = "what the person who started it reads")]
fn greet(running: &Running, took: Duration) {
    let ready = &running.ready;
    println!(
        "Portcullis in development mode: known passwords, a clock that can be moved. Ready in {:.1} s.",
        took.as_secs_f64()
    );
    println!();
    let way_in = running.sign_in_url.as_ref().or(ready.first_run_url.as_ref());
    let once = match (&running.sign_in_url, way_in) {
        (Some(_), _) => "  (signs in, once)",
        (None, Some(_)) => "  (choose a password, once)",
        (None, None) => "",
    };
    println!("  console    {}{once}", way_in.unwrap_or(&ready.url));
    if let Some(tenant) = ready.tenants.first() {
        let users: Vec<&str> = tenant.users.iter().map(|user| user.email.as_str()).collect();
        println!(
            "  sign in    organisation {}, {}; password “{PASSWORD}”",
            tenant.slug,
            users.join(", ")
        );
    }
    println!("  GraphQL    {}/graphql", ready.url);
    println!("  mailbox    {}", ready.mailbox_url);
    println!("  metrics    {}/metrics", ready.url);
    println!("  data       {}", running.data_dir.display());
    if ready.tenants.is_empty() {
        println!("  next       open the console's link; it works once");
    } else {
        println!("  next       portcullis demo --server {}", ready.url);
    }
}
