//! `run`.

use std::{path::Path, process::ExitCode};

use tokio_util::sync::CancellationToken;

use super::{DOORS, OpenDoors, args::Run, is_root};
use crate::{
    agent::{Agent, Surroundings},
    plugin::{self, Api, Client, Doors, Logging, Policy},
};

pub(super) async fn serve(dir: &Path, with: Run, around: Surroundings) -> anyhow::Result<ExitCode> {
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
pub(super) async fn signals(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    if let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    }
}
