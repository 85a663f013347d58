//! What is on the machines, as their agents last said: programs, and accounts that are administrators. State: the server
//! writes it as it comes, and no rebuild touches it. What a
//! removed endpoint told counts no more.

use std::collections::{BTreeMap, BTreeSet};

use eventstore::TenantTx;
use formats::{BodyHash, DeploymentGroupId, EndpointId, Timestamp, agent_wire::Inventory};
use policy_engine::{CollectionKind, Os};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Page, Paged, ReadError,
    columns::{Columns, column, folded, moment, search_words, tenant, text_list, without_nul, words, written},
};

/// What endpoints report under one name: a program, an account that is an administrator, or a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryItem {
    /// The name.
    pub name: String,
    /// Who made the program.
    pub publisher: Option<String>,
    /// Of the program, or of the machine's operating system; at most [`InventoryItem::MOST`], as the two below.
    pub versions: Vec<String>,
    /// Where the program is.
    pub paths: Vec<String>,
    /// SHA-256 of the program's file, in hexadecimal digits.
    pub hashes: Vec<String>,
    /// On how many endpoints that are not removed.
    pub endpoints: u64,
}

impl InventoryItem {
    /// The most versions, paths and hashes that are told of one.
    pub const MOST: usize = 100;
}

/// Which items are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InventoryFilter {
    /// Found on an endpoint of this group.
    pub group: Option<DeploymentGroupId>,
    /// Found on an endpoint with one of these operating systems; empty means any.
    pub os: Vec<Os>,
    /// Each of these words begins a word of the name or of the publisher.
    pub search: Option<String>,
}

/// One thing on one machine, as it is stored.
struct Found<'a> {
    kind: CollectionKind,
    name: &'a str,
    publisher: &'a str,
    version: &'a str,
    path: &'a str,
    sha256: String,
}

impl<'a> Found<'a> {
    fn all(inventory: &'a Inventory) -> BTreeMap<Uuid, Self> {
        let programs = inventory.applications.iter().map(|program| Self {
            kind: CollectionKind::Applications,
            name: &program.name,
            publisher: program.publisher.as_deref().unwrap_or_default(),
            version: &program.version,
            path: program.path.as_deref().unwrap_or_default(),
            sha256: program.sha256.as_deref().unwrap_or_default().to_ascii_lowercase(),
        });
        let accounts = inventory.administrators.iter().map(|account| Self {
            kind: CollectionKind::Users,
            name: account,
            publisher: "",
            version: "",
            path: "",
            sha256: String::new(),
        });
        programs.chain(accounts).map(|found| (found.id(), found)).collect()
    }

    /// The same for the same thing, on whichever machine.
    fn id(&self) -> Uuid {
        let told = (
            self.kind,
            self.name,
            self.publisher,
            self.version,
            self.path,
            &self.sha256,
        );
        let text = serde_json::to_vec(&told).unwrap_or_default();
        let mut id = [0; 16];
        id.copy_from_slice(&BodyHash::of(&text).as_bytes()[..16]);
        Uuid::from_bytes(id)
    }
}

/// Stores what an agent found on its machine, in place of its last report; one that was overtaken changes nothing.
///
/// # Errors
/// Where the database refuses, or is away.
pub async fn record_inventory(
    tx: &mut TenantTx,
    endpoint: EndpointId,
    at: Timestamp,
    inventory: &Inventory,
) -> Result<(), sqlx::Error> {
    let newest = sqlx::query(
        "insert into endpoint_inventory as i (tenant_id, endpoint_id, reported_at, os_version)
         values ($1, $2, $3, $4)
         on conflict (tenant_id, endpoint_id) do update
           set reported_at = excluded.reported_at, os_version = excluded.os_version
           where excluded.reported_at >= i.reported_at",
    )
    .bind(tenant(tx))
    .bind(endpoint.uuid())
    .bind(moment(at))
    .bind(without_nul(&inventory.os_version))
    .execute(&mut **tx)
    .await?;
    if newest.rows_affected() == 0 {
        return Ok(());
    }
    let before: Vec<Uuid> =
        sqlx::query_scalar("select item_id from endpoint_item where tenant_id = $1 and endpoint_id = $2")
            .bind(tenant(tx))
            .bind(endpoint.uuid())
            .fetch_all(&mut **tx)
            .await?;
    let before: BTreeSet<Uuid> = before.into_iter().collect();
    let mut found = Found::all(inventory);
    let gone: Vec<Uuid> = before.iter().filter(|id| !found.contains_key(id)).copied().collect();
    found.retain(|id, _| !before.contains(id));
    if found.is_empty() && gone.is_empty() {
        return Ok(());
    }
    // One report of a tenant after the other, so that none drops what another is about to refer to.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('inventory ' || $1::uuid, 0))")
        .bind(tenant(tx))
        .execute(&mut **tx)
        .await?;
    add(tx, endpoint, &found).await?;
    drop_items(tx, endpoint, &gone).await
}

