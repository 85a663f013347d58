//! The description of every REST route, in the manner of OpenAPI 3.1. It is made of what the doors say of their routes
//! when they are put together ([`Door`]), so that no route is without one; `api-schema/openapi.json` is its copy.

mod door;
mod operation;

use serde_json::{Map, Value, json};

pub use door::Door;
pub use operation::{Login, Op, Shape};

use operation::Operation;

/// The shapes of bodies, by name.
const SCHEMAS: &str = include_str!("schemas.json");

/// The description of these operations.
pub(crate) fn describe(operations: &[Operation]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations {
        let path = paths.entry(operation.path.to_owned()).or_insert_with(|| json!({}));
        path[operation.method] = operation.describe();
    }
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portcullis",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The REST doors of the control plane: agents, sign-in, operators, audit.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "__Host-portcullis",
                    "description": "The session's cookie (`portcullis` without HTTPS). What changes something needs the \
                                    header `x-csrf-token` from GET /auth/session too.",
                },
                "bearer": {
                    "type": "http", "scheme": "bearer",
                    "description": "An API key `pct_key_…` or a short access token from POST /auth/token.",
                },
                "agent": {
                    "type": "http", "scheme": "bearer",
                    "description": "An access token from POST /agent/v1/token.",
                },
                "scim": {
                    "type": "http", "scheme": "bearer", "description": "A SCIM token `pct_scim_…` of the tenant.",
                },
                "platform": {
                    "type": "http", "scheme": "bearer", "description": "A platform credential `pct_plt_…`.",
                },
            },
        },
    })
}

/// The part of a description that agents need.
pub(crate) fn of_agents(whole: &Value) -> Value {
    let mut part = whole.clone();
    if let Some(paths) = part["paths"].as_object_mut() {
        paths.retain(|path, _| path.starts_with(formats::agent_wire::PREFIX));
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema_and_every_schema_is_used() {
        let schemas: Value = serde_json::from_str(SCHEMAS).unwrap();
        let document = crate::router::description();
        let mut found = Vec::new();
        references(&document, &mut found);
        for reference in &found {
            let name = reference.strip_prefix("#/components/schemas/").unwrap();
            assert!(schemas[name].is_object(), "{name}");
        }
        for name in schemas.as_object().unwrap().keys() {
            assert!(
                found.iter().any(|reference| reference.ends_with(&format!("/{name}"))),
                "{name} is not used"
            );
        }
    }

    #[test]
    fn every_operation_has_its_own_name_and_names_its_errors() {
        let document = crate::router::description();
        let mut names = std::collections::BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name.to_owned()), "{name} twice");
                let answers = operation["responses"].as_object().unwrap();
                assert!(
                    answers.keys().any(|status| status.starts_with(['2', '3'])),
                    "{method} {path}"
                );
                if operation.get("requestBody").is_some() {
                    assert!(
                        answers.contains_key("413") && answers.contains_key("415"),
                        "{method} {path}"
                    );
                }
                if operation.get("security").is_some() {
                    assert!(
                        answers.contains_key("401") && answers.contains_key("429"),
                        "{method} {path}"
                    );
                }
                for parameter in path.split('{').skip(1) {
                    let parameter = parameter.split('}').next().unwrap();
                    let named = operation["parameters"].as_array().unwrap();
                    assert!(
                        named.iter().any(|p| p["name"] == parameter && p["in"] == "path"),
                        "{method} {path}"
                    );
                }
            }
        }
    }

    /// After a change of a route: `PORTCULLIS_UPDATE=1 cargo nextest run -p api openapi`.
    #[test]
    fn the_committed_description_is_the_one_that_is_served() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../api-schema/openapi.json");
        let served = format!("{:#}\n", crate::router::description());
        if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
            std::fs::write(file, &served).unwrap();
        }
        let committed = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            committed == served,
            "api-schema/openapi.json is not what the doors say; see this test's comment"
        );
    }
}
