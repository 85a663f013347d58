//! `fleet` and `policy_snapshot`: from events to rows, and the queries on them.

use std::time::Duration;

use formats::{BodyHash, DeploymentGroupId, EndpointId, RegistrationTokenId};
use model::{
    deployment::{DeploymentGroup, DeploymentGroupCommand},
    endpoint::{Endpoint, EndpointCommand, Machine},
    policy::{Policy, PolicyCommand},
    tenant::{Tenant, TenantCommand},
};
use policy_engine::{CollectionKind, Index, Os, PolicyStatus};
use projections::{
    Page,
    fleet::{self, EndpointFilter, EndpointState, Heartbeat, Plugin, SnapshotState},
    policy_snapshot,
};

use crate::{
    policies::{create_collection, create_policy, document},
    world::{MINUTE, World},
};

pub async fn create_group(world: &World, name: &str) -> DeploymentGroupId {
    let group: DeploymentGroupId = world.id();
    let create = DeploymentGroupCommand::CreateDeploymentGroup {
        group,
        name: name.to_owned(),
    };
    world.run::<DeploymentGroup>(group.uuid(), create).await.unwrap();
    group
}

async fn in_group(world: &World, group: DeploymentGroupId, command: DeploymentGroupCommand) {
    world.run::<DeploymentGroup>(group.uuid(), command).await.unwrap();
}

pub async fn register(
    world: &World,
    group: DeploymentGroupId,
    name: &str,
    os: Os,
    replaces: Option<EndpointId>,
) -> EndpointId {
    let endpoint: EndpointId = world.id();
    let register = EndpointCommand::RegisterEndpoint {
        endpoint,
        group,
        token: world.id(),
        machine: Machine {
            name: name.to_owned(),
            os,
            os_version: "13".to_owned(),
            machine_id: format!("machine of {name}"),
        },
        public_key: format!("key of {endpoint}"),
        replaces,
    };
    world.run::<Endpoint>(endpoint.uuid(), register).await.unwrap();
    endpoint
}

async fn apply(world: &World, endpoint: EndpointId, version: u64) {
    let command = EndpointCommand::ApplySnapshot {
        epoch: 1,
        version,
        applied_at: world.now(),
        offered: version,
    };
    world.run::<Endpoint>(endpoint.uuid(), command).await.unwrap();
}

async fn beat(world: &World, endpoint: EndpointId) {
    let mut tx = eventstore::TenantTx::begin(world.store.pool(), world.tenant)
        .await
        .unwrap();
    let heartbeat = Heartbeat {
        endpoint,
        at: world.now(),
        agent_version: Some("1.2.3".to_owned()),
        snapshot_version: Some(4),
        queue_length: Some(7),
        clock_skew_ms: Some(-250),
        plugins: vec![Plugin {
            name: "policy".to_owned(),
            state: "running".to_owned(),
        }],
    };
    fleet::record_heartbeat(&mut tx, &heartbeat).await.unwrap();
    tx.commit().await.unwrap();
}

async fn found(world: &World, filter: &EndpointFilter) -> Vec<String> {
    let page = fleet::endpoints(&mut world.tx().await, filter, &Page::first(200))
        .await
        .unwrap();
    page.nodes().into_iter().map(|e| e.machine.name).collect()
}

