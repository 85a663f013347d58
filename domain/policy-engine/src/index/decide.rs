//! From one action to one decision.

use std::cell::OnceCell;

use super::key::Keys;
use super::scope::{Names, Scope};
use super::table::{Facts, Hit, Hits};
use super::{Compiled, Index};
use crate::action::Action;
use crate::decision::{Decision, Notice, Outcome, PolicyRef, SettledBy, Steps, WouldHave};
use crate::document::{ActionType, DEFAULT_ACCESS_MINUTES, DEFAULT_RISK_LEVEL, Os, PolicyStatus};
use crate::pattern::Work;
use crate::settle::{Tally, settle};
use crate::{fold, limits, path, protected};

/// An action in the form in which it is compared.
pub(super) struct Input<'a> {
    pub(super) action: &'a Action,
    pub(super) os: Os,
    /// The program, the file or the command line.
    pub(super) subject: String,
    sha256: Option<String>,
    publisher: Option<String>,
    certificate: Option<String>,
    pub(super) work: Work,
    is_protected: OnceCell<bool>,
    opener: OnceCell<String>,
    names: OnceCell<Names<'a>>,
}

impl<'a> Input<'a> {
    /// Reads an action; the error is the rule that denies it unseen.
    pub(super) fn read(action: &'a Action) -> Result<Self, SettledBy> {
        let subject = action.subject().ok_or(SettledBy::Incomplete)?;
        if is_too_long(action) {
            return Err(SettledBy::TooLong);
        }
        let os = action.machine.os;
        let subject = match action.action_type {
            ActionType::CommandLine if os.ignores_case() => fold::fold(subject),
            ActionType::CommandLine => subject.to_owned(),
            ActionType::PrivilegeElevation | ActionType::FileAccess => path::canonical(os, subject),
        };
        let application = action.application.as_ref();
        let folded = |text: &Option<String>| {
            text.as_ref()
                .filter(|text| !text.is_empty())
                .map(|text| fold::fold(text))
        };
        Ok(Self {
            action,
            os,
            subject,
            sha256: application.and_then(|application| folded(&application.sha256)),
            publisher: application.and_then(|application| folded(&application.publisher)),
            certificate: application.and_then(|application| folded(&application.certificate)),
            work: Work::default(),
            is_protected: OnceCell::new(),
            opener: OnceCell::new(),
            names: OnceCell::new(),
        })
    }

    fn facts_about<'i>(&'i self, text: &'i str) -> Facts<'i> {
        Facts {
            text,
            sha256: self.sha256.as_deref(),
            publisher: self.publisher.as_deref(),
            values: self.action,
            work: &self.work,
            grams: OnceCell::new(),
        }
    }

    fn names(&self) -> &Names<'a> {
        self.names
            .get_or_init(|| Names::of(&self.action.user, &self.action.machine, self.action))
    }

    /// The program's path where the program is not itself what the action is about.
    pub(super) fn opener(&self) -> &str {
        self.opener
            .get_or_init(|| path::canonical(self.os, self.action.application_path()))
    }

    pub(super) fn publisher(&self) -> Option<&str> {
        self.publisher.as_deref()
    }

    pub(super) fn has_hash(&self, hash: &str) -> bool {
        self.sha256.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(hash))
    }

    pub(super) fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    pub(super) fn is_protected(&self) -> bool {
        *self
            .is_protected
            .get_or_init(|| protected::find(self.os, self.action.action_type, &self.subject, self.action).is_some())
    }

    fn separator(&self) -> u8 {
        match self.action.action_type {
            ActionType::CommandLine => b' ',
            ActionType::PrivilegeElevation | ActionType::FileAccess => self.os.separator(),
        }
    }
}

impl Index {
    /// Decides inside a scope; none where every policy is in scope.
    pub(super) fn decide_in(&self, scope: Option<&Scope>, action: &Action) -> Decision {
        let input = match Input::read(action) {
            Ok(input) => input,
            Err(rule) => return refuse(rule),
        };
        let mut kinds = self.table(input.os, action.action_type).kinds();
        if action.action_type == ActionType::PrivilegeElevation {
            kinds = kinds.and(self.table(input.os, ActionType::FileAccess).kinds());
        }
        let mut keys = Keys::of(&input.subject, input.separator(), kinds);
        let facts = input.facts_about(&input.subject);
        let matching = self.matching(action.action_type, scope, &input, &facts, &mut keys);
        let mut superseded = Vec::new();
        if action.action_type == ActionType::PrivilegeElevation {
            let files = self.matching(ActionType::FileAccess, scope, &input, &facts, &mut keys);
            superseded.extend(
                files
                    .as_slice()
                    .iter()
                    .map(|hit| self.policies[hit.policy()].who.clone()),
            );
        }
        if input.work.is_exhausted() {
            return refuse(SettledBy::TooCostly);
        }
        self.settle_hits(matching.as_slice(), superseded, &input)
    }

