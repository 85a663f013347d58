//! One spelling per path (`docs/domain.md § 2`, "Paths").

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::document::Os;
use crate::fold;
use crate::pattern::ANY;

/// Normalises a path as the endpoint's operating system reads it; case is kept.
///
/// `.` and `..` are resolved and stop at the root, doubled and trailing separators go. On Windows `/` is `\`, the
/// `\\?\` and `\\.\` prefixes go, `\\?\UNC\` is `\\`, and the last component loses trailing dots and spaces (inner
/// ones keep theirs: they name another directory). On macOS the text is NFC. Normalising twice changes nothing.
#[must_use]
pub fn normalise(os: Os, path: &str) -> String {
    if is_clean(os, path) {
        return path.to_owned();
    }
    match os {
        Os::Windows => windows(path),
        Os::Linux => unix(path),
        Os::Macos => unix(&nfc(path)),
    }
}

/// The form in which paths are compared: normalised, and folded where the system ignores case.
pub(crate) fn canonical(os: Os, path: &str) -> String {
    if let Some(clean) = canonical_if_clean(os, path) {
        return clean;
    }
    let normal = normalise(os, path);
    if os.ignores_case() { fold::fold(&normal) } else { normal }
}

/// The compared form of a path that is normal but for its case; none where it is not plainly so.
pub(crate) fn canonical_if_clean(os: Os, path: &str) -> Option<String> {
    is_clean(os, path).then(|| {
        if os.ignores_case() {
            path.to_ascii_lowercase()
        } else {
            path.to_owned()
        }
    })
}

/// A cheap sufficient test that normalising would change nothing; true for nearly every path an agent reports.
fn is_clean(os: Os, path: &str) -> bool {
    let bytes = path.as_bytes();
    let (separator, start) = match os {
        Os::Windows => {
            if bytes.len() < 4 || bytes[1] != b':' || bytes[2] != b'\\' || !bytes[0].is_ascii_alphabetic() {
                return false;
            }
            (b'\\', 2)
        }
        Os::Linux | Os::Macos => (b'/', 0),
    };
    if bytes.len() < 2 || bytes[start] != separator {
        return false;
    }
    // A separator followed by a separator or a dot, a foreign slash or a character beyond ASCII goes the long way.
    let mut previous = 0_u8;
    let mut dirty = false;
    for &byte in bytes {
        dirty |= byte >= 0x80;
        dirty |= os == Os::Windows && byte == b'/';
        dirty |= previous == separator && (byte == separator || byte == b'.');
        previous = byte;
    }
    let bad_end = previous == separator || (os == Os::Windows && (previous == b'.' || previous == b' '));
    !dirty && !bad_end
}

fn nfc(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(text.nfc().collect()),
    }
}

fn unix(path: &str) -> String {
    let root = if path.starts_with('/') { "/" } else { "" };
    join(root, &resolve(path, '/', 0), '/')
}

fn windows(path: &str) -> String {
    let path = path.replace('/', "\\");
    let (root, body, pinned) = match strip_device(&path) {
        (true, body) => (r"\\", body, 2),
        (false, rest) => match drive(rest) {
            Some((root, body)) => (root, body, 0),
            None if rest.starts_with('\\') => (r"\", rest, 0),
            None => ("", rest, 0),
        },
    };
    let mut parts = resolve(body, '\\', pinned);
    while let Some(last) = parts.pop() {
        let trimmed = last.trim_end_matches(['.', ' ']);
        if !trimmed.is_empty() {
            parts.push(trimmed);
            break;
        }
    }
    join(root, &parts, '\\')
}

/// Drops device prefixes, however often they are stacked. True: what follows are the components of a UNC path.
fn strip_device(path: &str) -> (bool, &str) {
    let mut rest = path;
    let mut unc = false;
    loop {
        let body = rest.trim_start_matches('\\');
        unc |= rest.len() - body.len() >= 2;
        if !unc {
            return (false, rest);
        }
        if let Some(after) = device(body) {
            unc = after.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("UNC\\"));
            rest = if unc { &after[4..] } else { after };
        } else if let Some(after) = body.strip_prefix("..\\") {
            rest = after;
        } else {
            return (true, body);
        }
    }
}

