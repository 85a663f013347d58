//! A server without a socket: the real router, a database of one's own, two tenants, a clock that stands still.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use api::{ApiConfig, ApiState};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use commands::{App, Caller, Config, NewUser};
use eventstore::{InProcess, LocalMasterKey, Store, Upcasters, Vault};
use formats::{Ambient, ManualClock, SystemEntropy, TenantId, UserId};
use model::Role;
use postgres_supervisor::testing::{self, TestDatabase};
use projections::Runner;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;
use uuid::Uuid;

pub const PASSWORD: &str = "correct horse battery staple";
pub const TOTP_SECRET: [u8; 20] = *b"a secret of 20 bytes";

pub struct World {
    pub app: App,
    pub state: ApiState,
    pub router: Router,
    pub clock: Arc<ManualClock>,
    pub tenant: TenantId,
    pub outsider: TenantId,
    pub operator: String,
    _stop: DropGuard,
    database: TestDatabase,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} {:?}", self.status, self.body))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The session cookie that was set, as a browser would send it back.
    pub fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

/// What a process of an installation runs beside its doors, until it is to stop.
async fn process(url: &str, clock: &Arc<ManualClock>, public_url: &str, stop: &CancellationToken) -> App {
    let ambient = Ambient::new(Arc::clone(clock) as Arc<dyn formats::Clock>, Arc::new(SystemEntropy));
    let pool = eventstore::connect(url, 12).await.unwrap();
    let master = Arc::new(LocalMasterKey::from_bytes([7; 32]));
    let vault = Vault::new(pool.clone(), ambient.clone(), master, Vec::new());
    let store = Store::new(
        pool,
        vault,
        ambient,
        Upcasters::default(),
        Arc::new(InProcess::new()),
        eventstore::Options::default(),
    );
    let runner = Runner::new(store.clone(), projections::Options::default());
    let app = App::new(
        store,
        runner.waiter(),
        Config {
            public_url: public_url.to_owned(),
            // Where the tests' own identity providers are.
            outbound_networks: vec!["127.0.0.0/8".parse().unwrap()],
            ..Config::default()
        },
    );
    let stop = stop.clone();
    tokio::spawn(async move { runner.run(stop.cancelled_owned()).await });
    app
}

impl World {
    /// A second process of the same installation, whose doorbell the first one does not hear.
    pub async fn another_process(&self) -> App {
        let stop = self.state.shutdown.clone();
        process(&self.database.url_app, &self.clock, &self.app.config.public_url, &stop).await
    }

    pub async fn new() -> Self {
        Self::with(ApiConfig::default()).await
    }

    pub async fn with(config: ApiConfig) -> Self {
        Self::at(&Config::default().public_url, config).await
    }

    /// A server whose public address is this.
    pub async fn at(public_url: &str, config: ApiConfig) -> Self {
        let database = testing::database_from(&eventstore::schema_fingerprint(), |url| async move {
            let pool = PgPool::connect(&url).await.map_err(|e| e.to_string())?;
            eventstore::migrate(&pool).await.map_err(|e| e.to_string())?;
            pool.close().await;
            Ok::<_, String>(())
        })
        .await;
        let clock = Arc::new(ManualClock::at("2026-03-02T09:00:00Z".parse().unwrap()));
        let stop = CancellationToken::new();
        let app = process(&database.url_app, &clock, public_url, &stop).await;
        let operator = app
            .create_platform_credential(&Caller::system(TenantId::default(), Uuid::nil()), "ops")
            .await
            .unwrap();
        let state = ApiState::new(app.clone(), config, stop.clone()).unwrap();
        let router = api::router(state.clone());
        let mut world = Self {
            app,
            state,
            router,
            clock,
            tenant: TenantId::default(),
            outsider: TenantId::default(),
            operator,
            _stop: stop.drop_guard(),
            database,
        };
        world.tenant = world.make_tenant("acme").await;
        world.outsider = world.make_tenant("outsider").await;
        world
    }

    async fn make_tenant(&self, slug: &str) -> TenantId {
        let body = json!({
            "slug": slug, "name": slug,
            "owner": { "email": format!("owner@{slug}.example"), "name": "Owner", "password": PASSWORD },
        });
        let made = self
            .post("/platform/v1/tenants", &self.operator, &body)
            .await
            .expect(201);
        let tenant = made.json()["id"].as_str().unwrap().parse().unwrap();
        self.settle(tenant).await;
        tenant
    }

    /// Until the read models know everything.
    pub async fn settle(&self, tenant: TenantId) {
        let head = self.app.store.head(tenant).await.unwrap();
        for _ in 0..10 {
            if self.app.settled(tenant, head).await {
                return;
            }
        }
        panic!("the read models don't catch up");
    }

    pub fn system(&self) -> Caller {
        Caller::system(self.tenant, Uuid::nil())
    }

