//! Why: every policy that was considered, and what kept it out (`docs/domain.md § 2`, rule 9).
//!
//! The explanation does not go through the tables: it asks each policy field by field, in the order of the document.

use serde::{Deserialize, Serialize};

use super::decide::Input;
use super::scope::{Fit, Names};
use super::{Compiled, Index, NamePattern};
use crate::action::Action;
use crate::decision::{Decision, Outcome, PolicyRef, SettledBy};
use crate::document::{ActionType, Control, PolicyStatus, PolicyType, ScopeEntry};
use crate::pattern::{Pattern, Subject, Variable};

/// A decision with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Explanation {
    /// The decision itself.
    pub decision: Decision,
    /// One sentence: which rule settled it and how.
    pub because: String,
    /// The program, file or command line in the form that was compared.
    pub compared: String,
    /// Whether the path is on the list of protected paths.
    pub protected: bool,
    /// Every policy of the action's type, in document order; for elevations the file policies that match follow.
    pub considered: Vec<Considered>,
}

/// One policy and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Considered {
    /// Which revision of which policy.
    pub policy: PolicyRef,
    /// How far it reaches.
    pub status: PolicyStatus,
    /// Whether its whole scope matched.
    pub matched: bool,
    /// The first field that kept it out; `status` where it is off.
    pub excluded_by: Option<String>,
    /// What its match brought about; none where it did not match.
    pub effect: Option<Effect>,
    /// Entries that could not be compared, such as one with a variable that has no value.
    pub notes: Vec<String>,
}

/// What a match brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It counts in the outcome.
    Counts,
    /// It is outweighed by something more restrictive.
    Outweighed,
    /// An exception lifted its controls.
    Lifted,
    /// Its `deny` spares a protected path.
    SparedProtected,
    /// Recorded only.
    Monitored,
    /// A file policy that an elevation does not ask.
    Superseded,
}

/// Notes on entries that could not be compared.
type Notes = Vec<String>;

impl Index {
    /// Decides and says why. Walks every policy, so it costs far more than [`Index::decide`].
    #[must_use]
    pub fn explain(&self, action: &Action) -> Explanation {
        let decision = self.decide(action);
        let Ok(input) = Input::read(action) else {
            let because = because(&decision, action);
            return Explanation {
                decision,
                because,
                compared: String::new(),
                protected: false,
                considered: Vec::new(),
            };
        };
        let mut considered = Vec::new();
        let asked = action.action_type.policy_type();
        for policy in self.policies.iter().filter(|policy| policy.policy_type == asked) {
            considered.push(self.consider(policy, &input, &decision));
        }
        if action.action_type == ActionType::PrivilegeElevation {
            let files = self
                .policies
                .iter()
                .filter(|policy| policy.policy_type == PolicyType::FileAccess);
            let matching = files
                .map(|policy| self.consider(policy, &input, &decision))
                .filter(|file| file.matched);
            considered.extend(matching.map(|file| Considered {
                effect: Some(Effect::Superseded),
                ..file
            }));
        }
        let protected = input.is_protected();
        Explanation {
            because: because(&decision, action),
            compared: input.subject,
            protected,
            considered,
            decision,
        }
    }

    fn consider(&self, policy: &Compiled, input: &Input<'_>, decision: &Decision) -> Considered {
        let mut notes = Vec::new();
        let verdict = self.exclusion(policy, input, &mut notes);
        let effect = verdict.ok().map(|literal| effect_of(policy, literal, input, decision));
        Considered {
            policy: policy.who.clone(),
            status: policy.status,
            matched: verdict.is_ok(),
            excluded_by: verdict.err().map(str::to_owned),
            effect,
            notes,
        }
    }

