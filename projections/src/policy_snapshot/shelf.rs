//! The rules of snapshots, without a database.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use formats::{BodyHash, CanonicalError, CollectionId, DeploymentGroupId, PolicyId, Timestamp, canonical};
use model::{
    catalogue::AnyEvent,
    collection::CollectionEvent,
    deployment::DeploymentGroupEvent,
    policy::PolicyEvent,
    tenant::{Settings, TenantEvent},
};
use policy_engine::{PolicyDocument, SnapshotCollection};
use serde_json::json;

use super::rendition::{Part, Rendition, Staged};
use crate::Envelope;

/// From how many policies on a large loss is held.
pub const HELD_FROM: u32 = 10;
/// Changes that follow the first one within this time, by the times at which they were recorded, are taken together:
/// a loss counts against the most policies that the group had among them.
pub const SPELL: Duration = Duration::from_secs(10 * 60);

/// Everything that snapshots are made of, and where each group stands.
///
/// Bodies are built when they are asked for, or when what they are made of is about to change although they stay in
/// force; so a thousand changes in a row cost one body, not a thousand.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    pub(super) tenant: TenantParts,
    pub(super) policies: BTreeMap<PolicyId, Rendition>,
    pub(super) collections: BTreeMap<CollectionId, SnapshotCollection>,
    pub(super) groups: BTreeMap<DeploymentGroupId, Group>,
    pub(super) touched: Touched,
    /// Bodies that were built, by hash.
    pub(super) bodies: BTreeMap<BodyHash, Vec<u8>>,
}

/// Which rows are to be written.
#[derive(Debug, Clone, Default)]
pub(super) struct Touched {
    pub(super) tenant: bool,
    pub(super) policies: BTreeSet<PolicyId>,
    pub(super) collections: BTreeSet<CollectionId>,
    pub(super) groups: BTreeSet<DeploymentGroupId>,
}

/// What every body of the tenant has in common, as canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TenantParts {
    pub(super) epoch: u32,
    pub(super) baseline: Vec<u8>,
    pub(super) settings: Vec<u8>,
}

impl Default for TenantParts {
    fn default() -> Self {
        Self {
            epoch: 1,
            baseline: b"{}".to_vec(),
            settings: b"{}".to_vec(),
        }
    }
}

impl TenantParts {
    /// The settings that agents have a use for are few: what a justification has to be like before it is sent.
    fn set(&mut self, settings: &Settings) -> Result<(), CanonicalError> {
        self.baseline = canonical(&settings.baseline)?;
        self.settings = canonical(&json!({ "justificationMin": settings.justification_min }))?;
        Ok(())
    }
}

/// Where a group stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) served: Version,
    pub(super) held: Option<Version>,
    /// The most policies among the present spell of changes, and when that began.
    pub(super) spell_policies: u32,
    pub(super) spell_at: Timestamp,
}

/// A version of a group's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// The position that made the body what it is.
    pub(super) number: u64,
    /// None: not built yet, and what the shelf holds now.
    pub(super) sha256: Option<BodyHash>,
    pub(super) policies: u32,
    pub(super) at: Timestamp,
}

impl Group {
    fn new(version: Version) -> Self {
        Self {
            spell_policies: version.policies,
            spell_at: version.at,
            served: version,
            held: None,
        }
    }

    /// The most policies that the present spell has seen, were it to go on at this moment.
    fn reference(&self, at: Timestamp) -> u32 {
        if self.held.is_some() {
            self.spell_policies
        } else if at.since(self.spell_at) > SPELL {
            self.served.policies
        } else {
            self.spell_policies.max(self.served.policies)
        }
    }

    fn would_hold(&self, policies: u32, at: Timestamp) -> bool {
        let reference = self.reference(at);
        reference >= HELD_FROM && policies.saturating_mul(2) < reference
    }

    fn change(&mut self, version: Version) {
        let hold = self.would_hold(version.policies, version.at);
        let reference = self.reference(version.at);
        if self.held.is_none() && version.at.since(self.spell_at) > SPELL {
            self.spell_at = version.at;
        }
        self.spell_policies = reference;
        if hold {
            self.held = Some(version);
        } else {
            self.held = None;
            self.served = version;
        }
    }

    fn confirm(&mut self, number: u64, at: Timestamp) {
        // A confirmation of another version than the one that is held came too late: somebody has to look again.
        if let Some(held) = self.held.take_if(|held| held.number == number) {
            self.spell_policies = held.policies;
            self.spell_at = at;
            self.served = held;
        }
    }
}

/// Where and when something happened.
#[derive(Debug, Clone, Copy)]
struct Moment {
    position: u64,
    at: Timestamp,
}

