//! From a row of the log back to an event: personal fields opened, old schemas lifted.

use formats::{
    Address, EventBody, PersonId, SealContext, Sealed,
    seal::{self, PURPOSE_ADDRESS, PURPOSE_DATA},
};
use model::{Noun, read_event};
use serde_json::{Map, Value};

use crate::{StoreError, Upcasters, encode::personal_value, load::Stored, vault::People};

/// An event as readers get it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its number in the tenant's log, from 1, without gaps.
    pub position: u64,
    /// What happened, with personal data in its place (`{"$personal": value}`, or null where the person was erased), the
    /// address in clear (none where erased), and `data` lifted to the newest schema. `sealed` is as stored.
    pub body: EventBody,
    /// Whose the address was, where it was sealed.
    pub address_person: Option<PersonId>,
    /// The hash that the Merkle tree has of it.
    pub leaf: [u8; 32],
    /// The stored bytes, which `leaf` is the hash of.
    pub bytes: Vec<u8>,
}

impl Recorded {
    /// Whom its personal data is about.
    #[must_use]
    pub fn person(&self) -> Option<PersonId> {
        self.body.sealed.as_ref().map(|sealed| sealed.person)
    }

    /// The event of an aggregate.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] where it is none of that aggregate.
    pub fn event<A: Noun>(&self) -> Result<A::Event, StoreError> {
        read_event(&self.body.event_type, &self.body.data)
            .map_err(|e| StoreError::unreadable(format!("event {}", self.position), e))
    }
}

/// Whose keys are needed to read these.
pub(crate) fn people_of(events: &[Recorded]) -> Vec<PersonId> {
    let mut people: Vec<PersonId> = events
        .iter()
        .flat_map(|event| event.person().into_iter().chain(event.address_person))
        .collect();
    people.sort_unstable();
    people.dedup();
    people
}

/// Whose address it is, where it is sealed.
pub(crate) fn address_person(body: &EventBody) -> Option<PersonId> {
    match &body.meta.address {
        Some(Address::Sealed(sealed)) => Some(sealed.person),
        _ => None,
    }
}

/// Opens what is sealed and lifts the data.
pub(crate) fn open(body: &mut EventBody, people: &People, upcasters: &Upcasters) -> Result<(), StoreError> {
    if let Some(sealed) = &body.sealed
        && let Some(plain) = open_blob(body, sealed, PURPOSE_DATA, people)?
    {
        let personal: Map<String, Value> =
            serde_json::from_slice(&plain).map_err(|e| StoreError::unreadable(place(body), e))?;
        for (name, value) in personal {
            if let Some(place) = body.data.get_mut(&name).and_then(personal_value) {
                *place = value;
            }
        }
    }
    if let Some(Address::Sealed(sealed)) = &body.meta.address {
        let plain = open_blob(body, sealed, PURPOSE_ADDRESS, people)?;
        body.meta.address = plain.map(|bytes| Address::Clear(String::from_utf8_lossy(&bytes).into_owned()));
    }
    if upcasters.concerns(&body.event_type, body.schema) {
        let data = std::mem::take(&mut body.data);
        (body.schema, body.data) = upcasters.lift(&body.event_type, body.schema, data);
    }
    Ok(())
}

/// None where the person's key is gone.
fn open_blob(body: &EventBody, sealed: &Sealed, purpose: &str, people: &People) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(key) = people.get(&sealed.person) else {
        return Ok(None);
    };
    let context = SealContext {
        tenant: body.tenant,
        stream_type: &body.stream.stream_type,
        stream_id: body.stream.id,
        version: body.stream.version,
        purpose,
    };
    seal::open(key, &context, sealed)
        .map(Some)
        .map_err(|e| StoreError::unreadable(place(body), e))
}

fn place(body: &EventBody) -> String {
    format!(
        "event {}/{}/{}",
        body.stream.stream_type, body.stream.id, body.stream.version
    )
}

/// The typed event of a row, as an aggregate replays it: without personal data, which no state holds, so that a replay is
/// the same before and after an erasure.
pub(crate) fn replayed<A: Noun>(stored: &Stored, upcasters: &Upcasters) -> Result<A::Event, StoreError> {
    let event = if upcasters.concerns(&stored.event_type, stored.schema) {
        EventBody::read(&stored.body)
            .map_err(|e| e.to_string())
            .and_then(|body| {
                let (_, data) = upcasters.lift(&stored.event_type, stored.schema, body.data);
                read_event(&stored.event_type, &data).map_err(|e| e.to_string())
            })
    } else {
        // The body has `type` and `data` where the event enum expects them; the rest is not looked at.
        serde_json::from_slice(&stored.body).map_err(|e| e.to_string())
    };
    event.map_err(|e| StoreError::unreadable(format!("{} event {}", A::TYPE, stored.version), e))
}
