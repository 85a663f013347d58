//! Importing policies from Keeper EPM, in the stored shape and in the documented minimal one.
//!
//! Nothing is guessed silently: whatever has no counterpart here, or was read with a choice, becomes a [`Note`] that names
//! the policy and the field. `docs/keeper-import.md` has the table.

mod fields;
mod scope;
mod windows;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::document::{Control, PolicyDocument, PolicyStatus, PolicyType};
use fields::{Object, text_of};

/// What an import yields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// Policies in our form, with what there is to say about each.
    pub policies: Vec<Imported>,
    /// Approvers that stood inside policies.
    pub approval_rules: Vec<ApprovalRuleDraft>,
    /// What could not be imported.
    pub refused: Vec<Note>,
}

/// One imported policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Its id there, if it had one.
    pub source_id: Option<String>,
    /// The policy in our form.
    pub document: PolicyDocument,
    /// What had no home, or was read with a choice.
    pub notes: Vec<Note>,
}

/// Something that an administrator should look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// The policy's name there.
    pub policy: String,
    /// The field there.
    pub field: String,
    /// What became of it.
    pub message: String,
}

/// An approval rule that stood inside a policy there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRuleDraft {
    /// The policy's name.
    pub name: String,
    /// Who decides, as named there.
    pub users: Vec<String>,
    /// Teams that decide.
    pub teams: Vec<String>,
    /// Who decides after escalation.
    pub escalated_users: Vec<String>,
    /// Teams that decide after escalation.
    pub escalated_teams: Vec<String>,
    /// How many must approve.
    pub required: u32,
}

/// Whether an object is a policy of theirs.
pub(crate) fn looks_like(policy: &Map<String, Value>) -> bool {
    let telling = [
        "PolicyType",
        "PolicyName",
        "PolicyId",
        "Filters",
        "Controls",
        "UserCheck",
        "Actions",
    ];
    telling.iter().any(|field| policy.contains_key(*field))
}

/// Imports a text: one policy, a list, or `{"policies": […]}`. Every id counts as unknown; see [`import_with`].
#[must_use]
pub fn import(text: &str) -> ImportReport {
    import_with(text, &|_| false)
}

/// As [`import`], with a way to tell which of their collection ids exist here.
#[must_use]
pub fn import_with(text: &str, is_known_collection: &dyn Fn(&str) -> bool) -> ImportReport {
    let mut report = ImportReport::default();
    let policies = match serde_json::from_str(text) {
        Ok(Value::Array(list)) => list,
        Ok(Value::Object(mut object)) => match object.remove("policies").or_else(|| object.remove("Policies")) {
            Some(Value::Array(list)) => list,
            Some(other) => vec![other],
            None => vec![Value::Object(object)],
        },
        Ok(_) => return refused(report, "", "", "the file holds no policy"),
        Err(error) => return refused(report, "", "", &format!("the file is not JSON: {error}")),
    };
    for (i, policy) in policies.into_iter().enumerate() {
        let Value::Object(object) = policy else {
            report = refused(report, &format!("policy {}", i + 1), "", "a policy is an object");
            continue;
        };
        let mut importer = Importer::new(Object::new(&object), is_known_collection);
        match importer.run() {
            Ok(document) => {
                report.approval_rules.extend(importer.approval_rule());
                importer.note_the_rest();
                let source_id = importer.object.get("PolicyId").map(text_of).filter(|id| !id.is_empty());
                report.policies.push(Imported {
                    source_id,
                    document,
                    notes: importer.notes,
                });
            }
            Err(note) => report.refused.push(note),
        }
    }
    report
}

fn refused(mut report: ImportReport, policy: &str, field: &str, message: &str) -> ImportReport {
    report.refused.push(Note {
        policy: policy.into(),
        field: field.into(),
        message: message.into(),
    });
    report
}

