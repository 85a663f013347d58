//! `policies`, `collections` and `approval_rules`: from events to rows, and the queries on them.

use std::time::Duration;

use formats::{ApprovalRuleId, CollectionId, DeploymentGroupId, PolicyId, UserId};
use model::{
    approval_rule::{ApprovalRules, ApprovalRulesCommand, RuleDefinition, RuleFacts},
    collection::{Collection, CollectionCommand},
    policy::{Policy, PolicyCommand, SaveFacts},
    request::{Approver, Windows},
};
use policy_engine::{CollectionKind, Control, PolicyDocument, PolicyStatus, PolicyType};
use projections::{
    Page, approval_rules,
    collections::{self, CollectionFilter},
    policies::{self, PolicyFilter, PolicySort, RevisionChange, RevisionState},
};
use uuid::Uuid;

use crate::world::{MINUTE, World};

pub fn document(name: &str, status: PolicyStatus) -> PolicyDocument {
    let mut document = PolicyDocument::new(name, PolicyType::PrivilegeElevation, status);
    document.controls = vec![Control::Approval];
    document.users = vec!["*".to_owned()];
    document.machines = vec!["*".to_owned()];
    document.applications = vec!["path:/opt/tools/*".to_owned()];
    document
}

pub async fn facts(world: &World) -> SaveFacts {
    SaveFacts {
        collections: collections::lookup(&mut world.tx().await).await.unwrap(),
        is_owner: true,
    }
}

pub async fn create_policy(world: &World, document: PolicyDocument) -> PolicyId {
    // Ids of one millisecond are in no particular order.
    world.clock.advance(Duration::from_millis(1));
    let policy: PolicyId = world.id();
    let command = PolicyCommand::CreatePolicy {
        policy,
        document: Box::new(document),
        reason: "for the test".to_owned(),
        copied_from: None,
        facts: facts(world).await,
    };
    world.run::<Policy>(policy.uuid(), command).await.unwrap();
    policy
}

pub async fn create_collection(world: &World, kind: CollectionKind, name: &str, member: &str) -> CollectionId {
    let collection: CollectionId = world.id();
    let command = CollectionCommand::CreateCollection {
        collection,
        kind,
        name: name.to_owned(),
        members: vec![member.to_owned()],
    };
    world.run::<Collection>(collection.uuid(), command).await.unwrap();
    collection
}

async fn listed(world: &World, filter: &PolicyFilter, sort: PolicySort) -> Vec<String> {
    let page = policies::list(&mut world.tx().await, filter, sort, &Page::first(200))
        .await
        .unwrap();
    page.nodes().into_iter().map(|p| p.document.name).collect()
}

