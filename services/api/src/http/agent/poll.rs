//! Waiting for news on behalf of an agent, without a database connection.

use std::time::Duration;

use commands::{Caller, Outcome};
use tokio::{sync::watch, time::Instant};

use crate::{ApiState, extract::Endpoint};

/// How often an agent's credential is looked at while its poll is open, if the tenant had news since.
const TICK: Duration = Duration::from_secs(2);
/// For how long after news the credential is looked at again: a revocation may be known here a moment later.
const DOUBT: Duration = Duration::from_secs(5);

/// An open poll.
pub(super) struct Poll {
    state: ApiState,
    endpoint: Endpoint,
    news: watch::Receiver<u64>,
    ends: Instant,
    doubted_until: Option<Instant>,
}

impl Poll {
    /// A poll that ends after `wait`, or up to a tenth earlier: agents that began at once come back one after the other.
    pub(super) fn open(state: &ApiState, endpoint: &Endpoint, wait: Duration) -> Self {
        let [random] = state.app.ambient().bytes();
        let ends = Instant::now() + wait.mul_f64(1.0 - f64::from(random) / 2_560.0);
        let news = state.news.watch(endpoint.caller.tenant);
        Self {
            state: state.clone(),
            endpoint: endpoint.clone(),
            news,
            ends,
            doubted_until: None,
        }
    }

    /// Waits until `shown` changes. False where it did not before the end: the time was up, or the server stops.
    ///
    /// # Errors
    /// Where the agent may not ask any more; at most five seconds after that.
    pub(super) async fn wait<T>(&mut self, shown: &mut watch::Receiver<T>) -> Outcome<bool> {
        let changed = async {
            if shown.changed().await.is_err() {
                // Whoever told it has ended; the next poll finds another.
                std::future::pending::<()>().await;
            }
        };
        Ok(self.wait_on(changed).await?.is_some())
    }

    /// Waits until `news` is there. None where it was not before the end: the time was up, or the server stops.
    ///
    /// # Errors
    /// As [`Poll::wait`].
    pub(super) async fn wait_on<T>(&mut self, news: impl Future<Output = T>) -> Outcome<Option<T>> {
        tokio::pin!(news);
        loop {
            let now = Instant::now();
            if now >= self.ends {
                return Ok(None);
            }
            tokio::select! {
                heard = &mut news => return Ok(Some(heard)),
                () = self.state.shutdown.cancelled() => return Ok(None),
                () = tokio::time::sleep_until(self.ends.min(now + TICK)) => {}
            }
            self.still_known().await?;
        }
    }

    async fn still_known(&mut self) -> Outcome<()> {
        if self.news.has_changed().unwrap_or(true) {
            self.news.mark_unchanged();
            self.doubted_until = Some(Instant::now() + DOUBT);
        }
        if self.doubted_until.is_some_and(|until| Instant::now() < until) {
            let Endpoint { caller, token } = &self.endpoint;
            let _: Caller = self.state.app.agent(&caller.origin, token).await?;
        }
        Ok(())
    }
}
