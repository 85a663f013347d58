//! The Unix socket: accounts of this machine ask whether they may do something. Who asks is what the kernel says of the
//! other end, never what the body says.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, Path, State, connect_info::Connected, rejection::JsonRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::IncomingStream,
};
use formats::{ActivityId, agent_wire::Problem};
use policy_engine::{Action, ActionType, Application, Machine};
use serde::Deserialize;
use tokio::net::UnixListener;

use crate::{
    agent::Agent,
    attempt::AttemptView,
    error::AgentError,
    local::{self, Hashes},
    sync::Synced,
};

/// The longest body.
const MAX_BODY: usize = 256 << 10;

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// None where the kernel does not say.
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self {
            uid: stream.io().peer_cred().ok().map(|peer| peer.uid()),
        }
    }
}

#[derive(Debug, Clone)]
struct Door {
    agent: Agent,
    hashes: Arc<Hashes>,
}

/// The door. To be served with [`Peer`] as connect info.
pub fn router(agent: Agent) -> Router {
    Router::new()
        .route("/actions", post(ask))
        .route("/actions/{id}", get(look))
        .route("/actions/{id}/justify", post(justify))
        .route("/actions/{id}/mfa", post(mfa))
        .route("/actions/{id}/cancel", post(cancel))
        .route("/refresh", post(refresh))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Door {
            agent,
            hashes: Arc::default(),
        })
}

/// What an account wants to do. User, machine, time and variables are the agent's to know.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    #[serde(rename = "type")]
    action_type: ActionType,
    /// The absolute path of the program.
    application: Option<PathBuf>,
    command_line: Option<String>,
    /// The absolute path of the file.
    file: Option<PathBuf>,
    cwd: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Reason {
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Code {
    email: String,
    code: String,
}

/// An error at this door.
struct Refusal(StatusCode, &'static str, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code, detail) = self;
        let title = status.canonical_reason().unwrap_or_default().to_owned();
        let problem = Problem {
            title,
            status: status.as_u16(),
            code: code.to_owned(),
            detail: Some(detail),
            field: None,
        };
        (
            status,
            [(header::CONTENT_TYPE, "application/problem+json")],
            Json(problem),
        )
            .into_response()
    }
}

impl From<AgentError> for Refusal {
    fn from(error: AgentError) -> Self {
        let (status, code) = match &error {
            AgentError::Offline(_) => (StatusCode::SERVICE_UNAVAILABLE, "OFFLINE"),
            AgentError::Refused(_) => (StatusCode::CONFLICT, "SERVER_REFUSED"),
            AgentError::NoSnapshot => (StatusCode::SERVICE_UNAVAILABLE, "NO_SNAPSHOT"),
            AgentError::UnknownAttempt => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            AgentError::NotNow(_) => (StatusCode::CONFLICT, "NOT_NOW"),
            AgentError::Justification { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "BAD_JUSTIFICATION"),
            AgentError::Protocol(_) | AgentError::Untrusted(_) => (StatusCode::BAD_GATEWAY, "SERVER_NOT_TRUSTED"),
            AgentError::Setting(_) | AgentError::Disk(_) => (StatusCode::INTERNAL_SERVER_ERROR, "AGENT_FAILED"),
        };
        if status.is_server_error() {
            tracing::warn!(%error, code, "an action could not be served");
        }
        Self(status, code, error.to_string())
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self(rejection.status(), "BAD_INPUT", rejection.body_text())
    }
}

impl Peer {
    fn uid(self) -> Result<u32, Refusal> {
        self.uid.ok_or_else(|| {
            Refusal(
                StatusCode::FORBIDDEN,
                "NOBODY",
                "the kernel does not say who asks".to_owned(),
            )
        })
    }
}

type Answer = Result<Json<AttemptView>, Refusal>;
type Body<T> = Result<Json<T>, JsonRejection>;

