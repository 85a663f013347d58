//! Groups: teams that the identity provider keeps, and the roles that teams give.

use model::Role;
use serde_json::{Value, json};

use super::error;
use crate::{
    graphql::{change, data, refused},
    world::World,
};

fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn values(group: &Value) -> Vec<&str> {
    let members = group["members"].as_array().unwrap();
    let mut values: Vec<_> = members.iter().map(|member| member["value"].as_str().unwrap()).collect();
    values.sort_unstable();
    values
}

#[tokio::test]
async fn a_group_is_a_team_that_is_not_changed_by_hand() {
    let world = World::new().await;
    let idp = world.idp().await;
    let (ann, bob) = (idp.user("ann").await, idp.user("bob").await);
    let body = json!({ "displayName": "Desk", "externalId": "g-1", "members": [{ "value": id(&ann) }] });
    let made = idp.post("/Groups", &body).await.expect(201).json();
    let path = format!("/Groups/{}", made["id"].as_str().unwrap());
    assert_eq!(
        (values(&made), &made["members"][0]["display"]),
        (vec![id(&ann)], &json!("ann"))
    );
    assert_eq!(idp.get(&ann).await.json()["groups"][0]["value"], made["id"]);
    assert_eq!(error(idp.post("/Groups", &body).await, 409), "uniqueness");

    let added = idp
        .patch(
            &path,
            json!([{ "op": "Add", "path": "members", "value": [{ "value": id(&bob) }] }]),
        )
        .await;
    let mut both = [id(&ann), id(&bob)];
    both.sort_unstable();
    assert_eq!(values(&added.expect(200).json()), both);
    let path_of_ann = format!("members[value eq \"{}\"]", id(&ann));
    let removed = idp
        .patch(&path, json!([{ "op": "remove", "path": path_of_ann }]))
        .await
        .expect(200)
        .json();
    assert_eq!(values(&removed), [id(&bob)]);
    let renamed = idp
        .put(&path, &json!({ "displayName": "Help desk", "members": [] }))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&renamed["displayName"], values(&renamed).len(), &renamed["externalId"]),
        (&json!("Help desk"), 0, &Value::Null)
    );
    assert_eq!(idp.found("Groups", "displayName eq \"help DESK\"").await, ["Help desk"]);
    let list = idp.get("/Groups?excludedAttributes=members").await.expect(200).json();
    assert_eq!(
        (&list["totalResults"], &list["Resources"][0]["members"]),
        (&json!(1), &Value::Null)
    );
    let nobody = json!([{ "op": "add", "path": "members", "value": [{ "value": "usr_01h2xcejqtf2nbrexx3vqjhp41" }] }]);
    assert_eq!(error(idp.patch(&path, nobody).await, 400), "invalidValue");

    let owner = world.browser("owner").await;
    let team = made["id"].clone();
    let by_hand = json!({ "teamId": team, "name": "Mine" });
    assert_eq!(refused(&owner, "changeTeam", by_hand.clone()).await, "TEAM_MANAGED");
    assert_eq!(
        refused(&owner, "deleteTeam", json!({ "teamId": team })).await,
        "TEAM_MANAGED"
    );
    let released = change(&owner, "releaseTeam", json!({ "teamId": team }), "team { managed }").await;
    assert_eq!(released["team"]["managed"], false);
    change(&owner, "changeTeam", by_hand, "team { name }").await;
    assert_eq!(error(idp.get(&path).await, 404), "");
}

#[tokio::test]
async fn a_team_that_is_kept_by_hand_is_not_there_for_the_identity_provider() {
    let world = World::new().await;
    let idp = world.idp().await;
    let owner = world.browser("owner").await;
    let made = change(&owner, "createTeam", json!({ "name": "Ours" }), "team { id managed }").await;
    assert_eq!(made["team"]["managed"], false);
    let path = format!("/Groups/{}", made["team"]["id"].as_str().unwrap());
    assert_eq!(error(idp.get(&path).await, 404), "");
    assert_eq!(error(idp.delete(&path).await, 404), "");
    assert_eq!(
        error(idp.post("/Groups", &json!({ "displayName": "ours" })).await, 409),
        "uniqueness"
    );
}

async fn roles(world: &World, name: &str) -> Value {
    let owner = world.browser("owner").await;
    let query = "query($s: String) { users(first: 5, search: $s) { nodes { roles } } }";
    data(&owner, query, json!({ "s": name })).await["users"]["nodes"][0]["roles"].clone()
}

#[tokio::test]
async fn whoever_is_in_a_group_has_the_roles_that_it_gives_for_as_long_as_they_are() {
    let world = World::new().await;
    let idp = world.idp().await;
    let ann = idp.user("ann").await;
    let made = idp
        .post(
            "/Groups",
            &json!({ "displayName": "Approvers", "members": [{ "value": id(&ann) }] }),
        )
        .await;
    let group = made.expect(201).json()["id"].clone();
    let owner = world.browser("owner").await;
    let map = |roles: Value| json!({ "teamId": group, "roles": roles });
    assert_eq!(
        refused(&owner, "mapTeamRoles", map(json!(["OWNER"]))).await,
        "OWNER_NOT_MAPPED"
    );
    let mapped = change(&owner, "mapTeamRoles", map(json!(["APPROVER"])), "team { roles }").await;
    assert_eq!(mapped["team"]["roles"], json!(["APPROVER"]));
    assert_eq!(roles(&world, "ann").await, json!(["APPROVER"]));

    let path = format!("/Groups/{}", group.as_str().unwrap());
    idp.patch(&path, json!([{ "op": "remove", "path": "members" }]))
        .await
        .expect(200);
    world.settle(world.tenant).await;
    assert_eq!(roles(&world, "ann").await, json!(["MEMBER"]));
    idp.patch(
        &path,
        json!([{ "op": "add", "path": "members", "value": [{ "value": id(&ann) }] }]),
    )
    .await
    .expect(200);
    world.settle(world.tenant).await;
    assert_eq!(roles(&world, "ann").await, json!(["APPROVER"]));
    // One who is deleted leaves the group, so that the roles don't come back with them.
    idp.delete(&ann).await.expect(204);
    let back = json!({ "userName": "ann@corp.example" });
    idp.post("/Users", &back).await.expect(201);
    world.settle(world.tenant).await;
    assert_eq!(roles(&world, "ann").await, json!(["MEMBER"]));
    idp.delete(&path).await.expect(204);
    assert_eq!(error(idp.get(&path).await, 404), "");
}

#[tokio::test]
async fn an_admin_gives_no_role_above_their_own_by_a_team() {
    let world = World::new().await;
    world.user("admin", &[Role::Admin]).await;
    let admin = world.browser("admin").await;
    let made = change(&admin, "createTeam", json!({ "name": "Mine" }), "team { id }").await;
    let map = |roles: Value| json!({ "teamId": made["team"]["id"], "roles": roles });
    change(&admin, "mapTeamRoles", map(json!(["ADMIN"])), "team { roles }").await;
    assert_eq!(
        refused(&admin, "mapTeamRoles", map(json!(["OWNER"]))).await,
        "OWNER_NOT_MAPPED"
    );
    world.user("approver", &[Role::Approver]).await;
    let approver = world.browser("approver").await;
    assert_eq!(refused(&approver, "mapTeamRoles", map(json!([]))).await, "FORBIDDEN");
}
