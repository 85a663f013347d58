//! The rules once more, as plainly as they can be written: every policy, every entry, every time. The oracle.

use policy_engine::{
    Action, ActionType, Baseline, BaselineSetting, Control, Day, Os, Outcome, PolicyDocument, PolicyStatus, PolicyType,
    Snapshot, Step, fold, normalise, protected,
};

/// What the oracle answers.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub outcome: Outcome,
    pub steps: Vec<Step>,
    pub matched: Vec<String>,
    pub monitored: Vec<String>,
    pub superseded: Vec<String>,
    pub would_have: Option<(Outcome, Vec<Step>)>,
}

const STAR: char = '\u{fdd0}';
const ANY: char = '\u{fdd1}';

#[derive(Clone, Copy, PartialEq)]
enum As {
    Path,
    Command,
    Name,
}

pub fn decide(snapshot: &Snapshot, action: &Action) -> Answer {
    let of_type = |kind: PolicyType, subject: &str| -> Vec<(&PolicyDocument, bool)> {
        let policies = snapshot.policies.iter().map(|policy| &policy.document);
        policies
            .filter(|policy| policy.policy_type == kind && policy.status != PolicyStatus::Off)
            .filter_map(|policy| matches(snapshot, policy, action, subject).map(|literal| (policy, literal)))
            .collect()
    };
    let subject = match action.action_type {
        ActionType::PrivilegeElevation => action.application_path(),
        ActionType::FileAccess => action.file.as_deref().unwrap_or_default(),
        ActionType::CommandLine => action.command_line.as_deref().unwrap_or_default(),
    };
    let all = of_type(action.action_type.policy_type(), subject);
    let superseded = match action.action_type {
        ActionType::PrivilegeElevation => of_type(PolicyType::FileAccess, subject),
        _ => Vec::new(),
    };
    let enforced: Vec<_> = all
        .iter()
        .copied()
        .filter(|(policy, _)| policy.status == PolicyStatus::Enforce)
        .collect();
    let monitored: Vec<_> = all
        .iter()
        .copied()
        .filter(|(policy, _)| policy.status != PolicyStatus::Enforce)
        .collect();
    let is_protected = is_protected(action, subject);
    let (outcome, steps) = settle(&enforced, Some(&snapshot.baseline), is_protected, action);
    let would_have = (!monitored.is_empty()).then(|| settle(&all, None, is_protected, action));
    let names = |list: &[(&PolicyDocument, bool)]| list.iter().map(|(policy, _)| policy.name.clone()).collect();
    Answer {
        outcome,
        steps,
        matched: names(&enforced),
        monitored: names(&monitored),
        superseded: names(&superseded),
        would_have,
    }
}

fn settle(
    matching: &[(&PolicyDocument, bool)],
    baseline: Option<&Baseline>,
    is_protected: bool,
    action: &Action,
) -> (Outcome, Vec<Step>) {
    let denies = |(policy, literal): &(&PolicyDocument, bool)| {
        policy.controls.contains(&Control::Deny) && (*literal || !is_protected)
    };
    if matching.iter().any(denies) {
        return (Outcome::Denied, Vec::new());
    }
    let allows = matching
        .iter()
        .any(|(policy, _)| policy.controls.contains(&Control::Allow));
    let lifts = matching
        .iter()
        .any(|(policy, _)| policy.controls.contains(&Control::Allow) && policy.exception);
    let demanding = matching.iter().filter(|(policy, _)| !(lifts && own(policy) == ["*"]));
    let required: Vec<Control> = demanding
        .flat_map(|(policy, _)| policy.controls.iter().copied())
        .filter(|control| !matches!(control, Control::Allow | Control::Deny))
        .collect();
    if !required.is_empty() {
        return demand(&required, action.online);
    }
    if allows {
        return (Outcome::Allowed, Vec::new());
    }
    match baseline.map(|baseline| baseline.get(action.action_type)) {
        Some(_) if is_protected || matching.iter().any(|(policy, _)| !policy.controls.is_empty()) => {}
        Some(BaselineSetting::Deny) => return (Outcome::Denied, Vec::new()),
        Some(BaselineSetting::Controls(controls)) => return demand(controls, action.online),
        Some(BaselineSetting::PassThrough) | None => {}
    }
    (Outcome::PassThrough, Vec::new())
}

