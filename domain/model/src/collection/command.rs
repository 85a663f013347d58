//! What can be asked of a collection.

use formats::CollectionId;
use policy_engine::{CollectionKind, PolicyDocument};

use crate::policy::SaveFacts;

/// The commands, by their names in the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CollectionCommand {
    /// Make the collection.
    CreateCollection {
        collection: CollectionId,
        kind: CollectionKind,
        name: String,
        members: Vec<String>,
    },
    /// Change name or members, whichever is given. Members are the whole list; the kind stays.
    ///
    /// Policies name a collection by its name or its id, so a name in use can't change. `policies` are the live and
    /// staged texts that use it: with the new members each is judged again.
    ChangeCollection {
        name: Option<String>,
        members: Option<Vec<String>>,
        named_by: Vec<String>,
        policies: Vec<PolicyDocument>,
        facts: SaveFacts,
    },
    /// Remove the collection, unless policies or rules use it.
    DeleteCollection { used_by: Vec<String> },
}
