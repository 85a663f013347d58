//! Every guarded route of `openapi.json`, with every credential there is: what a credential is not for refuses it, and
//! another tenant's ids look like ids that do not exist.

use api::{ApiConfig, Rates};
use axum::{
    body::Body,
    http::{Method, Request, header},
};
use commands::{Caller, Origin, Principal};
use model::{Role, Scope, request::Narrowing};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    scim::Idp,
    world::{Agent, Browser, World, request},
};

const DESCRIPTION: &str = include_str!("../../../../api-schema/openapi.json");
const UNKNOWN: &str = "01h2xcejqtf2nbrexx3vqjhp41";

/// A route of the description that asks for a credential.
struct Route {
    method: Method,
    path: String,
    /// The kinds of credential that it is for: `session`, `bearer`, `scim`, `agent`, `platform`.
    kinds: Vec<String>,
}

fn routes() -> Vec<Route> {
    let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
    let mut routes = Vec::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let Some(security) = operation["security"].as_array() else {
                continue;
            };
            let kinds = security.iter().flat_map(|one| one.as_object().unwrap().keys().cloned());
            routes.push(Route {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                kinds: kinds.collect(),
            });
        }
    }
    assert!(routes.len() > 50, "{}", routes.len());
    routes
}

/// The least body with which a route looks further than at its form.
fn body(route: &Route) -> Value {
    let scim = route.path.starts_with("/scim/");
    match route.method.as_str() {
        "PUT" if scim => json!({ "userName": "x@corp.example", "displayName": "X" }),
        "PATCH" if scim => json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{ "op": "replace", "path": "displayName", "value": "X" }],
        }),
        _ => json!({}),
    }
}

/// A credential, in the way it is shown.
enum Shown<'a> {
    Nothing,
    Bearer(&'a str),
    Cookie(&'a Browser<'a>),
}

fn call(route: &Route, path: &str, shown: &Shown<'_>) -> Request<Body> {
    let ask = request(route.method.clone(), path);
    let ask = match shown {
        Shown::Nothing => ask,
        Shown::Bearer(token) => ask.bearer(token),
        Shown::Cookie(browser) => ask
            .with(header::COOKIE, &browser.cookie)
            .with("x-csrf-token", &browser.csrf),
    };
    let body = body(route);
    match (route.method.as_str(), route.path.starts_with("/scim/")) {
        ("GET" | "DELETE", _) => ask.empty(),
        (_, true) => ask.body("application/scim+json", body.to_string()),
        _ => ask.json(&body),
    }
}

/// Without limits for addresses and principals.
pub fn unlimited() -> ApiConfig {
    let mut config = ApiConfig::default();
    let Rates {
        strangers,
        principals,
        agents,
    } = &mut config.rates;
    for rate in [strangers, principals, agents] {
        rate.calls = 1_000_000;
    }
    config
}

async fn api_key(world: &World, caller: &Caller) -> String {
    let all = Scope::ALL.to_vec();
    let account = world.app.create_service_account(caller, "all".to_owned(), all.clone());
    let account = account.await.unwrap().id();
    let key = world.app.issue_api_key(caller, account, all, None).await.unwrap();
    key.secret.unwrap()
}

async fn scim_token(world: &World, caller: &Caller) -> String {
    let issued = world.app.issue_scim_token(caller, "Directory".to_owned(), None).await;
    issued.unwrap().secret.unwrap()
}

