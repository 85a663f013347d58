//! From an event's type and data, as a log has them, to the typed event, without a copy of either.

use serde::{
    Deserialize,
    de::{DeserializeSeed, IntoDeserializer, MapAccess, value::MapAccessDeserializer},
};
use serde_json::{Error, Map, Value};

/// Reads an event of one aggregate, already brought to its newest schema version.
///
/// # Errors
/// The type is none of that aggregate, or the data has not its shape.
pub fn read_event<'de, E: Deserialize<'de>>(event_type: &'de str, data: &'de Map<String, Value>) -> Result<E, Error> {
    E::deserialize(MapAccessDeserializer::new(Parts {
        event_type: Some(event_type),
        data: Some(data),
    }))
}

/// `{"type": …, "data": …}`, the type first, as the enums of events are read fastest.
struct Parts<'de> {
    event_type: Option<&'de str>,
    data: Option<&'de Map<String, Value>>,
}

impl<'de> MapAccess<'de> for Parts<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let key = match (self.event_type, self.data) {
            (Some(_), _) => "type",
            (None, Some(_)) => "data",
            (None, None) => return Ok(None),
        };
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        if let Some(event_type) = self.event_type.take() {
            return seed.deserialize(event_type.into_deserializer());
        }
        match self.data.take() {
            Some(data) => seed.deserialize(data),
            None => Err(serde::de::Error::custom("there is no more")),
        }
    }
}
