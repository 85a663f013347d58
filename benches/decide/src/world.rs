//! A tenant of any size, the same every time, out of what all three engines can say: at most one star a pattern, no
//! variables, no windows.

use policy_engine::{
    Action, ActionType, Application, Control, Machine, Os, PolicyDocument, PolicyStatus, PolicyType, Snapshot,
    SnapshotPolicy, User,
};

/// SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

const VENDORS: usize = 400;
const GROUPS: usize = 60;
const MACHINES: usize = 500;

fn vendor(i: usize) -> String {
    format!(r"C:\Program Files\Vendor {i}")
}

fn pattern(dice: &mut Dice, i: usize) -> String {
    let vendor = vendor(dice.roll(VENDORS));
    match dice.roll(10) {
        0..=3 => format!(r"{vendor}\app{}\tool{}.exe", dice.roll(8), i % 97),
        4..=5 => format!(r"{vendor}\*"),
        6 => format!(r"{vendor}\app{}\*.exe", dice.roll(8)),
        7..=8 => format!(r"*\tool{}.exe", dice.roll(2_000)),
        _ => format!(r"C:\Users\user{}\*.msi", dice.roll(2_000)),
    }
}

fn policy(dice: &mut Dice, i: usize) -> PolicyDocument {
    let policy_type = match dice.roll(10) {
        0..=6 => PolicyType::PrivilegeElevation,
        7..=8 => PolicyType::FileAccess,
        _ => PolicyType::CommandLine,
    };
    let status = match dice.roll(10) {
        0..=7 => PolicyStatus::Enforce,
        _ => PolicyStatus::Monitor,
    };
    let mut document = PolicyDocument::new(format!("Policy {i}"), policy_type, status);
    document.controls = match dice.roll(6) {
        0 => vec![Control::Allow],
        1 => vec![Control::Deny],
        2 => vec![Control::Justification],
        3 => vec![Control::Mfa],
        4 => vec![Control::Approval],
        _ => vec![Control::Approval, Control::Mfa],
    };
    document.users = vec![match dice.roll(10) {
        0..=2 => "*".to_owned(),
        3..=8 => format!("group:Group {}", dice.roll(GROUPS)),
        _ => format!(r"user:CORP\user{}", dice.roll(2_000)),
    }];
    document.machines = vec![match dice.roll(4) {
        0..=1 => "*".to_owned(),
        2 => "os:windows".to_owned(),
        _ => format!("machine:WS-{}", dice.roll(MACHINES)),
    }];
    match policy_type {
        PolicyType::PrivilegeElevation => document.applications = vec![format!("path:{}", pattern(dice, i))],
        PolicyType::FileAccess => document.files = vec![pattern(dice, i)],
        _ => document.commands = vec![format!("tool{} *", dice.roll(2_000))],
    }
    document.risk_level = (dice.roll(10) * 10) as u32;
    document
}

/// `count` policies of a company: mostly elevation, most of them for some group and some application.
pub fn snapshot(count: usize) -> Snapshot {
    let mut dice = Dice(7);
    let policies = (0..count)
        .map(|i| {
            // Ids as they are: time first, then chance.
            let id = format!("pol_01kb{:04x}{:012x}{:06x}", i, dice.roll(1 << 48), dice.roll(1 << 24));
            SnapshotPolicy {
                id,
                revision: 1 + dice.roll(3) as u64,
                document: policy(&mut dice, i),
            }
        })
        .collect();
    Snapshot {
        policies,
        ..Snapshot::default()
    }
}

/// One of the few who act again and again.
pub fn user(dice: &mut Dice) -> User {
    let n = dice.roll(40);
    let groups = (0..5).map(|g| format!("Group {}", (n * 7 + g * 11) % GROUPS)).collect();
    User {
        name: format!(r"CORP\user{n}"),
        groups,
    }
}

/// `count` actions, three quarters of them elevations.
pub fn actions(count: usize) -> Vec<Action> {
    let mut dice = Dice(11);
    (0..count)
        .map(|_| {
            let user = user(&mut dice);
            let machine = Machine {
                name: format!("WS-{}", dice.roll(40)),
                os: Os::Windows,
            };
            action(&mut dice, user, machine)
        })
        .collect()
}

/// One action of somebody somewhere.
pub fn action(dice: &mut Dice, user: User, machine: Machine) -> Action {
    let action_type = match dice.roll(8) {
        0..=5 => ActionType::PrivilegeElevation,
        6 => ActionType::FileAccess,
        _ => ActionType::CommandLine,
    };
    let tool = dice.roll(97);
    let path = format!(r"{}\app{}\tool{tool}.exe", vendor(dice.roll(VENDORS)), dice.roll(8));
    let is = |kind| action_type == kind;
    Action {
        user,
        machine,
        command_line: is(ActionType::CommandLine).then(|| format!("tool{tool} --verbose --now")),
        file: is(ActionType::FileAccess).then(|| path.clone()),
        application: Some(Application {
            path,
            ..Application::default()
        }),
        action_type,
        at: "2026-03-02T10:00:00+01:00".parse().expect("a time"),
        variables: Default::default(),
        online: true,
    }
}