#[tokio::test]
async fn an_endpoint_shows_what_its_group_offers_what_it_applied_and_what_it_said_last() {
    let world = World::new().await;
    let group = create_group(&world, "Pilot").await;
    let endpoint = register(&world, group, "WS-001", Os::Windows, None).await;
    world.drain().await;
    let mut tx = world.tx().await;
    let offered = policy_snapshot::offered_to(&mut tx, group).await.unwrap().unwrap();
    let view = fleet::endpoint(&mut tx, endpoint).await.unwrap().unwrap();
    assert_eq!(
        view.offered,
        Some(SnapshotState {
            epoch: 1,
            version: offered.version
        })
    );
    assert_eq!((view.applied, view.status.as_ref()), (None, None));
    assert!(view.is_behind());
    assert_eq!(view.state(world.now()), EndpointState::NeverSeen);
    assert_eq!(
        fleet::public_key(&mut tx, endpoint).await.unwrap(),
        Some(format!("key of {endpoint}"))
    );
    assert_eq!(
        fleet::public_key(&mut world.other_tx().await, endpoint).await.unwrap(),
        None
    );
    assert_eq!(
        fleet::endpoint(&mut world.other_tx().await, endpoint).await.unwrap(),
        None
    );
    drop(tx);

    beat(&world, endpoint).await;
    apply(&world, endpoint, offered.version).await;
    world.drain().await;
    let view = fleet::endpoint(&mut world.tx().await, endpoint).await.unwrap().unwrap();
    let status = view.status.clone().unwrap();
    assert_eq!(
        (
            status.agent_version.as_deref(),
            status.queue_length,
            status.clock_skew_ms
        ),
        (Some("1.2.3"), Some(7), Some(-250))
    );
    assert_eq!(
        (status.plugins[0].state.as_str(), status.snapshot_version),
        ("running", Some(4))
    );
    assert_eq!(
        (view.state(world.now()), view.is_behind()),
        (EndpointState::Online, false)
    );
    assert_eq!(view.state(world.now() + MINUTE), EndpointState::Offline);

    create_policy(&world, document("New", PolicyStatus::Enforce)).await;
    world.drain().await;
    let view = fleet::endpoint(&mut world.tx().await, endpoint).await.unwrap().unwrap();
    assert_eq!(view.state(world.now() - MINUTE), EndpointState::Outdated);
    let restore = TenantCommand::RestoreLog {
        epoch: 2,
        reason: "drill".to_owned(),
    };
    apply(&world, endpoint, view.offered.unwrap().version).await;
    world.run::<Tenant>(world.tenant.uuid(), restore).await.unwrap();
    world.drain().await;
    let view = fleet::endpoint(&mut world.tx().await, endpoint).await.unwrap().unwrap();
    assert!(
        view.is_behind(),
        "an agent of an earlier epoch is behind whatever its version"
    );
}

#[tokio::test]
async fn a_heartbeat_that_was_overtaken_changes_nothing_and_a_rebuild_leaves_the_last_one() {
    let world = World::new().await;
    let group = create_group(&world, "Pilot").await;
    let endpoint = register(&world, group, "WS-001", Os::Linux, None).await;
    world.drain().await;
    beat(&world, endpoint).await;
    let mut tx = eventstore::TenantTx::begin(world.store.pool(), world.tenant)
        .await
        .unwrap();
    let late = Heartbeat {
        endpoint,
        at: world.now() - MINUTE,
        agent_version: Some("0.9".to_owned()),
        snapshot_version: None,
        queue_length: None,
        clock_skew_ms: None,
        plugins: Vec::new(),
    };
    fleet::record_heartbeat(&mut tx, &late).await.unwrap();
    let short = Heartbeat {
        at: world.now(),
        agent_version: None,
        ..late
    };
    fleet::record_heartbeat(&mut tx, &short).await.unwrap();
    tx.commit().await.unwrap();
    world.runner.rebuild(&["fleet"], Some(world.tenant)).await.unwrap();
    world.drain().await;
    let status = fleet::endpoint(&mut world.tx().await, endpoint)
        .await
        .unwrap()
        .unwrap()
        .status
        .unwrap();
    assert_eq!(
        (
            status.agent_version.as_deref(),
            status.queue_length,
            status.plugins.len()
        ),
        (Some("1.2.3"), Some(7), 1)
    );
    assert_eq!(status.last_seen_at, world.now());
}

