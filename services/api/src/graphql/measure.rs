//! How long operations take, by their names, for `/metrics` and the trace.

use std::{
    collections::HashSet,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use async_graphql::parser::types::OperationType;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};
use tracing::Instrument;

/// Clients choose the names, so that only so many are told apart; the rest shares `other`.
const NAMES: usize = 200;

static SECONDS: LazyLock<Option<HistogramVec>> = LazyLock::new(|| {
    let buckets = vec![
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ];
    let opts = HistogramOpts::new(
        "portcullis_graphql_operation_duration_seconds",
        "Time to execute an operation",
    );
    prometheus::register_histogram_vec!(opts.buckets(buckets), &["kind", "operation"]).ok()
});

static ERRORS: LazyLock<Option<IntCounterVec>> = LazyLock::new(|| {
    let opts = Opts::new(
        "portcullis_graphql_errors_total",
        "Operations that were answered with errors, by the first code",
    );
    prometheus::register_int_counter_vec!(opts, &["kind", "code"]).ok()
});

static KNOWN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// What is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    kind: &'static str,
    name: String,
}

impl Operation {
    /// An operation of a document.
    pub(crate) fn of(kind: Option<OperationType>, name: Option<&str>) -> Self {
        let kind = match kind {
            Some(OperationType::Query) => "query",
            Some(OperationType::Mutation) => "mutation",
            Some(OperationType::Subscription) => "subscription",
            None => "none",
        };
        Self {
            kind,
            name: label(name),
        }
    }

    /// A document that was refused before anything of it was executed.
    pub(crate) fn refused() -> Self {
        Self {
            kind: "none",
            name: "refused".to_owned(),
        }
    }

    /// Runs it inside a span of its own.
    pub(crate) async fn within_span<F: Future>(&self, work: F) -> F::Output {
        let span = tracing::info_span!("graphql", kind = self.kind, operation = self.name);
        work.instrument(span).await
    }
}

fn label(name: Option<&str>) -> String {
    let Some(name) = name else {
        return "anonymous".to_owned();
    };
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if name.len() > 64 || (!known.contains(name) && known.len() >= NAMES) {
        return "other".to_owned();
    }
    known.insert(name.to_owned());
    name.to_owned()
}

/// Counts an operation that was answered.
pub(crate) fn measure(operation: &Operation, error: Option<&str>, took: Duration) {
    if let Some(seconds) = SECONDS.as_ref() {
        seconds
            .with_label_values(&[operation.kind, operation.name.as_str()])
            .observe(took.as_secs_f64());
    }
    if let (Some(errors), Some(code)) = (ERRORS.as_ref(), error) {
        errors.with_label_values(&[operation.kind, code]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_clients_make_up_share_one_label_in_the_end() {
        assert_eq!(label(None), "anonymous");
        assert_eq!(label(Some(&"x".repeat(65))), "other");
        for n in 0..NAMES + 50 {
            label(Some(&format!("MadeUp{n}")));
        }
        assert_eq!(label(Some("TooLate")), "other");
        assert!(KNOWN.lock().unwrap().len() <= NAMES);
    }
}
