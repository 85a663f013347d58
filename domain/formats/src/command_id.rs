//! Ids of commands: what makes a repeated call the same command (`docs/formats.md § 9`).

use uuid::{Uuid, uuid};

use crate::TenantId;

/// The namespace of ids of commands that come from outside.
const OUTSIDE: Uuid = uuid!("6d1f0d5c-6e0b-5b0a-9a51-0a3c8a1d7e01");
/// The namespace of ids of commands that follow from an event.
const DERIVED: Uuid = uuid!("6d1f0d5c-6e0b-5b0a-9a51-0a3c8a1d7e02");

/// The id of a command from outside: UUIDv5 over tenant, principal (`usr_…`, `svc_…`), operation (`approve`,
/// `POST /agent/v1/requests`), the index of the field in a GraphQL document (0 elsewhere) and the `Idempotency-Key`.
#[must_use]
pub fn outside(tenant: TenantId, principal: &str, operation: &str, field_index: u32, idempotency_key: &str) -> Uuid {
    let mut name = tenant.uuid().as_bytes().to_vec();
    for text in [principal, operation, idempotency_key] {
        name.extend_from_slice(&(text.len() as u64).to_be_bytes());
        name.extend_from_slice(text.as_bytes());
    }
    name.extend_from_slice(&field_index.to_be_bytes());
    Uuid::new_v5(&OUTSIDE, &name)
}

/// The id of the `n`th command that the timer or reactor `name` derives from the event at `position`: firing twice
/// sends the same command twice.
#[must_use]
pub fn derived(name: &str, tenant: TenantId, position: u64, n: u32) -> Uuid {
    let mut bytes = tenant.uuid().as_bytes().to_vec();
    bytes.extend_from_slice(&position.to_be_bytes());
    bytes.extend_from_slice(&n.to_be_bytes());
    bytes.extend_from_slice(name.as_bytes());
    Uuid::new_v5(&DERIVED, &bytes)
}
