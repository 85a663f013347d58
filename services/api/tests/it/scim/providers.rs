//! What known identity providers send, as they send it: sequences in the forms that their documentation gives.

use axum::http::Method;
use serde_json::{Value, json};

use super::error;
use crate::world::World;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[tokio::test]
async fn microsoft_entra_provisions_a_user_and_a_group() {
    let world = World::new().await;
    let idp = world.idp().await;
    // The test of the connection: a user that does not exist.
    let none = idp
        .get("/Users?filter=userName+eq+%22non-existent-user-1%22")
        .await
        .expect(200)
        .json();
    assert_eq!((&none["totalResults"], &none["Resources"]), (&json!(0), &json!([])));
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "externalId": "0a21f0f2", "userName": "dana@corp.example", "active": true,
        "emails": [{ "primary": true, "type": "work", "value": "dana@corp.example" }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": "Dana Doe", "familyName": "Doe", "givenName": "Dana" },
        "roles": [],
    });
    let made = idp.post("/Users", &user).await.expect(201).json();
    let path = format!("/Users/{}", made["id"].as_str().unwrap());
    let patched = idp
        .patch(
            &path,
            json!([
                { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "d.doe@corp.example" },
                { "op": "Replace", "path": "name.familyName", "value": "Roe" },
                { "op": "Add", "path": "addresses[type eq \"work\"].country", "value": "DE" },
                { "op": "Add", "path": format!("{ENTERPRISE}:department"), "value": "Sales" },
                { "op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": made["id"] },
                { "op": "Add", "path": "roles[primary eq \"True\"].value", "value": "Ignored" },
            ]),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(patched["emails"][0]["value"], "d.doe@corp.example");
    assert_eq!(patched["addresses"], json!([{ "type": "work", "country": "DE" }]));
    assert_eq!(patched[ENTERPRISE]["manager"]["value"], made["id"]);
    let dotted = json!([{ "op": "Replace", "value": { "displayName": "D. Roe", "name.givenName": "D.", format!("{ENTERPRISE}:division"): "North" } }]);
    let dotted = idp.patch(&path, dotted).await.expect(200).json();
    assert_eq!(
        (&dotted["name"]["givenName"], &dotted[ENTERPRISE]["division"]),
        (&json!("D."), &json!("North"))
    );
    let off = idp
        .patch(&path, json!([{ "op": "Replace", "path": "active", "value": "False" }]))
        .await
        .expect(200);
    assert_eq!(off.json()["active"], false);
    let on = idp
        .patch(&path, json!([{ "op": "Add", "value": { "active": "True" } }]))
        .await
        .expect(200);
    assert_eq!(on.json()["active"], true);

    let group = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group", "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": "8aa1a0c0", "displayName": "Desk", "meta": { "resourceType": "Group" },
    });
    let group = idp.post("/Groups", &group).await.expect(201).json();
    let at = format!("/Groups/{}", group["id"].as_str().unwrap());
    let found = idp
        .get("/Groups?excludedAttributes=members&filter=displayName+eq+%22Desk%22")
        .await
        .expect(200)
        .json();
    assert_eq!(found["Resources"][0]["id"], group["id"]);
    let member = json!([{ "$ref": null, "value": made["id"] }]);
    idp.patch(&at, json!([{ "op": "Add", "path": "members", "value": member }]))
        .await
        .expect(200);
    let with = idp.get(&at).await.expect(200).json();
    assert_eq!(with["members"].as_array().unwrap().len(), 1);
    idp.patch(&at, json!([{ "op": "Remove", "path": "members", "value": member }]))
        .await
        .expect(200);
    assert_eq!(idp.get(&at).await.json()["members"], json!([]));
    idp.delete(&at).await.expect(204);
    idp.delete(&path).await.expect(204);
    error(idp.get(&path).await, 404);
}

#[tokio::test]
async fn okta_provisions_a_user_and_a_group() {
    let world = World::new().await;
    let idp = world.idp().await;
    let first = idp.get("/Users?startIndex=1&count=2").await.expect(200).json();
    assert_eq!(
        first["schemas"],
        json!(["urn:ietf:params:scim:api:messages:2.0:ListResponse"])
    );
    assert!(
        idp.found("Users", "userName eq \"isaac@corp.example\"")
            .await
            .is_empty()
    );
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "isaac@corp.example",
        "name": { "givenName": "Isaac", "familyName": "Brock" },
        "emails": [{ "primary": true, "value": "isaac@corp.example", "type": "work" }],
        "displayName": "Isaac Brock", "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [], "password": "1mz050nq", "active": true,
    });
    let made = idp
        .call(
            Method::POST,
            "/Users",
            Some(&user),
            &[("accept", "application/scim+json")],
        )
        .await
        .expect(201);
    let made = made.json();
    assert_eq!(made["password"], Value::Null);
    assert_eq!(error(idp.post("/Users", &user).await, 409), "uniqueness");
    let path = format!("/Users/{}", made["id"].as_str().unwrap());
    let mut whole = made.clone();
    whole["name"]["familyName"] = json!("Block");
    let put = idp.put(&path, &whole).await.expect(200).json();
    assert_eq!(put["name"]["familyName"], "Block");
    let off = json!([{ "op": "replace", "value": { "active": false } }]);
    assert_eq!(idp.patch(&path, off).await.expect(200).json()["active"], false);
    whole["active"] = json!(true);
    assert_eq!(idp.put(&path, &whole).await.expect(200).json()["active"], true);

    let group = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Test SCIMv2", "members": [] });
    let group = idp.post("/Groups", &group).await.expect(201).json();
    let at = format!("/Groups/{}", group["id"].as_str().unwrap());
    let rename = json!([{ "op": "replace", "value": { "id": group["id"], "displayName": "Renamed" } }]);
    assert_eq!(
        idp.patch(&at, rename).await.expect(200).json()["displayName"],
        "Renamed"
    );
    let both = json!([
        { "op": "add", "path": "members", "value": [{ "value": made["id"], "display": "isaac" }] },
        { "op": "remove", "path": "members[value eq \"usr_01h2xcejqtf2nbrexx3vqjhp41\"]" },
    ]);
    assert_eq!(
        idp.patch(&at, both).await.expect(200).json()["members"][0]["display"],
        "Isaac Brock"
    );
    idp.put(
        &at,
        &json!({ "displayName": "Renamed", "members": [{ "value": made["id"] }] }),
    )
    .await
    .expect(200);
    idp.delete(&at).await.expect(204);
}
