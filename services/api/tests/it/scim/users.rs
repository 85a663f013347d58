//! Users: made, read, replaced, patched, deleted, found.

use axum::http::Method;
use model::Role;
use serde_json::{Value, json};

use super::error;
use crate::world::World;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn dana() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "userName": "Dana@Corp.example", "externalId": "00u1", "active": true, "password": "never kept",
        "name": { "givenName": "Dana", "familyName": "Doe" }, "displayName": "Dana Doe", "favouriteColour": "blue",
        "emails": [{ "value": "dana@corp.example", "type": "work", "primary": true }],
        ENTERPRISE: { "employeeNumber": "4711", "manager": { "value": "x" } },
    })
}

#[tokio::test]
async fn a_user_is_made_read_replaced_and_deleted() {
    let world = World::new().await;
    let idp = world.idp().await;
    let made = idp.post("/Users", &dana()).await.expect(201);
    let user = made.json();
    let path = format!("/Users/{}", user["id"].as_str().unwrap());
    assert_eq!(made.header("content-type"), "application/scim+json");
    assert!(made.header("location").ends_with(&format!("/scim/v2{path}")));
    assert_eq!(made.header("location"), user["meta"]["location"]);
    assert_eq!(made.header("etag"), user["meta"]["version"]);
    assert_eq!(user[ENTERPRISE]["employeeNumber"], "4711");
    for gone in ["password", "favouriteColour"] {
        assert_eq!(user[gone], Value::Null, "{gone}");
    }
    assert_eq!(idp.get(&path).await.expect(200).json(), user);

    let mut other = dana();
    other["displayName"] = json!("Dana Roe");
    other.as_object_mut().unwrap().remove(ENTERPRISE);
    let replaced = idp.put(&path, &other).await.expect(200).json();
    assert_eq!(
        (&replaced["displayName"], &replaced[ENTERPRISE]),
        (&json!("Dana Roe"), &Value::Null)
    );
    // What is the same changes nothing, not even the version.
    let again = idp.put(&path, &other).await.expect(200).json();
    assert_eq!(again["meta"], replaced["meta"]);

    idp.delete(&path).await.expect(204);
    for reply in [
        idp.get(&path).await,
        idp.put(&path, &other).await,
        idp.delete(&path).await,
    ] {
        assert_eq!(error(reply, 404), "");
    }
    assert!(idp.found("Users", "userName sw \"dana\"").await.is_empty());
    // Made again, it is the same person with the same history.
    let back = idp.post("/Users", &dana()).await.expect(201).json();
    assert_eq!((&back["id"], &back["active"]), (&user["id"], &json!(true)));
}

#[tokio::test]
async fn a_second_user_of_a_name_or_address_is_refused_as_not_unique() {
    let world = World::new().await;
    let idp = world.idp().await;
    idp.post("/Users", &dana()).await.expect(201);
    let mut other = dana();
    other["userName"] = json!("DANA@corp.EXAMPLE");
    other["emails"] = json!([{ "value": "else@corp.example" }]);
    assert_eq!(error(idp.post("/Users", &other).await, 409), "uniqueness");
    other["userName"] = json!("else@corp.example");
    other["emails"] = json!([{ "value": "Dana@corp.example" }]);
    assert_eq!(error(idp.post("/Users", &other).await, 409), "uniqueness");
    let path = idp.user("eve").await;
    other["userName"] = json!("dana@corp.example");
    other["emails"] = json!([{ "value": "eve@corp.example" }]);
    assert_eq!(error(idp.put(&path, &other).await, 409), "uniqueness");
}

#[tokio::test]
async fn a_version_that_is_not_the_present_one_changes_nothing() {
    let world = World::new().await;
    let idp = world.idp().await;
    let path = idp.user("dana").await;
    let old = idp.get(&path).await.header("etag").to_owned();
    assert!(old.starts_with("W/\""), "{old}");
    let body = json!({ "Operations": [{ "op": "replace", "path": "title", "value": "Boss" }] });
    let patch = |etag: String| {
        let (idp, path, body) = (&idp, &path, &body);
        async move { idp.call(Method::PATCH, path, Some(body), &[("if-match", &etag)]).await }
    };
    let changed = patch(format!("\"x\", {old}")).await.expect(200);
    assert_ne!(changed.header("etag"), old);
    assert_eq!(error(patch(old.clone()).await, 412), "");
    assert_eq!(error(patch("nonsense".to_owned()).await, 412), "");
    patch("*".to_owned()).await.expect(200);
    let deleted = idp.call(Method::DELETE, &path, None, &[("if-match", &old)]).await;
    assert_eq!(error(deleted, 412), "");
    let current = changed.header("etag").to_owned();
    let same = idp
        .call(Method::GET, &path, None, &[("if-none-match", &current)])
        .await
        .expect(304);
    assert!(same.body.is_empty() && same.header("etag") == current);
    idp.call(Method::GET, &path, None, &[("if-none-match", &old)])
        .await
        .expect(200);
}

