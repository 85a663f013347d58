//! What an agent knows and keeps.

use std::collections::BTreeMap;

use formats::{
    ActionDigest, DeploymentGroupId, EndpointId, GrantClaims, KeySet, MfaProof, RequestId, SigningKey, TenantId,
    Timestamp, VerifyingKey,
    agent_wire::{MachineInfo, RequestState, SnapshotVersion},
    hash::{from_hex, to_hex},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    disk::{Disk, DiskError},
    enforced::{Bodies, Enforced},
    queue::Queue,
};

const IDENTITY: &str = "identity.json";
const KEY_SET: &str = "keyset.jws";
const GRANTS: &str = "grants.json";
const REQUESTS: &str = "requests.json";

/// Who the agent is. Written once at registration; only the group may change.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// The server's public address.
    pub server: String,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its deployment group.
    pub group: DeploymentGroupId,
    /// The tenant's root key.
    pub root: VerifyingKey,
    /// Whether the root key came with the deployment package, and not from the first contact.
    pub pinned: bool,
    /// The machine as it was registered.
    pub machine: MachineInfo,
    /// The endpoint's private key.
    pub key: KeptKey,
}

/// A private key in a file of its owner.
#[derive(Debug, Clone)]
pub struct KeptKey(pub SigningKey);

impl Serialize for KeptKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&to_hex(self.0.expose_seed()))
    }
}

impl<'de> Deserialize<'de> for KeptKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        from_hex(&text)
            .map(|seed| Self(SigningKey::from_seed(&seed)))
            .map_err(de::Error::custom)
    }
}

/// A grant in hand.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeldGrant {
    /// As the server signed it. It is verified anew at each use, so that it dies with its key.
    pub token: String,
    /// What it says.
    pub claims: GrantClaims,
    /// How often it was used here. Kept until it ends, so that fetching it again gives no new uses.
    pub used: u32,
    /// The server says that it may not be used any more.
    pub ended: bool,
}

/// A request on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FiledRequest {
    /// The action it is about.
    pub digest: ActionDigest,
    /// The endpoint account that asked.
    pub user: String,
    /// When it was filed.
    pub filed_at: Timestamp,
    /// Where it stood when the server was last asked.
    pub state: RequestState,
}

/// Everything that changes, behind one lock.
#[derive(Debug)]
pub struct Core {
    /// Who the agent is.
    pub identity: Identity,
    /// The newest key set.
    pub keys: KeySet,
    /// The snapshot in force.
    pub enforced: Option<Enforced>,
    /// The snapshot that the server knows to be in force here.
    pub acknowledged: Option<SnapshotVersion>,
    /// Why the last offered snapshot was refused.
    pub refusal: Option<String>,
    /// The grants by their requests.
    pub grants: BTreeMap<RequestId, HeldGrant>,
    /// The requests that were filed.
    pub requests: BTreeMap<RequestId, FiledRequest>,
    /// Proofs of one-time codes, with the tokens that they came in. Five minutes each, so no file.
    pub proofs: Vec<(String, MfaProof)>,
    /// Recorded actions.
    pub queue: Queue,
    /// How far this clock is ahead of the server's, in milliseconds.
    pub skew_ms: i64,
}

impl Core {
    /// What a new agent knows, durably.
    pub(crate) fn begin(disk: &Disk, identity: Identity, keys: KeySet, token: &str) -> Result<Self, DiskError> {
        for name in ["snapshot", "activity.ndjson", GRANTS, REQUESTS] {
            disk.remove(name)?;
        }
        disk.replace(KEY_SET, &[token.as_bytes()])?;
        // Last, since its presence makes an agent of the directory.
        disk.replace_json(IDENTITY, &identity)?;
        Ok(Self {
            identity,
            keys,
            enforced: None,
            acknowledged: None,
            refusal: None,
            grants: BTreeMap::new(),
            requests: BTreeMap::new(),
            proofs: Vec::new(),
            queue: Queue::open(disk)?,
            skew_ms: 0,
        })
    }

