//! The rules of snapshots on hand-made logs.

use std::time::Duration;

use formats::{Actor, BodyHash, CollectionId, DeploymentGroupId, EventMeta, PolicyId, TenantId, Timestamp, canonical};
use model::{
    catalogue::AnyEvent,
    collection::{CollectionChanged, CollectionCreated, CollectionDeleted, CollectionEvent},
    deployment::{DeploymentGroupCreated, DeploymentGroupDeleted, DeploymentGroupEvent, SnapshotConfirmed},
    policy::{
        PolicyCreated, PolicyDeleted, PolicyEvent, PolicyRevisionPromoted, PolicyRevisionStaged,
        PolicyRevisionWithdrawn, PolicyStatusSet,
    },
    tenant::{LogRestored, Settings, SettingsChanged, TenantCreated, TenantEvent},
};
use policy_engine::{CollectionKind, PolicyDocument, PolicyStatus, PolicyType, Snapshot};
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    Shelf,
    shelf::{Group, SPELL},
};
use crate::Envelope;

fn group(n: u128) -> DeploymentGroupId {
    DeploymentGroupId::from_uuid(Uuid::from_u128(n))
}

fn policy(n: u128) -> PolicyId {
    PolicyId::from_uuid(Uuid::from_u128(n))
}

fn collection(n: u128) -> CollectionId {
    CollectionId::from_uuid(Uuid::from_u128(n))
}

fn document(name: &str, status: PolicyStatus) -> PolicyDocument {
    let mut document = PolicyDocument::new(name, PolicyType::PrivilegeElevation, status);
    document.users = vec!["*".to_owned()];
    document.machines = vec!["*".to_owned()];
    document.applications = vec![format!("path:/opt/{name}/*")];
    document
}

/// A tenant's log as it grows: each event one position and, unless told otherwise, one second after the other.
struct Log {
    shelf: Shelf,
    position: u64,
    at: Timestamp,
    /// Whether bodies are built after each event, as in batches of one.
    eager: bool,
}

impl Log {
    fn new() -> Self {
        let mut log = Self {
            shelf: Shelf::default(),
            position: 0,
            at: Timestamp::from_millis(1_800_000_000_000),
            eager: false,
        };
        log.tenant(TenantCreated {
            tenant: TenantId::from_uuid(Uuid::from_u128(1)),
            slug: "acme".to_owned(),
            name: "Acme".to_owned(),
            settings: Box::default(),
        });
        log.create_group(1);
        log
    }

    fn take(&mut self, event: AnyEvent) -> u64 {
        self.position += 1;
        self.at = self.at + Duration::from_secs(1);
        let envelope = Envelope {
            tenant: TenantId::from_uuid(Uuid::from_u128(1)),
            position: self.position,
            stream_type: String::new(),
            stream_id: Uuid::nil(),
            stream_version: 1,
            event_type: String::new(),
            occurred_at: self.at,
            recorded_at: self.at,
            actor: Actor::system(),
            meta: EventMeta {
                correlation: Uuid::nil(),
                causation: None,
                traceparent: None,
                address: None,
            },
            address: None,
            address_person: None,
            person: None,
            data: serde_json::Map::new(),
            event,
            leaf: [0; 32],
        };
        if Shelf::concerns(&envelope.event) {
            self.shelf.take(&envelope).unwrap();
        }
        if self.eager {
            self.shelf.settle();
        }
        self.position
    }

    fn tenant(&mut self, event: impl Into<TenantEvent>) -> u64 {
        self.take(AnyEvent::Tenant(event.into()))
    }

    fn policy(&mut self, event: impl Into<PolicyEvent>) -> u64 {
        self.take(AnyEvent::Policy(event.into()))
    }

    fn collection(&mut self, event: impl Into<CollectionEvent>) -> u64 {
        self.take(AnyEvent::Collection(event.into()))
    }

    fn group(&mut self, event: impl Into<DeploymentGroupEvent>) -> u64 {
        self.take(AnyEvent::DeploymentGroup(event.into()))
    }

    fn create_group(&mut self, n: u128) -> u64 {
        self.group(DeploymentGroupCreated {
            group: group(n),
            name: format!("group {n}"),
        })
    }

    fn create(&mut self, n: u128, document: PolicyDocument) -> u64 {
        let document = Box::new(document);
        self.policy(PolicyCreated {
            policy: policy(n),
            document,
            reason: String::new(),
            copied_from: None,
        })
    }

    fn create_many(&mut self, ids: std::ops::Range<u128>) -> u64 {
        for n in ids {
            self.create(n, document(&format!("p{n}"), PolicyStatus::Enforce));
        }
        self.position
    }

