//! Subscriptions: what the log tells, read as whoever subscribed, at that moment.
//!
//! The doorbell wakes; nothing but the log's positions goes around. Before each event, and every five seconds, it is
//! asked again who the viewer is: a removed role, a disabled user or a revoked key ends the stream.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_graphql::{Context, ID, SimpleObject, Subscription};
use commands::{Act, Outcome, Refusal};
use formats::{DeploymentGroupId, EndpointId, RequestId};
use futures_util::{Stream, stream};
use projections::{
    Page,
    audit_trail::{AuditEntry, Filter},
    fleet::{EndpointFilter, EndpointState, EndpointView},
};
use tokio::sync::watch;

use super::{
    audit::{AuditEvent, AuditFilter, between},
    context::{Ask, Call, Frame},
    endpoints::Endpoint,
    error::{Answer, Fault},
    ids::{shown, typed},
    requests::Request,
    scalars::Position,
};

/// How often it is asked again who the viewer is.
pub(crate) const RECHECK: Duration = Duration::from_secs(5);
/// How many endpoints are looked at for what no event tells: that one was seen, or not for a while.
const WATCHED: usize = 1_000;

/// The events of a tenant from now on.
struct Feed {
    call: Arc<Call>,
    news: watch::Receiver<u64>,
    filter: Filter,
    seen: u64,
    more: bool,
}

impl Feed {
    async fn begin(ctx: &Context<'_>, filter: Filter) -> Outcome<Self> {
        let call = Arc::clone(ctx.call());
        let tenant = call.frame().caller.tenant;
        let mut news = call.state().news.watch(tenant);
        news.mark_unchanged();
        let seen = call.state().app.store.head(tenant).await?;
        Ok(Self {
            call,
            news,
            filter,
            seen,
            more: false,
        })
    }

    /// Waits for news, at most until the next recheck. What came meanwhile may be nothing.
    async fn next(&mut self) -> Answer<(Arc<Frame>, Vec<AuditEntry>)> {
        if !self.more {
            // An error means that the server stops, which ends the connection.
            let _ = tokio::time::timeout(RECHECK, self.news.changed()).await;
        }
        let frame = self.call.renew().await?;
        let reached = *self.news.borrow_and_update();
        if reached <= self.seen {
            return Ok((frame, Vec::new()));
        }
        let (entries, more) = between(&frame, &self.filter, self.seen + 1, reached).await?;
        self.more = more;
        self.seen = match entries.last() {
            Some(last) if more => last.position,
            _ => reached,
        };
        Ok((frame, entries))
    }
}

/// The items that `next` finds, until it fails.
fn items<S, T, F>(state: S, next: F) -> impl Stream<Item = Answer<T>>
where
    S: Send + 'static,
    T: Send + 'static,
    F: AsyncNext<S, T>,
{
    stream::unfold(Some((state, VecDeque::new(), next)), |held| async move {
        let (mut state, mut ready, mut next) = held?;
        loop {
            if let Some(item) = ready.pop_front() {
                return Some((Ok(item), Some((state, ready, next))));
            }
            match next.next(&mut state).await {
                Ok(found) => ready.extend(found),
                Err(fault) => return Some((Err(fault), None)),
            }
        }
    })
}

/// What finds the next items of a stream.
trait AsyncNext<S, T>: Send + 'static {
    fn next(&mut self, state: &mut S) -> impl Future<Output = Answer<Vec<T>>> + Send;
}

/// Requests that the viewer may see, as they change.
#[derive(Default)]
struct Queue {
    /// Those that were shown, so that one which is no longer seen is told once.
    shown: HashSet<RequestId>,
}

impl AsyncNext<Feed, RequestQueueChange> for Queue {
    async fn next(&mut self, feed: &mut Feed) -> Answer<Vec<RequestQueueChange>> {
        let (frame, entries) = feed.next().await?;
        frame.caller.demand(Act::ReadRequests)?;
        // Of several changes of one request, the last one shows them all.
        let mut last: HashMap<RequestId, u64> = HashMap::new();
        for entry in entries {
            last.insert(RequestId::from_uuid(entry.stream_id), entry.position);
        }
        let rows = frame.load().load_many(last.keys().copied()).await?;
        let mut changes = Vec::new();
        for (id, position) in last {
            let seen = match rows.get(&id) {
                Some(row) => frame.sees(row).await?.then(|| Arc::clone(row)),
                None => None,
            };
            let told = match &seen {
                Some(_) => {
                    self.shown.insert(id);
                    true
                }
                None => self.shown.remove(&id),
            };
            if told {
                let request = seen.map(Request);
                changes.push(RequestQueueChange {
                    position: Position(position),
                    request_id: shown(id),
                    request,
                });
            }
        }
        changes.sort_by_key(|change| change.position.0);
        Ok(changes)
    }
}

/// Events as they are appended.
struct Trail;

