//! Personal data: sealed from the first event, gone with the person's key, while proofs stay good.

use eventstore::{Recorded, Store, StoreError, TenantTx};
use formats::{Address, PersonId, TenantId};
use model::Personal;
use serde_json::{Value, json};

use crate::{
    member::{Command, Event, Member},
    world::{World, envelope, run, run_as},
};

const CANARY: &str = "canary-5d1f";

async fn member_with_canary(world: &World) -> (uuid::Uuid, PersonId) {
    let (id, person) = (world.id(), world.ambient.id::<PersonId>());
    let mut sent = envelope(&world.store);
    (sent.person, sent.address) = (Some(person), Some(format!("{CANARY}.example.test")));
    let join = Command::Join {
        person,
        name: format!("{CANARY} name"),
        email: format!("{CANARY}@example.test"),
    };
    run_as(&world.store, world.tenant, id, &sent, join).await.unwrap();
    (id, person)
}

async fn last(store: &Store, tenant: TenantId) -> Recorded {
    let head = store.head(tenant).await.unwrap();
    store.read(tenant, head - 1, 1).await.unwrap().pop().unwrap()
}

/// Everything the database holds, as text.
async fn dump(world: &World) -> String {
    let mut text = String::new();
    for sql in [
        "select convert_from(body, 'UTF8') || metadata::text || e::text from events e",
        "select c::text from claim c",
        "select c::text from command c",
        "select convert_from(state, 'UTF8') from aggregate_snapshot",
        "select k::text from person_key k",
    ] {
        text.extend(
            sqlx::query_scalar::<_, String>(sql)
                .fetch_all(&world.admin)
                .await
                .unwrap(),
        );
    }
    text
}

#[tokio::test]
async fn personal_data_is_stored_sealed_and_read_in_clear() {
    let world = World::new().await;
    let (id, person) = member_with_canary(&world).await;
    let (state, version) = world.store.load::<Member>(world.tenant, id).await.unwrap();
    world
        .store
        .keep_snapshot(world.tenant, id, &state, version)
        .await
        .unwrap();
    let stored = dump(&world).await;
    assert!(stored.contains("Joined") && !stored.contains(CANARY), "{stored}");

    for store in [world.store.clone(), world.process().await] {
        let event = last(&store, world.tenant).await;
        assert_eq!(event.body.data["name"], json!({"$personal": format!("{CANARY} name")}));
        assert_eq!(
            event.body.meta.address,
            Some(Address::Clear(format!("{CANARY}.example.test")))
        );
        assert_eq!(event.person(), Some(person));
        let Event::Joined { name, .. } = event.event::<Member>().unwrap() else {
            panic!("{event:?}")
        };
        assert_eq!(name, Personal::new(format!("{CANARY} name")));
    }
}

#[tokio::test]
async fn an_erased_person_is_unreadable_in_every_process_and_the_proofs_stay_good() {
    let world = World::new().await;
    let other = world.process().await;
    let (id, person) = member_with_canary(&world).await;
    let before = last(&other, world.tenant).await;
    let (state, _) = world.store.load::<Member>(world.tenant, id).await.unwrap();

    world.store.vault().erase_person(world.tenant, person).await.unwrap();
    for store in [world.store.clone(), other] {
        let after = last(&store, world.tenant).await;
        assert_eq!((after.leaf, &after.bytes), (before.leaf, &before.bytes));
        for field in ["name", "email"] {
            assert_eq!(after.body.data[field], json!({"$personal": null}));
        }
        assert_eq!(after.body.meta.address, None);
        let Event::Joined { name, .. } = after.event::<Member>().unwrap() else {
            panic!("{after:?}")
        };
        assert_eq!(name, Personal::erased());
        assert_eq!(
            store.replay::<Member>(world.tenant, id).await.unwrap().0,
            state,
            "decisions stay the same"
        );
    }
    let mut tx = TenantTx::begin_read(world.store.pool(), world.tenant).await.unwrap();
    assert_eq!(world.store.verify_in(&mut tx, 0, 100).await.unwrap().fault, None);
    assert!(world.store.vault().is_erased_in(&mut tx, person).await.unwrap());
}

