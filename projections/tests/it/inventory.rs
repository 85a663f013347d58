//! What endpoints report of their machines, as lists that collections are filled from.

use std::time::Duration;

use eventstore::TenantTx;
use formats::{
    DeploymentGroupId, EndpointId, TenantId, Timestamp,
    agent_wire::{InstalledApplication, Inventory},
};
use model::endpoint::{Endpoint, EndpointCommand};
use policy_engine::{CollectionKind, Os};
use projections::{
    Page,
    fleet::{self, InventoryFilter, InventoryItem},
};

use crate::{
    fleet::{create_group, register},
    world::World,
};

fn program(name: &str, version: &str, path: &str) -> InstalledApplication {
    InstalledApplication {
        name: name.to_owned(),
        version: version.to_owned(),
        publisher: Some("CN=Contoso".to_owned()),
        path: Some(path.to_owned()),
        sha256: None,
    }
}

fn found_on(programs: Vec<InstalledApplication>) -> Inventory {
    Inventory {
        applications: programs,
        ..Inventory::default()
    }
}

async fn report_at(world: &World, tenant: TenantId, endpoint: EndpointId, at: Timestamp, inventory: &Inventory) {
    let mut tx = TenantTx::begin(world.store.pool(), tenant).await.unwrap();
    fleet::record_inventory(&mut tx, endpoint, at, inventory).await.unwrap();
    tx.commit().await.unwrap();
}

async fn report(world: &World, endpoint: EndpointId, inventory: &Inventory) {
    report_at(world, world.tenant, endpoint, world.now(), inventory).await;
}

async fn list(world: &World, kind: CollectionKind, filter: &InventoryFilter) -> Vec<InventoryItem> {
    let mut tx = world.tx().await;
    let found = fleet::inventory(&mut tx, kind, filter, &Page::first(200)).await;
    found.unwrap().nodes()
}

async fn programs(world: &World, filter: &InventoryFilter) -> Vec<(String, u64)> {
    let found = list(world, CollectionKind::Applications, filter).await;
    found.into_iter().map(|item| (item.name, item.endpoints)).collect()
}

/// Three machines in two groups.
async fn fleet_of(world: &World) -> (Vec<EndpointId>, Vec<DeploymentGroupId>) {
    let groups = vec![
        create_group(world, "Pilot").await,
        create_group(world, "Everyone").await,
    ];
    let endpoints = vec![
        register(world, groups[0], "WS-001", Os::Windows, None).await,
        register(world, groups[1], "WS-002", Os::Windows, None).await,
        register(world, groups[1], "build-7", Os::Linux, None).await,
    ];
    world.drain().await;
    (endpoints, groups)
}

#[tokio::test]
async fn a_program_is_listed_once_with_its_versions_its_paths_and_how_many_endpoints_have_it() {
    let world = World::new().await;
    let (endpoints, groups) = fleet_of(&world).await;
    let git = |version: &str| program("Git", version, "C:\\Program Files\\Git\\bin\\git.exe");
    let mut lower = program("git", "2.45", "D:\\git.exe");
    lower.sha256 = Some("AB".repeat(32));
    report(
        &world,
        endpoints[0],
        &found_on(vec![git("2.44"), git("2.45"), git("2.45")]),
    )
    .await;
    report(
        &world,
        endpoints[1],
        &found_on(vec![lower, program("Zip", "", "C:\\zip.exe")]),
    )
    .await;
    report(
        &world,
        endpoints[2],
        &found_on(vec![program("Zip", "9", "/usr/bin/zip")]),
    )
    .await;

    let all = list(&world, CollectionKind::Applications, &InventoryFilter::default()).await;
    assert_eq!(all.len(), 2);
    assert_eq!(
        all[0],
        InventoryItem {
            name: "Git".to_owned(),
            publisher: Some("CN=Contoso".to_owned()),
            versions: vec!["2.44".to_owned(), "2.45".to_owned()],
            paths: vec![
                "C:\\Program Files\\Git\\bin\\git.exe".to_owned(),
                "D:\\git.exe".to_owned()
            ],
            hashes: vec!["ab".repeat(32)],
            endpoints: 2,
        }
    );
    assert_eq!((all[1].name.as_str(), all[1].endpoints), ("Zip", 2));
    assert_eq!(all[1].versions, ["9"], "no version is none");

    let of = |group: Option<DeploymentGroupId>, os: &[Os], search: Option<&str>| InventoryFilter {
        group,
        os: os.to_vec(),
        search: search.map(str::to_owned),
    };
    assert_eq!(
        programs(&world, &of(Some(groups[0]), &[], None)).await,
        [("Git".to_owned(), 1)]
    );
    assert_eq!(
        programs(&world, &of(None, &[Os::Linux], None)).await,
        [("Zip".to_owned(), 1)]
    );
    assert_eq!(programs(&world, &of(None, &[Os::Macos], None)).await, []);
    assert_eq!(
        programs(&world, &of(None, &[], Some("con GI"))).await,
        [("Git".to_owned(), 2)]
    );
    assert_eq!(
        programs(&world, &of(None, &[], Some("ontoso"))).await,
        [],
        "words begin"
    );
}

