//! The JSON schemas of all events, for whoever reads the log with other programs. Made from the same declaration as the
//! Rust types; `api-schema/events.json` is committed, and a test fails when it drifts.

use serde_json::{Map, Value, json};

use crate::catalogue::EVENT_FIELDS;

/// A field's type that has no schema yet: a defect that a test finds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no JSON schema is known for the type `{0}`")]
pub struct UnknownType(String);

/// The schemas of all event types at their newest versions, as one document (JSON Schema 2020-12). Each definition is
/// of the event's `data`; personal fields are shown opened.
///
/// # Errors
/// [`UnknownType`] where a field was added with a type that is not in the table below.
pub fn events() -> Result<Value, UnknownType> {
    let mut definitions = Map::new();
    for (stream, events) in EVENT_FIELDS {
        for (event, fields) in *events {
            let mut properties = Map::new();
            let mut required = Vec::new();
            for (field, rust) in *fields {
                let name = camel(field);
                let rust: String = rust.split_whitespace().collect();
                properties.insert(name.clone(), of(&rust)?);
                // An `Option` may be left out by other writers; ours writes null.
                if !rust.starts_with("Option<") {
                    required.push(name);
                }
            }
            let schema = json!({
                "description": format!("Of a stream of type `{stream}`."),
                "type": "object",
                "additionalProperties": false,
                "required": required,
                "properties": properties,
            });
            definitions.insert((*event).to_owned(), schema);
        }
    }
    Ok(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Events of Portcullis, schema version 1",
        "$defs": definitions,
    }))
}

fn camel(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        name + &letters
            .next()
            .map(|c| c.to_ascii_uppercase().to_string())
            .unwrap_or_default()
            + letters.as_str()
    })
}

fn inside<'a>(rust: &'a str, outer: &str) -> Option<&'a str> {
    rust.strip_prefix(outer)?.strip_prefix('<')?.strip_suffix('>')
}

fn words(words: &[&str]) -> Value {
    json!({ "enum": words })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

/// The schema of a Rust type.
fn of(rust: &str) -> Result<Value, UnknownType> {
    if let Some(inner) = inside(rust, "Option") {
        return Ok(json!({ "anyOf": [of(inner)?, { "type": "null" }] }));
    }
    if let Some(inner) = inside(rust, "Vec") {
        return Ok(json!({ "type": "array", "items": of(inner)? }));
    }
    if let Some(inner) = inside(rust, "Box") {
        return of(inner);
    }
    if let Some(inner) = inside(rust, "Personal") {
        let value = json!({ "anyOf": [of(inner)?, { "type": "null" }] });
        return Ok(object(&["$personal"], json!({ "$personal": value })));
    }
    if let Some(prefix) = id_prefix(rust) {
        return Ok(json!({ "type": "string", "pattern": format!("^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$") }));
    }
    named(rust).ok_or_else(|| UnknownType(rust.to_owned()))
}

fn id_prefix(rust: &str) -> Option<&'static str> {
    Some(match rust {
        "TenantId" => formats::TenantId::PREFIX,
        "UserId" => formats::UserId::PREFIX,
        "PersonId" => formats::PersonId::PREFIX,
        "TeamId" => formats::TeamId::PREFIX,
        "ServiceAccountId" => formats::ServiceAccountId::PREFIX,
        "ScimTokenId" => formats::ScimTokenId::PREFIX,
        "EndpointId" => formats::EndpointId::PREFIX,
        "DeploymentGroupId" => formats::DeploymentGroupId::PREFIX,
        "CollectionId" => formats::CollectionId::PREFIX,
        "PolicyId" => formats::PolicyId::PREFIX,
        "ApprovalRuleId" => formats::ApprovalRuleId::PREFIX,
        "RequestId" => formats::RequestId::PREFIX,
        "ApiKeyId" => formats::ApiKeyId::PREFIX,
        "RegistrationTokenId" => formats::RegistrationTokenId::PREFIX,
        "PasskeyId" => formats::PasskeyId::PREFIX,
        "IdentityProviderId" => formats::IdentityProviderId::PREFIX,
        "InvitationId" => formats::InvitationId::PREFIX,
        "ActivityId" => formats::ActivityId::PREFIX,
        _ => return None,
    })
}

