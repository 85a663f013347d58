//! State that agents write directly, the last inventory of each; and which events end a grant.

use eventstore::TenantTx;
use formats::{EndpointId, RequestId, Timestamp, agent_wire::Inventory};
use sqlx::Row;
use uuid::Uuid;

/// Keeps an endpoint's inventory in place of the one before.
pub(super) async fn keep_inventory(
    tx: &mut TenantTx,
    endpoint: EndpointId,
    at: Timestamp,
    inventory: &Inventory,
) -> Result<(), sqlx::Error> {
    let text = serde_json::to_string(inventory).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query(
        "insert into endpoint_inventory as i (tenant_id, endpoint_id, reported_at, inventory)
         values ($1, $2, $3, $4::text::json)
         on conflict (tenant_id, endpoint_id) do update
           set reported_at = excluded.reported_at, inventory = excluded.inventory
           where excluded.reported_at >= i.reported_at",
    )
    .bind(tx.tenant().uuid())
    .bind(endpoint.uuid())
    .bind(at.to_datetime())
    .bind(text)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

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
