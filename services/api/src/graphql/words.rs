//! Enums of the API, each the twin of one of the domain's.

use async_graphql::Enum;
use model::request::Status;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident($twin:literal $(, $graphql:literal)?) { $($word:ident),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
        #[graphql(remote = $twin $(, name = $graphql)?)]
        pub(crate) enum $name { $($word),* }
    )*};
}

words! {
    /// What kind of action.
    ActionType("policy_engine::ActionType") { PrivilegeElevation, FileAccess, CommandLine }
    /// What kind of principal.
    ActorKind("formats::ActorKind") { User, ServiceAccount, ScimToken, Endpoint, Operator, System }
    /// What a collection's members are.
    CollectionKind("policy_engine::CollectionKind") { Users, Machines, Applications }
    /// What a policy demands, or the outcome it gives.
    Control("policy_engine::Control") { Approval, Mfa, Justification, Allow, Deny }
    /// An endpoint's state in a word.
    EndpointStatus("projections::fleet::EndpointState") { NeverSeen, Online, Offline, Outdated, Removed }
    /// Where a grant stands.
    GrantStatus("model::request::GrantStatus") { Active, Exhausted, Expired, Revoked }
    /// Operating systems of endpoints.
    Os("policy_engine::Os", "OperatingSystem") { Windows, Macos, Linux }
    /// What the engine says of an action.
    Outcome("policy_engine::Outcome") { Allowed, Denied, Required, PassThrough, BlockedOffline }
    /// Where a revision stands.
    PolicyRevisionState("projections::policies::RevisionState") { Current, Staged, Superseded, Withdrawn }
    /// The order of a list of policies.
    PolicySort("projections::policies::PolicySort") { Name, NewestFirst, Status }
    /// Whose JSON a file of policies is.
    PolicyFileFormat("policy_engine::import::Format") { Native, Keeper }
    /// How far a policy reaches.
    PolicyStatus("policy_engine::PolicyStatus") { Off, Monitor, MonitorAndNotify, Enforce }
    /// What a policy is about.
    PolicyType("policy_engine::PolicyType") { PrivilegeElevation, FileAccess, CommandLine, LeastPrivilege }
    /// A user's role.
    Role("model::Role") { Owner, Admin, Approver, Auditor, Member }
    /// A step that an action still needs.
    Step("policy_engine::Step") { Justification, Approval, Mfa }
}

/// The order of a list of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[expect(clippy::enum_variant_names, reason = "the names are the API's")]
pub(crate) enum RequestSort {
    /// The last filed first.
    NewestFirst,
    /// The first filed first.
    OldestFirst,
    /// The next deadline first.
    DeadlineFirst,
    /// The highest risk first.
    RiskFirst,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum RequestStatus {
    /// The primary approvers are asked.
    Pending,
    /// The secondary approvers are asked too.
    Escalated,
    /// Enough approvers agreed.
    Approved,
    /// An approver refused.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// Taken back.
    Cancelled,
}

impl From<Status> for RequestStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::None | Status::Pending => Self::Pending,
            Status::Escalated => Self::Escalated,
            Status::Approved => Self::Approved,
            Status::Denied => Self::Denied,
            Status::Expired => Self::Expired,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

impl From<RequestStatus> for Status {
    fn from(status: RequestStatus) -> Self {
        match status {
            RequestStatus::Pending => Self::Pending,
            RequestStatus::Escalated => Self::Escalated,
            RequestStatus::Approved => Self::Approved,
            RequestStatus::Denied => Self::Denied,
            RequestStatus::Expired => Self::Expired,
            RequestStatus::Cancelled => Self::Cancelled,
        }
    }
}

/// Which side of the approvers a decision came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum DecidedAs {
    /// Asked first.
    Primary,
    /// Asked after the first deadline.
    Secondary,
    /// Owners and admins may always decide.
    Administrator,
}

impl From<commands::Side> for DecidedAs {
    fn from(side: commands::Side) -> Self {
        match side {
            commands::Side::Primary => Self::Primary,
            commands::Side::Secondary => Self::Secondary,
            commands::Side::Administrator => Self::Administrator,
        }
    }
}

/// What an approver said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum DecisionVerdict {
    /// Agreed.
    Approved,
    /// Refused.
    Denied,
}

/// What happens where no enforced policy matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum BaselineOutcome {
    /// The operating system's own answer stands.
    PassThrough,
    /// Denied.
    Deny,
    /// Controls are required.
    Required,
}

/// How bad a lint warning is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum LintLevel {
    /// Good to know.
    Info,
    /// Probably not meant.
    Warning,
}

/// The state of a user's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum UserStatus {
    /// Invited, and not here yet.
    Invited,
    /// It can be used.
    Active,
    /// It can't be used.
    Disabled,
}

/// The domain's words of a list of the API's.
pub(crate) fn all<T, U: From<T>>(words: Option<Vec<T>>) -> Vec<U> {
    words.unwrap_or_default().into_iter().map(Into::into).collect()
}
