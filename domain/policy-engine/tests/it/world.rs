//! Random snapshots and actions out of few words, so that much matches. Seeded: a failure can be repeated.

use std::collections::BTreeMap;

use policy_engine::{
    Action, ActionType, Application, Baseline, BaselineSetting, CollectionKind, Control, DateRange, Day, Machine, Os,
    PolicyDocument, PolicyStatus, PolicyType, Snapshot, SnapshotCollection, SnapshotPolicy, TimeRange, User,
};

/// SplitMix64.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    pub fn chance(&mut self, one_in: usize) -> bool {
        self.roll(one_in) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.roll(list.len())]
    }

    pub fn one<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.roll(list.len())]
    }

    fn some(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> String) -> Vec<String> {
        let count = 1 + self.roll(most);
        (0..count).map(|_| make(self)).collect()
    }
}

const PARTS: [&str; 12] = [
    "Tools",
    "tools",
    "Users",
    "alice",
    "a.exe",
    "b.exe",
    "a.so",
    "System32",
    "lsass.exe",
    "Kit ",
    "ä",
    "x.y.exe",
];
const PATHS: [&str; 14] = [
    r"C:\Windows\System32\lsass.exe",
    r"C:\Windows\System32\kernel32.dll",
    r"C:\Users\alice\Downloads\a.exe",
    r"c:/users/ALICE/downloads/./a.exe",
    r"C:\Tools\..\Users\alice\b.exe.",
    r"\\?\C:\Tools\a.exe",
    r"\\server\share\a.exe",
    r"C:\Tools\ſetup.exe",
    "/usr/lib/x/liba.so.1",
    "/usr/sbin/sshd",
    "/home/alice/a",
    "/System/a",
    "/Users/alice/Cafe\u{301}",
    "/etc/passwd",
];
const PATTERNS: [&str; 30] = [
    r"C:\*",
    r"C:\Tools\*",
    r"*\a.exe",
    "*.exe",
    "*.EXE",
    r"C:\Users\*\*.exe",
    r"*\Users\*",
    r"{userprofile}\Downloads\*",
    r"{userprofile}\*.exe",
    r"{windir}\System32\lsass.exe",
    r"{temp}\*",
    r"C:\Users\{username}\*",
    r"C:\?ools\?.exe",
    r"C:\Windows\System32\lsass.exe",
    r"\\?\C:\Tools\a.exe",
    r"\\server\share\*",
    r"*s*a*e*",
    r"*?l?*",
    r"*\tools\*\*",
    "/usr/*",
    "/usr/sbin/sshd",
    "/home/{username}/*",
    "{home}/a",
    "/*/liba.so*",
    "*/passwd",
    "/Users/alice/Caf\u{e9}",
    r"C:\Tools\setup.exe",
    "*",
    "**",
    r"*\a.*",
];
const COMMANDS: [&str; 8] = [
    "systemctl restart nginx",
    "systemctl  stop nginx",
    "rm -rf /",
    "RM -rf /",
    "ls",
    "a b c",
    "cat /home/alice/x.txt",
    "",
];
const COMMAND_PATTERNS: [&str; 10] = [
    "*",
    "systemctl restart *",
    "systemctl *",
    "rm *",
    "* -rf *",
    "* nginx",
    "ls",
    "cat {home}/*",
    "*.txt",
    "? b ?",
];
const USERS: [&str; 8] = [
    "*",
    "user:corp\\alice",
    "user:*\\alice",
    "user:bob",
    "group:dev*",
    "group:Staff",
    "collection:people",
    "user:*{username}",
];
const MACHINES: [&str; 7] = [
    "*",
    "os:windows",
    "os:linux",
    "os:macos",
    "machine:ws-?",
    "machine:{hostname}",
    "collection:c-machines",
];
const HASH: &str = "abababababababababababababababababababababababababababababababab";

pub fn path(dice: &mut Dice) -> String {
    if dice.chance(2) {
        return dice.pick(&PATHS).to_owned();
    }
    let separator = dice.pick(&["\\", "/", "\\\\"]);
    let root = dice.pick(&["C:", "", "\\\\?\\C:", "", "C:"]);
    let parts: Vec<&str> = (0..1 + dice.roll(4)).map(|_| dice.pick(&PARTS)).collect();
    format!("{root}{separator}{}", parts.join(separator))
}

fn pattern(dice: &mut Dice) -> String {
    match dice.roll(4) {
        0 => path(dice),
        1 => path(dice).replace(dice.pick(&["a", "e", "Tools", "C"]), dice.pick(&["*", "?", "**"])),
        _ => dice.pick(&PATTERNS).to_owned(),
    }
}

fn application(dice: &mut Dice) -> String {
    match dice.roll(10) {
        0 => "*".to_owned(),
        1 => format!("sha256:{}", HASH.to_uppercase()),
        2 => format!(
            "publisher:{}",
            dice.pick(&["CN=Contoso", "cn=contoso*", "*", "CN=?ontoso"])
        ),
        3 => "collection:kit".to_owned(),
        _ => format!("path:{}", pattern(dice)),
    }
}

fn scope(dice: &mut Dice, entries: &[&str]) -> Vec<String> {
    if dice.chance(2) {
        return vec!["*".to_owned()];
    }
    dice.some(2, |dice| dice.pick(entries).to_owned())
}

pub fn controls(dice: &mut Dice) -> Vec<Control> {
    match dice.roll(5) {
        0 => vec![Control::Allow],
        1 => vec![Control::Deny],
        2 => vec![Control::Justification],
        3 => vec![Control::Approval],
        _ => {
            let mut all = vec![Control::Mfa];
            all.extend(dice.chance(2).then_some(Control::Justification));
            all.extend(dice.chance(3).then_some(Control::Approval));
            all
        }
    }
}

