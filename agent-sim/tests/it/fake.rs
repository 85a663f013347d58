//! A server in this process that holds real keys and answers as it is told.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{self, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use formats::{
    Ambient, BodyHash, DeploymentGroupId, EndpointId, GrantClaims, KeySet, ManualClock, MfaProof, PersonId,
    PublishedKey, Purpose, RequestId, SigningKey, Statement, SystemEntropy, TenantId, Timestamp, UserId, VerifyingKey,
    agent_wire::{
        ActivityBatch, ActivityRecord, ActivityStored, Deadlines, EndedGrants, Heartbeat, HeartbeatAnswer, HeldGrants,
        Inventory, KEY_SET_HEADER, KeySetResponse, MachineInfo, MfaVerified, MfaVerify, RegisterRequest,
        RegisterResponse, RequestState, RequestStatus, STATEMENT_HEADER, SnapshotAck, SubmitRequest, TokenRequest,
        TokenResponse,
    },
    grant::Step,
    token::{ACCESS_LIFE, AUDIENCE_AGENT, AccessClaims, AssertionClaims, RegistrationClaims},
};
use policy_engine::{Action, Os};
use portcullis_agent::{Agent, AgentError, Bodies, Registration, Surroundings, link};
use serde_json::{Value, json};

pub const TOKEN: &str = "pct_reg_test";

pub struct Fake {
    pub clock: Arc<ManualClock>,
    pub ambient: Ambient,
    pub tenant: TenantId,
    pub endpoint: EndpointId,
    pub root: SigningKey,
    pub url: String,
    /// Rings for agents that watch their grants.
    pub rang: tokio::sync::Notify,
    state: Mutex<Told>,
}

type Answer = Box<dyn Fn(&HeaderMap) -> Response + Send>;

/// What the server knows and how it is told to answer.
pub struct Told {
    pub keys: BTreeMap<Purpose, SigningKey>,
    pub key_set_version: u64,
    /// What `GET /keyset` says instead of the truth.
    pub key_set: Option<String>,
    pub group: DeploymentGroupId,
    pub body: Vec<u8>,
    pub version: u64,
    pub epoch: u64,
    /// What `GET /snapshot` says instead of the truth.
    pub snapshot: Option<Answer>,
    pub is_down: bool,
    pub endpoint_key: Option<VerifyingKey>,
    pub submitted: Vec<SubmitRequest>,
    pub requests: BTreeMap<RequestId, RequestState>,
    pub cancelled: Vec<RequestId>,
    pub mfa: Option<MfaProof>,
    pub stored: Vec<ActivityRecord>,
    pub batches: u32,
    /// How many answers to `POST /activity` get lost after the records were stored.
    pub answers_to_lose: u32,
    pub acks: Vec<SnapshotAck>,
    pub heartbeats: Vec<Heartbeat>,
    pub ended_grants: Vec<RequestId>,
    pub snapshot_polls: u32,
    pub tokens: u32,
}

pub fn start_time() -> Timestamp {
    "2026-03-02T09:00:00.000Z".parse().unwrap()
}

/// A snapshot's body with these policies, each with its name as id.
pub fn body(policies: &[Value]) -> Vec<u8> {
    let policies: Vec<Value> = policies
        .iter()
        .map(|document| json!({"id": document["name"], "revision": 1, "document": document}))
        .collect();
    formats::canonical(
        &json!({"policies": policies, "collections": [], "baseline": {}, "settings": {"justificationMin": 3}}),
    )
    .unwrap()
}

/// A policy about every elevation.
pub fn policy(name: &str, controls: &[&str]) -> Value {
    json!({"name": name, "type": "privilege_elevation", "status": "enforce", "controls": controls, "users": ["*"],
        "machines": ["*"], "applications": ["path:/opt/*"]})
}

/// An elevation of `/opt/NAME` by alice.
pub fn action(name: &str) -> Action {
    serde_json::from_value(
        json!({"type": "privilege_elevation", "user": {"name": "alice", "groups": []},
        "machine": {"name": "ws-1", "os": "linux"}, "application": {"path": format!("/opt/{name}")},
        "at": "2026-03-02T10:00:00+01:00", "variables": {}, "online": true}),
    )
    .unwrap()
}

pub fn machine() -> MachineInfo {
    MachineInfo {
        name: "ws-1".into(),
        os: Os::Linux,
        os_version: "test".into(),
        machine_id: "8f1c".into(),
    }
}

