//! Whether a state in memory is still what the log says.
//!
//! Instead of asking for each stream, a process asks a tenant's log once which streams have grown since it asked last;
//! whatever it has of the others is current. Loads that wait for an answer share it, as long as it was asked after they
//! began. Nothing is taken for current that another process may have changed before the load began.

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
    BEGAN.scope(began, use_case).await
}

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
}

impl Seen {
    /// Whether a state that was current at a position still is, as far as this was asked.
    fn still(&self, stream: Uuid, as_of: u64) -> bool {
        (self.since..=self.position).contains(&as_of) && self.grown.get(&stream).is_none_or(|at| *at <= as_of)
    }

    fn take(&mut self, asked: Instant, news: Vec<(u64, Option<Uuid>)>) {
        let head = news.first().map_or(0, |(position, _)| *position);
        let follows = self.asked.is_some() && head >= self.position && head - self.position <= EVENTS;
        if !follows || self.grown.len() > STREAMS {
            self.since = head;
            self.grown.clear();
        }
        if follows {
            let grown = news
                .into_iter()
                .filter_map(|(position, stream)| Some((stream?, position)));
            self.grown.extend(grown.filter(|(_, position)| *position > self.since));
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

    /// The position of the tenant's log after the use case began, and whether a stream's state of an earlier position is
    /// still current. The log is asked if need be.
    pub(crate) async fn look(
        &self,
        pool: &PgPool,
        patience: Patience,
        tenant: TenantId,
        state: Option<(Uuid, u64)>,
    ) -> Result<(u64, bool), StoreError> {
        let began = BEGAN.try_with(|began| *began).unwrap_or_else(|_| Instant::now());
        let seen = self.of(tenant);
        let mut seen = seen.lock().await;
        // A state may be younger than the last answer: this process has just written it.
        let younger = state.is_some_and(|(_, as_of)| as_of > seen.position);
        if younger || seen.asked.is_none_or(|asked| asked < began) {
            let asked = Instant::now();
            let question = Question {
                tenant,
                after: seen.position,
            };
            let news = patience.run(pool, &question).await?;
            seen.take(asked, news);
        }
        let still = state.is_some_and(|(stream, as_of)| seen.still(stream, as_of));
        Ok((seen.position, still))
    }
}

struct Question {
    tenant: TenantId,
    after: u64,
}

impl Repeatable for Question {
    type Answer = Vec<(u64, Option<Uuid>)>;

    async fn run(&self, connection: &mut PgConnection) -> Result<Self::Answer, sqlx::Error> {
        let rows = sqlx::query("select at_position, changed_stream from log_news($1, $2, $3)")
            .bind(self.tenant.uuid())
            .bind(to_i64(self.after))
            .bind(i32::try_from(EVENTS).unwrap_or(i32::MAX))
            .fetch_all(connection)
            .await?;
        rows.iter()
            .map(|row| Ok((to_u64(row.try_get(0)?), row.try_get(1)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_u128(1);
    const B: Uuid = Uuid::from_u128(2);

    fn seen(answers: &[&[(u64, Option<Uuid>)]]) -> Seen {
        let mut seen = Seen::default();
        for answer in answers {
            seen.take(Instant::now(), answer.to_vec());
        }
        seen
    }

    #[test]
    fn what_was_read_before_the_first_answer_counts_as_old() {
        let seen = seen(&[&[(10, None), (10, Some(A))]]);
        assert!(!seen.still(A, 9) && !seen.still(B, 9));
        assert!(seen.still(A, 10) && seen.still(B, 10));
        assert!(
            !seen.still(A, 11),
            "a state of a log that was restored to an earlier time"
        );
    }

    #[test]
    fn only_what_has_grown_since_is_old() {
        let seen = seen(&[
            &[(10, None)],
            &[(12, None), (11, Some(A)), (12, Some(A))],
            &[(12, None)],
        ]);
        assert!(!seen.still(A, 11) && seen.still(A, 12));
        assert!(seen.still(B, 10));
    }

    #[test]
    fn after_a_gap_or_a_step_back_everything_is_old() {
        for head in [10 + EVENTS + 1, 9] {
            let seen = seen(&[&[(10, None)], &[(head, None)]]);
            assert!(!seen.still(B, head - 1) && seen.still(B, head), "{head}");
        }
        assert!(seen(&[&[(10, None)], &[(10 + EVENTS, None)]]).still(B, 10));
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
