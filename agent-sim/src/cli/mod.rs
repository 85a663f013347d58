//! The command line. Exit 0 on success, 1 on a failed check or error, 2 on wrong usage.

mod args;
mod decide;
mod enrol;
mod serve;
mod simulate;
mod status;

use std::{
    io::{Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::Surroundings;
use args::{Cli, Command};

/// Written while an agent runs, for the other commands.
const DOORS: &str = "doors.json";

#[derive(Debug, Serialize, Deserialize)]
struct OpenDoors {
    listen: SocketAddr,
    socket: PathBuf,
}

/// The program.
pub async fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("PORTCULLIS_AGENT_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("portcullis_agent=info,warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    match run(cli).await {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "portcullis-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let ca = cli.ca.map(|path| read(&path)).transpose()?;
    let around = Surroundings::system(ca.as_deref())?;
    let dir = cli.state_dir.map_or_else(default_state_dir, Ok)?;
    match cli.command {
        Command::Register(with) => enrol::register(&dir, with, around).await,
        Command::Run(with) => serve::serve(&dir, with, around).await,
        Command::Evaluate(with) => decide::evaluate(&dir, &with, around),
        Command::Request(with) => decide::request(&dir, with, around).await,
        Command::Status(output) => status::status(&dir, &output, around).await,
        Command::Refresh(output) => status::refresh(&dir, &output, around).await,
        Command::Fleet(with) => simulate::simulate(with, &around).await,
    }
}

fn is_root() -> bool {
    uzers::get_current_uid() == 0
}

fn default_state_dir() -> anyhow::Result<PathBuf> {
    if is_root() {
        return Ok("/var/lib/portcullis-agent".into());
    }
    let base = std::env::var_os("XDG_STATE_HOME")
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from);
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state")));
    Ok(base
        .context("neither --state-dir nor HOME says where the agent's directory is")?
        .join("portcullis-agent"))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(path).with_context(|| path.display().to_string())
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    serde_json::from_slice(&read(path)?).with_context(|| path.display().to_string())
}

/// Prints a value as JSON, or its lines.
fn print(as_json: bool, value: &Value, lines: &[(&str, String)]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if as_json {
        serde_json::to_writer_pretty(&mut out, value)?;
        writeln!(out)?;
        return Ok(());
    }
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, text) in lines {
        writeln!(out, "{name:width$}  {text}")?;
    }
    Ok(())
}