#[tokio::test]
async fn machines_are_those_registered_and_users_those_that_are_administrators() {
    let world = World::new().await;
    let (endpoints, groups) = fleet_of(&world).await;
    let administrators = |names: &[&str]| Inventory {
        os_version: "15 SP1".to_owned(),
        administrators: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Inventory::default()
    };
    report(&world, endpoints[0], &administrators(&["CORP\\helpdesk", "alice"])).await;
    report(&world, endpoints[1], &administrators(&["CORP\\helpdesk"])).await;
    let users = list(&world, CollectionKind::Users, &InventoryFilter::default()).await;
    let users: Vec<_> = users.iter().map(|item| (item.name.as_str(), item.endpoints)).collect();
    assert_eq!(users, [("alice", 1), ("CORP\\helpdesk", 2)]);
    assert_eq!(programs(&world, &InventoryFilter::default()).await, []);

    let machines = list(&world, CollectionKind::Machines, &InventoryFilter::default()).await;
    let machines: Vec<_> = machines
        .iter()
        .map(|item| (item.name.as_str(), item.versions.join(", ")))
        .collect();
    // An inventory's version is newer than the one at registration.
    let expected = [("build-7", "13"), ("WS-001", "15 SP1"), ("WS-002", "15 SP1")];
    assert_eq!(machines, expected.map(|(name, version)| (name, version.to_owned())));
    let pilots = InventoryFilter {
        group: Some(groups[0]),
        search: Some("ws".to_owned()),
        ..InventoryFilter::default()
    };
    assert_eq!(list(&world, CollectionKind::Machines, &pilots).await.len(), 1);
}

#[tokio::test]
async fn a_new_report_replaces_the_old_one_and_an_overtaken_one_changes_nothing() {
    let world = World::new().await;
    let (endpoints, _) = fleet_of(&world).await;
    let any = InventoryFilter::default();
    let before = world.now();
    report(
        &world,
        endpoints[0],
        &found_on(vec![program("Git", "1", "/git"), program("Zip", "1", "/zip")]),
    )
    .await;
    report(&world, endpoints[1], &found_on(vec![program("Zip", "1", "/zip")])).await;
    world.clock.advance(Duration::from_secs(60));
    report(&world, endpoints[0], &found_on(vec![program("Git", "2", "/git")])).await;
    assert_eq!(
        programs(&world, &any).await,
        [("Git".to_owned(), 1), ("Zip".to_owned(), 1)]
    );
    assert_eq!(
        list(&world, CollectionKind::Applications, &any).await[0].versions,
        ["2"]
    );
    report_at(
        &world,
        world.tenant,
        endpoints[0],
        before,
        &found_on(vec![program("Late", "1", "/late")]),
    )
    .await;
    assert_eq!(programs(&world, &any).await.len(), 2);
    report(&world, endpoints[0], &Inventory::default()).await;
    assert_eq!(programs(&world, &any).await, [("Zip".to_owned(), 1)]);
    // What no endpoint has any more is forgotten.
    assert_eq!(world.count("select count(*) from inventory_item").await, 1);
}

