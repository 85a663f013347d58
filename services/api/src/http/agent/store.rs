//! Which events end a grant.

use eventstore::TenantTx;
use formats::RequestId;
use sqlx::Row;
use uuid::Uuid;

/// The log's length, and the requests whose grants ended in it after a position, by any cause. The columns that are
/// asked lie beside the position, so this reads the new events alone, whatever the read models have caught up with.
pub(super) async fn ended_grants(tx: &mut TenantTx, after: u64) -> Result<(u64, Vec<RequestId>), sqlx::Error> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let row = sqlx::query(
        "select coalesce(max(position), $2) as head,
           coalesce(array_agg(distinct stream_id) filter (
             where event_type in ('GrantRevoked', 'GrantExpired', 'GrantExhausted')), '{}') as ended
         from events where tenant_id = $1 and position > $2",
    )
    .bind(tx.tenant().uuid())
    .bind(after)
    .fetch_one(&mut **tx)
    .await?;
    let head: i64 = row.try_get("head")?;
    let ended: Vec<Uuid> = row.try_get("ended")?;
    let ended = ended.into_iter().map(RequestId::from_uuid).collect();
    Ok((u64::try_from(head).unwrap_or(0), ended))
}
