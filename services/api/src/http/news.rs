//! Wakes whoever waits for a tenant's read models to move. Nobody holds a database connection while waiting.
//!
//! One listener hears the doorbell for the whole process; one task per tenant that anybody waits for follows its head
//! until the read models have caught up. Then it wakes whoever waits for the tenant, and of those who wait for a single
//! stream the ones whose stream is among the new events: an open poll costs nothing while others' requests move. A ring
//! may be lost: the head is looked at every five seconds besides.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use commands::App;
use eventstore::News;
use formats::TenantId;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a lost ring may go unnoticed.
const SWEEP: Duration = Duration::from_secs(5);
/// How far apart two looks at one tenant's read models are at least, however often it rings.
const CALM: Duration = Duration::from_millis(25);
/// So many new events are gone over for the streams they belong to; with more, everybody is woken.
const GONE_OVER: u32 = 5_000;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct TenantNews(Arc<Inner>);

struct Inner {
    app: App,
    shutdown: CancellationToken,
    tenants: Mutex<HashMap<TenantId, Followed>>,
}

struct Followed {
    position: watch::Sender<u64>,
    streams: HashMap<Uuid, watch::Sender<u64>>,
    rang: Arc<Notify>,
}

impl Followed {
    /// Whether anybody waits. Streams that nobody waits for are forgotten.
    fn awaited(&mut self) -> bool {
        self.streams.retain(|_, stream| stream.receiver_count() > 0);
        self.position.receiver_count() > 0 || !self.streams.is_empty()
    }
}

impl TenantNews {
    /// Listens to the doorbell until `shutdown`.
    #[must_use]
    pub fn listen(app: App, shutdown: CancellationToken) -> Self {
        let mut subscription = app.store.subscribe();
        let news = Self(Arc::new(Inner {
            app,
            shutdown: shutdown.clone(),
            tenants: Mutex::default(),
        }));
        let inner = Arc::downgrade(&news.0);
        tokio::spawn(async move {
            loop {
                let heard = tokio::select! {
                    () = shutdown.cancelled() => return,
                    heard = subscription.next() => heard,
                };
                let (Some(heard), Some(inner)) = (heard, inner.upgrade()) else {
                    return;
                };
                inner.ring(heard);
            }
        });
        news
    }

    /// A receiver that changes whenever this tenant's read models have moved. Its value is the position they have
    /// reached at least; 0 before the first look.
    #[must_use]
    pub fn watch(&self, tenant: TenantId) -> watch::Receiver<u64> {
        self.followed(tenant, |followed| followed.position.subscribe())
    }

    /// A receiver that changes whenever the read models show something new of this stream; now and then also where they
    /// don't. What is read after this call is not older than what the receiver does not tell any more.
    #[must_use]
    pub fn watch_stream(&self, tenant: TenantId, stream: Uuid) -> watch::Receiver<u64> {
        self.followed(tenant, |followed| {
            followed.streams.entry(stream).or_default().subscribe()
        })
    }

    fn followed<T>(&self, tenant: TenantId, then: impl FnOnce(&mut Followed) -> T) -> T {
        let mut tenants = self.0.lock();
        if let Some(followed) = tenants.get_mut(&tenant) {
            return then(followed);
        }
        let mut followed = Followed {
            position: watch::Sender::new(0),
            streams: HashMap::new(),
            rang: Arc::new(Notify::new()),
        };
        let (position, rang) = (followed.position.clone(), Arc::clone(&followed.rang));
        let wanted = then(&mut followed);
        tenants.insert(tenant, followed);
        drop(tenants);
        tokio::spawn(follow(Arc::clone(&self.0), tenant, position, rang));
        wanted
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, Followed>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, heard: News) {
        let tenants = self.lock();
        match heard {
            News::Tenant(tenant) => {
                if let Some(followed) = tenants.get(&tenant) {
                    followed.rang.notify_one();
                }
            }
            News::Anywhere => tenants.values().for_each(|followed| followed.rang.notify_one()),
        }
    }

    /// Forgets a tenant that nobody waits for.
    fn forget(&self, tenant: TenantId) -> bool {
        let mut tenants = self.lock();
        let idle = tenants.get_mut(&tenant).is_none_or(|followed| !followed.awaited());
        if idle {
            tenants.remove(&tenant);
        }
        idle
    }
}

impl Inner {
    /// Wakes whoever waits for one of the streams that these events belong to.
    async fn tell_streams(&self, tenant: TenantId, after: u64, head: u64) {
        // Where nothing was known yet, or too much happened, anything may have changed.
        let changed = if after == 0 || head - after > u64::from(GONE_OVER) {
            None
        } else {
            match self.app.store.streams_changed(tenant, after, head).await {
                Ok(streams) => Some(streams),
                Err(error) => {
                    tracing::debug!(%error, %tenant, "which streams have news is not to be seen for now");
                    None
                }
            }
        };
        if let Some(followed) = self.lock().get(&tenant) {
            match changed {
                None => followed
                    .streams
                    .values()
                    .for_each(|stream| stream.send_modify(|at| *at = head)),
                Some(streams) => streams
                    .iter()
                    .filter_map(|stream| followed.streams.get(stream))
                    .for_each(|stream| stream.send_modify(|at| *at = head)),
            }
        }
    }
}

async fn follow(inner: Arc<Inner>, tenant: TenantId, position: watch::Sender<u64>, rang: Arc<Notify>) {
    while !inner.forget(tenant) {
        let mut lags = false;
        match inner.app.store.head(tenant).await {
            Ok(head) if head > *position.borrow() => {
                // Where the read models lag, the waiters look all the same, and again a little later.
                lags = !inner.app.settled(tenant, head).await;
                let reached = *position.borrow();
                inner.tell_streams(tenant, reached, head).await;
                position.send_modify(|at| *at = if lags { reached } else { head });
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, %tenant, "the head is not to be seen for now"),
        }
        tokio::select! {
            () = inner.shutdown.cancelled() => return,
            () = tokio::time::sleep(CALM) => {}
        }
        if lags {
            continue;
        }
        tokio::select! {
            () = inner.shutdown.cancelled() => return,
            () = rang.notified() => {}
            () = tokio::time::sleep(SWEEP) => {}
        }
    }
}

impl std::fmt::Debug for TenantNews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TenantNews")
    }
}
