//! What the door tells of itself (RFC 7644 § 4).

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    Token, base,
    list::PAGE_MAX,
    schema::{ENTERPRISE, GROUP, USER, schemas},
    show::answer,
};
use crate::{ApiState, Problem, extract::Params};

pub(super) async fn config(State(state): State<ApiState>, _: Token) -> Response {
    let base = base(&state);
    let document = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "documentationUri": "https://www.rfc-editor.org/rfc/rfc7644",
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": PAGE_MAX },
        "changePassword": { "supported": false },
        "sort": { "supported": false },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken", "name": "Bearer token", "primary": true,
            "description": "A SCIM token of the tenant, in the header Authorization",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
        }],
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig") },
    });
    answer(StatusCode::OK, &document)
}

fn types(base: &str) -> Vec<Value> {
    let of = |name: &str, address: &str, about: &str, schema: &str, extensions: Value| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": name, "name": name, "endpoint": format!("/{address}"), "description": about, "schema": schema,
            "schemaExtensions": extensions,
            "meta": { "resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{name}") },
        })
    };
    let enterprise = json!([{ "schema": ENTERPRISE, "required": false }]);
    vec![
        of("User", "Users", "People with an account", USER, enterprise),
        of(
            "Group",
            "Groups",
            "Teams that the identity provider keeps",
            GROUP,
            json!([]),
        ),
    ]
}

fn list(resources: &[Value]) -> Response {
    let document = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": resources.len(), "startIndex": 1, "itemsPerPage": resources.len(), "Resources": resources,
    });
    answer(StatusCode::OK, &document)
}

fn one(resources: Vec<Value>, id: &str, what: &str) -> Response {
    match resources.into_iter().find(|resource| resource["id"] == id) {
        Some(resource) => answer(StatusCode::OK, &resource),
        None => Problem::not_found(what).into_response(),
    }
}

pub(super) async fn resource_types(State(state): State<ApiState>, _: Token) -> Response {
    list(&types(&base(&state)))
}

pub(super) async fn resource_type(State(state): State<ApiState>, _: Token, Params(id): Params<String>) -> Response {
    one(types(&base(&state)), &id, "resource type")
}

pub(super) async fn all_schemas(State(state): State<ApiState>, _: Token) -> Response {
    list(&schemas(&base(&state)))
}

pub(super) async fn one_schema(State(state): State<ApiState>, _: Token, Params(id): Params<String>) -> Response {
    one(schemas(&base(&state)), &id, "schema")
}
