//! The same policies in the languages of two general engines. All they are asked is which policies match; settling what
//! follows from that would come on top of their times, while it is part of ours.
//!
//! Both get what suits them: folded texts, requests and entities built beforehand, policies sliced by action (Cedar) and
//! data filed by type, principal and machine (regorus).

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{Authorizer, Context, Entities, Entity, EntityUid, PolicySet, Request};
use policy_engine::{Action, ActionType, PolicyDocument, PolicyStatus, Snapshot};
use regorus::{CompiledPolicy, Engine, Value};
use serde_json::json;

/// What a policy's own field is compared with, folded; the worlds of this crate have one entry each, with one star.
fn pattern(document: &PolicyDocument) -> String {
    let (_, own) = document.own_field();
    own[0].strip_prefix("path:").unwrap_or(&own[0]).to_lowercase()
}

/// What an action is about, folded.
fn subject(action: &Action) -> String {
    action.subject().unwrap_or_default().to_lowercase()
}

/// The ids of the policies that match, as our index sees it.
pub fn ours(index: &policy_engine::Index, action: &Action) -> Vec<String> {
    let decision = index.decide(action);
    let mut ids: Vec<String> = decision
        .matched
        .iter()
        .chain(&decision.monitored)
        .map(|p| p.id.clone())
        .collect();
    ids.sort();
    ids
}

/// Cedar with every policy as a `permit`, so that the reasons of an answer are the policies that match.
pub struct Cedar {
    sets: HashMap<Option<ActionType>, (PolicySet, Vec<String>)>,
    authorizer: Authorizer,
}

/// A request with its entities, ready to be answered.
pub struct CedarCase {
    action_type: ActionType,
    request: Request,
    entities: Entities,
}

impl Cedar {
    /// All policies in one set, or one set per action type.
    pub fn new(snapshot: &Snapshot, sliced: bool) -> Self {
        let slices: Vec<Option<ActionType>> = if sliced {
            ActionType::ALL.into_iter().map(Some).collect()
        } else {
            vec![None]
        };
        let sets = slices.into_iter().map(|slice| {
            let (mut text, mut ids) = (String::new(), Vec::new());
            for policy in &snapshot.policies {
                let kind = policy.document.policy_type.action_type();
                if policy.document.status == PolicyStatus::Off || (slice.is_some() && kind != slice) {
                    continue;
                }
                text.push_str(&cedar_text(&policy.document));
                ids.push(policy.id.clone());
            }
            (slice, (PolicySet::from_str(&text).expect("Cedar reads it"), ids))
        });
        Self {
            sets: sets.collect(),
            authorizer: Authorizer::new(),
        }
    }

    /// Builds what is not timed.
    pub fn case(action: &Action) -> CedarCase {
        let uid = |kind: &str, name: &str| EntityUid::from_str(&format!("{kind}::{}", json!(name))).expect("an id");
        let user = uid("User", &action.user.name.to_lowercase());
        let groups: HashSet<EntityUid> = action
            .user
            .groups
            .iter()
            .map(|g| uid("Group", &g.to_lowercase()))
            .collect();
        let mut all = vec![Entity::new(user.clone(), HashMap::new(), groups.clone()).expect("an entity")];
        all.extend(
            groups
                .into_iter()
                .map(|group| Entity::new_no_attrs(group, HashSet::new())),
        );
        let context = json!({
            "os": action.machine.os.as_str(), "machine": action.machine.name.to_lowercase(), "subject": subject(action),
        });
        let request = Request::new(
            user,
            uid("Action", action.action_type.as_str()),
            uid("Endpoint", "e"),
            Context::from_json_value(context, None).expect("a context"),
            None,
        );
        CedarCase {
            action_type: action.action_type,
            request: request.expect("a request"),
            entities: Entities::from_entities(all, None).expect("entities"),
        }
    }

    /// The ids of the policies that match.
    pub fn matching(&self, case: &CedarCase) -> Vec<String> {
        let found = self.sets.get(&None).or_else(|| self.sets.get(&Some(case.action_type)));
        let (set, ids) = found.expect("one of the two");
        let response = self.authorizer.is_authorized(&case.request, set, &case.entities);
        let number = |id: &cedar_policy::PolicyId| id.to_string()["policy".len()..].parse::<usize>().expect("numbered");
        let mut matching: Vec<String> = response
            .diagnostics()
            .reason()
            .map(|id| ids[number(id)].clone())
            .collect();
        matching.sort();
        matching
    }
}

