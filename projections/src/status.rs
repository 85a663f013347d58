//! How the read models are: for `projections status`, `/readyz` and the console. And the second try of what is parked.

use formats::{TenantId, Timestamp};
use sqlx::{PgPool, Row};

use crate::{
    ReadError,
    columns::{Columns, number},
};

/// Parked projections that are listed one by one.
const LISTED: u64 = 1_000;

/// How a projection is, over all tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectionStatus {
    /// Its name.
    pub name: String,
    /// The reducer's version in this program.
    pub version: u32,
    /// Tenants that have it.
    pub tenants: u64,
    /// Tenants whose log goes further than it has read, or that it has not begun.
    pub behind: u64,
    /// The most events that a tenant's rows lack.
    pub lag: u64,
    /// Builds under way.
    pub building: u64,
    /// Where it is parked.
    pub parked: Vec<Parked>,
}

/// A projection of a tenant that stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Whose.
    pub tenant: TenantId,
    /// Which build.
    pub build: i32,
    /// Whether readers see it.
    pub live: bool,
    /// The position of the event that it cannot take in.
    pub position: u64,
    /// Why.
    pub error: String,
    /// Since when.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

/// How every projection of the product is, in the order of [`crate::all`].
///
/// # Errors
/// Where the database fails.
pub async fn status(pool: &PgPool) -> Result<Vec<ProjectionStatus>, ReadError> {
    let all = crate::all();
    let names: Vec<&str> = all.iter().map(|p| p.name()).collect();
    let rows = sqlx::query(
        "select r.projection, count(c.tenant_id) filter (where c.state = 'live') as tenants,
           (select count(*) from tenant_head h where h.position > 0 and not exists (
              select from projection_checkpoint l where l.tenant_id = h.tenant_id and l.projection = r.projection
                and l.state = 'live' and l.position >= h.position)) as behind,
           coalesce(max(h.position - c.position) filter (where c.state = 'live'), 0) as lag,
           count(*) filter (where c.state = 'building') as building
         from unnest($1::text[]) with ordinality as r (projection, n)
           left join projection_checkpoint c on c.projection = r.projection
           left join tenant_head h on h.tenant_id = c.tenant_id
         group by r.projection, r.n order by r.n",
    )
    .bind(&names)
    .fetch_all(pool)
    .await?;
    let mut status = Vec::with_capacity(all.len());
    for (row, projection) in rows.iter().zip(&all) {
        status.push(ProjectionStatus {
            name: row.try_get("projection")?,
            version: projection.version(),
            tenants: row.count("tenants")?,
            behind: row.count("behind")?,
            lag: row.count("lag")?,
            building: row.count("building")?,
            parked: Vec::new(),
        });
    }
    let rows = sqlx::query(
        "select projection, tenant_id, build, state = 'live' as live, parked_position, error, parked_at, attempts
         from projection_checkpoint where parked_at is not null and state in ('live', 'building')
         order by parked_at, projection, tenant_id limit $1",
    )
    .bind(number(LISTED))
    .fetch_all(pool)
    .await?;
    for row in &rows {
        let name: &str = row.try_get("projection")?;
        let parked = Parked {
            tenant: row.id("tenant_id")?,
            build: row.try_get("build")?,
            live: row.try_get("live")?,
            position: row.count("parked_position")?,
            error: row.try_get("error")?,
            at: row.at("parked_at")?,
            attempts: row.small_count("attempts")?,
        };
        if let Some(status) = status.iter_mut().find(|s| s.name == name) {
            status.parked.push(parked);
        }
    }
    Ok(status)
}

/// Lets parked projections try again: one or all, of one tenant or of all. Returns how many. Whoever runs takes them up
/// with the next sweep.
///
/// # Errors
/// Where the database fails.
pub async fn retry(pool: &PgPool, projection: Option<&str>, tenant: Option<TenantId>) -> Result<u64, ReadError> {
    let freed = sqlx::query(
        "update projection_checkpoint set parked_at = null, parked_position = null, error = null
         where parked_at is not null and state in ('live', 'building')
           and ($1::text is null or projection = $1) and ($2::uuid is null or tenant_id = $2)",
    )
    .bind(projection)
    .bind(tenant.map(TenantId::uuid))
    .execute(pool)
    .await?
    .rows_affected();
    Ok(freed)
}
