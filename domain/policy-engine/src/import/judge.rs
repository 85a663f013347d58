//! What of some files a tenant can take: everything is judged before anything is written.

use std::collections::BTreeMap;

use super::{Format, detect, parse_native};
use crate::{
    Baseline, Collection, PolicyDocument, Problem,
    keeper::{self, ApprovalRuleDraft, Note},
    validate,
};

/// What files hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The policies, in the order of the files.
    pub policies: Vec<PolicyDocument>,
    /// Collections by name.
    pub collections: BTreeMap<String, Collection>,
    /// The last baseline that is not the default one.
    pub baseline: Baseline,
    /// Approvers that stood inside policies.
    pub rules: Vec<ApprovalRuleDraft>,
    /// What could not be carried over, field by field.
    pub notes: Vec<Note>,
    /// Policies that are refused as they stand.
    pub refused: Vec<Note>,
}

impl Found {
    /// Reads one more file, whoever wrote it. `known` tells which of a foreign product's collection ids exist here.
    ///
    /// # Errors
    /// Why nothing of it can be read: `BAD_JSON`, `BAD_FIELD` with the place, `UNKNOWN_FORMAT`.
    pub fn read(&mut self, text: &str, known: &dyn Fn(&str) -> bool) -> Result<Format, Vec<Problem>> {
        match detect(text) {
            Some(Format::Native) => {
                let bundle = parse_native(text)?;
                self.policies.extend(bundle.policies);
                self.collections.extend(bundle.collections);
                if bundle.baseline != Baseline::default() {
                    self.baseline = bundle.baseline;
                }
                Ok(Format::Native)
            }
            Some(Format::Keeper) => {
                let report = keeper::import_with(text, known);
                for imported in report.policies {
                    self.notes.extend(imported.notes);
                    self.policies.push(imported.document);
                }
                self.rules.extend(report.approval_rules);
                self.refused.extend(report.refused);
                Ok(Format::Keeper)
            }
            None => Err(vec![match serde_json::from_str::<serde_json::Value>(text) {
                Ok(_) => Problem::new("", "UNKNOWN_FORMAT", "neither policies of ours nor of Keeper EPM"),
                Err(error) => Problem::new("", "BAD_JSON", error.to_string()),
            }]),
        }
    }
}

/// What may be written, and what may not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The policies that can be made as they are, once the collections are there.
    pub policies: Vec<PolicyDocument>,
    /// Those that the tenant has not yet.
    pub collections: BTreeMap<String, Collection>,
    /// There is a baseline, and it is a good one.
    pub baseline: bool,
    /// What could not be carried over, or is left as it is.
    pub notes: Vec<Note>,
    /// What is refused, a problem each.
    pub refused: Vec<Note>,
}

impl Judged {
    /// Judges what was found for a tenant that has these collections, and policies of these names.
    #[must_use]
    pub fn of(found: &Found, here: BTreeMap<String, Collection>, names: &[&str]) -> Self {
        let mut judged = Self {
            notes: found.notes.clone(),
            refused: found.refused.clone(),
            ..Self::default()
        };
        let mut known = here;
        judged.judge_collections(found, &mut known);
        let problems = validate::baseline(&found.baseline);
        judged.baseline = problems.is_empty() && found.baseline != Baseline::default();
        judged.refuse("baseline", problems);
        let mut names: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        for document in &found.policies {
            let mut problems = validate::policy(document, &known);
            let folded = document.name.to_lowercase();
            if names.contains(&folded) {
                problems.push(Problem::new("name", "NAME_TAKEN", "another policy has this name"));
            }
            if problems.is_empty() {
                names.push(folded);
                judged.policies.push(document.clone());
            }
            judged.refuse(&document.name, problems);
        }
        judged
    }

    fn judge_collections(&mut self, found: &Found, known: &mut BTreeMap<String, Collection>) {
        for (name, collection) in &found.collections {
            let place = format!("collection {name}");
            let problems = validate::collection(name, collection);
            match known.get(name) {
                Some(own) if own != collection => self.notes.push(Note {
                    policy: place,
                    field: "members".to_owned(),
                    message: "the tenant has a collection of this name with other members; that one stays".to_owned(),
                }),
                Some(_) => {}
                None if problems.is_empty() => {
                    self.collections.insert(name.clone(), collection.clone());
                    known.insert(name.clone(), collection.clone());
                }
                None => self.refuse(&place, problems),
            }
        }
    }

    fn refuse(&mut self, place: &str, problems: Vec<Problem>) {
        self.refused.extend(problems.into_iter().map(|problem| Note {
            policy: place.to_owned(),
            field: problem.field,
            message: problem.message,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Found {
        let mut found = Found::default();
        found.read(text, &|_| false).expect(text);
        found
    }

    fn policy(name: &str) -> String {
        format!(
            r#"{{"name":"{name}","type":"privilege_elevation","status":"off","controls":["mfa"],"users":["collection:devs"],
                "machines":["*"],"applications":["path:/opt/*"]}}"#
        )
    }

    #[test]
    fn what_is_good_is_told_apart_from_what_is_refused_and_each_refusal_names_its_field() {
        let text = format!(
            r#"{{"policies":[{},{},{}],"collections":{{"devs":{{"kind":"users","members":["group:Developers"]}}}}}}"#,
            policy("One"),
            policy("ONE"),
            policy("Taken")
        );
        let judged = Judged::of(&found(&text), BTreeMap::new(), &["taken"]);
        assert_eq!(judged.policies.len(), 1);
        assert!(judged.collections.contains_key("devs"));
        let refused: Vec<_> = judged
            .refused
            .iter()
            .map(|n| (n.policy.as_str(), n.field.as_str()))
            .collect();
        assert_eq!(refused, [("ONE", "name"), ("Taken", "name")]);
        let alone = Judged::of(&found(&policy("One")), BTreeMap::new(), &[]);
        assert_eq!(
            alone.refused[0].field, "users[0]",
            "its collection is nowhere: {:?}",
            alone.refused
        );
    }

    #[test]
    fn a_file_that_holds_no_policies_says_why() {
        for (text, code) in [
            ("{", "BAD_JSON"),
            ("[1, 2]", "UNKNOWN_FORMAT"),
            (r#"{"a":1}"#, "UNKNOWN_FORMAT"),
        ] {
            let problems = Found::default().read(text, &|_| false).expect_err(text);
            assert_eq!(problems[0].code, code, "{text}");
        }
    }
}
