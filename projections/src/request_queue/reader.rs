//! Queries. All show the live build, and one tenant's rows.

use std::collections::HashMap;

use eventstore::TenantTx;
use formats::{EndpointId, PersonId, PolicyId, RequestId, Timestamp, UserId};
use model::request::{Flag, Status};
use policy_engine::ActionType;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::row::{Counts, LiveRequest, QueuedRequest, decision, request};
use crate::{
    Page, Paged, ReadError,
    columns::{Columns, moment_or_null, number, small, uuids},
    terms::Search,
};

/// Which requests are wanted; everything that is given has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In one of these states; empty for any.
    pub statuses: Vec<Status>,
    /// Of one of these kinds; empty for any.
    pub action_types: Vec<ActionType>,
    /// From this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Filed for this user.
    pub user: Option<UserId>,
    /// Filed by one of these people; empty for anyone.
    pub people: Vec<PersonId>,
    /// Because of this policy.
    pub policy: Option<PolicyId>,
    /// Of at least this risk.
    pub risk_from: Option<u32>,
    /// Filed at or after this moment.
    pub submitted_from: Option<Timestamp>,
    /// Filed before this moment.
    pub submitted_until: Option<Timestamp>,
    /// Open, and asked of this approver by now.
    pub routed_to: Option<Routed>,
    /// Only what this reader may see: their own, and what names them as an approver.
    pub seen_by: Option<Seer>,
    /// Words of path, command line, account, machine and justification; `set*` for a beginning.
    pub search: Option<String>,
}

/// Someone who may not read every request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seer {
    /// The user, whose own requests are seen.
    pub user: Option<UserId>,
    /// The people that this user is.
    pub people: Vec<PersonId>,
    /// The user's id and the ids of their teams, where they may decide at all; else empty.
    pub approver: Vec<Uuid>,
}

/// Someone who decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routed {
    /// The user's id and the ids of their teams.
    pub ids: Vec<Uuid>,
    /// The user: what they have decided waits for others.
    pub user: Option<UserId>,
    /// The people that this user is.
    pub people: Vec<PersonId>,
    /// Administrators and owners may decide whatever is routed to others.
    pub any: bool,
    /// The tenant lets people decide their own requests, whatever a request's rule says.
    pub own: bool,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// The last filed first.
    #[default]
    Newest,
    /// The first filed first.
    Oldest,
    /// The next deadline first.
    Deadline,
    /// The highest risk first, then the last filed.
    Risk,
}