fn cedar_text(document: &PolicyDocument) -> String {
    let principal = match document.users[0].split_once(':') {
        Some(("group", name)) => format!("principal in Group::{}", json!(name.to_lowercase())),
        Some((_, name)) => format!("principal == User::{}", json!(name.to_lowercase())),
        None => "principal".to_owned(),
    };
    let machine = match document.machines[0].split_once(':') {
        Some(("os", os)) => format!("context.os == {} && ", json!(os)),
        Some((_, name)) => format!("context.machine == {} && ", json!(name.to_lowercase())),
        None => String::new(),
    };
    format!(
        "permit({principal}, action == Action::\"{}\", resource) when {{ {machine}context.subject like {} }};\n",
        document.policy_type,
        json!(pattern(document)),
    )
}

/// regorus with a compiled rule over data filed by type, principal and machine.
pub struct Rego {
    policy: CompiledPolicy,
}

const RULE: &str = r#"
package portcullis

import rego.v1

matched contains policy.id if {
    some who in input.principals
    some where in input.places
    some policy in data.filed[input.type][who][where]
    subject_fits(policy)
}

subject_fits(policy) if policy.whole == input.subject

subject_fits(policy) if {
    startswith(input.subject, policy.first)
    endswith(input.subject, policy.last)
    count(input.subject) >= policy.least
}
"#;

impl Rego {
    /// Compiles the rule over a snapshot.
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut filed = serde_json::Map::new();
        for policy in snapshot
            .policies
            .iter()
            .filter(|policy| policy.document.status != PolicyStatus::Off)
        {
            let document = &policy.document;
            let name = |entry: &str| entry.split_once(':').map_or("*", |(_, name)| name).to_lowercase();
            let mut entry = json!({"id": policy.id});
            let pattern = pattern(document);
            match pattern.split_once('*') {
                Some((first, last)) => {
                    entry["first"] = json!(first);
                    entry["last"] = json!(last);
                    entry["least"] = json!(first.chars().count() + last.chars().count());
                }
                None => entry["whole"] = json!(pattern),
            }
            let of_type = filed.entry(document.policy_type.as_str()).or_insert_with(|| json!({}));
            let of_user = &mut of_type[document.users[0].to_lowercase()];
            let list = &mut of_user[name(&document.machines[0])];
            match list.as_array_mut() {
                Some(list) => list.push(entry),
                None => *list = json!([entry]),
            }
        }
        let mut engine = Engine::new();
        engine
            .add_policy("portcullis.rego".to_owned(), RULE.to_owned())
            .expect("regorus reads it");
        engine
            .add_data_json(&json!({ "filed": filed }).to_string())
            .expect("data");
        let policy = engine
            .compile_with_entrypoint(&"data.portcullis.matched".into())
            .expect("it compiles");
        Self { policy }
    }

    /// Builds what is not timed.
    pub fn case(action: &Action) -> Value {
        let groups = action
            .user
            .groups
            .iter()
            .map(|group| format!("group:{}", group.to_lowercase()));
        let mut principals: Vec<String> = groups.collect();
        principals.extend([format!("user:{}", action.user.name.to_lowercase()), "*".to_owned()]);
        let input = json!({
            "type": action.action_type.as_str(), "principals": principals, "subject": subject(action),
            "places": ["*", action.machine.os.as_str(), action.machine.name.to_lowercase()],
        });
        Value::from_json_str(&input.to_string()).expect("an input")
    }

    /// The ids of the policies that match.
    pub fn matching(&self, case: &Value) -> Vec<String> {
        let answer = self.policy.eval_with_input(case.clone()).expect("an answer");
        let ids = answer
            .as_set()
            .expect("a set")
            .iter()
            .map(|id| id.as_string().expect("an id").to_string());
        let mut ids: Vec<String> = ids.collect();
        ids.sort();
        ids
    }
}