    /// The first owner, as whoever needs no proof of it.
    pub async fn owner(&self) -> Caller {
        let mut tx = self.app.reading(self.tenant).await.unwrap();
        let owner = projections::directory::user_by_email(&mut tx, "owner@acme.example")
            .await
            .unwrap();
        let origin = commands::Origin::inside(Uuid::nil());
        self.app
            .acting_as(self.tenant, owner.unwrap().id, origin)
            .await
            .unwrap()
    }

    pub async fn user(&self, name: &str, roles: &[Role]) -> UserId {
        let new = NewUser {
            email: format!("{name}@acme.example"),
            name: name.to_owned(),
            roles: roles.to_vec(),
            password: Some(PASSWORD.to_owned()),
            source: "operator",
        };
        let user = self.app.create_user(&self.system(), new).await.unwrap();
        self.settle(self.tenant).await;
        user.id()
    }

    pub async fn totp(&self, user: UserId) {
        self.app.totp_preset(&self.system(), user, &TOTP_SECRET).await.unwrap();
        self.settle(self.tenant).await;
    }

    /// The code that an authenticator app shows now.
    pub fn code(&self) -> String {
        self.code_for(totp_rs::Secret::from(TOTP_SECRET.to_vec()))
    }

    /// As [`World::code`], for a secret in base32.
    pub fn code_of(&self, secret: &str) -> String {
        self.code_for(totp_rs::Secret::try_from_base32(secret).unwrap())
    }

    fn code_for(&self, secret: totp_rs::Secret) -> String {
        let totp = totp_rs::Builder::new()
            .with_secret(secret)
            .with_account_name("a")
            .build()
            .unwrap();
        totp.generate(u64::try_from(formats::Clock::now(&*self.clock).seconds()).unwrap())
            .to_string()
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 64 << 20).await.unwrap();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub async fn get(&self, path: &str, token: &str) -> Reply {
        self.send(request(Method::GET, path).bearer(token).empty()).await
    }

    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Reply {
        self.send(request(Method::POST, path).bearer(token).json(body)).await
    }

    pub async fn sign_in(&self, name: &str, code: Option<&str>) -> Reply {
        let body =
            json!({ "tenant": "acme", "email": format!("{name}@acme.example"), "password": PASSWORD, "code": code });
        self.send(request(Method::POST, "/auth/sign-in").json(&body)).await
    }

    /// Whoever has just signed in.
    pub fn as_browser(&self, reply: &Reply) -> Browser<'_> {
        Browser {
            world: self,
            cookie: reply.cookie(),
            csrf: reply.json()["csrfToken"].as_str().unwrap().to_owned(),
        }
    }

    /// Signs in as a browser does.
    pub async fn browser(&self, name: &str) -> Browser<'_> {
        let reply = self.sign_in(name, None).await.expect(200);
        self.as_browser(&reply)
    }
}

/// A person with a session.
pub struct Browser<'a> {
    world: &'a World,
    pub cookie: String,
    pub csrf: String,
}

impl Browser<'_> {
    pub async fn get(&self, path: &str) -> Reply {
        self.world
            .send(request(Method::GET, path).with(header::COOKIE, &self.cookie).empty())
            .await
    }

    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Reply {
        let request = request(method, path)
            .with(header::COOKIE, &self.cookie)
            .with("x-csrf-token", &self.csrf);
        self.world.send(request.json(body)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::POST, path, body).await
    }
}

/// A request in the making.
pub struct Ask(axum::http::request::Builder);

pub fn request(method: Method, path: &str) -> Ask {
    Ask(Request::builder().method(method).uri(path))
}

impl Ask {
    pub fn with<N: TryInto<header::HeaderName, Error: Into<axum::http::Error>>>(self, name: N, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub fn bearer(self, token: &str) -> Self {
        self.with(header::AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// From this address.
    pub fn from(self, address: &str) -> Self {
        Self(
            self.0
                .extension(ConnectInfo(SocketAddr::new(address.parse().unwrap(), 40_000))),
        )
    }

    pub fn empty(self) -> Request<Body> {
        self.0.body(Body::empty()).unwrap()
    }

    pub fn body(self, kind: &str, body: impl Into<Body>) -> Request<Body> {
        self.with(header::CONTENT_TYPE, kind).0.body(body.into()).unwrap()
    }

    pub fn json(self, body: &Value) -> Request<Body> {
        self.body("application/json", body.to_string())
    }

    pub fn form(self, fields: &[(&str, &str)]) -> Request<Body> {
        self.body(
            "application/x-www-form-urlencoded",
            serde_urlencoded::to_string(fields).unwrap(),
        )
    }
}

/// A deadline for what has to happen soon, measured in real time.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what)
        .await
        .expect("in time")
}

/// A machine that registered.
pub struct Agent<'a> {
    world: &'a World,
    tenant: TenantId,
    pub key: formats::SigningKey,
    pub endpoint: formats::EndpointId,
    pub group: formats::DeploymentGroupId,
    pub root: formats::VerifyingKey,
    pub key_set: String,
    pub token: String,
}

impl World {
    /// A policy that asks for approval of programs of this path pattern, enforced.
    pub async fn policy(&self, name: &str, path: &str) {
        let document = json!({
            "name": name, "type": "privilege_elevation", "status": "enforce", "controls": ["approval"],
            "users": ["*"], "machines": ["*"], "applications": [format!("path:{path}")],
        });
        let document = serde_json::from_value(document).unwrap();
        let written = self
            .app
            .create_policy(&self.system(), document, "test".to_owned())
            .await
            .unwrap();
        assert!(self.app.settled(self.tenant, written.position).await);
    }

