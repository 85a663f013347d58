//! The answer, and why.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::document::Control;

/// What happens with the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It goes on.
    Allowed,
    /// It does not.
    Denied,
    /// It goes on once every step is satisfied.
    Required,
    /// The operating system's own answer stands.
    PassThrough,
    /// It needs the server, which cannot be asked.
    BlockedOffline,
}

impl Outcome {
    /// The word in JSON, such as `pass_through`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Required => "required",
            Self::PassThrough => "pass_through",
            Self::BlockedOffline => "blocked_offline",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something to be done before the action goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The user writes a reason.
    Justification,
    /// Somebody else approves.
    Approval,
    /// A one-time code.
    Mfa,
}

impl Step {
    /// The word in JSON, such as `justification`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Justification => "justification",
            Self::Approval => "approval",
            Self::Mfa => "mfa",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Up to three distinct steps, in the order in which they are taken. A slice for readers, a list in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Steps {
    order: Order,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Order {
    #[default]
    None,
    Justification,
    Mfa,
    MfaJustification,
    JustificationApproval,
    JustificationApprovalMfa,
}

impl Steps {
    /// Puts demanded controls in order: with an approval `justification → approval → mfa`, else `mfa → justification`
    /// (`docs/domain.md § 2`, rule 8).
    #[must_use]
    pub fn of(approval: bool, mfa: bool, justification: bool) -> Self {
        let order = match (approval, mfa, justification) {
            (true, true, _) => Order::JustificationApprovalMfa,
            (true, false, _) => Order::JustificationApproval,
            (false, true, true) => Order::MfaJustification,
            (false, true, false) => Order::Mfa,
            (false, false, true) => Order::Justification,
            (false, false, false) => Order::None,
        };
        Self { order }
    }

    /// The steps that a list of controls demands; `allow` and `deny` demand none.
    #[must_use]
    pub fn demanded_by(controls: &[Control]) -> Self {
        let has = |control| controls.contains(&control);
        Self::of(has(Control::Approval), has(Control::Mfa), has(Control::Justification))
    }

    /// Whether a step cannot be taken without the server.
    #[must_use]
    pub fn need_server(self) -> bool {
        self.iter().any(|step| matches!(step, Step::Approval | Step::Mfa))
    }
}

impl Deref for Steps {
    type Target = [Step];

    fn deref(&self) -> &[Step] {
        match self.order {
            Order::None => &[],
            Order::Justification => &[Step::Justification],
            Order::Mfa => &[Step::Mfa],
            Order::MfaJustification => &[Step::Mfa, Step::Justification],
            Order::JustificationApproval => &[Step::Justification, Step::Approval],
            Order::JustificationApprovalMfa => &[Step::Justification, Step::Approval, Step::Mfa],
        }
    }
}

impl Serialize for Steps {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Steps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Vec::<Step>::deserialize(deserializer)?;
        let has = |step| list.contains(&step);
        let steps = Self::of(has(Step::Approval), has(Step::Mfa), has(Step::Justification));
        if *steps == *list {
            Ok(steps)
        } else {
            Err(serde::de::Error::custom(
                "steps are not in their order, or one is missing or twice there",
            ))
        }
    }
}

/// Which revision of which policy; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyRef(#[serde(with = "shared")] Arc<PolicyIdentity>);

/// What a [`PolicyRef`] refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyIdentity {
    /// The policy's id.
    pub id: String,
    /// Which of its revisions.
    pub revision: u64,
    /// Its name in that revision.
    pub name: String,
}

impl PolicyRef {
    /// A reference to that revision.
    #[must_use]
    pub fn new(id: impl Into<String>, revision: u64, name: impl Into<String>) -> Self {
        Self(Arc::new(PolicyIdentity {
            id: id.into(),
            revision,
            name: name.into(),
        }))
    }
}

impl Deref for PolicyRef {
    type Target = PolicyIdentity;

    fn deref(&self) -> &PolicyIdentity {
        &self.0
    }
}

mod shared {
    use super::{Arc, Deserialize, Deserializer, PolicyIdentity, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Arc<PolicyIdentity>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<PolicyIdentity>, D::Error> {
        PolicyIdentity::deserialize(deserializer).map(Arc::new)
    }
}

/// Which rule of `docs/domain.md § 2` settled the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettledBy {
    /// An enforced `deny` (rule 2).
    Deny,
    /// The union of the controls that enforced policies demand (rule 2).
    Controls,
    /// An enforced `allow` (rule 2).
    Allow,
    /// An exception lifted every control that was demanded (rule 3).
    Exception,
    /// No enforced policy matched, so the baseline answered (rule 4).
    Baseline,
    /// The path is protected, which spared it a `deny` or the baseline (rule 5).
    ProtectedPath,
    /// What matched demands nothing; only monitored policies can be so.
    NothingDemanded,
    /// A path or command line is longer than any the engine looks at.
    TooLong,
    /// The text made the patterns cost more than any honest one does.
    TooCostly,
    /// The action does not say what it is about.
    Incomplete,
}

impl SettledBy {
    /// The word in JSON, such as `protected_path`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Controls => "controls",
            Self::Allow => "allow",
            Self::Exception => "exception",
            Self::Baseline => "baseline",
            Self::ProtectedPath => "protected_path",
            Self::NothingDemanded => "nothing_demanded",
            Self::TooLong => "too_long",
            Self::TooCostly => "too_costly",
            Self::Incomplete => "incomplete",
        }
    }
}

impl fmt::Display for SettledBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What would have happened if monitored policies were enforced (`docs/domain.md § 2`, rule 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WouldHave {
    /// The outcome then.
    pub outcome: Outcome,
    /// The steps then.
    pub steps: Steps,
}

/// What the user is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Notice {
    /// Whether the user is told anything: a message is there, or a `monitor_and_notify` policy matched.
    pub notify: bool,
    /// The messages of the policies that speak to the user, in document order.
    pub messages: Vec<String>,
    /// Whether any of them wants to be confirmed.
    pub require_acknowledgement: bool,
}

/// The answer to one action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decision {
    /// What happens.
    pub outcome: Outcome,
    /// What has to be done first, in this order.
    pub steps: Steps,
    /// Every enforced policy that matched, in document order, also those left without effect.
    pub matched: Vec<PolicyRef>,
    /// Every monitored policy that matched, in document order.
    pub monitored: Vec<PolicyRef>,
    /// For an elevation: the file policies that its path falls under and that are not asked (rule 6).
    pub superseded: Vec<PolicyRef>,
    /// None where no monitored policy matched.
    pub would_have: Option<WouldHave>,
    /// The highest risk of `matched`; the default where none matched.
    pub risk_level: u32,
    /// The smallest `accessMinutes` of `matched`; the default where none matched.
    pub access_minutes: u32,
    /// Whether any of `matched` asks for a code inside a running MFA session too.
    pub mfa_always: bool,
    /// What the user is told.
    pub notification: Notice,
    /// The rule that settled the outcome.
    pub settled_by: SettledBy,
}
