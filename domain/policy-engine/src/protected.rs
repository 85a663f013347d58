//! Paths that a machine needs to start, sign in, update and run the agent (`docs/domain.md § 2`, rule 5).
//!
//! The list is part of the engine and versioned with it. Everything is named: a file, a tree that only the system can
//! write, or the files with one suffix in one directory. Nothing under it is a tree that a user may write to.

use std::borrow::Cow;

use crate::document::{ActionType, Os};
use crate::path::canonical;
use crate::pattern::{Values, Variable, usable};

/// Goes up with every change of the list.
pub const VERSION: u32 = 2;

/// One line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protected {
    /// Exactly this file.
    File(&'static str),
    /// Everything under this directory.
    Tree(&'static str),
    /// Everything under the first directory but what is under the second, which users may write to.
    TreeBut(&'static str, &'static str),
    /// The files right in this directory that end so; not those of its subdirectories, some of which users may write to.
    Suffix(&'static str, &'static str),
    /// The files anywhere under this directory whose name holds this text.
    Named(&'static str, &'static str),
}

use Protected::{File, Named, Suffix, Tree, TreeBut};

/// The directories and files of the agent itself.
const WINDOWS: &[Protected] = &[
    File(r"{windir}\System32\smss.exe"),
    File(r"{windir}\System32\csrss.exe"),
    File(r"{windir}\System32\wininit.exe"),
    File(r"{windir}\System32\winlogon.exe"),
    File(r"{windir}\System32\services.exe"),
    File(r"{windir}\System32\lsass.exe"),
    File(r"{windir}\System32\svchost.exe"),
    File(r"{windir}\System32\dwm.exe"),
    File(r"{windir}\System32\fontdrvhost.exe"),
    File(r"{windir}\System32\userinit.exe"),
    File(r"{windir}\System32\logonui.exe"),
    File(r"{windir}\System32\consent.exe"),
    File(r"{windir}\System32\usoclient.exe"),
    File(r"{windir}\System32\wuauclt.exe"),
    Tree(r"{windir}\System32\drivers"),
    Tree(r"{windir}\Boot"),
    Tree(r"{windir}\servicing"),
    Tree(r"{windir}\WinSxS"),
    Tree(r"{programfiles}\Portcullis"),
    Tree(r"{programdata}\Portcullis"),
];

const WINDOWS_FILES: &[Protected] = &[
    Suffix(r"{windir}\System32", ".dll"),
    Suffix(r"{windir}\SysWOW64", ".dll"),
    File(r"{windir}\System32\ntoskrnl.exe"),
];

const LINUX: &[Protected] = &[
    Tree("/boot"),
    File("/sbin/init"),
    File("/usr/sbin/init"),
    Tree("/lib/systemd"),
    Tree("/usr/lib/systemd"),
    File("/usr/bin/login"),
    File("/usr/sbin/sshd"),
    File("/usr/bin/apt"),
    File("/usr/bin/apt-get"),
    File("/usr/bin/dpkg"),
    File("/usr/bin/rpm"),
    File("/usr/bin/dnf"),
    File("/usr/bin/dnf5"),
    File("/usr/bin/dnf-3"),
    File("/usr/bin/microdnf"),
    File("/usr/bin/yum"),
    File("/usr/bin/zypper"),
    File("/usr/bin/pacman"),
    File("/sbin/apk"),
    File("/usr/sbin/apk"),
    File("/usr/bin/snap"),
    File("/usr/bin/flatpak"),
    Tree("/opt/portcullis"),
    Tree("/etc/portcullis"),
    Tree("/var/lib/portcullis"),
    Tree("/usr/lib/portcullis"),
];

const LINUX_FILES: &[Protected] = &[
    Named("/lib", ".so"),
    Named("/lib64", ".so"),
    Named("/usr/lib", ".so"),
    Named("/usr/lib64", ".so"),
    File("/etc/ld.so.cache"),
    File("/etc/ld.so.conf"),
    File("/etc/ld.so.preload"),
    Tree("/etc/ld.so.conf.d"),
];

const MACOS: &[Protected] = &[
    // The data volume is mounted below, with everybody's home on it.
    TreeBut("/System", "/System/Volumes/Data"),
    File("/sbin/launchd"),
    Tree("/usr/libexec"),
    File("/usr/bin/login"),
    Tree("/Library/Apple"),
    Tree("/Library/Portcullis"),
    Tree("/Library/Application Support/Portcullis"),
];

const MACOS_FILES: &[Protected] = &[
    Named("/usr/lib", ".dylib"),
    File("/usr/lib/dyld"),
    Tree("/private/var/db/dyld"),
];

/// The lines that hold for one type of action on one system; none for command lines.
pub fn list(os: Os, action_type: ActionType) -> impl Iterator<Item = Protected> {
    let (common, files) = match os {
        Os::Windows => (WINDOWS, WINDOWS_FILES),
        Os::Linux => (LINUX, LINUX_FILES),
        Os::Macos => (MACOS, MACOS_FILES),
    };
    let common = if action_type == ActionType::CommandLine {
        &[]
    } else {
        common
    };
    let files = if action_type == ActionType::FileAccess {
        files
    } else {
        &[]
    };
    common.iter().chain(files).copied()
}

/// The line under which a path falls, if any. `path` is in the compared form.
pub(crate) fn find(os: Os, action_type: ActionType, path: &str, values: &dyn Values) -> Option<Protected> {
    let separator = char::from(os.separator());
    list(os, action_type).find(|line| match *line {
        File(file) => fill(os, file, values).is_some_and(|file| file == path),
        Tree(directory) => below(os, directory, path, values, separator).is_some(),
        TreeBut(directory, open) => {
            below(os, directory, path, values, separator).is_some()
                && path != open
                && below(os, open, path, values, separator).is_none()
        }
        Suffix(directory, suffix) => below(os, directory, path, values, separator)
            .is_some_and(|name| !name.contains(separator) && name.ends_with(suffix)),
        Named(directory, part) => below(os, directory, path, values, separator).is_some_and(|rest| {
            let name = rest.rsplit(separator).next().unwrap_or_default();
            name.ends_with(part) || name.contains(&format!("{part}."))
        }),
    })
}

/// What follows a directory and its separator in a path.
fn below<'p>(os: Os, directory: &str, path: &'p str, values: &dyn Values, separator: char) -> Option<&'p str> {
    let directory = fill(os, directory, values)?;
    path.strip_prefix(&*directory)?
        .strip_prefix(separator)
        .filter(|rest| !rest.is_empty())
}

/// Puts the value of a leading variable in; none where it has none.
fn fill<'t>(os: Os, text: &'t str, values: &dyn Values) -> Option<Cow<'t, str>> {
    let Some((name, rest)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) else {
        return Some(Cow::Borrowed(text));
    };
    let value = usable(values.value(Variable::named(name)?))?;
    Some(Cow::Owned(canonical(os, &format!("{value}{rest}"))))
}

/// Where an unchanged installation keeps things; for judging a literal path before any endpoint is known.
pub(crate) struct UsualPlaces;

impl Values for UsualPlaces {
    fn value(&self, variable: Variable) -> Option<Cow<'_, str>> {
        let place = match variable {
            Variable::Windir | Variable::SystemRoot => r"C:\Windows",
            Variable::ProgramFiles => r"C:\Program Files",
            Variable::ProgramFilesX86 => r"C:\Program Files (x86)",
            Variable::ProgramData => r"C:\ProgramData",
            _ => return None,
        };
        Some(Cow::Borrowed(place))
    }
}
