//! Subscriptions, over a real socket.

use std::{net::SocketAddr, time::Duration};

use axum::http::Method;
use futures_util::{SinkExt, StreamExt};
use model::Role;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::Request},
};

use super::{change, data};
use crate::world::{World, request, soon};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn listen(world: &World) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(api::serve(listener, world.router.clone(), world.state.shutdown.clone()));
    address
}

fn handshake(address: SocketAddr, headers: &[(&'static str, &str)]) -> Request<()> {
    let mut request = format!("ws://{address}/graphql/ws").into_client_request().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

async fn open(address: SocketAddr, cookie: &str) -> Socket {
    let origin = format!("http://{address}");
    let (mut socket, _) = connect_async(handshake(address, &[("cookie", cookie), ("origin", &origin)]))
        .await
        .unwrap();
    send(&mut socket, json!({ "type": "connection_init" })).await;
    assert_eq!(next(&mut socket).await["type"], "connection_ack");
    socket
}

async fn send(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

async fn subscribe(socket: &mut Socket, id: &str, query: &str) {
    send(
        socket,
        json!({ "id": id, "type": "subscribe", "payload": { "query": query } }),
    )
    .await;
}

async fn next(socket: &mut Socket) -> Value {
    match soon(socket.next()).await.unwrap().unwrap() {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// What the socket is closed with; messages before that are passed over.
async fn closed(socket: &mut Socket) -> u16 {
    loop {
        match soon(socket.next()).await {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(Message::Text(_) | Message::Ping(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_socket_is_opened_by_our_own_pages_and_by_programs_with_a_key() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let address = listen(&world).await;
    let status = async |headers: &[(&'static str, &str)]| match connect_async(handshake(address, headers)).await {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    };
    let cookie = ("cookie", owner.cookie.as_str());
    assert_eq!(status(&[cookie, ("origin", "https://evil.example")]).await, 403);
    assert_eq!(status(&[cookie, ("origin", "null")]).await, 403);
    assert_eq!(status(&[cookie]).await, 403);
    assert_eq!(status(&[]).await, 401);
    open(address, &owner.cookie).await;
}

#[tokio::test]
async fn a_filed_request_is_told_to_those_who_may_see_it() {
    let world = World::new().await;
    world.policy("Ask first", "/opt/*").await;
    world.user("mel", &[Role::Member]).await;
    let agent = world.agent("lab").await;
    let (owner, mel) = (world.browser("owner").await, world.browser("mel").await);
    let address = listen(&world).await;
    let query = "subscription { requestQueueChanged { position requestId request { status viewerCanDecide } } }";
    let mut sees = open(address, &owner.cookie).await;
    subscribe(&mut sees, "q", query).await;
    let mut sees_not = open(address, &mel.cookie).await;
    subscribe(&mut sees_not, "q", query).await;
    subscribe(
        &mut sees_not,
        "trail",
        "subscription { auditEventAppended { position } }",
    )
    .await;
    let refused = next(&mut sees_not).await;
    assert_eq!(
        refused["payload"]["errors"][0]["extensions"]["code"], "FORBIDDEN",
        "{refused}"
    );
    assert_eq!(next(&mut sees_not).await["type"], "complete");

    // Which of the two is first, the subscription or the request, is not to be seen from here.
    let told = soon(async {
        let mut n = 0;
        loop {
            n += 1;
            agent.submit(&format!("/opt/tool{n}")).await.expect(201);
            if let Ok(told) = tokio::time::timeout(std::time::Duration::from_secs(2), next(&mut sees)).await {
                break told;
            }
        }
    })
    .await;
    let change = &told["payload"]["data"]["requestQueueChanged"];
    assert_eq!(
        change["request"],
        json!({ "status": "PENDING", "viewerCanDecide": true }),
        "{told}"
    );
    send(&mut sees_not, json!({ "type": "ping" })).await;
    assert_eq!(next(&mut sees_not).await["type"], "pong");
}

/// Every subscription of the schema, as every role, and with a neighbour's ids. Nobody gets a socket at all.
#[tokio::test]
async fn each_subscription_is_for_those_whom_its_queries_are_for() {
    let world = World::new().await;
    let theirs = world.agent_of(world.outsider, "elsewhere").await.group;
    let owner = world.browser("owner").await;
    let fields = data(
        &owner,
        "{ __type(name: \"Subscription\") { fields { name } } }",
        json!({}),
    )
    .await;
    let fields: Vec<String> = fields["__type"]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["name"].as_str().unwrap().to_owned())
        .collect();
    let address = listen(&world).await;
    let mut refused = Vec::new();
    for role in [Role::Member, Role::Auditor, Role::Approver, Role::Admin, Role::Owner] {
        world.user(&format!("the-{}", role.as_str()), &[role]).await;
        let browser = world.browser(&format!("the-{}", role.as_str())).await;
        for field in &fields {
            let mut socket = open(address, &browser.cookie).await;
            subscribe(
                &mut socket,
                "s",
                &format!("subscription {{ {field} {{ __typename }} }}"),
            )
            .await;
            // A refusal comes at once, and nothing happens here that could be told.
            let answer = tokio::time::timeout(std::time::Duration::from_millis(500), next(&mut socket)).await;
            let code = answer.map(|answer| answer["payload"]["errors"][0]["extensions"]["code"].to_string());
            if let Ok(code) = code {
                refused.push(format!("{} {field}: {code}", role.as_str()));
            }
        }
    }
    refused.sort();
    assert_eq!(
        refused,
        [
            "approver auditEventAppended: \"FORBIDDEN\"",
            "approver endpointStatusChanged: \"FORBIDDEN\"",
            "member auditEventAppended: \"FORBIDDEN\"",
            "member endpointStatusChanged: \"FORBIDDEN\"",
        ]
    );
    // A neighbour's group is told from none in no way.
    let mut answers = Vec::new();
    for id in [theirs.to_string(), "dgr_01h2xcejqtf2nbrexx3vqjhp41".to_owned()] {
        let mut socket = open(address, &owner.cookie).await;
        let query = format!("subscription {{ endpointStatusChanged(deploymentGroupId: \"{id}\") {{ id }} }}");
        subscribe(&mut socket, "s", &query).await;
        let answer = tokio::time::timeout(std::time::Duration::from_millis(500), next(&mut socket)).await;
        answers.push(answer.map_or_else(|_| "silence".to_owned(), |answer| answer.to_string().replace(&id, "ID")));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn the_log_and_the_fleet_are_followed() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let agent = world.agent("lab").await;
    let address = listen(&world).await;
    let mut socket = open(address, &owner.cookie).await;
    subscribe(
        &mut socket,
        "log",
        "subscription { auditEventAppended(filter: {types: [\"TeamCreated\"]}) { type summary } }",
    )
    .await;
    subscribe(
        &mut socket,
        "fleet",
        "subscription { endpointStatusChanged { id status } }",
    )
    .await;
    let other = change(
        &owner,
        "createDeploymentGroup",
        json!({ "name": "Other" }),
        "deploymentGroup { id }",
    )
    .await;
    let groups = [other["deploymentGroup"]["id"].clone(), json!(agent.group.to_string())];
    let (mut log, mut fleet) = (None, None);
    for n in 0..30 {
        change(&owner, "createTeam", json!({ "name": format!("Team {n}") }), "position").await;
        let to = json!({ "endpointId": agent.endpoint.to_string(), "deploymentGroupId": groups[n % 2] });
        change(&owner, "moveEndpoint", to, "position").await;
        let told = tokio::time::timeout(std::time::Duration::from_secs(2), next(&mut socket)).await;
        let Ok(told) = told else { continue };
        match told["id"].as_str() {
            Some("log") => log = Some(told["payload"]["data"]["auditEventAppended"].clone()),
            _ => fleet = Some(told["payload"]["data"]["endpointStatusChanged"].clone()),
        }
        if log.is_some() && fleet.is_some() {
            break;
        }
    }
    assert_eq!(log.unwrap()["type"], "TeamCreated");
    assert_eq!(fleet.unwrap()["id"], agent.endpoint.to_string());

    // What no event tells is seen when the viewer is asked about again.
    let beat = json!({ "agentVersion": "1", "clock": "2026-03-02T09:00:00.000Z", "queueLength": 0, "plugins": [],
                       "grants": [] });
    agent.post("/agent/v1/heartbeat", &beat).await.expect(200);
    world.clock.advance(std::time::Duration::from_secs(600));
    let gone = soon(async {
        loop {
            let told = next(&mut socket).await;
            if told["payload"]["data"]["endpointStatusChanged"]["status"] == "OFFLINE" {
                break told;
            }
        }
    });
    assert_eq!(gone.await["id"], "fleet");
}

#[tokio::test]
async fn a_socket_carries_subscriptions_alone_and_holds_them_to_the_limits() {
    let world = World::new().await;
    let owner = world.browser("owner").await;
    let address = listen(&world).await;
    let mut socket = open(address, &owner.cookie).await;
    for (query, code) in [
        ("{ viewer { roles } }", "SUBSCRIPTIONS_ONLY"),
        (
            "mutation { expire(input: {requestId: \"x\"}) { position } }",
            "SUBSCRIPTIONS_ONLY",
        ),
        (
            "subscription { requestQueueChanged { position } auditEventAppended { position } }",
            "QUERY_TOO_LARGE",
        ),
        ("subscription {", "INVALID_DOCUMENT"),
    ] {
        subscribe(&mut socket, "x", query).await;
        let refused = next(&mut socket).await;
        assert_eq!(refused["payload"]["errors"][0]["extensions"]["code"], code, "{query}");
        assert_eq!(next(&mut socket).await["type"], "complete");
    }
    send(&mut socket, json!({ "type": "nonsense" })).await;
    assert_eq!(closed(&mut socket).await, 1002);
}

#[tokio::test]
async fn a_disabled_users_socket_is_closed_within_five_seconds() {
    let world = World::new().await;
    let ann = world.user("ann", &[Role::Auditor]).await;
    let browser = world.browser("ann").await;
    let address = listen(&world).await;
    let mut socket = open(address, &browser.cookie).await;
    subscribe(&mut socket, "log", "subscription { auditEventAppended { position } }").await;
    world
        .app
        .disable_user(&world.system(), ann, "left".to_owned())
        .await
        .unwrap();
    let begun = tokio::time::Instant::now();
    assert_eq!(closed(&mut socket).await, 4401);
    assert!(
        begun.elapsed() <= std::time::Duration::from_millis(5_500),
        "{:?}",
        begun.elapsed()
    );
}

/// What is open ends, and whatever opened a door opens none, until the tenant is resumed.
#[tokio::test]
async fn a_suspension_ends_what_is_open_and_refuses_every_credential_at_once() {
    let world = World::new().await;
    world.policy("Ask first", "/opt/*").await;
    let browser = world.browser("owner").await;
    let address = listen(&world).await;
    let agent = world.agent("lab").await;
    let idp = world.idp().await;
    let token = browser.post("/auth/token", &json!({})).await.expect(200).json();
    let token = token["accessToken"].as_str().unwrap();
    let owner = world.owner().await;
    let scopes = vec![model::Scope::PeopleRead];
    let account = world
        .app
        .create_service_account(&owner, "SIEM".to_owned(), scopes.clone());
    let account = account.await.unwrap().id();
    let key = world.app.issue_api_key(&owner, account, scopes, None).await;
    let key = key.unwrap().secret.unwrap();
    let link = world.app.invite(&world.system(), owner.user().unwrap(), true).await;
    let link = link.unwrap().1;
    world.settle(world.tenant).await;

    let asks = json!({ "query": "{ viewer { position } }" });
    let choose = json!({ "token": link, "password": "chosen while it is closed" });
    let doors = async || {
        let confirm = request(Method::POST, "/auth/password-reset/confirm").json(&choose);
        let assertion = agent.assertion();
        [
            ("session", browser.get("/auth/session").await),
            ("access token", world.post("/graphql", token, &asks).await),
            ("key", world.post("/graphql", &key, &asks).await),
            ("SCIM token", idp.get("/Users").await),
            ("agent", agent.get("/agent/v1/snapshot", &[]).await),
            ("assertion", agent.ask_token(&assertion).await),
            ("password", world.sign_in("owner", None).await),
            ("link", world.send(confirm).await),
        ]
    };
    let mut socket = open(address, &browser.cookie).await;
    subscribe(&mut socket, "log", "subscription { auditEventAppended { position } }").await;
    let snapshot = agent.get("/agent/v1/snapshot", &[]).await.expect(200);
    let waits = [("if-none-match", snapshot.header("etag")), ("prefer", "wait=50")];
    let operator = commands::Caller {
        principal: commands::Principal::Operator {
            name: "ops".to_owned(),
            method: "platform_credential",
        },
        ..world.system()
    };
    let close = async {
        // The poll is open by now: it was asked for first.
        tokio::task::yield_now().await;
        world.app.suspend_tenant(&operator, "unpaid".to_owned()).await.unwrap();
        for (what, reply) in doors().await {
            let told = reply.expect(403).text();
            assert!(told.contains("this tenant is suspended"), "{what}: {told}");
        }
    };
    let begun = tokio::time::Instant::now();
    let (poll, (), code) = tokio::join!(
        soon(agent.get("/agent/v1/snapshot", &waits)),
        close,
        closed(&mut socket)
    );
    assert_eq!((poll.expect(403).code().as_str(), code), ("TENANT_SUSPENDED", 4401));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

    world.app.resume_tenant(&operator, "paid".to_owned()).await.unwrap();
    for (what, reply) in doors().await {
        assert!(reply.status.is_success(), "{what}: {}", reply.text());
    }
}
