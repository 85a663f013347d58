//! The state of a policy and its decisions.

use std::collections::{BTreeMap, BTreeSet};

use formats::{DeploymentGroupId, PolicyId};
use policy_engine::PolicyDocument;
use serde::{Deserialize, Serialize};

use super::{
    PolicyCommand, PolicyCreated, PolicyDeleted, PolicyError, PolicyEvent, PolicyRevised, PolicyRevisionPromoted,
    PolicyRevisionStaged, PolicyRevisionWithdrawn, PolicyRolledBack, PolicyStatusSet, SaveFacts,
};
use crate::{Noun, aggregate::aggregate, text};

/// The most revisions of one policy.
pub const REVISIONS_MAX: u32 = 10_000;

/// A policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    id: Option<PolicyId>,
    deleted: bool,
    live: u32,
    staged: Option<u32>,
    revisions: BTreeMap<u32, PolicyDocument>,
}

aggregate!(Policy, "policy", PolicyCommand, PolicyEvent, PolicyError);

type Decided = Result<Vec<PolicyEvent>, PolicyError>;

impl Policy {
    /// The live document, unless the policy is gone.
    #[must_use]
    pub fn document(&self) -> Option<&PolicyDocument> {
        if self.deleted {
            None
        } else {
            self.revisions.get(&self.live)
        }
    }

    /// The document of a revision.
    #[must_use]
    pub fn revision(&self, number: u32) -> Option<&PolicyDocument> {
        self.revisions.get(&number)
    }

    fn fold(&mut self, event: PolicyEvent) {
        let live = |state: &mut Self, revision: u32, document: PolicyDocument| {
            state.revisions.insert(revision, document);
            state.live = revision;
            state.staged = None;
        };
        match event {
            PolicyEvent::PolicyCreated(e) => {
                self.id = Some(e.policy);
                live(self, 1, *e.document);
            }
            PolicyEvent::PolicyRevised(e) => live(self, e.revision, *e.document),
            PolicyEvent::PolicyStatusSet(e) => live(self, e.revision, *e.document),
            PolicyEvent::PolicyRolledBack(e) => live(self, e.revision, *e.document),
            PolicyEvent::PolicyRevisionPromoted(e) => live(self, e.revision, *e.document),
            PolicyEvent::PolicyRevisionStaged(e) => {
                self.revisions.insert(e.revision, *e.document);
                self.staged = Some(e.revision);
            }
            PolicyEvent::PolicyRevisionWithdrawn(_) => self.staged = None,
            PolicyEvent::PolicyDeleted(_) => {
                self.deleted = true;
                self.staged = None;
            }
        }
    }

    fn next(&self, expected: Option<u32>) -> Result<u32, PolicyError> {
        let current = self.revisions.keys().next_back().copied().unwrap_or(0);
        if let Some(expected) = expected.filter(|e| *e != self.live && Some(*e) != self.staged) {
            return Err(PolicyError::StaleRevision {
                current: self.live,
                expected,
            });
        }
        if current >= REVISIONS_MAX {
            return Err(PolicyError::TooManyRevisions { limit: REVISIONS_MAX });
        }
        Ok(current + 1)
    }

    fn nothing_staged(&self) -> Result<(), PolicyError> {
        self.staged
            .map_or(Ok(()), |revision| Err(PolicyError::Staged { revision }))
    }

    fn stage(
        &self,
        policy: PolicyId,
        document: Box<PolicyDocument>,
        groups: Vec<DeploymentGroupId>,
        reason: &str,
        expected: Option<u32>,
    ) -> Decided {
        self.nothing_staged()?;
        let revision = self.next(expected)?;
        let groups: BTreeSet<_> = groups.into_iter().collect();
        if groups.is_empty() || groups.len() > 100 {
            return Err(PolicyError::Groups);
        }
        let groups = groups.into_iter().collect();
        Ok(vec![
            PolicyRevisionStaged {
                policy,
                revision,
                document,
                groups,
                reason: words(reason)?,
            }
            .into(),
        ])
    }
}