fn named(rust: &str) -> Option<Value> {
    let whole = json!({ "type": "integer", "minimum": 0, "maximum": 9_007_199_254_740_991_u64 });
    Some(match rust {
        "String" => json!({ "type": "string" }),
        "bool" => json!({ "type": "boolean" }),
        "u32" | "u64" => whole,
        "i64" => json!({ "type": "integer" }),
        "Timestamp" => json!({ "type": "string", "format": "date-time" }),
        "ActionType" => words(&["privilege_elevation", "file_access", "command_line"]),
        "PolicyStatus" => words(&["off", "monitor", "monitor_and_notify", "enforce"]),
        "CollectionKind" => words(&["users", "machines", "applications"]),
        "Role" => words(&["member", "auditor", "approver", "admin", "owner"]),
        "Scope" => json!({ "type": "string", "pattern": "^[a-z]+:[a-z]+$" }),
        "Uuid" => json!({ "type": "string", "format": "uuid" }),
        "ActionResult" => words(&["permitted", "refused", "cancelled"]),
        "CancelCause" => words(&["withdrawn", "administrator", "user_disabled", "endpoint_removed"]),
        "Flag" => json!({ "type": "string", "pattern": "^[a-z_]+$" }),
        "PolicyRef" => object(
            &["id", "revision"],
            json!({ "id": of("PolicyId").ok()?, "revision": whole }),
        ),
        "SnapshotRef" => object(
            &["epoch", "version"],
            json!({ "epoch": whole, "version": whole, "sha256": { "type": "string", "pattern": "^[0-9a-f]{64}$" } }),
        ),
        "CitedSnapshot" => object(
            &["epoch", "version", "sha256"],
            json!({ "epoch": whole, "version": whole, "sha256": { "type": "string", "pattern": "^[0-9a-f]{64}$" } }),
        ),
        "GrantTerms" => object(
            &["notAfter", "mfaPending"],
            json!({ "notAfter": { "type": "string", "format": "date-time" }, "mfaPending": { "type": "boolean" },
                "uses": { "anyOf": [whole, { "type": "null" }] } }),
        ),
        "Windows" => object(
            &["pendingMinutes", "escalatedMinutes", "grantMinutes"],
            json!({ "pendingMinutes": whole, "escalatedMinutes": whole, "grantMinutes": whole,
                "uses": { "anyOf": [whole, { "type": "null" }] } }),
        ),
        "Machine" => object(
            &["name", "os", "osVersion", "machineId"],
            json!({ "name": { "type": "string" }, "os": words(&["windows", "macos", "linux"]),
                "osVersion": { "type": "string" }, "machineId": { "type": "string" } }),
        ),
        "Profile" => object(
            &["userName"],
            json!({ "userName": { "type": "string" }, "externalId": { "type": "string" }, "attributes": { "type": "object" } }),
        ),
        // Documents with a contract of their own: docs/domain.md § 2 and § 3.
        "PolicyDocument" => object(&["name", "type", "status"], json!({})),
        "Settings" => object(&["baseline", "windows"], json!({})),
        "ProviderDefinition" => object(&["name", "issuer", "clientId"], json!({})),
        "RuleDefinition" => object(&["name", "primary"], json!({})),
        "Route" => object(&["primary", "secondary", "quorum"], json!({})),
        "RequestDetails" => object(&["action", "digest", "justification"], json!({})),
        "RecordedInput" => object(&["action"], json!({})),
        "RecordedDecision" => object(&["outcome", "steps", "matched", "engine"], json!({})),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_every_event_has_a_schema() {
        let schema = events().unwrap();
        let count: usize = EVENT_FIELDS.iter().map(|(_, events)| events.len()).sum();
        assert_eq!(schema["$defs"].as_object().unwrap().len(), count);
        assert_eq!(
            schema["$defs"]["GrantUsed"]["required"],
            json!(["request", "person", "number", "usedAt"])
        );
    }
}
