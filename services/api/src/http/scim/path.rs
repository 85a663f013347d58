//! Where an attribute is: `name.givenName`, `emails`, `urn:…:User:department` (RFC 7644 § 3.10).

use super::schema::{Attribute, ENTERPRISE, GROUP, Resource, USER, named};

/// The longest path or name of an attribute, in bytes.
pub(super) const PATH_MAX: usize = 1_000;

/// An attribute, and perhaps one inside of it, by their names as they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AttrPath {
    pub(super) name: String,
    pub(super) inside: Option<String>,
    /// One more, of the extension: `…:User:manager.value`.
    pub(super) deeper: Option<String>,
}

impl AttrPath {
    /// Reads a path. None where it is not of that form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > PATH_MAX {
            return None;
        }
        for schema in [USER, GROUP] {
            if let Some(rest) = after(text, schema) {
                return Self::parse_names(rest, None);
            }
        }
        if text.eq_ignore_ascii_case(ENTERPRISE) {
            return Some(Self {
                name: ENTERPRISE.to_owned(),
                inside: None,
                deeper: None,
            });
        }
        if let Some(rest) = after(text, ENTERPRISE) {
            return Self::parse_names(rest, Some(ENTERPRISE));
        }
        // Of an extension that is not known: kept whole, so that it names nothing.
        if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:")) {
            return Some(Self {
                name: text.to_owned(),
                inside: None,
                deeper: None,
            });
        }
        Self::parse_names(text, None)
    }

    fn parse_names(text: &str, extension: Option<&str>) -> Option<Self> {
        let (name, inside) = match text.split_once('.') {
            Some((name, inside)) => (name, Some(inside)),
            None => (text, None),
        };
        if !is_name(name) || !inside.is_none_or(is_name) {
            return None;
        }
        Some(match extension {
            Some(extension) => Self {
                name: extension.to_owned(),
                inside: Some(name.to_owned()),
                deeper: inside.map(str::to_owned),
            },
            None => Self {
                name: name.to_owned(),
                inside: inside.map(str::to_owned),
                deeper: None,
            },
        })
    }

    /// The attributes on the way, the outermost first; none where one is not known.
    pub(super) fn resolve(&self, resource: Resource) -> Option<Vec<&'static Attribute>> {
        let mut way = vec![resource.attribute(&self.name)?];
        for name in [&self.inside, &self.deeper].into_iter().flatten() {
            way.push(named(way.last()?.inside(), name)?);
        }
        Some(way)
    }
}

fn after<'a>(text: &'a str, schema: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(schema.len())?;
    start.eq_ignore_ascii_case(schema).then(|| rest.strip_prefix(':'))?
}

/// `ALPHA *("-" / "_" / DIGIT / ALPHA)`, and `$ref`.
fn is_name(name: &str) -> bool {
    let plain = name.strip_prefix('$').unwrap_or(name);
    plain.starts_with(|c: char| c.is_ascii_alphabetic())
        && plain
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
