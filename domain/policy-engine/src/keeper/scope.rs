//! Filters: who, where, what. A filter that no rule asks for is not evaluated there, so it means any.

use serde_json::Value;

use super::Importer;
use super::fields::{Object, text_of, texts_of};
use crate::document::{PolicyDocument, PolicyType};

/// Filter, its list in the minimal shape, and the rule expression that reads it.
pub(super) const CHECKS: [(&str, &str, &str); 7] = [
    ("UserCheck", "Users", "CheckUser"),
    ("MachineCheck", "Machines", "CheckMachine"),
    ("ApplicationCheck", "Applications", "CheckFile"),
    ("DateCheck", "Dates", "CheckDate"),
    ("TimeCheck", "Times", "CheckTime"),
    ("DayCheck", "Days", "CheckDay"),
    ("CertificationCheck", "Certifications", "CheckCertificate"),
];

impl Importer<'_> {
    fn is_minimal(&self) -> bool {
        self.object.get("Filters").is_some()
    }

    /// A filter's values as they stand in either shape, whether or not a rule reads them.
    pub(super) fn filter(&self, name: &str) -> Vec<Value> {
        let found = self.object.get(name).or_else(|| self.object.at(&["Filters", name]));
        let found = match found {
            Some(Value::Object(inner)) => {
                let list = CHECKS
                    .iter()
                    .find(|(check, ..)| *check == name)
                    .map_or("", |(_, list, _)| *list);
                Object::new(inner).get(list).or_else(|| inner.values().next())
            }
            other => other,
        };
        match found {
            Some(Value::Array(list)) => list.clone(),
            Some(Value::Null) | None => Vec::new(),
            Some(one) => vec![one.clone()],
        }
    }

    /// The rule expressions, in both shapes: `CheckUser()`, or `{Type, Value}`.
    fn expressions(&self) -> Vec<String> {
        let rules = self
            .object
            .get("Rules")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let mut all = Vec::new();
        for rule in rules.iter().filter_map(Value::as_object).map(Object::new) {
            all.extend(rule.get("Expression").map(text_of));
            let inner = rule.get("Expressions").and_then(Value::as_array);
            all.extend(inner.into_iter().flatten().map(|entry| {
                entry
                    .as_object()
                    .and_then(|entry| Object::new(entry).get("Type"))
                    .map_or_else(|| text_of(entry), text_of)
            }));
        }
        all
    }

    fn has_rule(&self, filter: &str, expression: &str) -> bool {
        self.expressions().iter().any(|given| {
            let head = given.split('(').next().unwrap_or_default().trim();
            head.eq_ignore_ascii_case(expression) || head.eq_ignore_ascii_case(filter)
        })
    }

    /// A filter that counts: its values where a rule reads them, else nothing and a note.
    pub(super) fn evaluated(&mut self, filter: &str) -> Vec<Value> {
        let values = self.filter(filter);
        let expression = CHECKS
            .iter()
            .find(|(check, ..)| *check == filter)
            .map_or("", |(.., expression)| *expression);
        // The minimal shape may leave its rules out altogether; then its filters are all there is.
        let without_rules = self.is_minimal() && self.object.get("Rules").is_none();
        let has_rule = self.has_rule(filter, expression) || without_rules;
        if !values.is_empty() && !has_rule {
            self.note(
                filter,
                format!("no rule {expression} reads it, so it is not evaluated there; read as any"),
            );
            return Vec::new();
        }
        if values.is_empty() && has_rule && !without_rules {
            let may_be_empty = matches!(filter, "DateCheck" | "TimeCheck" | "DayCheck" | "CertificationCheck");
            if !may_be_empty || self.object.get(filter).is_none() {
                self.note(
                    filter,
                    format!("the rule {expression} reads a filter that is not there; read as any"),
                );
            }
        }
        values
    }

    fn check_rules(&mut self) {
        for expression in self.expressions() {
            let head = expression.split('(').next().unwrap_or_default().trim();
            let known = CHECKS
                .iter()
                .any(|(filter, _, name)| head.eq_ignore_ascii_case(name) || head.eq_ignore_ascii_case(filter));
            if !known {
                self.note(
                    "Rules",
                    format!("the expression {expression:?} has no counterpart here; left out"),
                );
            }
        }
        let rules = self
            .object
            .get("Rules")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        for rule in rules.iter().filter_map(Value::as_object).map(Object::new) {
            let name = rule.get("RuleName").map(text_of).unwrap_or_default();
            if rule.get("ErrorMessage").is_some_and(|text| !text_of(text).is_empty()) {
                self.note(
                    "Rules.ErrorMessage",
                    format!("rules have no message of their own here ({name}); left out"),
                );
            }
            if rule
                .get("RuleExpressionType")
                .is_some_and(|kind| text_of(kind) != "BuiltInAction")
            {
                self.note(
                    "Rules.RuleExpressionType",
                    format!("only BuiltInAction is understood ({name})"),
                );
            }
            if rule
                .get("Operator")
                .is_some_and(|operator| !text_of(operator).eq_ignore_ascii_case("and"))
            {
                self.note("Rules.Operator", "here the fields of a scope are always joined by and");
            }
        }
    }

    pub(super) fn read_scope(&mut self, document: &mut PolicyDocument) {
        self.check_rules();
        let users = self.evaluated("UserCheck");
        document.users = self.entries("UserCheck", &users, "user:");
        document.machines = self.read_machines();
        let applications = self.evaluated("ApplicationCheck");
        let applications = self.entries("ApplicationCheck", &applications, "path:");
        let folders = self.folders();
        let commands = self
            .object
            .at(&["Extension", "AllowCommands"])
            .map(texts_of)
            .unwrap_or_default();
        if document.policy_type != PolicyType::CommandLine && !commands.is_empty() {
            self.note(
                "Extension.AllowCommands",
                "only command line policies have commands; left out",
            );
        }
        match document.policy_type {
            PolicyType::PrivilegeElevation => {
                let folders: Vec<String> = folders.iter().map(|folder| format!("path:{folder}")).collect();
                document.applications = self.joined(applications, folders);
            }
            PolicyType::FileAccess => {
                document.applications = if applications == ["*"] {
                    Vec::new()
                } else {
                    applications
                };
                document.files = folders;
                if document.files.is_empty() {
                    self.note("Extension.Folders", "it names no folder; every file is meant");
                    document.files.push("*".to_owned());
                }
            }
            PolicyType::CommandLine => {
                if applications != ["*"] {
                    self.note(
                        "ApplicationCheck",
                        "command line policies have no applications; left out",
                    );
                }
                if !folders.is_empty() {
                    self.note("Extension.Folders", "command line policies have no folders; left out");
                }
                document.commands = self.commands(commands);
            }
            PolicyType::LeastPrivilege => {}
        }
        if let Some(extension) = self.object.object_at(&["Extension"]) {
            for field in extension.fields_besides(&["Folders", "AllowCommands"]) {
                self.note(&format!("Extension.{field}"), "has no counterpart here; left out");
            }
        }
    }

    pub(super) fn read_machines(&mut self) -> Vec<String> {
        let machines = self.evaluated("MachineCheck");
        self.entries("MachineCheck", &machines, "machine:")
    }

    /// `*`, ids of collections, and names that are plainly no ids.
    fn entries(&mut self, field: &str, values: &[Value], prefix: &str) -> Vec<String> {
        let mut entries: Vec<String> = Vec::new();
        for value in values.iter().map(text_of).map(|value| value.trim().to_owned()) {
            let is_name = value.contains(['\\', '/', '@', '*', '?', '.', ' ']);
            let entry = match value.as_str() {
                "" => continue,
                "*" => "*".to_owned(),
                typed
                    if ["user:", "group:", "machine:", "path:", "collection:"]
                        .iter()
                        .any(|p| typed.starts_with(p)) =>
                {
                    value
                }
                _ if is_name => {
                    self.note(
                        field,
                        format!("{value:?} is no id of a collection; read as {prefix}{value}"),
                    );
                    format!("{prefix}{value}")
                }
                id => {
                    if !(self.is_known_collection)(id) {
                        self.note(
                            field,
                            format!("{id:?} is the id of no imported collection; create it first"),
                        );
                    }
                    format!("collection:{id}")
                }
            };
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        if entries.len() > 1 && entries.iter().any(|entry| entry == "*") {
            self.note(field, "* already means any; the other entries are left out");
            entries.clear();
        }
        if entries.is_empty() {
            entries.push("*".to_owned());
        }
        entries
    }

    /// Folder prefixes as patterns; the separator is the folder's own.
    fn folders(&mut self) -> Vec<String> {
        let given = self
            .object
            .at(&["Extension", "Folders"])
            .map(texts_of)
            .unwrap_or_default();
        let mut folders = Vec::new();
        for folder in given
            .iter()
            .map(|folder| folder.trim())
            .filter(|folder| !folder.is_empty())
        {
            if folder.contains(['*', '?']) {
                self.note(
                    "Extension.Folders",
                    format!("{folder:?}: wildcards are literal there and wildcards here"),
                );
            }
            let separator = if folder.contains('/') && !folder.contains('\\') {
                '/'
            } else {
                '\\'
            };
            folders.push(format!("{}{separator}*", folder.trim_end_matches(['\\', '/'])));
        }
        folders
    }

    fn joined(&mut self, applications: Vec<String>, folders: Vec<String>) -> Vec<String> {
        if folders.is_empty() {
            return applications;
        }
        if applications == ["*"] {
            self.note(
                "Extension.Folders",
                "the folders narrow an application filter that means any",
            );
            return folders;
        }
        self.note(
            "Extension.Folders",
            "folders and applications are one list here: either is enough",
        );
        applications.into_iter().chain(folders).collect()
    }

    fn commands(&mut self, commands: Vec<String>) -> Vec<String> {
        let mut kept: Vec<String> = Vec::new();
        for command in commands {
            let command = command.trim();
            if !command.is_empty() && !kept.iter().any(|other| other == command) {
                kept.push(command.to_owned());
            }
        }
        if kept.is_empty() {
            self.note(
                "Extension.AllowCommands",
                "it names no command; every command line is meant",
            );
            kept.push("*".to_owned());
        } else if kept.len() > 1 && kept.iter().any(|command| command == "*") {
            self.note(
                "Extension.AllowCommands",
                "* already means any; the other entries are left out",
            );
            kept = vec!["*".to_owned()];
        }
        kept
    }
}

impl Object<'_> {
    fn fields_besides(&self, known: &[&str]) -> Vec<String> {
        let mut fields = self.names();
        fields.retain(|field| !known.iter().any(|known| known.eq_ignore_ascii_case(field)));
        fields
    }
}