#[tokio::test]
async fn closing_an_account_ends_its_sessions_at_once_and_opening_it_lets_them_in_again() {
    let world = World::new().await;
    let id = world.user("eve", &[Role::Approver]).await;
    let idp = world.idp().await;
    let browser = world.browser("eve").await;
    let path = format!("/Users/{id}");
    let active = |value: Value| json!([{ "op": "Replace", "path": "active", "value": value }]);
    let closed = idp.patch(&path, active(json!("False"))).await.expect(200).json();
    assert_eq!(closed["active"], false);
    browser.get("/auth/session").await.expect(401);
    world.sign_in("eve", None).await.expect(401);
    idp.patch(&path, active(json!("True"))).await.expect(200);
    let browser = world.browser("eve").await;
    idp.delete(&path).await.expect(204);
    browser.get("/auth/session").await.expect(401);
    world.sign_in("eve", None).await.expect(401);
}

#[tokio::test]
async fn the_last_owner_stays_and_another_one_is_an_owner_no_more() {
    let world = World::new().await;
    let idp = world.idp().await;
    let off = json!([{ "op": "replace", "value": { "active": false } }]);
    let owner = idp
        .get("/Users?filter=userName+eq+%22owner@acme.example%22")
        .await
        .json()["Resources"][0]["id"]
        .clone();
    let path = format!("/Users/{}", owner.as_str().unwrap());
    for reply in [idp.patch(&path, off.clone()).await, idp.delete(&path).await] {
        let detail = reply.json()["detail"].to_string();
        assert!(detail.contains("last owner"), "{detail}");
        error(reply, 409);
    }
    world.browser("owner").await.get("/auth/session").await.expect(200);
    let second = world.user("second", &[Role::Owner]).await;
    idp.patch(&format!("/Users/{second}"), off).await.expect(200);
    let on = json!([{ "op": "replace", "value": { "active": true } }]);
    idp.patch(&format!("/Users/{second}"), on).await.expect(200);
    let session = world.browser("second").await.get("/auth/session").await.json();
    assert!(!session.to_string().contains("\"owner\""), "{session}");
}

#[tokio::test]
async fn a_token_does_nothing_to_users_above_whoever_issued_it() {
    let world = World::new().await;
    let owner = world.user("second", &[Role::Owner]).await;
    let admin = world.user("admin", &[Role::Admin]).await;
    let caller = world
        .app
        .acting_as(world.tenant, admin, commands::Origin::inside(uuid::Uuid::nil()))
        .await
        .unwrap();
    let issued = world
        .app
        .issue_scim_token(&caller, "Directory".to_owned(), None)
        .await
        .unwrap();
    let idp = super::Idp {
        world: &world,
        token: issued.secret.unwrap(),
    };
    let path = format!("/Users/{owner}");
    let mail = json!([{ "op": "replace", "path": "emails", "value": [{ "value": "mine@corp.example" }] }]);
    for reply in [
        idp.patch(&path, mail).await,
        idp.patch(&path, json!([{ "op": "replace", "path": "active", "value": false }]))
            .await,
        idp.delete(&path).await,
    ] {
        error(reply, 403);
    }
    idp.patch(
        &format!("/Users/{admin}"),
        json!([{ "op": "add", "path": "title", "value": "x" }]),
    )
    .await
    .expect(200);
}

