//! One attempt on an endpoint, as the agent reports it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::{ActionType, Os};
use crate::pattern::{Values, Variable};
use crate::time::LocalTime;

/// Who did what on which machine, and when (`docs/domain.md § 2`, "Case format").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Action {
    /// What is attempted.
    #[serde(rename = "type")]
    pub action_type: ActionType,
    /// The acting account.
    pub user: User,
    /// The endpoint.
    pub machine: Machine,
    /// The program: what is elevated, what opens the file, what runs the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Application>,
    /// The full command line, white space as typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_line: Option<String>,
    /// The final path of the file that is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// When, with the endpoint's offset.
    pub at: LocalTime,
    /// Values of the variables for the acting user on that endpoint, by name without braces.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Whether the server can be asked. True where it is not said.
    #[serde(default = "yes")]
    pub online: bool,
}

fn yes() -> bool {
    true
}

/// The acting account on the endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// `DOMAIN\name`, a plain name or a UPN.
    pub name: String,
    /// The groups it is in.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// The endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Machine {
    /// Its host name.
    pub name: String,
    /// Its operating system.
    pub os: Os,
}

/// A program file and what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Application {
    /// The final path of the opened file.
    pub path: String,
    /// SHA-256 of its content, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Who signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// Thumbprint of the certificate it is signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

impl Action {
    /// The program's path; empty where none was reported.
    #[must_use]
    pub fn application_path(&self) -> &str {
        self.application.as_ref().map_or("", |application| &application.path)
    }

    /// What the action is about: the elevated program, the opened file or the command line. None where it is missing.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        let subject = match self.action_type {
            ActionType::PrivilegeElevation => self.application.as_ref().map(|application| application.path.as_str()),
            ActionType::FileAccess => self.file.as_deref(),
            ActionType::CommandLine => self.command_line.as_deref(),
        };
        subject.filter(|text| !text.is_empty())
    }
}

impl Values for Action {
    /// `{username}` and `{hostname}` follow from the account and the machine where the agent names no value.
    fn value(&self, variable: Variable) -> Option<Cow<'_, str>> {
        let named = self
            .variables
            .get(variable.name())
            .map(|value| Cow::Borrowed(value.as_str()));
        named.or_else(|| match variable {
            Variable::Username => Some(Cow::Borrowed(without_domain(&self.user.name))),
            Variable::Hostname => Some(Cow::Borrowed(&self.machine.name)),
            _ => None,
        })
    }
}

/// `CORP\alice` and `alice@corp.example` are both `alice`.
fn without_domain(account: &str) -> &str {
    let name = account.rsplit_once('\\').map_or(account, |(_, name)| name);
    name.split_once('@').map_or(name, |(name, _)| name)
}