fn demand(controls: &[Control], online: bool) -> (Outcome, Vec<Step>) {
    let has = |control| controls.contains(&control);
    let mut steps = Vec::new();
    if has(Control::Approval) {
        steps.extend([Step::Justification, Step::Approval]);
    }
    if has(Control::Mfa) {
        steps.push(Step::Mfa);
    }
    if has(Control::Justification) && !has(Control::Approval) {
        steps.push(Step::Justification);
    }
    let blocked = !online && (has(Control::Approval) || has(Control::Mfa));
    (
        if blocked {
            Outcome::BlockedOffline
        } else {
            Outcome::Required
        },
        steps,
    )
}

fn own(policy: &PolicyDocument) -> &[String] {
    policy.own_field().1
}

/// None where it does not match; else whether a literal path or a hash is among what matched.
fn matches(snapshot: &Snapshot, policy: &PolicyDocument, action: &Action, subject: &str) -> Option<bool> {
    let users = policy.users.iter().any(|entry| user_fits(snapshot, entry, action));
    let machines = policy
        .machines
        .iter()
        .any(|entry| machine_fits(snapshot, entry, action));
    if !users || !machines || !in_time(policy, action) {
        return None;
    }
    let certificate = action
        .application
        .as_ref()
        .and_then(|application| application.certificate.as_deref());
    let certified = policy.certificates.is_empty()
        || policy
            .certificates
            .iter()
            .any(|entry| certificate.is_some_and(|text| fits(entry, text, As::Name, action)));
    if !certified {
        return None;
    }
    let bare = |kind| {
        let found: Vec<&String> = own(policy)
            .iter()
            .filter(|entry| *entry == "*" || fits(entry, subject, kind, action))
            .collect();
        (!found.is_empty()).then(|| found.iter().any(|entry| !entry.contains(['*', '?'])))
    };
    match policy.policy_type {
        PolicyType::PrivilegeElevation => application(snapshot, &policy.applications, subject, action),
        PolicyType::CommandLine => bare(As::Command),
        PolicyType::FileAccess => {
            let any = policy.applications.is_empty() || policy.applications.iter().any(|entry| entry == "*");
            let opener =
                any || application(snapshot, &policy.applications, action.application_path(), action).is_some();
            bare(As::Path).filter(|_| opener)
        }
        PolicyType::LeastPrivilege => None,
    }
}

fn members<'s>(snapshot: &'s Snapshot, name: &str) -> &'s [String] {
    let found = snapshot.collections.iter().find(|collection| collection.id == name);
    let found = found.or_else(|| snapshot.collections.iter().find(|collection| collection.name == name));
    found.map_or(&[], |collection| &collection.members)
}

fn user_fits(snapshot: &Snapshot, entry: &str, action: &Action) -> bool {
    match entry.split_once(':') {
        Some(("user", pattern)) => fits(pattern, &action.user.name, As::Name, action),
        Some(("group", pattern)) => action
            .user
            .groups
            .iter()
            .any(|group| fits(pattern, group, As::Name, action)),
        Some(("collection", name)) => members(snapshot, name)
            .iter()
            .any(|member| user_fits(snapshot, member, action)),
        _ => entry == "*",
    }
}

fn machine_fits(snapshot: &Snapshot, entry: &str, action: &Action) -> bool {
    match entry.split_once(':') {
        Some(("machine", pattern)) => fits(pattern, &action.machine.name, As::Name, action),
        Some(("os", os)) => action.machine.os.as_str() == os,
        Some(("collection", name)) => members(snapshot, name)
            .iter()
            .any(|m| machine_fits(snapshot, m, action)),
        _ => entry == "*",
    }
}

fn application(snapshot: &Snapshot, entries: &[String], path: &str, action: &Action) -> Option<bool> {
    let mut found = None;
    for entry in entries {
        let of = |field: fn(&policy_engine::Application) -> &Option<String>| {
            action
                .application
                .as_ref()
                .and_then(|application| field(application).as_deref())
        };
        let fit = match entry.split_once(':') {
            Some(("path", pattern)) => fits(pattern, path, As::Path, action).then(|| !pattern.contains(['*', '?'])),
            Some(("sha256", hash)) => of(|a| &a.sha256)
                .is_some_and(|own| own.eq_ignore_ascii_case(hash))
                .then_some(true),
            Some(("publisher", pattern)) => of(|a| &a.publisher)
                .is_some_and(|own| fits(pattern, own, As::Name, action))
                .then_some(false),
            Some(("collection", name)) => application(snapshot, members(snapshot, name), path, action),
            _ => (entry == "*").then_some(false),
        };
        found = found.max(fit);
    }
    found
}

