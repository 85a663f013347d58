//! Measures the decision of `policy-engine`: alone, and beside Cedar and regorus on the same policies and actions.
//!
//! `cargo run --release --bin figures` prints every row of `docs/benchmarks-decide.md`; `cargo bench` runs the same
//! under criterion. Start reading at [`world`].

pub mod peers;
pub mod world;

use std::time::Instant;

/// The median and the 99th percentile of many timings, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// Half were faster.
    pub median: f64,
    /// One in a hundred was slower.
    pub p99: f64,
}

/// Times each call apart, minus what reading the clock costs.
pub fn spread<T>(rounds: usize, inputs: &[T], mut call: impl FnMut(&T)) -> Spread {
    let clock = median((0..10_001).map(|_| timed(|| ())).collect());
    for input in inputs {
        call(input);
    }
    let mut times = Vec::with_capacity(rounds * inputs.len());
    for _ in 0..rounds {
        times.extend(inputs.iter().map(|input| (timed(|| call(input)) - clock).max(0.0)));
    }
    times.sort_by(f64::total_cmp);
    Spread {
        median: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
    }
}

fn timed(call: impl FnOnce()) -> f64 {
    let start = Instant::now();
    call();
    start.elapsed().as_nanos() as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