    /// Registers a machine through the door.
    pub async fn agent(&self, name: &str) -> Agent<'_> {
        self.agent_of(self.tenant, name).await
    }

    /// The same in another tenant.
    pub async fn agent_of(&self, tenant: TenantId, name: &str) -> Agent<'_> {
        let system = Caller::system(tenant, Uuid::nil());
        let group = self
            .app
            .create_deployment_group(&system, format!("group of {name}"))
            .await
            .unwrap();
        let issued = self
            .app
            .issue_registration_token(&system, group.id(), None, Some(1))
            .await
            .unwrap();
        self.settle(tenant).await;
        let registration_token = issued.secret.unwrap();
        let key = formats::SigningKey::from_seed(&self.app.ambient().bytes());
        let url = self.app.config.public_url.clone();
        let now = self.app.ambient().now();
        let claims = formats::token::RegistrationClaims::new(url, name.to_owned(), &registration_token, now);
        let body = json!({
            "registrationToken": registration_token, "publicKey": key.public(), "proof": claims.sign(&key).unwrap(),
            "machine": { "name": name, "os": "linux", "osVersion": "12", "machineId": name },
        });
        let reply = self
            .send(request(Method::POST, "/agent/v1/register").json(&body))
            .await
            .expect(201);
        let made: formats::agent_wire::RegisterResponse = serde_json::from_slice(&reply.body).unwrap();
        let mut agent = Agent {
            world: self,
            tenant,
            key,
            endpoint: made.endpoint_id,
            group: made.deployment_group_id,
            root: made.root_key,
            key_set: made.key_set,
            token: String::new(),
        };
        let token = agent.ask_token(&agent.assertion()).await.expect(200).json();
        agent.token = token["accessToken"].as_str().unwrap().to_owned();
        agent
    }
}

impl Agent<'_> {
    pub fn assertion(&self) -> String {
        let (ambient, url) = (self.world.app.ambient(), &self.world.app.config.public_url);
        let audience = format!("{url}/agent/v1/token");
        let claims = formats::token::AssertionClaims::new(self.endpoint, audience, ambient.uuid(), ambient.now());
        claims.sign(self.tenant, &self.key).unwrap()
    }

    pub async fn ask_token(&self, assertion: &str) -> Reply {
        let body = json!({ "assertion": assertion });
        self.world
            .send(request(Method::POST, "/agent/v1/token").json(&body))
            .await
    }

    pub async fn get(&self, path: &str, headers: &[(&'static str, &str)]) -> Reply {
        let ask = request(Method::GET, path).bearer(&self.token);
        self.world
            .send(
                headers
                    .iter()
                    .fold(ask, |ask, (name, value)| ask.with(*name, value))
                    .empty(),
            )
            .await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.world.post(path, &self.token, body).await
    }

    pub async fn post_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Reply {
        let ask = request(Method::POST, path).bearer(&self.token);
        let ask = headers.iter().fold(ask, |ask, (name, value)| ask.with(*name, value));
        self.world.send(ask.json(body)).await
    }

    /// An elevation of this program, and its digest.
    pub fn action(&self, path: &str) -> (Value, String) {
        let action = json!({
            "type": "privilege_elevation", "user": { "name": "dora" }, "machine": { "name": "lab", "os": "linux" },
            "application": { "path": path }, "at": "2026-03-02T10:00:00+01:00",
        });
        let read = serde_json::from_value(action.clone()).unwrap();
        let digest = formats::DigestInput::of(self.tenant, self.endpoint, &read, None)
            .digest()
            .unwrap();
        (action, digest.to_string())
    }

    /// Files a request.
    pub async fn submit(&self, path: &str) -> Reply {
        let (action, digest) = self.action(path);
        let body = json!({
            "action": action, "digest": digest, "justification": "because \u{202e}I need it",
            "snapshotVersion": { "epoch": 1, "version": 1 },
        });
        self.post("/agent/v1/requests", &body).await
    }
}
