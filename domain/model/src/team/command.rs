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
    /// Make a team that an identity provider keeps.
    ProvisionTeam {
        team: TeamId,
        name: String,
        external_id: Option<String>,
        members: Vec<UserId>,
    },
    /// Bring such a team to what the identity provider says now; what is none stays.
    SyncTeam {
        name: Option<String>,
        external_id: Option<Option<String>>,
        members: Option<Vec<UserId>>,
    },
    /// Remove such a team, unless approval rules name it.
    DeprovisionTeam { used_by: Vec<String> },
    /// Let it be kept by hand from now on.
    ReleaseTeam,
    /// Remove the team, unless approval rules name it.
    DeleteTeam { used_by: Vec<String> },
}
