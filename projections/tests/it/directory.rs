//! `directory`: from events to rows, and the queries on them.

use std::time::Duration;

use formats::{ApiKeyId, EndpointId, PersonId, ServiceAccountId, TeamId, UserId};
use model::{
    Role, Scope,
    person::{Person, PersonCommand},
    request::Approver,
    roles::{Roles, RolesCommand},
    service_account::{ServiceAccount, ServiceAccountCommand},
    team::{Team, TeamCommand},
    tenant::{Settings, Tenant, TenantCommand},
    user::{User, UserCommand},
};
use projections::{
    Page,
    directory::{self, UserFilter},
};

use crate::world::{MINUTE, World};

async fn create_user(world: &World, name: &str, email: &str) -> (UserId, PersonId) {
    // Ids of one millisecond are in no particular order.
    world.clock.advance(Duration::from_millis(1));
    let (user, person) = (world.id::<UserId>(), world.id::<PersonId>());
    let command = UserCommand::CreateUser {
        user,
        person,
        email: email.to_owned(),
        name: name.to_owned(),
        source: "invitation".to_owned(),
    };
    world.run::<User>(user.uuid(), command).await.unwrap();
    (user, person)
}

async fn assign(world: &World, user: UserId, roles: &[Role]) {
    let command = RolesCommand::AssignRoles {
        user,
        roles: roles.to_vec(),
        by: None,
    };
    world.run::<Roles>(world.tenant.uuid(), command).await.unwrap();
}

async fn change(world: &World, user: UserId, command: UserCommand) {
    world.run::<User>(user.uuid(), command).await.unwrap();
}

async fn names(world: &World, filter: &UserFilter) -> Vec<String> {
    let page = directory::users(&mut world.tx().await, filter, &Page::first(200))
        .await
        .unwrap();
    page.nodes().into_iter().map(|u| u.name.unwrap()).collect()
}

#[tokio::test]
async fn a_user_is_found_by_id_by_address_and_by_person_with_roles_and_factors() {
    let world = World::new().await;
    let (ada, person) = create_user(&world, "Ada Byron", "Ada@Example.test").await;
    let created_at = world.now();
    assign(&world, ada, &[Role::Owner, Role::Approver]).await;
    change(
        &world,
        ada,
        UserCommand::EnrolMfa {
            method: "totp".to_owned(),
        },
    )
    .await;
    world.clock.advance(MINUTE);
    change(
        &world,
        ada,
        UserCommand::SignIn {
            method: "password".to_owned(),
        },
    )
    .await;
    world.drain().await;
    let mut tx = world.tx().await;
    let view = directory::user(&mut tx, ada).await.unwrap().unwrap();
    assert_eq!(
        (view.email.as_deref(), view.name.as_deref()),
        (Some("Ada@Example.test"), Some("Ada Byron"))
    );
    assert_eq!(
        (view.person, view.created_at, view.last_sign_in_at),
        (person, created_at, Some(world.now()))
    );
    assert_eq!(
        (view.roles.as_slice(), view.factors.as_slice()),
        (&[Role::Approver, Role::Owner][..], &["totp".to_owned()][..])
    );
    assert!(view.is_enabled() && view.is_administrator());
    assert_eq!(
        directory::user_by_email(&mut tx, " ada@EXAMPLE.test")
            .await
            .unwrap()
            .as_ref(),
        Some(&view)
    );
    assert_eq!(
        directory::user_by_person(&mut tx, person).await.unwrap().as_ref(),
        Some(&view)
    );
    assert_eq!(
        directory::roles_of(&mut tx, ada).await.unwrap(),
        [Role::Approver, Role::Owner]
    );
    assert_eq!(directory::roles_of(&mut tx, world.id()).await.unwrap(), [Role::Member]);
    let mut other = world.other_tx().await;
    assert_eq!(directory::user(&mut other, ada).await.unwrap(), None);
    assert_eq!(
        directory::user_by_email(&mut other, "ada@example.test").await.unwrap(),
        None
    );
    assert_eq!(directory::roles_of(&mut other, ada).await.unwrap(), [Role::Member]);
    drop((tx, other));

    let renamed = UserCommand::ChangeUser {
        email: "king@example.test".to_owned(),
        name: "Ada King".to_owned(),
    };
    change(&world, ada, renamed).await;
    change(
        &world,
        ada,
        UserCommand::RemoveMfa {
            method: "totp".to_owned(),
        },
    )
    .await;
    world.drain().await;
    let mut tx = world.tx().await;
    assert_eq!(
        directory::user_by_email(&mut tx, "ada@example.test").await.unwrap(),
        None
    );
    let view = directory::user_by_email(&mut tx, "king@example.test")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((view.name.as_deref(), view.factors.len()), (Some("Ada King"), 0));
}

