//! What a process remembers of credentials that it verified: bounded, short, and forgotten at a revocation here.
//!
//! A revocation in another process is seen within [`REMEMBER`]; routes that change something ask the log as well.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use formats::{EndpointId, TenantId, Timestamp};

use crate::Principal;

/// How long a verified credential is believed without asking again.
pub(crate) const REMEMBER: Duration = Duration::from_secs(3);
/// The most credentials that are remembered.
const MOST: usize = 50_000;

/// Verified credentials by the SHA-256 of their text.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    agents: Mutex<HashMap<[u8; 32], Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    tenant: TenantId,
    principal: Principal,
    until: Timestamp,
}

impl Guards {
    pub(crate) fn recall(&self, hash: &[u8; 32], now: Timestamp) -> Option<(TenantId, Principal)> {
        let known = self.lock().get(hash).cloned()?;
        (now < known.until).then_some((known.tenant, known.principal))
    }

    pub(crate) fn remember(
        &self,
        hash: [u8; 32],
        tenant: TenantId,
        principal: Principal,
        now: Timestamp,
        end: Timestamp,
    ) {
        let mut agents = self.lock();
        if agents.len() >= MOST {
            agents.retain(|_, known| now < known.until);
        }
        if agents.len() < MOST {
            agents.insert(
                hash,
                Known {
                    tenant,
                    principal,
                    until: (now + REMEMBER).min(end),
                },
            );
        }
    }

    pub(crate) fn forget_endpoint(&self, tenant: TenantId, endpoint: EndpointId) {
        self.lock().retain(|_, known| {
            known.tenant != tenant
                || !matches!(&known.principal, Principal::Endpoint { endpoint: e, .. } if *e == endpoint)
        });
    }

    pub(crate) fn forget_tenant(&self, tenant: TenantId) {
        self.lock().retain(|_, known| known.tenant != tenant);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Known>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
