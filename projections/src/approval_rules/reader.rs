//! What can be asked about approval rules.

use eventstore::TenantTx;
use formats::{ApprovalRuleId, Timestamp};
use model::approval_rule::RuleDefinition;

use super::store::view;
use crate::{ReadError, columns::tenant};

/// An approval rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRuleView {
    /// Its id.
    pub id: ApprovalRuleId,
    /// Its place in the order in which rules are asked, from 1.
    pub rank: u32,
    /// What it matches and whom it asks.
    pub definition: RuleDefinition,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its definition was changed last.
    pub updated_at: Timestamp,
}

/// All rules in the order in which they are asked.
///
/// # Errors
/// [`ReadError`]
pub async fn all(tx: &mut TenantTx) -> Result<Vec<ApprovalRuleView>, ReadError> {
    let rows = sqlx::query(
        "select rule_id, rank, definition, created_at, updated_at
         from approval_rule where tenant_id = $1 and build = live_build('approval_rules') order by rank",
    )
    .bind(tenant(tx))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(view).collect()
}

/// One rule.
///
/// # Errors
/// [`ReadError`]
pub async fn find(tx: &mut TenantTx, rule: ApprovalRuleId) -> Result<Option<ApprovalRuleView>, ReadError> {
    let row = sqlx::query(
        "select rule_id, rank, definition, created_at, updated_at
         from approval_rule where tenant_id = $1 and build = live_build('approval_rules') and rule_id = $2",
    )
    .bind(tenant(tx))
    .bind(rule.uuid())
    .fetch_optional(&mut **tx)
    .await?;
    row.as_ref().map(view).transpose()
}