/// Works through one policy.
struct Importer<'a> {
    object: Object<'a>,
    is_known_collection: &'a dyn Fn(&str) -> bool,
    name: String,
    notes: Vec<Note>,
}

impl<'a> Importer<'a> {
    fn new(object: Object<'a>, is_known_collection: &'a dyn Fn(&str) -> bool) -> Self {
        let name = object
            .get("PolicyName")
            .or_else(|| object.get("Name"))
            .map(text_of)
            .unwrap_or_default();
        Self {
            object,
            is_known_collection,
            name,
            notes: Vec::new(),
        }
    }

    fn note(&mut self, field: &str, message: impl Into<String>) {
        self.notes.push(Note {
            policy: self.name.clone(),
            field: field.to_owned(),
            message: message.into(),
        });
    }

    fn refuse(&self, field: &str, message: impl Into<String>) -> Note {
        Note {
            policy: self.name.clone(),
            field: field.to_owned(),
            message: message.into(),
        }
    }

    fn run(&mut self) -> Result<PolicyDocument, Note> {
        let name = self.read_name()?;
        let policy_type = self.read_type()?;
        if let Some(operator) = self.object.get("Operator").map(text_of)
            && !operator.eq_ignore_ascii_case("and")
        {
            return Err(self.refuse(
                "Operator",
                format!("{operator:?}: here the fields of a scope are always joined by and"),
            ));
        }
        let mut document = PolicyDocument::new(name, policy_type, PolicyStatus::Off);
        document.status = self.read_status();
        self.read_notification(&mut document);
        self.read_risk(&mut document);
        let controls = self.read_controls(&mut document);
        if policy_type == PolicyType::LeastPrivilege {
            self.finish_least_privilege(&mut document, &controls);
            return Ok(document);
        }
        document.controls = controls;
        if document.status == PolicyStatus::Enforce && document.controls.is_empty() {
            document.status = PolicyStatus::Monitor;
            self.note(
                "Controls",
                "an enforced policy needs a control here; it is imported as monitor",
            );
        }
        self.read_scope(&mut document);
        self.read_windows(&mut document);
        Ok(document)
    }

    fn read_name(&mut self) -> Result<String, Note> {
        let name = self.name.trim().to_owned();
        if name.is_empty() {
            return Err(self.refuse("PolicyName", "the policy has no name"));
        }
        let clean: String = name
            .chars()
            .filter(|c| !c.is_control())
            .take(crate::limits::NAME_CHARS)
            .collect();
        if clean != name {
            self.note("PolicyName", format!("shortened to {clean:?}"));
        }
        Ok(clean)
    }

    fn read_type(&mut self) -> Result<PolicyType, Note> {
        let given = self
            .object
            .get("PolicyType")
            .or_else(|| self.object.get("Type"))
            .map(text_of)
            .unwrap_or_default();
        let bare: String = given.chars().filter(|c| *c != '_' && *c != ' ').collect();
        match bare.to_ascii_lowercase().as_str() {
            "privilegeelevation" => Ok(PolicyType::PrivilegeElevation),
            "fileaccess" => Ok(PolicyType::FileAccess),
            "commandline" => Ok(PolicyType::CommandLine),
            "leastprivilege" => Ok(PolicyType::LeastPrivilege),
            _ => Err(self.refuse("PolicyType", format!("{given:?} is no type of policy here"))),
        }
    }

