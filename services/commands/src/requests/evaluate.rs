//! The server's own evaluation of an action: the same engine as the agent's, on the snapshot of the endpoint's group.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use formats::{BodyHash, DeploymentGroupId, TenantId};
use policy_engine::{Action, Decision, Explanation, Index, Snapshot};

use crate::{Act, App, Caller, Outcome, Refusal};

/// The most compiled snapshots kept in memory.
const MOST: usize = 64;

/// Compiled snapshots by the hash of their body: the same bytes are the same index, whoever they belong to.
#[derive(Debug, Default)]
pub(crate) struct Engines {
    compiled: Mutex<HashMap<(TenantId, BodyHash), Arc<Index>>>,
}

impl Engines {
    fn get(&self, key: &(TenantId, BodyHash)) -> Option<Arc<Index>> {
        self.compiled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    fn put(&self, key: (TenantId, BodyHash), index: Arc<Index>) {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if compiled.len() >= MOST {
            // Any of them: snapshots in use come back by the next call.
            if let Some(old) = compiled.keys().next().copied() {
                compiled.remove(&old);
            }
        }
        compiled.insert(key, index);
    }
}

/// An engine, and which snapshot it is of.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) index: Arc<Index>,
    pub(crate) epoch: u32,
    pub(crate) version: u64,
    pub(crate) sha256: BodyHash,
}

/// The read models that commands read before they decide: what is evaluated, whom a route names, what is open already,
/// and which objects exist.
const READ_BY_COMMANDS: &[&str] = &[
    "policy_snapshot",
    "policies",
    "collections",
    "directory",
    projections::request_queue::NAME,
    "fleet",
    "approval_rules",
];

impl App {
    /// The engine on what a group's agents are offered now. A group without a snapshot yet has an empty one.
    pub(crate) async fn engine(&self, tenant: TenantId, group: DeploymentGroupId) -> Outcome<Engine> {
        let Some(current) = self.offered_to(tenant, group).await? else {
            return Err(Refusal::unavailable("the group has no snapshot yet"));
        };
        let key = (tenant, current.sha256);
        let engine = |index| Engine {
            index,
            epoch: current.epoch,
            version: current.version,
            sha256: current.sha256,
        };
        if let Some(index) = self.engines.get(&key) {
            return Ok(engine(index));
        }
        let mut tx = self.reading(tenant).await?;
        let body = projections::policy_snapshot::body(&mut tx, current.sha256).await?;
        drop(tx);
        let body = body.ok_or_else(|| Refusal::internal("a snapshot's body is missing"))?;
        let index = tokio::task::spawn_blocking(move || {
            let snapshot: Snapshot = body.snapshot().map_err(Refusal::internal)?;
            Index::compile(&snapshot).map(Arc::new).map_err(Refusal::internal)
        })
        .await
        .map_err(Refusal::internal)??;
        self.engines.put(key, index.clone());
        Ok(engine(index))
    }

    /// The engine's answer for an action on a group's present snapshot.
    pub(crate) async fn evaluate(
        &self,
        tenant: TenantId,
        group: DeploymentGroupId,
        action: &Action,
    ) -> Outcome<(Decision, Engine)> {
        let engine = self.engine(tenant, group).await?;
        Ok((engine.index.decide(action), engine))
    }

    /// What would happen to a hypothetical action, and why: each policy with the field that excluded it, and the rule
    /// that settled it.
    ///
    /// # Errors
    /// `NOT_FOUND` for an unknown group, `FORBIDDEN`.
    pub async fn explain(&self, caller: &Caller, group: DeploymentGroupId, action: &Action) -> Outcome<Explanation> {
        caller.demand(Act::ReadPolicies)?;
        if !self.group_exists(caller.tenant, group).await? {
            return Err(Refusal::not_found("deployment group").on("group"));
        }
        self.caught_up(caller.tenant).await?;
        let engine = self.engine(caller.tenant, group).await?;
        Ok(engine.index.explain(action))
    }

    /// Waits until the read models that commands read show what the log holds now, so that nothing is decided on an older
    /// policy. The others may lag or stand still: no decision reads them.
    pub(crate) async fn caught_up(&self, tenant: TenantId) -> Outcome<()> {
        let head = self.store.head_as_of_now(tenant).await?;
        if self.shows(READ_BY_COMMANDS, tenant, head).await {
            Ok(())
        } else {
            Err(Refusal::unavailable(format!(
                "the read models of {tenant} are behind position {head}"
            )))
        }
    }
}
