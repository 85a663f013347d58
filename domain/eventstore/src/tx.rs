//! The one way to a tenant's tables: a transaction with `app.tenant` set.

use std::ops::{Deref, DerefMut};

use formats::TenantId;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

/// A transaction inside one tenant: row-level security shows it that tenant's rows and no others. The setting is made
/// in the same round trip as `begin` and ends with the transaction, so nothing stays on the connection.
///
/// Rolled back when dropped. Use it as a connection: `sqlx::query(…).execute(&mut *tx)`.
#[derive(Debug)]
pub struct TenantTx {
    tx: Transaction<'static, Postgres>,
    tenant: TenantId,
}

impl TenantTx {
    /// Begins a transaction that may write.
    ///
    /// # Errors
    /// Where no connection is to be had or the database refuses.
    pub async fn begin(pool: &PgPool, tenant: TenantId) -> Result<Self, sqlx::Error> {
        // The id is 36 characters of hexadecimal digits and hyphens, and `begin` takes no parameters.
        let sql = format!("begin; set local app.tenant = '{}'", tenant.uuid());
        Ok(Self {
            tx: begin(pool, sql).await?,
            tenant,
        })
    }

    /// Begins a transaction that only reads, all its statements from one snapshot of the database.
    ///
    /// # Errors
    /// As [`TenantTx::begin`].
    pub async fn begin_read(pool: &PgPool, tenant: TenantId) -> Result<Self, sqlx::Error> {
        let sql = format!(
            "begin isolation level repeatable read, read only; set local app.tenant = '{}'",
            tenant.uuid()
        );
        Ok(Self {
            tx: begin(pool, sql).await?,
            tenant,
        })
    }

    /// From here on, statements of this transaction are planned for the values they are given: for those whose best plan
    /// depends on which filters are set.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn plan_with_values(&mut self) -> Result<(), sqlx::Error> {
        sqlx::query("set local plan_cache_mode = force_custom_plan")
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Whose rows this transaction sees.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Makes the changes durable.
    ///
    /// # Errors
    /// Where the database refuses, or the connection is lost: then it is not known whether they were made.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.tx.commit().await
    }

    /// Drops the changes now rather than when the connection is used next.
    ///
    /// # Errors
    /// Where the connection is lost; the changes are dropped all the same.
    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        self.tx.rollback().await
    }
}

/// Begins in a task of its own. A future that is dropped while `begin` is under way (a client that went away) would leave
/// the connection inside a transaction of which sqlx does not know, and the pool would hand it on like that. The task
/// ends what it began: a transaction that nobody takes is rolled back.
async fn begin(pool: &PgPool, sql: String) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(AssertSqlSafe(sql)).await });
    begun.await.map_err(|_| sqlx::Error::WorkerCrashed)?
}

impl Deref for TenantTx {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for TenantTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}
