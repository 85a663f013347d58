//! Wrong attempts: counted per identity and channel, locked with a limit that survives restarts (`docs/domain.md § 4`).
//!
//! Failures on one channel never lock another, so that nobody who fails at an agent keeps a victim from deciding.

use std::time::Duration;

use eventstore::TenantTx;
use formats::{TenantId, Timestamp, UserId};
use model::user::{User, UserCommand};

use super::store;
use crate::{App, Caller, Outcome, Refusal};

/// Where a code or password was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The password at sign-in.
    Password,
    /// The one-time code at sign-in.
    SignIn,
    /// The one-time code at a decision.
    Decide,
    /// The one-time code at an agent.
    Agent,
}

impl Channel {
    /// The word in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::SignIn => "sign-in",
            Self::Decide => "decide",
            Self::Agent => "agent",
        }
    }
}

/// Five failures within this time lock the channel for this time.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Failures within [`WINDOW`] that lock.
const BURST: usize = 5;
/// Failures within a day that lock for the rest of the day.
const DAILY: usize = 30;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Until when the channel is locked, given the failures so far (oldest first, the present one included).
fn lock_until(failures: &[Timestamp], now: Timestamp) -> Option<Timestamp> {
    let within = |span: Duration| failures.iter().filter(|at| now.since(**at) < span).count();
    if within(DAY) >= DAILY {
        let first = failures.iter().find(|at| now.since(**at) < DAY).copied().unwrap_or(now);
        return Some(first + DAY);
    }
    (within(WINDOW) >= BURST).then(|| now + WINDOW)
}

fn locked(until: Timestamp, now: Timestamp) -> Refusal {
    let mut refusal = Refusal::new("LOCKED", 429, "too many wrong attempts; try again later");
    refusal.retry_after = Some(u32::try_from(until.since(now).as_secs()).unwrap_or(u32::MAX).max(1));
    refusal
}

impl App {
    /// Refuses where the channel is locked. Asked before the work, and again after it, before anything is said of the
    /// outcome: of many who try at once most wait until the channel is locked by the first.
    pub(crate) async fn not_locked(&self, tenant: TenantId, user: UserId, channel: Channel) -> Outcome<()> {
        let mut tx = self.reading(tenant).await?;
        self.not_locked_in(&mut tx, user, channel).await
    }

    pub(crate) async fn not_locked_in(&self, tx: &mut TenantTx, user: UserId, channel: Channel) -> Outcome<()> {
        let until = store::lock(tx, user, channel).await?;
        let now = self.ambient().now();
        match until.filter(|until| now < *until) {
            Some(until) => Err(locked(until, now)),
            None => Ok(()),
        }
    }

    /// Counts a wrong attempt; locks the channel, as an event, where it is one too many.
    pub(crate) async fn failed(&self, caller: &Caller, user: UserId, channel: Channel) -> Outcome<()> {
        let until = self.count_failure(caller.tenant, user, channel).await?;
        self.tell_lock(caller, user, channel, until).await
    }

    /// Notes that a channel was locked, where it was.
    pub(crate) async fn tell_lock(
        &self,
        caller: &Caller,
        user: UserId,
        channel: Channel,
        until: Option<Timestamp>,
    ) -> Outcome<()> {
        if let Some(until) = until {
            let command = UserCommand::LockChannel {
                channel: channel.as_str().to_owned(),
                until,
            };
            let content = serde_json::json!({ "user": user, "channel": channel.as_str(), "until": until });
            let system = Caller::system(caller.tenant, caller.origin.correlation);
            self.run::<User>(&system, "lockChannel", user.uuid(), &content, command)
                .await?;
        }
        Ok(())
    }

    /// Who stands for an address that can't be right: it is counted and locked like another, since a lock must not tell
    /// which addresses exist.
    pub(crate) async fn nobody(&self, tenant: TenantId, email: &str) -> Outcome<UserId> {
        let keys = self.store.vault().tenant(tenant).await?;
        let mac = keys.mac().claim("nobody", &email.trim().to_lowercase());
        let mut id = [0; 16];
        id.copy_from_slice(&mac[..16]);
        // Version 8 (RFC 9562): no user has such an id.
        Ok(UserId::from_uuid(uuid::Builder::from_custom_bytes(id).into_uuid()))
    }

    /// Counts a wrong attempt for nobody. No event: there is no account that it would be about.
    pub(crate) async fn failed_nobody(&self, tenant: TenantId, nobody: UserId, channel: Channel) -> Outcome<()> {
        self.count_failure(tenant, nobody, channel).await.map(drop)
    }

    /// Counts a wrong attempt; until when the channel is locked now.
    async fn count_failure(&self, tenant: TenantId, identity: UserId, channel: Channel) -> Outcome<Option<Timestamp>> {
        let mut tx = self.writing(tenant).await?;
        let until = self.count_failure_in(&mut tx, identity, channel).await?;
        tx.commit().await?;
        Ok(until)
    }

    pub(crate) async fn count_failure_in(
        &self,
        tx: &mut TenantTx,
        identity: UserId,
        channel: Channel,
    ) -> Outcome<Option<Timestamp>> {
        let now = self.ambient().now();
        let failures = store::add_failure(tx, identity, channel, now, now - DAY).await?;
        let until = lock_until(&failures, now);
        if let Some(until) = until {
            store::set_lock(tx, identity, channel, until).await?;
        }
        Ok(until)
    }

    /// Forgets the wrong attempts after a right one.
    pub(crate) async fn succeeded(&self, tenant: TenantId, user: UserId, channel: Channel) -> Outcome<()> {
        let mut tx = self.writing(tenant).await?;
        store::clear_failures(&mut tx, user, channel, self.ambient().now() - WINDOW).await?;
        Ok(tx.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(n: i64) -> Timestamp {
        Timestamp::from_millis(1_772_000_000_000 + n * 60_000)
    }

    #[test]
    fn the_fifth_failure_within_15_minutes_locks_for_15_minutes() {
        let failures: Vec<_> = (0..5).map(minute).collect();
        assert_eq!(lock_until(&failures[..4], minute(3)), None);
        assert_eq!(lock_until(&failures, minute(4)), Some(minute(19)));
    }

    #[test]
    fn slow_failures_lock_for_the_day_at_the_thirtieth() {
        let failures: Vec<_> = (0..30).map(|n| minute(n * 20)).collect();
        assert_eq!(lock_until(&failures[..29], minute(28 * 20)), None);
        assert_eq!(lock_until(&failures, minute(29 * 20)), Some(minute(24 * 60)));
    }
}