    fn delete(&mut self, n: u128) -> u64 {
        self.policy(PolicyDeleted {
            policy: policy(n),
            reason: String::new(),
        })
    }

    fn version(&mut self, n: u128) -> u64 {
        self.shelf.served(group(n)).unwrap().0
    }

    fn body(&mut self, n: u128) -> Snapshot {
        serde_json::from_slice(self.shelf.served(group(n)).unwrap().1).unwrap()
    }

    fn names(&mut self, n: u128) -> Vec<String> {
        self.body(n).policies.into_iter().map(|p| p.document.name).collect()
    }

    fn group_state(&mut self, n: u128) -> Group {
        self.shelf.settle();
        self.shelf.groups[&group(n)].clone()
    }
}

#[test]
fn a_body_is_the_canonical_form_of_the_engines_snapshot_and_named_by_its_hash() {
    let mut log = Log::new();
    log.collection(CollectionCreated {
        collection: collection(1),
        kind: CollectionKind::Machines,
        name: "Пилот \"one\"".to_owned(),
        members: vec!["machine:WS-*".to_owned()],
    });
    let mut named = document("quotes \" and ü", PolicyStatus::Enforce);
    named.machines = vec!["collection:Пилот \"one\"".to_owned()];
    log.create(2, named);
    log.create(1, document("first by id", PolicyStatus::Monitor));
    let (_, bytes) = log.shelf.served(group(1)).unwrap();
    let bytes = bytes.to_vec();
    let snapshot: Snapshot = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(canonical(&snapshot).unwrap(), bytes);
    assert_eq!(snapshot.collections[0].name, "Пилот \"one\"");
    assert_eq!(
        snapshot
            .policies
            .iter()
            .map(|p| p.document.name.as_str())
            .collect::<Vec<_>>(),
        ["first by id", "quotes \" and ü"]
    );
    assert_eq!(log.group_state(1).served.sha256, Some(BodyHash::of(&bytes)));
}

#[test]
fn a_group_without_policies_has_a_body_from_its_creation_on() {
    let mut log = Log::new();
    assert_eq!(log.version(1), 2);
    assert_eq!(log.body(1).policies, []);
    assert_eq!(log.body(1).settings["justificationMin"], 1);
}

#[test]
fn the_version_is_the_last_position_that_changed_this_groups_body() {
    let mut log = Log::new();
    let created = log.create(1, document("a", PolicyStatus::Enforce));
    assert_eq!(log.version(1), created);
    log.create(2, document("off", PolicyStatus::Off));
    log.collection(CollectionCreated {
        collection: collection(1),
        kind: CollectionKind::Users,
        name: "unused".to_owned(),
        members: vec!["user:alice".to_owned()],
    });
    log.create_group(2);
    log.tenant(LogRestored {
        epoch: 2,
        reason: "test".to_owned(),
    });
    log.tenant(SettingsChanged {
        settings: Box::new(Settings {
            self_approval: true,
            ..Settings::default()
        }),
    });
    log.delete(2);
    assert_eq!(log.version(1), created, "nothing of all that is in the body");
    assert_eq!(log.shelf.epoch(), 2);
    let settings = Settings {
        justification_min: 20,
        ..Settings::default()
    };
    let changed = log.tenant(SettingsChanged {
        settings: Box::new(settings),
    });
    assert_eq!((log.version(1), log.version(2)), (changed, changed));
}

#[test]
fn a_policy_that_is_switched_off_leaves_the_body_and_its_return_is_a_change() {
    let mut log = Log::new();
    log.create(1, document("a", PolicyStatus::Enforce));
    let set = |status| PolicyStatusSet {
        policy: policy(1),
        revision: 2,
        status,
        document: Box::new(document("a", status)),
        reason: String::new(),
    };
    let off = log.policy(set(PolicyStatus::Off));
    assert_eq!((log.version(1), log.names(1).len()), (off, 0));
    let back = log.policy(set(PolicyStatus::Monitor));
    assert_eq!((log.version(1), log.names(1).len()), (back, 1));
}

