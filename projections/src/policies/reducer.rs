//! How policies change.

use std::collections::BTreeMap;

use eventstore::TenantTx;
use formats::{DeploymentGroupId, PolicyId};
use model::{catalogue::AnyEvent, policy::PolicyEvent};
use policy_engine::{PolicyDocument, ScopeEntry};

use super::{
    reader::{RevisionChange, Staged},
    store::{self, Marks, NewRevision, PolicyRow},
};
use crate::{Build, Delta, Envelope, FlushError, FoldError, columns::Stamp, projection::BoxFuture, touched::Touched};

#[derive(Debug, Default)]
pub(super) struct PoliciesDelta {
    policies: Touched<PolicyId, (PolicyEvent, Stamp)>,
    revisions: Vec<NewRevision>,
    /// Of revisions that stand in the table before this batch or come with it.
    marks: BTreeMap<(PolicyId, u32), Marks>,
}

impl Delta for PoliciesDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        let AnyEvent::Policy(policy) = &event.event else {
            return Ok(());
        };
        let stamp = Stamp::from(event);
        let id = self.note_revision(policy, &stamp);
        self.policies.push(id, (policy.clone(), stamp));
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move {
            if self.policies.is_empty() {
                return Ok(());
            }
            let before = store::load(tx, build.number, self.policies.keys()).await?;
            let after = self
                .policies
                .settle(before, |row| row.id, |row, (event, stamp)| apply(row, event, stamp));
            store::save(tx, build.number, &after.rows).await?;
            store::insert_revisions(tx, build.number, &self.revisions).await?;
            store::mark_revisions(tx, build.number, &self.marks).await
        })
    }
}

impl PoliciesDelta {
    fn note_revision(&mut self, event: &PolicyEvent, stamp: &Stamp) -> PolicyId {
        let mut add = |policy, revision, change, document: &PolicyDocument, reason: &str| {
            self.revisions.push(NewRevision {
                policy,
                revision,
                change,
                document: document.clone(),
                reason: reason.to_owned(),
                stamp: stamp.clone(),
                groups: Vec::new(),
            });
            policy
        };
        match event {
            PolicyEvent::PolicyCreated(e) => add(e.policy, 1, RevisionChange::Created, &e.document, &e.reason),
            PolicyEvent::PolicyRevised(e) => add(e.policy, e.revision, RevisionChange::Revised, &e.document, &e.reason),
            PolicyEvent::PolicyStatusSet(e) => {
                add(e.policy, e.revision, RevisionChange::StatusSet, &e.document, &e.reason)
            }
            PolicyEvent::PolicyRolledBack(e) => add(
                e.policy,
                e.revision,
                RevisionChange::RolledBack { to: e.to },
                &e.document,
                &e.reason,
            ),
            PolicyEvent::PolicyRevisionStaged(e) => {
                let policy = add(e.policy, e.revision, RevisionChange::Staged, &e.document, &e.reason);
                if let Some(revision) = self.revisions.last_mut() {
                    revision.groups.clone_from(&e.groups);
                }
                policy
            }
            PolicyEvent::PolicyRevisionPromoted(e) => {
                self.marks.entry((e.policy, e.revision)).or_default().promoted_at = Some(stamp.at);
                e.policy
            }
            PolicyEvent::PolicyRevisionWithdrawn(e) => {
                self.marks.entry((e.policy, e.revision)).or_default().withdrawn_at = Some(stamp.at);
                e.policy
            }
            PolicyEvent::PolicyDeleted(e) => e.policy,
        }
    }
}

fn apply(row: &mut Option<PolicyRow>, event: PolicyEvent, stamp: Stamp) {
    match event {
        PolicyEvent::PolicyCreated(e) => {
            *row = Some(PolicyRow::new(e.policy, *e.document, &stamp));
            return;
        }
        PolicyEvent::PolicyRevised(e) => live(row, e.revision, *e.document),
        PolicyEvent::PolicyStatusSet(e) => live(row, e.revision, *e.document),
        PolicyEvent::PolicyRolledBack(e) => live(row, e.revision, *e.document),
        PolicyEvent::PolicyRevisionPromoted(e) => live(row, e.revision, *e.document),
        PolicyEvent::PolicyRevisionStaged(e) => stage(row, e.revision, *e.document, e.groups),
        PolicyEvent::PolicyRevisionWithdrawn(_) => {
            if let Some(row) = row {
                row.staged = None;
            }
        }
        PolicyEvent::PolicyDeleted(_) => {
            if let Some(row) = row {
                row.staged = None;
                row.deleted_at = Some(stamp.at);
            }
        }
    }
    if let Some(row) = row {
        row.updated = stamp;
    }
}

fn live(row: &mut Option<PolicyRow>, revision: u32, document: PolicyDocument) {
    if let Some(row) = row {
        row.revision = revision;
        row.document = document;
        row.staged = None;
    }
}

fn stage(row: &mut Option<PolicyRow>, revision: u32, document: PolicyDocument, groups: Vec<DeploymentGroupId>) {
    if let Some(row) = row {
        row.staged = Some(Staged {
            revision,
            document,
            groups,
        });
    }
}

/// What a document's scopes write after `collection:`, each once.
pub(crate) fn collection_refs(document: &PolicyDocument) -> Vec<String> {
    let mut refs: Vec<String> = [&document.users, &document.machines, &document.applications]
        .into_iter()
        .flatten()
        .filter_map(|entry| match ScopeEntry::parse(entry) {
            Ok(ScopeEntry::Collection(name)) => Some(name.to_owned()),
            _ => None,
        })
        .collect();
    refs.sort_unstable();
    refs.dedup();
    refs
}

#[cfg(test)]
mod tests {
    use policy_engine::{PolicyStatus, PolicyType};

    use super::*;

    #[test]
    fn collections_are_found_in_every_scope_and_named_once() {
        let mut document = PolicyDocument::new("p", PolicyType::PrivilegeElevation, PolicyStatus::Enforce);
        document.users = vec!["collection:b".to_owned(), "user:collection:c".to_owned()];
        document.machines = vec!["collection:a".to_owned()];
        document.applications = vec!["collection:b".to_owned(), "path:/bin/*".to_owned()];
        assert_eq!(collection_refs(&document), ["a", "b"]);
    }
}
