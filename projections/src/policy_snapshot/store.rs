//! The statements that keep what snapshots are made of, where groups stand, and the bodies.

use std::collections::BTreeSet;

use eventstore::TenantTx;
use formats::{BodyHash, CollectionId, DeploymentGroupId, PolicyId};
use policy_engine::SnapshotCollection;
use sqlx::{Row, postgres::PgRow};

use super::{
    rendition::{Part, Rendition, Staged},
    shelf::{Group, Shelf, TenantParts, Version},
};
use crate::{
    FlushError, ReadError,
    columns::{
        Columns, column, documents, moment, moment_or_null, number, small, tenant, text_list, uuid_list, uuids,
        without_nul,
    },
};

/// How hard bodies are compressed: once per change, then sent to each agent.
const ZSTD_LEVEL: i32 = 9;

pub(super) async fn load(tx: &mut TenantTx, build: i32) -> Result<Shelf, FlushError> {
    let mut shelf = Shelf::default();
    let row = sqlx::query("select epoch, baseline, settings from snapshot_tenant where tenant_id = $1 and build = $2")
        .bind(tenant(tx))
        .bind(build)
        .fetch_optional(&mut **tx)
        .await?;
    if let Some(row) = row {
        let (baseline, settings) = (row.try_get("baseline")?, row.try_get("settings")?);
        shelf.tenant = TenantParts {
            epoch: row.small_count("epoch")?,
            baseline,
            settings,
        };
    }
    let rows = sqlx::query(
        "select policy_id, live, live_refs, has_staged, staged, staged_refs, staged_groups from snapshot_policy
         where tenant_id = $1 and build = $2",
    )
    .bind(tenant(tx))
    .bind(build)
    .fetch_all(&mut **tx)
    .await?;
    for row in &rows {
        shelf.policies.insert(row.id::<PolicyId>("policy_id")?, rendition(row)?);
    }
    let rows = sqlx::query(
        "select collection_id, name, kind, members from snapshot_collection where tenant_id = $1 and build = $2",
    )
    .bind(tenant(tx))
    .bind(build)
    .fetch_all(&mut **tx)
    .await?;
    for row in &rows {
        let id: CollectionId = row.id("collection_id")?;
        let (name, kind, members) = (row.try_get("name")?, row.word("kind")?, row.document("members")?);
        shelf.collections.insert(
            id,
            SnapshotCollection {
                id: id.to_string(),
                name,
                kind,
                members,
            },
        );
    }
    let rows = sqlx::query(
        "select group_id, version, sha256, policies, changed_at, held_version, held_sha256, held_policies, held_at,
           spell_policies, spell_at
         from snapshot_group where tenant_id = $1 and build = $2",
    )
    .bind(tenant(tx))
    .bind(build)
    .fetch_all(&mut **tx)
    .await?;
    for row in &rows {
        shelf
            .groups
            .insert(row.id::<DeploymentGroupId>("group_id")?, group(row)?);
    }
    Ok(shelf)
}

fn rendition(row: &PgRow) -> Result<Rendition, ReadError> {
    let part = |bytes: &str, refs: &str| {
        let (bytes, refs): (Option<Vec<u8>>, Vec<String>) = (row.try_get(bytes)?, row.try_get(refs)?);
        Ok::<_, ReadError>(bytes.map(|bytes| Part { bytes, refs }))
    };
    let staged = if row.try_get("has_staged")? {
        Some(Staged {
            part: part("staged", "staged_refs")?,
            groups: row.ids("staged_groups")?,
        })
    } else {
        None
    };
    Ok(Rendition {
        live: part("live", "live_refs")?,
        staged,
    })
}

fn group(row: &PgRow) -> Result<Group, ReadError> {
    let held = match row.count_or_null("held_version")? {
        Some(number) => Some(Version {
            number,
            sha256: Some(hash(row, "held_sha256")?),
            policies: row.small_count("held_policies")?,
            at: row.at("held_at")?,
        }),
        None => None,
    };
    Ok(Group {
        served: Version {
            number: row.count("version")?,
            sha256: Some(hash(row, "sha256")?),
            policies: row.small_count("policies")?,
            at: row.at("changed_at")?,
        },
        held,
        spell_policies: row.small_count("spell_policies")?,
        spell_at: row.at("spell_at")?,
    })
}

pub(super) fn hash(row: &PgRow, column: &str) -> Result<BodyHash, ReadError> {
    let bytes: Vec<u8> = row.try_get(column)?;
    let bytes = bytes
        .try_into()
        .map_err(|_| ReadError::Unreadable(format!("`{column}` is not a hash")))?;
    Ok(BodyHash::from_bytes(bytes))
}

