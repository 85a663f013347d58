//! The agent: one registered endpoint, its state, and its calls to the server.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use formats::{
    Ambient, KeySet, SigningKey, Timestamp, Typ, VerifyingKey,
    agent_wire::{KeySetResponse, MachineInfo, RegisterRequest, RegisterResponse, TokenRequest, TokenResponse},
    keyset::KeySetError,
    token::{AUDIENCE_AGENT, AccessClaims, AssertionClaims, CLOCK_SKEW, RegistrationClaims},
};
use serde::Serialize;
use tokio::sync::Notify;

use crate::{
    disk::Disk,
    enforced::Bodies,
    error::{AgentError, Untrusted},
    link::{Answer, Call, Link, Reply, client},
    state::{Core, Identity, KeptKey},
};

/// What an agent takes from its surroundings.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Time, ids and randomness.
    pub ambient: Ambient,
    /// The HTTP client; agents of one process may share it.
    pub http: reqwest::Client,
    /// Compiled bodies; agents of one process may share them.
    pub bodies: Bodies,
}

impl Surroundings {
    /// The machine's own clock and randomness. `ca` is one more certificate authority to trust (PEM).
    ///
    /// # Errors
    /// [`AgentError::Setting`] where the certificate can't be read.
    pub fn system(ca: Option<&[u8]>) -> Result<Self, AgentError> {
        Ok(Self {
            ambient: Ambient::system(),
            http: client(ca)?,
            bodies: Bodies::default(),
        })
    }
}

/// What an endpoint registers with.
#[derive(Clone)]
pub struct Registration {
    /// The server's public address.
    pub server: String,
    /// `pct_reg_…`
    pub token: String,
    /// The tenant's root key from the deployment package. Without it the first contact is trusted.
    pub root: Option<VerifyingKey>,
    /// The machine.
    pub machine: MachineInfo,
    /// Whether an agent that was there before is given up, with all that it kept.
    pub replace: bool,
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration")
            .field("server", &self.server)
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}

/// A registered agent. Cheap to clone; the clones are one agent.
#[derive(Clone)]
pub struct Agent(pub(crate) Arc<Inner>);

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Agent({})", self.core().identity.endpoint)
    }
}

pub(crate) struct Inner {
    pub(crate) disk: Disk,
    pub(crate) link: Link,
    pub(crate) ambient: Ambient,
    bodies: Bodies,
    core: Mutex<Core>,
    online: AtomicBool,
    token: tokio::sync::Mutex<Option<AccessToken>>,
    /// Rings when a record was queued.
    pub(crate) recorded: Notify,
    /// Rings when a request was filed or a grant came.
    pub(crate) filed: Notify,
    pub(crate) attempts: crate::attempt::Attempts,
    pub(crate) plugins: crate::plugin::Reports,
}

struct AccessToken {
    text: String,
    good_until: Timestamp,
}

impl Agent {
    /// Registers this machine, verifies the tenant's key set and keeps what was learnt in `dir`.
    ///
    /// # Errors
    /// [`AgentError`]; nothing is kept then.
    pub async fn register(dir: &Path, with: Registration, around: Surroundings) -> Result<Self, AgentError> {
        let disk = Disk::open(dir)?;
        if Core::is_there(&disk)? && !with.replace {
            return Err(AgentError::NotNow(
                "an agent has registered here already; replace it on purpose or use another directory",
            ));
        }
        Self::register_on(disk, with, around).await
    }

    /// Registers an agent that keeps nothing, for simulations.
    ///
    /// # Errors
    /// [`AgentError`]
    pub async fn register_in_memory(with: Registration, around: Surroundings) -> Result<Self, AgentError> {
        Self::register_on(Disk::nowhere(), with, around).await
    }

    async fn register_on(disk: Disk, with: Registration, around: Surroundings) -> Result<Self, AgentError> {
        let link = Link::to(&with.server, around.http.clone())?;
        let key = SigningKey::from_seed(&around.ambient.bytes());
        let call = |there: Timestamp| {
            let machine_id = with.machine.machine_id.clone();
            let claims = RegistrationClaims::new(link.base().to_owned(), machine_id, &with.token, there);
            let request = RegisterRequest {
                registration_token: with.token.clone(),
                machine: with.machine.clone(),
                public_key: key.public(),
                proof: claims.sign(&key).map_err(|e| AgentError::Protocol(e.to_string()))?,
            };
            Call::post("/register", &request)
        };
        let mut sent_at = around.ambient.now();
        let mut answer = link.send(&call(sent_at)?).await?;
        if let Some(given_at) = answer.given_at() {
            let skew_ms = measured(0, sent_at, around.ambient.now(), given_at);
            if skew_ms.abs() > 1_000 * CLOCK_SKEW && answer.is_refused() {
                // A proof of this clock's moment is good for no server; the refusal said what time it is there.
                sent_at = around.ambient.now();
                answer = link
                    .send(&call(Timestamp::from_millis(sent_at.millis() - skew_ms))?)
                    .await?;
            }
        }
        let answer: RegisterResponse = answer.reply()?.json()?;
        let root = with.root.unwrap_or(answer.root_key);
        let keys = KeySet::verify(&root, &answer.key_set, Some(answer.tenant_id), 0).map_err(Untrusted::from)?;
        let identity = Identity {
            server: link.base().to_owned(),
            endpoint: answer.endpoint_id,
            tenant: answer.tenant_id,
            group: answer.deployment_group_id,
            root,
            pinned: with.root.is_some(),
            machine: with.machine,
            key: KeptKey(key),
        };
        let mut core = Core::begin(&disk, identity, keys, &answer.key_set)?;
        core.skew_ms = skew(sent_at, around.ambient.now(), answer.server_time);
        Ok(Self::of(disk, link, core, around, true))
    }

