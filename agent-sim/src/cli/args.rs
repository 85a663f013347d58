//! What can be typed.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use formats::VerifyingKey;
use policy_engine::Os;

#[derive(Debug, Parser)]
#[command(
    name = "portcullis-agent",
    version,
    about = "The reference agent of Portcullis",
    propagate_version = true
)]
pub(super) struct Cli {
    /// The agent's own directory [default: /var/lib/portcullis-agent as root, else ~/.local/state/portcullis-agent]
    #[arg(long, env = "PORTCULLIS_AGENT_STATE", global = true, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// One more certificate authority to trust, as PEM
    #[arg(long, env = "PORTCULLIS_AGENT_CA", global = true, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Register this machine with a server
    #[command(
        after_help = "Example:\n  portcullis-agent register --package pilot.json\n  portcullis-agent register --server https://pam.example.com --token pct_reg_… --root 11qYAY…"
    )]
    Register(Register),
    /// Enforce: keep the snapshot current, deliver records, serve local accounts
    #[command(
        after_help = "Example:\n  portcullis-agent run --listen 127.0.0.1:7780\n  curl -s http://127.0.0.1:7780/status"
    )]
    Run(Run),
    /// Decide an action on the snapshot in force, without asking or recording anything
    #[command(
        after_help = "Example:\n  portcullis-agent evaluate action.json --explain\n  portcullis-agent evaluate - --snapshot snapshot.json < action.json"
    )]
    Evaluate(Evaluate),
    /// Ask for an action as a user would: file the request, wait, and use the grant
    #[command(
        after_help = "Example:\n  portcullis-agent request action.json --justification 'Payroll update' --wait 600"
    )]
    Request(Request),
    /// Show how the agent is
    #[command(after_help = "Example:\n  portcullis-agent status --json")]
    Status(Json),
    /// Fetch the snapshot now
    #[command(after_help = "Example:\n  portcullis-agent refresh")]
    Refresh(Json),
    /// Simulate many agents against a server
    #[command(
        after_help = "Example:\n  portcullis-agent fleet --server https://pam.example.com --token pct_reg_… --agents 1000 --stay 60"
    )]
    Fleet(Fleet),
}

#[derive(Debug, Args)]
pub(super) struct Json {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Register {
    /// The deployment package
    #[arg(long, value_name = "FILE", conflicts_with_all = ["server", "token", "root"], required_unless_present_all = ["server", "token"])]
    pub(super) package: Option<PathBuf>,
    /// The server's public address
    #[arg(long, value_name = "URL")]
    pub(super) server: Option<String>,
    /// The registration token
    #[arg(long, value_name = "TOKEN", env = "PORTCULLIS_AGENT_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// The tenant's root key; without it the first contact is trusted
    #[arg(long, value_name = "KEY")]
    pub(super) root: Option<VerifyingKey>,
    /// The machine's name [default: its host name]
    #[arg(long, value_name = "NAME")]
    pub(super) machine_name: Option<String>,
    /// The operating system it passes for, in rehearsals: windows, macos or linux [default: its own]
    #[arg(long, value_name = "SYSTEM")]
    pub(super) machine_os: Option<Os>,
    /// The machine's id [default: /etc/machine-id]
    #[arg(long, value_name = "ID")]
    pub(super) machine_id: Option<String>,
    /// Give up an agent that registered here before, with all that it kept
    #[arg(long)]
    pub(super) replace: bool,
    #[command(flatten)]
    pub(super) output: Json,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// The loopback address of /healthz, /status and /metrics
    #[arg(long, default_value = "127.0.0.1:7780", value_name = "ADDR:PORT")]
    pub(super) listen: SocketAddr,
    /// The Unix socket for local accounts [default: /run/portcullis-agent/agent.sock as root, else in the state directory]
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Evaluate {
    /// The action as JSON; `-` reads standard input
    pub(super) action: PathBuf,
    /// A snapshot's body to decide on instead of the one in force
    #[arg(long, value_name = "FILE")]
    pub(super) snapshot: Option<PathBuf>,
    /// Print why
    #[arg(long)]
    pub(super) explain: bool,
    #[command(flatten)]
    pub(super) output: Json,
}

#[derive(Debug, Args)]
pub(super) struct Request {
    /// The action as JSON; `-` reads standard input
    pub(super) action: PathBuf,
    /// Why it is wanted
    #[arg(long, value_name = "TEXT")]
    pub(super) justification: Option<String>,
    /// The working directory of the action
    #[arg(long, value_name = "DIR")]
    pub(super) cwd: Option<String>,
    /// How long to wait for a decision, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(super) wait: u64,
    /// Whose one-time code is shown
    #[arg(long, requires = "code", value_name = "ADDRESS")]
    pub(super) email: Option<String>,
    /// The one-time code
    #[arg(long, requires = "email", value_name = "DIGITS")]
    pub(super) code: Option<String>,
    #[command(flatten)]
    pub(super) output: Json,
}

#[derive(Debug, Args)]
pub(super) struct Fleet {
    /// The server's public address
    #[arg(long, value_name = "URL")]
    pub(super) server: String,
    /// A registration token that is good for all agents
    #[arg(long, value_name = "TOKEN", env = "PORTCULLIS_AGENT_TOKEN", hide_env_values = true)]
    pub(super) token: String,
    /// The tenant's root key; without it the first contact is trusted
    #[arg(long, value_name = "KEY")]
    pub(super) root: Option<VerifyingKey>,
    /// How many agents
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(super) agents: u32,
    /// How many of them register at a time
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub(super) at_once: usize,
    /// How long they stay, in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub(super) stay: u64,
    /// How many actions each of them decides, records and delivers
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(super) actions: u32,
    /// What the names of the machines begin with
    #[arg(long, default_value = "fleet", value_name = "TEXT")]
    pub(super) prefix: String,
    #[command(flatten)]
    pub(super) output: Json,
}
