//! The page behind a mail's link: whoever opens it changes nothing, and nobody decides without a proof.

use reqwest::{Method, StatusCode, header};

use crate::world::World;

/// A filed request, its digest, and the approver's link to it.
async fn filed(world: &World, name: &str) -> (formats::RequestId, String, String) {
    let (request, digest) = world.file(&world.endpoint("acme").await, name).await;
    let to = world.user("acme", "approver").email.clone();
    let mail = world
        .until("the mail", async || {
            let mails = world.mails().await;
            mails
                .into_iter()
                .find(|mail| mail["text"].as_str().unwrap().contains(&request.to_string()) && mail["to"][0] == to)
        })
        .await;
    (request, digest, mail["links"][0].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_that_opens_follows_and_submits_decides_nothing_and_the_link_stays_good() {
    let world = World::begin().await;
    let (request, digest, link) = filed(&world, "setup-scan.exe").await;
    for _ in 0..20 {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            let answer = world.nobody.request(method.clone(), &link).send().await.unwrap();
            if method == Method::GET {
                assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
                assert_eq!(answer.headers()[header::REFERRER_POLICY], "no-referrer");
            }
        }
    }
    // One that runs scripts and submits every form it finds, with whatever the page holds.
    for button in ["approve", "deny", "sign-in"] {
        for origin in [Some(world.url()), Some("https://elsewhere.test"), None] {
            let form = [
                ("button", button),
                ("digest", digest.as_str()),
                ("comment", "x"),
                ("csrf", ""),
                ("code", ""),
                ("password", ""),
            ];
            let mut request = world.nobody.post(&link).form(&form);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let status = request.send().await.unwrap().status();
            assert!(status.is_client_error(), "{button} from {origin:?}: {status}");
        }
    }
    let state = world
        .app()
        .visible_request(&world.caller("acme", "admin").await, request)
        .await
        .unwrap();
    assert!(state.decisions.is_empty() && state.status.is_open());
    assert_eq!(world.nobody.get(&link).send().await.unwrap().status(), StatusCode::OK);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_link_another_users_link_and_a_foreign_one_look_like_none() {
    let world = World::begin().await;
    let (_, digest, link) = filed(&world, "setup-link.exe").await;
    let mut edited = link.clone();
    let last = edited.pop().unwrap();
    edited.push(if last == '0' { 'g' } else { '0' });
    let (head, secret) = link.rsplit_once('_').unwrap();
    let swapped = format!("{}_{}", head, secret.chars().rev().collect::<String>());
    for bad in [
        edited,
        swapped,
        link[..link.len() - 1].to_owned(),
        format!("{}/approve/nothing", world.url()),
    ] {
        let answer = world.nobody.get(&bad).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{bad}");
        let page = answer.text().await.unwrap();
        assert!(
            !page.contains(&digest) && !page.contains("setup-link"),
            "it tells something"
        );
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_whose_approver_left_the_route_opens_nothing_and_a_second_visit_shows_the_outcome() {
    let world = World::begin().await;
    let (_, digest, link) = filed(&world, "setup-twice.exe").await;
    let secret = world.user("acme", "approver").totp_secret.clone().unwrap();
    let post = async |code: String| {
        let form = [
            ("button", "approve"),
            ("digest", digest.as_str()),
            ("code", code.as_str()),
            ("comment", "Looks right"),
        ];
        world
            .nobody
            .post(&link)
            .header("origin", world.url())
            .form(&form)
            .send()
            .await
            .unwrap()
    };
    let code = world.code(&secret).await;
    assert_eq!(post(code.clone()).await.status(), StatusCode::SEE_OTHER);
    // Sent again, by whatever means: no error page, no second decision.
    let again = post(code).await;
    assert!(
        again.status().is_client_error() || again.status() == StatusCode::SEE_OTHER,
        "{}",
        again.status()
    );
    let page = world.nobody.get(&link).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    assert!(
        page.contains("Looks right") && !page.contains("name=\"digest\""),
        "{page}"
    );

    // Who is disabled while the link is open decides nothing with it.
    let (request, digest, link) = filed(&world, "setup-gone.exe").await;
    let admin = world.caller("acme", "admin").await;
    let approver = world.caller("acme", "approver").await.user().unwrap();
    world
        .app()
        .disable_user(&admin, approver, "left".to_owned())
        .await
        .unwrap();
    let code = world.code(&secret).await;
    let form = [
        ("button", "approve"),
        ("digest", digest.as_str()),
        ("code", code.as_str()),
    ];
    let answer = world
        .nobody
        .post(&link)
        .header("origin", world.url())
        .form(&form)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_client_error(), "{}", answer.status());
    let state = world.app().visible_request(&admin, request).await.unwrap();
    assert!(state.decisions.is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_write_is_shown_escaped_in_mail_and_page() {
    let world = World::begin().await;
    let nasty = "setup-\u{202e}gpj.exe<script>alert(1)</script>.exe";
    let (request, _, link) = filed(&world, nasty).await;
    let page = world.nobody.get(&link).send().await.unwrap().text().await.unwrap();
    let mail = world
        .mails()
        .await
        .into_iter()
        .find(|mail| mail["text"].as_str().unwrap().contains(&request.to_string()))
        .unwrap();
    for shown in [
        page.as_str(),
        mail["html"].as_str().unwrap(),
        mail["text"].as_str().unwrap(),
    ] {
        assert!(
            !shown.contains('\u{202e}'),
            "a character that turns text around is shown by its number"
        );
        assert!(shown.contains("U+202E"), "{shown}");
    }
    assert!(!page.contains("<script>alert") && !mail["html"].as_str().unwrap().contains("<script>alert"));
    assert!(!mail["subject"].as_str().unwrap().contains('\u{202e}'));
    world.end().await;
}
