//! The state of a collection and its decisions.

use formats::CollectionId;
use policy_engine::{CollectionKind, PolicyDocument, Problem, validate};
use serde::{Deserialize, Serialize};

use super::{
    CollectionChanged, CollectionCommand, CollectionCreated, CollectionDeleted, CollectionError, CollectionEvent,
};
use crate::{Noun, aggregate::aggregate, policy::SaveFacts, text};

/// A collection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    id: Option<CollectionId>,
    kind: Option<CollectionKind>,
    name: String,
    members: Vec<String>,
}

aggregate!(
    Collection,
    "collection",
    CollectionCommand,
    CollectionEvent,
    CollectionError
);

impl Collection {
    /// Judges the policies that use it again, with the members it is to have. What was wrong before does not count: it
    /// is no reason to keep somebody from changing a list.
    fn judge_users(
        &self,
        collection: CollectionId,
        members: &[String],
        policies: &[PolicyDocument],
        facts: SaveFacts,
    ) -> Result<(), CollectionError> {
        let mut then = facts.collections.clone();
        for name in [&self.name, &collection.to_string()] {
            if let Some(own) = then.get_mut(name) {
                own.members = members.to_vec();
            }
        }
        for document in policies {
            let policy = document.name.clone();
            if document.exception && !facts.is_owner {
                return Err(CollectionError::ExceptionNeedsOwner { policy });
            }
            let before = validate::policy(document, &facts.collections);
            let after = validate::policy(document, &then);
            let same = |a: &Problem, b: &Problem| a.field == b.field && a.code == b.code;
            let mut fresh = after.into_iter().filter(|p| !before.iter().any(|q| same(p, q)));
            if let Some(problem) = fresh.next() {
                return Err(CollectionError::SpoilsPolicy { policy, problem });
            }
        }
        Ok(())
    }

    fn fold(&mut self, event: CollectionEvent) {
        match event {
            CollectionEvent::CollectionCreated(e) => {
                *self = Self {
                    id: Some(e.collection),
                    kind: Some(e.kind),
                    name: e.name,
                    members: e.members,
                };
            }
            CollectionEvent::CollectionChanged(e) => {
                self.name = e.name;
                self.members = e.members;
            }
            CollectionEvent::CollectionDeleted(_) => self.id = None,
        }
    }
}

fn checked_name(name: &str) -> Result<String, CollectionError> {
    text::name(name).map_err(|error| CollectionError::Name { error })
}

fn checked_members(name: &str, kind: CollectionKind, members: Vec<String>) -> Result<Vec<String>, CollectionError> {
    let collection = policy_engine::Collection { kind, members };
    match policy_engine::validate::collection(name, &collection)
        .into_iter()
        .next()
    {
        Some(problem) => Err(CollectionError::Member {
            field: problem.field,
            message: problem.message,
        }),
        None => Ok(collection.members),
    }
}

impl Noun for Collection {
    fn decide(&self, command: CollectionCommand) -> Result<Vec<CollectionEvent>, CollectionError> {
        use CollectionCommand as C;
        if let C::CreateCollection {
            collection,
            kind,
            name,
            members,
        } = command
        {
            if self.kind.is_some() {
                return Err(CollectionError::AlreadyExists);
            }
            let name = checked_name(&name)?;
            let members = checked_members(&name, kind, members)?;
            return Ok(vec![
                CollectionCreated {
                    collection,
                    kind,
                    name,
                    members,
                }
                .into(),
            ]);
        }
        let (Some(collection), Some(kind)) = (self.id, self.kind) else {
            return Err(CollectionError::NotFound);
        };
        Ok(vec![match command {
            C::CreateCollection { .. } => return Err(CollectionError::AlreadyExists),
            C::ChangeCollection {
                name,
                members,
                named_by,
                policies,
                facts,
            } => {
                let name = name.as_deref().map_or_else(|| Ok(self.name.clone()), checked_name)?;
                let members = match members {
                    Some(members) => checked_members(&name, kind, members)?,
                    None => self.members.clone(),
                };
                if name == self.name && members == self.members {
                    return Ok(Vec::new());
                }
                if name != self.name && !named_by.is_empty() {
                    return Err(CollectionError::InUse { used_by: named_by });
                }
                if members != self.members {
                    self.judge_users(collection, &members, &policies, facts)?;
                }
                CollectionChanged {
                    collection,
                    name,
                    members,
                }
                .into()
            }
            C::DeleteCollection { used_by } if !used_by.is_empty() => {
                return Err(CollectionError::InUse { used_by });
            }
            C::DeleteCollection { .. } => CollectionDeleted { collection }.into(),
        }])
    }
}
