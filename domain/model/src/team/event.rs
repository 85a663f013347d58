//! What can happen to a team.

use formats::{TeamId, UserId};

use crate::aggregate::{ClaimChange, EventData, events};

/// The space in which a team holds its name.
pub const TEAM_NAME: &str = "team.name";

events! {
    /// What can happen to a team.
    TeamEvent {
        /// The team exists.
        TeamCreated {
            team: TeamId,
            name: String,
            members: Vec<UserId>,
        }
        /// It has another name.
        TeamRenamed {
            team: TeamId,
            name: String,
        }
        /// Users came and went.
        TeamMembersChanged {
            team: TeamId,
            added: Vec<UserId>,
            removed: Vec<UserId>,
        }
        /// The team is gone.
        TeamDeleted {
            team: TeamId,
        }
    }
}

impl EventData for TeamEvent {
    fn claims(&self) -> Vec<ClaimChange> {
        let take = |name: &str| ClaimChange::Take {
            space: TEAM_NAME,
            value: name.to_lowercase(),
        };
        match self {
            Self::TeamCreated(e) => vec![take(&e.name)],
            Self::TeamRenamed(e) => vec![ClaimChange::ReleaseAll { space: TEAM_NAME }, take(&e.name)],
            Self::TeamDeleted(_) => vec![ClaimChange::ReleaseAll { space: TEAM_NAME }],
            Self::TeamMembersChanged(_) => Vec::new(),
        }
    }
}
