//! The snapshot in force: a verified statement and its compiled body.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use formats::{
    BodyHash, Statement,
    agent_wire::{CitedSnapshot, SnapshotVersion},
};
use policy_engine::{Index, Snapshot};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use crate::{
    disk::{Disk, DiskError},
    error::Untrusted,
};

/// Where statement and body are kept together: one line of JSON, then the body's bytes.
const NAME: &str = "snapshot";
/// What every body has.
const FIELDS: [&str; 4] = ["policies", "collections", "baseline", "settings"];

/// A body, read and compiled.
#[derive(Debug)]
pub struct Body {
    /// Its policies, ready for decisions.
    pub index: Index,
    /// The least length of a justification.
    pub justification_min: usize,
}

/// What the agent enforces.
#[derive(Debug, Clone)]
pub struct Enforced {
    /// What was signed about it.
    pub statement: Statement,
    /// Its body.
    pub body: Arc<Body>,
}

/// Bodies by hash, so that the agents of a fleet compile each one once.
#[derive(Debug, Clone, Default)]
pub struct Bodies(Arc<Mutex<HashMap<BodyHash, Weak<Body>>>>);

impl Bodies {
    /// Reads and compiles the bytes, whose hash must be this one.
    ///
    /// # Errors
    /// [`Untrusted::Body`] for other bytes, [`Untrusted::Shape`] for bytes that are no snapshot.
    pub fn read(&self, hash: BodyHash, bytes: &[u8]) -> Result<Arc<Body>, Untrusted> {
        if BodyHash::of(bytes) != hash {
            return Err(Untrusted::Body);
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(body) = known.get(&hash).and_then(Weak::upgrade) {
            return Ok(body);
        }
        // The engine fills in what is left out, for people who write cases; a body that was shipped is whole, so that a
        // server's mistake is never read as "no policies".
        let fields: HashMap<String, IgnoredAny> =
            serde_json::from_slice(bytes).map_err(|e| Untrusted::Shape(e.to_string()))?;
        if let Some(missing) = FIELDS.into_iter().find(|field| !fields.contains_key(*field)) {
            return Err(Untrusted::Shape(format!("`{missing}` is missing")));
        }
        let snapshot: Snapshot = serde_json::from_slice(bytes).map_err(|e| Untrusted::Shape(e.to_string()))?;
        let index = Index::compile(&snapshot).map_err(|e| Untrusted::Shape(e.to_string()))?;
        let least = snapshot
            .settings
            .get("justificationMin")
            .and_then(serde_json::Value::as_u64);
        let justification_min = least
            .and_then(|least| usize::try_from(least).ok())
            .unwrap_or(1)
            .clamp(1, 4096);
        let body = Arc::new(Body {
            index,
            justification_min,
        });
        known.retain(|_, body| body.strong_count() > 0);
        known.insert(hash, Arc::downgrade(&body));
        Ok(body)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    statement: Statement,
}

impl Enforced {
    /// How the snapshot is cited in a record.
    #[must_use]
    pub fn cited(&self) -> CitedSnapshot {
        let Statement {
            epoch, version, sha256, ..
        } = self.statement;
        CitedSnapshot { epoch, version, sha256 }
    }

    /// Its number.
    #[must_use]
    pub fn version(&self) -> SnapshotVersion {
        SnapshotVersion {
            epoch: self.statement.epoch,
            version: self.statement.version,
        }
    }

    /// What was kept at the last run. It was verified before it was kept; its hash is compared once more.
    ///
    /// # Errors
    /// [`DiskError`]
    pub fn load(disk: &Disk, bodies: &Bodies) -> Result<Option<Self>, DiskError> {
        let Some(bytes) = disk.read(NAME)? else { return Ok(None) };
        let end = bytes
            .iter()
            .position(|b| *b == b'\n')
            .ok_or_else(|| disk.damaged(NAME, "it has one line only"))?;
        let Kept { statement } = serde_json::from_slice(&bytes[..end]).map_err(|e| disk.damaged(NAME, e))?;
        let body = bodies
            .read(statement.sha256, &bytes[end + 1..])
            .map_err(|e| disk.damaged(NAME, e))?;
        Ok(Some(Self { statement, body }))
    }

    /// Keeps statement and body durably, as one.
    ///
    /// # Errors
    /// [`DiskError`]
    pub fn keep(disk: &Disk, statement: &Statement, body: &[u8]) -> Result<(), DiskError> {
        let head = serde_json::to_vec(&Kept {
            statement: statement.clone(),
        })
        .map_err(|e| disk.damaged(NAME, e))?;
        disk.replace(NAME, &[&head, b"\n", body])
    }

    /// Keeps a newer statement about the body that is there already.
    ///
    /// # Errors
    /// [`DiskError`]
    pub fn keep_statement(disk: &Disk, statement: &Statement) -> Result<(), DiskError> {
        let Some(bytes) = disk.read(NAME)? else { return Ok(()) };
        let body = bytes
            .iter()
            .position(|b| *b == b'\n')
            .map_or(&[][..], |end| &bytes[end + 1..]);
        Self::keep(disk, statement, body)
    }
}