#[tokio::test]
async fn users_are_filtered_and_searched_by_words_of_name_and_address() {
    let world = World::new().await;
    let (ada, _) = create_user(&world, "Ada Byron", "ada@example.test").await;
    let (ben, _) = create_user(&world, "ben stone", "ben.stone@corp.test").await;
    let (_, _) = create_user(&world, "Cleo", "cleo@corp.test").await;
    assign(&world, ada, &[Role::Owner]).await;
    assign(&world, ben, &[Role::Admin, Role::Auditor]).await;
    change(
        &world,
        ben,
        UserCommand::DisableUser {
            is_owner: false,
            reason: "left".to_owned(),
        },
    )
    .await;
    let team: TeamId = world.id();
    let create = TeamCommand::CreateTeam {
        team,
        name: "Desk".to_owned(),
        members: vec![ada, ben],
    };
    world.run::<Team>(team.uuid(), create).await.unwrap();
    world.drain().await;
    assert_eq!(
        names(&world, &UserFilter::default()).await,
        ["Ada Byron", "ben stone", "Cleo"]
    );
    assert_eq!(
        names(
            &world,
            &UserFilter {
                disabled: Some(true),
                ..UserFilter::default()
            }
        )
        .await,
        ["ben stone"]
    );
    assert_eq!(
        names(
            &world,
            &UserFilter {
                disabled: Some(false),
                ..UserFilter::default()
            }
        )
        .await,
        ["Ada Byron", "Cleo"]
    );
    assert_eq!(
        names(
            &world,
            &UserFilter {
                roles: vec![Role::Member],
                ..UserFilter::default()
            }
        )
        .await,
        ["Cleo"]
    );
    let roles = vec![Role::Auditor, Role::Owner];
    assert_eq!(
        names(
            &world,
            &UserFilter {
                roles,
                ..UserFilter::default()
            }
        )
        .await,
        ["Ada Byron", "ben stone"]
    );
    assert_eq!(
        names(
            &world,
            &UserFilter {
                team: Some(team),
                ..UserFilter::default()
            }
        )
        .await
        .len(),
        2
    );
    for (managed, count) in [(true, 0), (false, 3)] {
        let filter = UserFilter {
            managed: Some(managed),
            ..UserFilter::default()
        };
        assert_eq!(names(&world, &filter).await.len(), count, "nobody came by SCIM");
    }
    let search = |text: &str| UserFilter {
        search: Some(text.to_owned()),
        ..UserFilter::default()
    };
    assert_eq!(names(&world, &search("corp")).await, ["ben stone", "Cleo"]);
    assert_eq!(names(&world, &search("STO be")).await, ["ben stone"]);

    let mut tx = world.tx().await;
    let first = directory::users(&mut tx, &UserFilter::default(), &Page::first(2))
        .await
        .unwrap();
    assert!(first.more);
    let cursor = first.edges[1].cursor.clone();
    let last = directory::users(&mut tx, &UserFilter::default(), &Page::after(cursor.clone(), 2))
        .await
        .unwrap();
    assert_eq!(
        last.nodes().into_iter().map(|u| u.name.unwrap()).collect::<Vec<_>>(),
        ["Cleo"]
    );
    let back = Page {
        limit: 2,
        from: Some(cursor),
        backward: true,
    };
    let before = directory::users(&mut tx, &UserFilter::default(), &back).await.unwrap();
    assert_eq!(
        before.nodes().into_iter().map(|u| u.name.unwrap()).collect::<Vec<_>>(),
        ["Ada Byron"]
    );

    assign(&world, ben, &[Role::Member]).await;
    change(&world, ben, UserCommand::EnableUser).await;
    world.drain().await;
    let view = directory::user(&mut world.tx().await, ben).await.unwrap().unwrap();
    assert_eq!((view.roles.as_slice(), view.disabled_at), (&[Role::Member][..], None));
}