    fn read_status(&mut self) -> PolicyStatus {
        let given = self.object.get("Status").map(text_of);
        match given.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("enforce" | "enabled") => PolicyStatus::Enforce,
            Some("monitor") => PolicyStatus::Monitor,
            Some("monitor_and_notify") => PolicyStatus::MonitorAndNotify,
            Some("off" | "disabled") => PolicyStatus::Off,
            Some(other) => {
                self.note("Status", format!("{other:?} is no status here; it is imported as off"));
                PolicyStatus::Off
            }
            None => {
                self.note("Status", "it says no status; it is imported as off");
                PolicyStatus::Off
            }
        }
    }

    fn read_notification(&mut self, document: &mut PolicyDocument) {
        let message = self.object.get("NotificationMessage").map(text_of).unwrap_or_default();
        document.notification.message = message.chars().take(crate::limits::MESSAGE_CHARS).collect();
        if document.notification.message.len() < message.len() {
            self.note(
                "NotificationMessage",
                format!("cut after {} characters", crate::limits::MESSAGE_CHARS),
            );
        }
        let spellings = ["NotificationRequiresAcknowledge", "NotificationRequiresAcknowledgement"];
        let given = spellings
            .iter()
            .find_map(|field| self.object.get(field).map(|value| (*field, value)));
        match given {
            Some((_, Value::Bool(required))) => document.notification.require_acknowledgement = *required,
            Some((_, Value::Null)) | None => {}
            Some((field, other)) => {
                let message = format!("{other} is neither true nor false; acknowledgement stays required");
                self.note(field, message);
            }
        }
    }

    fn read_risk(&mut self, document: &mut PolicyDocument) {
        let Some(given) = self.object.get("RiskLevel").filter(|value| !value.is_null()) else {
            return;
        };
        let level = text_of(given)
            .trim()
            .parse::<u32>()
            .ok()
            .filter(|level| *level <= crate::limits::RISK_LEVEL);
        match level {
            Some(level) => document.risk_level = level,
            None => self.note("RiskLevel", format!("{given} is not within 0 to 100; 50 is used")),
        }
    }

    /// The list that counts: `Actions.OnSuccess.Controls`, else the top-level one, else a stray `OnSuccess`.
    fn control_list(&mut self) -> (&'static str, Vec<String>) {
        let in_actions = self.object.at(&["Actions", "OnSuccess", "Controls"]);
        let top = self.object.get("Controls");
        let stray = self.object.at(&["OnSuccess", "Controls"]);
        if self.object.get("OnSuccess").is_some() && (in_actions.is_some() || top.is_some()) {
            self.note(
                "OnSuccess",
                "left over from an edit there; ignored in favour of the controls that count",
            );
        }
        let (field, value) = match (in_actions, top, stray) {
            (Some(value), _, _) => ("Actions.OnSuccess.Controls", Some(value)),
            (None, Some(value), _) => ("Controls", Some(value)),
            (None, None, Some(value)) => ("OnSuccess.Controls", Some(value)),
            (None, None, None) => ("Controls", None),
        };
        if in_actions.is_some() && top.is_some() {
            self.note("Controls", "Actions.OnSuccess.Controls counts; this list is ignored");
        }
        (field, value.map(fields::texts_of).unwrap_or_default())
    }

    fn read_controls(&mut self, document: &mut PolicyDocument) -> Vec<Control> {
        let (field, given) = self.control_list();
        let mut controls = Vec::new();
        for word in given {
            let control = match word.trim().to_ascii_uppercase().as_str() {
                "APPROVAL" => Control::Approval,
                "MFA" => Control::Mfa,
                "JUSTIFY" | "JUSTIFICATION" => Control::Justification,
                "ALLOW" => Control::Allow,
                "DENY" => Control::Deny,
                "AUDIT" | "RECORD" => {
                    self.note(field, format!("{word}: everything is recorded here; it is no control"));
                    continue;
                }
                "NOTIFY" => {
                    self.note_notify(field, document);
                    continue;
                }
                _ => {
                    self.note(field, format!("{word:?} is no control here; left out"));
                    continue;
                }
            };
            if !controls.contains(&control) {
                controls.push(control);
            }
        }
        if self
            .object
            .at(&["Actions", "OnFailure", "Command"])
            .is_some_and(|value| !text_of(value).is_empty())
        {
            self.note(
                "Actions.OnFailure.Command",
                "no command runs here where an action is refused; left out",
            );
        }
        self.keep_the_stricter(field, controls)
    }

    fn note_notify(&mut self, field: &str, document: &PolicyDocument) {
        let message = match (document.status, document.notification.message.is_empty()) {
            (PolicyStatus::Enforce, false) => "NOTIFY: the user sees the notification text; it is no control",
            (PolicyStatus::Enforce, true) => "NOTIFY: there is no notification text to show; write one",
            _ => "NOTIFY: here the status monitor_and_notify tells the user; it is no control",
        };
        self.note(field, message);
    }

    /// `allow` and `deny` stand alone here.
    fn keep_the_stricter(&mut self, field: &str, controls: Vec<Control>) -> Vec<Control> {
        if controls.len() > 1 && controls.contains(&Control::Deny) {
            self.note(field, "DENY stands alone here; the other controls are left out");
            return vec![Control::Deny];
        }
        if controls.len() > 1 && controls.contains(&Control::Allow) {
            self.note(
                field,
                "ALLOW stands alone here; the stricter controls are kept and it is left out",
            );
            return controls
                .into_iter()
                .filter(|control| *control != Control::Allow)
                .collect();
        }
        controls
    }

    fn finish_least_privilege(&mut self, document: &mut PolicyDocument, controls: &[Control]) {
        if !controls.is_empty() {
            self.note("Controls", "least privilege has no controls; left out");
        }
        if document.status.is_monitored() {
            self.note(
                "Status",
                "least privilege is enforced or off here; it is imported as off",
            );
            document.status = PolicyStatus::Off;
        }
        for filter in [
            "UserCheck",
            "ApplicationCheck",
            "DateCheck",
            "TimeCheck",
            "DayCheck",
            "CertificationCheck",
        ] {
            if !self.filter(filter).is_empty() {
                self.note(filter, "least privilege has no such filter; left out");
            }
        }
        document.machines = self.read_machines();
    }

    /// Approvers that stand inside the policy become a rule of the same name.
    fn approval_rule(&mut self) -> Option<ApprovalRuleDraft> {
        let places: [&[&str]; 5] = [
            &["Approvers"],
            &["Approval"],
            &["ApprovalRule"],
            &["Actions", "OnSuccess", "Approvers"],
            &[],
        ];
        let found = places.into_iter().find_map(|place| {
            let object = self.object.object_at(place)?;
            let list = |names: &[&str]| {
                names
                    .iter()
                    .find_map(|n| object.get(n))
                    .map(fields::texts_of)
                    .unwrap_or_default()
            };
            let rule = ApprovalRuleDraft {
                name: self.name.clone(),
                users: list(if place.is_empty() {
                    &["ApproverUsers"]
                } else {
                    &["Users", "ApproverUsers"]
                }),
                teams: list(if place.is_empty() {
                    &["ApproverTeams"]
                } else {
                    &["Teams", "ApproverTeams"]
                }),
                escalated_users: list(&["EscalatedUsers", "EscalationUsers"]),
                escalated_teams: list(&["EscalatedTeams", "EscalationTeams"]),
                required: object
                    .get("NumberRequiredApprovers")
                    .and_then(|count| text_of(count).parse().ok())
                    .unwrap_or(1),
            };
            let names_somebody = [&rule.users, &rule.teams, &rule.escalated_users, &rule.escalated_teams];
            let says_something =
                names_somebody.iter().any(|list| !list.is_empty()) || object.get("NumberRequiredApprovers").is_some();
            says_something.then_some((place.join("."), rule))
        });
        let (field, rule) = found?;
        let field = if field.is_empty() {
            "approvers".to_owned()
        } else {
            field
        };
        let message = format!(
            "approvers stand in approval rules here; a rule {:?} is drafted",
            rule.name
        );
        self.note(&field, message);
        Some(rule)
    }

    /// Whatever was not looked at has no home.
    fn note_the_rest(&mut self) {
        for field in self.object.unknown_fields() {
            self.note(&field, "has no counterpart here; left out");
        }
    }
}

#[cfg(test)]
mod tests;