impl AsyncNext<Feed, AuditEvent> for Trail {
    async fn next(&mut self, feed: &mut Feed) -> Answer<Vec<AuditEvent>> {
        let (frame, entries) = feed.next().await?;
        frame.caller.demand(Act::ReadAudit)?;
        Ok(entries.into_iter().map(AuditEvent).collect())
    }
}

/// Endpoints as their state changes: by an event, or by being seen or not.
struct Fleet {
    group: Option<DeploymentGroupId>,
    states: HashMap<EndpointId, EndpointState>,
}

impl Fleet {
    async fn look(&self, frame: &Frame) -> Answer<Vec<EndpointView>> {
        let filter = EndpointFilter {
            group: self.group,
            seen_after: frame.now - EndpointFilter::LATELY,
            ..EndpointFilter::default()
        };
        let mut all = Vec::new();
        let mut page = Page::first(projections::page::LIMIT_MAX);
        loop {
            let mut tx = frame.tx().await?;
            let found = projections::fleet::endpoints(&mut tx, &filter, &page).await?;
            let next = found
                .edges
                .last()
                .filter(|_| found.more)
                .map(|edge| edge.cursor.clone());
            all.extend(found.nodes());
            match next {
                Some(cursor) if all.len() < WATCHED => page = Page::after(cursor, projections::page::LIMIT_MAX),
                _ => return Ok(all),
            }
        }
    }
}

impl AsyncNext<Feed, Endpoint> for Fleet {
    async fn next(&mut self, feed: &mut Feed) -> Answer<Vec<Endpoint>> {
        let (frame, entries) = feed.next().await?;
        frame.caller.demand(Act::ReadFleet)?;
        let seen_after = frame.now - EndpointFilter::LATELY;
        let mut changed: HashMap<EndpointId, Arc<EndpointView>> = HashMap::new();
        let named = entries.iter().map(|entry| EndpointId::from_uuid(entry.stream_id));
        for (id, row) in frame.load().load_many(named).await? {
            if self.group.is_none_or(|group| group == row.group) {
                changed.insert(id, row);
            }
        }
        for row in self.look(&frame).await? {
            if self.states.get(&row.id) != Some(&row.state(seen_after)) {
                changed.entry(row.id).or_insert_with(|| Arc::new(row));
            }
        }
        for (id, row) in &changed {
            self.states.insert(*id, row.state(seen_after));
        }
        Ok(changed.into_values().map(Endpoint).collect())
    }
}

#[derive(Debug, SimpleObject)]
pub(crate) struct RequestQueueChange {
    position: Position,
    request_id: ID,
    /// Null where the viewer may no longer see it.
    request: Option<Request>,
}

#[derive(Default)]
pub(crate) struct SubscriptionRoot;

#[Subscription(name = "Subscription")]
impl SubscriptionRoot {
    /// A request that the viewer may see was filed or changed.
    async fn request_queue_changed(
        &self,
        ctx: &Context<'_>,
    ) -> Result<impl Stream<Item = Result<RequestQueueChange, Fault>> + use<>, Fault> {
        ctx.frame_for(Act::ReadRequests)?;
        let filter = Filter {
            stream_types: vec!["request".to_owned()],
            ..Filter::default()
        };
        Ok(items(Feed::begin(ctx, filter).await?, Queue::default()))
    }

    async fn audit_event_appended(
        &self,
        ctx: &Context<'_>,
        filter: Option<AuditFilter>,
    ) -> Result<impl Stream<Item = Result<AuditEvent, Fault>> + use<>, Fault> {
        ctx.frame_for(Act::ReadAudit)?;
        let filter = filter.unwrap_or_default().read(None);
        let filter = filter.ok_or_else(|| Refusal::bad_input("filter", "nothing can match this filter"))?;
        Ok(items(Feed::begin(ctx, filter).await?, Trail))
    }

    /// An endpoint registered, was moved or removed, applied a snapshot, came or went. Of the first 1,000 endpoints,
    /// coming and going are told too.
    async fn endpoint_status_changed(
        &self,
        ctx: &Context<'_>,
        deployment_group_id: Option<ID>,
    ) -> Result<impl Stream<Item = Result<Endpoint, Fault>> + use<>, Fault> {
        let frame = ctx.frame_for(Act::ReadFleet)?;
        let group = match &deployment_group_id {
            Some(id) => {
                let group = typed(id).ok_or_else(|| Refusal::not_found("deployment group"))?;
                let known = frame.groups().await?.iter().any(|known| known.id == group);
                known
                    .then_some(())
                    .ok_or_else(|| Refusal::not_found("deployment group"))?;
                Some(group)
            }
            None => None,
        };
        let filter = Filter {
            stream_types: vec!["endpoint".to_owned()],
            ..Filter::default()
        };
        let mut fleet = Fleet {
            group,
            states: HashMap::new(),
        };
        let feed = Feed::begin(ctx, filter).await?;
        let seen_after = frame.now - EndpointFilter::LATELY;
        for row in fleet.look(&frame).await? {
            fleet.states.insert(row.id, row.state(seen_after));
        }
        Ok(items(feed, fleet))
    }
}
