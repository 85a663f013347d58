//! What one process has in memory is no older than what another one has written.

use formats::{RequestId, UserId};
use model::{Role, approval_rule::RuleDefinition, request::Flag};
use policy_engine::PolicyDocument;
use serde_json::json;

use crate::world::World;

async fn flags(world: &World, filed: &serde_json::Value) -> Vec<Flag> {
    let id: RequestId = filed["requestId"].as_str().unwrap().parse().unwrap();
    let mut tx = world.app.reading(world.tenant).await.unwrap();
    let row = projections::request_queue::find(&mut tx, id).await.unwrap().unwrap();
    row.flags
}

async fn team_of(world: &World, approver: UserId) -> formats::TeamId {
    let system = world.system();
    let team = world
        .app
        .create_team(&system, "on duty".to_owned(), vec![approver])
        .await
        .unwrap();
    let rule: RuleDefinition = serde_json::from_value(json!({
        "name": "everything", "primary": [{ "team": team.id::<formats::TeamId>() }],
    }))
    .unwrap();
    world.settle(world.tenant).await;
    world.app.create_approval_rule(&system, rule).await.unwrap();
    world.settle(world.tenant).await;
    team.id()
}

#[tokio::test]
async fn a_route_names_whoever_is_in_the_team_now() {
    let world = World::new().await;
    let approver = world.user("approver", &[Role::Approver]).await;
    world.policy("tools", "/opt/*").await;
    let team = team_of(&world, approver).await;
    let agent = world.agent("WS-1").await;
    for path in ["/opt/first", "/opt/second"] {
        let filed = agent.submit(path).await.expect(201).json();
        assert!(!flags(&world, &filed).await.contains(&Flag::NoApprover), "{path}");
    }

    let other = world.another_process().await;
    other
        .change_team(&world.system(), team, None, Some(Vec::new()))
        .await
        .unwrap();
    let filed = agent.submit("/opt/third").await.expect(201).json();
    assert!(flags(&world, &filed).await.contains(&Flag::NoApprover));

    other
        .change_team(&world.system(), team, None, Some(vec![approver]))
        .await
        .unwrap();
    let filed = agent.submit("/opt/fourth").await.expect(201).json();
    assert!(!flags(&world, &filed).await.contains(&Flag::NoApprover));
}

#[tokio::test]
async fn an_action_is_judged_by_the_policy_of_now() {
    let world = World::new().await;
    world.policy("tools", "/opt/*").await;
    let agent = world.agent("WS-1").await;
    agent.submit("/opt/first").await.expect(201);

    let other = world.another_process().await;
    let denied: PolicyDocument = serde_json::from_value(json!({
        "name": "no tools", "type": "privilege_elevation", "status": "enforce", "controls": ["deny"],
        "users": ["*"], "machines": ["*"], "applications": ["path:/opt/*"],
    }))
    .unwrap();
    other
        .create_policy(&world.system(), denied, "test".to_owned())
        .await
        .unwrap();
    let refused = agent.submit("/opt/second").await.expect(409);
    assert_eq!(refused.code(), "NOW_DENIED");
}
