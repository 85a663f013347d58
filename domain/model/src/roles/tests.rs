//! given/when/then: who may give which roles, and the last owner.

use cqrs_es::test::TestFramework;
use formats::{TeamId, UserId};
use uuid::Uuid;

use super::*;
use crate::Role;

fn user(n: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(n))
}

fn has(n: u128, roles: &[Role]) -> RolesEvent {
    RolesAssigned {
        user: user(n),
        roles: roles.to_vec(),
    }
    .into()
}

fn assign(n: u128, roles: &[Role], by: Option<u128>) -> RolesCommand {
    RolesCommand::AssignRoles {
        user: user(n),
        roles: roles.to_vec(),
        by: by.map(user),
    }
}

fn given(events: Vec<RolesEvent>) -> cqrs_es::test::AggregateTestExecutor<Roles> {
    TestFramework::with(()).given(events)
}

#[test]
fn the_last_owner_stays() {
    given(vec![has(1, &[Role::Owner])])
        .when(assign(1, &[Role::Admin], Some(1)))
        .then_expect_error(RolesError::LastOwner);
}

#[test]
fn of_two_owners_who_demote_each_other_the_second_is_refused() {
    let both = vec![has(1, &[Role::Owner]), has(2, &[Role::Owner])];
    given(both.clone())
        .when(assign(2, &[Role::Member], Some(1)))
        .then_expect_events(vec![has(2, &[Role::Member])]);
    let after = [both, vec![has(2, &[Role::Member])]].concat();
    given(after)
        .when(assign(1, &[Role::Member], Some(1)))
        .then_expect_error(RolesError::LastOwner);
}

#[test]
fn nobody_grants_a_role_above_their_own() {
    given(vec![has(1, &[Role::Admin])])
        .when(assign(2, &[Role::Owner], Some(1)))
        .then_expect_error(RolesError::AboveOwn { role: Role::Owner });
}

#[test]
fn nobody_takes_a_role_above_their_own() {
    given(vec![
        has(1, &[Role::Admin]),
        has(2, &[Role::Owner]),
        has(3, &[Role::Owner]),
    ])
    .when(assign(2, &[Role::Member], Some(1)))
    .then_expect_error(RolesError::AboveOwn { role: Role::Owner });
}

#[test]
fn no_roles_means_member_and_the_same_roles_change_nothing() {
    given(vec![has(1, &[Role::Admin]), has(2, &[Role::Auditor])])
        .when(assign(2, &[], Some(1)))
        .then_expect_events(vec![has(2, &[Role::Member])]);
    given(vec![has(1, &[Role::Admin]), has(2, &[Role::Auditor])])
        .when(assign(2, &[Role::Auditor, Role::Auditor], Some(1)))
        .then_expect_events(vec![]);
}

fn team(n: u128) -> TeamId {
    TeamId::from_uuid(Uuid::from_u128(n))
}

fn map(roles: Vec<Role>, by: Option<UserId>) -> RolesCommand {
    RolesCommand::MapTeamRoles {
        team: team(7),
        roles,
        by,
    }
}

#[test]
fn a_team_gives_no_role_above_that_of_whoever_says_so_and_never_owner() {
    let given = || TestFramework::<Roles>::with(()).given(vec![has(1, &[Role::Owner]), has(2, &[Role::Approver])]);
    given()
        .when(map(vec![Role::Admin], Some(user(2))))
        .then_expect_error(RolesError::AboveOwn { role: Role::Admin });
    given()
        .when(map(vec![Role::Owner], Some(user(1))))
        .then_expect_error(RolesError::OwnerMapped);
    let mapped = TeamRolesMapped {
        team: team(7),
        roles: vec![Role::Admin],
    };
    given()
        .when(map(vec![Role::Member, Role::Admin], Some(user(1))))
        .then_expect_events(vec![mapped.clone().into()]);
    // Nor does anybody take away what they could not have given.
    given()
        .and(vec![mapped.into()])
        .when(map(vec![], Some(user(2))))
        .then_expect_error(RolesError::AboveOwn { role: Role::Admin });
}

#[test]
fn roles_by_teams_stand_beside_those_that_were_assigned() {
    let mut roles = Roles::default();
    let by_team = |list: &[Role]| {
        MappedRolesChanged {
            user: user(3),
            roles: list.to_vec(),
        }
        .into()
    };
    for event in [has(3, &[Role::Auditor]), by_team(&[Role::Approver])] {
        cqrs_es::Aggregate::apply(&mut roles, event);
    }
    assert_eq!(roles.of(user(3)), [Role::Auditor, Role::Approver]);
    assert_eq!(roles.assigned(user(3)), [Role::Auditor]);
    cqrs_es::Aggregate::apply(&mut roles, by_team(&[]));
    assert_eq!(roles.of(user(3)), [Role::Auditor]);
}
