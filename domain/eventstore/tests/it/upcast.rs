//! I13, the store's part: an event of an old schema is lifted wherever it is read.

use std::sync::Arc;

use cqrs_es::event_sink::EventSink;
use eventstore::{InProcess, Options, StoreError, Upcasters};
use formats::PersonId;
use model::{EventData, Noun, Personal};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::world::{World, envelope, process_with};

/// The same aggregate in an old and in a new program.
macro_rules! program {
    ($module:ident, $version:literal, { $($field:ident: $type:ty),* }) => {
        mod $module {
            use super::*;

            #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
            pub struct Note {
                pub levels: Vec<u64>,
            }

            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct Noted {
                $(pub $field: $type),*
            }

            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[serde(tag = "type", content = "data")]
            pub enum Event {
                Noted(Noted),
            }

            #[derive(Debug, thiserror::Error)]
            #[error("never")]
            pub struct Never;

            impl cqrs_es::DomainEvent for Event {
                fn event_type(&self) -> String {
                    "Noted".to_owned()
                }
                fn event_version(&self) -> String {
                    $version.to_owned()
                }
            }

            impl EventData for Event {
                fn person(&self) -> Option<PersonId> {
                    let Self::Noted(noted) = self;
                    Some(noted.person)
                }
            }

            impl cqrs_es::Aggregate for Note {
                const TYPE: &'static str = "note";
                type Command = Event;
                type Event = Event;
                type Error = Never;
                type Services = ();
                async fn handle(&mut self, event: Event, (): &(), sink: &EventSink<Self>) -> Result<(), Never> {
                    sink.write(event, self).await;
                    Ok(())
                }
                fn apply(&mut self, event: Event) {
                    let Event::Noted(noted) = event;
                    self.levels.push(noted.level);
                }
            }

            impl Noun for Note {
                fn decide(&self, event: Event) -> Result<Vec<Event>, Never> {
                    Ok(vec![event])
                }
            }
        }
    };
}

program!(old, "1", { person: PersonId, text: Personal<String>, level: u64 });
program!(new, "3", { person: PersonId, title: Personal<String>, level: u64, tags: Vec<String> });

fn text_is_title(mut data: Map<String, Value>) -> Map<String, Value> {
    if let Some(text) = data.remove("text") {
        data.insert("title".into(), text);
    }
    data
}

fn tags_and_level(mut data: Map<String, Value>) -> Map<String, Value> {
    data.insert("tags".into(), json!([]));
    let level = data.get("level").and_then(Value::as_u64).unwrap_or(0);
    data.insert("level".into(), json!(level * 10));
    data
}

#[tokio::test]
async fn an_event_of_an_old_schema_is_lifted_in_loads_reads_and_answers() {
    let world = World::new().await;
    let (id, person) = (world.id(), world.ambient.id::<PersonId>());
    let first = envelope(&world.store);
    let noted = old::Event::Noted(old::Noted {
        person,
        text: Personal::new("hello".into()),
        level: 4,
    });
    world
        .store
        .execute::<old::Note>(world.tenant, id, &first, |_| noted.clone())
        .await
        .unwrap();
    // The old program kept a state; the new one must not take it, since an upcaster changes what it holds.
    let (state, version) = world.store.load::<old::Note>(world.tenant, id).await.unwrap();
    world
        .store
        .keep_snapshot(world.tenant, id, &state, version)
        .await
        .unwrap();

    let upcasters = Upcasters::new()
        .add("Noted", 1, text_is_title)
        .add("Noted", 2, tags_and_level);
    let url = &world.database.url_app;
    let store = process_with(url, Options::default(), upcasters, Arc::new(InProcess::new())).await;
    assert_eq!(store.load::<new::Note>(world.tenant, id).await.unwrap().0.levels, [40]);

    let lifted = new::Noted {
        person,
        title: Personal::new("hello".into()),
        level: 40,
        tags: vec![],
    };
    let ignored = new::Event::Noted(new::Noted {
        level: 99,
        ..lifted.clone()
    });
    let again = store
        .execute::<new::Note>(world.tenant, id, &first, |_| ignored.clone())
        .await
        .unwrap();
    assert!(again.duplicate);
    assert_eq!(again.events, [new::Event::Noted(lifted.clone())]);
    let read = store.read(world.tenant, 1, 10).await.unwrap();
    assert_eq!(
        (read[0].body.schema, read[0].event::<new::Note>().unwrap()),
        (3, new::Event::Noted(lifted))
    );
    assert_eq!(
        read[0].leaf,
        formats::leaf_hash(&read[0].bytes),
        "what is stored stays as it was"
    );

    let next = new::Event::Noted(new::Noted {
        person,
        title: Personal::new("x".into()),
        level: 5,
        tags: vec![],
    });
    store
        .execute::<new::Note>(world.tenant, id, &envelope(&store), |_| next.clone())
        .await
        .unwrap();
    assert_eq!(
        store.replay::<new::Note>(world.tenant, id).await.unwrap().0.levels,
        [40, 5]
    );
}

/// The broken variant: no upcaster.
#[tokio::test]
async fn control_without_an_upcaster_the_old_event_cannot_be_read() {
    let world = World::new().await;
    let (id, person) = (world.id(), world.ambient.id::<PersonId>());
    let noted = old::Event::Noted(old::Noted {
        person,
        text: Personal::new("hello".into()),
        level: 4,
    });
    world
        .store
        .execute::<old::Note>(world.tenant, id, &envelope(&world.store), |_| noted.clone())
        .await
        .unwrap();
    let error = world
        .process()
        .await
        .load::<new::Note>(world.tenant, id)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unreadable { .. }), "{error}");
}
