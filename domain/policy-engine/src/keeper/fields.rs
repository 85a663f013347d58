//! Their JSON, read leniently: field names in any case, values as text.

use serde_json::{Map, Value};

/// Every top-level field that the importer looks at or that carries nothing.
const KNOWN: [&str; 34] = [
    "PolicyName",
    "Name",
    "PolicyId",
    "PolicyType",
    "Type",
    "Status",
    "Actions",
    "OnSuccess",
    "Controls",
    "NotificationMessage",
    "NotificationRequiresAcknowledge",
    "NotificationRequiresAcknowledgement",
    "RiskLevel",
    "Operator",
    "Rules",
    "Filters",
    "UserCheck",
    "MachineCheck",
    "ApplicationCheck",
    "DateCheck",
    "TimeCheck",
    "DayCheck",
    "CertificationCheck",
    "Extension",
    "Approvers",
    "Approval",
    "ApprovalRule",
    "ApproverUsers",
    "ApproverTeams",
    "EscalatedUsers",
    "EscalatedTeams",
    "EscalationUsers",
    "EscalationTeams",
    "NumberRequiredApprovers",
];

/// An object whose fields are found whatever their case.
#[derive(Clone, Copy)]
pub(super) struct Object<'a>(&'a Map<String, Value>);

impl<'a> Object<'a> {
    pub(super) fn new(object: &'a Map<String, Value>) -> Self {
        Self(object)
    }

    /// A field that is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        let exact = self.0.get(name);
        let found = exact.or_else(|| {
            self.0
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, v)| v)
        });
        found.filter(|value| !value.is_null())
    }

    /// A field of a field.
    pub(super) fn at(&self, path: &[&str]) -> Option<&'a Value> {
        let (last, before) = path.split_last()?;
        self.object_at(before)?.get(last)
    }

    /// The object at a path; itself where that is empty.
    pub(super) fn object_at(&self, path: &[&str]) -> Option<Object<'a>> {
        path.iter()
            .try_fold(*self, |object, name| object.get(name)?.as_object().map(Object))
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    pub(super) fn unknown_fields(&self) -> Vec<String> {
        let known = |name: &str| KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name));
        self.0.keys().filter(|name| !known(name)).cloned().collect()
    }
}

/// A value as text: strings without quotes, everything else as written.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A list as texts; a single value counts as a list of one.
pub(super) fn texts_of(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().map(text_of).collect(),
        Value::Null => Vec::new(),
        other => vec![text_of(other)],
    }
}
