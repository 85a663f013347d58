//! Sign-in, sessions, codes.

use axum::http::{Method, header};
use model::Role;
use serde_json::json;

use crate::{
    routes::unlimited,
    world::{PASSWORD, World, request},
};

#[tokio::test]
async fn a_session_lasts_from_sign_in_to_sign_out() {
    let world = World::new().await;
    let reply = world.sign_in("owner", None).await.expect(200);
    let cookie = reply.header("set-cookie");
    assert!(cookie.starts_with("portcullis=pct_ses_") && cookie.contains("HttpOnly; SameSite=Lax; Path=/; Max-Age="));
    assert_eq!(reply.header("cache-control"), "no-store");
    let told = reply.json();
    assert_eq!(
        (told["tenant"]["slug"].as_str(), told["roles"][0].as_str()),
        (Some("acme"), Some("owner"))
    );
    let browser = world.browser("owner").await;
    let session = browser.get("/auth/session").await.expect(200).json();
    assert_eq!(session["user"]["email"], "owner@acme.example");
    assert_eq!(
        (session["csrfToken"].as_str(), &session["totpEnrolled"]),
        (Some(browser.csrf.as_str()), &json!(false))
    );
    let gone = browser.post("/auth/sign-out", &json!({})).await.expect(204);
    assert!(gone.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(browser.get("/auth/session").await.expect(401).code(), "UNAUTHENTICATED");
}

#[tokio::test]
async fn what_is_wrong_with_a_sign_in_is_not_told() {
    let world = World::new().await;
    let try_in = async |tenant: &str, email: &str, password: &str| {
        let body = json!({ "tenant": tenant, "email": email, "password": password });
        world
            .send(request(Method::POST, "/auth/sign-in").json(&body))
            .await
            .expect(401)
            .json()
    };
    let wrong = try_in("acme", "owner@acme.example", "wrong").await;
    assert_eq!(wrong["code"], "INVALID_SIGN_IN");
    assert_eq!(try_in("acme", "nobody@acme.example", PASSWORD).await, wrong);
    assert_eq!(try_in("nowhere", "owner@acme.example", PASSWORD).await, wrong);
    assert_eq!(try_in("outsider", "owner@acme.example", PASSWORD).await, wrong);
}

#[tokio::test]
async fn another_site_neither_signs_in_nor_changes_anything() {
    let world = World::new().await;
    let body = json!({ "tenant": "acme", "email": "owner@acme.example", "password": PASSWORD });
    let foreign = request(Method::POST, "/auth/sign-in")
        .with("sec-fetch-site", "cross-site")
        .json(&body);
    assert_eq!(world.send(foreign).await.expect(403).code(), "CROSS_SITE");
    let browser = world.browser("owner").await;
    let bare = request(Method::POST, "/auth/sign-out").with(header::COOKIE, &browser.cookie);
    assert_eq!(world.send(bare.json(&json!({}))).await.expect(403).code(), "CSRF_TOKEN");
    let foreign = request(Method::POST, "/auth/sign-out")
        .with(header::COOKIE, &browser.cookie)
        .with("x-csrf-token", &browser.csrf)
        .with(header::ORIGIN, "https://evil.example");
    assert_eq!(
        world.send(foreign.json(&json!({}))).await.expect(403).code(),
        "CROSS_SITE"
    );
    browser.get("/auth/session").await.expect(200);
}

#[tokio::test]
async fn an_enrolment_counts_once_a_code_confirms_it() {
    let world = World::new().await;
    world.user("ann", &[Role::Member]).await;
    let browser = world.browser("ann").await;
    let enrolment = browser.post("/auth/totp", &json!({})).await.expect(200).json();
    assert!(enrolment["uri"].as_str().unwrap().starts_with("otpauth://totp/"));
    assert!(enrolment["qrSvg"].as_str().unwrap().contains("<svg"));
    assert_eq!(browser.get("/auth/session").await.json()["totpEnrolled"], false);
    let code = world.code_of(enrolment["secret"].as_str().unwrap());
    let confirmed = browser
        .post("/auth/totp/confirm", &json!({ "code": code }))
        .await
        .expect(200)
        .json();
    assert_eq!(confirmed["recoveryCodes"].as_array().unwrap().len(), 10);
    assert_eq!(browser.get("/auth/session").await.json()["totpEnrolled"], true);
    let recovery = &confirmed["recoveryCodes"][3];
    browser
        .post("/auth/step-up", &json!({ "code": recovery }))
        .await
        .expect(204);
    assert!(browser.get("/auth/session").await.json()["steppedUpAt"].is_string());
    assert_eq!(
        browser
            .post("/auth/step-up", &json!({ "code": recovery }))
            .await
            .expect(401)
            .code(),
        "INVALID_CODE"
    );
}

#[tokio::test]
async fn an_enrolled_code_is_demanded_and_good_once() {
    let world = World::new().await;
    let user = world.user("ann", &[Role::Member]).await;
    world.totp(user).await;
    assert_eq!(world.sign_in("ann", None).await.expect(401).code(), "CODE_NEEDED");
    let code = world.code();
    let signed_in = world.sign_in("ann", Some(&code)).await.expect(200);
    assert_eq!(signed_in.json()["method"], "password+totp");
    assert_eq!(
        world.sign_in("ann", Some(&code)).await.expect(401).code(),
        "INVALID_CODE"
    );
}

#[tokio::test]
async fn a_short_token_acts_for_its_session_and_dies_with_it() {
    let world = World::new().await;
    let browser = world.browser("owner").await;
    let token = browser.post("/auth/token", &json!({})).await.expect(200).json();
    assert_eq!(
        (token["tokenType"].as_str(), token["expiresIn"].as_u64()),
        (Some("Bearer"), Some(600))
    );
    let token = token["accessToken"].as_str().unwrap();
    let session = world.get("/auth/session", token).await.expect(200).json();
    assert_eq!(
        (session["user"]["email"].as_str(), &session["csrfToken"]),
        (Some("owner@acme.example"), &json!(null))
    );
    browser.post("/auth/sign-out", &json!({})).await.expect(204);
    world.get("/auth/session", token).await.expect(401);
}

#[tokio::test]
async fn one_ends_ones_own_sessions_and_no_one_elses() {
    let world = World::new().await;
    world.user("ann", &[Role::Member]).await;
    let (owner, ann) = (world.browser("owner").await, world.browser("ann").await);
    let sessions = ann.get("/auth/sessions").await.expect(200).json();
    let id = sessions["sessions"][0]["id"].as_str().unwrap();
    assert_eq!(sessions["sessions"][0]["current"], true);
    let path = format!("/auth/sessions/{id}");
    owner.call(Method::DELETE, &path, &json!({})).await.expect(404);
    owner
        .call(Method::DELETE, "/auth/sessions/rubbish", &json!({}))
        .await
        .expect(404);
    ann.call(Method::DELETE, &path, &json!({})).await.expect(204);
    ann.get("/auth/session").await.expect(401);
}

#[tokio::test]
async fn a_password_is_changed_with_the_old_one() {
    let world = World::new().await;
    let (browser, other) = (world.browser("owner").await, world.browser("owner").await);
    let new = "another quite long passphrase";
    let wrong = browser
        .post("/auth/password", &json!({ "oldPassword": "wrong", "newPassword": new }))
        .await;
    assert_eq!(wrong.code(), "INVALID_PASSWORD");
    let weak = browser
        .post(
            "/auth/password",
            &json!({ "oldPassword": PASSWORD, "newPassword": "short" }),
        )
        .await;
    assert_eq!(weak.expect(422).code(), "WEAK_PASSWORD");
    browser
        .post(
            "/auth/password",
            &json!({ "oldPassword": PASSWORD, "newPassword": new }),
        )
        .await
        .expect(204);
    browser.get("/auth/session").await.expect(200);
    other.get("/auth/session").await.expect(401);
    world.sign_in("owner", None).await.expect(401);
}

/// A mailbox alone is not enough to become somebody who has a second factor.
#[tokio::test]
async fn a_lost_password_link_needs_the_second_factor_and_waits_for_it() {
    const NEW: &str = "a moat without a bridge";
    let world = World::new().await;
    let ann = world.user("ann", &[Role::Admin]).await;
    let browser = world.browser("ann").await;
    let secret = browser.post("/auth/totp", &json!({})).await.expect(200).json()["secret"].clone();
    let code = world.code_of(secret.as_str().unwrap());
    let confirmed = browser.post("/auth/totp/confirm", &json!({ "code": code })).await;
    let recovery = confirmed.expect(200).json()["recoveryCodes"].clone();
    world.clock.advance(std::time::Duration::from_secs(60));

    let reset = async || world.app.invite(&world.system(), ann, true).await.unwrap().1;
    let choose = async |token: &str, code: Option<&str>| {
        let body = json!({ "token": token, "password": NEW, "code": code });
        world
            .send(request(Method::POST, "/auth/password-reset/confirm").json(&body))
            .await
    };
    let token = reset().await;
    let asked = choose(&token, None).await.expect(401).json();
    assert_eq!(
        (&asked["code"], &asked["details"]["methods"]),
        (&json!("CODE_NEEDED"), &json!(["totp"]))
    );
    assert_eq!(choose(&token, Some("000000")).await.expect(401).code(), "INVALID_CODE");
    // Nothing has happened: the session is there, and so is the password.
    browser.get("/auth/session").await.expect(200);
    assert_eq!(world.sign_in("ann", None).await.expect(401).code(), "CODE_NEEDED");

    let code = world.code_of(secret.as_str().unwrap());
    let chosen = choose(&token, Some(&code)).await.expect(200);
    assert_eq!(chosen.json()["method"], "invitation+totp");
    browser.get("/auth/session").await.expect(401);
    assert_eq!(
        choose(&token, Some(&code)).await.expect(401).code(),
        "INVITATION_INVALID"
    );
    // A recovery code will do, once.
    let lost = recovery[0].as_str().unwrap();
    choose(&reset().await, Some(lost)).await.expect(200);
    assert_eq!(
        choose(&reset().await, Some(lost)).await.expect(401).code(),
        "INVALID_CODE"
    );
}

/// Wherever their sign-in is when it happens.
#[tokio::test(flavor = "multi_thread")]
async fn no_sign_in_with_the_old_password_outlives_its_change() {
    let world = World::new().await;
    world.user("ann", &[Role::Member]).await;
    let browser = world.browser("ann").await;
    let change = json!({ "oldPassword": PASSWORD, "newPassword": "another pass phrase" });
    // Eight at a time, of which some always have read the hash and wait for their turn to compare.
    let stubborn = async || {
        let mut begun = Vec::new();
        loop {
            let reply = world.sign_in("ann", None).await;
            if reply.status != 200 {
                return begun;
            }
            begun.push(reply.cookie());
        }
    };
    let (changed, begun) = tokio::join!(
        browser.post("/auth/password", &change),
        futures_util::future::join_all((0..8).map(|_| stubborn()))
    );
    changed.expect(204);
    let begun = begun.concat();
    assert!(!begun.is_empty(), "some came before the change");
    for cookie in &begun {
        let ask = request(Method::GET, "/auth/session").with(header::COOKIE, cookie);
        world.send(ask.empty()).await.expect(401);
    }
    browser.get("/auth/session").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_by_one_old_password_one_is_made() {
    let world = World::new().await;
    world.user("ann", &[Role::Member]).await;
    let (one, two) = (world.browser("ann").await, world.browser("ann").await);
    let to = |new: &str| json!({ "oldPassword": PASSWORD, "newPassword": new });
    let (first, second) = (to("the first pass phrase"), to("the second pass phrase"));
    let (first, second) = tokio::join!(one.post("/auth/password", &first), two.post("/auth/password", &second));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    // The loser's session may have ended before it was asked.
    assert!(statuses[0] == 204 && [401, 422].contains(&statuses[1]), "{statuses:?}");
}

/// A link for a lost password that somebody else got hold of is worth nothing once the owner has chosen another password,
/// the address was another one, or the account was closed meanwhile.
#[tokio::test]
async fn a_link_for_a_lost_password_ends_with_a_change_of_password_or_address_and_with_the_account() {
    let world = World::new().await;
    let system = world.system();
    let choose = async |token: &str| {
        let body = json!({ "token": token, "password": "chosen by a thief" });
        let ask = request(Method::POST, "/auth/password-reset/confirm").json(&body);
        world.send(ask).await
    };
    let ann = world.user("ann", &[Role::Member]).await;
    let link = async || world.app.invite(&system, ann, true).await.unwrap().1;

    let browser = world.browser("ann").await;
    let held = link().await;
    let change = json!({ "oldPassword": PASSWORD, "newPassword": "another pass phrase" });
    browser.post("/auth/password", &change).await.expect(204);
    assert_eq!(choose(&held).await.expect(401).code(), "INVITATION_INVALID");

    let held = link().await;
    let same = world
        .app
        .change_user(&system, ann, "ann@acme.example".to_owned(), "Ann A.".to_owned());
    same.await.unwrap();
    let moved = world
        .app
        .change_user(&system, ann, "ann@elsewhere.example".to_owned(), "Ann A.".to_owned());
    moved.await.unwrap();
    assert_eq!(choose(&held).await.expect(401).code(), "INVITATION_INVALID");

    let held = link().await;
    world.app.disable_user(&system, ann, "left".to_owned()).await.unwrap();
    world.app.enable_user(&system, ann).await.unwrap();
    assert_eq!(choose(&held).await.expect(401).code(), "INVITATION_INVALID");

    // The control: another name changes nothing.
    let held = link().await;
    let named = world
        .app
        .change_user(&system, ann, "ann@elsewhere.example".to_owned(), "Ann B.".to_owned());
    world.settle(world.tenant).await;
    named.await.unwrap();
    choose(&held).await.expect(200);
}

#[tokio::test]
async fn an_invitation_lasts_three_days_and_a_link_for_a_lost_password_an_hour() {
    let world = World::new().await;
    let choose = async |token: &str| {
        let body = json!({ "token": token, "password": "chosen in good time" });
        let ask = request(Method::POST, "/auth/password-reset/confirm").json(&body);
        world.send(ask).await
    };
    let millisecond = std::time::Duration::from_millis(1);
    for (name, reset, hours) in [("ann", true, 1), ("bob", false, 72)] {
        let user = world.user(name, &[Role::Member]).await;
        let lasts = std::time::Duration::from_secs(hours * 60 * 60);
        let late = world.app.invite(&world.system(), user, reset).await.unwrap().1;
        world.clock.advance(lasts);
        assert_eq!(choose(&late).await.expect(401).code(), "INVITATION_INVALID", "{name}");
        let last = world.app.invite(&world.system(), user, reset).await.unwrap().1;
        world.clock.advance(lasts - millisecond);
        choose(&last).await.expect(200);
    }
}

/// Whatever the endpoint or browser says of the time.
#[tokio::test]
async fn a_one_time_code_is_judged_by_the_servers_clock() {
    let world = World::new().await;
    let ann = world.user("ann", &[Role::Member]).await;
    world.totp(ann).await;
    let now = world.clock.clone();
    now.advance(std::time::Duration::from_secs(300));
    let later = world.code();
    let back = formats::Timestamp::from_millis(formats::Clock::now(&*now).millis() - 300_000);
    now.set(back);
    let body = json!({ "tenant": "acme", "email": "ann@acme.example", "password": PASSWORD, "code": later });
    let ask = request(Method::POST, "/auth/sign-in").with(header::DATE, "Fri, 01 Jan 2100 00:00:00 GMT");
    assert_eq!(world.send(ask.json(&body)).await.expect(401).code(), "INVALID_CODE");
    now.advance(std::time::Duration::from_secs(300));
    world.sign_in("ann", Some(&later)).await.expect(200);
}

/// Whoever tries many at once, from many addresses, gets no more than whoever tries one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_one_time_are_counted_like_guesses_in_turn() {
    let world = World::with(unlimited()).await;
    let ann = world.user("ann", &[Role::Member]).await;
    world.totp(ann).await;
    let session = world.sign_in("ann", Some(&world.code())).await.expect(200);
    let browser = world.as_browser(&session);
    world.clock.advance(std::time::Duration::from_secs(60));
    let codes: Vec<_> = (0..60).map(|n| json!({ "code": format!("{n:06}") })).collect();
    let replies = futures_util::future::join_all(codes.iter().map(|code| browser.post("/auth/step-up", code))).await;
    let looked_at = replies.iter().filter(|reply| reply.status != 429).count();
    assert_eq!(looked_at, 5, "codes");
    let right = json!({ "code": world.code() });
    assert_eq!(browser.post("/auth/step-up", &right).await.expect(429).code(), "LOCKED");

    // Passwords are compared as many at a time as there are permits; those who wait learn nothing, not even the one
    // who is right.
    world.user("ben", &[Role::Member]).await;
    let guess = |password: String| {
        let body = json!({ "tenant": "acme", "email": "ben@acme.example", "password": password });
        request(Method::POST, "/auth/sign-in").json(&body)
    };
    let mut guesses: Vec<_> = (0..40).map(|n| guess(format!("a wrong pass phrase {n}"))).collect();
    guesses.push(guess(PASSWORD.to_owned()));
    let replies = futures_util::future::join_all(guesses.into_iter().map(|guess| world.send(guess))).await;
    let told = replies.iter().filter(|reply| reply.status != 429).count();
    assert!((5..12).contains(&told), "{told} passwords");
    assert_eq!(replies.last().unwrap().status, 429);
}
