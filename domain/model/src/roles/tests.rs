//! given/when/then: who may give which roles, and the last owner.

use cqrs_es::test::TestFramework;
use formats::UserId;
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
