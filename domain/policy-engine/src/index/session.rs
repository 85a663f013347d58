//! The part of a snapshot that can concern one account on one endpoint.

use std::sync::Arc;

use super::Index;
use crate::action::{Action, Machine, User};
use crate::decision::Decision;
use crate::document::Baseline;

/// An index of only those policies whose users and machines hold one account on one endpoint. An agent opens one per
/// signed-in user and snapshot; its decisions are the index's, only faster.
#[derive(Debug)]
pub struct Session {
    user: User,
    machine: Machine,
    index: Index,
}

impl Index {
    /// Opens a session. Cheap enough to do at each sign-in and each new snapshot.
    #[must_use]
    pub fn session(&self, user: &User, machine: &Machine) -> Session {
        let scope = self.scope(user, machine);
        let in_scope = self.policies.iter().enumerate().filter(|(i, _)| scope.policies.has(*i));
        let policies = in_scope.map(|(_, policy)| policy.clone()).collect();
        let index = Self::of(policies, Arc::clone(&self.shared), Baseline::clone(&self.baseline));
        index.prepare(machine.os);
        Session {
            user: user.clone(),
            machine: machine.clone(),
            index,
        }
    }
}

impl Session {
    /// How many policies are in scope.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no policy is in scope.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Decides as the whole index would. None where the action is another account's (or its groups have changed) or
    /// another endpoint's: a session must not answer for those.
    #[must_use]
    pub fn decide(&self, action: &Action) -> Option<Decision> {
        (action.user == self.user && action.machine == self.machine).then(|| self.index.decide_in(None, action))
    }
}
