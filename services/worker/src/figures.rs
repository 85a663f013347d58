//! What this process did, for Prometheus: in the default registry, which `/metrics` shows beside the doors' own.

use std::sync::LazyLock;

use prometheus::{Histogram, IntCounterVec, register_histogram, register_int_counter_vec};

const ONCE: &str = "registered once, under a name that nothing else has";

/// Attempts to hand over a mail, by how they ended.
pub(crate) static MAILS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "portcullis_mail_attempts_total",
        "Attempts to hand over a mail, by how they ended: sent, refused, failed (given up), postponed, moot",
        &["outcome"]
    )
    .expect(ONCE)
});

/// How late timers fired.
pub(crate) static TIMERS: LazyLock<Histogram> = LazyLock::new(|| {
    register_histogram!(
        "portcullis_timer_lateness_seconds",
        "How long after its due time a timer fired",
        vec![0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0]
    )
    .expect(ONCE)
});

/// Shows every figure of mails from the start, at zero.
pub(crate) fn begin_mails() {
    for outcome in ["sent", "refused", "failed", "postponed", "moot"] {
        MAILS.with_label_values(&[outcome]);
    }
}
