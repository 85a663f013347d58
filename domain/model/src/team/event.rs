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
            /// `scim` for one that an identity provider keeps; left out for one that is kept by hand.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            source: Option<String>,
            /// Its id at the identity provider.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            external_id: Option<String>,
        }
        /// The identity provider has another id for it.
        TeamExternalIdChanged {
            team: TeamId,
            external_id: Option<String>,
        }
        /// No identity provider keeps it any more: from now on it is kept by hand.
        TeamReleased {
            team: TeamId,
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
            Self::TeamMembersChanged(_) | Self::TeamExternalIdChanged(_) | Self::TeamReleased(_) => Vec::new(),
        }
    }
}