impl Fake {
    /// Starts a server whose snapshot allows `/opt/*`.
    pub async fn start() -> Arc<Self> {
        let clock = Arc::new(ManualClock::at(start_time()));
        let ambient = Ambient::new(clock.clone(), Arc::new(SystemEntropy));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let key = || SigningKey::from_seed(&ambient.bytes());
        let fake = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            tenant: ambient.id(),
            endpoint: ambient.id(),
            root: key(),
            state: Mutex::new(Told {
                keys: Purpose::ALL.into_iter().map(|purpose| (purpose, key())).collect(),
                key_set_version: 1,
                key_set: None,
                group: ambient.id(),
                body: body(&[policy("allow", &["allow"])]),
                version: 10,
                epoch: 1,
                snapshot: None,
                is_down: false,
                endpoint_key: None,
                submitted: vec![],
                requests: BTreeMap::new(),
                cancelled: vec![],
                mfa: None,
                stored: vec![],
                batches: 0,
                answers_to_lose: 0,
                acks: vec![],
                heartbeats: vec![],
                ended_grants: vec![],
                snapshot_polls: 0,
                tokens: 0,
            }),
            rang: tokio::sync::Notify::new(),
            clock,
            ambient,
        });
        let routes = Router::new()
            .route("/register", post(register))
            .route("/token", post(token))
            .route("/keyset", get(key_set))
            .route("/snapshot", get(snapshot))
            .route("/snapshot/ack", post(ack))
            .route("/requests", post(submit))
            .route("/requests/{id}", get(request))
            .route("/requests/{id}/cancel", post(cancel))
            .route("/mfa/verify", post(mfa))
            .route("/activity", post(activity))
            .route("/inventory", post(async |_: Json<Inventory>| StatusCode::NO_CONTENT))
            .route("/grants", post(grants))
            .route("/heartbeat", post(heartbeat))
            .layer(from_fn_with_state(fake.clone(), when_up))
            .with_state(fake.clone());
        let app = Router::new().nest("/agent/v1", routes);
        tokio::spawn(async move { axum::serve(listener, app).await });
        fake
    }

    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.state.lock().unwrap()
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub fn key(&self, purpose: Purpose) -> SigningKey {
        self.told().keys[&purpose].clone()
    }

    /// Makes a new key for this purpose; the old one is dead.
    pub fn rotate(&self, purpose: Purpose) -> SigningKey {
        let old = self
            .told()
            .keys
            .insert(purpose, SigningKey::from_seed(&self.ambient.bytes()))
            .unwrap();
        self.told().key_set_version += 1;
        old
    }

    pub fn publish(&self, policies: &[Value]) {
        let mut told = self.told();
        told.body = body(policies);
        told.version += 1;
    }

    /// The key set as the root signs it.
    pub fn true_key_set(&self) -> KeySet {
        let told = self.told();
        let keys = told
            .keys
            .iter()
            .map(|(purpose, key)| PublishedKey::new(*purpose, key.public()))
            .collect();
        KeySet {
            tenant: self.tenant,
            version: told.key_set_version,
            keys,
        }
    }

    /// What the server would truly state now.
    pub fn statement(&self) -> Statement {
        let told = self.told();
        let now = self.ambient.now();
        Statement {
            tenant: self.tenant,
            group: told.group,
            epoch: told.epoch,
            version: told.version,
            sha256: BodyHash::of(&told.body),
            issued_at: now,
            expires_at: now + Duration::from_secs(7200),
        }
    }

    /// Answers the next polls with this statement, signed by that key, and this body.
    pub fn serve(&self, statement: &Statement, key: &SigningKey, body: &[u8]) {
        let token = statement.sign(key).unwrap();
        let body = body.to_vec();
        self.told().snapshot = Some(Box::new(move |_| {
            ([(STATEMENT_HEADER, token.clone())], body.clone()).into_response()
        }));
    }

    pub fn serve_truth(&self) {
        self.told().snapshot = None;
    }

    pub fn around(&self) -> Surroundings {
        Surroundings {
            ambient: self.ambient.clone(),
            http: link::client(None).unwrap(),
            bodies: Bodies::default(),
        }
    }

    pub fn registration(&self, root: Option<VerifyingKey>) -> Registration {
        Registration {
            server: self.url.clone(),
            token: TOKEN.into(),
            root,
            machine: machine(),
            replace: false,
        }
    }

    pub async fn register(&self, dir: &Path) -> Result<Agent, AgentError> {
        Agent::register(dir, self.registration(Some(self.root.public())), self.around()).await
    }

    /// A registered agent that enforces the server's snapshot.
    pub async fn agent(&self, dir: &Path) -> Agent {
        let agent = self.register(dir).await.unwrap();
        agent.sync_once().await.unwrap();
        agent
    }

    /// Approves the request with these terms.
    pub fn approve(&self, id: RequestId, change: impl FnOnce(&mut GrantClaims)) -> GrantClaims {
        let digest = self.told().submitted.last().unwrap().digest;
        let mut claims = GrantClaims {
            tenant: self.tenant,
            request: id,
            digest,
            endpoint: self.endpoint,
            user: "alice".into(),
            person: PersonId::default(),
            issued_at: self.ambient.now(),
            not_after: self.ambient.now() + Duration::from_secs(24 * 3600),
            uses: Some(1),
            satisfies: vec![Step::Justification, Step::Approval],
            mfa_pending: false,
            narrowed: false,
        };
        change(&mut claims);
        let token = claims.sign(&self.key(Purpose::Grant)).unwrap();
        self.settle(id, RequestStatus::Approved, Some(token));
        claims
    }

    pub fn settle(&self, id: RequestId, status: RequestStatus, grant: Option<String>) {
        let mut told = self.told();
        let state = told.requests.get_mut(&id).unwrap();
        state.status = status;
        state.grant = grant;
    }

    pub fn proof(&self, verify: &MfaVerify) -> MfaProof {
        MfaProof {
            tenant: self.tenant,
            id: self.ambient.uuid(),
            identity: UserId::default(),
            endpoint: self.endpoint,
            endpoint_user: verify.endpoint_user.clone(),
            action_type: verify.action_type,
            digest: verify.always.then_some(verify.digest),
            issued_at: self.ambient.now(),
            expires_at: self.ambient.now() + Duration::from_secs(300),
        }
    }
}

