//! `/scim/v2`, as identity providers use it.

mod groups;
mod limits;
mod providers;
mod tokens;
mod users;

use axum::http::Method;
use serde_json::{Value, json};

use crate::world::{Reply, World, request};

/// An identity provider with a token that an owner issued.
pub struct Idp<'a> {
    pub world: &'a World,
    pub token: String,
}

impl World {
    pub async fn idp(&self) -> Idp<'_> {
        let issued = self
            .app
            .issue_scim_token(&self.system(), "Directory".to_owned(), None)
            .await
            .unwrap();
        Idp {
            world: self,
            token: issued.secret.unwrap(),
        }
    }
}

impl Idp<'_> {
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, &str)],
    ) -> Reply {
        let ask = request(method, &format!("/scim/v2{path}")).bearer(&self.token);
        let ask = headers.iter().fold(ask, |ask, (name, value)| ask.with(*name, value));
        self.world
            .send(match body {
                Some(body) => ask.body("application/scim+json", body.to_string()),
                None => ask.empty(),
            })
            .await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, None, &[]).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::POST, path, Some(body), &[]).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::PUT, path, Some(body), &[]).await
    }

    /// A PATCH with these operations.
    pub async fn patch(&self, path: &str, operations: Value) -> Reply {
        let body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
        self.call(Method::PATCH, path, Some(&body), &[]).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path, None, &[]).await
    }

    /// A list's `userName`s or `displayName`s, for a filter.
    pub async fn found(&self, kind: &str, filter: &str) -> Vec<String> {
        let query = serde_urlencoded::to_string([("filter", filter)]).unwrap();
        let list = self.get(&format!("/{kind}?{query}")).await.expect(200).json();
        let name = if kind == "Users" { "userName" } else { "displayName" };
        let resources = list["Resources"].as_array().unwrap();
        assert_eq!(list["totalResults"], resources.len());
        let mut names: Vec<_> = resources.iter().map(|r| r[name].as_str().unwrap().to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// Makes a user; gives its path.
    pub async fn user(&self, name: &str) -> String {
        let body = json!({ "userName": format!("{name}@corp.example"), "displayName": name, "active": true });
        let made = self.post("/Users", &body).await.expect(201).json();
        format!("/Users/{}", made["id"].as_str().unwrap())
    }
}

/// The kind of an error in SCIM's form.
#[track_caller]
pub fn error(reply: Reply, status: u16) -> String {
    let reply = reply.expect(status);
    assert_eq!(reply.header("content-type"), "application/scim+json");
    let body = reply.json();
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    assert_eq!(body["status"], status.to_string());
    assert!(
        body["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
        "{body}"
    );
    body["scimType"].as_str().unwrap_or_default().to_owned()
}
