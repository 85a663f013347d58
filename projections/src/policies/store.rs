//! The statements that keep the rows of policies.

use std::collections::BTreeMap;

use eventstore::TenantTx;
use formats::{Actor, DeploymentGroupId, PolicyId, Timestamp};
use policy_engine::PolicyDocument;

use super::{
    reader::{RevisionChange, Staged},
    reducer::collection_refs,
};
use crate::{
    FlushError, ReadError,
    columns::{
        Columns, Stamp, column, documents, documents_or_null, folded, moment, moment_or_null, number, small, tenant,
        text_list, uuid_list, uuids, without_nul, words,
    },
};

/// One policy.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PolicyRow {
    pub(super) id: PolicyId,
    pub(super) revision: u32,
    pub(super) document: PolicyDocument,
    pub(super) staged: Option<Staged>,
    pub(super) created_at: Timestamp,
    pub(super) updated: Stamp,
    pub(super) deleted_at: Option<Timestamp>,
}

impl PolicyRow {
    pub(super) fn new(id: PolicyId, document: PolicyDocument, stamp: &Stamp) -> Self {
        Self {
            id,
            revision: 1,
            document,
            staged: None,
            created_at: stamp.at,
            updated: stamp.clone(),
            deleted_at: None,
        }
    }

    fn refs(&self) -> Vec<String> {
        let mut refs = collection_refs(&self.document);
        if let Some(staged) = &self.staged {
            refs.extend(collection_refs(&staged.document));
            refs.sort_unstable();
            refs.dedup();
        }
        refs
    }
}

/// A revision that comes with the batch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NewRevision {
    pub(super) policy: PolicyId,
    pub(super) revision: u32,
    pub(super) change: RevisionChange,
    pub(super) document: PolicyDocument,
    pub(super) reason: String,
    pub(super) stamp: Stamp,
    pub(super) groups: Vec<DeploymentGroupId>,
}

/// What happened to a revision later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) promoted_at: Option<Timestamp>,
    pub(super) withdrawn_at: Option<Timestamp>,
}

pub(super) async fn load(
    tx: &mut TenantTx,
    build: i32,
    ids: impl Iterator<Item = &PolicyId>,
) -> Result<Vec<PolicyRow>, FlushError> {
    let rows = sqlx::query(
        "select policy_id, revision, document, staged_revision, staged_document, staged_groups, created_at, updated_at,
           updated_by, deleted_at, position
         from policy where tenant_id = $1 and build = $2 and policy_id = any($3)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(ids))
    .fetch_all(&mut **tx)
    .await?;
    let read = rows.iter().map(|row| {
        Ok(PolicyRow {
            id: row.id("policy_id")?,
            revision: row.small_count("revision")?,
            document: row.document("document")?,
            staged: staged(row)?,
            created_at: row.at("created_at")?,
            updated: Stamp {
                position: row.count("position")?,
                at: row.at("updated_at")?,
                actor: row.document::<Actor>("updated_by")?,
            },
            deleted_at: row.at_or_null("deleted_at")?,
        })
    });
    Ok(read.collect::<Result<_, ReadError>>()?)
}

pub(super) fn staged(row: &sqlx::postgres::PgRow) -> Result<Option<Staged>, ReadError> {
    let (Some(revision), Some(document)) = (
        row.small_or_null("staged_revision")?,
        row.document_or_null("staged_document")?,
    ) else {
        return Ok(None);
    };
    Ok(Some(Staged {
        revision,
        document,
        groups: row.ids("staged_groups")?,
    }))
}

