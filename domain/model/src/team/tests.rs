//! given/when/then.

use cqrs_es::test::TestFramework;
use formats::{TeamId, UserId};
use uuid::Uuid;

use super::*;

fn team() -> TeamId {
    TeamId::from_uuid(Uuid::from_u128(9))
}

fn user(n: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(n))
}

fn created() -> TeamEvent {
    TeamCreated {
        team: team(),
        name: "Desk".into(),
        members: vec![user(1), user(2)],
        source: None,
        external_id: None,
    }
    .into()
}

#[test]
fn a_team_is_made_with_distinct_members() {
    TestFramework::<Team>::with(())
        .given_no_previous_events()
        .when(TeamCommand::CreateTeam {
            team: team(),
            name: " Desk ".into(),
            members: vec![user(2), user(1), user(2)],
        })
        .then_expect_events(vec![created()]);
}

#[test]
fn a_whole_list_of_members_becomes_who_came_and_who_went() {
    TestFramework::<Team>::with(())
        .given(vec![created()])
        .when(TeamCommand::ChangeTeam {
            name: None,
            members: Some(vec![user(2), user(3)]),
        })
        .then_expect_events(vec![
            TeamMembersChanged {
                team: team(),
                added: vec![user(3)],
                removed: vec![user(1)],
            }
            .into(),
        ]);
}

#[test]
fn a_team_that_rules_name_is_not_deleted() {
    TestFramework::<Team>::with(())
        .given(vec![created()])
        .when(TeamCommand::DeleteTeam {
            used_by: vec!["High risk".into()],
        })
        .then_expect_error(TeamError::InUse {
            used_by: vec!["High risk".into()],
        });
}

#[test]
fn a_deleted_team_does_not_exist() {
    TestFramework::<Team>::with(())
        .given(vec![created(), TeamDeleted { team: team() }.into()])
        .when(TeamCommand::ChangeTeam {
            name: Some("X".into()),
            members: None,
        })
        .then_expect_error(TeamError::NotFound);
}

fn provisioned() -> TeamEvent {
    TeamCreated {
        team: team(),
        name: "Desk".into(),
        members: vec![user(1)],
        source: Some("scim".into()),
        external_id: Some("g-1".into()),
    }
    .into()
}

#[test]
fn a_team_of_an_identity_provider_is_not_changed_by_hand_until_it_is_released() {
    for command in [
        TeamCommand::ChangeTeam {
            name: Some("X".into()),
            members: None,
        },
        TeamCommand::ChangeMembers {
            add: vec![user(2)],
            remove: vec![],
        },
        TeamCommand::DeleteTeam { used_by: vec![] },
    ] {
        TestFramework::<Team>::with(())
            .given(vec![provisioned()])
            .when(command.clone())
            .then_expect_error(TeamError::Managed);
        let released = TeamReleased { team: team() }.into();
        let after = TestFramework::<Team>::with(())
            .given(vec![provisioned(), released])
            .when(command)
            .inspect_result();
        assert_eq!(after.unwrap().len(), 1);
    }
}

#[test]
fn an_identity_provider_changes_no_team_that_is_kept_by_hand() {
    for command in [
        TeamCommand::SyncTeam {
            name: Some("X".into()),
            external_id: None,
            members: None,
        },
        TeamCommand::DeprovisionTeam { used_by: vec![] },
        TeamCommand::ReleaseTeam,
    ] {
        TestFramework::<Team>::with(())
            .given(vec![created()])
            .when(command)
            .then_expect_error(TeamError::NotManaged);
    }
}

#[test]
fn what_an_identity_provider_says_of_a_team_becomes_the_difference() {
    TestFramework::<Team>::with(())
        .given(vec![provisioned()])
        .when(TeamCommand::SyncTeam {
            name: Some("Desk".into()),
            external_id: Some(Some("g-2".into())),
            members: Some(vec![user(2)]),
        })
        .then_expect_events(vec![
            TeamMembersChanged {
                team: team(),
                added: vec![user(2)],
                removed: vec![user(1)],
            }
            .into(),
            TeamExternalIdChanged {
                team: team(),
                external_id: Some("g-2".into()),
            }
            .into(),
        ]);
}
