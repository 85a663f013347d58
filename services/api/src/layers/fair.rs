//! Shares of the work: a tenant that asks for much waits for itself, and the others find places free.
//!
//! So many calls are worked on at once (`places`), of one tenant at most three quarters of them. Where none is free, calls
//! wait by tenant, and tenants take turns: whoever has one call waiting gets the next place but for one call of each other
//! tenant, however many of those wait. So many of a tenant may wait; the next is refused.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use commands::Refusal;
use formats::TenantId;
use tokio::sync::oneshot;

use crate::Answer;

/// The most calls of one tenant that wait.
const WAITING: usize = 1_024;

/// Places for calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shares {
    state: Arc<Mutex<State>>,
    places: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Calls that are worked on, in all and by tenant.
    busy: usize,
    working: HashMap<TenantId, usize>,
    waiting: HashMap<TenantId, VecDeque<oneshot::Sender<Place>>>,
    /// Tenants with calls that wait, the next one first.
    turns: VecDeque<TenantId>,
}

/// A place, until dropped.
#[derive(Debug)]
pub struct Place {
    shares: Shares,
    tenant: TenantId,
}

impl Shares {
    /// So many places, 4 at least.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self {
            state: Arc::default(),
            places: places.max(4),
        }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// 503 `BUSY` where too many calls of the tenant wait already.
    pub async fn enter(&self, tenant: TenantId) -> Answer<Place> {
        let called = {
            let mut state = self.state();
            let others_wait = state.turns.iter().any(|other| *other != tenant);
            if state.waiting.get(&tenant).is_none_or(VecDeque::is_empty) && !others_wait && self.fits(&state, tenant) {
                return Ok(self.take(&mut state, tenant));
            }
            let queue = state.waiting.entry(tenant).or_default();
            if queue.len() >= WAITING {
                let mut refusal = Refusal::new("BUSY", 503, "too many calls of this tenant at once");
                refusal.retry_after = Some(1);
                return Err(refusal.into());
            }
            let (call, called) = oneshot::channel();
            queue.push_back(call);
            if !state.turns.contains(&tenant) {
                state.turns.push_back(tenant);
            }
            called
        };
        // Another tenant that waits may be at its own limit, while there is a place for this one.
        self.call();
        called
            .await
            .map_err(|_| Refusal::unavailable("the server stops").into())
    }

    fn fits(&self, state: &State, tenant: TenantId) -> bool {
        let most = self.places * 3 / 4;
        state.busy < self.places && state.working.get(&tenant).copied().unwrap_or(0) < most
    }

    fn take(&self, state: &mut State, tenant: TenantId) -> Place {
        state.busy += 1;
        *state.working.entry(tenant).or_default() += 1;
        Place {
            shares: self.clone(),
            tenant,
        }
    }

    /// Gives free places to whoever's turn it is.
    fn call(&self) {
        // Places that nobody took are dropped after the lock is: dropping one takes it again.
        let mut untaken = Vec::new();
        let mut state = self.state();
        let mut passed = 0;
        while passed < state.turns.len() {
            let Some(tenant) = state.turns.pop_front() else { break };
            if !self.fits(&state, tenant) {
                state.turns.push_back(tenant);
                passed += 1;
                continue;
            }
            let next = state.waiting.get_mut(&tenant).and_then(VecDeque::pop_front);
            if state.waiting.get(&tenant).is_some_and(|queue| !queue.is_empty()) {
                state.turns.push_back(tenant);
            } else {
                state.waiting.remove(&tenant);
            }
            if let Some(call) = next {
                let place = self.take(&mut state, tenant);
                // Whoever waited may have gone away.
                if let Err(place) = call.send(place) {
                    untaken.push(place);
                }
            }
            passed = 0;
        }
        drop(state);
        drop(untaken);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut state = self.shares.state();
            state.busy -= 1;
            if let Some(working) = state.working.get_mut(&self.tenant) {
                *working -= 1;
                if *working == 0 {
                    state.working.remove(&self.tenant);
                }
            }
        }
        self.shares.call();
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::Pin, task::Poll};

    use super::*;

    type Waiting = Pin<Box<dyn Future<Output = Answer<Place>>>>;

    fn tenant(n: u128) -> TenantId {
        TenantId::from_uuid(uuid::Uuid::from_u128(n))
    }

    /// A call that has been asked for: its place, where it has one already.
    async fn ask(shares: &Shares, of: TenantId) -> (Waiting, Option<Place>) {
        let shares = shares.clone();
        let mut waiting: Waiting = Box::pin(async move { shares.enter(of).await });
        let place = look(&mut waiting).await;
        (waiting, place)
    }

    async fn look(waiting: &mut Waiting) -> Option<Place> {
        std::future::poll_fn(|cx| {
            Poll::Ready(match waiting.as_mut().poll(cx) {
                Poll::Ready(place) => Some(place.unwrap()),
                Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn a_quiet_tenant_finds_a_place_whatever_a_noisy_one_asks_for() {
        let shares = Shares::new(8);
        let (noisy, quiet) = (tenant(1), tenant(2));
        let mut places = Vec::new();
        let mut waiting = Vec::new();
        for _ in 0..50 {
            let (call, place) = ask(&shares, noisy).await;
            match place {
                Some(place) => places.push(place),
                None => waiting.push(call),
            }
        }
        assert_eq!((places.len(), waiting.len()), (6, 44), "three quarters are the most");
        assert!(ask(&shares, quiet).await.1.is_some());
    }

    #[tokio::test]
    async fn tenants_take_turns_however_many_calls_of_one_wait() {
        let shares = Shares::new(4);
        let (noisy, quiet, third) = (tenant(1), tenant(2), tenant(3));
        let mut held = Vec::new();
        for of in [noisy, noisy, noisy, third] {
            held.push(ask(&shares, of).await.1.unwrap());
        }
        let mut calls = Vec::new();
        for of in std::iter::repeat_n(noisy, 50).chain([quiet, quiet]) {
            calls.push((of, ask(&shares, of).await.0));
        }
        let mut order = Vec::new();
        for _ in 0..5 {
            held.remove(0);
            for n in 0..calls.len() {
                if let Some(place) = look(&mut calls[n].1).await {
                    order.push(calls.remove(n).0);
                    held.push(place);
                    break;
                }
            }
        }
        // The fifty of the noisy tenant were there first; the two of the quiet one wait for one of them each.
        assert_eq!(order, [noisy, quiet, noisy, quiet, noisy]);
    }

    #[tokio::test]
    async fn whoever_goes_away_while_waiting_leaves_its_place_to_the_next_and_a_queue_has_an_end() {
        let shares = Shares::new(4);
        let noisy = tenant(1);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(ask(&shares, noisy).await.1.unwrap());
        }
        let gone = ask(&shares, noisy).await.0;
        let mut next = ask(&shares, noisy).await.0;
        drop(gone);
        held.pop();
        assert!(look(&mut next).await.is_some());
        held.clear();
        let mut full = Vec::new();
        for _ in 0..3 + WAITING {
            full.push(ask(&shares, noisy).await);
        }
        let problem = shares.enter(noisy).await.unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.refusal().code), (503, "BUSY"));
        full.clear();
        assert_eq!(shares.state().busy, 0);
        assert!(shares.state().working.is_empty());
    }
}
