//! `audit_trail`: one row an event, and the queries on them.

use eventstore::{Envelope, TenantTx};
use formats::{ActorKind, PersonId, UserId};
use model::{
    person::{Person, PersonCommand},
    user::{User, UserCommand},
};
use projections::{
    Page,
    audit_trail::{self, AuditEntry, Filter},
};

use crate::world::{MINUTE, World, details, envelope};

async fn listed(world: &World, filter: &Filter) -> Vec<u64> {
    let page = audit_trail::list(&mut world.tx().await, filter, &Page::first(200))
        .await
        .unwrap();
    page.nodes().into_iter().map(|entry| entry.position).collect()
}

async fn at(world: &World, position: u64) -> AuditEntry {
    audit_trail::find(&mut world.tx().await, position)
        .await
        .unwrap()
        .unwrap()
}

/// Makes a user; `person` also acts, from an address.
async fn make_user(world: &World, name: &str, person: PersonId) -> (UserId, Envelope) {
    let user = world.id::<UserId>();
    let envelope = Envelope {
        person: Some(person),
        address: Some("192.0.2.7".into()),
        ..envelope(&world.store)
    };
    let command = UserCommand::CreateUser {
        user,
        person,
        email: format!("{}@example.test", name.to_lowercase().replace(' ', "-")),
        name: name.to_owned(),
        source: "demo".into(),
    };
    world
        .store
        .execute::<User>(world.tenant, user.uuid(), &envelope, |_| command.clone())
        .await
        .unwrap();
    (user, envelope)
}

#[tokio::test]
async fn an_entry_says_who_did_what_when_from_where_and_how_they_proved_it() {
    let world = World::new().await;
    let person = world.id::<PersonId>();
    let (user, sent) = make_user(&world, "Dora", person).await;
    world.drain().await;
    let entry = at(&world, 2).await;
    assert_eq!(
        (entry.event_type.as_str(), entry.stream_type.as_str()),
        ("UserCreated", "user")
    );
    assert_eq!((entry.stream_id, entry.stream_version), (user.uuid(), 1));
    assert_eq!((entry.occurred_at, entry.recorded_at), (world.now(), world.now()));
    assert_eq!(
        (entry.actor_kind, entry.actor_id, entry.method),
        (ActorKind::User, sent.actor.id, sent.actor.method)
    );
    assert_eq!(
        (entry.address.as_deref(), entry.correlation, entry.causation),
        (Some("192.0.2.7"), sent.correlation, None)
    );
    assert_eq!(entry.data["name"], "Dora");
    assert_eq!(entry.data["user"], user.to_string());
    assert_eq!((entry.person, entry.marked), (Some(person), false));
    let mut tx = world.tx().await;
    assert_eq!(world.store.leaves_in(&mut tx, 1, 1).await.unwrap(), [entry.leaf]);
    assert_eq!(audit_trail::find(&mut tx, 3).await.unwrap(), None);
    assert_eq!(audit_trail::find(&mut world.other_tx().await, 2).await.unwrap(), None);
}