pub(super) async fn save(tx: &mut TenantTx, build: i32, rows: &[PolicyRow]) -> Result<(), FlushError> {
    sqlx::query(
        "insert into policy (tenant_id, build, policy_id, name, name_folded, words, policy_type, status, controls,
           collection_refs, revision, document, staged_revision, staged_document, staged_groups, created_at, updated_at,
           updated_by, deleted_at, position)
         select $1, $2, r.policy_id, r.name, r.name_folded, r.words::text[], r.policy_type, r.status,
           r.controls::text[], r.collection_refs::text[], r.revision, r.document::json, r.staged_revision,
           r.staged_document::json, r.staged_groups::uuid[], r.created_at, r.updated_at, r.updated_by::json,
           r.deleted_at, r.position
         from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::int[],
             $11::text[], $12::int[], $13::text[], $14::text[], $15::timestamptz[], $16::timestamptz[], $17::text[],
             $18::timestamptz[], $19::bigint[], $20::text[])
           as r (policy_id, name, words, policy_type, status, controls, collection_refs, revision, document,
             staged_revision, staged_document, staged_groups, created_at, updated_at, updated_by, deleted_at, position, name_folded)
         on conflict (tenant_id, build, policy_id) do update set
           name = excluded.name, name_folded = excluded.name_folded, words = excluded.words, status = excluded.status,
           policy_type = excluded.policy_type, controls = excluded.controls,
           collection_refs = excluded.collection_refs, revision = excluded.revision, document = excluded.document,
           staged_revision = excluded.staged_revision, staged_document = excluded.staged_document,
           staged_groups = excluded.staged_groups, created_at = excluded.created_at, updated_at = excluded.updated_at,
           updated_by = excluded.updated_by, deleted_at = excluded.deleted_at, position = excluded.position",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(rows, |r| r.id.uuid()))
    .bind(column(rows, |r| without_nul(&r.document.name)))
    .bind(column(rows, |r| text_list(words(&r.document.name))))
    .bind(column(rows, |r| r.document.policy_type.as_str()))
    .bind(column(rows, |r| r.document.status.as_str()))
    .bind(column(rows, |r| text_list(r.document.controls.iter().map(|control| control.as_str()))))
    .bind(column(rows, |r| text_list(r.refs())))
    .bind(column(rows, |r| small(r.revision)))
    .bind(documents(rows, |r| &r.document)?)
    .bind(column(rows, |r| r.staged.as_ref().map(|staged| small(staged.revision))))
    .bind(documents_or_null(rows, |r| r.staged.as_ref().map(|staged| &staged.document))?)
    .bind(column(rows, |r| uuid_list(r.staged.as_ref().map_or(&[][..], |staged| &staged.groups))))
    .bind(column(rows, |r| moment(r.created_at)))
    .bind(column(rows, |r| moment(r.updated.at)))
    .bind(documents(rows, |r| &r.updated.actor)?)
    .bind(column(rows, |r| moment_or_null(r.deleted_at)))
    .bind(column(rows, |r| number(r.updated.position)))
    .bind(column(rows, |r| folded(&r.document.name)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn insert_revisions(tx: &mut TenantTx, build: i32, rows: &[NewRevision]) -> Result<(), FlushError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into policy_revision (tenant_id, build, policy_id, revision, change, rolled_back_to, status, document,
           reason, author, at, position, groups)
         select $1, $2, r.policy_id, r.revision, r.change, r.rolled_back_to, r.status, r.document::json, r.reason,
           r.author::json, r.at, r.position, r.groups::uuid[]
         from unnest($3::uuid[], $4::int[], $5::text[], $6::int[], $7::text[], $8::text[], $9::text[], $10::text[],
             $11::timestamptz[], $12::bigint[], $13::text[])
           as r (policy_id, revision, change, rolled_back_to, status, document, reason, author, at, position, groups)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(rows, |r| r.policy.uuid()))
    .bind(column(rows, |r| small(r.revision)))
    .bind(column(rows, |r| r.change.as_str()))
    .bind(column(rows, |r| r.change.rolled_back_to().map(small)))
    .bind(column(rows, |r| r.document.status.as_str()))
    .bind(documents(rows, |r| &r.document)?)
    .bind(column(rows, |r| without_nul(&r.reason)))
    .bind(documents(rows, |r| &r.stamp.actor)?)
    .bind(column(rows, |r| moment(r.stamp.at)))
    .bind(column(rows, |r| number(r.stamp.position)))
    .bind(column(rows, |r| uuid_list(&r.groups)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn mark_revisions(
    tx: &mut TenantTx,
    build: i32,
    marks: &BTreeMap<(PolicyId, u32), Marks>,
) -> Result<(), FlushError> {
    if marks.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update policy_revision p set promoted_at = coalesce(r.promoted_at, p.promoted_at),
           withdrawn_at = coalesce(r.withdrawn_at, p.withdrawn_at)
         from unnest($3::uuid[], $4::int[], $5::timestamptz[], $6::timestamptz[])
           as r (policy_id, revision, promoted_at, withdrawn_at)
         where p.tenant_id = $1 and p.build = $2 and p.policy_id = r.policy_id and p.revision = r.revision",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(marks.keys().map(|(policy, _)| policy.uuid()).collect::<Vec<_>>())
    .bind(marks.keys().map(|(_, revision)| small(*revision)).collect::<Vec<_>>())
    .bind(
        marks
            .values()
            .map(|m| moment_or_null(m.promoted_at))
            .collect::<Vec<_>>(),
    )
    .bind(
        marks
            .values()
            .map(|m| moment_or_null(m.withdrawn_at))
            .collect::<Vec<_>>(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
