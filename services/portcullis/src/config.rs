//! Settings: flags over `PORTCULLIS_*` environment variables over a TOML file over defaults. An unknown key or a bad
//! value stops the start with a message that names it.

use std::{collections::BTreeSet, fmt, net::SocketAddr, path::PathBuf};

use anyhow::{Context, bail};
use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use serde::{Deserialize, Serialize};

use crate::cli::WrongUsage;

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
    /// A program and its arguments that wrap and open tenants' data keys, in place of a master key here (see
    /// `docs/architecture.md`, § 4).
    pub kms_command: Vec<String>,
    /// The name of the key there; stored beside what it wrapped.
    pub kms_key: Option<String>,
    /// Master keys that are not used for new data any more, but still open what they wrapped.
    pub older_master_keys: Vec<Hidden>,
    /// The mail server: `smtp://`, `smtps://`, with `?tls=required` for STARTTLS.
    pub smtp_url: Option<Hidden>,
    /// The sender of mails.
    pub mail_from: String,
    /// Networks of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// From where `/metrics` may be read; by default this machine and private networks.
    pub metrics_from: Vec<String>,
    /// Where security reports go, a `mailto:` or `https:` address; by default `security@` the host of `public_url`.
    pub security_contact: Option<String>,
    /// Whether GraphQL describes its schema to whoever is signed in.
    pub introspection: bool,
    /// How many calls are answered, by who makes them: `{ strangers = { calls = 100, seconds = 60 }, principals = …,
    /// agents = … }`.
    pub rates: api::Rates,
    /// Internal networks that identity providers may be in, such as `10.1.0.0/16`: called although they are internal, and
    /// without TLS where their address says so.
    pub outbound_networks: Vec<String>,
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

/// Every setting with what it means, as `serve --help` shows them.
pub const SETTINGS: &[(&str, &str)] = &[
    ("listen", "where to listen"),
    (
        "public_url",
        "the address that people and agents use; links are made of it",
    ),
    (
        "roles",
        "which work this process does: api, projector, scheduler, notifier",
    ),
    (
        "database_url",
        "postgres://USER@HOST/DATABASE, as a role that row-level security binds",
    ),
    ("database_connections", "4 to 500"),
    (
        "purge_database_url",
        "the role that removes deleted tenants, for `tenant purge`",
    ),
    (
        "deletion_grace_days",
        "from a tenant's deletion until its data goes, 1 to 365",
    ),
    (
        "master_key",
        "64 lower-case hexadecimal digits; `portcullis keys generate` makes one",
    ),
    ("master_key_file", "a file with it instead, readable by its owner only"),
    (
        "kms_command",
        "a program and its arguments that wrap tenants' keys instead",
    ),
    ("kms_key", "the name of the key there"),
    ("metrics_from", "networks from which /metrics may be read"),
    (
        "outbound_networks",
        "internal networks that identity providers may be in",
    ),
    ("security_contact", "where security reports go, mailto: or https://"),
    ("introspection", "whether GraphQL describes its schema, true or false"),
    ("rates", "how many calls are answered: strangers, principals, agents"),
    ("older_master_keys", "keys that still open what they wrapped"),
    (
        "smtp_url",
        "smtp:// or smtps://, with ?tls=required for STARTTLS; without it mails wait",
    ),
    ("mail_from", "the sender of mails"),
    ("trusted_proxies", "networks whose X-Forwarded-For is believed"),
    ("tls_cert", "a certificate chain in PEM, where no proxy does TLS"),
    ("tls_key", "its key in PEM"),
    ("session_hours", "how long a session lasts, 1 to 168"),
    ("log", "error, warn, info, debug or trace"),
    ("log_json", "true: logs as JSON lines"),
    (
        "otlp_url",
        "a collector for traces, such as http://127.0.0.1:4318/v1/traces",
    ),
    (
        "postgres_binaries",
        "where PostgreSQL's programs are, for development mode",
    ),
];