/// A list in one direction. The texts differ in the sort key alone, so that each finds its index.
macro_rules! list {
    ($key:literal, $type:literal, $beyond:literal, $direction:literal) => {
        concat!(
            "select q.* from request_queue q
             where q.tenant_id = $1 and q.build = live_build('request_queue')
               and (cardinality($2::text[]) = 0 or q.status = any($2))
               and (cardinality($3::text[]) = 0 or q.action_type = any($3))
               and ($4::uuid is null or q.endpoint_id = $4)
               and ($5::uuid is null or q.user_id = $5)
               and (cardinality($6::uuid[]) = 0 or q.person_id = any($6))
               and ($7::uuid is null or $7 = any(q.policy_ids))
               and q.risk >= $8
               and ($9::timestamptz is null or q.submitted_at >= $9)
               and ($10::timestamptz is null or q.submitted_at < $10)
               and (not $11 or (
                 (q.status = 'escalated' and ($12 or q.primary_ids && $13::uuid[] or q.secondary_ids && $13)
                   or q.status = 'pending' and ($12 or q.primary_ids && $13))
                 and ($24 or (q.route->>'selfApproval')::boolean
                   or not (q.person_id = any($14::uuid[]) or coalesce(q.user_id = $25::uuid, false)))
                 and not exists (select from request_decision d
                   where d.tenant_id = $1 and d.build = q.build and d.request_id = q.request_id
                     and d.approver_id = $25)))
               and (cardinality($15::text[]) = 0 or q.request_id in (
                 select t.request_id from unnest($15, $16::text[]) with ordinality as w (least, greatest, n)
                   join request_term t on t.tenant_id = $1 and t.build = live_build('request_queue')
                     and t.term ~>=~ w.least and t.term ~<=~ w.greatest
                 group by t.request_id having count(distinct w.n) = cardinality($15)))
               and (not $20 or q.person_id = any($21::uuid[]) or q.user_id = $22::uuid
                 or q.primary_ids && $23::uuid[] or q.secondary_ids && $23)
               and ($17::text is null or (",
            $key,
            ", q.submitted_position) ",
            $beyond,
            " ($17::",
            $type,
            ", $18))
             order by ",
            $key,
            " ",
            $direction,
            ", q.submitted_position ",
            $direction,
            " limit $19"
        )
    };
}

/// A page of requests.
///
/// # Errors
/// [`ReadError`]
pub async fn list(
    tx: &mut TenantTx,
    filter: &Filter,
    sort: Sort,
    page: &Page,
) -> Result<Paged<QueuedRequest>, ReadError> {
    let sql = match (sort, page.backward) {
        (Sort::Newest, false) | (Sort::Oldest, true) => list!("q.submitted_position", "bigint", "<", "desc"),
        (Sort::Newest, true) | (Sort::Oldest, false) => list!("q.submitted_position", "bigint", ">", "asc"),
        (Sort::Deadline, false) => list!("q.deadline", "timestamptz", ">", "asc"),
        (Sort::Deadline, true) => list!("q.deadline", "timestamptz", "<", "desc"),
        (Sort::Risk, false) => list!("q.risk", "integer", "<", "desc"),
        (Sort::Risk, true) => list!("q.risk", "integer", ">", "asc"),
    };
    let key = |r: &QueuedRequest| {
        let first = match sort {
            Sort::Newest | Sort::Oldest => r.submitted_position.to_string(),
            Sort::Deadline => r.deadline.to_string(),
            Sort::Risk => r.risk.to_string(),
        };
        (first, r.submitted_position)
    };
    let (first, second) = checked(sort, page.key::<(String, u64)>()?)?;
    let search = Search::parse(filter.search.as_deref());
    let routed = filter.routed_to.clone().unwrap_or_default();
    let seer = filter.seen_by.clone().unwrap_or_default();
    tx.plan_with_values().await?;
    let rows = sqlx::query(sql)
        // Planned for the filters that are given: the text is the same with and without them.
        .persistent(false)
        .bind(tx.tenant().uuid())
        .bind(filter.statuses.iter().map(|s| s.as_str()).collect::<Vec<_>>())
        .bind(filter.action_types.iter().map(|t| t.as_str()).collect::<Vec<_>>())
        .bind(filter.endpoint.map(EndpointId::uuid))
        .bind(filter.user.map(UserId::uuid))
        .bind(uuids(&filter.people))
        .bind(filter.policy.map(PolicyId::uuid))
        .bind(small(filter.risk_from.unwrap_or(0)))
        .bind(moment_or_null(filter.submitted_from))
        .bind(moment_or_null(filter.submitted_until))
        .bind(filter.routed_to.is_some())
        .bind(routed.any)
        .bind(routed.ids)
        .bind(uuids(&routed.people))
        .bind(search.least)
        .bind(search.greatest)
        .bind(first)
        .bind(second)
        .bind(page.fetch())
        .bind(filter.seen_by.is_some())
        .bind(uuids(&seer.people))
        .bind(seer.user.map(UserId::uuid))
        .bind(seer.approver)
        .bind(routed.own)
        .bind(routed.user.map(UserId::uuid))
        .fetch_all(&mut **tx)
        .await?;
    let requests = all_with_decisions(tx, &rows).await?;
    page.cut(requests, key)
}

/// A cursor of another list must not reach the database, which would refuse the whole transaction.
fn checked(sort: Sort, key: Option<(String, u64)>) -> Result<(Option<String>, Option<i64>), ReadError> {
    let Some((first, second)) = key else {
        return Ok((None, None));
    };
    let fits = match sort {
        Sort::Newest | Sort::Oldest => first.parse::<i64>().is_ok(),
        Sort::Deadline => first.parse::<Timestamp>().is_ok(),
        Sort::Risk => first.parse::<i32>().is_ok(),
    };
    if fits {
        Ok((Some(first), Some(number(second))))
    } else {
        Err(ReadError::Cursor)
    }
}

/// A request.
///
/// # Errors
/// [`ReadError`]
pub async fn find(tx: &mut TenantTx, id: RequestId) -> Result<Option<QueuedRequest>, ReadError> {
    Ok(find_many(tx, &[id]).await?.pop())
}

/// Those of these requests that exist, in the order they were filed; at most 200.
///
/// # Errors
/// [`ReadError`]
pub async fn find_many(tx: &mut TenantTx, ids: &[RequestId]) -> Result<Vec<QueuedRequest>, ReadError> {
    let ids = &ids[..ids.len().min(200)];
    // Each by its key, whatever the planner thinks of a young table; sorted here.
    let rows = sqlx::query(
        "select r.*, exists (select from request_decision d
             where d.tenant_id = $1 and d.build = b.build and d.request_id = r.request_id) as decided
         from (select live_build('request_queue') as build offset 0) b
           cross join unnest($2::uuid[]) w (id)
           cross join lateral (select q.* from request_queue q
             where q.tenant_id = $1 and q.build = b.build and q.request_id = w.id offset 0) r",
    )
    .bind(tx.tenant().uuid())
    .bind(uuids(ids))
    .fetch_all(&mut **tx)
    .await?;
    let decided = rows
        .iter()
        .filter_map(|row| match row.try_get("decided") {
            Ok(true) => Some(row.id("request_id")),
            Ok(false) => None,
            Err(error) => Some(Err(error.into())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let requests = rows.iter().map(request).collect::<Result<Vec<_>, _>>()?;
    let mut requests = with_decisions(tx, requests, &decided).await?;
    requests.sort_by_key(|request| request.submitted_position);
    Ok(requests)
}

/// The open request about this action, by the HMAC of its digest.
///
/// # Errors
/// [`ReadError`]
pub async fn find_open_by_digest(tx: &mut TenantTx, digest_mac: &str) -> Result<Option<QueuedRequest>, ReadError> {
    let rows = sqlx::query(
        "select * from request_queue
         where tenant_id = $1 and build = live_build('request_queue') and digest_mac = $2
           and status in ('pending', 'escalated')
         order by submitted_position desc limit 1",
    )
    .bind(tx.tenant().uuid())
    .bind(digest_mac)
    .fetch_all(&mut **tx)
    .await?;
    Ok(all_with_decisions(tx, &rows).await?.pop())
}

/// The request about this action that is open or whose grant is active, the newest first.
///
/// # Errors
/// [`ReadError`]
pub async fn find_live_by_digest(tx: &mut TenantTx, digest_mac: &str) -> Result<Option<QueuedRequest>, ReadError> {
    let rows = sqlx::query(
        "select * from request_queue
         where tenant_id = $1 and build = live_build('request_queue') and digest_mac = $2
           and (status in ('pending', 'escalated') or grant_status = 'active')
         order by submitted_position desc limit 1",
    )
    .bind(tx.tenant().uuid())
    .bind(digest_mac)
    .fetch_all(&mut **tx)
    .await?;
    Ok(all_with_decisions(tx, &rows).await?.pop())
}

/// The open requests and active grants of these people.
///
/// # Errors
/// [`ReadError`]
pub async fn live_of_people(tx: &mut TenantTx, people: &[PersonId]) -> Result<Vec<LiveRequest>, ReadError> {
    let rows = sqlx::query(
        "select request_id, status in ('pending', 'escalated') as open from request_queue
         where tenant_id = $1 and build = live_build('request_queue') and person_id = any($2)
           and (status in ('pending', 'escalated') or grant_status = 'active')
         order by submitted_position",
    )
    .bind(tx.tenant().uuid())
    .bind(uuids(people))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(live).collect()
}

/// The open requests and active grants of an endpoint.
///
/// # Errors
/// [`ReadError`]
pub async fn live_of_endpoint(tx: &mut TenantTx, endpoint: EndpointId) -> Result<Vec<LiveRequest>, ReadError> {
    let rows = sqlx::query(
        "select request_id, status in ('pending', 'escalated') as open from request_queue
         where tenant_id = $1 and build = live_build('request_queue') and endpoint_id = $2
           and (status in ('pending', 'escalated') or grant_status = 'active')
         order by submitted_position",
    )
    .bind(tx.tenant().uuid())
    .bind(endpoint.uuid())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(live).collect()
}

fn live(row: &PgRow) -> Result<LiveRequest, ReadError> {
    Ok(LiveRequest {
        id: row.id("request_id")?,
        open: row.try_get("open")?,
    })
}

/// How many requests are open and how many grants active.
///
/// # Errors
/// [`ReadError`]
pub async fn counts(tx: &mut TenantTx) -> Result<Counts, ReadError> {
    let row = sqlx::query(
        "select count(*) filter (where q.status = 'pending') as pending,
           count(*) filter (where q.status = 'escalated') as escalated,
           (select count(*) from request_queue g
            where g.tenant_id = $1 and g.build = live_build('request_queue') and g.grant_status = 'active')
             as active_grants
         from request_queue q
         where q.tenant_id = $1 and q.build = live_build('request_queue') and q.status in ('pending', 'escalated')",
    )
    .bind(tx.tenant().uuid())
    .fetch_one(&mut **tx)
    .await?;
    Ok(Counts {
        pending: row.count("pending")?,
        escalated: row.count("escalated")?,
        active_grants: row.count("active_grants")?,
    })
}

/// The requests of these rows, with what approvers said.
async fn all_with_decisions(tx: &mut TenantTx, rows: &[PgRow]) -> Result<Vec<QueuedRequest>, ReadError> {
    let requests = rows.iter().map(request).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<_> = requests.iter().map(|r| r.id).collect();
    with_decisions(tx, requests, &ids).await
}

/// Adds what approvers said of the named requests, in one more statement however many there are.
async fn with_decisions(
    tx: &mut TenantTx,
    mut requests: Vec<QueuedRequest>,
    decided: &[RequestId],
) -> Result<Vec<QueuedRequest>, ReadError> {
    if decided.is_empty() {
        return Ok(requests);
    }
    let rows = sqlx::query(
        "select r.* from (select live_build('request_queue') as build offset 0) b
           cross join unnest($2::uuid[]) w (id)
           cross join lateral (select d.* from request_decision d
             where d.tenant_id = $1 and d.build = b.build and d.request_id = w.id offset 0) r
         order by r.position",
    )
    .bind(tx.tenant().uuid())
    .bind(uuids(decided))
    .fetch_all(&mut **tx)
    .await?;
    let mut decisions: HashMap<RequestId, Vec<_>> = HashMap::new();
    for row in &rows {
        decisions.entry(row.id("request_id")?).or_default().push(decision(row)?);
    }
    for request in &mut requests {
        request.decisions = decisions.remove(&request.id).unwrap_or_default();
        if request.decisions.iter().any(|d| d.self_approval) && !request.flags.contains(&Flag::SelfApproval) {
            request.flags.push(Flag::SelfApproval);
        }
    }
    Ok(requests)
}
