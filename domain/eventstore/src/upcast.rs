//! Upcasters: how an event of an old schema becomes one of the next.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Turns the data of an event into that of the next schema version. Pure; personal fields are there in their opened
/// form, `{"$personal": value}`.
pub type Upcast = fn(Map<String, Value>) -> Map<String, Value>;

/// The upcasters of the product, by event type and the schema they start from. Stored events never change; they are
/// lifted each time they are read.
#[derive(Clone, Default)]
pub struct Upcasters(BTreeMap<(String, u32), Upcast>);

impl Upcasters {
    /// None: every event is of the schema that the program knows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the step from `schema` to `schema + 1` of an event type.
    #[must_use]
    pub fn add(mut self, event_type: &str, schema: u32, upcast: Upcast) -> Self {
        self.0.insert((event_type.to_owned(), schema), upcast);
        self
    }

    /// Whether an event of this schema is changed at all.
    #[must_use]
    pub fn concerns(&self, event_type: &str, schema: u32) -> bool {
        !self.0.is_empty() && self.0.contains_key(&(event_type.to_owned(), schema))
    }

    /// Lifts data step by step as far as there are steps. Returns the schema reached.
    #[must_use]
    pub fn lift(&self, event_type: &str, mut schema: u32, mut data: Map<String, Value>) -> (u32, Map<String, Value>) {
        while let Some(step) = self.0.get(&(event_type.to_owned(), schema)) {
            data = step(data);
            schema += 1;
        }
        (schema, data)
    }

    /// Changes when a step is added: part of the fingerprint of aggregate snapshots.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (event_type, schema) in self.0.keys() {
            hash.update((event_type.len() as u64).to_be_bytes());
            hash.update(event_type);
            hash.update(schema.to_be_bytes());
        }
        hash.finalize().into()
    }
}

impl fmt::Debug for Upcasters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rename(mut data: Map<String, Value>) -> Map<String, Value> {
        if let Some(name) = data.remove("name") {
            data.insert("title".into(), name);
        }
        data
    }

    fn default_level(mut data: Map<String, Value>) -> Map<String, Value> {
        data.insert("level".into(), json!(1));
        data
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn an_old_event_is_lifted_step_by_step_and_a_new_one_is_left_alone() {
        let upcasters = Upcasters::new().add("Named", 1, rename).add("Named", 2, default_level);
        let old = object(json!({"name": "a"}));
        assert_eq!(
            upcasters.lift("Named", 1, old.clone()),
            (3, object(json!({"title": "a", "level": 1})))
        );
        assert_eq!(
            upcasters.lift("Named", 2, old.clone()),
            (3, object(json!({"name": "a", "level": 1})))
        );
        assert_eq!(upcasters.lift("Named", 3, old.clone()), (3, old.clone()));
        assert_eq!(upcasters.lift("Other", 1, old.clone()), (1, old));
    }

    #[test]
    fn a_further_step_changes_the_fingerprint() {
        let one = Upcasters::new().add("Named", 1, rename);
        assert_ne!(one.fingerprint(), Upcasters::new().fingerprint());
        assert_ne!(
            one.fingerprint(),
            one.clone().add("Named", 2, default_level).fingerprint()
        );
    }
}