#[tokio::test]
async fn a_policy_shows_its_live_and_staged_revision_and_every_revision_its_state() {
    let world = World::new().await;
    let pilot: DeploymentGroupId = world.id();
    let policy = create_policy(&world, document("Installers", PolicyStatus::Monitor)).await;
    let created_at = world.now();
    world.clock.advance(MINUTE);
    let facts = facts(&world).await;
    let revise = |name: &str| PolicyCommand::RevisePolicy {
        document: Box::new(document(name, PolicyStatus::Monitor)),
        reason: "renamed".to_owned(),
        expected: None,
        facts: facts.clone(),
    };
    let stage = || PolicyCommand::StagePolicyRevision {
        document: Box::new(document("Installers 3", PolicyStatus::Enforce)),
        groups: vec![pilot],
        reason: String::new(),
        expected: None,
        facts: facts.clone(),
    };
    world
        .run::<Policy>(policy.uuid(), revise("Installers 2"))
        .await
        .unwrap();
    world.run::<Policy>(policy.uuid(), stage()).await.unwrap();
    world.drain().await;

    let view = policies::find(&mut world.tx().await, policy).await.unwrap().unwrap();
    assert_eq!((view.revision, view.document.name.as_str()), (2, "Installers 2"));
    let staged = view.staged.unwrap();
    assert_eq!((staged.revision, staged.groups), (3, vec![pilot]));
    assert_eq!((view.created_at, view.updated_at), (created_at, world.now()));
    assert_eq!(view.updated_by.method.as_deref(), Some("password+totp"));

    world
        .run::<Policy>(
            policy.uuid(),
            PolicyCommand::WithdrawPolicyRevision { reason: String::new() },
        )
        .await
        .unwrap();
    world.run::<Policy>(policy.uuid(), stage()).await.unwrap();
    world
        .run::<Policy>(
            policy.uuid(),
            PolicyCommand::PromotePolicyRevision { facts: facts.clone() },
        )
        .await
        .unwrap();
    let rollback = PolicyCommand::RollbackPolicy {
        to: 1,
        reason: String::new(),
        expected: None,
        facts: facts.clone(),
    };
    world.run::<Policy>(policy.uuid(), rollback).await.unwrap();
    world.run::<Policy>(policy.uuid(), stage()).await.unwrap();
    world.drain().await;

    let page = policies::revisions(&mut world.tx().await, policy, &Page::first(3))
        .await
        .unwrap();
    assert!(page.more);
    let after = page.edges.last().unwrap().cursor.clone();
    let rest = policies::revisions(&mut world.tx().await, policy, &Page::after(after, 10))
        .await
        .unwrap();
    let all: Vec<_> = page.nodes().into_iter().chain(rest.nodes()).collect();
    let states: Vec<_> = all.iter().map(|r| (r.number, r.change, r.state)).collect();
    assert_eq!(
        states,
        [
            (6, RevisionChange::Staged, RevisionState::Staged),
            (5, RevisionChange::RolledBack { to: 1 }, RevisionState::Current),
            (4, RevisionChange::Staged, RevisionState::Superseded),
            (3, RevisionChange::Staged, RevisionState::Withdrawn),
            (2, RevisionChange::Revised, RevisionState::Superseded),
            (1, RevisionChange::Created, RevisionState::Superseded),
        ]
    );
    assert!(all[2].promoted_at.is_some() && all[3].withdrawn_at.is_some());
    let second = policies::revision(&mut world.tx().await, policy, 2)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (second.document.name.as_str(), second.reason.as_str()),
        ("Installers 2", "renamed")
    );
    assert!(policies::ever_monitored(&mut world.tx().await, policy).await.unwrap());

    assert_eq!(policies::find(&mut world.other_tx().await, policy).await.unwrap(), None);
    assert_eq!(
        policies::revision(&mut world.other_tx().await, policy, 2)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn policies_are_filtered_searched_and_sorted_and_pages_meet_without_a_gap() {
    let world = World::new().await;
    let pilots = create_collection(&world, CollectionKind::Machines, "Pilots", "machine:WS-*").await;
    world.drain().await;
    let mut names = Vec::new();
    for (name, status) in [
        ("beta Tools", PolicyStatus::Enforce),
        ("Alpha installers", PolicyStatus::Monitor),
        ("alpha tools", PolicyStatus::Off),
        ("Gamma", PolicyStatus::Enforce),
    ] {
        let mut document = document(name, status);
        if name == "Gamma" {
            document.machines = vec!["collection:Pilots".to_owned()];
            document.controls = vec![Control::Mfa];
        }
        names.push(create_policy(&world, document).await);
    }
    let deleted = create_policy(&world, document("Deleted", PolicyStatus::Off)).await;
    world
        .run::<Policy>(deleted.uuid(), PolicyCommand::DeletePolicy { reason: String::new() })
        .await
        .unwrap();
    world.drain().await;

    let all = PolicyFilter::default();
    assert_eq!(
        listed(&world, &all, PolicySort::Name).await,
        ["Alpha installers", "alpha tools", "beta Tools", "Gamma"]
    );
    assert_eq!(
        listed(&world, &all, PolicySort::NewestFirst).await,
        ["Gamma", "alpha tools", "Alpha installers", "beta Tools"]
    );
    assert_eq!(
        listed(&world, &all, PolicySort::Status).await,
        ["alpha tools", "Alpha installers", "beta Tools", "Gamma"]
    );
    let search = |text: &str| PolicyFilter {
        search: Some(text.to_owned()),
        ..PolicyFilter::default()
    };
    assert_eq!(
        listed(&world, &search("TOO alp"), PolicySort::Name).await,
        ["alpha tools"]
    );
    assert!(
        listed(&world, &search("lpha"), PolicySort::Name).await.is_empty(),
        "words are found by how they begin"
    );
    let enforced = PolicyFilter {
        statuses: vec![PolicyStatus::Enforce],
        ..PolicyFilter::default()
    };
    assert_eq!(
        listed(&world, &enforced, PolicySort::Name).await,
        ["beta Tools", "Gamma"]
    );
    let with_mfa = PolicyFilter {
        controls: vec![Control::Mfa, Control::Deny],
        ..PolicyFilter::default()
    };
    assert_eq!(listed(&world, &with_mfa, PolicySort::Name).await, ["Gamma"]);
    let of_type = PolicyFilter {
        types: vec![PolicyType::FileAccess],
        ..PolicyFilter::default()
    };
    assert!(listed(&world, &of_type, PolicySort::Name).await.is_empty());
    let naming = PolicyFilter {
        collection: Some((pilots, "Pilots".to_owned())),
        ..PolicyFilter::default()
    };
    assert_eq!(listed(&world, &naming, PolicySort::Name).await, ["Gamma"]);
    let with_deleted = PolicyFilter {
        deleted: true,
        ..PolicyFilter::default()
    };
    assert_eq!(listed(&world, &with_deleted, PolicySort::Name).await.len(), 5);

    for sort in [PolicySort::Name, PolicySort::NewestFirst, PolicySort::Status] {
        let mut tx = world.tx().await;
        let whole: Vec<_> = policies::list(&mut tx, &all, sort, &Page::first(9))
            .await
            .unwrap()
            .nodes()
            .into_iter()
            .map(|p| p.id)
            .collect();
        let (mut forward, mut page) = (Vec::new(), Page::first(1));
        loop {
            let found = policies::list(&mut tx, &all, sort, &page).await.unwrap();
            let (more, edge) = (found.more, found.edges.into_iter().next().unwrap());
            forward.push(edge.node.id);
            page.from = Some(edge.cursor);
            if !more {
                break;
            }
        }
        assert_eq!(forward, whole);
        let back = policies::list(&mut tx, &all, sort, &Page { backward: true, ..page })
            .await
            .unwrap();
        assert_eq!(
            back.nodes().into_iter().map(|p| p.id).collect::<Vec<_>>(),
            whole[2..3],
            "the row before the last"
        );
    }

    let mut tx = world.tx().await;
    assert_eq!(policies::count(&mut tx).await.unwrap(), 4);
    let counts = policies::counts_by_status(&mut tx).await.unwrap();
    assert_eq!(
        counts.into_iter().collect::<Vec<_>>(),
        [
            (PolicyStatus::Off, 1),
            (PolicyStatus::Monitor, 1),
            (PolicyStatus::Enforce, 2)
        ]
    );
    let current = policies::current(&mut tx).await.unwrap();
    assert_eq!(
        current.iter().map(|p| p.id).collect::<Vec<_>>(),
        names,
        "in the order in which they were made"
    );
    assert!(
        policies::find(&mut tx, deleted)
            .await
            .unwrap()
            .unwrap()
            .deleted_at
            .is_some()
    );
}

fn rule(name: &str, approver: UserId, collection: &str) -> Box<RuleDefinition> {
    Box::new(RuleDefinition {
        name: name.to_owned(),
        types: Vec::new(),
        collections: vec![collection.to_owned()],
        risk_from: 0,
        risk_to: 100,
        primary: vec![Approver::User(approver)],
        secondary: Vec::new(),
        quorum: 1,
        windows: Windows::default(),
        self_approval: false,
    })
}

#[tokio::test]
async fn a_collection_tells_who_uses_it_and_by_what() {
    let world = World::new().await;
    let approver: UserId = world.id();
    let tools = create_collection(&world, CollectionKind::Applications, "Tools", "path:/opt/*").await;
    let pilots = create_collection(&world, CollectionKind::Machines, "Pilots", "machine:A").await;
    world.drain().await;
    let mut by_name = document("By name", PolicyStatus::Enforce);
    by_name.applications = vec!["collection:Tools".to_owned()];
    let by_name = create_policy(&world, by_name).await;
    let mut by_id = document("By id", PolicyStatus::Off);
    by_id.applications = vec![format!("collection:{tools}")];
    let by_id = create_policy(&world, by_id).await;
    let facts = RuleFacts {
        collections: ["Tools".to_owned(), pilots.to_string()].into(),
        approvers: [Approver::User(approver)].into(),
    };
    let (one, two): (ApprovalRuleId, ApprovalRuleId) = (world.id(), world.id());
    for (rule_id, name, collection) in [(one, "One", "Tools".to_owned()), (two, "Two", pilots.to_string())] {
        let definition = rule(name, approver, &collection);
        let command = ApprovalRulesCommand::CreateApprovalRule {
            rule: rule_id,
            definition,
            facts: facts.clone(),
        };
        world.run::<ApprovalRules>(world.tenant.uuid(), command).await.unwrap();
    }
    world.drain().await;

    let mut tx = world.tx().await;
    let usage = collections::used_by(&mut tx, tools).await.unwrap();
    assert_eq!(
        usage.policies,
        [
            (by_id, "By id".to_owned(), false),
            (by_name, "By name".to_owned(), true)
        ]
    );
    assert_eq!(usage.rules, [(one, "One".to_owned(), true)]);
    assert_eq!(usage.names(), ["By id", "By name", "One"]);
    assert_eq!(usage.by_name(), ["By name", "One"]);
    let usage = collections::used_by(&mut tx, pilots).await.unwrap();
    assert_eq!(
        (usage.policies.len(), usage.rules.as_slice()),
        (0, &[(two, "Two".to_owned(), false)][..])
    );

    let lookup = collections::lookup(&mut tx).await.unwrap();
    assert_eq!(lookup.len(), 4);
    assert_eq!(lookup["Tools"], lookup[&tools.to_string()]);
    assert_eq!(
        collections::find_by_ref(&mut tx, "Pilots").await.unwrap().unwrap().id,
        pilots
    );
    assert_eq!(
        collections::find_by_ref(&mut tx, &tools.to_string())
            .await
            .unwrap()
            .unwrap()
            .id,
        tools
    );
    assert_eq!(collections::find_by_ref(&mut tx, "pilots").await.unwrap(), None);
    let machines = CollectionFilter {
        kind: Some(CollectionKind::Machines),
        search: Some("pil".to_owned()),
    };
    let found = collections::list(&mut tx, &machines, &Page::first(10))
        .await
        .unwrap()
        .nodes();
    assert_eq!(found.iter().map(|c| c.id).collect::<Vec<_>>(), [pilots]);
    assert!(collections::all(&mut world.other_tx().await).await.unwrap().is_empty());
    drop(tx);

    let delete = CollectionCommand::DeleteCollection { used_by: Vec::new() };
    world.run::<Collection>(pilots.uuid(), delete).await.unwrap();
    let change = CollectionCommand::ChangeCollection {
        name: Some("Tools 2".to_owned()),
        members: Some(vec!["path:/usr/local/*".to_owned(), "path:/opt/*".to_owned()]),
        named_by: Vec::new(),
        policies: Vec::new(),
        facts: Default::default(),
    };
    world.run::<Collection>(tools.uuid(), change).await.unwrap();
    world.drain().await;
    let all = collections::all(&mut world.tx().await).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].name.as_str(), all[0].members.len(), all[0].kind),
        ("Tools 2", 2, CollectionKind::Applications)
    );
}

