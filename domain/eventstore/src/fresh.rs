//! Whether a state in memory is still what the log says.
//!
//! Instead of asking for each stream, a process asks a tenant's log once which streams have grown since it asked last;
//! whatever it has of the others is current. The same goes for what was read from read models: it is current while no
//! stream of the kinds that they are made of has grown. Loads that wait for an answer share it, as long as it was asked
//! after they began. Nothing is taken for current that another process may have changed before the load began.

use std::{collections::HashMap, future::Future, sync::Arc, time::Instant};

use formats::TenantId;
use sqlx::{PgConnection, PgPool, Row};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{
    StoreError,
    append::{Patience, Repeatable, to_i64, to_u64},
    cache::Cache,
};

/// Tenants of which a process knows what has grown.
const TENANTS: usize = 4_096;
/// Events that are looked through at once; behind more, everything in memory counts as old.
const EVENTS: u64 = 1_000;
/// Streams that are remembered as grown; above that, everything in memory counts as old once.
const STREAMS: usize = 8_192;

tokio::task_local! {
    static BEGAN: Instant;
}

/// Runs a use case whose loads may share what was read since it began: each of them sees every command that was
/// acknowledged before, and none needs to be newer than that. Not for something that waits in between.
pub async fn as_of_now<F: Future>(use_case: F) -> F::Output {
    // A use case inside of another began with it.
    let began = BEGAN.try_with(|began| *began).unwrap_or_else(|_| Instant::now());
    BEGAN.scope(began, Box::pin(use_case)).await
}

/// What something in memory was read from, and at which position of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Basis<'a> {
    /// One stream's state.
    Stream(Uuid, u64),
    /// Something made of all streams of these kinds.
    Kinds(&'a [&'a str], u64),
}

impl Basis<'_> {
    const fn as_of(self) -> u64 {
        match self {
            Self::Stream(_, as_of) | Self::Kinds(_, as_of) => as_of,
        }
    }
}

/// An event that came: its position, stream and the stream's kind.
type Came = (u64, Uuid, String);

/// What a process knows of one tenant's log.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// When the answer was asked for; none before the first.
    asked: Option<Instant>,
    /// From here on, grown streams are remembered.
    since: u64,
    /// Where the log's head was.
    position: u64,
    /// The last position of the streams that have grown, by their ids.
    grown: HashMap<Uuid, u64>,
    /// The last position of each kind of stream that has grown.
    kinds: HashMap<String, u64>,
}

impl Seen {
    /// Whether what was current at a position still is, as far as this was asked.
    fn still(&self, basis: Basis<'_>) -> bool {
        let as_of = basis.as_of();
        let before = |at: Option<&u64>| at.is_none_or(|at| *at <= as_of);
        (self.since..=self.position).contains(&as_of)
            && match basis {
                Basis::Stream(stream, _) => before(self.grown.get(&stream)),
                Basis::Kinds(kinds, _) => kinds.iter().all(|kind| before(self.kinds.get(*kind))),
            }
    }

    fn take(&mut self, asked: Instant, head: u64, came: Vec<Came>) {
        let follows = self.asked.is_some() && head >= self.position && head - self.position <= EVENTS;
        if !follows || self.grown.len() > STREAMS {
            self.since = head;
            self.grown.clear();
            self.kinds.clear();
        }
        if follows {
            for (position, stream, kind) in came.into_iter().filter(|(position, ..)| *position > self.since) {
                self.grown.insert(stream, position);
                self.kinds.insert(kind, position);
            }
        }
        self.position = head;
        self.asked = Some(asked);
    }
}

/// What a process knows of the tenants' logs.
pub(crate) struct Fresh(Cache<TenantId, Arc<Mutex<Seen>>>);

impl Fresh {
    pub(crate) fn new() -> Self {
        Self(Cache::new(TENANTS))
    }

    fn of(&self, tenant: TenantId) -> Arc<Mutex<Seen>> {
        self.0.get(&tenant).unwrap_or_else(|| {
            let seen = Arc::default();
            self.0.insert(tenant, Arc::clone(&seen));
            seen
        })
    }

