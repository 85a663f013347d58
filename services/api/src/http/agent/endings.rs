//! Which grants have ended, told to the agents that hold them: read once per tenant and process, however many wait.
//!
//! One task per tenant that anybody waits in follows the tenant's news and reads, of the events since, those that end a
//! grant. So ten thousand idle polls cost no query, and an event costs one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use commands::Outcome;
use eventstore::TenantTx;
use formats::{RequestId, TenantId};
use tokio::sync::{broadcast, watch};

use super::store;
use crate::ApiState;

/// How many tellings a poll may be behind; one that missed some looks at all its grants.
const KEPT: usize = 256;
/// How long a tenant is remembered after its last poll, so that the next one finds it.
const REMEMBERED: Duration = Duration::from_secs(120);
/// How long after a failed look the next one follows, if nothing rings before.
const AGAIN: Duration = Duration::from_secs(1);

type Told = Arc<[RequestId]>;

/// The tenants whose agents wait.
#[derive(Debug, Default)]
pub struct Endings(Mutex<HashMap<TenantId, broadcast::Sender<Told>>>);

/// What one poll hears.
pub(super) struct Ending(broadcast::Receiver<Told>);

impl Endings {
    /// Hears of every grant of this tenant that ends from now on.
    ///
    /// # Errors
    /// Where the log's length can't be read.
    pub(super) async fn listen(state: &ApiState, tenant: TenantId) -> Outcome<Ending> {
        if let Some(known) = state.endings.lock().get(&tenant) {
            return Ok(Ending(known.subscribe()));
        }
        // Watched before it is read, so that nothing falls between the two.
        let news = state.news.watch(tenant);
        let head = state.app.store.head(tenant).await?;
        let mut tenants = state.endings.lock();
        if let Some(known) = tenants.get(&tenant) {
            return Ok(Ending(known.subscribe()));
        }
        let (sender, receiver) = broadcast::channel(KEPT);
        tenants.insert(tenant, sender.clone());
        drop(tenants);
        tokio::spawn(follow(state.clone(), tenant, sender, news, head));
        Ok(Ending(receiver))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, broadcast::Sender<Told>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a tenant in which nobody waits.
    fn forget(&self, tenant: TenantId) -> bool {
        let mut tenants = self.lock();
        let idle = tenants.get(&tenant).is_none_or(|sender| sender.receiver_count() == 0);
        if idle {
            tenants.remove(&tenant);
        }
        idle
    }
}

impl Ending {
    /// Waits until one of these may have ended.
    pub(super) async fn of_any(&mut self, held: &[RequestId]) {
        loop {
            match self.0.recv().await {
                Ok(ended) if ended.iter().any(|id| held.contains(id)) => return,
                Ok(_) => {}
                // Some were missed, or the follower ended with its process.
                Err(_) => return,
            }
        }
    }
}

async fn follow(
    state: ApiState,
    tenant: TenantId,
    sender: broadcast::Sender<Told>,
    mut news: watch::Receiver<u64>,
    mut seen: u64,
) {
    let mut failed = false;
    loop {
        let patience = if failed { AGAIN } else { REMEMBERED };
        let rang = tokio::select! {
            () = state.shutdown.cancelled() => return,
            rang = tokio::time::timeout(patience, news.changed()) => rang,
        };
        match rang {
            Ok(Ok(())) => {}
            // The tenant's follower ended: it had no waiter for a moment.
            Ok(Err(_)) => news = state.news.watch(tenant),
            Err(_) if failed => {}
            Err(_) if state.endings.forget(tenant) => return,
            Err(_) => continue,
        }
        let looked = async {
            let mut tx = TenantTx::begin_read(state.app.pool(), tenant).await?;
            store::ended_grants(&mut tx, seen).await
        };
        match looked.await {
            Ok((head, ended)) => {
                (seen, failed) = (head, false);
                if !ended.is_empty() {
                    // Without a receiver there is nobody to tell.
                    let _ = sender.send(ended.into());
                }
            }
            Err(error) => {
                failed = true;
                tracing::warn!(%error, %tenant, "ended grants are not to be read for now");
            }
        }
    }
}