fn in_time(policy: &PolicyDocument, action: &Action) -> bool {
    let (day, minute) = (action.at.day(), action.at.minute());
    let minutes = |text: &str| text[..2].parse::<u16>().expect("hour") * 60 + text[3..].parse::<u16>().expect("minute");
    let on_day = |day: i32| {
        let weekday = Day::ALL[(day + 3).rem_euclid(7) as usize];
        let date = |text: &str| {
            format!("{text}T00:00:00Z")
                .parse::<policy_engine::LocalTime>()
                .expect("a date")
                .day()
        };
        (policy.days.is_empty() || policy.days.contains(&weekday))
            && (policy.dates.is_empty() || policy.dates.iter().any(|r| date(&r.from) <= day && day <= date(&r.to)))
    };
    if policy.times.is_empty() {
        return on_day(day);
    }
    policy.times.iter().any(|range| {
        let (from, to) = (minutes(&range.from), minutes(&range.to));
        if from < to {
            from <= minute && minute < to && on_day(day)
        } else {
            (minute >= from && on_day(day)) || (minute < to && on_day(day - 1))
        }
    })
}

fn is_protected(action: &Action, subject: &str) -> bool {
    let os = action.machine.os;
    let lines = protected::list(os, action.action_type);
    let separator = if os == Os::Windows { '\\' } else { '/' };
    let path = canonical(subject, As::Path, os);
    let mut lines = lines.filter_map(|line| {
        let under = |directory: &str| {
            let directory = substitute(directory, action)?;
            let directory = canonical(&directory, As::Path, os) + &separator.to_string();
            path.strip_prefix(&directory)
                .filter(|rest| !rest.is_empty())
                .map(str::to_owned)
        };
        Some(match line {
            protected::Protected::File(file) => canonical(&substitute(file, action)?, As::Path, os) == path,
            protected::Protected::Tree(directory) => under(directory).is_some(),
            protected::Protected::TreeBut(directory, open) => {
                under(directory).is_some() && path != canonical(open, As::Path, os) && under(open).is_none()
            }
            protected::Protected::Suffix(directory, suffix) => {
                under(directory).is_some_and(|rest| rest.ends_with(suffix) && !rest.contains(separator))
            }
            protected::Protected::Named(directory, part) => under(directory).is_some_and(|rest| {
                let name = rest.rsplit(separator).next().unwrap_or_default().to_owned();
                name.ends_with(part) || name.contains(&format!("{part}."))
            }),
        })
    });
    lines.any(|found| found)
}

fn substitute(pattern: &str, action: &Action) -> Option<String> {
    let mut text = pattern.to_owned();
    for variable in policy_engine::pattern::Variable::ALL {
        let name = format!("{{{}}}", variable.name());
        if !text.contains(&name) {
            continue;
        }
        let account = action.user.name.rsplit('\\').next().unwrap_or_default();
        let value = match (action.variables.get(variable.name()), variable.name()) {
            (Some(value), _) => value.as_str(),
            (None, "username") => account.split('@').next().unwrap_or_default(),
            (None, "hostname") => &action.machine.name,
            _ => "",
        };
        if value.is_empty() {
            return None;
        }
        text = text.replace(&name, value);
    }
    Some(text)
}

fn canonical(text: &str, kind: As, os: Os) -> String {
    let text = if kind == As::Path {
        normalise(os, text)
    } else {
        text.to_owned()
    };
    if kind == As::Name || os == Os::Windows {
        fold(&text)
    } else {
        text
    }
}

fn fits(pattern: &str, text: &str, kind: As, action: &Action) -> bool {
    let os = action.machine.os;
    // The wildcards are taken out before values come in, since values are literal.
    let pattern = pattern.replace('*', &STAR.to_string()).replace('?', &ANY.to_string());
    let Some(pattern) = substitute(&pattern, action) else {
        return false;
    };
    let pattern: Vec<char> = canonical(&pattern, kind, os).chars().collect();
    let text: Vec<char> = canonical(text, kind, os).chars().collect();
    glob(&pattern, &text)
}

/// By the table: `row[j]` tells whether the pattern so far matches the first `j` characters.
fn glob(pattern: &[char], text: &[char]) -> bool {
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    for &p in pattern {
        let mut next = vec![false; text.len() + 1];
        next[0] = p == STAR && row[0];
        for j in 1..=text.len() {
            next[j] = match p {
                STAR => row[j] || next[j - 1],
                ANY => row[j - 1],
                literal => row[j - 1] && literal == text[j - 1],
            };
        }
        row = next;
    }
    row[text.len()]
}
