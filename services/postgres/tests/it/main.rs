//! The supervisor on a real PostgreSQL, the databases of tests, and `with-postgres` as a user runs it.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps, in its helpers too")]

mod databases;
mod supervisor;
mod with_postgres;

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

/// Waits until the condition holds; fails when it does not within half a minute.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether the process exists and is not just waiting to be reaped.
fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('Z')
    })
}