impl Shelf {
    /// Whether an event of this kind may change anything here.
    #[must_use]
    pub fn concerns(event: &AnyEvent) -> bool {
        match event {
            AnyEvent::Policy(_) | AnyEvent::Collection(_) => true,
            AnyEvent::Tenant(e) => match e {
                TenantEvent::TenantCreated(_) | TenantEvent::SettingsChanged(_) | TenantEvent::LogRestored(_) => true,
                TenantEvent::TenantSuspended(_)
                | TenantEvent::TenantResumed(_)
                | TenantEvent::TenantDeletionRequested(_)
                | TenantEvent::TenantDeletionCancelled(_)
                | TenantEvent::MailResent(_)
                | TenantEvent::KeySetChanged(_) => false,
            },
            AnyEvent::DeploymentGroup(e) => match e {
                DeploymentGroupEvent::DeploymentGroupCreated(_)
                | DeploymentGroupEvent::DeploymentGroupDeleted(_)
                | DeploymentGroupEvent::SnapshotConfirmed(_) => true,
                DeploymentGroupEvent::DeploymentGroupRenamed(_)
                | DeploymentGroupEvent::RegistrationTokenIssued(_)
                | DeploymentGroupEvent::RegistrationTokenUsed(_)
                | DeploymentGroupEvent::RegistrationTokenRevoked(_) => false,
            },
            AnyEvent::Person(_)
            | AnyEvent::User(_)
            | AnyEvent::Roles(_)
            | AnyEvent::Team(_)
            | AnyEvent::Platform(_)
            | AnyEvent::Scim(_)
            | AnyEvent::ServiceAccount(_)
            | AnyEvent::IdentityProvider(_)
            | AnyEvent::Endpoint(_)
            | AnyEvent::Activity(_)
            | AnyEvent::ApprovalRules(_)
            | AnyEvent::Request(_) => false,
        }
    }

    /// Takes in the next event of the tenant's log.
    ///
    /// # Errors
    /// [`CanonicalError`] where a document has no canonical form.
    pub fn take(&mut self, event: &Envelope) -> Result<(), CanonicalError> {
        let moment = Moment {
            position: event.position,
            at: event.recorded_at,
        };
        match &event.event {
            AnyEvent::Policy(e) => self.policy(e, moment),
            AnyEvent::Collection(e) => {
                self.collection(e, moment);
                Ok(())
            }
            AnyEvent::Tenant(e) => self.tenant_event(e, moment),
            AnyEvent::DeploymentGroup(e) => {
                self.group_event(e, moment);
                Ok(())
            }
            AnyEvent::Person(_)
            | AnyEvent::User(_)
            | AnyEvent::Roles(_)
            | AnyEvent::Team(_)
            | AnyEvent::Platform(_)
            | AnyEvent::Scim(_)
            | AnyEvent::ServiceAccount(_)
            | AnyEvent::IdentityProvider(_)
            | AnyEvent::Endpoint(_)
            | AnyEvent::Activity(_)
            | AnyEvent::ApprovalRules(_)
            | AnyEvent::Request(_) => Ok(()),
        }
    }

    /// Builds the bodies of all versions that are in force or held.
    pub fn settle(&mut self) {
        let mut built: HashMap<Vec<PolicyId>, BodyHash> = HashMap::new();
        for id in self.groups.keys().copied().collect::<Vec<_>>() {
            let Some(group) = self.groups.get(&id) else { continue };
            if group.served.sha256.is_some() && group.held.as_ref().is_none_or(|held| held.sha256.is_some()) {
                continue;
            }
            // Groups that have the same revisions have the same body.
            let staged = self
                .policies
                .iter()
                .filter(|(_, policy)| policy.is_staged_for(id))
                .map(|(id, _)| *id)
                .collect();
            let sha256 = match built.get(&staged) {
                Some(sha256) => *sha256,
                None => {
                    let sha256 = self.build(id);
                    built.insert(staged, sha256);
                    sha256
                }
            };
            self.fill(id, sha256);
        }
    }

    /// The version that a group's agents are given, and its body.
    pub fn served(&mut self, group: DeploymentGroupId) -> Option<(u64, &[u8])> {
        self.settle();
        let served = &self.groups.get(&group)?.served;
        let body = self.bodies.get(&served.sha256?)?;
        Some((served.number, body))
    }

