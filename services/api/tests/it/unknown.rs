//! M4: an unknown tenant or address can't be told from a wrong password: the same words, the same work, the same lock.

use axum::http::Method;
use serde_json::{Value, json};

use crate::world::{PASSWORD, World, request};

async fn attempt(world: &World, tenant: &str, email: &str) -> (u16, Value, u64) {
    let before = world.app.passwords_hashed();
    let body = json!({ "tenant": tenant, "email": email, "password": "not the password at all" });
    let reply = world.send(request(Method::POST, "/auth/sign-in").json(&body)).await;
    let mut problem = reply.json();
    problem.as_object_mut().unwrap().remove("instance");
    problem.as_object_mut().unwrap().remove("requestId");
    (reply.status.as_u16(), problem, world.app.passwords_hashed() - before)
}

#[tokio::test]
async fn known_and_unknown_addresses_get_the_same_answers_for_the_same_work_until_both_are_locked() {
    let world = World::new().await;
    for n in 0..7 {
        let known = attempt(&world, "acme", "owner@acme.example").await;
        let unknown = attempt(&world, "acme", "nobody@acme.example").await;
        assert_eq!(known, unknown, "attempt {n}");
        // A lock spares the work, for both.
        assert_eq!(
            (known.0, known.2),
            if n < 5 { (401, 1) } else { (429, 0) },
            "attempt {n}: {}",
            known.1
        );
    }
    let (status, _, work) = attempt(&world, "nowhere", "owner@acme.example").await;
    assert_eq!((status, work), (401, 1));
}

/// The count notices a sign-in that is answered without the work.
#[tokio::test]
async fn control_an_answer_without_a_hash_is_noticed() {
    let world = World::new().await;
    let before = world.app.passwords_hashed();
    let body = json!({ "tenant": "acme", "email": "owner@acme.example", "password": PASSWORD });
    world
        .send(request(Method::POST, "/auth/sign-in").json(&body))
        .await
        .expect(200);
    assert_eq!(world.app.passwords_hashed() - before, 1);
    world
        .send(request(Method::POST, "/auth/sign-in").json(&json!({ "tenant": "acme" })))
        .await
        .expect(422);
    assert_eq!(world.app.passwords_hashed() - before, 1, "nothing was checked");
}
