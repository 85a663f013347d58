//! The state of an endpoint and its decisions.

use formats::{DeploymentGroupId, EndpointId};
use serde::{Deserialize, Serialize};

use super::{
    EndpointCommand, EndpointError, EndpointEvent, EndpointMoved, EndpointRegistered, EndpointRemoved, Machine,
    SnapshotApplied,
};
use crate::{Noun, aggregate::aggregate, text};

/// An endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    id: Option<EndpointId>,
    group: Option<DeploymentGroupId>,
    public_key: String,
    machine: Option<Machine>,
    applied: Option<(u32, u64)>,
    removed: bool,
}

aggregate!(Endpoint, "endpoint", EndpointCommand, EndpointEvent, EndpointError);

impl Endpoint {
    /// Whether its agent may come in.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.id.is_some() && !self.removed
    }

    /// Its deployment group, unless it was removed.
    #[must_use]
    pub fn group(&self) -> Option<DeploymentGroupId> {
        self.group.filter(|_| !self.removed)
    }

    /// The agent's Ed25519 public key, base64url.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// The machine as the agent described it.
    #[must_use]
    pub const fn machine(&self) -> Option<&Machine> {
        self.machine.as_ref()
    }

    fn fold(&mut self, event: EndpointEvent) {
        match event {
            EndpointEvent::EndpointRegistered(e) => {
                self.public_key = e.public_key;
                self.machine = Some(e.machine);
                self.id = Some(e.endpoint);
                self.group = Some(e.group);
            }
            EndpointEvent::EndpointMoved(e) => self.group = Some(e.group),
            EndpointEvent::SnapshotApplied(e) => self.applied = Some((e.epoch, e.version)),
            EndpointEvent::EndpointRemoved(_) => self.removed = true,
        }
    }
}

fn checked(field: &'static str, result: Result<String, text::TextError>) -> Result<String, EndpointError> {
    result.map_err(|error| EndpointError::Text { field, error })
}

impl Noun for Endpoint {
    fn decide(&self, command: EndpointCommand) -> Result<Vec<EndpointEvent>, EndpointError> {
        use EndpointCommand as C;
        if let C::RegisterEndpoint {
            endpoint,
            group,
            token,
            mut machine,
            public_key,
            replaces,
        } = command
        {
            if self.id.is_some() {
                return Err(EndpointError::AlreadyExists);
            }
            machine.name = checked("machine.name", text::name(&machine.name))?;
            machine.machine_id = checked("machine.machineId", text::name(&machine.machine_id))?;
            machine.os_version = checked("machine.osVersion", text::name(&machine.os_version))?;
            return Ok(vec![
                EndpointRegistered {
                    endpoint,
                    group,
                    token,
                    machine,
                    public_key,
                    replaces,
                }
                .into(),
            ]);
        }
        let endpoint = self.id.ok_or(EndpointError::NotFound)?;
        if self.removed {
            return Err(EndpointError::Removed);
        }
        Ok(vec![match command {
            C::RegisterEndpoint { .. } => return Err(EndpointError::AlreadyExists),
            C::MoveEndpoint { group } if self.group == Some(group) => return Ok(Vec::new()),
            C::MoveEndpoint { group } => EndpointMoved { endpoint, group }.into(),
            C::ApplySnapshot { version, offered, .. } if version > offered => {
                return Err(EndpointError::NeverOffered { version, offered });
            }
            C::ApplySnapshot { epoch, version, .. } if self.applied == Some((epoch, version)) => {
                return Ok(Vec::new());
            }
            C::ApplySnapshot {
                epoch,
                version,
                applied_at,
                ..
            } => SnapshotApplied {
                endpoint,
                epoch,
                version,
                applied_at,
            }
            .into(),
            C::RemoveEndpoint { reason } => EndpointRemoved {
                endpoint,
                reason: checked("reason", text::free_text(&reason, 0))?,
            }
            .into(),
        }])
    }
}