async fn add(tx: &mut TenantTx, endpoint: EndpointId, found: &BTreeMap<Uuid, Found<'_>>) -> Result<(), sqlx::Error> {
    let rows: Vec<_> = found.iter().collect();
    sqlx::query(
        "insert into inventory_item (tenant_id, item_id, kind, name, name_folded, words, publisher, version, path, sha256)
         select $1, r.item_id, r.kind, r.name, r.name_folded, r.words::text[], r.publisher, r.version, r.path, r.sha256
         from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
             $10::text[])
           as r (item_id, kind, name, name_folded, words, publisher, version, path, sha256)
         on conflict (tenant_id, item_id) do nothing",
    )
    .bind(tenant(tx))
    .bind(column(&rows, |(id, _)| **id))
    .bind(column(&rows, |(_, f)| f.kind.as_str()))
    .bind(column(&rows, |(_, f)| without_nul(f.name)))
    .bind(column(&rows, |(_, f)| folded(f.name)))
    .bind(column(&rows, |(_, f)| {
        text_list(words(&format!("{} {}", f.name, f.publisher)))
    }))
    .bind(column(&rows, |(_, f)| without_nul(f.publisher)))
    .bind(column(&rows, |(_, f)| without_nul(f.version)))
    .bind(column(&rows, |(_, f)| without_nul(f.path)))
    .bind(column(&rows, |(_, f)| f.sha256.as_str()))
    .execute(&mut **tx)
    .await?;
    sqlx::query("insert into endpoint_item (tenant_id, item_id, endpoint_id) select $1, unnest($2::uuid[]), $3")
        .bind(tenant(tx))
        .bind(column(&rows, |(id, _)| **id))
        .bind(endpoint.uuid())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Takes these from an endpoint, and forgets what no endpoint has any more.
async fn drop_items(tx: &mut TenantTx, endpoint: EndpointId, gone: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query("delete from endpoint_item where tenant_id = $1 and endpoint_id = $2 and item_id = any($3)")
        .bind(tenant(tx))
        .bind(endpoint.uuid())
        .bind(gone)
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "delete from inventory_item i where i.tenant_id = $1 and i.item_id = any($2)
           and not exists (select from endpoint_item h where h.tenant_id = $1 and h.item_id = i.item_id)",
    )
    .bind(tenant(tx))
    .bind(gone)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A page of what endpoints report, by name and publisher: of machines those that are registered, of users those that are
