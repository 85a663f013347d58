//! Collections.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use commands::{Act, Refusal};
use formats::CollectionId;
use policy_engine::PolicyDocument;
use projections::collections::{CollectionFilter, CollectionView};

use super::{
    context::{Ask, Frame, shown as present, written},
    error::Answer,
    ids::{named, shown, typed},
    paging::{Connection, Total, connect, cost, page},
    policies::Policy,
    scalars::{DateTime, Position},
    words::CollectionKind,
};

#[derive(Debug, Clone)]
pub(crate) struct Collection(pub(crate) CollectionView);

impl Collection {
    /// One collection.
    pub(crate) async fn find(frame: &Frame, id: CollectionId) -> Answer<Option<Self>> {
        frame.caller.demand(Act::ReadPolicies)?;
        Ok(frame
            .collections()
            .await?
            .iter()
            .find(|collection| collection.id == id)
            .cloned()
            .map(Self))
    }
}

/// A named set of users, of machines or of applications.
#[Object]
impl Collection {
    pub(crate) async fn id(&self) -> ID {
        shown(self.0.id)
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn kind(&self) -> CollectionKind {
        self.0.kind.into()
    }

    /// Typed scope strings, such as `group:Developers` or `path:/opt/*`.
    async fn members(&self) -> &[String] {
        &self.0.members
    }

    /// Policies whose scopes name it, live or staged.
    #[graphql(complexity = "1 + 5 * child_complexity")]
    async fn used_by(&self, ctx: &Context<'_>) -> Answer<Vec<Policy>> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let refs = [
            format!("collection:{}", self.0.name),
            format!("collection:{}", self.0.id),
        ];
        let policies = frame.policies().await?;
        let using = policies.iter().filter(|policy| {
            names(&policy.document, &refs)
                || policy
                    .staged
                    .as_ref()
                    .is_some_and(|staged| names(&staged.document, &refs))
        });
        Ok(using.cloned().map(Policy::of).collect())
    }

    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

/// Whether a document's scope holds one of these entries.
fn names(document: &PolicyDocument, entries: &[String]) -> bool {
    [&document.users, &document.machines, &document.applications]
        .into_iter()
        .any(|list| list.iter().any(|entry| entries.contains(entry)))
}

#[derive(Default)]
pub(crate) struct CollectionQuery;

#[Object]
impl CollectionQuery {
    /// Collections, by name.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    async fn collections(
        &self,
        ctx: &Context<'_>,
        kind: Option<CollectionKind>,
        search: Option<String>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Answer<Connection<Collection, Total>> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let page = page(first, after, last, before)?;
        let filter = CollectionFilter {
            kind: kind.map(Into::into),
            search,
        };
        let mut tx = frame.tx().await?;
        let found = projections::collections::list(&mut tx, &filter, &page).await?;
        Ok(connect(&page, found, Total::default(), Collection))
    }

    async fn collection(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Collection>> {
        let frame = ctx.frame_for(Act::ReadPolicies)?;
        let Some(id) = typed(&id) else { return Ok(None) };
        Collection::find(&frame, id).await
    }
}

#[derive(Debug, InputObject)]
pub(crate) struct CreateCollectionInput {
    name: String,
    kind: CollectionKind,
    members: Vec<String>,
}

/// Fields left out stay as they are.
#[derive(Debug, InputObject)]
pub(crate) struct ChangeCollectionInput {
    collection_id: ID,
    name: Option<String>,
    members: Option<Vec<String>>,
}

#[derive(Debug, InputObject)]
pub(crate) struct DeleteCollectionInput {
    collection_id: ID,
}

#[derive(Debug, SimpleObject)]
pub(crate) struct CollectionPayload {
    collection: Collection,
    position: Position,
}

impl CollectionPayload {
    async fn of(ctx: &Context<'_>, id: CollectionId, position: u64) -> Answer<Self> {
        let frame = written(ctx, position).await;
        let all = frame.collections().await?;
        let collection = present(all.iter().find(|collection| collection.id == id).cloned(), position)?;
        Ok(Self {
            collection: Collection(collection),
            position: Position(position),
        })
    }
}

#[derive(Default)]
pub(crate) struct CollectionMutation;

#[Object]
impl CollectionMutation {
    async fn create_collection(&self, ctx: &Context<'_>, input: CreateCollectionInput) -> Answer<CollectionPayload> {
        let (frame, caller) = ctx.command()?;
        let done = frame
            .app
            .create_collection(&caller, input.kind.into(), input.name, input.members)
            .await?;
        CollectionPayload::of(ctx, done.id(), done.position).await
    }

    async fn change_collection(&self, ctx: &Context<'_>, input: ChangeCollectionInput) -> Answer<CollectionPayload> {
        let (frame, caller) = ctx.command()?;
        let id = named(&input.collection_id, "collection", "collectionId")?;
        let done = frame
            .app
            .change_collection(&caller, id, input.name, input.members)
            .await?;
        CollectionPayload::of(ctx, id, done.position).await
    }

    async fn delete_collection(&self, ctx: &Context<'_>, input: DeleteCollectionInput) -> Answer<CollectionPayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WritePolicies)?;
        let id = named(&input.collection_id, "collection", "collectionId")?;
        let all = frame.collections().await?;
        let collection = all.iter().find(|collection| collection.id == id).cloned();
        let done = frame.app.delete_collection(&caller, id).await?;
        written(ctx, done.position).await;
        let collection = collection.ok_or_else(|| Refusal::not_found("collection").on("collectionId"))?;
        Ok(CollectionPayload {
            collection: Collection(collection),
            position: Position(done.position),
        })
    }
}