#[tokio::test]
async fn teams_resolve_to_the_users_who_are_in_them_now_and_who_may_decide() {
    let world = World::new().await;
    let mut users = Vec::new();
    for n in 0..5 {
        users.push(
            create_user(&world, &format!("User {n}"), &format!("u{n}@example.test"))
                .await
                .0,
        );
    }
    assign(&world, users[0], &[Role::Owner]).await;
    for n in [1, 2] {
        assign(&world, users[n], &[Role::Approver]).await;
    }
    assign(&world, users[3], &[Role::Admin]).await;
    // Whoever may only look, or has no role but that of a member, decides nothing.
    assign(&world, users[4], &[Role::Auditor]).await;
    let (desk, night): (TeamId, TeamId) = (world.id(), world.id());
    for (team, name, members) in [
        (desk, "Desk", vec![users[0], users[1]]),
        (night, "Night", vec![users[1], users[2], users[4]]),
    ] {
        let create = TeamCommand::CreateTeam {
            team,
            name: name.to_owned(),
            members,
        };
        world.run::<Team>(team.uuid(), create).await.unwrap();
    }
    world.drain().await;
    let resolve = async |approvers: &[Approver]| {
        let users = directory::resolve(&mut world.tx().await, approvers).await.unwrap();
        users.into_iter().map(|u| u.id).collect::<Vec<_>>()
    };
    assert_eq!(
        resolve(&[Approver::Team(desk), Approver::Team(night)]).await,
        users[..3]
    );
    assert_eq!(
        resolve(&[
            Approver::User(users[3]),
            Approver::User(world.id()),
            Approver::Team(night)
        ])
        .await,
        users[1..4]
    );
    assert!(resolve(&[]).await.is_empty());

    let mut tx = world.tx().await;
    assert_eq!(
        directory::teams(&mut tx)
            .await
            .unwrap()
            .into_iter()
            .map(|t| t.name)
            .collect::<Vec<_>>(),
        ["Desk", "Night"]
    );
    let of = directory::teams_of(&mut tx, &users[1..3]).await.unwrap();
    let mut of: Vec<_> = of.into_iter().map(|(user, team)| (user, team.id)).collect();
    of.sort();
    let mut expected = vec![(users[1], desk), (users[1], night), (users[2], night)];
    expected.sort();
    assert_eq!(of, expected);
    assert_eq!(
        directory::members(&mut tx, &[desk]).await.unwrap(),
        [(desk, users[0]), (desk, users[1])]
    );
    let administrators = directory::administrators(&mut tx).await.unwrap();
    assert_eq!(
        administrators.into_iter().map(|u| u.id).collect::<Vec<_>>(),
        [users[0], users[3]]
    );
    assert_eq!(directory::known_approvers(&mut tx).await.unwrap().len(), 7);
    assert!(
        directory::known_approvers(&mut world.other_tx().await)
            .await
            .unwrap()
            .is_empty()
    );
    drop(tx);

    // In one batch: someone leaves, comes back and leaves; a team goes and comes again with other people.
    let members = |add: &[UserId], remove: &[UserId]| TeamCommand::ChangeMembers {
        add: add.to_vec(),
        remove: remove.to_vec(),
    };
    world
        .run::<Team>(desk.uuid(), members(&[users[2]], &[users[0]]))
        .await
        .unwrap();
    world
        .run::<Team>(desk.uuid(), members(&[users[0]], &[users[1]]))
        .await
        .unwrap();
    world.run::<Team>(desk.uuid(), members(&[], &[users[0]])).await.unwrap();
    world
        .run::<Team>(
            desk.uuid(),
            TeamCommand::ChangeTeam {
                name: Some("Day".to_owned()),
                members: None,
            },
        )
        .await
        .unwrap();
    world
        .run::<Team>(night.uuid(), members(&[users[0]], &[]))
        .await
        .unwrap();
    world
        .run::<Team>(night.uuid(), TeamCommand::DeleteTeam { used_by: Vec::new() })
        .await
        .unwrap();
    let again = TeamCommand::CreateTeam {
        team: night,
        name: "Night".to_owned(),
        members: vec![users[3]],
    };
    world.run::<Team>(night.uuid(), again).await.unwrap();
    change(
        &world,
        users[2],
        UserCommand::DisableUser {
            is_owner: false,
            reason: String::new(),
        },
    )
    .await;
    world.drain().await;
    let mut tx = world.tx().await;
    assert_eq!(directory::members(&mut tx, &[desk]).await.unwrap(), [(desk, users[2])]);
    assert_eq!(
        directory::members(&mut tx, &[night]).await.unwrap(),
        [(night, users[3])]
    );
    assert_eq!(directory::team(&mut tx, desk).await.unwrap().unwrap().name, "Day");
    assert!(
        directory::resolve(&mut tx, &[Approver::Team(desk)])
            .await
            .unwrap()
            .is_empty(),
        "disabled"
    );
}