type Server = State<Arc<Fake>>;

async fn when_up(State(fake): Server, request: Request, next: Next) -> Response {
    let is_down = fake.told().is_down;
    let mut response = if is_down {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    } else {
        next.run(request).await
    };
    let now = Duration::from_millis(fake.ambient.now().millis().unsigned_abs());
    let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + now);
    response.headers_mut().insert(header::DATE, date.parse().unwrap());
    response
}

fn problem(status: StatusCode, code: &str) -> Response {
    (
        status,
        Json(json!({"title": "no", "code": code, "status": status.as_u16()})),
    )
        .into_response()
}

async fn register(State(fake): Server, Json(body): Json<RegisterRequest>) -> Response {
    let now = fake.ambient.now();
    let Ok(claims) = RegistrationClaims::verify(&body.proof, &body.public_key, &fake.url, now, 60) else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "PROOF_INVALID");
    };
    if body.registration_token != TOKEN || !claims.is_for(&body.machine.machine_id, TOKEN) {
        return problem(StatusCode::UNAUTHORIZED, "BAD_TOKEN");
    }
    fake.told().endpoint_key = Some(body.public_key);
    let key_set = fake.true_key_set().sign(&fake.root).unwrap();
    let lie = fake.told().key_set.clone();
    Json(RegisterResponse {
        endpoint_id: fake.endpoint,
        tenant_id: fake.tenant,
        deployment_group_id: fake.told().group,
        key_set: lie.unwrap_or(key_set),
        root_key: fake.root.public(),
        server_time: now,
    })
    .into_response()
}

async fn token(State(fake): Server, Json(body): Json<TokenRequest>) -> Response {
    let now = fake.ambient.now();
    assert_eq!(
        AssertionClaims::peek(&body.assertion),
        Some((fake.tenant, fake.endpoint))
    );
    let key = fake.told().endpoint_key.unwrap();
    let aud = format!("{}/agent/v1/token", fake.url);
    if AssertionClaims::verify(&body.assertion, fake.tenant, fake.endpoint, &key, &aud, now).is_err() {
        return problem(StatusCode::UNAUTHORIZED, "CLOCK_SKEW");
    }
    let claims = AccessClaims {
        iss: fake.url.clone(),
        aud: AUDIENCE_AGENT.into(),
        sub: fake.endpoint.to_string(),
        tenant: fake.tenant,
        group: Some(fake.told().group),
        sid: None,
        jti: fake.ambient.uuid(),
        iat: now.seconds(),
        exp: now.seconds() + ACCESS_LIFE,
        scope: String::new(),
    };
    fake.told().tokens += 1;
    let access_token = claims.sign(&fake.key(Purpose::Token)).unwrap();
    Json(TokenResponse {
        access_token,
        token_type: "Bearer".into(),
        expires_in: 600,
        server_time: now,
    })
    .into_response()
}

async fn key_set(State(fake): Server, headers: HeaderMap) -> Response {
    if !headers.contains_key(header::AUTHORIZATION) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let truth = fake.true_key_set().sign(&fake.root).unwrap();
    let lie = fake.told().key_set.clone();
    Json(KeySetResponse {
        key_set: lie.unwrap_or(truth),
    })
    .into_response()
}

