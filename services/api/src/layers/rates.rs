//! Limits in number: so many calls of one principal, one agent or one address in so many seconds.
//!
//! The answer says where the caller stands in the fields `RateLimit-Policy` and `RateLimit`, as the IETF's draft
//! (draft-ietf-httpapi-ratelimit-headers) writes them. Counts are per process.

use std::{
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::{IntoResponse, Response},
};
use commands::{Origin, Refusal};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};

use crate::{Answer, ApiState, Problem, Rate, Rates};

/// Whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// An address without a good credential.
    Stranger,
    /// A person or service account.
    Principal,
    /// An agent.
    Agent,
}

/// All limits of a process.
#[derive(Debug)]
pub struct Limits<C: Clock = DefaultClock> {
    strangers: Limit<C>,
    principals: Limit<C>,
    agents: Limit<C>,
}

impl Limits {
    /// Limits of these rates.
    #[must_use]
    pub fn new(rates: &Rates) -> Self {
        Self::with_clock(rates, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Limits<C> {
    fn with_clock(rates: &Rates, clock: &C) -> Self {
        let limit = |rate| Limit::new(rate, clock.clone());
        Self {
            strangers: limit(rates.strangers),
            principals: limit(rates.principals),
            agents: limit(rates.agents),
        }
    }

    /// Counts one call of this key. The request's extensions carry the standing to the answer.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`
    pub fn charge(&self, extensions: &Extensions, who: Who, key: &str) -> Answer<()> {
        let standing = self.limit(who).charge(key);
        let retry_after = standing.retry_after;
        if let Some(slot) = extensions.get::<Slot>() {
            // The first count of a call is the one that is told, unless a later one refuses.
            if retry_after.is_some() {
                slot.refuse(standing)
            } else {
                slot.tell(standing)
            }
        }
        match retry_after {
            None => Ok(()),
            Some(seconds) => {
                let mut refusal = Refusal::new("RATE_LIMITED", 429, "too many calls; wait a moment");
                refusal.retry_after = Some(seconds);
                Err(refusal.into())
            }
        }
    }

    /// Counts one call of an address; of an IPv6 address, of its network. One whose address is not known is not
    /// counted: it came from inside.
    ///
    /// # Errors
    /// As [`Limits::charge`].
    pub fn charge_address(&self, extensions: &Extensions, address: Option<IpAddr>) -> Answer<()> {
        let key = match address.map(|address| address.to_canonical()) {
            None => return Ok(()),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        };
        self.charge(extensions, Who::Stranger, &key)
    }

    const fn limit(&self, who: Who) -> &Limit<C> {
        match who {
            Who::Stranger => &self.strangers,
            Who::Principal => &self.principals,
            Who::Agent => &self.agents,
        }
    }
}

type Keyed<C> = RateLimiter<String, DashMapStateStore<String>, C, StateInformationMiddleware>;

struct Limit<C: Clock> {
    limiter: Keyed<C>,
    clock: C,
    rate: Rate,
    charges: AtomicU32,
}

impl<C: Clock> std::fmt::Debug for Limit<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limit")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

impl<C: Clock + Clone> Limit<C> {
    fn new(rate: Rate, clock: C) -> Self {
        let rate = Rate {
            calls: rate.calls.max(1),
            seconds: rate.seconds.max(1),
        };
        let calls = std::num::NonZeroU32::new(rate.calls).unwrap_or(std::num::NonZeroU32::MIN);
        let each = Duration::from_secs(rate.seconds.into()) / rate.calls;
        let quota = Quota::with_period(each)
            .unwrap_or_else(|| Quota::per_second(calls))
            .allow_burst(calls);
        let limiter = Keyed::new(quota, DashMapStateStore::default(), clock.clone());
        Self {
            limiter,
            clock,
            rate,
            charges: AtomicU32::new(0),
        }
    }

    fn charge(&self, key: &str) -> Standing {
        // Whoever has been away long enough is forgotten, so that the memory stays bounded.
        if self.charges.fetch_add(1, Ordering::Relaxed) % 16_384 == 16_383 {
            self.limiter.retain_recent();
        }
        let Rate { calls, seconds } = self.rate;
        match self.limiter.check_key(&key.to_owned()) {
            Ok(snapshot) => {
                let remaining = snapshot.remaining_burst_capacity().min(calls);
                let reset = (u64::from(calls - remaining) * u64::from(seconds)).div_ceil(u64::from(calls));
                Standing {
                    rate: self.rate,
                    remaining,
                    reset,
                    retry_after: None,
                }
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.clock.now());
                let wait = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                Standing {
                    rate: self.rate,
                    remaining: 0,
                    reset: seconds.into(),
                    retry_after: Some(wait),
                }
            }
        }
    }
}

/// Where a caller stands after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    rate: Rate,
    remaining: u32,
    reset: u64,
    retry_after: Option<u32>,
}

/// Carries a standing from wherever the call was counted to the answer's headers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot(Arc<(OnceLock<Standing>, OnceLock<Standing>)>);

impl Slot {
    fn tell(&self, standing: Standing) {
        let _ = self.0.0.set(standing);
    }