#[tokio::test]
async fn rules_about_own_see_one_person_behind_all_accounts() {
    let world = World::new().await;
    let (ada, own) = create_user(&world, "Ada", "ada@example.test").await;
    let endpoint: EndpointId = world.id();
    let (laptop, server): (PersonId, PersonId) = (world.id(), world.id());
    for (person, account) in [(laptop, "CORP\\Ada"), (server, "ada")] {
        let see = PersonCommand::SeeEndpointAccount {
            person,
            account: account.to_owned(),
            endpoint,
        };
        world.run::<Person>(person.uuid(), see).await.unwrap();
    }
    let link = || PersonCommand::LinkEndpointAccount {
        user: ada,
        user_person: own,
        by: "admin".to_owned(),
    };
    world.run::<Person>(laptop.uuid(), link()).await.unwrap();
    world.drain().await;
    let mut tx = world.tx().await;
    let person = directory::person_by_account(&mut tx, "corp\\ada")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (person.id, person.canonical(), person.endpoint),
        (laptop, own, Some(endpoint))
    );
    assert_eq!(person.account.as_deref(), Some("CORP\\Ada"));
    assert_eq!(directory::canonical(&mut tx, laptop).await.unwrap(), own);
    assert_eq!(directory::canonical(&mut tx, server).await.unwrap(), server);
    assert_eq!(directory::canonical(&mut tx, own).await.unwrap(), own);
    assert_eq!(directory::canonical_of_user(&mut tx, ada).await.unwrap(), Some(own));
    let mut persons = directory::persons_of_user(&mut tx, ada).await.unwrap();
    persons.sort();
    let mut expected = vec![own, laptop];
    expected.sort();
    assert_eq!(persons, expected);
    assert_eq!(directory::accounts_of_user(&mut tx, ada).await.unwrap(), [person]);
    assert_eq!(directory::accounts_on(&mut tx, endpoint).await.unwrap().len(), 2);
    assert_eq!(
        directory::person_by_account(&mut world.other_tx().await, "ada")
            .await
            .unwrap(),
        None
    );
    drop(tx);
    world
        .run::<Person>(laptop.uuid(), PersonCommand::UnlinkEndpointAccount)
        .await
        .unwrap();
    world.drain().await;
    assert_eq!(
        directory::canonical(&mut world.tx().await, laptop).await.unwrap(),
        laptop
    );
}

#[tokio::test]
async fn nothing_personal_is_left_of_an_erased_person_and_a_rebuild_knows_no_more() {
    let world = World::new().await;
    let (ada, own) = create_user(&world, "Canary Name", "canary@example.test").await;
    let (ben, _) = create_user(&world, "Ben", "ben@example.test").await;
    world.drain().await;
    let person: PersonId = world.id();
    let see = PersonCommand::SeeEndpointAccount {
        person,
        account: "CANARY\\account".to_owned(),
        endpoint: world.id(),
    };
    world.run::<Person>(person.uuid(), see).await.unwrap();
    world.drain().await;
    world.erase(person).await;
    world.erase(own).await;
    world.drain().await;
    let mut tx = world.tx().await;
    let view = directory::user(&mut tx, ada).await.unwrap().unwrap();
    assert_eq!((view.email, view.name, view.erased_at), (None, None, Some(world.now())));
    assert_eq!(directory::person(&mut tx, person).await.unwrap().unwrap().account, None);
    assert_eq!(
        directory::user(&mut tx, ben).await.unwrap().unwrap().name.as_deref(),
        Some("Ben")
    );
    assert_eq!(
        directory::user_by_email(&mut tx, "canary@example.test").await.unwrap(),
        None
    );
    drop(tx);
    let build = world.live_build("directory").await;
    for table in ["directory_user", "directory_person"] {
        let rows = world.rows(table, build).await;
        assert!(
            !rows.iter().any(|row| row.to_lowercase().contains("canary")),
            "{table}: {rows:?}"
        );
    }
    let before = (
        world.rows("directory_user", build).await,
        world.rows("directory_person", build).await,
    );
    world.runner.rebuild(&["directory"], Some(world.tenant)).await.unwrap();
    world.drain().await;
    let rebuilt = world.live_build("directory").await;
    assert_ne!(rebuilt, build);
    assert_eq!(
        before,
        (
            world.rows("directory_user", rebuilt).await,
            world.rows("directory_person", rebuilt).await
        )
    );
}