    /// The first field that keeps an action out, or whether a literal path or a hash let it in.
    fn exclusion(&self, policy: &Compiled, input: &Input<'_>, notes: &mut Notes) -> Result<bool, &'static str> {
        if policy.status == PolicyStatus::Off {
            return Err("status");
        }
        let action = input.action;
        let names = Names::of(&action.user, &action.machine, action);
        for (field, tests) in [("users", &policy.users), ("machines", &policy.machines)] {
            let (fits, missing) = self.shared.any_fits(tests, &names, &input.work);
            if let Some(variable) = missing {
                notes.push(without_value(field, variable));
            }
            if !fits {
                return Err(field);
            }
        }
        let literal = match policy.policy_type {
            PolicyType::PrivilegeElevation => self
                .application_fits(&policy.own, &input.subject, input, notes)
                .ok_or("applications")?,
            PolicyType::FileAccess => {
                let literal =
                    pattern_fits("files", &policy.own, Subject::Path(input.os), input, notes).ok_or("files")?;
                if !policy.openers.is_empty() {
                    self.application_fits(&policy.openers, input.opener(), input, notes)
                        .ok_or("applications")?;
                }
                literal
            }
            PolicyType::CommandLine => {
                pattern_fits("commands", &policy.own, Subject::Command(input.os), input, notes).ok_or("commands")?
            }
            PolicyType::LeastPrivilege => return Err("type"),
        };
        if let Some(field) = policy.window.as_ref().and_then(|window| window.excluded_by(&action.at)) {
            return Err(field);
        }
        let (fits, missing) = certificate_fits(policy, input);
        if let Some(variable) = missing {
            notes.push(without_value("certificates", variable));
        }
        if fits { Ok(literal) } else { Err("certificates") }
    }

    /// None where no entry fits; else whether a literal path or a hash does.
    fn application_fits(&self, entries: &[Box<str>], path: &str, input: &Input<'_>, notes: &mut Notes) -> Option<bool> {
        let mut found = None;
        for entry in entries {
            let fits = match ScopeEntry::parse(entry) {
                Ok(ScopeEntry::Any) => Some(false),
                Ok(ScopeEntry::Path(pattern)) => {
                    fits("applications", pattern, Subject::Path(input.os), path, input, notes)
                }
                Ok(ScopeEntry::Sha256(hash)) => input.has_hash(hash).then_some(true),
                Ok(ScopeEntry::Publisher(pattern)) => input
                    .publisher()
                    .and_then(|publisher| fits("applications", pattern, Subject::Name, publisher, input, notes))
                    .map(|_| false),
                Ok(ScopeEntry::Collection(name)) => {
                    let set = self.shared.named.get(name).map(|set| &self.shared.sets[*set as usize]);
                    set.and_then(|set| self.application_fits(&set.members, path, input, notes))
                }
                _ => None,
            };
            found = stronger(found, fits);
        }
        found
    }
}

/// The stronger of two findings: a literal one over a pattern, a pattern over nothing.
fn stronger(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    a.max(b)
}

fn pattern_fits(
    field: &str,
    entries: &[Box<str>],
    subject: Subject,
    input: &Input<'_>,
    notes: &mut Notes,
) -> Option<bool> {
    let mut found = None;
    for entry in entries {
        let fits = match &**entry {
            "*" => Some(false),
            pattern => fits(field, pattern, subject, &input.subject, input, notes),
        };
        found = stronger(found, fits);
    }
    found
}

/// None where the pattern does not fit; else whether it is literal.
fn fits(field: &str, source: &str, subject: Subject, text: &str, input: &Input<'_>, notes: &mut Notes) -> Option<bool> {
    let pattern = Pattern::parse(source).ok()?;
    match pattern.matcher(subject, input.action) {
        Ok(matcher) => matcher.matches(text, &input.work).then(|| pattern.is_literal()),
        Err(variable) => {
            notes.push(format!(
                "{field}: {source:?} matches nothing, because {{{}}} has no value",
                variable.name()
            ));
            None
        }
    }
}

fn without_value(field: &str, variable: Variable) -> String {
    format!(
        "{field}: an entry matches nothing, because {{{}}} has no value",
        variable.name()
    )
}

/// Whether the certificate is one that the policy means, and a variable that was missing on the way.
pub(super) fn certificate_fits(policy: &Compiled, input: &Input<'_>) -> (bool, Option<Variable>) {
    if policy.certificates.is_empty() {
        return (true, None);
    }
    let mut missing = None;
    let certificate = input.certificate().unwrap_or_default();
    for pattern in policy.certificates.iter().filter(|_| !certificate.is_empty()) {
        match NamePattern::fits(pattern, certificate, input.action, &input.work) {
            Fit::Yes => return (true, missing),
            Fit::No => {}
            Fit::Missing(variable) => missing = Some(variable),
        }
    }
    (false, missing)
}

fn effect_of(policy: &Compiled, literal: bool, input: &Input<'_>, decision: &Decision) -> Effect {
    if policy.status != PolicyStatus::Enforce {
        return Effect::Monitored;
    }
    let has = |control| policy.controls.has(control);
    if has(Control::Deny) && !literal && input.is_protected() {
        return Effect::SparedProtected;
    }
    let counts = match decision.settled_by {
        SettledBy::Deny => has(Control::Deny),
        SettledBy::Controls => !has(Control::Allow) && decision.steps.iter().any(|step| has(demanding(*step))),
        SettledBy::Allow => has(Control::Allow),
        SettledBy::Exception if policy.catch_all && !has(Control::Allow) => return Effect::Lifted,
        SettledBy::Exception => has(Control::Allow),
        _ => false,
    };
    if counts { Effect::Counts } else { Effect::Outweighed }
}

fn demanding(step: crate::Step) -> Control {
    match step {
        crate::Step::Approval => Control::Approval,
        crate::Step::Justification => Control::Justification,
        crate::Step::Mfa => Control::Mfa,
    }
}

fn because(decision: &Decision, action: &Action) -> String {
    let steps: Vec<&str> = decision.steps.iter().map(|step| step.as_str()).collect();
    let steps = steps.join(", then ");
    let kind = action.action_type;
    let sentence = match decision.settled_by {
        SettledBy::Deny => "An enforced deny matches, and nothing outweighs a deny.".to_owned(),
        SettledBy::Controls => format!("Enforced policies together demand {steps}."),
        SettledBy::Allow => "An enforced allow matches, and nothing more restrictive does.".to_owned(),
        SettledBy::Exception => "An exception allows it and lifts the controls of catch-all policies.".to_owned(),
        SettledBy::Baseline => match decision.outcome {
            Outcome::Denied => format!("No enforced policy matches, and the baseline for {kind} denies."),
            Outcome::PassThrough => format!("No enforced policy matches, and the baseline for {kind} passes through."),
            _ => format!("No enforced policy matches, and the baseline for {kind} demands {steps}."),
        },
        SettledBy::ProtectedPath => {
            "The path is protected: only a literal path or a hash may deny it, and the baseline does not hold."
                .to_owned()
        }
        SettledBy::NothingDemanded => "What matches demands nothing.".to_owned(),
        SettledBy::TooLong => {
            "A path or command line is longer than any that is looked at, so it is denied.".to_owned()
        }
        SettledBy::TooCostly => "Comparing it with every pattern would cost too much, so it is denied.".to_owned(),
        SettledBy::Incomplete => "The action does not say what it is about, so it is denied.".to_owned(),
    };
    match decision.outcome {
        Outcome::BlockedOffline => format!("{sentence} The server cannot be asked, so it is blocked."),
        _ => sentence,
    }
}