async fn snapshot(State(fake): Server, headers: HeaderMap) -> Response {
    let bearer = headers[header::AUTHORIZATION]
        .to_str()
        .unwrap()
        .strip_prefix("Bearer ")
        .unwrap()
        .to_owned();
    let key = fake.key(Purpose::Token).public();
    let find = |kid: &str| (kid == key.kid()).then_some(key);
    if AccessClaims::verify(&bearer, &fake.url, AUDIENCE_AGENT, fake.ambient.now(), find).is_err() {
        return problem(StatusCode::UNAUTHORIZED, "BAD_TOKEN");
    }
    let statement = fake.statement();
    let token = statement.sign(&fake.key(Purpose::Snapshot)).unwrap();
    let mut told = fake.told();
    told.snapshot_polls += 1;
    if let Some(lie) = &told.snapshot {
        return lie(&headers);
    }
    let etag = format!("\"{}\"", statement.sha256);
    let common = [
        (STATEMENT_HEADER, token),
        (KEY_SET_HEADER, told.key_set_version.to_string()),
        (header::ETAG.as_str(), etag.clone()),
    ];
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|tag| tag.as_bytes() == etag.as_bytes())
    {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let packed = zstd::encode_all(&*told.body, 3).unwrap();
    (common, [(header::CONTENT_ENCODING, "zstd")], packed).into_response()
}

async fn ack(State(fake): Server, Json(body): Json<SnapshotAck>) -> StatusCode {
    fake.told().acks.push(body);
    StatusCode::NO_CONTENT
}

async fn submit(State(fake): Server, Json(body): Json<SubmitRequest>) -> Response {
    let id: RequestId = fake.ambient.id();
    let state = RequestState {
        request_id: id,
        status: RequestStatus::Pending,
        deadlines: Deadlines {
            escalates_at: Some(fake.ambient.now() + Duration::from_secs(1800)),
            expires_at: None,
        },
        asked: 1,
        comment: None,
        grant: None,
    };
    let mut told = fake.told();
    told.submitted.push(body);
    told.requests.insert(id, state.clone());
    (StatusCode::CREATED, Json(state)).into_response()
}

async fn request(State(fake): Server, extract::Path(id): extract::Path<RequestId>) -> Response {
    match fake.told().requests.get(&id) {
        Some(state) => Json(state.clone()).into_response(),
        None => problem(StatusCode::NOT_FOUND, "NOT_FOUND"),
    }
}

async fn cancel(State(fake): Server, extract::Path(id): extract::Path<RequestId>) -> Response {
    fake.settle(id, RequestStatus::Cancelled, None);
    fake.told().cancelled.push(id);
    Json(fake.told().requests[&id].clone()).into_response()
}

async fn mfa(State(fake): Server, Json(body): Json<MfaVerify>) -> Response {
    if body.code != "123456" {
        return problem(StatusCode::FORBIDDEN, "WRONG_CODE");
    }
    let proof = fake.told().mfa.take().unwrap_or_else(|| fake.proof(&body));
    let token = proof.sign(&fake.key(Purpose::Mfa)).unwrap();
    Json(MfaVerified {
        proof: token,
        identity: proof.identity,
        expires_at: proof.expires_at,
    })
    .into_response()
}

async fn activity(State(fake): Server, body: Bytes) -> Response {
    let batch: ActivityBatch = serde_json::from_slice(&body).unwrap();
    let mut told = fake.told();
    told.batches += 1;
    for record in batch.records {
        if told.stored.iter().all(|stored| stored.seq != record.seq) {
            told.stored.push(record);
        }
    }
    if told.answers_to_lose > 0 {
        told.answers_to_lose -= 1;
        return StatusCode::GATEWAY_TIMEOUT.into_response();
    }
    let stored_seq = told.stored.iter().map(|record| record.seq).max().unwrap_or(0);
    Json(ActivityStored {
        stored_seq,
        server_time: fake.ambient.now(),
    })
    .into_response()
}

async fn heartbeat(State(fake): Server, Json(body): Json<Heartbeat>) -> Response {
    let mut told = fake.told();
    told.heartbeats.push(body);
    let ended_grants = told.ended_grants.clone();
    Json(HeartbeatAnswer {
        server_time: fake.ambient.now(),
        key_set_version: told.key_set_version,
        ended_grants,
    })
    .into_response()
}

async fn grants(State(fake): Server, Json(body): Json<HeldGrants>) -> Response {
    loop {
        let told = fake.rang.notified();
        let ended_grants: Vec<_> = {
            let told = fake.told();
            let ended = body.grants.iter().filter(|id| told.ended_grants.contains(id));
            ended.copied().collect()
        };
        if !ended_grants.is_empty() {
            return Json(EndedGrants { ended_grants }).into_response();
        }
        told.await;
    }
}
