//! Who may do what, as words. The table that judges them is in the crate `commands`.

use serde::{Deserialize, Serialize};

/// A user's role (`docs/domain.md § 6`). The order is that of power: nobody grants one above their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees their own requests.
    Member,
    /// Reads everything, decides nothing, exports.
    Auditor,
    /// Decides what is routed to them.
    Approver,
    /// Policies, people, fleet, settings; decides.
    Admin,
    /// Everything.
    Owner,
}

impl Role {
    /// All roles, weakest first.
    pub const ALL: [Self; 5] = [Self::Member, Self::Auditor, Self::Approver, Self::Admin, Self::Owner];

    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Auditor => "auditor",
            Self::Approver => "approver",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

/// What a service account's key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Read policies, collections and approval rules; explain.
    #[serde(rename = "policies:read")]
    PoliciesRead,
    /// Change policies, collections and approval rules.
    #[serde(rename = "policies:write")]
    PoliciesWrite,
    /// Read requests.
    #[serde(rename = "requests:read")]
    RequestsRead,
    /// Cancel, revoke and expire requests. No key decides one: that is for people.
    #[serde(rename = "requests:write")]
    RequestsWrite,
    /// Read users and teams.
    #[serde(rename = "people:read")]
    PeopleRead,
    /// Change users and teams (also by SCIM).
    #[serde(rename = "people:write")]
    PeopleWrite,
    /// Read endpoints and deployment groups.
    #[serde(rename = "fleet:read")]
    FleetRead,
    /// Change endpoints and deployment groups, issue registration tokens.
    #[serde(rename = "fleet:write")]
    FleetWrite,
    /// Read the audit trail, checkpoints and proofs.
    #[serde(rename = "audit:read")]
    AuditRead,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 9] = [
        Self::PoliciesRead,
        Self::PoliciesWrite,
        Self::RequestsRead,
        Self::RequestsWrite,
        Self::PeopleRead,
        Self::PeopleWrite,
        Self::FleetRead,
        Self::FleetWrite,
        Self::AuditRead,
    ];

    /// The word in JSON, `noun:verb`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PoliciesRead => "policies:read",
            Self::PoliciesWrite => "policies:write",
            Self::RequestsRead => "requests:read",
            Self::RequestsWrite => "requests:write",
            Self::PeopleRead => "people:read",
            Self::PeopleWrite => "people:write",
            Self::FleetRead => "fleet:read",
            Self::FleetWrite => "fleet:write",
            Self::AuditRead => "audit:read",
        }
    }
}