pub fn policy(dice: &mut Dice, name: String) -> SnapshotPolicy {
    let policy_type = dice.one(&[
        PolicyType::PrivilegeElevation,
        PolicyType::PrivilegeElevation,
        PolicyType::FileAccess,
        PolicyType::CommandLine,
    ]);
    let status = dice.one(&[
        PolicyStatus::Enforce,
        PolicyStatus::Enforce,
        PolicyStatus::Enforce,
        PolicyStatus::Monitor,
        PolicyStatus::MonitorAndNotify,
        PolicyStatus::Off,
    ]);
    let mut document = PolicyDocument::new(&name, policy_type, status);
    document.controls = controls(dice);
    document.exception = document.controls == [Control::Allow] && dice.chance(2);
    document.users = scope(dice, &USERS);
    document.machines = scope(dice, &MACHINES);
    match policy_type {
        PolicyType::PrivilegeElevation => document.applications = dice.some(3, application),
        PolicyType::FileAccess => {
            document.files = dice.some(3, pattern);
            if dice.chance(3) {
                document.applications = dice.some(2, application);
            }
        }
        _ => document.commands = dice.some(2, |dice| dice.pick(&COMMAND_PATTERNS).to_owned()),
    }
    if dice.chance(5) {
        let (from, to) = dice.one(&[("08:00", "18:00"), ("22:00", "06:00"), ("00:00", "24:00")]);
        document.times = vec![TimeRange {
            from: from.into(),
            to: to.into(),
        }];
    }
    if dice.chance(6) {
        document.days = vec![dice.one(&Day::ALL), dice.one(&Day::ALL)];
    }
    if dice.chance(8) {
        document.dates = vec![DateRange {
            from: "2026-03-02".into(),
            to: "2026-03-05".into(),
        }];
    }
    if dice.chance(10) {
        document.certificates = vec!["AB12".into()];
    }
    document.risk_level = dice.roll(101) as u32;
    SnapshotPolicy {
        id: format!("id-{name}"),
        revision: 1,
        document,
    }
}

fn baseline(dice: &mut Dice) -> Baseline {
    let mut map = BTreeMap::new();
    for action_type in ActionType::ALL {
        let setting = match dice.roll(4) {
            0 => BaselineSetting::Deny,
            1 => BaselineSetting::Controls(vec![dice.one(&[
                Control::Approval,
                Control::Mfa,
                Control::Justification,
            ])]),
            2 => BaselineSetting::PassThrough,
            _ => continue,
        };
        map.insert(action_type, setting);
    }
    Baseline(map)
}

pub fn snapshot(dice: &mut Dice) -> Snapshot {
    let policies = (0..dice.roll(14)).map(|i| policy(dice, format!("p{i}"))).collect();
    let collection = |id: &str, name: &str, kind, members: Vec<String>| SnapshotCollection {
        id: id.into(),
        name: name.into(),
        kind,
        members,
    };
    let kit: Vec<String> = dice
        .some(3, application)
        .into_iter()
        .filter(|m| !m.starts_with("collection:"))
        .collect();
    let collections = vec![
        collection(
            "c-people",
            "people",
            CollectionKind::Users,
            vec!["user:bob".into(), "group:ops".into()],
        ),
        collection(
            "c-machines",
            "pilot",
            CollectionKind::Machines,
            vec!["machine:WS-1".into()],
        ),
        collection("c-kit", "kit", CollectionKind::Applications, kit),
    ];
    Snapshot {
        policies,
        collections,
        baseline: baseline(dice),
        ..Snapshot::default()
    }
}

pub fn action(dice: &mut Dice) -> Action {
    let os = dice.one(&[Os::Windows, Os::Windows, Os::Linux, Os::Macos]);
    let action_type = dice.one(&ActionType::ALL);
    let mut variables = BTreeMap::new();
    for (name, values) in [
        ("userprofile", [r"C:\Users\alice", r"C:\Users\alice\"]),
        ("windir", [r"C:\Windows", r"c:/WINDOWS"]),
        ("home", ["/home/alice", "/home/alice/"]),
        ("temp", [r"C:\Tools\*", r"C:\Tools\.."]),
        ("username", ["alice", ".."]),
    ] {
        if !dice.chance(3) {
            variables.insert(name.to_owned(), dice.pick(&values).to_owned());
        }
    }
    let maybe = |dice: &mut Dice, text: &str| dice.chance(2).then(|| text.to_owned());
    let application = Application {
        path: path(dice),
        sha256: maybe(dice, HASH),
        publisher: maybe(dice, "CN=CONTOSO"),
        certificate: maybe(dice, "ab12"),
    };
    let command = dice.pick(&COMMANDS[..7]).to_owned();
    Action {
        action_type,
        user: User {
            name: dice.pick(&["CORP\\Alice", "bob", "alice@corp.example"]).to_owned(),
            groups: dice.some(2, |dice| dice.pick(&["Developers", "staff", "ops"]).to_owned()),
        },
        machine: Machine {
            name: dice.pick(&["WS-1", "ws-2", "build"]).to_owned(),
            os,
        },
        application: (action_type == ActionType::PrivilegeElevation || !dice.chance(3)).then_some(application),
        command_line: (action_type == ActionType::CommandLine).then_some(command),
        file: (action_type == ActionType::FileAccess).then(|| path(dice)),
        at: format!("2026-03-0{}T{:02}:30:00+01:00", 1 + dice.roll(8), dice.roll(24))
            .parse()
            .expect("a time"),
        variables,
        online: !dice.chance(3),
    }
}
