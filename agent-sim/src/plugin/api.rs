//! The agent's own doors, opened as long as it runs.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use super::{Plugin, Running};
use crate::{agent::Agent, doors};

/// Where the doors are.
#[derive(Debug, Clone)]
pub struct Doors {
    /// The loopback address of `/healthz`, `/status` and `/metrics`; none for no such door.
    pub listen: Option<SocketAddr>,
    /// The Unix socket of `/actions`; none for no such door.
    pub socket: Option<PathBuf>,
}

/// The loopback door and the socket.
#[derive(Debug)]
pub struct Api(pub Doors);

impl Plugin for Api {
    fn name(&self) -> &'static str {
        "api"
    }

    fn run<'a>(&'a self, agent: &'a Agent, stop: &'a CancellationToken) -> Running<'a> {
        Box::pin(async move {
            let loopback = async {
                let Some(listen) = self.0.listen else { return Ok(()) };
                anyhow::ensure!(listen.ip().is_loopback(), "{listen} is not a loopback address");
                let listener = TcpListener::bind(listen)
                    .await
                    .with_context(|| format!("listening on {listen}"))?;
                let end = stop.clone().cancelled_owned();
                axum::serve(listener, doors::loopback::router(agent.clone()))
                    .with_graceful_shutdown(end)
                    .await?;
                anyhow::Ok(())
            };
            let socket = async {
                let Some(path) = &self.0.socket else { return Ok(()) };
                let listener = bind(path).with_context(|| format!("listening on {}", path.display()))?;
                let service =
                    doors::socket::router(agent.clone()).into_make_service_with_connect_info::<doors::socket::Peer>();
                axum::serve(listener, service)
                    .with_graceful_shutdown(stop.clone().cancelled_owned())
                    .await?;
                let _ = std::fs::remove_file(path);
                anyhow::Ok(())
            };
            tokio::try_join!(loopback, socket)?;
            stop.cancelled().await;
            Ok(())
        })
    }
}

/// Binds a socket that every local account may use; what an ended process left there is removed. That no other agent is
/// at work was settled by the lock on the state directory.
fn bind(path: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}
