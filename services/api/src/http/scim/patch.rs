//! PATCH (RFC 7644 § 3.5.2), with what identity providers make of it: operations in any case, values without a path whose
//! names are paths (`name.givenName`, `emails[type eq "work"].value`), a member removed by a value beside the path, an
//! address set that was not there.
//!
//! Attributes that are not known are ignored, as in every body. A change of one that is read only is refused where a path
//! names it, and ignored inside a larger value.

use serde_json::{Map, Value};

use super::{
    body::{bad, syntax},
    filter::{Filter, Operator},
    path::{AttrPath, PATH_MAX},
    schema::{Attribute, Kind, Resource},
};
use crate::{Answer, Problem};

/// The most operations of one request.
pub(super) const OPERATIONS_MAX: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

/// The operations of one request.
#[derive(Debug, Clone)]
pub(super) struct Patch(Vec<Operation>);

#[derive(Debug, Clone)]
struct Operation {
    verb: Verb,
    path: Option<String>,
    value: Value,
}

/// Where an operation goes: an attribute, perhaps those of its values that match, perhaps one attribute inside.
struct Target {
    way: AttrPath,
    filter: Option<Filter>,
}

/// The value of a name, whatever its case.
pub(super) fn get<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).or_else(|| {
        map.iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

fn invalid_path(path: &str) -> Problem {
    let shown: String = path.chars().take(100).collect();
    Problem::bad_request("INVALID_PATH", format!("`{shown}` is no path to an attribute")).on("path")
}

fn no_target(detail: &str) -> Problem {
    Problem::bad_request("NO_TARGET", detail).on("path")
}

impl Patch {
    /// Reads a request's operations.
    ///
    /// # Errors
    /// `INVALID_SYNTAX`, `TOO_MANY`
    pub(super) fn read(body: &Map<String, Value>) -> Answer<Self> {
        let Some(Value::Array(list)) = get(body, "Operations") else {
            return Err(syntax("Operations has to be a list").on("Operations"));
        };
        if list.len() > OPERATIONS_MAX {
            let detail = format!("a request has {OPERATIONS_MAX} operations at most");
            return Err(Problem::bad_request("TOO_MANY", detail).on("Operations"));
        }
        let read = |(i, operation): (usize, &Value)| {
            let field = format!("Operations[{i}]");
            let map = operation
                .as_object()
                .ok_or_else(|| syntax(format!("{field} has to be an object")).on(field.clone()))?;
            let verb = match get(map, "op")
                .and_then(Value::as_str)
                .map(str::to_ascii_lowercase)
                .as_deref()
            {
                Some("add") => Verb::Add,
                Some("replace") => Verb::Replace,
                Some("remove") => Verb::Remove,
                _ => return Err(syntax(format!("{field}.op has to be add, replace or remove")).on(field + ".op")),
            };
            let path = match get(map, "path") {
                None | Some(Value::Null) => None,
                Some(Value::String(path)) if path.trim().is_empty() => None,
                Some(Value::String(path)) => Some(path.trim().to_owned()),
                Some(_) => return Err(syntax(format!("{field}.path has to be a text")).on(field + ".path")),
            };
            let value = get(map, "value").cloned().unwrap_or_default();
            Ok(Operation { verb, path, value })
        };
        list.iter().enumerate().map(read).collect::<Answer<_>>().map(Self)
    }

    /// Carries the operations out on a document, in order.
    ///
    /// # Errors
    /// `INVALID_PATH`, `INVALID_FILTER`, `NO_TARGET`, `MUTABILITY`, `BAD_INPUT`.
    pub(super) fn apply(&self, resource: Resource, document: &mut Map<String, Value>) -> Answer<()> {
        for operation in &self.0 {
            match &operation.path {
                Some(path) => set(resource, document, operation.verb, path, &operation.value, true)?,
                None => whole(resource, document, operation)?,
            }
        }
        Ok(())
    }
}

/// An operation without a path: each name of its value is one.
fn whole(resource: Resource, document: &mut Map<String, Value>, operation: &Operation) -> Answer<()> {
    if operation.verb == Verb::Remove {
        return Err(no_target("remove needs a path"));
    }
    let Value::Object(values) = &operation.value else {
        return Err(bad("value", "has to be an object where there is no path"));
    };
    for (name, value) in values {
        set(resource, document, operation.verb, name, value, false)?;
    }
    Ok(())
}

fn target(path: &str) -> Answer<Target> {
    if path.len() > PATH_MAX {
        return Err(invalid_path(path));
    }
    let Some((list, rest)) = path.split_once('[') else {
        let way = AttrPath::parse(path).ok_or_else(|| invalid_path(path))?;
        return Ok(Target { way, filter: None });
    };
    // The bracket may stand in a text of the filter, so the last one closes it.
    let (filter, inside) = rest.rsplit_once(']').ok_or_else(|| invalid_path(path))?;
    let mut way = AttrPath::parse(list).ok_or_else(|| invalid_path(path))?;
    match inside.strip_prefix('.') {
        None if inside.is_empty() => {}
        Some(name) if way.inside.is_none() && AttrPath::parse(name).is_some_and(|name| name.inside.is_none()) => {
            way.inside = Some(name.to_owned());
        }
        _ => return Err(invalid_path(path)),
    }
    Ok(Target {
        way,
        filter: Some(Filter::parse(filter)?),
    })
}

fn set(
    resource: Resource,
    document: &mut Map<String, Value>,
    verb: Verb,
    path: &str,
    value: &Value,
    named: bool,
) -> Answer<()> {
    let target = target(path)?;
    let Some(way) = target.way.resolve(resource) else {
        return Ok(());
    };
    if way.iter().any(|attribute| attribute.read_only) {
        if named {
            let detail = format!("`{path}` is read only");
            return Err(Problem::bad_request("MUTABILITY", detail).on("path"));
        }
        return Ok(());
    }
    let (first, inside) = (way[0], &way[1..]);
    if first.many {
        return many(first, inside, document, verb, target.filter.as_ref(), value);
    }
    if target.filter.is_some() {
        return Err(invalid_path(path));
    }
    place(&way, document, verb, value);
    Ok(())
}

/// Sets, extends or removes what stands at the end of a way of single values.
fn place(way: &[&'static Attribute], map: &mut Map<String, Value>, verb: Verb, value: &Value) {
    let Some((first, rest)) = way.split_first() else { return };
    if !rest.is_empty() {
        let inner = map.entry(first.name).or_insert_with(|| Value::Object(Map::new()));
        if !inner.is_object() {
            *inner = Value::Object(Map::new());
        }
        if let Value::Object(inner) = inner {
            place(rest, inner, verb, value);
        }
        return;
    }
    if verb == Verb::Remove || value.is_null() {
        map.remove(first.name);
        return;
    }
    // Of an object only what is named is replaced (RFC 7644 § 3.5.2.3).
    if let (Kind::Complex(_), Some(Value::Object(before)), Value::Object(more)) =
        (first.kind, map.get_mut(first.name), value)
    {
        merge(first, before, more);
        return;
    }
    map.insert(first.name.to_owned(), value.clone());
}

/// Puts what is said inside an object over what it has. Names may be paths of an extension.
fn merge(outer: &'static Attribute, before: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (name, value) in more {
        let Some(part) = super::schema::named(outer.inside(), name) else {
            continue;
        };
        if value.is_null() {
            before.remove(part.name);
        } else {
            before.insert(part.name.to_owned(), value.clone());
        }
    }
}

/// An operation on a list.
fn many(
    list: &'static Attribute,
    inside: &[&'static Attribute],
    document: &mut Map<String, Value>,
    verb: Verb,
    filter: Option<&Filter>,
    value: &Value,
) -> Answer<()> {
    let values = document.entry(list.name).or_insert_with(|| Value::Array(Vec::new()));
    if !values.is_array() {
        *values = Value::Array(vec![values.take()]);
    }
    let Value::Array(values) = values else { return Ok(()) };
    match (filter, inside.first()) {
        (None, None) => list_itself(list, values, verb, value),
        (None, Some(part)) => {
            if values.is_empty() && verb != Verb::Remove {
                values.push(Value::Object(Map::new()));
            }
            values.iter_mut().for_each(|entry| on_part(part, entry, verb, value));
            Ok(())
        }
        (Some(filter), part) => {
            let mut kept = Vec::with_capacity(values.len());
            let mut matched = false;
            for mut entry in values.drain(..) {
                if !filter.matches_value(list, &entry)? {
                    kept.push(entry);
                    continue;
                }
                matched = true;
                match (part, verb) {
                    (Some(part), _) => on_part(part, &mut entry, verb, value),
                    (None, Verb::Remove) => continue,
                    (None, _) => on_entry(list, &mut entry, value),
                }
                kept.push(entry);
            }
            *values = kept;
            if matched || verb == Verb::Remove {
                return Ok(());
            }
            // What is not there yet is made such as the filter wants it.
            let mut entry = Value::Object(wanted_by(filter).ok_or_else(|| no_target("no value matches the path"))?);
            match part {
                Some(part) => on_part(part, &mut entry, verb, value),
                None => on_entry(list, &mut entry, value),
            }
            values.push(entry);
            Ok(())
        }
    }
}

fn list_itself(list: &'static Attribute, values: &mut Vec<Value>, verb: Verb, value: &Value) -> Answer<()> {
    let said: Vec<Value> = match value {
        Value::Null => Vec::new(),
        Value::Array(said) => said.clone(),
        one => vec![one.clone()],
    };
    match verb {
        Verb::Add => {
            for entry in said {
                if !values.contains(&entry) {
                    values.push(entry);
                }
            }
        }
        Verb::Replace => *values = said,
        Verb::Remove if said.is_empty() => values.clear(),
        Verb::Remove => {
            let gone: std::collections::BTreeSet<String> = said.iter().filter_map(value_of).collect();
            if gone.is_empty() {
                return Err(bad(list.name, "has to say which values are removed"));
            }
            values.retain(|entry| !value_of(entry).is_some_and(|value| gone.contains(&value)));
        }
    }
    Ok(())
}

/// The value of an entry, also of one that is a bare text.
pub(super) fn value_of(entry: &Value) -> Option<String> {
    match entry {
        Value::String(text) => Some(text.clone()),
        Value::Object(map) => get(map, "value").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    }
}

fn on_part(part: &'static Attribute, entry: &mut Value, verb: Verb, value: &Value) {
    if !entry.is_object() {
        *entry = Value::Object(Map::from_iter([("value".to_owned(), entry.take())]));
    }
    if let Value::Object(map) = entry {
        place(&[part], map, verb, value);
    }
}

fn on_entry(list: &'static Attribute, entry: &mut Value, value: &Value) {
    match (entry, value) {
        (Value::Object(before), Value::Object(more)) => merge(list, before, more),
        (Value::Object(before), Value::Array(said)) if said.len() == 1 => {
            if let Some(Value::Object(more)) = said.first() {
                merge(list, before, more);
            }
        }
        (entry, value) => *entry = value.clone(),
    }
}

/// What an entry has to be so that a filter of equalities matches; none for other filters.
fn wanted_by(filter: &Filter) -> Option<Map<String, Value>> {
    match filter {
        Filter::And(a, b) => {
            let mut wanted = wanted_by(a)?;
            wanted.extend(wanted_by(b)?);
            Some(wanted)
        }
        Filter::Compare(path, Operator::Eq, value) if path.inside.is_none() => {
            Some(Map::from_iter([(path.name.clone(), value.clone())]))
        }
        _ => None,
    }
}
