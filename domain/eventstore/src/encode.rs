//! From a domain event to the row in the log: personal fields out of the data, sealed; the canonical bytes; the leaf.

use std::collections::{HashMap, HashSet};

use formats::{
    Actor, Address, Ambient, EventBody, EventMeta, PersonId, SealContext, Sealed, StreamRef, TenantId, Timestamp,
    event::BODY_VERSION,
    seal::{self, PURPOSE_ADDRESS, PURPOSE_DATA},
};
use model::{ClaimChange, EventData};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    Envelope, StoreError,
    append::{EncodedClaim, EncodedEvent},
    vault::{Person, TenantKeys},
};

/// The key of a personal value's one field.
pub(crate) const PERSONAL: &str = "$personal";

/// What the events of a command have in common.
pub(crate) struct Writing<'a> {
    pub(crate) ambient: &'a Ambient,
    /// The keys of everybody that [`people`] names; none where a person was erased.
    pub(crate) people: &'a HashMap<PersonId, Person>,
    pub(crate) tenant: TenantId,
    pub(crate) stream_type: &'a str,
    pub(crate) stream_id: Uuid,
    pub(crate) envelope: &'a Envelope,
    pub(crate) recorded_at: Timestamp,
}

/// The column `metadata`: a copy of what is in the body.
#[derive(Serialize)]
struct Metadata<'a> {
    actor: &'a Actor,
    #[serde(flatten)]
    meta: &'a EventMeta,
}

impl Writing<'_> {
    /// The rows of these events, the first of which gets the version after `version`.
    pub(crate) fn encode<E: EventData>(&self, version: u64, events: &[E]) -> Result<Vec<EncodedEvent>, StoreError> {
        (version + 1..)
            .zip(events)
            .map(|(version, event)| self.encode_one(version, event))
            .collect()
    }

    fn encode_one<E: EventData>(&self, version: u64, event: &E) -> Result<EncodedEvent, StoreError> {
        let event_type = event.event_type();
        let unwritable = |reason: &str| StoreError::unwritable(&event_type, reason);
        let schema: u32 = event
            .event_version()
            .parse()
            .map_err(|_| unwritable("its version is not a number"))?;
        if self.envelope.texts().any(|text| text.contains('\0')) {
            return Err(unwritable(
                "PostgreSQL keeps no NUL, and one is in what surrounds the command",
            ));
        }
        let mut data = match serde_json::to_value(event).map_err(|e| unwritable(&e.to_string()))? {
            Value::Object(mut whole) if whole.get("type").and_then(Value::as_str) == Some(event_type.as_str()) => {
                match whole.remove("data") {
                    Some(Value::Object(data)) => data,
                    None => Map::new(),
                    Some(_) => return Err(unwritable("its data is no object")),
                }
            }
            _ => return Err(unwritable("it is not written as `type` and `data`")),
        };
        let personal = take_personal(&mut data);
        if data.values().any(has_personal) {
            return Err(unwritable("personal data below the top level cannot be sealed"));
        }
        let sealed = if personal.is_empty() {
            None
        } else {
            let person = event
                .person()
                .ok_or_else(|| unwritable("it has personal data, but of no person"))?;
            let plain = Zeroizing::new(serde_json::to_vec(&personal).map_err(|e| unwritable(&e.to_string()))?);
            self.seal(version, person, PURPOSE_DATA, &plain)
        };
        let body = EventBody {
            v: BODY_VERSION,
            tenant: self.tenant,
            stream: StreamRef {
                stream_type: self.stream_type.to_owned(),
                id: self.stream_id,
                version,
            },
            event_type,
            schema,
            command_id: self.envelope.command_id,
            occurred_at: event.occurred_at().unwrap_or(self.recorded_at),
            recorded_at: self.recorded_at,
            actor: self.envelope.actor.clone(),
            meta: EventMeta {
                correlation: self.envelope.correlation,
                causation: self.envelope.causation,
                traceparent: self.envelope.traceparent.clone(),
                address: self.address(version),
            },
            data,
            sealed,
        };
        let (bytes, leaf) = body
            .to_leaf()
            .map_err(|e| StoreError::unwritable(&body.event_type, e))?;
        let metadata = serde_json::to_string(&Metadata {
            actor: &body.actor,
            meta: &body.meta,
        })
        .map_err(|e| StoreError::unwritable(&body.event_type, e))?;
        Ok(EncodedEvent {
            schema: i32::try_from(schema).unwrap_or(i32::MAX),
            occurred_at: body.occurred_at.to_datetime(),
            recorded_at: body.recorded_at.to_datetime(),
            event_type: body.event_type,
            body: bytes,
            metadata,
            leaf,
        })
    }

    /// The caller's address: a person's is sealed under their key, a machine's stands in clear.
    fn address(&self, version: u64) -> Option<Address> {
        let address = self.envelope.address.as_ref()?;
        match self.envelope.person {
            None => Some(Address::Clear(address.clone())),
            Some(person) => self
                .seal(version, person, PURPOSE_ADDRESS, address.as_bytes())
                .map(Address::Sealed),
        }
    }

    /// None where the person was erased: then nothing more is kept about them.
    fn seal(&self, version: u64, person: PersonId, purpose: &str, plain: &[u8]) -> Option<Sealed> {
        let (key_version, key) = self.people.get(&person)?.as_ref()?;
        let context = SealContext {
            tenant: self.tenant,
            stream_type: self.stream_type,
            stream_id: self.stream_id,
            version,
            purpose,
        };
        Some(seal::seal(
            key,
            *key_version,
            person,
            &context,
            plain,
            self.ambient.bytes(),
        ))
    }
}