#[tokio::test]
async fn keys_die_alone_or_with_their_account() {
    let world = World::new().await;
    let account: ServiceAccountId = world.id();
    let scopes = vec![Scope::FleetRead, Scope::AuditRead];
    let create = ServiceAccountCommand::CreateServiceAccount {
        account,
        name: "SIEM".to_owned(),
        scopes: scopes.clone(),
    };
    world.run::<ServiceAccount>(account.uuid(), create).await.unwrap();
    let first: ApiKeyId = world.id();
    world.clock.advance(Duration::from_millis(1));
    let second: ApiKeyId = world.id();
    for (key, scopes) in [(first, vec![Scope::AuditRead]), (second, scopes.clone())] {
        let at = world.now();
        let issue = ServiceAccountCommand::IssueApiKey {
            at,
            key,
            scopes,
            expires_at: Some(at + MINUTE),
        };
        world.run::<ServiceAccount>(account.uuid(), issue).await.unwrap();
    }
    world
        .run::<ServiceAccount>(account.uuid(), ServiceAccountCommand::RevokeApiKey { key: first })
        .await
        .unwrap();
    let revoked_at = world.now();
    world.drain().await;
    let mut tx = world.tx().await;
    let keys = directory::api_keys(&mut tx, &[account]).await.unwrap();
    assert_eq!(
        keys.iter().map(|k| (k.id, k.revoked_at)).collect::<Vec<_>>(),
        [(first, Some(revoked_at)), (second, None)]
    );
    assert!(
        keys[1].is_usable(world.now()) && !keys[1].is_usable(world.now() + MINUTE) && !keys[0].is_usable(world.now())
    );
    assert_eq!(
        (keys[0].scopes.as_slice(), keys[1].scopes.len()),
        (&[Scope::AuditRead][..], 2)
    );
    assert_eq!(directory::service_accounts(&mut tx).await.unwrap()[0].scopes, scopes);
    assert_eq!(
        directory::api_key(&mut world.other_tx().await, second).await.unwrap(),
        None
    );
    drop(tx);
    world.clock.advance(MINUTE);
    world
        .run::<ServiceAccount>(account.uuid(), ServiceAccountCommand::DeleteServiceAccount)
        .await
        .unwrap();
    world.drain().await;
    let mut tx = world.tx().await;
    assert!(directory::service_accounts(&mut tx).await.unwrap().is_empty());
    assert_eq!(
        directory::service_account(&mut tx, account)
            .await
            .unwrap()
            .unwrap()
            .name,
        "SIEM"
    );
    assert_eq!(
        directory::api_key(&mut tx, second).await.unwrap().unwrap().revoked_at,
        Some(world.now())
    );
    assert_eq!(
        directory::api_key(&mut tx, first).await.unwrap().unwrap().revoked_at,
        Some(revoked_at)
    );
}

#[tokio::test]
async fn the_tenant_shows_its_settings_epoch_and_whether_it_is_closed() {
    let world = World::new().await;
    let stream = world.tenant.uuid();
    let settings = Settings {
        justification_min: 12,
        self_approval: true,
        ..Settings::default()
    };
    let change = TenantCommand::ChangeSettings {
        settings: Box::new(settings.clone()),
    };
    world.run::<Tenant>(stream, change).await.unwrap();
    world
        .run::<Tenant>(
            stream,
            TenantCommand::RestoreLog {
                epoch: 2,
                reason: "drill".to_owned(),
            },
        )
        .await
        .unwrap();
    world
        .run::<Tenant>(
            stream,
            TenantCommand::SuspendTenant {
                reason: "unpaid".to_owned(),
            },
        )
        .await
        .unwrap();
    world.drain().await;
    let view = directory::tenant(&mut world.tx().await).await.unwrap().unwrap();
    assert_eq!((view.slug.as_str(), view.epoch, view.key_set_version), ("acme", 2, 1));
    assert_eq!(view.settings, settings);
    assert!(view.suspended && view.is_closed());
    world
        .run::<Tenant>(
            stream,
            TenantCommand::ResumeTenant {
                reason: "paid".to_owned(),
            },
        )
        .await
        .unwrap();
    world.drain().await;
    assert!(
        !directory::tenant(&mut world.tx().await)
            .await
            .unwrap()
            .unwrap()
            .is_closed()
    );
    assert_eq!(
        directory::tenant(&mut world.other_tx().await).await.unwrap(),
        None,
        "nothing of it was projected yet"
    );
}
