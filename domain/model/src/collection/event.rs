//! What can happen to a collection.

use formats::CollectionId;
use policy_engine::CollectionKind;

use crate::aggregate::{ClaimChange, EventData, events};

/// The space in which a collection holds its name.
pub const COLLECTION_NAME: &str = "collection.name";

events! {
    /// What can happen to a collection.
    CollectionEvent {
        /// The collection exists.
        CollectionCreated {
            collection: CollectionId,
            kind: CollectionKind,
            name: String,
            /// Typed scope entries of the kind, such as `machine:WS-04*`.
            members: Vec<String>,
        }
        /// Name and members are now these.
        CollectionChanged {
            collection: CollectionId,
            name: String,
            members: Vec<String>,
        }
        /// The collection is gone.
        CollectionDeleted {
            collection: CollectionId,
        }
    }
}

impl EventData for CollectionEvent {
    fn claims(&self) -> Vec<ClaimChange> {
        let take = |name: &str| ClaimChange::Take {
            space: COLLECTION_NAME,
            value: name.to_lowercase(),
        };
        let release = ClaimChange::ReleaseAll { space: COLLECTION_NAME };
        match self {
            Self::CollectionCreated(e) => vec![take(&e.name)],
            Self::CollectionChanged(e) => vec![release, take(&e.name)],
            Self::CollectionDeleted(_) => vec![release],
        }
    }
}
