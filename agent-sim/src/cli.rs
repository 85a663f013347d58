//! The command line. Exit 0 on success, 1 on a failed check or error, 2 on wrong usage.

use std::{
    io::{Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use formats::{
    VerifyingKey,
    agent_wire::{DeploymentPackage, RequestStatus},
};
use policy_engine::{Action, Index, Outcome, Snapshot, Step};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{Agent, Registration, Surroundings},
    ask::Ran,
    disk::DiskError,
    error::AgentError,
    fleet::{self, FleetPlan},
    local,
    plugin::{self, Api, Client, Doors, Logging, Policy},
};

/// Written while an agent runs, for the other commands.
const DOORS: &str = "doors.json";

#[derive(Debug, Parser)]
#[command(
    name = "portcullis-agent",
    version,
    about = "The reference agent of Portcullis",
    propagate_version = true
)]
struct Cli {
    /// The agent's own directory [default: /var/lib/portcullis-agent as root, else ~/.local/state/portcullis-agent]
    #[arg(long, env = "PORTCULLIS_AGENT_STATE", global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// One more certificate authority to trust, as PEM
    #[arg(long, env = "PORTCULLIS_AGENT_CA", global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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
struct Json {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Register {
    /// The deployment package
    #[arg(long, value_name = "FILE", conflicts_with_all = ["server", "token", "root"], required_unless_present_all = ["server", "token"])]
    package: Option<PathBuf>,
    /// The server's public address
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The registration token
    #[arg(long, value_name = "TOKEN", env = "PORTCULLIS_AGENT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The tenant's root key; without it the first contact is trusted
    #[arg(long, value_name = "KEY")]
    root: Option<VerifyingKey>,
    /// The machine's name [default: its host name]
    #[arg(long, value_name = "NAME")]
    machine_name: Option<String>,
    /// The machine's id [default: /etc/machine-id]
    #[arg(long, value_name = "ID")]
    machine_id: Option<String>,
    /// Give up an agent that registered here before, with all that it kept
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    output: Json,
}

#[derive(Debug, Args)]
struct Run {
    /// The loopback address of /healthz, /status and /metrics
    #[arg(long, default_value = "127.0.0.1:7780", value_name = "ADDR:PORT")]
    listen: SocketAddr,
    /// The Unix socket for local accounts [default: /run/portcullis-agent/agent.sock as root, else in the state directory]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Evaluate {
    /// The action as JSON; `-` reads standard input
    action: PathBuf,
    /// A snapshot's body to decide on instead of the one in force
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Print why
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    output: Json,
}

#[derive(Debug, Args)]
struct Request {
    /// The action as JSON; `-` reads standard input
    action: PathBuf,
    /// Why it is wanted
    #[arg(long, value_name = "TEXT")]
    justification: Option<String>,
    /// The working directory of the action
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// How long to wait for a decision, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    wait: u64,
    /// Whose one-time code is shown
    #[arg(long, requires = "code", value_name = "ADDRESS")]
    email: Option<String>,
    /// The one-time code
    #[arg(long, requires = "email", value_name = "DIGITS")]
    code: Option<String>,
    #[command(flatten)]
    output: Json,
}

#[derive(Debug, Args)]
struct Fleet {
    /// The server's public address
    #[arg(long, value_name = "URL")]
    server: String,
    /// A registration token that is good for all agents
    #[arg(long, value_name = "TOKEN", env = "PORTCULLIS_AGENT_TOKEN", hide_env_values = true)]
    token: String,
    /// The tenant's root key; without it the first contact is trusted
    #[arg(long, value_name = "KEY")]
    root: Option<VerifyingKey>,
    /// How many agents
    #[arg(long, default_value_t = 100, value_name = "N")]
    agents: u32,
    /// How many of them register at a time
    #[arg(long, default_value_t = 32, value_name = "N")]
    at_once: usize,
    /// How long they stay, in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    stay: u64,
    /// How many actions each of them decides, records and delivers
    #[arg(long, default_value_t = 0, value_name = "N")]
    actions: u32,
    /// What the names of the machines begin with
    #[arg(long, default_value = "fleet", value_name = "TEXT")]
    prefix: String,
    #[command(flatten)]
    output: Json,
}

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
        Command::Register(with) => register(&dir, with, around).await,
        Command::Run(with) => serve(&dir, with, around).await,
        Command::Evaluate(with) => evaluate(&dir, &with, around),
        Command::Request(with) => request(&dir, with, around).await,
        Command::Status(output) => status(&dir, &output, around).await,
        Command::Refresh(output) => refresh(&dir, &output, around).await,
        Command::Fleet(with) => simulate(with, &around).await,
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

async fn register(dir: &Path, with: Register, around: Surroundings) -> anyhow::Result<ExitCode> {
    let (server, token, root) = match (with.package, with.server, with.token) {
        (Some(path), ..) => {
            let package: DeploymentPackage = read_json(&path)?;
            (package.server, package.registration_token, Some(package.root_key))
        }
        (None, Some(server), Some(token)) => (server, token, with.root),
        _ => bail!("give --package, or --server and --token"),
    };
    let mut machine = local::machine().context("this machine has no name or no id")?;
    machine.name = with.machine_name.unwrap_or(machine.name);
    machine.machine_id = with.machine_id.unwrap_or(machine.machine_id);
    if root.is_none() {
        tracing::warn!("no root key was given: whoever answers at {server} now is trusted from now on");
    }
    let agent = Agent::register(
        dir,
        Registration {
            server,
            token,
            root,
            machine,
            replace: with.replace,
        },
        around,
    )
    .await?;
    let synced = agent.sync_once().await;
    let status = agent.status();
    let lines = [
        ("endpoint", status.endpoint.to_string()),
        ("tenant", status.tenant.to_string()),
        ("group", status.group.to_string()),
        (
            "root key",
            format!(
                "{}{}",
                agent.identity().root,
                if status.root_pinned { "" } else { " (not pinned)" }
            ),
        ),
        (
            "snapshot",
            status
                .snapshot
                .as_ref()
                .map_or("none yet".to_owned(), |s| format!("{}/{}", s.epoch, s.version)),
        ),
        ("state", dir.display().to_string()),
        ("next", "portcullis-agent run".to_owned()),
    ];
    print(with.output.json, &serde_json::to_value(&status)?, &lines)?;
    synced.context("registered, but the first snapshot was not taken")?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(dir: &Path, with: Run, around: Surroundings) -> anyhow::Result<ExitCode> {
    let agent = Agent::open(dir, around)?;
    let socket = with.socket.unwrap_or_else(|| {
        if is_root() {
            "/run/portcullis-agent/agent.sock".into()
        } else {
            dir.join("agent.sock")
        }
    });
    let doors = OpenDoors {
        listen: with.listen,
        socket: socket.clone(),
    };
    agent.keep_note(DOORS, &doors)?;
    tracing::info!(listen = %with.listen, socket = %socket.display(), "the agent is at work");
    let stop = CancellationToken::new();
    tokio::spawn(signals(stop.clone()));
    let doors = Doors {
        listen: Some(with.listen),
        socket: Some(socket),
    };
    let plugins: Vec<Box<dyn plugin::Plugin>> = vec![
        Box::new(Policy),
        Box::new(Api(doors)),
        Box::new(Logging),
        Box::new(Client),
    ];
    plugin::run(agent.clone(), plugins, stop).await;
    agent.drop_note(DOORS)?;
    Ok(ExitCode::SUCCESS)
}

/// Cancels at SIGINT or SIGTERM.
async fn signals(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    if let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    }
}

fn evaluate(dir: &Path, with: &Evaluate, around: Surroundings) -> anyhow::Result<ExitCode> {
    let action: Action = read_json(&with.action)?;
    let (decision, explanation) = match &with.snapshot {
        Some(path) => {
            let index = Index::compile(&read_json::<Snapshot>(path)?)?;
            (index.decide(&action), with.explain.then(|| index.explain(&action)))
        }
        None => {
            let agent = Agent::peek(dir, around)?;
            let enforced = agent.enforced().ok_or(AgentError::NoSnapshot)?;
            let index = &enforced.body.index;
            (index.decide(&action), with.explain.then(|| index.explain(&action)))
        }
    };
    let mut value = serde_json::to_value(&decision)?;
    if let Some(explanation) = &explanation {
        value["explanation"] = serde_json::to_value(explanation)?;
    }
    let matched: Vec<&str> = decision.matched.iter().map(|policy| policy.name.as_str()).collect();
    let mut lines = vec![
        ("outcome", decision.outcome.to_string()),
        ("steps", list(&decision.steps)),
        ("matched", matched.join(", ")),
        ("settled by", decision.settled_by.to_string()),
    ];
    if let Some(explanation) = &explanation {
        lines.push(("explanation", serde_json::to_string_pretty(explanation)?));
    }
    print(with.output.json, &value, &lines)?;
    Ok(ExitCode::SUCCESS)
}

fn list(steps: &[Step]) -> String {
    steps.iter().map(|step| step.as_str()).collect::<Vec<_>>().join(" → ")
}

async fn request(dir: &Path, with: Request, around: Surroundings) -> anyhow::Result<ExitCode> {
    let action: Action = read_json(&with.action)?;
    let agent = open(
        dir,
        around,
        "ask through its socket: curl --unix-socket …/agent.sock http://agent/actions",
    )?;
    let synced = agent.sync_once().await;
    if let Err(error) = &synced {
        tracing::warn!(%error, "the snapshot could not be refreshed; the last good one decides");
    }
    let asked = agent.ask(action, with.cwd)?;
    let mut filed = None;
    if asked.missing.contains(&Step::Approval) && asked.decision.outcome == Outcome::Required {
        let text = with
            .justification
            .as_deref()
            .context("an approval is needed: give --justification")?;
        let mut state = agent.submit(&asked, text).await?;
        if !state.status.is_final() {
            tracing::info!(request = %state.request_id, "filed; waiting for a decision");
            state = agent
                .wait_decision(state.request_id, Duration::from_secs(with.wait))
                .await?;
        }
        filed = Some(state);
    }
    if let (Some(email), Some(code)) = (&with.email, &with.code) {
        agent.verify_mfa(&asked, email, code).await?;
    }
    let is_open = filed
        .as_ref()
        .is_none_or(|state| state.status == RequestStatus::Approved);
    let ran = if is_open {
        Some(agent.run(&asked, with.justification.as_deref())?)
    } else {
        None
    };
    if let Err(error) = agent.deliver().await {
        tracing::warn!(%error, "the record is kept and will be delivered later");
    }
    let (result, missing) = match &ran {
        Some(Ran::Permitted { .. }) => ("permitted", Vec::new()),
        Some(Ran::Refused { missing, .. }) => ("refused", missing.clone()),
        Some(Ran::Missing { missing, .. }) => ("missing", missing.clone()),
        None => ("not approved", Vec::new()),
    };
    let status = filed.as_ref().map(|state| state.status);
    let value = json!({"result": result, "outcome": asked.decision.outcome, "steps": asked.decision.steps, "missing": missing,
        "digest": asked.digest, "request": filed.as_ref().map(|state| state.request_id), "requestStatus": status});
    let mut lines = vec![
        ("result", result.to_owned()),
        ("outcome", asked.decision.outcome.to_string()),
    ];
    if let Some(state) = &filed {
        let status = serde_json::to_value(state.status)?;
        lines.push((
            "request",
            format!("{} {}", state.request_id, status.as_str().unwrap_or_default()),
        ));
    }
    if !missing.is_empty() {
        lines.push(("missing", list(&missing)));
    }
    print(with.output.json, &value, &lines)?;
    Ok(if ran.is_some_and(|ran| ran.is_permitted()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Opens the agent, and says what to do where another process has it.
fn open(dir: &Path, around: Surroundings, hint: &str) -> anyhow::Result<Agent> {
    match Agent::open(dir, around) {
        Err(error @ AgentError::Disk(DiskError::Busy(_))) => Err(anyhow::Error::new(error).context(hint.to_owned())),
        other => Ok(other?),
    }
}

fn open_doors(dir: &Path) -> Option<OpenDoors> {
    serde_json::from_slice(&std::fs::read(dir.join(DOORS)).ok()?).ok()
}

async fn status(dir: &Path, output: &Json, around: Surroundings) -> anyhow::Result<ExitCode> {
    let mut told = None;
    if let Some(doors) = open_doors(dir) {
        let asked = around
            .http
            .get(format!("http://{}/status", doors.listen))
            .timeout(Duration::from_secs(2))
            .send()
            .await;
        if let Ok(reply) = asked {
            told = reply.json::<Value>().await.ok();
        }
    }
    let is_running = told.is_some();
    let mut value = match told {
        Some(value) => value,
        None => serde_json::to_value(Agent::peek(dir, around)?.status())?,
    };
    value["running"] = is_running.into();
    show_status(output.json, &value)?;
    Ok(ExitCode::SUCCESS)
}

fn show_status(as_json: bool, value: &Value) -> anyhow::Result<()> {
    let text = |name: &str| {
        value[name]
            .as_str()
            .map_or_else(|| value[name].to_string(), str::to_owned)
    };
    let snapshot = &value["snapshot"];
    let snapshot = if snapshot.is_null() {
        "none".to_owned()
    } else {
        format!("{}/{}", snapshot["epoch"], snapshot["version"])
    };
    let mut lines = vec![
        ("endpoint", text("endpoint")),
        ("server", text("server")),
        ("online", text("online")),
        ("snapshot", snapshot),
        ("outdated", text("outdated")),
        ("queue", text("queueLength")),
        ("grants", text("grants")),
        ("open requests", text("openRequests")),
    ];
    if let Some(running) = value.get("running") {
        lines.insert(0, ("running", running.to_string()));
    }
    if !value["refusal"].is_null() {
        lines.push(("refusal", text("refusal")));
    }
    print(as_json, value, &lines)
}

async fn refresh(dir: &Path, output: &Json, around: Surroundings) -> anyhow::Result<ExitCode> {
    let status = match Agent::open(dir, around) {
        Ok(agent) => {
            agent.sync_once().await?;
            serde_json::to_value(agent.status())?
        }
        Err(AgentError::Disk(DiskError::Busy(_))) => {
            let doors =
                open_doors(dir).context("another process has the agent, and does not say where its doors are")?;
            let http = reqwest::Client::builder()
                .unix_socket(doors.socket)
                .timeout(Duration::from_secs(90))
                .build()?;
            let reply = http.post("http://agent/refresh").send().await?;
            let is_good = reply.status().is_success();
            let answer: Value = reply.json().await?;
            if !is_good {
                bail!("{}", answer["detail"].as_str().unwrap_or("the running agent refused"));
            }
            answer["status"].clone()
        }
        Err(other) => return Err(other.into()),
    };
    show_status(output.json, &status)?;
    Ok(ExitCode::SUCCESS)
}

async fn simulate(with: Fleet, around: &Surroundings) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    tokio::spawn(signals(stop.clone()));
    let plan = FleetPlan {
        server: with.server,
        token: with.token,
        root: with.root,
        agents: with.agents,
        at_once: with.at_once,
        stay: Duration::from_secs(with.stay),
        actions: with.actions,
        prefix: with.prefix,
    };
    let report = fleet::run(&plan, around, stop).await;
    let mut lines = vec![
        (
            "registered",
            format!(
                "{} of {} in {} ms",
                report.registered, report.wanted, report.registration_ms
            ),
        ),
        (
            "polls",
            format!(
                "{} unchanged, {} applied, {} failed",
                report.unchanged, report.applied, report.failed
            ),
        ),
        ("records", format!("{} delivered", report.delivered)),
        ("on newest", format!("{} of {}", report.on_newest, report.wanted)),
    ];
    for spread in &report.snapshots {
        let version = format!("{}/{}", spread.snapshot.epoch, spread.snapshot.version);
        let times = format!(
            "p50 {} ms, p99 {} ms, last {} ms",
            spread.p50_ms, spread.p99_ms, spread.last_ms
        );
        lines.push(("snapshot", format!("{version}: {} agents, {times}", spread.agents)));
    }
    lines.extend(report.errors.iter().map(|error| ("error", error.clone())));
    print(with.output.json, &serde_json::to_value(&report)?, &lines)?;
    Ok(if report.is_whole() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
