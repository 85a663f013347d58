//! The product's story, end to end over real HTTP and SMTP; and that what happened is still there after a restart.

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn an_action_is_asked_approved_by_mail_used_and_found_and_another_escalates_and_expires() {
    let world = World::begin().await;
    assert!(portcullis::demo::tell(world.url(), false).await.unwrap());
    // It can be told again at once.
    assert!(portcullis::demo::tell(world.url(), true).await.unwrap());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_start_finds_the_data_again_and_a_call_s_trace_is_in_its_events() {
    let world = World::begin().await;
    let admin = world.browser("acme", "admin").await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let document = serde_json::json!({
        "name": "Kept over a restart", "type": "privilege_elevation", "status": "monitor", "controls": ["approval"],
        "users": ["*"], "machines": ["*"], "applications": ["path:C:\\Kept\\*"]
    });
    let answer = admin
        .client
        .post(format!("{}/graphql", world.url()))
        .header("x-csrf-token", admin.csrf())
        .header("traceparent", trace)
        .json(&serde_json::json!({
            "query": "mutation($d: PolicyDocument!) { createPolicy(input: {document: $d}) { position } }",
            "variables": { "d": document },
        }))
        .send()
        .await
        .unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    let position = answer["data"]["createPolicy"]["position"]
        .as_u64()
        .unwrap_or_else(|| panic!("{answer}"));
    let event = world.log("acme", position - 1).await.remove(0);
    assert_eq!(event.body.event_type, "PolicyCreated");
    let traceparent = event.body.meta.traceparent.unwrap();
    assert!(
        traceparent.contains("0af7651916cd43dd8448eb211c80319c"),
        "{traceparent}"
    );
    assert_eq!(event.body.actor.method.as_deref(), Some("password"));
    let before = world.log("acme", 0).await.len();

    let world = world.restart().await;
    assert!(world.log("acme", 0).await.len() >= before);
    let admin = world.browser("acme", "admin").await;
    let answer = admin
        .ask("{ policies(first: 50) { nodes { name } } }", serde_json::json!({}))
        .await;
    assert!(answer.to_string().contains("Kept over a restart"), "{answer}");
    world.end().await;
}
