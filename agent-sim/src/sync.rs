//! Fetching the snapshot: everything is verified before anything is kept, and the last good one stays in force
//! (`docs/formats.md § 7`, `docs/quality.md § 4`, A1).

use formats::{
    Statement,
    agent_wire::{KEY_SET_HEADER, STATEMENT_HEADER, SnapshotAck, SnapshotVersion},
    jws::JwsError,
    statement::{Accepted, StatementError},
};
use reqwest::StatusCode;

use crate::{
    agent::Agent,
    enforced::Enforced,
    error::{AgentError, Untrusted},
    link::{Call, Reply},
};

/// What a look at the server brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synced {
    /// The snapshot in force is the current one.
    Unchanged,
    /// Another snapshot is in force now.
    Applied(SnapshotVersion),
}

impl Agent {
    /// Asks for the snapshot once, without waiting for a change.
    ///
    /// # Errors
    /// As [`Agent::sync`].
    pub async fn sync_once(&self) -> Result<Synced, AgentError> {
        self.sync(0).await
    }

    /// Asks for the snapshot, waiting up to so many seconds for a change, and tells the server what is in force.
    ///
    /// # Errors
    /// [`AgentError::Untrusted`] where the answer was refused: what was in force still is, and the reason is reported
    /// with the next heartbeat. Otherwise as any call.
    pub async fn sync(&self, wait: u32) -> Result<Synced, AgentError> {
        let (etag, has_other_group) = {
            let core = self.core();
            let etag = core
                .enforced
                .as_ref()
                .map(|enforced| enforced.statement.sha256.to_string());
            let group = core.enforced.as_ref().map(|enforced| enforced.statement.group);
            (etag, group.is_some_and(|group| group != core.identity.group))
        };
        // After a move the new group's statement is wanted at once, even if its body happens to be the same.
        let wait = if has_other_group { 0 } else { wait };
        let call = Call::get("/snapshot").unless(etag.as_deref()).waiting(wait);
        let synced = match self.send(call).await {
            Ok(reply) => self.take(&reply).await,
            Err(error) => Err(error),
        };
        match &synced {
            Ok(_) => self.core().refusal = None,
            Err(AgentError::Untrusted(why)) => {
                tracing::warn!(%why, "a snapshot was refused; the last good one stays in force");
                self.core().refusal = Some(why.to_string());
            }
            // Says nothing about snapshots.
            Err(_) => {}
        }
        let synced = synced?;
        self.acknowledge().await?;
        Ok(synced)
    }

    async fn take(&self, reply: &Reply) -> Result<Synced, AgentError> {
        let known = self.core().keys.version;
        let newest = reply
            .header(KEY_SET_HEADER)
            .and_then(|version| version.parse::<u64>().ok());
        if newest.is_some_and(|newest| newest > known) {
            self.refresh_keys().await?;
        }
        let token = reply.header(STATEMENT_HEADER).ok_or(Untrusted::NoStatement)?;
        let judged = match self.judge(token) {
            Err(StatementError::Token(JwsError::UnknownKey)) if self.refresh_keys().await? => self.judge(token),
            // Perhaps this endpoint was moved; only a newly signed access token says so.
            Err(StatementError::Group) if self.ask_group().await? => self.judge(token),
            other => other,
        };
        let (statement, accepted) = judged.map_err(Untrusted::from)?;
        if reply.status == StatusCode::NOT_MODIFIED {
            return self.confirm(statement, accepted);
        }
        let body = self.bodies().read(statement.sha256, &reply.body)?;
        let mut core = self.core();
        let previous = core
            .enforced
            .as_ref()
            .map(|enforced| (enforced.statement.group, enforced.version()));
        Enforced::keep(&self.0.disk, &statement, &reply.body)?;
        let enforced = Enforced { statement, body };
        let (group, version) = (enforced.statement.group, enforced.version());
        core.enforced = Some(enforced);
        if previous == Some((group, version)) {
            return Ok(Synced::Unchanged);
        }
        tracing::info!(
            epoch = version.epoch,
            version = version.version,
            "a snapshot is in force"
        );
        Ok(Synced::Applied(version))
    }

    fn judge(&self, token: &str) -> Result<(Statement, Accepted), StatementError> {
        let core = self.core();
        let group = core.identity.group;
        // Numbers of another group say nothing about this one's.
        let known = core
            .enforced
            .as_ref()
            .map(|enforced| &enforced.statement)
            .filter(|known| known.group == group);
        Statement::accept(token, &core.keys, group, known, core.latest(self.now()))
    }

    /// A 304: a newer statement about the body in hand, or about a version that changed nothing in it.
    fn confirm(&self, statement: Statement, accepted: Accepted) -> Result<Synced, AgentError> {
        let mut core = self.core();
        let Some(enforced) = core
            .enforced
            .as_mut()
            .filter(|e| e.statement.sha256 == statement.sha256)
        else {
            return Err(Untrusted::NotModified.into());
        };
        if enforced.statement != statement {
            Enforced::keep_statement(&self.0.disk, &statement)?;
            enforced.statement = statement;
        }
        Ok(match accepted {
            Accepted::Same => Synced::Unchanged,
            Accepted::NewBody => Synced::Applied(enforced.version()),
        })
    }

    /// Tells the server what is in force, unless it knows.
    async fn acknowledge(&self) -> Result<(), AgentError> {
        let version = {
            let core = self.core();
            core.enforced
                .as_ref()
                .map(Enforced::version)
                .filter(|version| core.acknowledged != Some(*version))
        };
        let Some(version) = version else { return Ok(()) };
        let ack = SnapshotAck {
            epoch: version.epoch,
            version: version.version,
            applied_at: self.now(),
        };
        self.post("/snapshot/ack", &ack).await?;
        self.core().acknowledged = Some(version);
        Ok(())
    }
}
