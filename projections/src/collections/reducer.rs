//! How collections change.

use eventstore::TenantTx;
use formats::{CollectionId, Timestamp};
use model::{catalogue::AnyEvent, collection::CollectionEvent};

use super::{reader::CollectionView, store};
use crate::{Build, Delta, Envelope, FlushError, FoldError, projection::BoxFuture, touched::Touched};

#[derive(Debug, Default)]
pub(super) struct CollectionsDelta {
    collections: Touched<CollectionId, (CollectionEvent, Timestamp)>,
}

impl Delta for CollectionsDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        let AnyEvent::Collection(collection) = &event.event else {
            return Ok(());
        };
        let id = match collection {
            CollectionEvent::CollectionCreated(e) => e.collection,
            CollectionEvent::CollectionChanged(e) => e.collection,
            CollectionEvent::CollectionDeleted(e) => e.collection,
        };
        self.collections.push(id, (collection.clone(), event.recorded_at));
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move {
            if self.collections.is_empty() {
                return Ok(());
            }
            let before = store::load(tx, build.number, self.collections.keys()).await?;
            let after = self
                .collections
                .settle(before, |row| row.id, |row, (event, at)| apply(row, event, at));
            store::remove(tx, build.number, &after.gone).await?;
            store::save(tx, build.number, &after.rows).await
        })
    }
}

fn apply(row: &mut Option<CollectionView>, event: CollectionEvent, at: Timestamp) {
    match event {
        CollectionEvent::CollectionCreated(e) => {
            *row = Some(CollectionView {
                id: e.collection,
                kind: e.kind,
                name: e.name,
                members: e.members,
                created_at: at,
                updated_at: at,
            });
        }
        CollectionEvent::CollectionChanged(e) => {
            if let Some(row) = row {
                row.name = e.name;
                row.members = e.members;
                row.updated_at = at;
            }
        }
        CollectionEvent::CollectionDeleted(_) => *row = None,
    }
}