#[test]
fn a_staged_revision_reaches_its_groups_only_until_it_is_promoted_or_withdrawn() {
    let mut log = Log::new();
    log.create_group(2);
    let created = log.create(1, document("live", PolicyStatus::Enforce));
    let stage = |revision| PolicyRevisionStaged {
        policy: policy(1),
        revision,
        document: Box::new(document("staged", PolicyStatus::Enforce)),
        groups: vec![group(2)],
        reason: String::new(),
    };
    let staged = log.policy(stage(2));
    assert_eq!((log.version(1), log.version(2)), (created, staged));
    assert_eq!(
        (log.names(1), log.names(2)),
        (vec!["live".to_owned()], vec!["staged".to_owned()])
    );
    assert_eq!(log.body(2).policies[0].revision, 2);
    let withdrawn = log.policy(PolicyRevisionWithdrawn {
        policy: policy(1),
        revision: 2,
        reason: String::new(),
    });
    assert_eq!((log.version(1), log.version(2)), (created, withdrawn));
    let staged = log.policy(stage(3));
    let promoted = log.policy(PolicyRevisionPromoted {
        policy: policy(1),
        revision: 3,
        document: Box::new(document("staged", PolicyStatus::Enforce)),
    });
    assert_eq!(
        (log.version(1), log.version(2)),
        (promoted, staged),
        "group 2 had it already"
    );
    assert_eq!(log.names(1), log.names(2));
}

#[test]
fn only_collections_that_a_groups_policies_name_are_in_its_body_by_name_or_by_id() {
    let mut log = Log::new();
    log.create_group(2);
    for (n, name) in [(1, "by name"), (2, "by id"), (3, "staged"), (4, "nobody's")] {
        log.collection(CollectionCreated {
            collection: collection(n),
            kind: CollectionKind::Users,
            name: name.to_owned(),
            members: vec!["user:alice".to_owned()],
        });
    }
    let mut live = document("p", PolicyStatus::Enforce);
    live.users = vec!["collection:by name".to_owned(), format!("collection:{}", collection(2))];
    let created = log.create(1, live.clone());
    live.users = vec!["collection:staged".to_owned()];
    let staged = log.policy(PolicyRevisionStaged {
        policy: policy(1),
        revision: 2,
        document: Box::new(live),
        groups: vec![group(2)],
        reason: String::new(),
    });
    let names = |body: Snapshot| body.collections.into_iter().map(|c| c.name).collect::<Vec<_>>();
    assert_eq!(names(log.body(1)), ["by name", "by id"]);
    assert_eq!(names(log.body(2)), ["staged"]);
    let change = |n, name: &str| CollectionChanged {
        collection: collection(n),
        name: name.to_owned(),
        members: vec!["user:bob".to_owned()],
    };
    log.collection(change(4, "nobody's"));
    assert_eq!((log.version(1), log.version(2)), (created, staged));
    let by_id = log.collection(change(2, "renamed"));
    assert_eq!((log.version(1), log.version(2)), (by_id, staged));
    let in_staged = log.collection(change(3, "staged"));
    assert_eq!((log.version(1), log.version(2)), (by_id, in_staged));
    assert_eq!(names(log.body(1)), ["by name", "renamed"]);
    let gone = log.collection(CollectionDeleted {
        collection: collection(1),
    });
    assert_eq!((log.version(1), names(log.body(1))), (gone, vec!["renamed".to_owned()]));
}

#[test]
fn a_loss_of_more_than_half_is_held_and_the_last_whole_version_stays_served() {
    let mut log = Log::new();
    log.create_many(0..20);
    let mut last_served = 0;
    for n in 0..10 {
        last_served = log.delete(n);
    }
    assert_eq!(log.version(1), last_served, "exactly half is not more than half");
    log.delete(10);
    let held = log.delete(11);
    let state = log.group_state(1);
    assert_eq!((state.served.number, state.served.policies), (last_served, 10));
    assert_eq!(
        state.held.as_ref().map(|held| (held.number, held.policies)),
        Some((held, 8))
    );
    assert_eq!(
        log.names(1).len(),
        10,
        "the body of the served version is there although the log went on"
    );
    let sha256 = state.held.unwrap().sha256.unwrap();
    let body: Snapshot = serde_json::from_slice(&log.shelf.bodies[&sha256]).unwrap();
    assert_eq!(body.policies.len(), 8);

    log.group(SnapshotConfirmed {
        group: group(1),
        version: held - 1,
    });
    assert_eq!(
        log.version(1),
        last_served,
        "another version than the held one is not confirmed by it"
    );
    log.group(SnapshotConfirmed {
        group: group(1),
        version: held,
    });
    assert_eq!((log.version(1), log.names(1).len()), (held, 8));
    assert_eq!(log.group_state(1).held, None);
    let next = log.delete(12);
    assert_eq!(log.version(1), next, "losses count from what was confirmed");
}

#[test]
fn a_held_version_goes_out_by_itself_once_enough_policies_are_back() {
    let mut log = Log::new();
    log.create_many(0..10);
    for n in 0..6 {
        log.delete(n);
    }
    assert!(log.group_state(1).held.is_some());
    let back = log.create(100, document("back", PolicyStatus::Enforce));
    let state = log.group_state(1);
    assert_eq!(
        (state.served.number, state.served.policies, state.held),
        (back, 5, None)
    );
}