    /// Applies the rules to the policies that match.
    fn settle_hits(&self, hits: &[Hit], superseded: Vec<PolicyRef>, input: &Input<'_>) -> Decision {
        let online = input.action.online;
        let protected = || input.is_protected();
        let mut enforced = Tally::default();
        let mut together = Tally::default();
        let mut decision = Decision {
            superseded,
            ..refuse(SettledBy::NothingDemanded)
        };
        for hit in hits {
            let policy = &self.policies[hit.policy()];
            let voice = policy.voice(hit.is_literal());
            together.add(voice);
            if policy.status == PolicyStatus::Enforce {
                enforced.add(voice);
                merge(&mut decision, policy);
                decision.matched.push(policy.who.clone());
            } else {
                decision.monitored.push(policy.who.clone());
            }
            tell(&mut decision.notification, policy);
        }
        // Where nothing enforced has a say, the baseline does. An enforced policy without a control cannot be saved;
        // one that got in all the same must not switch the baseline off.
        let baseline = (enforced == Tally::default()).then(|| self.baseline.get(input.action.action_type));
        (decision.outcome, decision.steps, decision.settled_by) = settle(&enforced, baseline, protected, online);
        if !decision.monitored.is_empty() {
            let (outcome, steps, _) = settle(&together, None, protected, online);
            decision.would_have = Some(WouldHave { outcome, steps });
        }
        decision
    }

    /// The policies of one type that match, in document order.
    fn matching(
        &self,
        action_type: ActionType,
        scope: Option<&Scope>,
        input: &Input<'_>,
        facts: &Facts<'_>,
        keys: &mut Keys,
    ) -> Hits {
        let table = self.table(input.os, action_type);
        let bits = scope.map(|scope| (&scope.policies, scope.slots(self, input.os, action_type)));
        let mut hits = table.hits(keys, facts, bits);
        hits.retain(|hit| {
            let policy = &self.policies[hit.policy()];
            !policy.conditional || self.conditions_hold(policy, hit, action_type, input)
        });
        hits
    }

    /// The fields that no table looks at.
    fn conditions_hold(&self, policy: &Compiled, hit: Hit, action_type: ActionType, input: &Input<'_>) -> bool {
        if policy
            .window
            .as_ref()
            .is_some_and(|window| !window.holds(&input.action.at))
        {
            return false;
        }
        if policy.dynamic_scope {
            let names = input.names();
            let fits = |tests| self.shared.any_fits(tests, names, &input.work).0;
            if !fits(&policy.users) || !fits(&policy.machines) {
                return false;
            }
        }
        if !policy.certificates.is_empty() && !super::explain::certificate_fits(policy, input).0 {
            return false;
        }
        policy.openers.is_empty() || {
            let facts = input.facts_about(input.opener());
            self.table(input.os, action_type)
                .opener_fits(hit.policy(), input.os, &facts)
        }
    }
}

/// Whether anything that is compared is longer than what is looked at. Names are held to the length of paths.
fn is_too_long(action: &Action) -> bool {
    let application = action.application.as_ref();
    let of_application = application.into_iter().flat_map(|application| {
        [
            Some(&application.path),
            application.sha256.as_ref(),
            application.publisher.as_ref(),
            application.certificate.as_ref(),
        ]
    });
    let mut names = of_application
        .flatten()
        .chain(&action.file)
        .chain([&action.user.name, &action.machine.name]);
    names.any(|name| limits::exceeds_units(name, limits::PATH_UNITS))
        || action
            .command_line
            .as_ref()
            .is_some_and(|line| limits::exceeds_units(line, limits::COMMAND_UNITS))
        || action.user.groups.len() > limits::GROUPS
}

/// Fails closed.
fn refuse(settled_by: SettledBy) -> Decision {
    Decision {
        outcome: Outcome::Denied,
        steps: Steps::default(),
        matched: Vec::new(),
        monitored: Vec::new(),
        superseded: Vec::new(),
        would_have: None,
        risk_level: DEFAULT_RISK_LEVEL,
        access_minutes: DEFAULT_ACCESS_MINUTES,
        mfa_always: false,
        notification: Notice::default(),
        settled_by,
    }
}

/// The highest risk, the shortest access, a code inside a session if anybody asks for it.
fn merge(decision: &mut Decision, policy: &Compiled) {
    decision.mfa_always |= policy.mfa_always;
    if decision.matched.is_empty() {
        (decision.risk_level, decision.access_minutes) = (policy.risk_level, policy.access_minutes);
    } else {
        decision.risk_level = decision.risk_level.max(policy.risk_level);
        decision.access_minutes = decision.access_minutes.min(policy.access_minutes);
    }
}

/// Enforced policies speak where they have a message; `monitor_and_notify` ones always do; `monitor` ones never.
fn tell(notice: &mut Notice, policy: &Compiled) {
    let speaks = match policy.status {
        PolicyStatus::Enforce => policy.message.is_some(),
        PolicyStatus::MonitorAndNotify => true,
        PolicyStatus::Monitor | PolicyStatus::Off => false,
    };
    if speaks {
        notice.notify = true;
        notice.require_acknowledgement |= policy.require_acknowledgement;
        notice.messages.extend(policy.message.as_deref().map(str::to_owned));
    }
}
