//! What happens by itself: read models are kept, timers fire, mails go out, events have their consequences.
//!
//! Each role is a loop that any number of processes may run; work is claimed by rows, so that a dead process's work is
//! taken over. Nothing here knows HTTP. Start reading at [`scheduler`].

mod figures;
pub mod mail;
pub mod purge;
pub mod reactor;
pub mod scheduler;
pub mod sweep;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Sleeps until the time is over, or until it is to stop; whether it goes on.
pub(crate) async fn pause(stop: &CancellationToken, time: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}

/// Waits until a log has grown, the time is over, or it is to stop; whether it goes on. For a role that looks everywhere
/// then: the rings so far are forgotten.
pub(crate) async fn news(
    stop: &CancellationToken,
    subscription: &mut eventstore::Subscription,
    time: Duration,
) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        _ = subscription.next() => {
            subscription.forget();
            true
        }
        () = tokio::time::sleep(time) => true,
    }
}

/// How long a failed role waits before it tries again.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);

/// A role's name in logs.
pub(crate) fn failed(role: &str, error: &dyn std::fmt::Display) {
    tracing::warn!(role, %error, "will try again");
}