#[tokio::test]
async fn every_route_refuses_every_credential_that_it_is_not_for() {
    let world = World::with(unlimited()).await;
    let system = world.system();
    let mut browsers = Vec::new();
    for role in [Role::Member, Role::Auditor, Role::Approver, Role::Admin, Role::Owner] {
        let name = format!("the-{}", role.as_str());
        world.user(&name, &[role]).await;
        browsers.push(world.browser(&name).await);
    }
    let agent = world.agent("lab").await;
    let (key, scim) = (api_key(&world, &system).await, scim_token(&world, &system).await);
    let spent = scim_token(&world, &system).await;
    let revoked = world.app.scim(&Origin::inside(Uuid::nil()), &spent).await.unwrap();
    let Principal::Scim { token, .. } = revoked.principal else {
        panic!("{revoked:?} came with a SCIM token");
    };
    world.app.revoke_scim_token(&system, token).await.unwrap();
    let registration = world
        .app
        .issue_registration_token(&system, agent.group, None, None)
        .await;
    let registration = registration.unwrap().secret.unwrap();

    let mut shown = vec![
        ("nobody", "", Shown::Nothing),
        ("nonsense", "", Shown::Bearer("nonsense")),
        ("a revoked SCIM token", "", Shown::Bearer(&spent)),
        ("a registration token", "", Shown::Bearer(&registration)),
        ("an API key", "bearer", Shown::Bearer(&key)),
        ("a SCIM token", "scim", Shown::Bearer(&scim)),
        ("an agent", "agent", Shown::Bearer(&agent.token)),
        ("an operator", "platform", Shown::Bearer(&world.operator)),
    ];
    let roles = ["a member", "an auditor", "an approver", "an admin", "an owner"];
    for (role, browser) in roles.into_iter().zip(&browsers) {
        shown.push((role, "session", Shown::Cookie(browser)));
    }
    let mut wrong = Vec::new();
    for route in routes() {
        let path = route
            .path
            .replace("{tenant}", "acme")
            .replace("{id}", &format!("usr_{UNKNOWN}"));
        // It would end the session with which the next route is asked; and keys have no account of their own.
        let ends = ["/auth/sign-out", "/auth/sessions"].contains(&path.as_str()) && route.method != Method::GET;
        for (who, kind, shown) in &shown {
            let is_for = route.kinds.iter().any(|wanted| wanted == kind);
            let of_people = route.path.starts_with("/auth/") && *kind == "bearer";
            if is_for && (ends || of_people) {
                continue;
            }
            let status = world.send(call(&route, &path, shown)).await.status.as_u16();
            if is_for == (status == 401) {
                wrong.push(format!("{who}: {} {path} is {status}", route.method));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whose SCIM token it is decides what there is, whatever the ids.
#[tokio::test]
async fn a_neighbours_ids_look_like_ids_that_do_not_exist_on_every_route_that_takes_one() {
    let world = World::with(unlimited()).await;
    world.policy("Ask first", "/opt/*").await;
    let idp = world.idp().await;
    let user = idp.user("dana").await;
    let group = idp.post("/Groups", &json!({ "displayName": "Desk" })).await.expect(201);
    let agent = world.agent("lab").await;
    let filed = agent.submit("/opt/tool").await.expect(201).json();
    let theirs = |path: &str| {
        let id = match path {
            "/scim/v2/Users/{id}" => user.rsplit('/').next().unwrap(),
            "/scim/v2/Groups/{id}" => return group.json()["id"].as_str().unwrap().to_owned(),
            path if path.starts_with("/agent/") => return filed["requestId"].as_str().unwrap().to_owned(),
            _ => return world.tenant.to_string(),
        };
        id.to_owned()
    };
    // The neighbour's own: a SCIM token, an administrator's key, an agent.
    let outsider = Caller::system(world.outsider, Uuid::nil());
    let (scim, key) = (scim_token(&world, &outsider).await, api_key(&world, &outsider).await);
    let neighbour = Idp {
        world: &world,
        token: scim.clone(),
    };
    neighbour.user("theirs").await;
    let elsewhere = world.agent_of(world.outsider, "elsewhere").await;
    // Nor is a request another endpoint's of its own organisation.
    let beside = world.agent("beside").await;
    let before = world.app.store.head(world.tenant).await.unwrap();
    let mut asked = 0;
    for route in routes() {
        let Some((head, tail)) = route.path.split_once('{') else {
            continue;
        };
        let tail = tail.split_once('}').unwrap().1;
        let tokens = match route.kinds[0].as_str() {
            "scim" => vec![&scim],
            "session" => vec![&key],
            "agent" => vec![&elsewhere.token, &beside.token],
            // Operators have no tenant.
            _ => continue,
        };
        let id = theirs(&route.path);
        let kind = id.split('_').next().unwrap();
        let nowhere = format!("{kind}_{UNKNOWN}");
        for token in tokens {
            let mut answers = Vec::new();
            for id in [&id, &nowhere] {
                let path = format!("{head}{id}{tail}");
                let reply = world.send(call(&route, &path, &Shown::Bearer(token))).await;
                answers.push((reply.status, reply.text().replace(id, "ID")));
            }
            assert_eq!(answers[0], answers[1], "{} {}", route.method, route.path);
            assert!(!answers[0].0.is_success(), "{} {}", route.method, route.path);
            asked += 1;
        }
    }
    assert!(asked >= 14, "{asked} routes take ids");
    assert_eq!(
        world.app.store.head(world.tenant).await.unwrap(),
        before,
        "nothing happened here"
    );
}

/// What agents name in bodies: grants that they hold, requests that they act under.
#[tokio::test]
async fn a_neighbours_grant_is_none_in_an_agents_bodies() {
    let world = World::with(unlimited()).await;
    world.policy("Ask first", "/opt/*").await;
    let agent = world.agent("lab").await;
    let filed = agent.submit("/opt/tool").await.expect(201).json();
    let request: formats::RequestId = filed["requestId"].as_str().unwrap().parse().unwrap();
    let digest = agent.action("/opt/tool").1;
    let owner = world.owner().await;
    let approved = world.app.approve(&owner, request, &digest, Narrowing::default(), None);
    approved.await.unwrap();
    let held = async |agent: &Agent<'_>, id: &str| {
        let body = json!({ "grants": [id] });
        let reply = agent.post("/agent/v1/grants", &body).await.expect(200);
        reply.text().replace(id, "ID")
    };
    let nowhere = format!("req_{UNKNOWN}");
    let live = held(&agent, &request.to_string()).await;
    for other in [
        world.agent_of(world.outsider, "elsewhere").await,
        world.agent("beside").await,
    ] {
        let theirs = held(&other, &request.to_string()).await;
        assert_eq!(theirs, held(&other, &nowhere).await);
        assert_ne!(theirs, live, "its own agent is told another thing");
    }
}