pub(super) async fn save(tx: &mut TenantTx, build: i32, shelf: &Shelf) -> Result<(), FlushError> {
    save_bodies(tx, shelf).await?;
    save_tenant(tx, build, shelf).await?;
    save_policies(tx, build, shelf).await?;
    save_collections(tx, build, shelf).await?;
    save_groups(tx, build, shelf).await
}

async fn save_bodies(tx: &mut TenantTx, shelf: &Shelf) -> Result<(), FlushError> {
    if shelf.bodies.is_empty() {
        return Ok(());
    }
    let all: Vec<&[u8]> = shelf.bodies.keys().map(|sha256| &sha256.as_bytes()[..]).collect();
    let known = sqlx::query("select sha256 from snapshot_body where tenant_id = $1 and sha256 = any($2)")
        .bind(tenant(tx))
        .bind(all)
        .fetch_all(&mut **tx)
        .await?;
    let known = known
        .iter()
        .map(|row| hash(row, "sha256"))
        .collect::<Result<BTreeSet<_>, _>>()?;
    // One at a time: they are large, and there is rarely more than one.
    for (sha256, plain) in shelf.bodies.iter().filter(|(sha256, _)| !known.contains(sha256)) {
        let zstd = zstd::encode_all(plain.as_slice(), ZSTD_LEVEL)
            .map_err(|error| FlushError::Value(format!("a snapshot cannot be compressed: {error}")))?;
        sqlx::query(
            "insert into snapshot_body (tenant_id, sha256, plain, zstd) values ($1, $2, $3, $4) on conflict do nothing",
        )
        .bind(tenant(tx))
        .bind(&sha256.as_bytes()[..])
        .bind(plain)
        .bind(zstd)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

async fn save_tenant(tx: &mut TenantTx, build: i32, shelf: &Shelf) -> Result<(), FlushError> {
    if !shelf.touched.tenant {
        return Ok(());
    }
    sqlx::query(
        "insert into snapshot_tenant (tenant_id, build, epoch, baseline, settings) values ($1, $2, $3, $4, $5)
         on conflict (tenant_id, build) do update set
           epoch = excluded.epoch, baseline = excluded.baseline, settings = excluded.settings",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(small(shelf.tenant.epoch))
    .bind(&shelf.tenant.baseline)
    .bind(&shelf.tenant.settings)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn save_policies(tx: &mut TenantTx, build: i32, shelf: &Shelf) -> Result<(), FlushError> {
    if shelf.touched.policies.is_empty() {
        return Ok(());
    }
    let (kept, gone): (Vec<PolicyId>, Vec<PolicyId>) = shelf
        .touched
        .policies
        .iter()
        .partition(|id| shelf.policies.contains_key(id));
    sqlx::query("delete from snapshot_policy where tenant_id = $1 and build = $2 and policy_id = any($3)")
        .bind(tenant(tx))
        .bind(build)
        .bind(uuids(&gone))
        .execute(&mut **tx)
        .await?;
    let rows: Vec<(PolicyId, &Rendition)> = kept
        .iter()
        .filter_map(|id| shelf.policies.get(id).map(|policy| (*id, policy)))
        .collect();
    let live = |r: &'_ (PolicyId, &Rendition)| r.1.live.clone();
    let staged = |r: &'_ (PolicyId, &Rendition)| r.1.staged.as_ref().and_then(|staged| staged.part.clone());
    let refs = |part: Option<Part>| text_list(part.map(|part| part.refs).unwrap_or_default());
    sqlx::query(
        "insert into snapshot_policy (tenant_id, build, policy_id, live, live_refs, has_staged, staged, staged_refs,
           staged_groups)
         select $1, $2, r.policy_id, r.live, r.live_refs::text[], r.has_staged, r.staged, r.staged_refs::text[],
           r.staged_groups::uuid[]
         from unnest($3::uuid[], $4::bytea[], $5::text[], $6::boolean[], $7::bytea[], $8::text[], $9::text[])
           as r (policy_id, live, live_refs, has_staged, staged, staged_refs, staged_groups)
         on conflict (tenant_id, build, policy_id) do update set
           live = excluded.live, live_refs = excluded.live_refs, has_staged = excluded.has_staged,
           staged = excluded.staged, staged_refs = excluded.staged_refs, staged_groups = excluded.staged_groups",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&rows, |r| r.0.uuid()))
    .bind(column(&rows, |r| live(r).map(|part| part.bytes)))
    .bind(column(&rows, |r| refs(live(r))))
    .bind(column(&rows, |r| r.1.staged.is_some()))
    .bind(column(&rows, |r| staged(r).map(|part| part.bytes)))
    .bind(column(&rows, |r| refs(staged(r))))
    .bind(column(&rows, |r| {
        uuid_list(r.1.staged.as_ref().map_or(&[][..], |staged| &staged.groups))
    }))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn save_collections(tx: &mut TenantTx, build: i32, shelf: &Shelf) -> Result<(), FlushError> {
    if shelf.touched.collections.is_empty() {
        return Ok(());
    }
    let (kept, gone): (Vec<CollectionId>, Vec<CollectionId>) = shelf
        .touched
        .collections
        .iter()
        .partition(|id| shelf.collections.contains_key(id));
    sqlx::query("delete from snapshot_collection where tenant_id = $1 and build = $2 and collection_id = any($3)")
        .bind(tenant(tx))
        .bind(build)
        .bind(uuids(&gone))
        .execute(&mut **tx)
        .await?;
    let rows: Vec<(CollectionId, &SnapshotCollection)> = kept
        .iter()
        .filter_map(|id| shelf.collections.get(id).map(|collection| (*id, collection)))
        .collect();
    sqlx::query(
        "insert into snapshot_collection (tenant_id, build, collection_id, name, kind, members)
         select $1, $2, r.collection_id, r.name, r.kind, r.members::json
         from unnest($3::uuid[], $4::text[], $5::text[], $6::text[]) as r (collection_id, name, kind, members)
         on conflict (tenant_id, build, collection_id) do update set
           name = excluded.name, kind = excluded.kind, members = excluded.members",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&rows, |r| r.0.uuid()))
    .bind(column(&rows, |r| without_nul(&r.1.name)))
    .bind(column(&rows, |r| r.1.kind.as_str()))
    .bind(documents(&rows, |r| &r.1.members)?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn save_groups(tx: &mut TenantTx, build: i32, shelf: &Shelf) -> Result<(), FlushError> {
    if shelf.touched.groups.is_empty() {
        return Ok(());
    }
    let (kept, gone): (Vec<DeploymentGroupId>, Vec<DeploymentGroupId>) = shelf
        .touched
        .groups
        .iter()
        .partition(|id| shelf.groups.contains_key(id));
    sqlx::query("delete from snapshot_group where tenant_id = $1 and build = $2 and group_id = any($3)")
        .bind(tenant(tx))
        .bind(build)
        .bind(uuids(&gone))
        .execute(&mut **tx)
        .await?;
    let rows: Vec<(DeploymentGroupId, &Group)> = kept
        .iter()
        .filter_map(|id| shelf.groups.get(id).map(|group| (*id, group)))
        .collect();
    let hash = |version: &Version| version.sha256.map(|sha256| sha256.as_bytes().to_vec());
    sqlx::query(
        "insert into snapshot_group (tenant_id, build, group_id, version, sha256, policies, changed_at, held_version,
           held_sha256, held_policies, held_at, spell_policies, spell_at)
         select $1, $2, r.*
         from unnest($3::uuid[], $4::bigint[], $5::bytea[], $6::int[], $7::timestamptz[], $8::bigint[], $9::bytea[],
             $10::int[], $11::timestamptz[], $12::int[], $13::timestamptz[]) as r
         on conflict (tenant_id, build, group_id) do update set
           version = excluded.version, sha256 = excluded.sha256, policies = excluded.policies,
           changed_at = excluded.changed_at, held_version = excluded.held_version, held_sha256 = excluded.held_sha256,
           held_policies = excluded.held_policies, held_at = excluded.held_at,
           spell_policies = excluded.spell_policies, spell_at = excluded.spell_at",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(&rows, |r| r.0.uuid()))
    .bind(column(&rows, |r| number(r.1.served.number)))
    .bind(column(&rows, |r| hash(&r.1.served)))
    .bind(column(&rows, |r| small(r.1.served.policies)))
    .bind(column(&rows, |r| moment(r.1.served.at)))
    .bind(column(&rows, |r| r.1.held.as_ref().map(|held| number(held.number))))
    .bind(column(&rows, |r| r.1.held.as_ref().and_then(hash)))
    .bind(column(&rows, |r| r.1.held.as_ref().map(|held| small(held.policies))))
    .bind(column(&rows, |r| moment_or_null(r.1.held.as_ref().map(|held| held.at))))
    .bind(column(&rows, |r| small(r.1.spell_policies)))
    .bind(column(&rows, |r| moment(r.1.spell_at)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