#[test]
fn fewer_than_ten_policies_may_go_at_once() {
    let mut log = Log::new();
    log.create_many(0..9);
    let mut last = 0;
    for n in 0..9 {
        last = log.delete(n);
    }
    assert_eq!((log.version(1), log.names(1).len()), (last, 0));
}

#[test]
fn a_slow_decline_is_not_held() {
    let mut log = Log::new();
    log.create_many(0..12);
    let mut last = 0;
    for n in 0..12 {
        log.at = log.at + SPELL;
        last = log.delete(n);
    }
    assert_eq!((log.version(1), log.group_state(1).held), (last, None));
}

#[test]
fn a_deleted_group_has_no_snapshot() {
    let mut log = Log::new();
    log.group(DeploymentGroupDeleted { group: group(1) });
    log.create_many(0..3);
    assert!(log.shelf.served(group(1)).is_none());
}

/// A step of a random history, on few policies, collections and groups so that they meet.
fn step(log: &mut Log, kind: u8, n: u8) {
    let id = u128::from(n % 24);
    let mut doc = document(&format!("p{id}"), PolicyStatus::ALL[usize::from(n % 4)]);
    if n.is_multiple_of(3) {
        doc.users = vec![format!("collection:c{}", n % 2)];
    }
    match kind {
        0..=4 => {
            log.create(id, doc);
        }
        5..=6 => {
            log.delete(id);
        }
        7 => {
            log.policy(PolicyRevisionStaged {
                policy: policy(id),
                revision: u32::from(n),
                document: Box::new(doc),
                groups: vec![group(u128::from(n % 3))],
                reason: String::new(),
            });
        }
        8 => {
            log.policy(PolicyRevisionWithdrawn {
                policy: policy(id),
                revision: 1,
                reason: String::new(),
            });
        }
        9 => {
            log.collection(CollectionCreated {
                collection: collection(u128::from(n % 2)),
                kind: CollectionKind::Users,
                name: format!("c{}", n % 2),
                members: vec![format!("user:{n}")],
            });
        }
        10 => {
            let justification_min = u32::from(n % 3) + 1;
            log.tenant(SettingsChanged {
                settings: Box::new(Settings {
                    justification_min,
                    ..Settings::default()
                }),
            });
        }
        11 => {
            let version = log
                .shelf
                .groups
                .get(&group(1))
                .and_then(|g| g.held.as_ref())
                .map_or(1, |held| held.number);
            log.group(SnapshotConfirmed {
                group: group(1),
                version,
            });
        }
        12 => log.at = log.at + Duration::from_secs(u64::from(n) * 10),
        _ => {
            log.create_group(u128::from(n % 3));
        }
    }
}

proptest! {
    /// Versions, held versions and bodies follow from the log, not from how it is cut into batches.
    #[test]
    fn batches_of_any_size_end_in_the_same_place(steps in prop::collection::vec((0u8..14, any::<u8>()), 1..150)) {
        let (mut one_by_one, mut at_once) = (Log { eager: true, ..Log::new() }, Log::new());
        for (kind, n) in &steps {
            step(&mut one_by_one, *kind, *n);
            step(&mut at_once, *kind, *n);
        }
        one_by_one.shelf.settle();
        at_once.shelf.settle();
        prop_assert_eq!(&one_by_one.shelf.groups, &at_once.shelf.groups);
        for state in at_once.shelf.groups.values() {
            for version in std::iter::once(&state.served).chain(&state.held) {
                let sha256 = version.sha256.unwrap();
                prop_assert_eq!(&one_by_one.shelf.bodies[&sha256], &at_once.shelf.bodies[&sha256]);
                let body: Snapshot = serde_json::from_slice(&at_once.shelf.bodies[&sha256]).unwrap();
                prop_assert_eq!(body.policies.len(), version.policies as usize);
                prop_assert_eq!(&canonical(&body).unwrap(), &at_once.shelf.bodies[&sha256]);
            }
        }
    }

    /// A body changes exactly when its version does.
    #[test]
    fn another_version_means_another_body(steps in prop::collection::vec((0u8..14, any::<u8>()), 1..100)) {
        let mut log = Log { eager: true, ..Log::new() };
        let mut before = log.group_state(1);
        for (kind, n) in &steps {
            step(&mut log, *kind, *n);
            if !log.shelf.groups.contains_key(&group(1)) {
                continue;
            }
            let after = log.group_state(1);
            if before.held.is_none() && after.held.is_none() && !matches!(kind, 11 | 13) {
                prop_assert_eq!(before.served.number == after.served.number, before.served.sha256 == after.served.sha256);
            }
            before = after;
        }
    }
}
