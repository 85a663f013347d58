//! The policy document: the one JSON that forms, editors, import, export, snapshots and cases share.
//!
//! The shape is the contract of `docs/domain.md § 2`. A document is only *data* here: what may be saved is judged by
//! [`crate::validate`], what it means by [`crate::Index`]. Serialising writes every field, so that two equal policies
//! are equal text; reading fills what was left out with the defaults below and refuses a field it does not know.

mod baseline;
mod collection;
mod entry;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use baseline::{Baseline, BaselineSetting};
pub use collection::{Collection, CollectionKind};
pub use entry::{EntryError, Os, ScopeEntry, has_typed_prefix};

/// What kind of act a policy speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyType {
    /// Running a program with administrator rights.
    PrivilegeElevation,
    /// Opening a protected file.
    FileAccess,
    /// Running a restricted command line.
    CommandLine,
    /// Desired state: who stays administrator on a machine. Never the answer to an action.
    LeastPrivilege,
}

impl PolicyType {
    /// Every type, in the order forms show them.
    pub const ALL: [Self; 4] = [
        Self::PrivilegeElevation,
        Self::FileAccess,
        Self::CommandLine,
        Self::LeastPrivilege,
    ];

    /// The word in JSON, such as `file_access`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PrivilegeElevation => "privilege_elevation",
            Self::FileAccess => "file_access",
            Self::CommandLine => "command_line",
            Self::LeastPrivilege => "least_privilege",
        }
    }

    /// The action that this type of policy answers; none for `least_privilege`.
    #[must_use]
    pub const fn action_type(self) -> Option<ActionType> {
        match self {
            Self::PrivilegeElevation => Some(ActionType::PrivilegeElevation),
            Self::FileAccess => Some(ActionType::FileAccess),
            Self::CommandLine => Some(ActionType::CommandLine),
            Self::LeastPrivilege => None,
        }
    }
}

impl fmt::Display for PolicyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kinds of action that are decided; [`PolicyType`] without the desired state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionType {
    /// Running a program with administrator rights.
    PrivilegeElevation,
    /// Opening a protected file.
    FileAccess,
    /// Running a restricted command line.
    CommandLine,
}

impl ActionType {
    /// Every action type.
    pub const ALL: [Self; 3] = [Self::PrivilegeElevation, Self::FileAccess, Self::CommandLine];

    /// The word in JSON, such as `file_access`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.policy_type().as_str()
    }

    /// The type of the policies that answer it.
    #[must_use]
    pub const fn policy_type(self) -> PolicyType {
        match self {
            Self::PrivilegeElevation => PolicyType::PrivilegeElevation,
            Self::FileAccess => PolicyType::FileAccess,
            Self::CommandLine => PolicyType::CommandLine,
        }
    }
}

impl fmt::Display for ActionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a policy reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyStatus {
    /// Kept, not shipped to agents.
    Off,
    /// Evaluated and recorded, changes nothing.
    Monitor,
    /// As `monitor`, and the user is told.
    MonitorAndNotify,
    /// Decides.
    Enforce,
}

impl PolicyStatus {
    /// Every status, from the weakest to the strongest.
    pub const ALL: [Self; 4] = [Self::Off, Self::Monitor, Self::MonitorAndNotify, Self::Enforce];

    /// The word in JSON, such as `monitor_and_notify`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Monitor => "monitor",
            Self::MonitorAndNotify => "monitor_and_notify",
            Self::Enforce => "enforce",
        }
    }

    /// Whether matches are recorded without changing the outcome.
    #[must_use]
    pub const fn is_monitored(self) -> bool {
        matches!(self, Self::Monitor | Self::MonitorAndNotify)
    }
}

impl fmt::Display for PolicyStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a policy demands (`approval`, `mfa`, `justification`) or settles (`allow`, `deny`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// A human approves; implies a justification.
    Approval,
    /// A one-time code.
    Mfa,
    /// A written reason.
    Justification,
    /// The action is allowed.
    Allow,
    /// The action is denied.
    Deny,
}

impl Control {
    /// Every control.
    pub const ALL: [Self; 5] = [Self::Approval, Self::Mfa, Self::Justification, Self::Allow, Self::Deny];

    /// The word in JSON, such as `justification`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Mfa => "mfa",
            Self::Justification => "justification",
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }

    /// Whether it is a step somebody has to take, not an outcome.
    #[must_use]
    pub const fn is_required(self) -> bool {
        matches!(self, Self::Approval | Self::Mfa | Self::Justification)
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// Monday to Sunday.
    pub const ALL: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];
}

/// Calendar days `YYYY-MM-DD`, both inclusive. Text here, so that a bad date is a named problem and not a parse error.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateRange {
    /// First day.
    pub from: String,
    /// Last day.
    pub to: String,
}

/// Hours `HH:MM` of the endpoint's local day, half-open; `to` may be `24:00`; `from` after `to` wraps midnight.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRange {
    /// First minute inside.
    pub from: String,
    /// First minute outside.
    pub to: String,
}

