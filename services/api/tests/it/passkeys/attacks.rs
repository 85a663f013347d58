//! Answers that are not what was asked for. Each is refused with the same words.

use model::Role;
use serde_json::{Value, json};

use super::{authenticator::Authenticator, challenge, events, give_password, register, sign_in, with_passkey, world};

const ANN: &str = "ann@acme.example";

async fn refused(world: &crate::world::World, answer: &Value) {
    let reply = sign_in(world, "acme", ANN, json!({ "passkey": answer }))
        .await
        .expect(401);
    assert_eq!(reply.code(), "INVALID_PASSKEY");
}

#[tokio::test]
async fn a_foreign_origin_another_relying_party_and_a_missing_verification_are_refused() {
    let world = world().await;
    let (.., mut key) = with_passkey(&world, "ann", &[Role::Member]).await;
    for origin in [
        "http://localhost:8081",
        "https://localhost:8080",
        "http://evil.localhost:8080",
        "https://evil.example",
    ] {
        let home = std::mem::replace(&mut key.origin, origin.to_owned());
        refused(&world, &key.get(&challenge(&world, ANN).await)).await;
        key.origin = home;
        // A right answer forgets the wrong ones, so that the lock is not what refuses.
        let good = key.get(&challenge(&world, ANN).await);
        sign_in(&world, "acme", ANN, json!({ "passkey": good }))
            .await
            .expect(200);
    }
    key.rp_id = "evil.example".to_owned();
    refused(&world, &key.get(&challenge(&world, ANN).await)).await;
    key.rp_id = "localhost".to_owned();
    key.verifies = false;
    refused(&world, &key.get(&challenge(&world, ANN).await)).await;
    key.verifies = true;
    let good = key.get(&challenge(&world, ANN).await);
    sign_in(&world, "acme", ANN, json!({ "passkey": good }))
        .await
        .expect(200);
}

#[tokio::test]
async fn an_answer_counts_once_for_its_own_challenge_within_five_minutes() {
    let world = world().await;
    let (.., mut key) = with_passkey(&world, "ann", &[Role::Member]).await;
    let options = challenge(&world, ANN).await;
    let answer = key.get(&options);
    sign_in(&world, "acme", ANN, json!({ "passkey": answer }))
        .await
        .expect(200);
    refused(&world, &answer).await;
    // A newer challenge does not make it good, and takes the older one's place.
    let older = challenge(&world, ANN).await;
    let newer = challenge(&world, ANN).await;
    refused(&world, &key.get(&older)).await;
    // Spent by the wrong answer.
    refused(&world, &key.get(&newer)).await;
    let late = challenge(&world, ANN).await;
    world.clock.advance(std::time::Duration::from_secs(5 * 60));
    refused(&world, &key.get(&late)).await;
}

#[tokio::test]
async fn an_answer_for_one_purpose_or_session_is_none_for_another() {
    let world = world().await;
    let (_, browser, mut key) = with_passkey(&world, "ann", &[Role::Member]).await;
    let step_up = browser
        .post("/auth/step-up/passkey", &json!({}))
        .await
        .expect(200)
        .json();
    refused(&world, &key.get(&step_up)).await;

    let options = challenge(&world, ANN).await;
    let good = key.get(&options);
    let other = sign_in(&world, "acme", ANN, json!({ "passkey": good }))
        .await
        .expect(200);
    let other = world.as_browser(&other);
    let theirs = other.post("/auth/step-up/passkey", &json!({})).await.expect(200).json();
    let crossed = browser
        .post("/auth/step-up", &json!({ "passkey": key.get(&theirs) }))
        .await;
    assert_eq!(crossed.expect(401).code(), "INVALID_PASSKEY");
}

#[tokio::test]
async fn another_users_and_another_tenants_passkeys_are_refused() {
    let world = world().await;
    let (.., ann) = with_passkey(&world, "ann", &[Role::Member]).await;
    let (.., bob) = with_passkey(&world, "bob", &[Role::Member]).await;
    refused(&world, &bob.sign(&challenge(&world, ANN).await)).await;
    // Bob's challenge, answered by Bob's key, in Ann's sign-in.
    let bobs = challenge(&world, "bob@acme.example").await;
    refused(&world, &bob.sign(&bobs)).await;

    let outsider = sign_in(&world, "outsider", "owner@outsider.example", json!({})).await;
    let outsider = world.as_browser(&outsider.expect(200));
    give_password(&outsider).await;
    let key = Authenticator::new();
    register(&outsider, &key, "Elsewhere").await;
    refused(&world, &key.sign(&challenge(&world, ANN).await)).await;
    let asked = sign_in(&world, "outsider", "owner@outsider.example", json!({})).await;
    let theirs = asked.expect(401).json()["details"]["passkey"].clone();
    let known = theirs["publicKey"]["allowCredentials"].to_string();
    assert!(known.contains(&key.id()) && !known.contains(&ann.id()));
    let crossed = sign_in(
        &world,
        "outsider",
        "owner@outsider.example",
        json!({ "passkey": ann.sign(&theirs) }),
    );
    assert_eq!(crossed.await.expect(401).code(), "INVALID_PASSKEY");
}

