//! Wakes whoever waits for a tenant's read models to move. Nobody holds a database connection while waiting.
//!
//! One listener hears the doorbell for the whole process; one task per tenant that anybody waits for follows its head
//! until the read models have caught up, and then wakes them all. A ring may be lost: the head is looked at every five
//! seconds besides.

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

/// How long a lost ring may go unnoticed.
const SWEEP: Duration = Duration::from_secs(5);
/// How far apart two looks at one tenant's read models are at least, however often it rings.
const CALM: Duration = Duration::from_millis(25);

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
    rang: Arc<Notify>,
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
        let mut tenants = self.0.lock();
        if let Some(followed) = tenants.get(&tenant) {
            return followed.position.subscribe();
        }
        let (position, receiver) = watch::channel(0);
        let rang = Arc::new(Notify::new());
        tenants.insert(
            tenant,
            Followed {
                position: position.clone(),
                rang: Arc::clone(&rang),
            },
        );
        drop(tenants);
        tokio::spawn(follow(Arc::clone(&self.0), tenant, position, rang));
        receiver
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
        let idle = tenants
            .get(&tenant)
            .is_none_or(|followed| followed.position.receiver_count() == 0);
        if idle {
            tenants.remove(&tenant);
        }
        idle
    }
}

async fn follow(inner: Arc<Inner>, tenant: TenantId, position: watch::Sender<u64>, rang: Arc<Notify>) {
    while !inner.forget(tenant) {
        let mut lags = false;
        match inner.app.store.head(tenant).await {
            Ok(head) if head > *position.borrow() => {
                // Where the read models lag, the waiters look all the same, and again a little later.
                lags = !inner.app.settled(tenant, head).await;
                position.send_modify(|reached| *reached = if lags { *reached } else { head });
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