/// What is wrong with the settings, by the name that was written and the place where.
fn told(error: &figment::Error) -> String {
    use figment::error::Kind;
    let key = error.path.join(".").to_lowercase();
    let place = match &error.metadata {
        Some(from) if from.name.contains("PORTCULLIS_") => {
            format!(" (environment variable PORTCULLIS_{})", key.to_uppercase())
        }
        Some(from) => from
            .source
            .as_ref()
            .map_or_else(String::new, |source| format!(" ({source})")),
        None => String::new(),
    };
    match &error.kind {
        Kind::UnknownField(name, _) => {
            let place = if key.is_empty() {
                place.replace("PORTCULLIS_)", &format!("PORTCULLIS_{})", name.to_uppercase()))
            } else {
                place
            };
            format!("settings: there is no setting `{name}`{place}; `portcullis serve --help` lists all")
        }
        kind => format!("settings: {key}: {kind}{place}"),
    }
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
            kms_command: Vec::new(),
            kms_key: None,
            older_master_keys: Vec::new(),
            smtp_url: None,
            mail_from: "Portcullis <portcullis@localhost>".to_owned(),
            trusted_proxies: Vec::new(),
            metrics_from: api::ApiConfig::default()
                .metrics_from
                .iter()
                .map(ToString::to_string)
                .collect(),
            security_contact: None,
            introspection: true,
            rates: api::Rates::default(),
            outbound_networks: Vec::new(),
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
                bail!(WrongUsage(format!(
                    "the settings file {} does not exist",
                    file.display()
                )));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        figment = figment
            .merge(Env::prefixed("PORTCULLIS_").ignore(&["test_postgres", "url", "ready", "config"]))
            .merge(Serialized::defaults(flags));
        let config: Self = figment.extract().map_err(|error| WrongUsage(told(&error)))?;
        config
            .check()
            .map_err(|error| WrongUsage(format!("settings: {error:#}")))?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        if !self.public_url.starts_with("http://") && !self.public_url.starts_with("https://") {
            bail!("public_url has to begin with http:// or https://");
        }
        if self.public_url.ends_with('/') {
            bail!("public_url must not end with a slash");
        }
        if !(1..=168).contains(&self.session_hours) {
            bail!("session_hours has to be 1 to 168");
        }
        if !(4..=500).contains(&self.database_connections) {
            bail!("database_connections has to be 4 to 500");
        }
        if !(1..=365).contains(&self.deletion_grace_days) {
            bail!("deletion_grace_days has to be 1 to 365");
        }
        if self.roles.is_empty() {
            bail!("roles must not be empty");
        }
        for (name, url) in [
            ("database_url", &self.database_url),
            ("purge_database_url", &self.purge_database_url),
        ] {
            if let Some(url) = url
                && !url.expose().starts_with("postgres://")
                && !url.expose().starts_with("postgresql://")
            {
                bail!("{name} has to begin with postgres://");
            }
        }
        let sources = [
            self.master_key.is_some(),
            self.master_key_file.is_some(),
            !self.kms_command.is_empty(),
        ];
        if sources.into_iter().filter(|given| *given).count() > 1 {
            bail!("only one of master_key, master_key_file and kms_command may be set");
        }
        if self.kms_command.is_empty() != self.kms_key.is_none() {
            bail!("kms_command and kms_key belong together");
        }
        if let Some(url) = &self.smtp_url
            && !url.expose().starts_with("smtp://")
            && !url.expose().starts_with("smtps://")
        {
            bail!("smtp_url has to begin with smtp:// or smtps://");
        }
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            bail!("tls_cert and tls_key belong together");
        }
        for (name, networks) in [
            ("trusted_proxies", &self.trusted_proxies),
            ("metrics_from", &self.metrics_from),
            ("outbound_networks", &self.outbound_networks),
        ] {
            for network in networks {
                network
                    .parse::<ipnet::IpNet>()
                    .with_context(|| format!("{name}: {network} is no network such as 10.0.0.0/8"))?;
            }
        }
        if let Some(contact) = &self.security_contact
            && (!(contact.starts_with("mailto:") || contact.starts_with("https://"))
                || !contact.bytes().all(|b| b.is_ascii_graphic()))
        {
            bail!("security_contact has to begin with mailto: or https://, without white space");
        }
        for (name, rate) in [
            ("strangers", self.rates.strangers),
            ("principals", self.rates.principals),
            ("agents", self.rates.agents),
        ] {
            if rate.calls == 0 || rate.seconds == 0 || rate.seconds > 86_400 {
                bail!("rates.{name} has to be 1 call or more in 1 to 86400 seconds");
            }
        }
        Ok(())
    }

    /// The database's address.
    ///
    /// # Errors
    /// Where none is set, with how to set it.
    pub fn database(&self) -> anyhow::Result<&str> {
        let missing = "settings: database_url is missing; set PORTCULLIS_DATABASE_URL, or try `portcullis dev`, which brings its own";
        Ok(self
            .database_url
            .as_ref()
            .map(Hidden::expose)
            .ok_or_else(|| WrongUsage(missing.to_owned()))?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_setting_is_explained_and_nothing_else() {
        let known = serde_json::to_value(Config::default()).unwrap();
        let known: BTreeSet<_> = known.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(SETTINGS.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(), known);
    }

    fn refused(toml: &str) -> String {
        let file = Figment::from(Serialized::defaults(Config::default())).merge(Toml::string(toml));
        told(&file.extract::<Config>().unwrap_err())
    }

    #[test]
    fn a_wrong_setting_is_named_without_the_machinery() {
        let unknown = refused("lisen = 'x'");
        assert!(
            unknown.starts_with("settings: there is no setting `lisen`"),
            "{unknown}"
        );
        assert!(!unknown.contains("one of"), "{unknown}");
        let bad = refused("session_hours = 'many'");
        assert!(bad.starts_with("settings: session_hours: "), "{bad}");
    }

    fn load(flags: serde_json::Value) -> anyhow::Result<Config> {
        Config::load(None, flags.as_object().unwrap())
    }

    #[test]
    fn what_the_doors_may_be_told_is_set_from_outside_and_shown() {
        let config = load(json!({
            "security_contact": "https://gate.example/security", "metrics_from": ["192.0.2.0/24"],
            "introspection": false, "rates": { "strangers": { "calls": 7, "seconds": 60 } },
        }))
        .unwrap();
        assert_eq!(config.rates.strangers.calls, 7);
        assert_eq!(config.rates.agents, api::Rates::default().agents);
        let shown = serde_json::to_value(&config).unwrap();
        assert_eq!(shown["security_contact"], "https://gate.example/security");
        assert_eq!(shown["metrics_from"], json!(["192.0.2.0/24"]));
        assert_eq!(
            (&shown["introspection"], &shown["rates"]["strangers"]["calls"]),
            (&json!(false), &json!(7))
        );
    }

    #[test]
    fn a_bad_value_stops_the_start_and_is_named() {
        for (flags, named) in [
            (json!({ "security_contact": "ops at example" }), "security_contact"),
            (json!({ "metrics_from": ["everywhere"] }), "metrics_from"),
            (
                json!({ "rates": { "agents": { "calls": 0, "seconds": 60 } } }),
                "rates.agents",
            ),
            (json!({ "deletion_grace_days": 0 }), "deletion_grace_days"),
            (json!({ "kms_command": ["/bin/kms"] }), "kms_key"),
            (
                json!({ "kms_command": ["/bin/kms"], "kms_key": "one", "master_key": "00" }),
                "only one of",
            ),
            (json!({ "purge_database_url": "mysql://db" }), "purge_database_url"),
        ] {
            let error = format!("{:#}", load(flags).unwrap_err());
            assert!(error.contains(named), "{error}");
        }
    }
}