    /// Takes up the agent that registered in `dir`.
    ///
    /// # Errors
    /// [`AgentError::Disk`], [`AgentError::Setting`].
    pub fn open(dir: &Path, around: Surroundings) -> Result<Self, AgentError> {
        let disk = Disk::open(dir)?;
        let core = Core::load(&disk, &around.bodies)?;
        let link = Link::to(&core.identity.server, around.http.clone())?;
        Ok(Self::of(disk, link, core, around, false))
    }

    /// Looks at the agent in `dir`, which another process may be running: it can tell and decide, and writes nothing.
    ///
    /// # Errors
    /// As [`Agent::open`].
    pub fn peek(dir: &Path, around: Surroundings) -> Result<Self, AgentError> {
        let disk = Disk::peek(dir);
        let core = Core::load(&disk, &around.bodies)?;
        let link = Link::to(&core.identity.server, around.http.clone())?;
        Ok(Self::of(disk, link, core, around, false))
    }

    fn of(disk: Disk, link: Link, core: Core, around: Surroundings, online: bool) -> Self {
        Self(Arc::new(Inner {
            disk,
            link,
            ambient: around.ambient,
            bodies: around.bodies,
            core: Mutex::new(core),
            online: AtomicBool::new(online),
            token: tokio::sync::Mutex::new(None),
            recorded: Notify::new(),
            filed: Notify::new(),
            attempts: crate::attempt::Attempts::default(),
            plugins: crate::plugin::Reports::default(),
        }))
    }

