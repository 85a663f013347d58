//! The doorbell of a single process.

use formats::TenantId;
use tokio::sync::broadcast;

use super::{Doorbell, KEPT, News, Subscription};

/// Rings within this process only.
#[derive(Debug, Clone)]
pub struct InProcess(broadcast::Sender<News>);

impl InProcess {
    /// A doorbell nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self(broadcast::channel(KEPT).0)
    }

    pub(super) fn tell(&self, news: News) {
        // An error means that nobody listens.
        let _ = self.0.send(news);
    }
}

impl Default for InProcess {
    fn default() -> Self {
        Self::new()
    }
}

impl Doorbell for InProcess {
    fn ring(&self, tenant: TenantId) {
        self.tell(News::Tenant(tenant));
    }

    fn subscribe(&self) -> Subscription {
        Subscription::new(self.0.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn tenant(n: u128) -> TenantId {
        TenantId::from_uuid(Uuid::from_u128(n))
    }

    #[tokio::test]
    async fn every_listener_hears_every_ring() {
        let bell = InProcess::new();
        let (mut one, mut two) = (bell.subscribe(), bell.subscribe());
        bell.ring(tenant(1));
        bell.ring(tenant(2));
        assert_eq!(one.next().await, Some(News::Tenant(tenant(1))));
        assert!(two.next_of(tenant(2)).await);
        drop(bell);
        assert!(!two.next_of(tenant(2)).await);
    }

    #[tokio::test]
    async fn a_listener_far_behind_is_told_to_look_everywhere() {
        let bell = InProcess::new();
        let mut slow = bell.subscribe();
        for n in 0..=KEPT as u128 {
            bell.ring(tenant(n));
        }
        assert_eq!(slow.next().await, Some(News::Anywhere));
        bell.ring(tenant(7));
        assert_eq!(slow.next().await, Some(News::Tenant(tenant(7))));
    }
}
