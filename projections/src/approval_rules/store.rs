//! The statements that keep the rows of approval rules.

use eventstore::TenantTx;
use sqlx::postgres::PgRow;

use super::reader::ApprovalRuleView;
use crate::{
    FlushError, ReadError,
    columns::{Columns, column, documents, moment, small, tenant},
};

pub(super) fn view(row: &PgRow) -> Result<ApprovalRuleView, ReadError> {
    Ok(ApprovalRuleView {
        id: row.id("rule_id")?,
        rank: row.small_count("rank")?,
        definition: row.document("definition")?,
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
    })
}

pub(super) async fn load(tx: &mut TenantTx, build: i32) -> Result<Vec<ApprovalRuleView>, FlushError> {
    let rows = sqlx::query(
        "select rule_id, rank, definition, created_at, updated_at
         from approval_rule where tenant_id = $1 and build = $2 order by rank",
    )
    .bind(tenant(tx))
    .bind(build)
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.iter().map(view).collect::<Result<_, _>>()?)
}

pub(super) async fn replace(tx: &mut TenantTx, build: i32, rules: &[ApprovalRuleView]) -> Result<(), FlushError> {
    sqlx::query("delete from approval_rule where tenant_id = $1 and build = $2")
        .bind(tenant(tx))
        .bind(build)
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "insert into approval_rule (tenant_id, build, rule_id, rank, definition, created_at, updated_at)
         select $1, $2, r.rule_id, r.rank, r.definition::json, r.created_at, r.updated_at
         from unnest($3::uuid[], $4::int[], $5::text[], $6::timestamptz[], $7::timestamptz[])
           as r (rule_id, rank, definition, created_at, updated_at)",
    )
    .bind(tenant(tx))
    .bind(build)
    .bind(column(rules, |r| r.id.uuid()))
    .bind(column(rules, |r| small(r.rank)))
    .bind(documents(rules, |r| &r.definition)?)
    .bind(column(rules, |r| moment(r.created_at)))
    .bind(column(rules, |r| moment(r.updated_at)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