#[tokio::test]
async fn nothing_more_is_kept_about_an_erased_person() {
    let world = World::new().await;
    let (id, person) = member_with_canary(&world).await;
    world.store.vault().erase_person(world.tenant, person).await.unwrap();
    world.store.vault().erase_person(world.tenant, person).await.unwrap();
    for store in [world.store.clone(), world.process().await] {
        let change = Command::ChangeEmail {
            email: format!("later-{CANARY}@example.test"),
        };
        run(&store, world.tenant, id, change).await.unwrap();
        let event = last(&store, world.tenant).await;
        assert_eq!(
            (event.body.event_type.as_str(), &event.body.sealed),
            ("EmailChanged", &None)
        );
        assert_eq!(event.body.data["email"], json!({"$personal": null}));
    }
    assert!(!dump(&world).await.contains(CANARY));
}

#[tokio::test]
async fn a_person_of_the_same_id_in_another_tenant_is_someone_else() {
    let world = World::new().await;
    let (_, person) = member_with_canary(&world).await;
    let join = Command::Join {
        person,
        name: "Namesake".into(),
        email: "n@example.test".into(),
    };
    run(&world.store, world.other, world.id(), join).await.unwrap();
    world.store.vault().erase_person(world.tenant, person).await.unwrap();
    assert_eq!(
        last(&world.store, world.other).await.body.data["name"],
        json!({"$personal": "Namesake"})
    );
    assert_eq!(
        last(&world.store, world.tenant).await.body.data["name"],
        json!({"$personal": null})
    );
}

mod leaky {
    //! Aggregates that would leak personal data: the store refuses to write their events or to keep their state.

    use cqrs_es::event_sink::EventSink;
    use model::{EventData, Noun, Personal};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, Default, Serialize, Deserialize)]
    pub struct Leaky {
        pub name: Option<Personal<String>>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    pub enum Event {
        OfNobody { name: Personal<String> },
        Nested { names: Vec<Personal<String>> },
        Fraction { share: f64 },
    }

    #[derive(Debug, thiserror::Error)]
    #[error("never")]
    pub struct Never;

    impl cqrs_es::DomainEvent for Event {
        fn event_type(&self) -> String {
            match self {
                Self::OfNobody { .. } => "OfNobody",
                Self::Nested { .. } => "Nested",
                Self::Fraction { .. } => "Fraction",
            }
            .to_owned()
        }
        fn event_version(&self) -> String {
            "1".to_owned()
        }
    }

    impl EventData for Event {}

    impl cqrs_es::Aggregate for Leaky {
        const TYPE: &'static str = "leaky";
        type Command = Event;
        type Event = Event;
        type Error = Never;
        type Services = ();
        async fn handle(&mut self, event: Event, (): &(), sink: &EventSink<Self>) -> Result<(), Never> {
            sink.write(event, self).await;
            Ok(())
        }
        fn apply(&mut self, _: Event) {}
    }

    impl Noun for Leaky {
        fn decide(&self, event: Event) -> Result<Vec<Event>, Never> {
            Ok(vec![event])
        }
    }
}

#[tokio::test]
async fn an_event_that_would_stand_in_clear_or_has_no_canonical_form_is_not_written() {
    use leaky::{Event, Leaky};
    let world = World::new().await;
    let events = [
        (
            Event::OfNobody {
                name: Personal::new("x".into()),
            },
            "of no person",
        ),
        (
            Event::Nested {
                names: vec![Personal::new("x".into())],
            },
            "below the top level",
        ),
        (Event::Fraction { share: 0.5 }, "Fraction"),
    ];
    for (event, reason) in events {
        let refused = world
            .store
            .execute::<Leaky>(world.tenant, world.id(), &envelope(&world.store), |_| event.clone())
            .await;
        match refused {
            Err(eventstore::ExecuteError::Store(error @ StoreError::Unwritable { .. })) => {
                assert!(error.to_string().contains(reason), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(world.positions(world.tenant).await, [1]);
}

#[tokio::test]
async fn a_state_with_personal_data_is_not_kept() {
    let world = World::new().await;
    let state = leaky::Leaky {
        name: Some(Personal::new(CANARY.into())),
    };
    let refused = world.store.keep_snapshot(world.tenant, world.id(), &state, 1).await;
    assert!(
        matches!(refused, Err(eventstore::SnapshotError::Personal("leaky"))),
        "{refused:?}"
    );
    let kept: Vec<Value> = sqlx::query_scalar("select to_jsonb(s) from aggregate_snapshot s")
        .fetch_all(&world.admin)
        .await
        .unwrap();
    assert_eq!(kept, Vec::<Value>::new());
}
