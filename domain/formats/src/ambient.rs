//! Time, ids and randomness, handed in. The only places of the product that ask the operating system for them.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Timestamp, TypedId};

/// A source of the present moment.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// A source of bytes nobody can guess.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// The machine's clock, which may be set forward (never back) in development.
#[derive(Debug, Default)]
pub struct SystemClock {
    offset: AtomicI64,
}

impl SystemClock {
    /// Moves this clock forward by so many milliseconds; negative values do nothing. Returns the whole offset.
    pub fn advance(&self, millis: i64) -> i64 {
        self.offset.fetch_add(millis.max(0), Ordering::SeqCst) + millis.max(0)
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(millis.saturating_add(self.offset.load(Ordering::SeqCst)))
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at this moment.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.millis()))
    }

    /// Moves the clock to this moment.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.millis(), Ordering::SeqCst);
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: std::time::Duration) {
        self.set(self.now() + by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// The operating system's random numbers.
#[derive(Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("the operating system gives random bytes");
    }
}

/// The same bytes after the same seed: for demo data whose ids repeat, and for tests. Never for secrets in use.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<(u64, u64)>);

impl SeededEntropy {
    /// A source whose bytes follow from the seed alone.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new((seed, 0)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in buffer.chunks_mut(32) {
            let block = Sha256::digest([state.0.to_be_bytes(), state.1.to_be_bytes()].concat());
            state.1 += 1;
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

/// The surroundings of a process: its clock and its randomness. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ambient {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// The clock that goes into ids, where it differs from the one of the events (demo data whose ids repeat).
    id_clock: Arc<dyn Clock>,
}

impl Ambient {
    /// From a clock and a source of randomness.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            id_clock: clock.clone(),
            clock,
            entropy,
        }
    }

    /// The machine's own clock and randomness.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Arc::new(SystemClock::default()), Arc::new(SystemEntropy))
    }

    /// The same surroundings, but ids that follow from the seed alone; times stay as they are.
    #[must_use]
    pub fn with_repeatable_ids(&self, seed: u64, id_time: Timestamp) -> Self {
        Self {
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(seed)),
            id_clock: Arc::new(ManualClock::at(id_time)),
        }
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new `UUIDv7` of the present moment.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let mut random = [0; 10];
        self.entropy.fill(&mut random);
        uuid::Builder::from_unix_timestamp_millis(u64::try_from(self.id_clock.now().millis()).unwrap_or(0), &random)
            .into_uuid()
    }

    /// A new id of any kind.
    #[must_use]
    pub fn id<T: TypedId>(&self) -> T {
        T::from_uuid(self.uuid())
    }

    /// Random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_ids_repeat_and_are_version_7() {
        let at = Timestamp::from_millis(1_770_000_000_000);
        let ids = || {
            let ambient = Ambient::system().with_repeatable_ids(7, at);
            [ambient.uuid(), ambient.uuid()]
        };
        assert_eq!(ids(), ids());
        assert_ne!(ids()[0], ids()[1]);
        assert_eq!(ids()[0].get_version_num(), 7);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(Timestamp::from_millis(5));
        clock.advance(std::time::Duration::from_millis(7));
        assert_eq!(clock.now().millis(), 12);
    }
}
