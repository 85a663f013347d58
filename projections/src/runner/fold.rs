//! Folding a batch into one projection, and what becomes of an event that cannot be folded.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::decode::Decoded;
use crate::{Delta, Projection};

/// A batch, folded as far as it goes.
pub(crate) struct Folded {
    pub(crate) delta: Box<dyn Delta>,
    /// The position of the event that cannot be folded, and why.
    pub(crate) stopped: Option<(u64, String)>,
}

/// Folds a batch. Where an event fails, the delta holds what came before it.
pub(crate) fn fold(projection: &dyn Projection, events: &[Decoded]) -> Folded {
    match fold_all(projection, events) {
        Ok(delta) => Folded { delta, stopped: None },
        Err((n, error)) => {
            // A failure leaves a delta in no particular state. A fold is pure: what went well once goes well again.
            match fold_all(projection, &events[..n]) {
                Ok(delta) => Folded {
                    delta,
                    stopped: Some((events[n].position, error)),
                },
                Err((_, error)) => Folded {
                    delta: projection.start(),
                    stopped: Some((events[0].position, error)),
                },
            }
        }
    }
}

fn fold_all(projection: &dyn Projection, events: &[Decoded]) -> Result<Box<dyn Delta>, (usize, String)> {
    let mut delta = projection.start();
    for (n, event) in events.iter().enumerate() {
        if projection
            .streams()
            .is_some_and(|streams| !streams.contains(&event.stream_type.as_str()))
        {
            continue;
        }
        match &event.envelope {
            Err(error) => return Err((n, error.clone())),
            Ok(envelope) => match catch_unwind(AssertUnwindSafe(|| delta.fold(envelope))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err((n, error.to_string())),
                Err(panic) => return Err((n, panicked(panic.as_ref()))),
            },
        }
    }
    Ok(delta)
}

/// What a panic said.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    format!("panicked: {message}")
}
