//! The command line: one file per command. Exit 0 on success, 1 on a failed check or an error, 2 on wrong usage.

mod bench;
mod keys;
mod operator;
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

/// The heading of the options that every command takes.
const EVERYWHERE: &str = "Options of every command";

/// Something was asked for in a way it can't be: the exit code is 2, as for a flag that does not exist.
#[derive(Debug)]
pub struct WrongUsage(pub String);

impl std::fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}

/// An open control plane for endpoint privilege management.
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    about,
    max_term_width = 100,
    after_help = "Start with:\n  portcullis dev      a whole installation on this machine, with demo data\n  portcullis demo     then, beside it: the product's story, step by step"
)]
pub struct Cli {
    /// A settings file in TOML.
    #[arg(
        long,
        global = true,
        env = "PORTCULLIS_CONFIG",
        value_name = "FILE",
        help_heading = EVERYWHERE
    )]
    config: Option<PathBuf>,
    /// Print data as JSON.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
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
    #[command(after_help = "Example:\n  portcullis demo --server http://localhost:8080")]
    Demo {
        /// The development server.
        #[arg(long, value_name = "URL", default_value = "http://localhost:8080")]
        server: String,
    },
    /// Run the server.
    #[command(after_help = serve::help())]
    Serve(serve::ServeArgs),
    /// Bring the database to the newest schema, as its owner.
    #[command(after_help = "Example:\n  PORTCULLIS_DATABASE_URL=postgres://owner@db/portcullis portcullis migrate")]
    Migrate,
    /// Make, list, suspend, resume and delete tenants; see who did.
    #[command(after_help = "Example:\n  portcullis tenant create --slug acme --name 'Acme' --owner owner@example.com")]
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Make and revoke credentials of platform operators.
    #[command(after_help = "Example:\n  portcullis operator create --name provisioning")]
    #[command(subcommand)]
    Operator(operator::OperatorCommand),
    /// Help people back in.
    #[command(after_help = "Example:\n  portcullis user reset --tenant acme --email owner@example.com")]
    #[command(subcommand)]
    User(user::UserCommand),
    /// Make and change keys.
    #[command(after_help = "Example:\n  portcullis keys generate --file /etc/portcullis/master.key")]
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Look after the read models.
    #[command(after_help = "Example:\n  portcullis projections status")]
    #[command(subcommand)]
    Projections(projections::ProjectionsCommand),
    /// Test, lint, import and export policies.
    #[command(after_help = "Example:\n  portcullis policy test cases/*.json")]
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Write what clients are generated from.
    #[command(after_help = "Example:\n  portcullis schema export --out api-schema")]
    #[command(subcommand)]
    Schema(schema::SchemaCommand),
    /// Measure the event store and the projector on this machine.
    #[command(after_help = "Example:\n  portcullis bench append --seconds 5")]
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Check the settings and whatever the server depends on.
    #[command(after_help = "Example:\n  portcullis doctor --config portcullis.toml")]
    Doctor,
}

#[derive(Debug, clap::Args)]
struct DevArgs {
    /// Where everything is kept [default: portcullis in the user's data folder].
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
            Command::Operator(command) => runtime.block_on(operator::run(&globals, command)),
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
    if error.is::<WrongUsage>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

/// A line of output. Whoever reads it may stop reading.
pub(crate) fn say(text: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn without_example(command: &clap::Command, path: &str) -> Vec<String> {
        let path = format!("{path} {}", command.get_name());
        let shown = command.get_after_help().or(command.get_after_long_help());
        let mut found = Vec::new();
        if !shown.is_some_and(|text| text.to_string().contains("portcullis ")) {
            found.push(path.clone());
        }
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            found.extend(without_example(inner, &path));
        }
        found
    }

    #[test]
    fn every_command_shows_an_example_in_its_help() {
        assert_eq!(without_example(&Cli::command(), ""), Vec::<String>::new());
        let bare = clap::Command::new("bare");
        assert_eq!(without_example(&bare, ""), [" bare"]);
    }

    #[test]
    fn wrong_usage_and_failure_have_codes_of_their_own() {
        let wrong = WrongUsage("settings: no".to_owned()).into();
        assert_eq!(failed(&wrong), ExitCode::from(2));
        assert_eq!(failed(&anyhow::anyhow!("no")), ExitCode::from(1));
    }
}