    /// What an agent knew when it ended.
    pub(crate) fn load(disk: &Disk, bodies: &Bodies) -> Result<Self, DiskError> {
        let Some(identity) = disk.read_json::<Identity>(IDENTITY)? else {
            return Err(DiskError::Empty(disk.path("").unwrap_or_default()));
        };
        let token = disk.read(KEY_SET)?.unwrap_or_default();
        let token = std::str::from_utf8(&token).map_err(|e| disk.damaged(KEY_SET, e))?;
        let keys =
            KeySet::verify(&identity.root, token, Some(identity.tenant), 0).map_err(|e| disk.damaged(KEY_SET, e))?;
        Ok(Self {
            keys,
            enforced: Enforced::load(disk, bodies)?,
            acknowledged: None,
            refusal: None,
            grants: disk.read_json(GRANTS)?.unwrap_or_default(),
            requests: disk.read_json(REQUESTS)?.unwrap_or_default(),
            proofs: Vec::new(),
            queue: Queue::open(disk)?,
            skew_ms: 0,
            identity,
        })
    }

    /// Whether an agent has registered in this directory.
    pub(crate) fn is_there(disk: &Disk) -> Result<bool, DiskError> {
        Ok(disk.read(IDENTITY)?.is_some())
    }

    pub(crate) fn keep_identity(&self, disk: &Disk) -> Result<(), DiskError> {
        disk.replace_json(IDENTITY, &self.identity)
    }

    pub(crate) fn keep_grants(&self, disk: &Disk) -> Result<(), DiskError> {
        disk.replace_json(GRANTS, &self.grants)
    }

    /// The grants that may be used, as far as is known here; as many as the server takes at once.
    pub(crate) fn held_grants(&self) -> Vec<RequestId> {
        let held = self.grants.iter().filter(|(_, grant)| !grant.ended);
        held.map(|(id, _)| *id).take(1_000).collect()
    }

    /// Uses these no more, durably.
    pub(crate) fn end_grants(&mut self, disk: &Disk, ended: &[RequestId]) -> Result<(), DiskError> {
        for id in ended {
            if let Some(grant) = self.grants.get_mut(id) {
                grant.ended = true;
            }
        }
        if ended.is_empty() {
            Ok(())
        } else {
            self.keep_grants(disk)
        }
    }

    pub(crate) fn keep_requests(&self, disk: &Disk) -> Result<(), DiskError> {
        disk.replace_json(REQUESTS, &self.requests)
    }

    /// Takes a newer key set, durably.
    pub(crate) fn take_keys(&mut self, disk: &Disk, keys: KeySet, token: &str) -> Result<(), DiskError> {
        disk.replace(KEY_SET, &[token.as_bytes()])?;
        self.keys = keys;
        Ok(())
    }

    /// A moment of this clock by the server's, as far as the difference was measured: what the server signed ends by that.
    pub(crate) fn by_server(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_millis(at.millis().saturating_sub(self.skew_ms))
    }

    /// Drops what has ended: grants and proofs past their time, settled requests a month after they were filed.
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
        let by_server = self.by_server(now);
        self.proofs.retain(|(_, proof)| by_server < proof.expires_at);
        self.grants.retain(|_, grant| by_server < grant.claims.not_after);
        self.requests
            .retain(|_, request| !request.state.status.is_final() || now < request.filed_at + DAY * 30);
    }

    /// The later of both clocks, by which a statement ends: whoever stands in between can date answers back, and so must
    /// not make an old one look fresh.
    pub(crate) fn latest(&self, now: Timestamp) -> Timestamp {
        now.max(self.by_server(now))
    }

    /// Whether the last statement about the snapshot has expired. The agent goes on enforcing it.
    #[must_use]
    pub fn is_outdated(&self, now: Timestamp) -> bool {
        self.enforced
            .as_ref()
            .is_some_and(|enforced| enforced.statement.expires_at <= self.latest(now))
    }
}
