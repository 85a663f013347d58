//! A whole installation in this process, with its demo data, and a client per actor.

use std::time::Duration;

use commands::{App, Caller, Origin, Principal};
use eventstore::Recorded;
use formats::{
    DeploymentGroupId, DigestInput, RequestId, TenantId,
    agent_wire::{SnapshotVersion, SubmitRequest},
};
use policy_engine::Action;
use portcullis::{
    config::{Config, Role},
    dev::{self, DevOptions, ReadyTenant, ReadyUser, Running},
};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// An installation in development mode, on free ports, with a database of its own.
pub struct World {
    /// The server.
    pub server: Running,
    /// Without cookies or credentials.
    pub nobody: Client,
    /// Its data directory is `data` in here.
    pub data: TempDir,
    smtp: Option<String>,
}

impl World {
    /// Starts one. Stop it with [`World::end`].
    pub async fn begin() -> Self {
        Self::with_roles(&Role::ALL).await
    }

    /// Starts one that does only a part of the work.
    pub async fn with_roles(roles: &[Role]) -> Self {
        Self::with(roles, None).await
    }

    /// Starts one that sends its mails to this server, and not to its mailbox.
    pub async fn with_smtp(url: String) -> Self {
        Self::with(&Role::ALL, Some(url)).await
    }

    async fn with(roles: &[Role], smtp: Option<String>) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let data = tempfile::Builder::new().prefix("pct-").tempdir_in("/tmp").unwrap();
        // The database's own user has to get in.
        std::fs::set_permissions(data.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self::on(data, roles, smtp).await
    }