    /// Who the agent is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.core().identity.clone()
    }

    /// Whether the server answered when it was last called. A new process is offline until it has called.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.0.online.load(Ordering::SeqCst)
    }

    /// Treats the server as out of reach until the next call succeeds, for rehearsals.
    pub fn set_offline(&self) {
        self.0.online.store(false, Ordering::SeqCst);
    }

    /// The snapshot in force.
    #[must_use]
    pub fn enforced(&self) -> Option<crate::enforced::Enforced> {
        self.core().enforced.clone()
    }

    /// Keeps a note for other processes in the agent's directory.
    pub(crate) fn keep_note<T: Serialize>(&self, name: &str, note: &T) -> Result<(), AgentError> {
        Ok(self.0.disk.replace_json(name, note)?)
    }

    pub(crate) fn drop_note(&self, name: &str) -> Result<(), AgentError> {
        Ok(self.0.disk.remove(name)?)
    }

    /// The clock, ids and randomness it runs with.
    #[must_use]
    pub fn ambient(&self) -> &Ambient {
        &self.0.ambient
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.ambient.now()
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.0.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn bodies(&self) -> &Bodies {
        &self.0.bodies
    }

    /// Makes a call that needs no access token, and notes whether the server is there.
    pub(crate) async fn send_bare(&self, call: &Call) -> Result<Reply, AgentError> {
        let sent_at = self.now();
        let answer = self.0.link.send(call).await;
        if let Some(given_at) = answer.as_ref().ok().and_then(Answer::given_at) {
            let mut core = self.core();
            core.skew_ms = measured(core.skew_ms, sent_at, self.now(), given_at);
        }
        let reply = answer.and_then(Answer::reply);
        let is_there = !matches!(reply, Err(AgentError::Offline(_)));
        if self.0.online.swap(is_there, Ordering::SeqCst) != is_there {
            tracing::info!(
                online = is_there,
                "the server is {}",
                if is_there { "there" } else { "out of reach" }
            );
        }
        reply
    }

    /// Makes a call with the access token, and once more with a new one where the server does not take it.
    pub(crate) async fn send(&self, call: Call) -> Result<Reply, AgentError> {
        let token = self.access_token(None).await?;
        match self.send_bare(&call.clone().bearer(&token)).await {
            // A wrong one-time code is refused with 401 too; sent again, it would count twice.
            Err(AgentError::Refused(problem)) if problem.status == 401 && problem.code != "INVALID_CODE" => {
                let token = self.access_token(Some(&token)).await?;
                self.send_bare(&call.bearer(&token)).await
            }
            other => other,
        }
    }

    pub(crate) async fn post<T: Serialize>(&self, path: &str, value: &T) -> Result<Reply, AgentError> {
        self.send(Call::post(path, value)?).await
    }

    /// The access token in hand, or a new one where there is none, it ends soon, or it is the `refused` one.
    async fn access_token(&self, refused: Option<&str>) -> Result<String, AgentError> {
        let mut held = self.0.token.lock().await;
        let soon = self.now() + std::time::Duration::from_secs(30);
        if let Some(token) = held
            .as_ref()
            .filter(|t| soon < t.good_until && Some(t.text.as_str()) != refused)
        {
            return Ok(token.text.clone());
        }
        let mut sent_at = self.now();
        let reply = match self.send_bare(&self.assertion(sent_at)?).await {
            // The refusal said what time it is there, so that the next assertion is good.
            Err(AgentError::Refused(problem)) if problem.code == "CLOCK_SKEW" => {
                sent_at = self.now();
                self.send_bare(&self.assertion(sent_at)?).await
            }
            other => other,
        };
        let answer: TokenResponse = reply?.json()?;
        self.core().skew_ms = skew(sent_at, self.now(), answer.server_time);
        self.learn_group(&answer.access_token, answer.server_time).await?;
        let life = std::time::Duration::from_secs(answer.expires_in.into());
        *held = Some(AccessToken {
            text: answer.access_token.clone(),
            good_until: sent_at + life,
        });
        Ok(answer.access_token)
    }

    /// The call for an access token. Its moment is that of the server's clock, as far as the difference is known: an
    /// endpoint whose clock is wrong still gets in.
    fn assertion(&self, now: Timestamp) -> Result<Call, AgentError> {
        let core = self.core();
        let (identity, there) = (&core.identity, core.by_server(now));
        let claims = AssertionClaims::new(
            identity.endpoint,
            self.0.link.url("/token"),
            self.0.ambient.uuid(),
            there,
        );
        let assertion = claims
            .sign(identity.tenant, &identity.key.0)
            .map_err(|e| AgentError::Protocol(e.to_string()))?;
        Call::post("/token", &TokenRequest { assertion })
    }

    /// Fetches a new access token for the group that it names. Whether that is another one than before is told.
    pub(crate) async fn ask_group(&self) -> Result<bool, AgentError> {
        let before = self.core().identity.group;
        *self.0.token.lock().await = None;
        self.access_token(None).await?;
        Ok(self.core().identity.group != before)
    }

    /// Verifies the access token and takes the group that it names: the only way in which an agent is moved.
    async fn learn_group(&self, token: &str, server_time: Timestamp) -> Result<(), AgentError> {
        let verify = |keys: &KeySet| {
            let key_of = |kid: &str| keys.find(Typ::AccessToken.purpose()?, kid, server_time);
            AccessClaims::verify(token, self.0.link.base(), AUDIENCE_AGENT, server_time, key_of)
        };
        let first = verify(&self.core().keys);
        let claims = match first {
            Ok(claims) => claims,
            // The key may be newer than the key set in hand.
            Err(_) => {
                // The server takes the token, whether or not its signature can be verified here yet.
                let reply = self.send_bare(&Call::get("/keyset").bearer(token)).await?;
                self.take_keys(&reply)?;
                verify(&self.core().keys).map_err(|_| Untrusted::Token)?
            }
        };
        let mut core = self.core();
        if claims.tenant != core.identity.tenant || claims.sub != core.identity.endpoint.to_string() {
            return Err(Untrusted::Token.into());
        }
        if let Some(group) = claims.group.filter(|group| *group != core.identity.group) {
            tracing::info!(%group, "this endpoint belongs to another deployment group now");
            core.identity.group = group;
            core.keep_identity(&self.0.disk)?;
        }
        Ok(())
    }

    /// Asks for the key set and takes it if it is newer and of the root key. Whether it was newer is told.
    pub(crate) async fn refresh_keys(&self) -> Result<bool, AgentError> {
        let reply = self.send(Call::get("/keyset")).await?;
        self.take_keys(&reply)
    }

    fn take_keys(&self, reply: &Reply) -> Result<bool, AgentError> {
        let answer: KeySetResponse = reply.json()?;
        let mut core = self.core();
        match KeySet::verify(
            &core.identity.root,
            &answer.key_set,
            Some(core.identity.tenant),
            core.keys.version,
        ) {
            Ok(keys) => {
                tracing::info!(version = keys.version, "a newer key set was verified");
                core.take_keys(&self.0.disk, keys, &answer.key_set)?;
                Ok(true)
            }
            Err(KeySetError::NotNewer { known, offered }) if known == offered => Ok(false),
            Err(other) => Err(Untrusted::from(other).into()),
        }
    }
}

/// The skew that was known, or another one where the date of an answer contradicts it. A date is of the second in which
/// the answer was given, between sending and receiving: it tells less than the exact time that comes with tokens.
fn measured(known: i64, sent: Timestamp, received: Timestamp, given: Timestamp) -> i64 {
    let (least, most) = (
        sent.millis() - given.millis() - 1_000,
        received.millis() - given.millis(),
    );
    if (least..=most).contains(&known) {
        known
    } else {
        most - 500
    }
}

/// How far this clock is ahead of the server's, if the server looked at its own half way between sending and receiving.
fn skew(sent: Timestamp, received: Timestamp, server: Timestamp) -> i64 {
    let midway = sent.millis() + (received.millis() - sent.millis()) / 2;
    midway - server.millis()
}
