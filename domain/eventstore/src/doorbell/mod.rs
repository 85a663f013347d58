//! The doorbell: a wake-up beside the log, never a part of it.
//!
//! It rings after a commit and says which tenant's log has grown. A ring may come late, twice or not at all: whoever
//! listens reads from its own cursor, and sweeps now and then ([`crate::Store::tenants_with_news`]). So a lost ring
//! costs latency only (`docs/eventstore.md`, rule 6).

mod in_process;
mod postgres;

use std::fmt;

use formats::TenantId;
use tokio::sync::broadcast;

pub use in_process::InProcess;
pub use postgres::PostgresDoorbell;

/// Rings that are kept for a listener that is behind; after more it is told to look everywhere.
pub(crate) const KEPT: usize = 4_096;

/// What rings when a tenant's log has grown.
pub trait Doorbell: Send + Sync + fmt::Debug {
    /// Says that a tenant has news. Returns at once and cannot fail.
    fn ring(&self, tenant: TenantId);

    /// Listens from now on.
    fn subscribe(&self) -> Subscription;
}

/// What a listener hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// This tenant's log has grown.
    Tenant(TenantId),
    /// Rings were missed: any log may have grown.
    Anywhere,
}

/// A listener.
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<News>);

impl Subscription {
    pub(crate) const fn new(receiver: broadcast::Receiver<News>) -> Self {
        Self(receiver)
    }

    /// Waits for the next ring; none once the doorbell is gone.
    pub async fn next(&mut self) -> Option<News> {
        match self.0.recv().await {
            Ok(news) => Some(news),
            Err(broadcast::error::RecvError::Lagged(_)) => {
                // What is left in the queue is covered by looking everywhere.
                self.forget();
                Some(News::Anywhere)
            }
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// Forgets the rings so far: for a listener that is about to look everywhere.
    pub fn forget(&mut self) {
        self.0 = self.0.resubscribe();
    }

    /// Waits until this tenant may have news; false once the doorbell is gone.
    pub async fn next_of(&mut self, tenant: TenantId) -> bool {
        while let Some(news) = self.next().await {
            if news == News::Anywhere || news == News::Tenant(tenant) {
                return true;
            }
        }
        false
    }
}
