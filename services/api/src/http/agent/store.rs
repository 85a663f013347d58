//! State that agents write directly: the last inventory of each.

use eventstore::TenantTx;
use formats::{EndpointId, Timestamp, agent_wire::Inventory};

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
