//! Another data key for a tenant, and everything that was wrapped under the old one wrapped anew.
//!
//! Processes remember keys for a minute, so it goes in three steps, each as long as it takes and each to be gone on with
//! by anyone after a stop:
//!
//! 1. the new key is there: everybody can open with it, nobody wraps with it yet;
//! 2. it is the one to wrap with; the tenant's other keys are wrapped anew at once, the rest in batches;
//! 3. once nobody can remember the old one as the one to wrap with, a last look finds nothing under it, and it is destroyed.

use std::time::Duration;

use formats::{
    PersonId, TenantId, Timestamp,
    wrap::{unwrap, wrap},
};
use sqlx::{AssertSqlSafe, Row, types::time::OffsetDateTime};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{DATA, FRESH, Vault, VaultError, key_name, keys::secret_name, person};
use crate::TenantTx;

/// How long after a step every process knows of it: they remember for [`FRESH`], and their clocks may differ.
const SETTLE: Duration = Duration::from_secs(2 * FRESH.as_secs());
/// Rows that are wrapped anew in one transaction.
const BATCH: i64 = 500;

/// A column with secrets of a tenant's, each wrapped by `TenantKeys::wrap_secret`.
#[derive(Debug, Clone, Copy)]
pub struct WrappedColumn {
    /// The table.
    pub table: &'static str,
    /// The columns that, with the tenant, are the table's key, each with its type.
    pub key: &'static [(&'static str, &'static str)],
    /// The column with the wrapped secret; nullable or not.
    pub column: &'static str,
    /// The name under which it was wrapped, by the key's values as text.
    pub name: fn(&[String]) -> String,
}

impl WrappedColumn {
    /// The next rows of a tenant (`$1`), at most `$2`: the secret, and the key's values as text. `$3` and what follows is
    /// the key of the last row before. The names are constants of the program.
    fn select(&self, first: bool) -> AssertSqlSafe<String> {
        let Self { table, key, column, .. } = self;
        let list = |one: &dyn Fn(usize, &str, &str) -> String| {
            let all = key.iter().enumerate().map(|(i, (name, ty))| one(i, name, ty));
            all.collect::<Vec<_>>().join(", ")
        };
        let (names, texts) = (
            list(&|_, name, _| name.to_owned()),
            list(&|_, name, _| format!("{name}::text")),
        );
        let after = if first {
            String::new()
        } else {
            let values = list(&|i, _, ty| format!("${}::text::{ty}", i + 3));
            format!("and ({names}) > ({values})")
        };
        AssertSqlSafe(format!(
            "select {column}, {texts} from {table} where tenant_id = $1 {after} and {column} is not null
             order by {names} limit $2 for update"
        ))
    }

    /// Replaces the secret (`$2`) of a tenant (`$1`) and a key (`$3` and what follows).
    fn update(&self) -> AssertSqlSafe<String> {
        let Self { table, key, column, .. } = self;
        let of = key.iter().enumerate();
        let of = of.map(|(i, (name, ty))| format!(" and {name} = ${}::text::{ty}", i + 3));
        AssertSqlSafe(format!(
            "update {table} set {column} = $2 where tenant_id = $1{}",
            of.collect::<String>()
        ))
    }
}

/// How far the change of a data key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataRotation {
    /// Nothing can be done before this moment; then it goes on.
    Waiting(Timestamp),
    /// The old key is destroyed.
    Done {
        /// Secrets that this last call wrapped anew.
        rewrapped: u64,
    },
}

struct DataKey {
    kid: String,
    active: bool,
    created_at: Timestamp,
    not_after: Option<Timestamp>,
    key: Zeroizing<[u8; 32]>,
}