    /// The position of the tenant's log after the use case began, and whether what was read earlier is still current. The
    /// log is asked if need be.
    pub(crate) async fn look(
        &self,
        pool: &PgPool,
        patience: Patience,
        tenant: TenantId,
        basis: Option<Basis<'_>>,
    ) -> Result<(u64, bool), StoreError> {
        let began = BEGAN.try_with(|began| *began).unwrap_or_else(|_| Instant::now());
        let seen = self.of(tenant);
        let mut seen = seen.lock().await;
        // It may be younger than the last answer: this process has just written it.
        let younger = basis.is_some_and(|basis| basis.as_of() > seen.position);
        if younger || seen.asked.is_none_or(|asked| asked < began) {
            let asked = Instant::now();
            let question = Question {
                tenant,
                after: seen.position,
            };
            let (head, came) = patience.run(pool, &question).await?;
            seen.take(asked, head, came);
        }
        Ok((seen.position, basis.is_some_and(|basis| seen.still(basis))))
    }
}

struct Question {
    tenant: TenantId,
    after: u64,
}

impl Repeatable for Question {
    type Answer = (u64, Vec<Came>);

    async fn run(&self, connection: &mut PgConnection) -> Result<Self::Answer, sqlx::Error> {
        let rows = sqlx::query("select at_position, changed_stream, changed_type from log_news($1, $2, $3)")
            .bind(self.tenant.uuid())
            .bind(to_i64(self.after))
            .bind(i32::try_from(EVENTS).unwrap_or(i32::MAX))
            .fetch_all(connection)
            .await?;
        let Some((head, came)) = rows.split_first() else {
            return Ok((0, Vec::new()));
        };
        let came = came
            .iter()
            .map(|row| Ok((to_u64(row.try_get(0)?), row.try_get(1)?, row.try_get(2)?)))
            .collect::<Result<_, sqlx::Error>>()?;
        Ok((to_u64(head.try_get(0)?), came))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_u128(1);
    const B: Uuid = Uuid::from_u128(2);

    /// Answers: the head, and the events since the answer before, all of kind "a" in stream A or of kind "b" in B.
    fn seen(answers: &[(u64, &[(u64, Uuid)])]) -> Seen {
        let mut seen = Seen::default();
        for (head, came) in answers {
            let kind = |stream| if stream == A { "a" } else { "b" }.to_owned();
            let came = came.iter().map(|(at, stream)| (*at, *stream, kind(*stream))).collect();
            seen.take(Instant::now(), *head, came);
        }
        seen
    }

    /// Whether both a state of the stream and whatever is made of its kind are still current.
    fn still(seen: &Seen, stream: Uuid, as_of: u64) -> bool {
        let kinds: &[&str] = if stream == A { &["a", "c"] } else { &["b"] };
        let state = seen.still(Basis::Stream(stream, as_of));
        assert_eq!(seen.still(Basis::Kinds(kinds, as_of)), state);
        state
    }

    #[test]
    fn what_was_read_before_the_first_answer_counts_as_old() {
        let seen = seen(&[(10, &[(10, A)])]);
        assert!(!still(&seen, A, 9) && !still(&seen, B, 9));
        assert!(still(&seen, A, 10) && still(&seen, B, 10));
        assert!(
            !still(&seen, A, 11),
            "a state of a log that was restored to an earlier time"
        );
    }

    #[test]
    fn only_what_has_grown_since_is_old() {
        let seen = seen(&[(10, &[]), (12, &[(11, A), (12, A)]), (12, &[])]);
        assert!(!still(&seen, A, 11) && still(&seen, A, 12));
        assert!(still(&seen, B, 10));
        assert!(!seen.still(Basis::Kinds(&["b", "a"], 11)), "one of two kinds");
    }

    #[test]
    fn after_a_gap_or_a_step_back_everything_is_old() {
        for head in [10 + EVENTS + 1, 9] {
            let seen = seen(&[(10, &[]), (head, &[])]);
            assert!(!still(&seen, B, head - 1) && still(&seen, B, head), "{head}");
        }
        assert!(still(&seen(&[(10, &[]), (10 + EVENTS, &[])]), B, 10));
    }

    #[tokio::test]
    async fn a_use_case_inside_another_began_with_it() {
        let began = || BEGAN.try_with(|began| *began).unwrap();
        as_of_now(async {
            let outer = began();
            as_of_now(async { assert_eq!(began(), outer) }).await;
        })
        .await;
        assert!(BEGAN.try_with(|_| ()).is_err());
    }
}