#[tokio::test]
async fn a_removed_endpoint_counts_no_more() {
    let world = World::new().await;
    let (endpoints, _) = fleet_of(&world).await;
    report(
        &world,
        endpoints[0],
        &found_on(vec![program("Git", "1", "/git"), program("Zip", "1", "/zip")]),
    )
    .await;
    report(&world, endpoints[1], &found_on(vec![program("Git", "2", "/git")])).await;
    let remove = EndpointCommand::RemoveEndpoint {
        reason: "lost".to_owned(),
    };
    world.run::<Endpoint>(endpoints[0].uuid(), remove).await.unwrap();
    world.drain().await;
    let any = InventoryFilter::default();
    let left = list(&world, CollectionKind::Applications, &any).await;
    assert_eq!(
        left.iter()
            .map(|item| (item.name.as_str(), item.endpoints))
            .collect::<Vec<_>>(),
        [("Git", 1)]
    );
    assert_eq!(left[0].versions, ["2"]);
    let machines = list(&world, CollectionKind::Machines, &any).await;
    assert!(machines.iter().all(|machine| machine.name != "WS-001"));
}

#[tokio::test]
async fn another_tenant_sees_none_of_it_and_has_its_own() {
    let world = World::new().await;
    let (endpoints, _) = fleet_of(&world).await;
    let git = found_on(vec![program("Git", "1", "/git")]);
    report(&world, endpoints[0], &git).await;
    for kind in [
        CollectionKind::Applications,
        CollectionKind::Machines,
        CollectionKind::Users,
    ] {
        let any = InventoryFilter::default();
        let theirs = fleet::inventory(&mut world.other_tx().await, kind, &any, &Page::first(200)).await;
        assert_eq!(theirs.unwrap().nodes(), []);
    }
    // The same thing there, under the same id, is another row; an endpoint of theirs that is none counts for nobody.
    report_at(&world, world.other, endpoints[0], world.now(), &git).await;
    assert_eq!(
        programs(&world, &InventoryFilter::default()).await,
        [("Git".to_owned(), 1)]
    );
    assert_eq!(world.count("select count(*) from inventory_item").await, 2);
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended_both_ways() {
    let world = World::new().await;
    let (endpoints, _) = fleet_of(&world).await;
    let all = (0..7).map(|n| {
        let mut program = program(&format!("Tool {}", n / 2), "1", "/tool");
        program.publisher = (n % 2 == 1).then(|| format!("Maker {n}"));
        program
    });
    report(&world, endpoints[0], &found_on(all.collect())).await;
    let key = |item: &InventoryItem| (item.name.clone(), item.publisher.clone());
    for kind in [CollectionKind::Applications, CollectionKind::Machines] {
        let whole: Vec<_> = list(&world, kind, &InventoryFilter::default())
            .await
            .iter()
            .map(key)
            .collect();
        assert_eq!(whole.len(), if kind == CollectionKind::Machines { 3 } else { 7 });
        for backward in [false, true] {
            let (mut seen, mut page) = (
                Vec::new(),
                Page {
                    backward,
                    ..Page::first(2)
                },
            );
            loop {
                let found = fleet::inventory(&mut world.tx().await, kind, &InventoryFilter::default(), &page)
                    .await
                    .unwrap();
                let edge = if backward {
                    found.edges.first()
                } else {
                    found.edges.last()
                };
                page.from = edge.map(|edge| edge.cursor.clone());
                let rows = found.edges.iter().map(|edge| key(&edge.node));
                if backward {
                    seen = rows.chain(seen).collect();
                } else {
                    seen.extend(rows);
                }
                if !found.more {
                    break;
                }
            }
            assert_eq!(seen, whole, "{kind}, backward {backward}");
        }
    }
}