#[tokio::test]
async fn a_credential_is_registered_once_in_a_tenant() {
    let world = world().await;
    let (.., key) = with_passkey(&world, "ann", &[Role::Member]).await;
    world.user("bob", &[Role::Member]).await;
    let bob = world.browser("bob").await;
    give_password(&bob).await;
    let options = bob.post("/auth/passkeys/options", &json!({})).await.expect(200).json();
    let body = json!({ "name": "Ann's", "credential": key.create(&options) });
    let reply = bob.post("/auth/passkeys", &body).await.expect(401);
    assert_eq!(reply.code(), "INVALID_PASSKEY");
    let mut lying = Authenticator::new();
    lying.verifies = false;
    let options = bob.post("/auth/passkeys/options", &json!({})).await.expect(200).json();
    let body = json!({ "name": "Unverified", "credential": lying.create(&options) });
    bob.post("/auth/passkeys", &body).await.expect(401);
    let body = json!({ "name": "Again", "credential": Authenticator::new().create(&options) });
    bob.post("/auth/passkeys", &body).await.expect(401);
    assert_eq!(bob.get("/auth/passkeys").await.json()["passkeys"], json!([]));
}

#[tokio::test]
async fn a_counter_that_goes_back_flags_the_passkey_and_refuses_it_from_then_on() {
    let world = world().await;
    world.user("ann", &[Role::Member]).await;
    let browser = world.browser("ann").await;
    give_password(&browser).await;
    let mut key = Authenticator::new();
    key.counter = 7;
    register(&browser, &key, "Counts").await;
    let good = key.get(&challenge(&world, ANN).await);
    sign_in(&world, "acme", ANN, json!({ "passkey": good }))
        .await
        .expect(200);
    key.counter = 8;
    refused(&world, &key.sign(&challenge(&world, ANN).await)).await;
    assert_eq!(events(&world, "PasskeyFlagged").await.len(), 1);
    assert_eq!(
        browser.get("/auth/passkeys").await.json()["passkeys"][0]["flagged"],
        true
    );
    // Refused though the count is high now; and still no way in with the password alone.
    key.counter = 100;
    let asked = sign_in(&world, "acme", ANN, json!({})).await.expect(401).json();
    assert_eq!(
        (&asked["code"], &asked["details"]["passkey"]),
        (&json!("CODE_NEEDED"), &Value::Null)
    );
}

#[tokio::test]
async fn wrong_answers_lock_the_channel_as_wrong_codes_do() {
    let world = world().await;
    let (.., mut key) = with_passkey(&world, "ann", &[Role::Member]).await;
    for _ in 0..5 {
        refused(&world, &json!({ "rubbish": true })).await;
    }
    let good = key.get(&challenge(&world, ANN).await);
    let locked = sign_in(&world, "acme", ANN, json!({ "passkey": good })).await;
    assert_eq!(locked.expect(429).code(), "LOCKED");
    let locks = events(&world, "ChannelLocked").await;
    assert_eq!(locks[0]["data"]["channel"], "sign-in");
}

#[tokio::test]
async fn without_the_password_nobody_learns_who_has_passkeys() {
    let world = world().await;
    with_passkey(&world, "ann", &[Role::Member]).await;
    world.user("bob", &[Role::Member]).await;
    let mut answers = Vec::new();
    for email in [ANN, "bob@acme.example", "nobody@acme.example"] {
        for more in [
            json!({ "password": "wrong" }),
            json!({ "password": "wrong", "passkey": {} }),
        ] {
            let mut told = sign_in(&world, "acme", email, more).await.expect(401).json();
            told.as_object_mut().unwrap().remove("instance");
            answers.push(told);
        }
    }
    assert!(answers.iter().all(|told| *told == answers[0]), "{answers:?}");
}