#[tokio::test]
async fn endpoints_are_filtered_by_state_group_system_and_words() {
    let world = World::new().await;
    let (pilot, wide) = (create_group(&world, "Pilot").await, create_group(&world, "Wide").await);
    let online = register(&world, pilot, "Build-Server 1", Os::Linux, None).await;
    let outdated = register(&world, pilot, "build-laptop", Os::Macos, None).await;
    let offline = register(&world, wide, "Desk", Os::Windows, None).await;
    register(&world, wide, "Fresh", Os::Windows, None).await;
    let removed = register(&world, wide, "Gone", Os::Windows, None).await;
    world
        .run::<Endpoint>(
            removed.uuid(),
            EndpointCommand::RemoveEndpoint {
                reason: "sold".to_owned(),
            },
        )
        .await
        .unwrap();
    world.drain().await;
    let version = policy_snapshot::offered_to(&mut world.tx().await, pilot)
        .await
        .unwrap()
        .unwrap()
        .version;
    beat(&world, offline).await;
    world.clock.advance(10 * MINUTE);
    beat(&world, online).await;
    beat(&world, outdated).await;
    apply(&world, online, version).await;
    world.drain().await;

    let filter = EndpointFilter {
        seen_after: world.now() - EndpointFilter::LATELY,
        ..EndpointFilter::default()
    };
    assert_eq!(
        found(&world, &filter).await,
        ["build-laptop", "Build-Server 1", "Desk", "Fresh"]
    );
    let in_state = |states: &[EndpointState]| EndpointFilter {
        states: states.to_vec(),
        ..filter.clone()
    };
    for (state, name) in [
        (EndpointState::Online, "Build-Server 1"),
        (EndpointState::Outdated, "build-laptop"),
        (EndpointState::Offline, "Desk"),
        (EndpointState::NeverSeen, "Fresh"),
        (EndpointState::Removed, "Gone"),
    ] {
        assert_eq!(found(&world, &in_state(&[state])).await, [name], "{state:?}");
        let page = fleet::endpoints(&mut world.tx().await, &in_state(&[state]), &Page::first(9))
            .await
            .unwrap();
        assert_eq!(
            page.nodes()[0].state(filter.seen_after),
            state,
            "the filter and the row agree"
        );
    }
    assert_eq!(
        found(&world, &in_state(&[EndpointState::Removed, EndpointState::Online]))
            .await
            .len(),
        2
    );
    assert_eq!(
        found(
            &world,
            &EndpointFilter {
                removed: true,
                ..filter.clone()
            }
        )
        .await
        .len(),
        5
    );
    assert_eq!(
        found(
            &world,
            &EndpointFilter {
                group: Some(wide),
                ..filter.clone()
            }
        )
        .await,
        ["Desk", "Fresh"]
    );
    let os = vec![Os::Linux, Os::Macos];
    assert_eq!(
        found(&world, &EndpointFilter { os, ..filter.clone() }).await,
        ["build-laptop", "Build-Server 1"]
    );
    assert_eq!(
        found(
            &world,
            &EndpointFilter {
                behind: true,
                ..filter.clone()
            }
        )
        .await,
        ["build-laptop", "Desk", "Fresh"]
    );
    let search = Some("server BUI".to_owned());
    assert_eq!(
        found(
            &world,
            &EndpointFilter {
                search,
                ..filter.clone()
            }
        )
        .await,
        ["Build-Server 1"]
    );

    let mut tx = world.tx().await;
    let counts = fleet::counts_by_group(&mut tx).await.unwrap();
    assert_eq!((counts[&pilot], counts[&wide]), (2, 2));
    let groups = fleet::groups(&mut tx).await.unwrap();
    let shown: Vec<_> = groups
        .iter()
        .map(|g| (g.name.as_str(), g.endpoints, g.up_to_date))
        .collect();
    assert_eq!(shown, [("Pilot", 2, 1), ("Wide", 2, 0)]);
    assert_eq!(fleet::group(&mut tx, pilot).await.unwrap().as_ref(), Some(&groups[0]));
    assert_eq!(fleet::group_by_name(&mut tx, "PILOT ").await.unwrap(), Some(pilot));
    let first = fleet::endpoints(&mut tx, &filter, &Page::first(3)).await.unwrap();
    let cursor = first.edges[2].cursor.clone();
    let rest = fleet::endpoints(&mut tx, &filter, &Page::after(cursor.clone(), 3))
        .await
        .unwrap();
    assert_eq!(
        rest.nodes().into_iter().map(|e| e.machine.name).collect::<Vec<_>>(),
        ["Fresh"]
    );
    let back = Page {
        limit: 1,
        from: Some(cursor),
        backward: true,
    };
    let back = fleet::endpoints(&mut tx, &filter, &back).await.unwrap();
    assert!(back.more);
    assert_eq!(back.nodes()[0].machine.name, "Build-Server 1");
}

#[tokio::test]
async fn a_machine_that_registers_again_is_a_new_endpoint_and_both_say_so() {
    let world = World::new().await;
    let group = create_group(&world, "Pilot").await;
    let first = register(&world, group, "WS-001", Os::Windows, None).await;
    world.drain().await;
    let known = fleet::by_machine_id(&mut world.tx().await, "machine of WS-001")
        .await
        .unwrap();
    assert_eq!(known, Some(first));
    world.clock.advance(MINUTE);
    let second = register(&world, group, "WS-001", Os::Windows, known).await;
    let other = create_group(&world, "Wide").await;
    world
        .run::<Endpoint>(second.uuid(), EndpointCommand::MoveEndpoint { group: other })
        .await
        .unwrap();
    world
        .run::<Endpoint>(
            first.uuid(),
            EndpointCommand::RemoveEndpoint {
                reason: "replaced".to_owned(),
            },
        )
        .await
        .unwrap();
    world.drain().await;
    let mut tx = world.tx().await;
    let (old, new) = (
        fleet::endpoint(&mut tx, first).await.unwrap().unwrap(),
        fleet::endpoint(&mut tx, second).await.unwrap().unwrap(),
    );
    assert_eq!(
        (old.replaced_by, old.removed_reason.as_deref()),
        (Some(second), Some("replaced"))
    );
    assert_eq!((new.replaces, new.group, new.applied), (Some(first), other, None));
    assert_eq!(
        fleet::by_machine_id(&mut tx, "machine of WS-001").await.unwrap(),
        Some(second)
    );
    assert_eq!(
        fleet::public_key(&mut tx, first).await.unwrap(),
        None,
        "a removed endpoint has no key to show"
    );
}