/// What the user is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Notification {
    /// Plain text; empty means the agent's own words.
    pub message: String,
    /// Whether the user has to confirm having read it. True unless the policy says otherwise.
    pub require_acknowledgement: bool,
}

impl Default for Notification {
    fn default() -> Self {
        Self {
            message: String::new(),
            require_acknowledgement: true,
        }
    }
}

/// A policy as it is written, stored, shipped and tested (`docs/domain.md § 2`).
///
/// `name`, `type` and `status` must be given; everything else has a default: lists are empty, flags false,
/// `riskLevel` 50, `accessMinutes` 240, acknowledgement required.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyDocument {
    /// Shown everywhere the policy is mentioned; 1 to 200 characters.
    pub name: String,
    /// Which actions it speaks of.
    #[serde(rename = "type")]
    pub policy_type: PolicyType,
    /// How far it reaches.
    pub status: PolicyStatus,
    /// What it demands or settles.
    #[serde(default)]
    pub controls: Vec<Control>,
    /// On an `allow`: lifts the required controls of catch-all policies. Saving one needs the role owner.
    #[serde(default)]
    pub exception: bool,
    /// `*`, `user:PATTERN`, `group:PATTERN`, `collection:NAME-OR-ID`.
    #[serde(default)]
    pub users: Vec<String>,
    /// `*`, `machine:PATTERN`, `os:windows|macos|linux`, `collection:NAME-OR-ID`.
    #[serde(default)]
    pub machines: Vec<String>,
    /// `*`, `path:PATTERN`, `sha256:HEX`, `publisher:PATTERN`, `collection:NAME-OR-ID`.
    #[serde(default)]
    pub applications: Vec<String>,
    /// Bare patterns over the full command line.
    #[serde(default)]
    pub commands: Vec<String>,
    /// Bare patterns over the path of the file that is opened.
    #[serde(default)]
    pub files: Vec<String>,
    /// Days on which it holds; empty means any.
    #[serde(default)]
    pub dates: Vec<DateRange>,
    /// Hours in which it holds; empty means any.
    #[serde(default)]
    pub times: Vec<TimeRange>,
    /// Days of the week on which it holds; empty means any.
    #[serde(default)]
    pub days: Vec<Day>,
    /// Thumbprints of the application's signing certificate; empty means any.
    #[serde(default)]
    pub certificates: Vec<String>,
    /// 0 to 100; routes requests. The highest of several matching policies counts.
    #[serde(default = "default_risk_level")]
    pub risk_level: u32,
    /// Asks for a code even inside a running MFA session.
    #[serde(default)]
    pub mfa_always: bool,
    /// How long granted access lasts, in minutes. The smallest of several matching policies counts.
    #[serde(default = "default_access_minutes")]
    pub access_minutes: u32,
    /// The author knows that this `deny` reaches a protected path. Only saving looks at it.
    #[serde(default)]
    pub confirm_protected: bool,
    /// What the user is told.
    #[serde(default)]
    pub notification: Notification,
    /// `least_privilege` only: the accounts that stay administrators.
    #[serde(default)]
    pub keep_admins: Vec<String>,
}

/// `riskLevel` where the document is silent.
pub const DEFAULT_RISK_LEVEL: u32 = 50;
/// `accessMinutes` where the document is silent.
pub const DEFAULT_ACCESS_MINUTES: u32 = 240;

fn default_risk_level() -> u32 {
    DEFAULT_RISK_LEVEL
}

fn default_access_minutes() -> u32 {
    DEFAULT_ACCESS_MINUTES
}

impl PolicyDocument {
    /// An empty document: no controls, no scope, every default.
    #[must_use]
    pub fn new(name: impl Into<String>, policy_type: PolicyType, status: PolicyStatus) -> Self {
        Self {
            name: name.into(),
            policy_type,
            status,
            controls: Vec::new(),
            exception: false,
            users: Vec::new(),
            machines: Vec::new(),
            applications: Vec::new(),
            commands: Vec::new(),
            files: Vec::new(),
            dates: Vec::new(),
            times: Vec::new(),
            days: Vec::new(),
            certificates: Vec::new(),
            risk_level: DEFAULT_RISK_LEVEL,
            mfa_always: false,
            access_minutes: DEFAULT_ACCESS_MINUTES,
            confirm_protected: false,
            notification: Notification::default(),
            keep_admins: Vec::new(),
        }
    }

    /// The list that says *what* the policy is about: applications, commands or files. Machines for `least_privilege`.
    #[must_use]
    pub fn own_field(&self) -> (&'static str, &[String]) {
        match self.policy_type {
            PolicyType::PrivilegeElevation => ("applications", &self.applications),
            PolicyType::FileAccess => ("files", &self.files),
            PolicyType::CommandLine => ("commands", &self.commands),
            PolicyType::LeastPrivilege => ("machines", &self.machines),
        }
    }

    /// Whether its own field is exactly `["*"]`, so that an exception may lift its controls (`docs/domain.md § 2`, rule 3).
    #[must_use]
    pub fn is_catch_all(&self) -> bool {
        let (_, entries) = self.own_field();
        entries.len() == 1 && entries[0] == "*"
    }
}