/// administrators of a machine, of applications the programs.
///
/// # Errors
/// [`ReadError`]
pub async fn inventory(
    tx: &mut TenantTx,
    kind: CollectionKind,
    filter: &InventoryFilter,
    page: &Page,
) -> Result<Paged<InventoryItem>, ReadError> {
    let from: Option<(String, String)> = page.key()?;
    let (from_name, from_publisher) = from.unzip();
    let query = match kind {
        CollectionKind::Machines => sqlx::query(
            "select min(e.name) as name, '' as publisher, count(*) as endpoints,
                (array_agg(distinct coalesce(nullif(v.os_version, ''), e.os_version)))[:100] as versions,
                null::text[] as paths, null::text[] as hashes
              from fleet_endpoint e
                left join endpoint_inventory v on v.tenant_id = e.tenant_id and v.endpoint_id = e.endpoint_id
              where e.tenant_id = $1 and $2::text is not null and e.build = live_build('fleet') and e.removed_at is null
                and ($3::uuid is null or e.group_id = $3) and (cardinality($4::text[]) = 0 or e.os = any($4))
                and (select coalesce(bool_and(exists (select from unnest(e.words) w where starts_with(w, q))), true)
                     from unnest($5::text[]) q)
                and ($6::text is null or case when $8 then (e.name_folded, '') < ($6, $7::text)
                     else (e.name_folded, '') > ($6, $7) end)
              group by e.name_folded
              order by case when $8 then e.name_folded end desc, e.name_folded
              limit $9",
        ),
        // First which names make the page, in the index's order; then who has what of those alone.
        CollectionKind::Users | CollectionKind::Applications => sqlx::query(
            "with shown as (
                select i.name_folded, i.publisher from inventory_item i
                where i.tenant_id = $1 and i.kind = $2
                  and (select coalesce(bool_and(exists (select from unnest(i.words) w where starts_with(w, q))), true)
                       from unnest($5::text[]) q)
                  and ($6::text is null or case when $8 then (i.name_folded, i.publisher) < ($6, $7::text)
                       else (i.name_folded, i.publisher) > ($6, $7) end)
                  and exists (select from endpoint_item h
                      join fleet_endpoint e on e.tenant_id = h.tenant_id and e.build = live_build('fleet')
                        and e.endpoint_id = h.endpoint_id
                    where h.tenant_id = i.tenant_id and h.item_id = i.item_id and e.removed_at is null
                      and ($3::uuid is null or e.group_id = $3) and (cardinality($4::text[]) = 0 or e.os = any($4)))
                group by i.name_folded, i.publisher
                order by case when $8 then i.name_folded end desc, case when $8 then i.publisher end desc, i.name_folded,
                  i.publisher
                limit $9
              )
              select min(i.name) as name, i.publisher, count(distinct h.endpoint_id) as endpoints,
                (array_agg(distinct i.version) filter (where i.version <> ''))[:100] as versions,
                (array_agg(distinct i.path) filter (where i.path <> ''))[:100] as paths,
                (array_agg(distinct i.sha256) filter (where i.sha256 <> ''))[:100] as hashes
              from shown s
                join inventory_item i on i.tenant_id = $1 and i.kind = $2 and i.name_folded = s.name_folded
                  and i.publisher = s.publisher
                join endpoint_item h on h.tenant_id = i.tenant_id and h.item_id = i.item_id
                join fleet_endpoint e on e.tenant_id = h.tenant_id and e.build = live_build('fleet')
                  and e.endpoint_id = h.endpoint_id
              where e.removed_at is null
                and ($3 is null or e.group_id = $3) and (cardinality($4) = 0 or e.os = any($4))
              group by i.name_folded, i.publisher
              order by case when $8 then i.name_folded end desc, case when $8 then i.publisher end desc, i.name_folded,
                i.publisher",
        ),
    };
    tx.plan_with_values().await?;
    let rows = query
        .persistent(false)
        .bind(tenant(tx))
        .bind(kind.as_str())
        .bind(filter.group.map(DeploymentGroupId::uuid))
        .bind(written(&filter.os)?)
        .bind(search_words(filter.search.as_deref()))
        .bind(from_name)
        .bind(from_publisher)
        .bind(page.backward)
        .bind(page.fetch())
        .fetch_all(&mut **tx)
        .await?;
    let found = rows.iter().map(item).collect::<Result<_, _>>()?;
    page.cut(found, |item: &InventoryItem| {
        (folded(&item.name), item.publisher.clone().unwrap_or_default())
    })
}

fn item(row: &PgRow) -> Result<InventoryItem, ReadError> {
    let list = |name: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<Vec<String>>, _>(name)?.unwrap_or_default());
    let publisher: String = row.try_get("publisher")?;
    Ok(InventoryItem {
        name: row.try_get("name")?,
        publisher: Some(publisher).filter(|publisher| !publisher.is_empty()),
        versions: list("versions")?,
        paths: list("paths")?,
        hashes: list("hashes")?,
        endpoints: row.count("endpoints")?,
    })
}
