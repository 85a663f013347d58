//! Settings: flags over `PORTCULLIS_*` environment variables over a TOML file over defaults. An unknown key or a bad
//! value stops the start with a message that names it.

use std::{collections::BTreeSet, fmt, net::SocketAddr, path::PathBuf};

use anyhow::{Context, bail};
use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use serde::{Deserialize, Serialize};

/// A setting that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// The secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Hidden {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str("***")
    }
}

/// A part of the server's work. All may run in one process or apart, any number of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// HTTP.
    Api,
    /// Read models and reactions.
    Projector,
    /// Timers.
    Scheduler,
    /// Mails.
    Notifier,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Api, Self::Projector, Self::Scheduler, Self::Notifier];
}

/// The settings of `portcullis serve` and of the tools that need the database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The address people and agents use; links and tokens are made of it, never of the `Host` header.
    pub public_url: String,
    /// Which work this process does.
    pub roles: BTreeSet<Role>,
    /// `postgres://portcullis_app@host/database`: a role that row-level security binds. `migrate` uses its owner instead.
    pub database_url: Option<Hidden>,
    /// Connections to the database, 4 to 500.
    pub database_connections: u32,
    /// `postgres://portcullis_purge@host/database`: the role that removes deleted tenants. For `tenant purge` alone; the
    /// server never needs it.
    pub purge_database_url: Option<Hidden>,
    /// Days between the request of a tenant's deletion and the deletion, 1 to 365.
    pub deletion_grace_days: u32,
    /// The master key: 32 bytes as 64 lower-case hexadecimal digits.
    pub master_key: Option<Hidden>,
    /// A file with the master key, readable by its owner only.
    pub master_key_file: Option<PathBuf>,
    /// Master keys that are not used for new data any more, but still open what they wrapped.
    pub older_master_keys: Vec<Hidden>,
    /// The mail server: `smtp://`, `smtps://`, with `?tls=required` for STARTTLS.
    pub smtp_url: Option<Hidden>,
    /// The sender of mails.
    pub mail_from: String,
    /// Networks of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// A certificate chain in PEM, where no proxy does TLS.
    pub tls_cert: Option<PathBuf>,
    /// Its key in PEM.
    pub tls_key: Option<PathBuf>,
    /// Hours a session lasts, 1 to 168.
    pub session_hours: u32,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub log: String,
    /// Logs as JSON lines.
    pub log_json: bool,
    /// An OTLP collector for traces, such as `http://127.0.0.1:4318/v1/traces`.
    pub otlp_url: Option<String>,
    /// Where PostgreSQL's programs are, for development mode.
    pub postgres_binaries: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: "http://127.0.0.1:8080".to_owned(),
            roles: Role::ALL.into(),
            database_url: None,
            database_connections: 24,
            purge_database_url: None,
            deletion_grace_days: 30,
            master_key: None,
            master_key_file: None,
            older_master_keys: Vec::new(),
            smtp_url: None,
            mail_from: "Portcullis <portcullis@localhost>".to_owned(),
            trusted_proxies: Vec::new(),
            tls_cert: None,
            tls_key: None,
            session_hours: 12,
            log: "info".to_owned(),
            log_json: false,
            otlp_url: None,
            postgres_binaries: None,
        }
    }
}

impl Config {
    /// The merged settings. `flags` are those that were given on the command line.
    ///
    /// # Errors
    /// An unknown key or a bad value, by name.
    pub fn load(file: Option<&PathBuf>, flags: &serde_json::Map<String, serde_json::Value>) -> anyhow::Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            if !file.is_file() {
                bail!("the settings file {} does not exist", file.display());
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        figment = figment
            .merge(Env::prefixed("PORTCULLIS_").ignore(&["test_postgres", "url", "ready", "config"]))
            .merge(Serialized::defaults(flags));
        let config: Self = figment
            .extract()
            .map_err(|error| anyhow::anyhow!("settings: {error}"))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        if !self.public_url.starts_with("http://") && !self.public_url.starts_with("https://") {
            bail!("settings: public_url has to begin with http:// or https://");
        }
        if self.public_url.ends_with('/') {
            bail!("settings: public_url must not end with a slash");
        }
        if !(1..=168).contains(&self.session_hours) {
            bail!("settings: session_hours has to be 1 to 168");
        }
        if !(4..=500).contains(&self.database_connections) {
            bail!("settings: database_connections has to be 4 to 500");
        }
        if !(1..=365).contains(&self.deletion_grace_days) {
            bail!("settings: deletion_grace_days has to be 1 to 365");
        }
        if self.roles.is_empty() {
            bail!("settings: roles must not be empty");
        }
        for (name, url) in [
            ("database_url", &self.database_url),
            ("purge_database_url", &self.purge_database_url),
        ] {
            if let Some(url) = url
                && !url.expose().starts_with("postgres://")
                && !url.expose().starts_with("postgresql://")
            {
                bail!("settings: {name} has to begin with postgres://");
            }
        }
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            bail!("settings: tls_cert and tls_key belong together");
        }
        for network in &self.trusted_proxies {
            network
                .parse::<ipnet::IpNet>()
                .with_context(|| format!("settings: trusted_proxies: {network} is no network such as 10.0.0.0/8"))?;
        }
        Ok(())
    }

    /// The database's address.
    ///
    /// # Errors
    /// Where none is set, with how to set it.
    pub fn database(&self) -> anyhow::Result<&str> {
        self.database_url.as_ref().map(Hidden::expose).context(
            "settings: database_url is missing; set PORTCULLIS_DATABASE_URL, or try `portcullis dev`, which brings its own",
        )
    }
}