#[tokio::test]
async fn users_are_found_by_filters_and_in_pages() {
    let world = World::new().await;
    let idp = world.idp().await;
    for name in ["ann", "bob", "cid"] {
        let path = idp.user(name).await;
        let title = if name == "bob" { "Boss" } else { "Worker" };
        let operations = json!([{ "op": "add", "value": { "title": title, "externalId": format!("X-{name}") } }]);
        idp.patch(&path, operations).await.expect(200);
    }
    for (filter, wanted) in [
        ("userName eq \"ANN@corp.example\"", vec!["ann@corp.example"]),
        ("externalId eq \"X-bob\"", vec!["bob@corp.example"]),
        ("externalId eq \"x-bob\"", vec![]),
        ("externalId eq \"X-bob\" and title eq \"worker\"", vec![]),
        ("title eq \"worker\"", vec!["ann@corp.example", "cid@corp.example"]),
        ("title pr and not (title eq \"worker\")", vec!["bob@corp.example"]),
        ("emails.value co \"acme\"", vec!["owner@acme.example"]),
        ("userName eq \"nobody\"", vec![]),
        ("id eq \"nobody\"", vec![]),
    ] {
        assert_eq!(idp.found("Users", filter).await, wanted, "{filter}");
    }
    let page = |query: &str| {
        let (idp, query) = (&idp, format!("/Users?{query}"));
        async move { idp.get(&query).await.expect(200).json() }
    };
    let all = page("").await;
    assert_eq!((&all["totalResults"], &all["startIndex"]), (&json!(4), &json!(1)));
    let second = page("startIndex=2&count=2").await;
    assert_eq!(
        (&second["totalResults"], &second["itemsPerPage"]),
        (&json!(4), &json!(2))
    );
    assert_eq!(second["Resources"][0], all["Resources"][1]);
    let filtered = page("startIndex=2&count=1&filter=title+eq+%22worker%22").await;
    assert_eq!(
        (&filtered["totalResults"], &filtered["Resources"][0]["title"]),
        (&json!(2), &json!("Worker"))
    );
    assert_eq!(page("count=0").await["Resources"], json!([]));
    assert_eq!(page("startIndex=-5&count=-1").await["totalResults"], 4);
    assert_eq!(page("startIndex=99").await["itemsPerPage"], 0);
    let named = page("attributes=userName,title&count=1&filter=title+pr").await;
    assert_eq!(
        named["Resources"][0].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["id", "schemas", "title", "userName"]
    );
    assert_eq!(
        page("excludedAttributes=emails,userName").await["Resources"][0]["userName"],
        Value::Null
    );

    let search = json!({ "filter": "title eq \"boss\"", "attributes": ["displayName"], "startIndex": 1, "count": 5 });
    for path in ["/Users/.search", "/.search"] {
        let found = idp.post(path, &search).await.expect(200).json();
        assert_eq!(
            (&found["totalResults"], &found["Resources"][0]["displayName"]),
            (&json!(1), &json!("bob")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn errors_say_which_kind_they_are() {
    let world = World::new().await;
    let idp = world.idp().await;
    let path = idp.user("dana").await;
    let patch = |operation: Value| idp.patch(&path, json!([operation]));
    assert_eq!(
        error(idp.get("/Users?filter=userName+is+3").await, 400),
        "invalidFilter"
    );
    assert_eq!(
        error(idp.post("/Users", &json!({ "userName": "x" })).await, 400),
        "invalidValue"
    );
    assert_eq!(error(idp.post("/Users", &json!([1])).await, 400), "invalidSyntax");
    assert_eq!(error(patch(json!({ "op": "jump" })).await, 400), "invalidSyntax");
    assert_eq!(
        error(patch(json!({ "op": "add", "path": "..", "value": 1 })).await, 400),
        "invalidPath"
    );
    assert_eq!(error(patch(json!({ "op": "remove" })).await, 400), "noTarget");
    assert_eq!(
        error(patch(json!({ "op": "replace", "path": "id", "value": "1" })).await, 400),
        "mutability"
    );
    assert_eq!(error(idp.get("/Nothing").await, 404), "");
    assert_eq!(error(idp.get("/Users/usr_nobody").await, 404), "");
    assert_eq!(
        error(idp.call(Method::PUT, "/Users", Some(&json!({})), &[]).await, 405),
        ""
    );
}

#[tokio::test]
async fn the_door_tells_what_it_can_and_what_it_keeps() {
    let world = World::new().await;
    let idp = world.idp().await;
    let config = idp.get("/ServiceProviderConfig").await.expect(200).json();
    for (feature, is) in [
        ("patch", true),
        ("filter", true),
        ("etag", true),
        ("bulk", false),
        ("sort", false),
    ] {
        assert_eq!(config[feature]["supported"], is, "{feature}");
    }
    // Clients that read strictly take nothing beside what RFC 7643 § 5 has.
    assert_eq!(config["filter"], json!({ "supported": true, "maxResults": 200 }));
    let types = idp.get("/ResourceTypes").await.expect(200).json();
    assert_eq!(
        (&types["totalResults"], &types["Resources"][0]["endpoint"]),
        (&json!(2), &json!("/Users"))
    );
    let schemas = idp.get("/Schemas").await.expect(200).json();
    for schema in schemas["Resources"].as_array().unwrap() {
        let id = schema["id"].as_str().unwrap();
        assert_eq!(&idp.get(&format!("/Schemas/{id}")).await.expect(200).json(), schema);
    }
    let members = schemas["Resources"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|s| s["attributes"].as_array().unwrap());
    let mut members = members;
    let members = members.find(|attribute| attribute["name"] == "members").unwrap();
    let to = members["subAttributes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|a| a["name"] == "$ref");
    assert_eq!(to.unwrap()["referenceTypes"], json!(["User"]));
    assert_eq!(error(idp.get("/Schemas/urn:none").await, 404), "");
}

#[tokio::test]
async fn administrators_list_those_whom_the_provider_keeps_apart() {
    let world = World::new().await;
    let idp = world.idp().await;
    idp.user("dana").await;
    world.settle(world.tenant).await;
    let owner = world.browser("owner").await;
    for (managed, names) in [
        (true, json!(["dana@corp.example"])),
        (false, json!(["owner@acme.example"])),
    ] {
        let query = "query($m: Boolean) { users(filter: { managed: $m }) { nodes { email } totalCount } }";
        let found = crate::graphql::data(&owner, query, json!({ "m": managed })).await;
        let found: serde_json::Value = found["users"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["email"].clone())
            .collect();
        assert_eq!(found, names, "{managed}");
    }
}