#[tokio::test]
async fn filters_find_what_they_say_the_newest_first() {
    let world = World::new().await;
    let start = world.now();
    let (dora, sent) = make_user(&world, "Dora Lindqvist", world.id()).await;
    world.clock.advance(MINUTE);
    let (_emil, _) = make_user(&world, "Emil", world.id()).await;
    world.clock.advance(MINUTE);
    world
        .run::<User>(
            dora.uuid(),
            UserCommand::SignIn {
                method: "password".into(),
            },
        )
        .await
        .unwrap();
    let until = world.now() + 15 * MINUTE;
    world
        .run::<User>(
            dora.uuid(),
            UserCommand::LockChannel {
                channel: "sign-in".into(),
                until,
            },
        )
        .await
        .unwrap();
    let mut submission = world.submission(world.id(), dora);
    submission.details = details("/opt/tools/nmap", "Scan of the Linköping office");
    world.submit(submission.clone()).await;
    world.drain().await;

    let all = Filter::default();
    assert_eq!(listed(&world, &all).await, [6, 5, 4, 3, 2, 1]);
    assert_eq!(
        listed(
            &world,
            &Filter {
                types: vec!["UserCreated".into()],
                ..all.clone()
            }
        )
        .await,
        [3, 2]
    );
    assert_eq!(
        listed(
            &world,
            &Filter {
                stream_types: vec!["tenant".into(), "request".into()],
                ..all.clone()
            }
        )
        .await,
        [6, 1]
    );
    assert_eq!(
        listed(
            &world,
            &Filter {
                subject: Some(dora.uuid()),
                ..all.clone()
            }
        )
        .await,
        [5, 4, 2]
    );
    assert_eq!(
        listed(
            &world,
            &Filter {
                actor: sent.actor.id.clone(),
                ..all.clone()
            }
        )
        .await,
        [2]
    );
    assert_eq!(
        listed(
            &world,
            &Filter {
                correlation: Some(sent.correlation),
                ..all.clone()
            }
        )
        .await,
        [2]
    );
    let range = Filter {
        from_position: Some(2),
        until_position: Some(4),
        ..all.clone()
    };
    assert_eq!(listed(&world, &range).await, [4, 3, 2]);
    let times = Filter {
        recorded_from: Some(start + MINUTE),
        recorded_until: Some(start + 2 * MINUTE),
        ..all.clone()
    };
    assert_eq!(listed(&world, &times).await, [3]);
    assert_eq!(
        listed(
            &world,
            &Filter {
                marked_only: true,
                ..all.clone()
            }
        )
        .await,
        [5]
    );

    let search = |text: &str| Filter {
        search: Some(text.into()),
        ..all.clone()
    };
    assert_eq!(listed(&world, &search("lindqvist")).await, [2]);
    assert_eq!(listed(&world, &search("NMAP linköping")).await, [6]);
    assert_eq!(listed(&world, &search("example")).await, [3, 2]);
    assert_eq!(listed(&world, &search("link*")).await, [6]);
    assert!(listed(&world, &search("link")).await.is_empty());
    assert_eq!(
        listed(&world, &search(&dora.to_string())).await,
        [5, 4, 2],
        "an id stands for its history"
    );
    let both = Filter {
        types: vec!["UserCreated".into()],
        ..search("example emil")
    };
    assert_eq!(listed(&world, &both).await, [3]);

    let mut tx = world.tx().await;
    let first = audit_trail::list(&mut tx, &all, &Page::first(4)).await.unwrap();
    let cursor = first.edges[3].cursor.clone();
    assert!(first.more);
    let second = audit_trail::list(&mut tx, &all, &Page::after(cursor.clone(), 4))
        .await
        .unwrap();
    assert_eq!(second.edges.iter().map(|e| e.node.position).collect::<Vec<_>>(), [2, 1]);
    assert!(!second.more);
    let before = Page {
        backward: true,
        ..Page::after(cursor, 2)
    };
    let before = audit_trail::list(&mut tx, &search("example*"), &before).await.unwrap();
    assert_eq!(before.edges.len(), 0, "nothing newer than position 3 was found");
}

#[tokio::test]
async fn as_of_a_moment_is_the_highest_position_recorded_by_then_even_where_clocks_disagree() {
    let world = World::new().await;
    let start = world.now();
    world.clock.advance(10 * MINUTE);
    make_user(&world, "Fast", world.id()).await;
    world.clock.set(start + 5 * MINUTE);
    make_user(&world, "Slow", world.id()).await;
    world.clock.set(start + 20 * MINUTE);
    make_user(&world, "Last", world.id()).await;
    world.drain().await;
    let mut tx = world.tx().await;
    let mut as_of = async |minutes: u32| audit_trail::as_of(&mut tx, start + minutes * MINUTE).await.unwrap();
    assert_eq!(as_of(0).await, 1);
    assert_eq!(as_of(5).await, 3);
    assert_eq!(as_of(19).await, 3);
    assert_eq!(as_of(20).await, 4);
    let before = audit_trail::as_of(&mut world.tx().await, start - MINUTE).await.unwrap();
    assert_eq!(before, 0);
}

