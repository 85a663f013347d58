//! The statements that keep the rows of collections.

use eventstore::TenantTx;
use formats::CollectionId;
use sqlx::{Row, postgres::PgRow};

use super::reader::CollectionView;
use crate::{
    FlushError, ReadError,
    columns::{Columns, column, documents, folded, moment, tenant, text_list, uuids, without_nul, words},
};

pub(super) fn view(row: &PgRow) -> Result<CollectionView, ReadError> {
    Ok(CollectionView {
        id: row.id("collection_id")?,
        kind: row.word("kind")?,
        name: row.try_get("name")?,
        members: row.document("members")?,
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
    })
}

pub(super) async fn load(
    tx: &mut TenantTx,
    build: i32,
    ids: impl Iterator<Item = &CollectionId>,
) -> Result<Vec<CollectionView>, FlushError> {
    let rows = sqlx::query(
        "select collection_id, kind, name, members, created_at, updated_at
         from collection where tenant_id = $1 and build = $2 and collection_id = any($3)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(uuids(ids))
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.iter().map(view).collect::<Result<_, _>>()?)
}

pub(super) async fn remove(tx: &mut TenantTx, build: i32, ids: &[CollectionId]) -> Result<(), FlushError> {
    sqlx::query("delete from collection where tenant_id = $1 and build = $2 and collection_id = any($3)")
        .bind(tenant(tx))
        .bind(build)
        .bind(uuids(ids))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(super) async fn save(tx: &mut TenantTx, build: i32, rows: &[CollectionView]) -> Result<(), FlushError> {
    sqlx::query(
        "insert into collection (tenant_id, build, collection_id, kind, name, name_folded, words, members, created_at,
           updated_at)
         select $1, $2, r.collection_id, r.kind, r.name, r.name_folded, r.words::text[], r.members::json, r.created_at,
           r.updated_at
         from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[],
             $10::timestamptz[])
           as r (collection_id, kind, name, name_folded, words, members, created_at, updated_at)
         on conflict (tenant_id, build, collection_id) do update set
           kind = excluded.kind, name = excluded.name, name_folded = excluded.name_folded, words = excluded.words,
           members = excluded.members, created_at = excluded.created_at, updated_at = excluded.updated_at",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(rows, |r| r.id.uuid()))
    .bind(column(rows, |r| r.kind.as_str()))
    .bind(column(rows, |r| without_nul(&r.name)))
    .bind(column(rows, |r| folded(&r.name)))
    .bind(column(rows, |r| text_list(words(&r.name))))
    .bind(documents(rows, |r| &r.members)?)
    .bind(column(rows, |r| moment(r.created_at)))
    .bind(column(rows, |r| moment(r.updated_at)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