async fn ask(State(door): State<Door>, ConnectInfo(peer): ConnectInfo<Peer>, body: Body<Wanted>) -> Answer {
    let uid = peer.uid()?;
    let Json(wanted) = body?;
    let (agent, hashes) = (door.agent.clone(), Arc::clone(&door.hashes));
    // Accounts, links and hashes are read from the disk.
    let described = tokio::task::spawn_blocking(move || describe(&agent, &hashes, uid, wanted)).await;
    let (action, cwd) =
        described.map_err(|e| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "AGENT_FAILED", e.to_string()))??;
    Ok(Json(door.agent.begin(uid, action, cwd)?))
}

/// The whole action of this account.
fn describe(agent: &Agent, hashes: &Hashes, uid: u32, wanted: Wanted) -> Result<(Action, Option<String>), Refusal> {
    let bad = |what: &str| Refusal(StatusCode::UNPROCESSABLE_ENTITY, "BAD_INPUT", what.to_owned());
    let absolute = |path: PathBuf| {
        let path = if path.is_absolute() {
            local::final_path(&path)
        } else {
            return Err(bad("paths have to be absolute"));
        };
        path.into_os_string()
            .into_string()
            .map_err(|_| bad("the path is not text"))
    };
    let application = match wanted.application {
        Some(path) => {
            let path = absolute(path)?;
            let sha256 = hashes.of(path.as_ref()).map_err(|e| bad(&format!("{path}: {e}")))?;
            Some(Application {
                path,
                sha256: Some(sha256),
                publisher: None,
                certificate: None,
            })
        }
        None => None,
    };
    let user = local::account(uid).ok_or_else(|| {
        Refusal(
            StatusCode::FORBIDDEN,
            "NOBODY",
            format!("uid {uid} has no account here"),
        )
    })?;
    let action = Action {
        action_type: wanted.action_type,
        user,
        machine: Machine {
            name: agent.identity().machine.name,
            os: local::OS,
        },
        application,
        command_line: wanted.command_line,
        file: wanted.file.map(absolute).transpose()?,
        at: local::local_time(agent.ambient().now()),
        variables: local::variables(uid),
        online: true,
    };
    Ok((action, wanted.cwd.map(absolute).transpose()?))
}

fn id(text: &str) -> Result<ActivityId, Refusal> {
    text.parse().map_err(|_| AgentError::UnknownAttempt.into())
}

async fn look(State(door): State<Door>, ConnectInfo(peer): ConnectInfo<Peer>, Path(text): Path<String>) -> Answer {
    Ok(Json(door.agent.look(peer.uid()?, id(&text)?)?))
}

async fn justify(
    State(door): State<Door>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(text): Path<String>,
    body: Body<Reason>,
) -> Answer {
    let Json(reason) = body?;
    Ok(Json(door.agent.justify(peer.uid()?, id(&text)?, &reason.text).await?))
}

async fn mfa(
    State(door): State<Door>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(text): Path<String>,
    body: Body<Code>,
) -> Answer {
    let Json(Code { email, code }) = body?;
    Ok(Json(
        door.agent.show_code(peer.uid()?, id(&text)?, &email, &code).await?,
    ))
}

async fn cancel(State(door): State<Door>, ConnectInfo(peer): ConnectInfo<Peer>, Path(text): Path<String>) -> Answer {
    Ok(Json(door.agent.cancel(peer.uid()?, id(&text)?).await?))
}

/// Fetches the snapshot now. For root and the agent's own account, whose command line asks this.
async fn refresh(State(door): State<Door>, ConnectInfo(peer): ConnectInfo<Peer>) -> Result<Response, Refusal> {
    let uid = peer.uid()?;
    if uid != 0 && uid != uzers::get_current_uid() {
        return Err(Refusal(
            StatusCode::FORBIDDEN,
            "FORBIDDEN",
            "only the agent's own account may ask this".to_owned(),
        ));
    }
    let changed = matches!(door.agent.sync_once().await?, Synced::Applied(_));
    Ok(Json(serde_json::json!({"changed": changed, "status": door.agent.status()})).into_response())
}
