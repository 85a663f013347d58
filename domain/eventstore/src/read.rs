//! Reading: the feed of a tenant's log, heads, and which tenants have news.

use formats::{EventBody, TenantId};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Recorded, Store, StoreError, TenantTx,
    append::{to_i64, to_u64},
    decode,
};

/// The most events that are read at once.
pub const MAX_READ: u32 = 10_000;

impl Store {
    /// The events after a position, in order, at most `limit`. Whoever got position *p* has got every position before
    /// it: a cursor that moves to the last position read misses nothing, ever.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn read(&self, tenant: TenantId, after: u64, limit: u32) -> Result<Vec<Recorded>, StoreError> {
        let mut tx = TenantTx::begin_read(self.pool(), tenant).await?;
        let events = self.read_in(&mut tx, after, limit).await?;
        tx.commit().await?;
        Ok(events)
    }

    /// As [`Store::read`], in the caller's transaction.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn read_in(&self, tx: &mut TenantTx, after: u64, limit: u32) -> Result<Vec<Recorded>, StoreError> {
        let rows = sqlx::query(
            "select position, body, leaf from events
             where tenant_id = $1 and position > $2 order by position limit $3",
        )
        .bind(tx.tenant().uuid())
        .bind(to_i64(after))
        .bind(i64::from(limit.min(MAX_READ)))
        .fetch_all(&mut **tx)
        .await?;
        self.open_in(tx, &rows).await
    }

    /// The events of one stream, in order.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn stream_in(
        &self,
        tx: &mut TenantTx,
        stream_type: &str,
        stream_id: Uuid,
    ) -> Result<Vec<Recorded>, StoreError> {
        let rows = sqlx::query(
            "select position, body, leaf from events
             where tenant_id = $1 and stream_type = $2 and stream_id = $3 order by stream_version",
        )
        .bind(tx.tenant().uuid())
        .bind(stream_type)
        .bind(stream_id)
        .fetch_all(&mut **tx)
        .await?;
        self.open_in(tx, &rows).await
    }

    /// Reads rows of position, body and leaf: opens what is sealed and lifts old schemas.
    async fn open_in(&self, tx: &mut TenantTx, rows: &[PgRow]) -> Result<Vec<Recorded>, StoreError> {
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            let position = to_u64(row.try_get(0)?);
            let bytes: Vec<u8> = row.try_get(1)?;
            let leaf = leaf_of(position, row.try_get(2)?)?;
            let body = EventBody::read(&bytes).map_err(|e| StoreError::unreadable(format!("event {position}"), e))?;
            events.push(Recorded {
                position,
                address_person: decode::address_person(&body),
                body,
                leaf,
                bytes,
            });
        }
        let people = decode::people_of(&events);
        let people = self.vault().people_in(tx, &people).await?;
        for event in &mut events {
            decode::open(&mut event.body, &people, self.upcasters())?;
        }
        Ok(events)
    }

    /// The streams that events after one position and up to another belong to, each once.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn streams_changed(&self, tenant: TenantId, after: u64, up_to: u64) -> Result<Vec<Uuid>, StoreError> {
        let mut tx = TenantTx::begin_read(self.pool(), tenant).await?;
        let streams = sqlx::query_scalar(
            "select distinct stream_id from events where tenant_id = $1 and position > $2 and position <= $3",
        )
        .bind(tenant.uuid())
        .bind(to_i64(after))
        .bind(to_i64(up_to))
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(streams)
    }

    /// The leaf hashes after a position, in order, at most `limit`; for the Merkle tree.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn leaves_in(&self, tx: &mut TenantTx, after: u64, limit: u32) -> Result<Vec<[u8; 32]>, StoreError> {
        let rows = sqlx::query(
            "select position, leaf from events where tenant_id = $1 and position > $2 order by position limit $3",
        )
        .bind(tx.tenant().uuid())
        .bind(to_i64(after))
        .bind(i64::from(limit))
        .fetch_all(&mut **tx)
        .await?;
        rows.iter()
            .map(|row| leaf_of(to_u64(row.try_get(0)?), row.try_get(1)?))
            .collect()
    }

    /// The position of the last event of a tenant.
    ///
    /// # Errors
    /// [`StoreError::UnknownTenant`], or the database failed.
    pub async fn head(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let position: Option<i64> = sqlx::query_scalar("select position from tenant_head where tenant_id = $1")
            .bind(tenant.uuid())
            .fetch_optional(self.pool())
            .await?;
        position.map(to_u64).ok_or(StoreError::UnknownTenant(tenant))
    }

    /// The tenants whose log goes further than what a projection has read: the sweep that makes a lost ring harmless.
    /// Builds that are parked or retired don't count; a tenant that the projection has no row for does.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn tenants_with_news(&self, projection: &str, limit: u32) -> Result<Vec<TenantId>, StoreError> {
        let ids = sqlx::query_scalar(
            "select h.tenant_id from tenant_head h
             where h.position > 0 and (
               exists (
                 select from projection_checkpoint c where c.tenant_id = h.tenant_id and c.projection = $1
                   and c.state in ('live', 'building') and c.parked_at is null and c.position < h.position)
               or not exists (
                 select from projection_checkpoint c where c.tenant_id = h.tenant_id and c.projection = $1))
             limit $2",
        )
        .bind(projection)
        .bind(i64::from(limit))
        .fetch_all(self.pool())
        .await?;
        Ok(ids.into_iter().map(TenantId::from_uuid).collect())
    }

    /// Every tenant whose deletion has not begun, in the order they were made.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let ids = sqlx::query_scalar("select id from tenant where status <> 'purging' order by created_at, id")
            .fetch_all(self.pool())
            .await?;
        Ok(ids.into_iter().map(TenantId::from_uuid).collect())
    }

    /// The stream that holds a unique value of a tenant; none where nobody does.
    ///
    /// # Errors
    /// Where the database or the vault fails.
    pub async fn claim_holder(
        &self,
        tenant: TenantId,
        space: &str,
        value: &str,
    ) -> Result<Option<uuid::Uuid>, StoreError> {
        let keys = self.vault().tenant(tenant).await?;
        let mut tx = TenantTx::begin_read(self.pool(), tenant).await?;
        let id =
            sqlx::query_scalar("select stream_id from claim where tenant_id = $1 and space = $2 and value_mac = $3")
                .bind(tenant.uuid())
                .bind(space)
                .bind(&keys.mac().claim(space, value)[..])
                .fetch_optional(&mut *tx)
                .await?;
        Ok(id)
    }

    /// The tenant of a slug, as people type it when they sign in, until its deletion begins.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn find_tenant(&self, slug: &str) -> Result<Option<TenantId>, StoreError> {
        let id = sqlx::query_scalar("select id from tenant where slug = $1 and status <> 'purging'")
            .bind(slug)
            .fetch_optional(self.pool())
            .await?;
        Ok(id.map(TenantId::from_uuid))
    }
}

fn leaf_of(position: u64, leaf: &[u8]) -> Result<[u8; 32], StoreError> {
    leaf.try_into()
        .map_err(|_| StoreError::unreadable(format!("leaf {position}"), "not 32 bytes"))
}
