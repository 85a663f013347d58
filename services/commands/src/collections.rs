//! Collections of users, machines and applications.

use formats::CollectionId;
use model::collection::{Collection, CollectionCommand};
use policy_engine::{CollectionKind, PolicyDocument};
use serde_json::json;

use crate::{Act, App, Caller, Outcome, Written};

impl App {
    /// Makes a collection.
    ///
    /// # Errors
    /// `BAD_INPUT` with the member at fault, `NAME_TAKEN`, `FORBIDDEN`.
    pub async fn create_collection(
        &self,
        caller: &Caller,
        kind: CollectionKind,
        name: String,
        members: Vec<String>,
    ) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let collection: CollectionId = self.ambient().id();
        let content = json!({ "kind": kind, "name": name, "members": members });
        let command = CollectionCommand::CreateCollection {
            collection,
            kind,
            name,
            members,
        };
        self.run::<Collection>(caller, "createCollection", collection.uuid(), &content, command)
            .await
    }

    /// Changes name or members, whichever is given.
    ///
    /// # Errors
    /// As [`App::create_collection`], `NOT_FOUND`; `IN_USE` where policies name it by the name that would go;
    /// `POLICY_REFUSED` on `members` where a policy that uses it could not be saved any more; `FORBIDDEN` where an
    /// exception uses it and the caller is no owner.
    pub async fn change_collection(
        &self,
        caller: &Caller,
        collection: CollectionId,
        name: Option<String>,
        members: Option<Vec<String>>,
    ) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let content = json!({ "collection": collection, "name": name, "members": members });
        let named_by = if name.is_some() {
            self.used_by(caller, collection, true).await?
        } else {
            Vec::new()
        };
        let facts = self.save_facts(caller).await?;
        let policies = if members.is_some() {
            self.texts_with(caller, collection).await?
        } else {
            Vec::new()
        };
        let command = CollectionCommand::ChangeCollection {
            name,
            members,
            named_by,
            policies,
            facts,
        };
        self.run::<Collection>(caller, "changeCollection", collection.uuid(), &content, command)
            .await
    }

    /// Removes a collection that nothing uses.
    ///
    /// # Errors
    /// `IN_USE` with the names of what uses it, `NOT_FOUND`, `FORBIDDEN`.
    pub async fn delete_collection(&self, caller: &Caller, collection: CollectionId) -> Outcome<Written> {
        caller.demand(Act::WritePolicies)?;
        let used_by = self.used_by(caller, collection, false).await?;
        let content = json!({ "collection": collection });
        let command = CollectionCommand::DeleteCollection { used_by };
        self.run::<Collection>(caller, "deleteCollection", collection.uuid(), &content, command)
            .await
    }

    /// The live and staged texts of the policies that use a collection.
    async fn texts_with(&self, caller: &Caller, collection: CollectionId) -> Outcome<Vec<PolicyDocument>> {
        let mut tx = self.reading(caller.tenant).await?;
        let uses = projections::collections::used_by(&mut tx, collection).await?;
        let ids: Vec<_> = uses.policies.iter().map(|(id, ..)| *id).collect();
        let found = projections::policies::find_many(&mut tx, &ids).await?;
        let texts = found
            .into_iter()
            .flat_map(|policy| std::iter::once(policy.document).chain(policy.staged.map(|staged| staged.document)));
        Ok(texts.collect())
    }

    /// The names of the policies and rules that use a collection; by its name only, or by either.
    async fn used_by(&self, caller: &Caller, collection: CollectionId, by_name_only: bool) -> Outcome<Vec<String>> {
        self.caught_up(caller.tenant).await?;
        let mut tx = self.reading(caller.tenant).await?;
        let uses = projections::collections::used_by(&mut tx, collection).await?;
        Ok(if by_name_only { uses.by_name() } else { uses.names() })
    }
}