#[tokio::test]
async fn an_erased_person_leaves_the_fact_and_no_word_of_theirs() {
    let world = World::new().await;
    let (gone, stays) = (world.id::<PersonId>(), world.id::<PersonId>());
    let (_, _) = make_user(&world, "Canarygone Example", gone).await;
    make_user(&world, "Canarystays", stays).await;
    let seen = PersonCommand::SeeEndpointAccount {
        person: gone,
        account: "CORP\\canarygone".into(),
        endpoint: world.id(),
    };
    world.run::<Person>(gone.uuid(), seen).await.unwrap();
    world.drain().await;
    assert_eq!(
        listed(
            &world,
            &Filter {
                search: Some("canarygone".into()),
                ..Filter::default()
            }
        )
        .await,
        [4, 2]
    );
    world.store.vault().erase_person(world.tenant, gone).await.unwrap();
    world
        .run::<Person>(gone.uuid(), PersonCommand::ErasePerson)
        .await
        .unwrap();
    world.drain().await;

    let canary = Filter {
        search: Some("canarygone".into()),
        ..Filter::default()
    };
    assert!(listed(&world, &canary).await.is_empty());
    let entry = at(&world, 2).await;
    assert_eq!((entry.address, &entry.data["name"]), (None, &serde_json::Value::Null));
    assert_eq!(entry.event_type, "UserCreated");
    assert_eq!(at(&world, 3).await.data["name"], "Canarystays");
    assert_eq!(at(&world, 3).await.address.as_deref(), Some("192.0.2.7"));
    let left = world
        .count(
            "select (select count(*) from audit_term where tenant_id = $1 and term like 'canarygone%')
               + (select count(*) from audit_trail a where tenant_id = $1 and row_to_json(a)::text ilike '%canarygone%')",
        )
        .await;
    assert_eq!(left, 0);
    let example = listed(
        &world,
        &Filter {
            search: Some("example".into()),
            ..Filter::default()
        },
    )
    .await;
    assert_eq!(example, [3], "a word that others have too is still found with them");
}

#[tokio::test]
async fn searches_use_the_index_of_the_tenant_under_row_level_security() {
    let world = World::new().await;
    let mut tx = TenantTx::begin(world.store.pool(), world.tenant).await.unwrap();
    // As on a large table, where reading all of it costs.
    sqlx::query("set local enable_seqscan = off")
        .execute(&mut *tx)
        .await
        .unwrap();
    for statement in [
        "explain select position from audit_term where tenant_id = '00000000-0000-0000-0000-000000000001'
           and build = live_build('audit_trail') and term ~>=~ 'inst' and term ~<=~ 'insu'",
        "explain select request_id from request_term where tenant_id = '00000000-0000-0000-0000-000000000001'
           and build = live_build('request_queue') and term ~>=~ 'inst' and term ~<=~ 'insu'",
        "explain select 1 from audit_trail where tenant_id = '00000000-0000-0000-0000-000000000001'
           and build = live_build('audit_trail') and position < 7 order by position desc limit 3",
        "explain select 1 from request_queue where tenant_id = '00000000-0000-0000-0000-000000000001'
           and build = live_build('request_queue') and status = any('{pending,escalated}')",
        "explain select 1 from escalation_schedule where tenant_id = '00000000-0000-0000-0000-000000000001'
           and build = live_build('escalation_schedule') and due_at <= '2026-01-01'",
    ] {
        let plan: Vec<String> = sqlx::query_scalar(statement).fetch_all(&mut *tx).await.unwrap();
        let plan = plan.join("\n");
        let condition = plan
            .lines()
            .find(|line| line.contains("Index Cond"))
            .unwrap_or_else(|| panic!("{plan}"));
        assert!(
            condition.contains("tenant_id =") && condition.contains("build ="),
            "{plan}"
        );
        if plan.contains("_term") {
            assert!(condition.contains("~>=~") && condition.contains("~<=~"), "{plan}");
        }
    }
}
