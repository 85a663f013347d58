//! What can be asked of a team.

use formats::{TeamId, UserId};

/// The commands, by their names in the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TeamCommand {
    /// Make the team.
    CreateTeam {
        team: TeamId,
        name: String,
        members: Vec<UserId>,
    },
    /// Change name or members, whichever is given. Members are the whole list.
    ChangeTeam {
        name: Option<String>,
        members: Option<Vec<UserId>>,
    },
    /// Add and remove some members.
    ChangeMembers { add: Vec<UserId>, remove: Vec<UserId> },
    /// Remove the team, unless approval rules name it.
    DeleteTeam { used_by: Vec<String> },
}