#[tokio::test]
async fn rules_keep_the_order_in_which_they_are_asked() {
    let world = World::new().await;
    let approver: UserId = world.id();
    let stream: Uuid = world.tenant.uuid();
    let facts = RuleFacts {
        collections: ["c".to_owned()].into(),
        approvers: [Approver::User(approver)].into(),
    };
    let ids: Vec<ApprovalRuleId> = (0..4).map(|_| world.id()).collect();
    for (n, id) in ids.iter().enumerate() {
        let definition = rule(&format!("rule {n}"), approver, "c");
        let command = ApprovalRulesCommand::CreateApprovalRule {
            rule: *id,
            definition,
            facts: facts.clone(),
        };
        world.run::<ApprovalRules>(stream, command).await.unwrap();
    }
    world.drain().await;
    let order = vec![ids[3], ids[1], ids[0], ids[2]];
    world
        .run::<ApprovalRules>(stream, ApprovalRulesCommand::ReorderApprovalRules { order })
        .await
        .unwrap();
    world
        .run::<ApprovalRules>(stream, ApprovalRulesCommand::DeleteApprovalRule { rule: ids[1] })
        .await
        .unwrap();
    let changed = ApprovalRulesCommand::ChangeApprovalRule {
        rule: ids[0],
        definition: rule("changed", approver, "c"),
        facts: facts.clone(),
    };
    world.clock.advance(MINUTE);
    world.run::<ApprovalRules>(stream, changed).await.unwrap();
    world.drain().await;
    let mut tx = world.tx().await;
    let rules = approval_rules::all(&mut tx).await.unwrap();
    let shown: Vec<_> = rules
        .iter()
        .map(|r| (r.rank, r.id, r.definition.name.as_str()))
        .collect();
    assert_eq!(
        shown,
        [(1, ids[3], "rule 3"), (2, ids[0], "changed"), (3, ids[2], "rule 2")]
    );
    assert!(rules[1].updated_at > rules[1].created_at);
    assert_eq!(
        approval_rules::find(&mut tx, ids[0]).await.unwrap().as_ref(),
        Some(&rules[1])
    );
    assert_eq!(
        approval_rules::find(&mut world.other_tx().await, ids[0]).await.unwrap(),
        None
    );
}