    fn refuse(&self, standing: Standing) {
        let _ = self.0.1.set(standing);
    }

    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let Some(Standing {
            rate, remaining, reset, ..
        }) = self.0.1.get().or_else(|| self.0.0.get())
        else {
            return;
        };
        let policy = format!("\"default\";q={};w={}", rate.calls, rate.seconds);
        let standing = format!("\"default\";r={remaining};t={reset}");
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", standing)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// A layer for routes without a credential: each call counts for its address, before anything else is done.
pub async fn strangers(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let address = request.extensions().get::<Origin>().and_then(|origin| origin.address);
    match state.limits.charge_address(request.extensions(), address) {
        Ok(()) => next.run(request).await,
        Err(problem) => Problem::into_response(problem),
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limits(clock: &FakeRelativeClock) -> Limits<FakeRelativeClock> {
        let rate = Rate {
            calls: 100,
            seconds: 60,
        };
        Limits::with_clock(
            &Rates {
                strangers: rate,
                principals: rate,
                agents: rate,
            },
            clock,
        )
    }

    fn call(limits: &Limits<FakeRelativeClock>, key: &str) -> (Answer<()>, HeaderMap) {
        let (mut extensions, mut headers) = (Extensions::new(), HeaderMap::new());
        extensions.insert(Slot::default());
        let answer = limits.charge(&extensions, Who::Principal, key);
        extensions.get::<Slot>().unwrap().write(&mut headers);
        (answer, headers)
    }

    #[test]
    fn the_answer_says_where_the_caller_stands() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        let (answer, headers) = call(&limits, "a");
        assert!(answer.is_ok());
        assert_eq!(headers["ratelimit-policy"], "\"default\";q=100;w=60");
        assert_eq!(headers["ratelimit"], "\"default\";r=99;t=1");
        for _ in 0..57 {
            assert!(call(&limits, "a").0.is_ok());
        }
        assert_eq!(call(&limits, "b").1["ratelimit"], "\"default\";r=99;t=1");
        assert_eq!(call(&limits, "a").1["ratelimit"], "\"default\";r=41;t=36");
    }

    #[test]
    fn a_call_too_many_is_refused_until_its_time() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        for _ in 0..100 {
            assert!(call(&limits, "a").0.is_ok());
        }
        let (answer, headers) = call(&limits, "a");
        let problem = answer.unwrap_err();
        assert_eq!(
            (problem.status().as_u16(), problem.refusal().retry_after),
            (429, Some(1))
        );
        assert_eq!(headers["ratelimit"], "\"default\";r=0;t=60");
        clock.advance(Duration::from_millis(600));
        assert!(call(&limits, "a").0.is_ok());
        assert!(call(&limits, "a").0.is_err());
    }

    #[test]
    fn one_network_counts_as_one_address() {
        let limits = limits(&FakeRelativeClock::default());
        for n in 0..100 {
            let address = format!("2001:db8:1:2::{n:x}").parse().unwrap();
            assert!(limits.charge_address(&Extensions::new(), Some(address)).is_ok());
        }
        let same: IpAddr = "2001:db8:1:2:ffff::1".parse().unwrap();
        assert!(limits.charge_address(&Extensions::new(), Some(same)).is_err());
        let other: IpAddr = "2001:db8:1:3::1".parse().unwrap();
        assert!(limits.charge_address(&Extensions::new(), Some(other)).is_ok());
    }
}