    async fn on(data: TempDir, roles: &[Role], smtp: Option<String>) -> Self {
        let roles = roles.iter().copied().collect();
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            roles,
            ..Config::default()
        };
        let options = DevOptions {
            data_dir: Some(data.path().join("data")),
            empty: false,
            ready_file: None,
            beyond_loopback: false,
            smtp: smtp.clone(),
        };
        let server = dev::start(config, options, CancellationToken::new()).await.unwrap();
        let nobody = client(false);
        Self {
            server,
            nobody,
            data,
            smtp,
        }
    }

    /// Stops it and starts it again on the same data.
    pub async fn restart(self) -> Self {
        self.server.stop().await.unwrap();
        Self::on(self.data, &Role::ALL, self.smtp).await
    }

    /// Stops it; whatever did not end as it should fails the test.
    pub async fn end(self) {
        self.server.stop().await.unwrap();
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        &self.server.ready.url
    }

    /// A tenant of the demo data: `acme` or `globex`.
    pub fn tenant(&self, slug: &str) -> &ReadyTenant {
        self.server
            .ready
            .tenants
            .iter()
            .find(|tenant| tenant.slug == slug)
            .unwrap()
    }

    /// A user of a tenant by their role.
    pub fn user(&self, slug: &str, role: &str) -> &ReadyUser {
        self.tenant(slug)
            .users
            .iter()
            .find(|user| user.roles.iter().any(|r| r == role))
            .unwrap()
    }

    /// A browser in which this user is signed in.
    pub async fn browser(&self, slug: &str, role: &str) -> Browser {
        let user = self.user(slug, role);
        let code = match &user.totp_secret {
            Some(secret) => Some(self.code(secret).await),
            None => None,
        };
        let client = client(true);
        let body = json!({ "tenant": slug, "email": user.email, "password": user.password, "code": code });
        let answer = client
            .post(format!("{}/auth/sign-in", self.url()))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        let session: Value = client
            .get(format!("{}/auth/session", self.url()))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let csrf = session["csrfToken"].as_str().unwrap().to_owned();
        Browser {
            client,
            url: self.url().to_owned(),
            csrf,
        }
    }

    /// The next one-time code of a secret. The clock moves a step on, since no step is accepted twice.
    pub async fn code(&self, secret: &str) -> String {
        let now = self.advance(Duration::from_secs(30)).await;
        let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
        let totp = totp_rs::Builder::new()
            .with_secret(secret)
            .with_account_name("someone")
            .with_issuer(Some("Portcullis".to_owned()))
            .build()
            .unwrap();
        totp.generate(u64::try_from(now.seconds()).unwrap()).to_string()
    }

    /// Moves the server's clock forward; the moment it then shows.
    pub async fn advance(&self, by: Duration) -> formats::Timestamp {
        let url = format!("{}/clock", self.server.ready.mailbox_url);
        let body = json!({ "advanceMs": u64::try_from(by.as_millis()).unwrap() });
        let answer: Value = self
            .nobody
            .post(url)
            .json(&body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        serde_json::from_value(answer["now"].clone()).unwrap()
    }

    /// The use cases, without a door in between.
    pub fn app(&self) -> &App {
        &self.server.parts.app
    }

    /// A tenant's id.
    pub fn tenant_id(&self, slug: &str) -> TenantId {
        self.tenant(slug).id.parse().unwrap()
    }

    /// A user as a caller who has proved nothing: for use cases without a door in between.
    pub async fn caller(&self, slug: &str, role: &str) -> Caller {
        let tenant = self.tenant_id(slug);
        let mut tx = self.app().reading(tenant).await.unwrap();
        let email = &self.user(slug, role).email;
        let user = projections::directory::user_by_email(&mut tx, email)
            .await
            .unwrap()
            .unwrap()
            .id;
        let origin = Origin::inside(self.app().store.ambient().uuid());
        self.app().acting_as(tenant, user, origin).await.unwrap()
    }

    /// The first endpoint of a tenant's first group, as a caller.
    pub async fn endpoint(&self, slug: &str) -> Caller {
        let tenant = self.tenant_id(slug);
        let group: DeploymentGroupId = self.tenant(slug).deployment_groups[0].id.parse().unwrap();
        let mut tx = self.app().reading(tenant).await.unwrap();
        let filter = projections::fleet::EndpointFilter {
            group: Some(group),
            ..Default::default()
        };
        let rows = projections::fleet::endpoints(&mut tx, &filter, &projections::Page::first(1))
            .await
            .unwrap()
            .nodes();
        let origin = Origin::inside(self.app().store.ambient().uuid());
        Caller {
            tenant,
            principal: Principal::Endpoint {
                endpoint: rows[0].id,
                group,
            },
            origin,
        }
    }

    /// Files a request for an installer in the downloads folder; its id and digest.
    pub async fn file(&self, endpoint: &Caller, name: &str) -> (RequestId, String) {
        let Principal::Endpoint { endpoint: id, .. } = endpoint.principal else {
            panic!("no endpoint")
        };
        let action: Action = serde_json::from_value(json!({
            "type": "privilege_elevation",
            "user": {"name": "DEMO\\robin", "groups": ["Developers"]},
            "machine": {"name": "WS-001", "os": "windows"},
            "application": {"path": format!("C:\\Users\\robin\\Downloads\\{name}")},
            "at": self.app().now().to_string(),
            "variables": {"userprofile": "C:\\Users\\robin", "downloads": "C:\\Users\\robin\\Downloads"},
        }))
        .unwrap();
        let digest = DigestInput::of(endpoint.tenant, id, &action, None).digest().unwrap();
        let input = SubmitRequest {
            action,
            cwd: None,
            justification: "It is needed".to_owned(),
            policies: Vec::new(),
            snapshot_version: SnapshotVersion { epoch: 1, version: 1 },
            digest,
            retry_of: None,
        };
        let submitted = self.app().submit_request(endpoint, input).await.unwrap();
        (submitted.request, digest.to_string())
    }

    /// The events of a tenant after a position, as the log has them.
    pub async fn log(&self, slug: &str, after: u64) -> Vec<Recorded> {
        let (tenant, mut events) = (self.tenant_id(slug), Vec::new());
        let mut from = after;
        loop {
            let batch = self.app().store.read(tenant, from, 1_000).await.unwrap();
            let Some(last) = batch.last() else { return events };
            from = last.position;
            events.extend(batch);
        }
    }

    /// The mails so far.
    pub async fn mails(&self) -> Vec<Value> {
        let url = format!("{}/messages.json", self.server.ready.mailbox_url);
        self.nobody.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// Waits, for at most ten seconds, until something is there.
    pub async fn until<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        self.until_within(Duration::from_secs(10), what, look).await
    }

    /// Waits until something is there.
    pub async fn until_within<T>(&self, most: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let begun = tokio::time::Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(begun.elapsed() < most, "{what} did not come");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A client that follows no redirects.
pub fn client(cookies: bool) -> Client {
    Client::builder()
        .cookie_store(cookies)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

/// A signed-in browser.
pub struct Browser {
    /// With its cookies.
    pub client: Client,
    url: String,
    csrf: String,
}

impl Browser {
    /// The session's CSRF token.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Calls a route with the session and its CSRF token.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .header("x-csrf-token", &self.csrf);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    /// The whole answer to a GraphQL operation.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        let answer = self
            .call(
                Method::POST,
                "/graphql",
                Some(json!({ "query": query, "variables": variables })),
            )
            .await;
        let status = answer.status();
        assert!(status == StatusCode::OK || status.is_client_error(), "{status}");
        answer.json().await.unwrap()
    }
}
