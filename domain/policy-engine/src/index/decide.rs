//! From one action to one decision.

use std::cell::OnceCell;

use super::key::Keys;
use super::scope::{Bits, Names, Scope};
use super::table::{Facts, Hit};
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
}

impl<'a> Input<'a> {
    /// Reads an action; the error is the rule that denies it unseen.
    pub(super) fn read(action: &'a Action) -> Result<Self, SettledBy> {
        let subject = action.subject().ok_or(SettledBy::Incomplete)?;
        let paths = [Some(action.application_path()), action.file.as_deref()];
        if paths
            .into_iter()
            .flatten()
            .any(|path| limits::exceeds_units(path, limits::PATH_UNITS))
            || action
                .command_line
                .as_ref()
                .is_some_and(|line| limits::exceeds_units(line, limits::COMMAND_UNITS))
        {
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
        })
    }

    pub(super) fn facts<'i>(&'i self, keys: &'i mut Keys) -> Facts<'i> {
        self.facts_about(&self.subject, keys)
    }

    fn facts_about<'i>(&'i self, text: &'i str, keys: &'i mut Keys) -> Facts<'i> {
        Facts {
            text,
            keys,
            sha256: self.sha256.as_deref(),
            publisher: self.publisher.as_deref(),
            values: self.action,
            work: &self.work,
        }
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

/// The policies of one type that match.
pub(super) struct Matches<'i> {
    /// With whether a literal path or a hash reached the action.
    pub(super) enforced: Vec<(&'i Compiled, bool)>,
    pub(super) monitored: Vec<(&'i Compiled, bool)>,
}

impl Index {
    /// Decides inside a scope; none where every policy is in scope.
    pub(super) fn decide_in(&self, scope: Option<&Scope>, action: &Action) -> Decision {
        let input = match Input::read(action) {
            Ok(input) => input,
            Err(rule) => return refuse(rule),
        };
        let mut keys = Keys::of(&input.subject, input.separator());
        let matches = self.matches(action.action_type, scope, &input, &mut keys);
        let mut superseded = Vec::new();
        if action.action_type == ActionType::PrivilegeElevation {
            let files = self.matches(ActionType::FileAccess, scope, &input, &mut keys);
            if !(files.enforced.is_empty() && files.monitored.is_empty()) {
                superseded = self.in_document_order(&files);
            }
        }
        if input.work.is_exhausted() {
            return refuse(SettledBy::TooCostly);
        }
        self.settle_matches(&matches, superseded, &input)
    }

    /// Applies the rules to what matched.
    pub(super) fn settle_matches(
        &self,
        matches: &Matches<'_>,
        superseded: Vec<PolicyRef>,
        input: &Input<'_>,
    ) -> Decision {
        let online = input.action.online;
        let protected = || input.is_protected();
        let mut tally = Tally::default();
        let mut decision = Decision {
            outcome: Outcome::PassThrough,
            steps: Steps::default(),
            matched: Vec::with_capacity(matches.enforced.len()),
            monitored: Vec::with_capacity(matches.monitored.len()),
            superseded,
            would_have: None,
            risk_level: DEFAULT_RISK_LEVEL,
            access_minutes: DEFAULT_ACCESS_MINUTES,
            mfa_always: false,
            notification: Notice::default(),
            settled_by: SettledBy::NothingDemanded,
        };
        for (i, (policy, literal)) in matches.enforced.iter().enumerate() {
            tally.add(policy.voice(*literal));
            decision.matched.push(policy.who.clone());
            decision.mfa_always |= policy.mfa_always;
            if i == 0 {
                (decision.risk_level, decision.access_minutes) = (policy.risk_level, policy.access_minutes);
            } else {
                decision.risk_level = decision.risk_level.max(policy.risk_level);
                decision.access_minutes = decision.access_minutes.min(policy.access_minutes);
            }
        }
        // Where nothing enforced has a say, the baseline does. An enforced policy without a control cannot be saved;
        // one that got in all the same must not switch the baseline off.
        let baseline = (tally == Tally::default()).then(|| self.baseline.get(input.action.action_type));
        (decision.outcome, decision.steps, decision.settled_by) = settle(&tally, baseline, protected, online);
        if !matches.monitored.is_empty() {
            for (policy, literal) in &matches.monitored {
                tally.add(policy.voice(*literal));
                decision.monitored.push(policy.who.clone());
            }
            let (outcome, steps, _) = settle(&tally, None, protected, online);
            decision.would_have = Some(WouldHave { outcome, steps });
        }
        decision.notification = notice(matches);
        decision
    }

    fn matches(
        &self,
        action_type: ActionType,
        scope: Option<&Scope>,
        input: &Input<'_>,
        keys: &mut Keys,
    ) -> Matches<'_> {
        let table = self.table(input.os, action_type);
        let bits = scope.map(|scope| (&scope.policies, scope.slots(self, input.os, action_type)));
        let bits: Option<(&Bits, &Bits)> = bits;
        let hits = table.hits(&mut input.facts(keys), bits);
        let mut matches = Matches {
            enforced: Vec::new(),
            monitored: Vec::new(),
        };
        for hit in hits {
            let policy = &self.policies[hit.policy()];
            if policy.conditional && !self.conditions_hold(policy, hit, action_type, input) {
                continue;
            }
            match policy.status {
                PolicyStatus::Enforce => matches.enforced.push((policy, hit.is_literal())),
                PolicyStatus::Monitor | PolicyStatus::MonitorAndNotify => {
                    matches.monitored.push((policy, hit.is_literal()));
                }
                PolicyStatus::Off => {}
            }
        }
        matches
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
            let names = Names::of(&input.action.user, &input.action.machine, input.action);
            let fits = |tests| self.shared.any_fits(tests, &names).0;
            if !fits(&policy.users) || !fits(&policy.machines) {
                return false;
            }
        }
        if !policy.certificates.is_empty() && !super::explain::certificate_fits(policy, input).0 {
            return false;
        }
        policy.openers.is_empty() || {
            let mut none = Keys::of("", 0);
            let facts = input.facts_about(input.opener(), &mut none);
            self.table(input.os, action_type)
                .opener_fits(hit.policy(), input.os, &facts)
        }
    }

    /// Enforced and monitored together, as they stand in the snapshot.
    fn in_document_order(&self, matches: &Matches<'_>) -> Vec<PolicyRef> {
        let mut all: Vec<&Compiled> = matches
            .enforced
            .iter()
            .chain(&matches.monitored)
            .map(|(policy, _)| *policy)
            .collect();
        // Both lists point into one vector, so addresses are in document order.
        all.sort_by_key(|policy| std::ptr::from_ref(*policy));
        all.into_iter().map(|policy| policy.who.clone()).collect()
    }
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

/// Enforced policies speak where they have a message; `monitor_and_notify` ones always do; `monitor` ones never.
fn notice(matches: &Matches<'_>) -> Notice {
    let mut notice = Notice::default();
    let monitored = matches
        .monitored
        .iter()
        .filter(|(policy, _)| policy.status == PolicyStatus::MonitorAndNotify);
    let enforced = matches.enforced.iter().filter(|(policy, _)| policy.message.is_some());
    for (policy, _) in enforced.chain(monitored) {
        notice.notify = true;
        notice.require_acknowledgement |= policy.require_acknowledgement;
        notice.messages.extend(policy.message.as_deref().map(str::to_owned));
    }
    notice
}
