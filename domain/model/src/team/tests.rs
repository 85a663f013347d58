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
