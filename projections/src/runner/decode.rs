//! From events of the log to what projections fold, once for all of them.

use eventstore::Recorded;
use formats::Address;
use model::catalogue::AnyEvent;

use crate::Envelope;

/// An event, or why it cannot be read: a type or shape that the program does not know.
pub(crate) struct Decoded {
    pub(crate) position: u64,
    pub(crate) stream_type: String,
    pub(crate) envelope: Result<Box<Envelope>, String>,
}

pub(crate) fn decode(recorded: Recorded) -> Decoded {
    let person = recorded.person();
    let body = recorded.body;
    let address = match &body.meta.address {
        Some(Address::Clear(address)) => Some(address.clone()),
        // An address that was not opened is not shown.
        Some(Address::Sealed(_)) | None => None,
    };
    let address_person = recorded.address_person.filter(|_| address.is_some());
    let envelope = AnyEvent::read(&body.stream.stream_type, &body.event_type, &body.data)
        .map(|event| {
            Box::new(Envelope {
                tenant: body.tenant,
                position: recorded.position,
                stream_type: body.stream.stream_type.clone(),
                stream_id: body.stream.id,
                stream_version: body.stream.version,
                event_type: body.event_type.clone(),
                occurred_at: body.occurred_at,
                recorded_at: body.recorded_at,
                actor: body.actor,
                meta: formats::EventMeta {
                    address: None,
                    ..body.meta
                },
                address,
                address_person,
                person,
                data: body.data,
                event,
                leaf: recorded.leaf,
            })
        })
        .map_err(|error| format!("{} at position {}: {error}", body.event_type, recorded.position));
    Decoded {
        position: recorded.position,
        stream_type: body.stream.stream_type,
        envelope,
    }
}
