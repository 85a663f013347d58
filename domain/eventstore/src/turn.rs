//! One at a time per stream, within a process: commands that would only conflict with each other wait instead.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use formats::TenantId;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

pub(crate) type StreamKey = (TenantId, &'static str, Uuid);
type Waiting = Mutex<HashMap<StreamKey, Arc<tokio::sync::Mutex<()>>>>;

/// The streams that somebody in this process works on.
#[derive(Debug, Default, Clone)]
pub(crate) struct Turns(Arc<Waiting>);

/// The right to work on a stream until dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Turns,
    key: StreamKey,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    pub(crate) async fn take(&self, key: StreamKey) -> Turn {
        // Made before the wait, so that an entry is dropped even if the wait is.
        let mut turn = Turn {
            turns: self.clone(),
            key,
            guard: None,
        };
        let lock = Arc::clone(
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key)
                .or_default(),
        );
        turn.guard = Some(lock.lock_owned().await);
        turn
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut waiting = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Clones are made under this lock only: a count of one means that nobody holds or waits.
        if waiting.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            waiting.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_exclude_each_other_per_stream_and_leave_nothing_behind() {
        let turns = Turns::default();
        let key = |n| (TenantId::from_uuid(Uuid::from_u128(1)), "request", Uuid::from_u128(n));
        let first = turns.take(key(1)).await;
        let other = turns.take(key(2)).await;
        {
            let second = turns.take(key(1));
            tokio::pin!(second);
            let refused =
                std::future::poll_fn(|cx| std::task::Poll::Ready(second.as_mut().poll(cx).is_pending())).await;
            assert!(refused, "the stream is taken");
        }
        drop(first);
        let again = turns.take(key(1)).await;
        drop((again, other));
        assert_eq!(turns.len(), 0);
    }
}