impl Noun for Policy {
    fn decide(&self, command: PolicyCommand) -> Decided {
        use PolicyCommand as C;
        if let C::CreatePolicy {
            policy,
            document,
            reason,
            copied_from,
            facts,
        } = command
        {
            if self.id.is_some() {
                return Err(PolicyError::AlreadyExists);
            }
            savable(&document, None, &facts)?;
            return Ok(vec![
                PolicyCreated {
                    policy,
                    document,
                    reason: words(&reason)?,
                    copied_from,
                }
                .into(),
            ]);
        }
        let (Some(policy), Some(current)) = (self.id, self.document()) else {
            return Err(PolicyError::NotFound);
        };
        match command {
            C::CreatePolicy { .. } => Err(PolicyError::AlreadyExists),
            C::RevisePolicy {
                document,
                reason,
                expected,
                facts,
            } => {
                self.nothing_staged()?;
                let revision = self.next(expected)?;
                savable(&document, Some(current), &facts)?;
                if *document == *current {
                    return Ok(Vec::new());
                }
                Ok(vec![
                    PolicyRevised {
                        policy,
                        revision,
                        document,
                        reason: words(&reason)?,
                    }
                    .into(),
                ])
            }
            C::SetPolicyStatus {
                status,
                reason,
                expected,
                facts,
            } => {
                self.nothing_staged()?;
                let revision = self.next(expected)?;
                if status == current.status {
                    return Ok(Vec::new());
                }
                let mut document = Box::new(current.clone());
                document.status = status;
                savable(&document, Some(current), &facts)?;
                Ok(vec![
                    PolicyStatusSet {
                        policy,
                        revision,
                        status,
                        document,
                        reason: words(&reason)?,
                    }
                    .into(),
                ])
            }
            C::RollbackPolicy {
                to,
                reason,
                expected,
                facts,
            } => {
                self.nothing_staged()?;
                let revision = self.next(expected)?;
                let earlier = self
                    .revisions
                    .get(&to)
                    .ok_or(PolicyError::NoSuchRevision { revision: to })?;
                savable(earlier, Some(current), &facts)?;
                let document = Box::new(earlier.clone());
                Ok(vec![
                    PolicyRolledBack {
                        policy,
                        revision,
                        to,
                        document,
                        reason: words(&reason)?,
                    }
                    .into(),
                ])
            }
            C::StagePolicyRevision {
                document,
                groups,
                reason,
                expected,
                facts,
            } => {
                savable(&document, Some(current), &facts)?;
                self.stage(policy, document, groups, &reason, expected)
            }
            C::PromotePolicyRevision { facts } => {
                let revision = self.staged.ok_or(PolicyError::NothingStaged)?;
                let document = self
                    .revisions
                    .get(&revision)
                    .ok_or(PolicyError::NoSuchRevision { revision })?;
                // Collections may have changed since it was staged.
                savable(document, Some(document), &facts)?;
                let document = Box::new(document.clone());
                Ok(vec![
                    PolicyRevisionPromoted {
                        policy,
                        revision,
                        document,
                    }
                    .into(),
                ])
            }
            C::WithdrawPolicyRevision { reason } => {
                let revision = self.staged.ok_or(PolicyError::NothingStaged)?;
                Ok(vec![
                    PolicyRevisionWithdrawn {
                        policy,
                        revision,
                        reason: words(&reason)?,
                    }
                    .into(),
                ])
            }
            C::DeletePolicy { reason } => Ok(vec![
                PolicyDeleted {
                    policy,
                    reason: words(&reason)?,
                }
                .into(),
            ]),
        }
    }
}

/// Whether the document may be saved. Only an owner makes an exception or changes one.
fn savable(document: &PolicyDocument, before: Option<&PolicyDocument>, facts: &SaveFacts) -> Result<(), PolicyError> {
    let problems = policy_engine::validate::policy(document, &facts.collections);
    if !problems.is_empty() {
        return Err(PolicyError::Refused { problems });
    }
    if document.exception && !facts.is_owner && before.is_none_or(|before| before != document) {
        return Err(PolicyError::ExceptionNeedsOwner);
    }
    Ok(())
}

fn words(reason: &str) -> Result<String, PolicyError> {
    text::free_text(reason, 0).map_err(|error| PolicyError::Reason { error })
}