#[tokio::test]
async fn tokens_count_their_uses_and_end_in_three_ways() {
    let world = World::new().await;
    let group = create_group(&world, "Pilot").await;
    let (token, endless): (RegistrationTokenId, RegistrationTokenId) = (world.id(), world.id());
    let at = world.now();
    let issue = |token, expires_at, max_uses| DeploymentGroupCommand::IssueRegistrationToken {
        at,
        token,
        expires_at,
        max_uses,
    };
    in_group(&world, group, issue(token, Some(at + MINUTE), Some(2))).await;
    world.drain().await;
    in_group(&world, group, issue(endless, None, None)).await;
    for _ in 0..2 {
        let endpoint = world.id();
        in_group(
            &world,
            group,
            DeploymentGroupCommand::UseRegistrationToken { at, token, endpoint },
        )
        .await;
    }
    world.drain().await;
    let mut tx = world.tx().await;
    let used = fleet::token(&mut tx, token).await.unwrap().unwrap();
    assert_eq!(
        (used.uses, used.max_uses, used.group, used.expires_at),
        (2, Some(2), group, Some(at + MINUTE))
    );
    assert!(!used.is_usable(at));
    assert_eq!(used.created_by.method.as_deref(), Some("password+totp"));
    let open = fleet::token(&mut tx, endless).await.unwrap().unwrap();
    assert!(open.is_usable(at + 1000 * MINUTE));
    assert!(
        !fleet::TokenView {
            expires_at: Some(at),
            ..open
        }
        .is_usable(at)
    );
    assert_eq!(fleet::tokens(&mut tx, &[group]).await.unwrap().len(), 2);
    assert_eq!(fleet::token(&mut world.other_tx().await, token).await.unwrap(), None);
    drop(tx);
    in_group(
        &world,
        group,
        DeploymentGroupCommand::RevokeRegistrationToken { token: endless },
    )
    .await;
    in_group(
        &world,
        group,
        DeploymentGroupCommand::RenameDeploymentGroup {
            name: "First ring".to_owned(),
        },
    )
    .await;
    world.drain().await;
    let mut tx = world.tx().await;
    assert!(!fleet::token(&mut tx, endless).await.unwrap().unwrap().is_usable(at));
    assert_eq!(fleet::groups(&mut tx).await.unwrap()[0].name, "First ring");
    drop(tx);
    in_group(
        &world,
        group,
        DeploymentGroupCommand::DeleteDeploymentGroup { endpoints: 0 },
    )
    .await;
    world.drain().await;
    let mut tx = world.tx().await;
    assert!(fleet::groups(&mut tx).await.unwrap().is_empty());
    assert!(
        fleet::group(&mut tx, group)
            .await
            .unwrap()
            .unwrap()
            .deleted_at
            .is_some()
    );
    assert_eq!(policy_snapshot::offered_to(&mut tx, group).await.unwrap(), None);
}