impl Vault {
    /// Begins to replace a tenant's data key, or goes on with it, as far as it gets now. `columns` are all in which there
    /// are secrets of tenants.
    ///
    /// # Errors
    /// [`VaultError`]
    pub async fn rotate_data(&self, tenant: TenantId, columns: &[WrappedColumn]) -> Result<DataRotation, VaultError> {
        let now = self.0.ambient.now();
        let mut tx = TenantTx::begin(&self.0.pool, tenant).await?;
        self.lock_in(&mut tx).await?;
        self.nothing_forgotten(&mut tx, columns).await?;
        let mut keys = self.data_keys(&mut tx).await?;
        let active = keys
            .iter()
            .position(|key| key.active)
            .ok_or_else(|| VaultError::Altered(DATA.to_owned()))?;
        let active = keys.swap_remove(active);
        let Some(other) = keys.pop() else {
            self.announce(&mut tx).await?;
            tx.commit().await?;
            self.0.tenants.remove(&tenant);
            return Ok(DataRotation::Waiting(now + SETTLE));
        };
        // An old one has an end; which of two is newer is not told by their moments, which may be the same.
        let (new, old) = if other.not_after.is_none() {
            let known_everywhere = other.created_at + SETTLE;
            if now < known_everywhere {
                return Ok(DataRotation::Waiting(known_everywhere));
            }
            self.switch(&mut tx, &active, &other).await?;
            tx.commit().await?;
            self.0.tenants.remove(&tenant);
            (
                other,
                DataKey {
                    not_after: Some(now + SETTLE),
                    ..active
                },
            )
        } else {
            drop(tx);
            (active, other)
        };
        let mut rewrapped = self.rewrap_people(tenant, &new, &old).await?;
        for column in columns {
            rewrapped += self.rewrap_column(tenant, column, &new, &old).await?;
        }
        let forgotten_everywhere = old.not_after.unwrap_or(now);
        if now < forgotten_everywhere {
            return Ok(DataRotation::Waiting(forgotten_everywhere));
        }
        let mut tx = TenantTx::begin(&self.0.pool, tenant).await?;
        sqlx::query("update tenant_key set status = 'revoked', wrapped = null where tenant_id = $1 and kid = $2")
            .bind(tenant.uuid())
            .bind(&old.kid)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.0.tenants.remove(&tenant);
        Ok(DataRotation::Done { rewrapped })
    }

    /// Refuses where a table that is not among these has secrets of the tenant: they would be lost with the old key.
    async fn nothing_forgotten(&self, tx: &mut TenantTx, columns: &[WrappedColumn]) -> Result<(), VaultError> {
        let tables: Vec<String> = sqlx::query_scalar(
            "select distinct c.relname::text from pg_attribute a join pg_class c on c.oid = a.attrelid
             where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not a.attisdropped
               and a.attname like '%wrapped%' and c.relname not in ('tenant_key', 'person_key')",
        )
        .fetch_all(&mut **tx)
        .await?;
        for table in tables {
            if columns.iter().any(|column| column.table == table) {
                continue;
            }
            // The name comes from the catalogue.
            let sql = format!("select exists (select from {table} where tenant_id = $1)");
            let held: bool = sqlx::query_scalar(AssertSqlSafe(sql))
                .bind(tx.tenant().uuid())
                .fetch_one(&mut **tx)
                .await?;
            if held {
                return Err(VaultError::Altered(table));
            }
        }
        Ok(())
    }

    async fn data_keys(&self, tx: &mut TenantTx) -> Result<Vec<DataKey>, VaultError> {
        let tenant = tx.tenant();
        let rows = sqlx::query(
            "select kid, status = 'active' as active, created_at, not_after, wrapped, master_id from tenant_key
             where tenant_id = $1 and purpose = 'data' and status <> 'revoked'",
        )
        .bind(tenant.uuid())
        .fetch_all(&mut **tx)
        .await?;
        let mut keys = Vec::new();
        for row in &rows {
            let kid: String = row.try_get("kid")?;
            let not_after: Option<OffsetDateTime> = row.try_get("not_after")?;
            keys.push(DataKey {
                key: self
                    .open_data(tenant, row.try_get("master_id")?, &kid, row.try_get("wrapped")?)
                    .await?,
                active: row.try_get("active")?,
                created_at: Timestamp::from_datetime(row.try_get("created_at")?),
                not_after: not_after.map(Timestamp::from_datetime),
                kid,
            });
        }
        Ok(keys)
    }

