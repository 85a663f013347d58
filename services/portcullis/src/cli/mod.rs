//! The command line: one file per command. Exit 0 on success, 1 on a failed check or an error, 2 on wrong usage.

mod bench;
mod keys;
mod policy;
mod projections;
mod schema;
mod serve;
mod store;
mod tenant;
mod user;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use serde_json::Map;

use crate::{
    config::Config,
    demo,
    dev::{self, DevOptions},
    telemetry,
};

/// An open control plane for endpoint privilege management.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about, max_term_width = 100)]
pub struct Cli {
    /// A settings file in TOML.
    #[arg(long, global = true, env = "PORTCULLIS_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print data as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything in one process on its own PostgreSQL, with demo data.
    #[command(after_help = "Example:\n  portcullis dev --listen 127.0.0.1:8080")]
    Dev(DevArgs),
    /// Tell the product's story against a development server; exits 0 only if each step held.
    #[command(after_help = "Example:\n  portcullis demo --server http://127.0.0.1:8080")]
    Demo {
        /// The development server.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
        server: String,
    },
    /// Run the server.
    #[command(
        after_help = "Example:\n  PORTCULLIS_DATABASE_URL=postgres://portcullis_app@db/portcullis portcullis serve --roles api,projector"
    )]
    Serve(serve::ServeArgs),
    /// Bring the database to the newest schema, as its owner.
    #[command(after_help = "Example:\n  PORTCULLIS_DATABASE_URL=postgres://owner@db/portcullis portcullis migrate")]
    Migrate,
    /// Make, list, suspend, resume and delete tenants.
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Help people back in.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Make and change keys.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Look after the read models.
    #[command(subcommand)]
    Projections(projections::ProjectionsCommand),
    /// Test, lint, import and export policies.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Write what clients are generated from.
    #[command(subcommand)]
    Schema(schema::SchemaCommand),
    /// Measure the event store and the projector on this machine.
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Check the settings and whatever the server depends on.
    #[command(after_help = "Example:\n  portcullis doctor --config portcullis.toml")]
    Doctor,
}

#[derive(Debug, clap::Args)]
struct DevArgs {
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<std::net::SocketAddr>,
    /// Start without demo data, with a link to the first sign-in.
    #[arg(long)]
    empty: bool,
    /// Write how to get in to this file once everything answers.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Listen beyond loopback although passwords are known.
    #[arg(long)]
    beyond_loopback: bool,
}

/// What every command gets.
#[derive(Debug, Clone)]
pub(crate) struct Globals {
    pub(crate) config: Option<PathBuf>,
    pub(crate) json: bool,
}

impl Globals {
    /// The settings, with these flags over everything else.
    pub(crate) fn settings(&self, flags: &Map<String, serde_json::Value>) -> anyhow::Result<Config> {
        Config::load(self.config.as_ref(), flags)
    }
}

impl Cli {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let globals = Globals {
            config: self.config,
            json: self.json,
        };
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return failed(&error.into()),
        };
        let result = match self.command {
            Command::Dev(args) => {
                let mut flags = Map::new();
                if let Some(listen) = args.listen {
                    flags.insert("listen".to_owned(), listen.to_string().into());
                }
                globals.settings(&flags).and_then(|mut config| {
                    if std::env::var_os("PORTCULLIS_LOG").is_none() && globals.config.is_none() {
                        config.log = "warn".to_owned();
                    }
                    let _telemetry = telemetry::begin(&config.log, config.log_json, config.otlp_url.as_deref())?;
                    let options = DevOptions {
                        data_dir: args.data_dir,
                        empty: args.empty,
                        ready_file: args.ready_file,
                        beyond_loopback: args.beyond_loopback,
                        smtp: None,
                    };
                    runtime.block_on(dev::run(config, options)).map(|()| ExitCode::SUCCESS)
                })
            }
            Command::Demo { server } => runtime
                .block_on(demo::tell(&server, globals.json))
                .map(|held| if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
            Command::Serve(args) => runtime.block_on(serve::serve(&globals, args)),
            Command::Migrate => runtime.block_on(serve::migrate(&globals)),
            Command::Tenant(command) => runtime.block_on(tenant::run(&globals, command)),
            Command::User(command) => runtime.block_on(user::run(&globals, command)),
            Command::Keys(command) => runtime.block_on(keys::run(&globals, command)),
            Command::Projections(command) => runtime.block_on(projections::run(&globals, command)),
            Command::Policy(command) => runtime.block_on(policy::run(&globals, command)),
            Command::Schema(command) => schema::run(&command),
            Command::Bench(command) => runtime.block_on(bench::run(&globals, command)),
            Command::Doctor => runtime.block_on(serve::doctor(&globals)),
        };
        match result {
            Ok(code) => code,
            Err(error) => failed(&error),
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command line's own error")]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("portcullis: {error:#}");
    ExitCode::FAILURE
}

/// A line of output. Whoever reads it may stop reading.
pub(crate) fn say(text: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