#[tokio::test]
async fn a_body_is_served_as_stored_compiles_and_is_found_by_its_hash() {
    let world = World::new().await;
    let group = create_group(&world, "Pilot").await;
    create_collection(&world, CollectionKind::Machines, "Pilots", "machine:WS-*").await;
    world.drain().await;
    let mut policy = document("Installers", PolicyStatus::Enforce);
    policy.machines = vec!["collection:Pilots".to_owned()];
    create_policy(&world, policy).await;
    let position = world.store.head(world.tenant).await.unwrap();
    world.drain().await;
    let mut tx = world.tx().await;
    let offered = policy_snapshot::offered_to(&mut tx, group).await.unwrap().unwrap();
    assert_eq!((offered.version, offered.epoch, offered.policies), (position, 1, 1));
    let body = policy_snapshot::body_of(&mut tx, group).await.unwrap().unwrap();
    assert_eq!(
        (body.sha256, BodyHash::of(&body.plain)),
        (offered.sha256, offered.sha256)
    );
    assert_eq!(zstd::decode_all(body.zstd.as_slice()).unwrap(), body.plain);
    assert_eq!(
        policy_snapshot::body(&mut tx, offered.sha256).await.unwrap().as_ref(),
        Some(&body)
    );
    let snapshot = body.snapshot().unwrap();
    assert_eq!((snapshot.policies.len(), snapshot.collections.len()), (1, 1));
    Index::compile(&snapshot).unwrap();
    assert_eq!(
        policy_snapshot::offered(&mut tx).await.unwrap(),
        std::slice::from_ref(&offered)
    );
    assert_eq!(
        policy_snapshot::body(&mut world.other_tx().await, offered.sha256)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        policy_snapshot::offered_to(&mut world.other_tx().await, group)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_mass_deletion_is_held_until_confirmed_and_endpoints_are_offered_the_earlier_version() {
    let world = World::new().await;
    let group = create_group(&world, "Pilot").await;
    let endpoint = register(&world, group, "WS-001", Os::Windows, None).await;
    let mut policies = Vec::new();
    for n in 0..12 {
        policies.push(create_policy(&world, document(&format!("policy {n}"), PolicyStatus::Enforce)).await);
    }
    world.drain().await;
    for policy in &policies[..8] {
        world
            .run::<Policy>(policy.uuid(), PolicyCommand::DeletePolicy { reason: String::new() })
            .await
            .unwrap();
    }
    world.drain().await;
    let mut tx = world.tx().await;
    let held = policy_snapshot::held(&mut tx).await.unwrap().remove(0);
    let offered = policy_snapshot::offered_to(&mut tx, group).await.unwrap().unwrap();
    assert_eq!(
        (held.group, held.policies, held.served_policies, held.served_version),
        (group, 4, 6, offered.version)
    );
    assert_eq!(
        policy_snapshot::body_of(&mut tx, group)
            .await
            .unwrap()
            .unwrap()
            .snapshot()
            .unwrap()
            .policies
            .len(),
        6
    );
    let waiting = policy_snapshot::body(&mut tx, held.sha256).await.unwrap().unwrap();
    assert_eq!(waiting.snapshot().unwrap().policies.len(), 4);
    let view = fleet::endpoint(&mut tx, endpoint).await.unwrap().unwrap();
    assert_eq!(view.offered.unwrap().version, offered.version);
    drop(tx);
    in_group(
        &world,
        group,
        DeploymentGroupCommand::ConfirmSnapshot { version: held.version },
    )
    .await;
    world.drain().await;
    let mut tx = world.tx().await;
    let offered = policy_snapshot::offered_to(&mut tx, group).await.unwrap().unwrap();
    assert_eq!((offered.version, offered.sha256), (held.version, held.sha256));
    assert!(policy_snapshot::held(&mut tx).await.unwrap().is_empty());
}

#[tokio::test]
async fn bodies_outlive_a_rebuild_and_are_dropped_once_nothing_refers_to_them() {
    let world = World::new().await;
    let group = create_group(&world, "Pilot").await;
    world.drain().await;
    create_policy(&world, document("one", PolicyStatus::Enforce)).await;
    world.drain().await;
    let passing = policy_snapshot::offered_to(&mut world.tx().await, group)
        .await
        .unwrap()
        .unwrap();
    create_policy(&world, document("two", PolicyStatus::Enforce)).await;
    world.drain().await;
    world
        .runner
        .rebuild(&["policy_snapshot"], Some(world.tenant))
        .await
        .unwrap();
    world.drain().await;
    let now = policy_snapshot::offered_to(&mut world.tx().await, group)
        .await
        .unwrap()
        .unwrap();
    assert!(
        policy_snapshot::body(&mut world.tx().await, passing.sha256)
            .await
            .unwrap()
            .is_some()
    );
    let forget = async |age| {
        let mut tx = eventstore::TenantTx::begin(world.store.pool(), world.tenant)
            .await
            .unwrap();
        let dropped = policy_snapshot::forget_bodies(&mut tx, age).await.unwrap();
        tx.commit().await.unwrap();
        dropped
    };
    assert_eq!(
        forget(Duration::from_secs(3_600)).await,
        0,
        "an offline agent may still cite them"
    );
    assert_eq!(forget(Duration::ZERO).await, 2);
    let mut tx = world.tx().await;
    assert_eq!(policy_snapshot::body(&mut tx, passing.sha256).await.unwrap(), None);
    assert!(policy_snapshot::body(&mut tx, now.sha256).await.unwrap().is_some());
}
