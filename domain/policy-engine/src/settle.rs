//! The rules that turn matching policies into an outcome (`docs/domain.md § 2`, rules 2 to 5 and 8). Nothing else.

use crate::decision::{Outcome, SettledBy, Steps};
use crate::document::{BaselineSetting, Control};

/// A set of controls in one byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Controls(u8);

impl Controls {
    pub(crate) fn of(controls: &[Control]) -> Self {
        Self(controls.iter().fold(0, |set, control| set | 1 << (*control as u8)))
    }

    pub(crate) fn has(self, control: Control) -> bool {
        self.0 & (1 << (control as u8)) != 0
    }

    fn required(self) -> Self {
        Self(self.0 & !(1 << (Control::Allow as u8)) & !(1 << (Control::Deny as u8)))
    }

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn steps(self) -> Steps {
        Steps::of(
            self.has(Control::Approval),
            self.has(Control::Mfa),
            self.has(Control::Justification),
        )
    }
}

/// What one matching policy brings in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    pub(crate) controls: Controls,
    pub(crate) exception: bool,
    /// Its own field is exactly `["*"]`.
    pub(crate) catch_all: bool,
    /// A literal path or a hash reached the action, so that a `deny` holds on protected paths too.
    pub(crate) literal: bool,
}

/// The matching policies, added up. Adding commutes, so the order of policies cannot matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    literal_deny: bool,
    pattern_deny: bool,
    allow: bool,
    exception: bool,
    /// Required by policies that an exception cannot lift.
    firm: Controls,
    /// Required by catch-all policies.
    liftable: Controls,
}

impl Tally {
    pub(crate) fn add(&mut self, voice: Voice) {
        if voice.controls.has(Control::Deny) {
            self.literal_deny |= voice.literal;
            self.pattern_deny |= !voice.literal;
        }
        if voice.controls.has(Control::Allow) {
            self.allow = true;
            self.exception |= voice.exception;
        }
        let set = if voice.catch_all {
            &mut self.liftable
        } else {
            &mut self.firm
        };
        *set = set.union(voice.controls.required());
    }
}

/// What the outcome is, what has to be done, and by which rule.
pub(crate) type Settled = (Outcome, Steps, SettledBy);

/// Applies the rules. `baseline` is there only if the baseline may answer; `protected` is asked only if it counts.
pub(crate) fn settle(
    tally: &Tally,
    baseline: Option<&BaselineSetting>,
    protected: impl Fn() -> bool,
    online: bool,
) -> Settled {
    let spared = tally.pattern_deny && !tally.literal_deny && protected();
    if tally.literal_deny || (tally.pattern_deny && !spared) {
        return (Outcome::Denied, Steps::default(), SettledBy::Deny);
    }
    let lifted = tally.exception && tally.liftable != Controls::default();
    let required = if tally.exception {
        tally.firm
    } else {
        tally.firm.union(tally.liftable)
    };
    if required != Controls::default() {
        return demand(required.steps(), SettledBy::Controls, online);
    }
    if tally.allow {
        return (
            Outcome::Allowed,
            Steps::default(),
            if lifted { SettledBy::Exception } else { SettledBy::Allow },
        );
    }
    if spared {
        return (Outcome::PassThrough, Steps::default(), SettledBy::ProtectedPath);
    }
    match baseline {
        None => (Outcome::PassThrough, Steps::default(), SettledBy::NothingDemanded),
        Some(BaselineSetting::PassThrough) => (Outcome::PassThrough, Steps::default(), SettledBy::Baseline),
        Some(_) if protected() => (Outcome::PassThrough, Steps::default(), SettledBy::ProtectedPath),
        Some(BaselineSetting::Deny) => (Outcome::Denied, Steps::default(), SettledBy::Baseline),
        // A `deny` in the list is refused at save; where it got in all the same, it denies.
        Some(BaselineSetting::Controls(controls)) if controls.contains(&Control::Deny) => {
            (Outcome::Denied, Steps::default(), SettledBy::Baseline)
        }
        Some(BaselineSetting::Controls(controls)) => {
            demand(Controls::of(controls).steps(), SettledBy::Baseline, online)
        }
    }
}

fn demand(steps: Steps, settled_by: SettledBy, online: bool) -> Settled {
    let outcome = if steps.is_empty() {
        Outcome::PassThrough
    } else if !online && steps.need_server() {
        Outcome::BlockedOffline
    } else {
        Outcome::Required
    };
    (outcome, steps, settled_by)
}
