//! Deleting the rows of a build that is no longer wanted. How a build comes about: [`crate::Runner::rebuild`].

use eventstore::TenantTx;
use formats::TenantId;
use sqlx::{AssertSqlSafe, PgPool};

use crate::{Projection, checkpoint, runner::RunError};

/// Rows that are deleted in one transaction.
const AT_ONCE: i64 = 10_000;

/// Deletes a retired build's rows, then its cursor.
pub(crate) async fn clear(
    pool: &PgPool,
    tenant: TenantId,
    projection: &dyn Projection,
    build: i32,
) -> Result<(), RunError> {
    for table in projection.tables() {
        // The names of tables are constants of the program.
        let statement = format!(
            "delete from {table} where ctid = any (array(
               select ctid from {table} where tenant_id = $1 and build = $2 limit $3))"
        );
        loop {
            let mut tx = TenantTx::begin(pool, tenant).await?;
            let deleted = sqlx::query(AssertSqlSafe(statement.clone()))
                .bind(tenant.uuid())
                .bind(build)
                .bind(AT_ONCE)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            tx.commit().await?;
            if deleted < AT_ONCE.unsigned_abs() {
                break;
            }
        }
    }
    checkpoint::forget(pool, tenant, projection.name(), build).await?;
    Ok(())
}