/// Whose keys are needed to write these events.
pub(crate) fn people<E: EventData>(envelope: &Envelope, events: &[E]) -> HashSet<PersonId> {
    let caller = envelope.address.as_ref().and(envelope.person);
    events.iter().filter_map(EventData::person).chain(caller).collect()
}

/// The unique claims of these events, under the tenant's key.
pub(crate) fn encode_claims<E: EventData>(keys: &TenantKeys, events: &[E]) -> Vec<EncodedClaim> {
    events
        .iter()
        .flat_map(EventData::claims)
        .map(|change| match change {
            ClaimChange::Take { space, value } => EncodedClaim {
                space,
                value_mac: Some(keys.mac().claim(space, &value)),
            },
            ClaimChange::ReleaseAll { space } => EncodedClaim { space, value_mac: None },
        })
        .collect()
}

/// Takes the personal values out of an event's data. The fields stay, as `{"$personal": null}`, so that an erased event
/// still has its shape.
fn take_personal(data: &mut Map<String, Value>) -> Map<String, Value> {
    let mut personal = Map::new();
    for (name, field) in data.iter_mut() {
        if let Some(value) = personal_value(field)
            && !value.is_null()
        {
            personal.insert(name.clone(), value.take());
        }
    }
    personal
}

/// The value inside `{"$personal": value}`.
pub(crate) fn personal_value(field: &mut Value) -> Option<&mut Value> {
    match field {
        Value::Object(object) if object.len() == 1 => object.get_mut(PERSONAL),
        _ => None,
    }
}

/// Whether there is a personal value, not null, anywhere inside.
pub(crate) fn has_personal(value: &Value) -> bool {
    match value {
        Value::Object(object) => object
            .iter()
            .any(|(k, v)| (k == PERSONAL && !v.is_null()) || has_personal(v)),
        Value::Array(array) => array.iter().any(has_personal),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn personal_values_leave_the_data_and_their_fields_stay() {
        let mut data = json!({"id": 1, "name": {"$personal": "Ada"}, "gone": {"$personal": null}, "other": {"x": 1}})
            .as_object()
            .cloned()
            .unwrap();
        let personal = take_personal(&mut data);
        assert_eq!(Value::Object(personal), json!({"name": "Ada"}));
        assert_eq!(
            Value::Object(data),
            json!({"id": 1, "name": {"$personal": null}, "gone": {"$personal": null}, "other": {"x": 1}})
        );
    }

    #[test]
    fn a_personal_value_is_found_at_any_depth() {
        assert!(has_personal(&json!([{"a": {"b": [{"$personal": "x"}]}}])));
        assert!(!has_personal(&json!({"a": {"$personal": null}, "b": "$personal"})));
    }
}