/// What follows `?\` or `.\`; in a pattern the question mark is already a wildcard.
fn device(body: &str) -> Option<&str> {
    ["?\\", ".\\"]
        .iter()
        .find_map(|prefix| body.strip_prefix(prefix))
        .or_else(|| body.strip_prefix(ANY)?.strip_prefix('\\'))
}

/// Splits `C:\…` into its root and the rest.
fn drive(path: &str) -> Option<(&str, &str)> {
    let letter = path.chars().next().filter(|c| c.is_ascii_alphabetic() || *c == ANY)?;
    let end = letter.len_utf8();
    path[end..].starts_with(":\\").then(|| path.split_at(end + 2))
}

/// The components without `.`, `..` and empty ones; the first `pinned` are never climbed out of.
fn resolve(body: &str, separator: char, pinned: usize) -> Vec<&str> {
    let mut parts: Vec<&str> = Vec::new();
    for part in body.split(separator) {
        match part {
            "" | "." => {}
            ".." if parts.len() > pinned => {
                parts.pop();
            }
            ".." => {}
            _ => parts.push(part),
        }
    }
    parts
}

fn join(root: &str, parts: &[&str], separator: char) -> String {
    let mut out = String::with_capacity(root.len() + parts.iter().map(|part| part.len() + 1).sum::<usize>());
    out.push_str(root);
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            out.push(separator);
        }
        out.push_str(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_paths_have_one_spelling() {
        for (given, expected) in [
            (r"C:\Tools\setup.exe", r"C:\Tools\setup.exe"),
            (r"C:/Tools//setup.exe", r"C:\Tools\setup.exe"),
            (r"C:\..\..\Users\.\a\..\b", r"C:\Users\b"),
            (r"\\?\C:\Tools\x", r"C:\Tools\x"),
            (r"\\.\C:\Tools\x", r"C:\Tools\x"),
            (r"//?/C:/Tools/x", r"C:\Tools\x"),
            (r"\\?\UNC\server\share\x", r"\\server\share\x"),
            (r"\\.\unc\server\share\x", r"\\server\share\x"),
            (r"\\server\share\..\..\x", r"\\server\share\x"),
            (r"\\\\server\\share\", r"\\server\share"),
            (r"\\?\\\?\C:\x", r"C:\x"),
            (r"\\..\?\C:\x", r"C:\x"),
            (r"C:\Windows \System32\x.exe", r"C:\Windows \System32\x.exe"),
            (r"C:\Tools\setup.exe. . ", r"C:\Tools\setup.exe"),
            (r"C:\Tools\...", r"C:\Tools"),
            (r"C:\", r"C:\"),
            (r"C:\Tools\", r"C:\Tools"),
            (r"\Tools\..\x", r"\x"),
            (r"..\x", "x"),
            ("", ""),
        ] {
            assert_eq!(normalise(Os::Windows, given), expected, "{given}");
        }
    }

    #[test]
    fn unix_paths_have_one_spelling() {
        for (given, expected) in [
            ("/etc/passwd", "/etc/passwd"),
            ("//etc///passwd/", "/etc/passwd"),
            ("/../etc/./x/../passwd", "/etc/passwd"),
            ("/", "/"),
            ("/..", "/"),
            ("/tmp/a. ", "/tmp/a. "),
            ("/tmp/a\\b", "/tmp/a\\b"),
            ("a/../../b", "b"),
        ] {
            assert_eq!(normalise(Os::Linux, given), expected, "{given}");
        }
        assert_eq!(normalise(Os::Macos, "/tmp/Cafe\u{301}"), "/tmp/Caf\u{e9}");
        assert_eq!(normalise(Os::Linux, "/tmp/Cafe\u{301}"), "/tmp/Cafe\u{301}");
    }

    #[test]
    fn the_compared_form_folds_on_windows_only() {
        assert_eq!(canonical(Os::Windows, r"C:\TOOLS\Ä.EXE"), r"c:\tools\ä.exe");
        assert_eq!(canonical(Os::Linux, "/Tmp/A"), "/Tmp/A");
    }
}