    /// Makes the new key, for everybody to open with.
    async fn announce(&self, tx: &mut TenantTx) -> Result<(), VaultError> {
        let tenant = tx.tenant();
        let (kid, master) = (format!("{DATA}-{}", self.0.ambient.uuid().simple()), &self.0.masters[0]);
        let key = Zeroizing::new(self.0.ambient.bytes::<32>());
        let wrapped = master
            .wrap(&key_name(tenant, DATA, &kid), &key[..], self.0.ambient.bytes())
            .await?;
        sqlx::query(
            "insert into tenant_key (tenant_id, kid, purpose, status, wrapped, master_id, created_at)
             values ($1, $2, 'data', 'retiring', $3, $4, $5)",
        )
        .bind(tenant.uuid())
        .bind(kid)
        .bind(wrapped)
        .bind(master.id())
        .bind(self.0.ambient.now().to_datetime())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Makes it the key to wrap with, and wraps the tenant's keys under it.
    async fn switch(&self, tx: &mut TenantTx, old: &DataKey, new: &DataKey) -> Result<(), VaultError> {
        let tenant = tx.tenant();
        let until = self.0.ambient.now() + SETTLE;
        for (kid, status, not_after) in [
            (&old.kid, "retiring", Some(until.to_datetime())),
            (&new.kid, "active", None),
        ] {
            sqlx::query("update tenant_key set status = $3, not_after = $4 where tenant_id = $1 and kid = $2")
                .bind(tenant.uuid())
                .bind(kid)
                .bind(status)
                .bind(not_after)
                .execute(&mut **tx)
                .await?;
        }
        let rows = sqlx::query(
            "select kid, purpose, wrapped from tenant_key
             where tenant_id = $1 and purpose <> 'data' and status <> 'revoked'",
        )
        .bind(tenant.uuid())
        .fetch_all(&mut **tx)
        .await?;
        for row in &rows {
            let (kid, purpose): (String, String) = (row.try_get("kid")?, row.try_get("purpose")?);
            let name = key_name(tenant, &purpose, &kid);
            let Some(wrapped) = self.anew(&name, row.try_get("wrapped")?, new, old)? else {
                continue;
            };
            sqlx::query("update tenant_key set wrapped = $3 where tenant_id = $1 and kid = $2")
                .bind(tenant.uuid())
                .bind(kid)
                .bind(wrapped)
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }

    async fn rewrap_people(&self, tenant: TenantId, new: &DataKey, old: &DataKey) -> Result<u64, VaultError> {
        let (mut after, mut done) = (Uuid::nil(), 0);
        loop {
            let mut tx = TenantTx::begin(&self.0.pool, tenant).await?;
            let rows = sqlx::query(
                "select person_id, key_version, wrapped from person_key
                 where tenant_id = $1 and person_id > $2 and wrapped is not null
                 order by person_id limit $3 for update",
            )
            .bind(tenant.uuid())
            .bind(after)
            .bind(BATCH)
            .fetch_all(&mut *tx)
            .await?;
            let Some(last) = rows.last() else { return Ok(done) };
            after = last.try_get(0)?;
            for row in &rows {
                let id: Uuid = row.try_get(0)?;
                let version = u32::try_from(row.try_get::<i32, _>(1)?).unwrap_or(0);
                let name = person::name(tenant, PersonId::from_uuid(id), version);
                let Some(wrapped) = self.anew(&name, row.try_get(2)?, new, old)? else {
                    continue;
                };
                sqlx::query("update person_key set wrapped = $3 where tenant_id = $1 and person_id = $2")
                    .bind(tenant.uuid())
                    .bind(id)
                    .bind(wrapped)
                    .execute(&mut *tx)
                    .await?;
                done += 1;
            }
            tx.commit().await?;
        }
    }

    async fn rewrap_column(
        &self,
        tenant: TenantId,
        of: &WrappedColumn,
        new: &DataKey,
        old: &DataKey,
    ) -> Result<u64, VaultError> {
        let (mut after, mut done): (Vec<String>, u64) = (Vec::new(), 0);
        loop {
            let mut tx = TenantTx::begin(&self.0.pool, tenant).await?;
            let select = sqlx::query(of.select(after.is_empty())).bind(tenant.uuid()).bind(BATCH);
            let rows = after
                .iter()
                .fold(select, sqlx::query::Query::bind)
                .fetch_all(&mut *tx)
                .await?;
            if rows.is_empty() {
                return Ok(done);
            }
            for row in &rows {
                after = (1..=of.key.len())
                    .map(|i| row.try_get(i))
                    .collect::<Result<_, sqlx::Error>>()?;
                let name = secret_name(tenant, &(of.name)(&after));
                let Some(wrapped) = self.anew(&name, row.try_get(0)?, new, old)? else {
                    continue;
                };
                let update = sqlx::query(of.update()).bind(tenant.uuid()).bind(wrapped);
                after
                    .iter()
                    .fold(update, sqlx::query::Query::bind)
                    .execute(&mut *tx)
                    .await?;
                done += 1;
            }
            tx.commit().await?;
        }
    }

    /// The secret under the new key; none where it is there already.
    fn anew(&self, name: &[u8], wrapped: &[u8], new: &DataKey, old: &DataKey) -> Result<Option<Vec<u8>>, VaultError> {
        if unwrap(&new.key, name, wrapped).is_ok() {
            return Ok(None);
        }
        let secret = unwrap(&old.key, name, wrapped).map_err(|_| VaultError::Altered(old.kid.clone()))?;
        Ok(Some(wrap(&new.key, name, &secret, self.0.ambient.bytes())))
    }
}