    /// The epoch of the log, from 1.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.tenant.epoch
    }

    fn policy(&mut self, event: &PolicyEvent, moment: Moment) -> Result<(), CanonicalError> {
        let live = |id, revision, document: &PolicyDocument| {
            Ok::<_, CanonicalError>((
                id,
                Some(Rendition {
                    live: Part::of(id, revision, document)?,
                    staged: None,
                }),
            ))
        };
        let (id, after) = match event {
            PolicyEvent::PolicyCreated(e) => live(e.policy, 1, &e.document)?,
            PolicyEvent::PolicyRevised(e) => live(e.policy, e.revision, &e.document)?,
            PolicyEvent::PolicyStatusSet(e) => live(e.policy, e.revision, &e.document)?,
            PolicyEvent::PolicyRolledBack(e) => live(e.policy, e.revision, &e.document)?,
            PolicyEvent::PolicyRevisionPromoted(e) => live(e.policy, e.revision, &e.document)?,
            PolicyEvent::PolicyRevisionStaged(e) => {
                let part = Part::of(e.policy, e.revision, &e.document)?;
                let staged = Some(Staged {
                    part,
                    groups: e.groups.clone(),
                });
                (
                    e.policy,
                    Some(Rendition {
                        staged,
                        ..self.policies.get(&e.policy).cloned().unwrap_or_default()
                    }),
                )
            }
            PolicyEvent::PolicyRevisionWithdrawn(e) => {
                let before = self.policies.get(&e.policy).cloned().unwrap_or_default();
                (e.policy, Some(Rendition { staged: None, ..before }))
            }
            PolicyEvent::PolicyDeleted(e) => (e.policy, None),
        };
        let before = self.policies.get(&id);
        let changes: Vec<(DeploymentGroupId, u32)> = self
            .groups
            .keys()
            .filter_map(|group| {
                let was = before.and_then(|policy| policy.for_group(*group));
                let is = after.as_ref().and_then(|policy| policy.for_group(*group));
                if was == is {
                    return None;
                }
                let policies = self.current(*group).policies.saturating_sub(was.is_some().into());
                let now = policies.saturating_add(is.is_some().into());
                Some((*group, now))
            })
            .collect();
        self.before_change(&changes, moment.at);
        self.touched.policies.insert(id);
        match after {
            Some(after) => self.policies.insert(id, after),
            None => self.policies.remove(&id),
        };
        self.change(&changes, moment);
        Ok(())
    }

    fn collection(&mut self, event: &CollectionEvent, moment: Moment) {
        let (id, after) = match event {
            CollectionEvent::CollectionCreated(e) => (
                e.collection,
                Some(SnapshotCollection {
                    id: e.collection.to_string(),
                    name: e.name.clone(),
                    kind: e.kind,
                    members: e.members.clone(),
                }),
            ),
            CollectionEvent::CollectionChanged(e) => {
                let Some(before) = self.collections.get(&e.collection).cloned() else {
                    return;
                };
                let after = SnapshotCollection {
                    name: e.name.clone(),
                    members: e.members.clone(),
                    ..before
                };
                (e.collection, Some(after))
            }
            CollectionEvent::CollectionDeleted(e) => (e.collection, None),
        };
        let before = self.collections.get(&id);
        let changes: Vec<(DeploymentGroupId, u32)> = self
            .groups
            .keys()
            .filter_map(|group| {
                let refs = self.refs(*group);
                let was = before.filter(|c| is_named(&refs, c));
                let is = after.as_ref().filter(|c| is_named(&refs, c));
                (was != is).then(|| (*group, self.current(*group).policies))
            })
            .collect();
        self.before_change(&changes, moment.at);
        self.touched.collections.insert(id);
        match after {
            Some(after) => self.collections.insert(id, after),
            None => self.collections.remove(&id),
        };
        self.change(&changes, moment);
    }

    fn tenant_event(&mut self, event: &TenantEvent, moment: Moment) -> Result<(), CanonicalError> {
        let mut after = self.tenant.clone();
        match event {
            TenantEvent::TenantCreated(e) => after.set(&e.settings)?,
            TenantEvent::SettingsChanged(e) => after.set(&e.settings)?,
            TenantEvent::LogRestored(e) => after.epoch = e.epoch,
            TenantEvent::TenantSuspended(_)
            | TenantEvent::TenantResumed(_)
            | TenantEvent::TenantDeletionRequested(_)
            | TenantEvent::TenantDeletionCancelled(_)
            | TenantEvent::MailResent(_)
            | TenantEvent::KeySetChanged(_) => return Ok(()),
        }
        let same_body = (&after.baseline, &after.settings) == (&self.tenant.baseline, &self.tenant.settings);
        let changes: Vec<(DeploymentGroupId, u32)> = if same_body {
            Vec::new()
        } else {
            self.groups
                .keys()
                .map(|group| (*group, self.current(*group).policies))
                .collect()
        };
        self.before_change(&changes, moment.at);
        self.touched.tenant = true;
        self.tenant = after;
        self.change(&changes, moment);
        Ok(())
    }

    fn group_event(&mut self, event: &DeploymentGroupEvent, moment: Moment) {
        let id = match event {
            DeploymentGroupEvent::DeploymentGroupCreated(e) => {
                let policies = self
                    .policies
                    .values()
                    .filter(|policy| policy.for_group(e.group).is_some())
                    .count();
                let policies = u32::try_from(policies).unwrap_or(u32::MAX);
                let version = Version {
                    number: moment.position,
                    sha256: None,
                    policies,
                    at: moment.at,
                };
                self.groups.insert(e.group, Group::new(version));
                e.group
            }
            DeploymentGroupEvent::DeploymentGroupDeleted(e) => {
                self.groups.remove(&e.group);
                e.group
            }
            DeploymentGroupEvent::SnapshotConfirmed(e) => {
                if let Some(group) = self.groups.get_mut(&e.group) {
                    group.confirm(e.version, moment.at);
                }
                e.group
            }
            DeploymentGroupEvent::DeploymentGroupRenamed(_)
            | DeploymentGroupEvent::RegistrationTokenIssued(_)
            | DeploymentGroupEvent::RegistrationTokenUsed(_)
            | DeploymentGroupEvent::RegistrationTokenRevoked(_) => return,
        };
        self.touched.groups.insert(id);
    }

    /// The version that the shelf holds now: the held one where there is one.
    fn current(&self, group: DeploymentGroupId) -> &Version {
        let group = &self.groups[&group];
        group.held.as_ref().unwrap_or(&group.served)
    }

    /// Builds what stays in force although its parts are about to change.
    fn before_change(&mut self, changes: &[(DeploymentGroupId, u32)], at: Timestamp) {
        for (id, policies) in changes {
            let group = &self.groups[id];
            if group.held.is_none() && group.served.sha256.is_none() && group.would_hold(*policies, at) {
                let sha256 = self.build(*id);
                self.fill(*id, sha256);
            }
        }
    }

    fn change(&mut self, changes: &[(DeploymentGroupId, u32)], moment: Moment) {
        for (id, policies) in changes {
            if let Some(group) = self.groups.get_mut(id) {
                group.change(Version {
                    number: moment.position,
                    sha256: None,
                    policies: *policies,
                    at: moment.at,
                });
                self.touched.groups.insert(*id);
            }
        }
    }

    fn fill(&mut self, id: DeploymentGroupId, sha256: BodyHash) {
        if let Some(group) = self.groups.get_mut(&id) {
            match &mut group.held {
                Some(held) => held.sha256.get_or_insert(sha256),
                None => group.served.sha256.get_or_insert(sha256),
            };
            self.touched.groups.insert(id);
        }
    }

    /// What the scopes of a group's policies write after `collection:`.
    fn refs(&self, group: DeploymentGroupId) -> BTreeSet<&str> {
        let parts = self.policies.values().filter_map(|policy| policy.for_group(group));
        parts.flat_map(|part| part.refs.iter().map(String::as_str)).collect()
    }

    /// The group's body, as canonical bytes of [`policy_engine::Snapshot`]: its parts are canonical, and the names of
    /// its fields stand in order.
    fn build(&mut self, group: DeploymentGroupId) -> BodyHash {
        let refs = self.refs(group);
        let collections = self
            .collections
            .values()
            .filter(|collection| is_named(&refs, collection));
        let collections: Vec<Vec<u8>> = collections
            // Strings and lists of strings have a canonical form.
            .map(|collection| canonical(collection).unwrap_or_default())
            .collect();
        let policies = self.policies.values().filter_map(|policy| policy.for_group(group));
        let mut body = Vec::new();
        body.extend_from_slice(b"{\"baseline\":");
        body.extend_from_slice(&self.tenant.baseline);
        body.extend_from_slice(b",\"collections\":[");
        join(&mut body, collections.iter().map(Vec::as_slice));
        body.extend_from_slice(b"],\"policies\":[");
        join(&mut body, policies.map(|part| part.bytes.as_slice()));
        body.extend_from_slice(b"],\"settings\":");
        body.extend_from_slice(&self.tenant.settings);
        body.push(b'}');
        let sha256 = BodyHash::of(&body);
        self.bodies.insert(sha256, body);
        sha256
    }
}

fn is_named(refs: &BTreeSet<&str>, collection: &SnapshotCollection) -> bool {
    refs.contains(collection.name.as_str()) || refs.contains(collection.id.as_str())
}

fn join<'a>(body: &mut Vec<u8>, parts: impl Iterator<Item = &'a [u8]>) {
    for (i, part) in parts.enumerate() {
        if i > 0 {
            body.push(b',');
        }
        body.extend_from_slice(part);
    }
}
