//! How the fleet changes.

use eventstore::TenantTx;
use formats::{DeploymentGroupId, EndpointId, RegistrationTokenId, Timestamp};
use model::{catalogue::AnyEvent, deployment::DeploymentGroupEvent, endpoint::EndpointEvent};

use super::{endpoints, groups, tokens};
use crate::{Build, Delta, Envelope, FlushError, FoldError, columns::Stamp, projection::BoxFuture, touched::Touched};

#[derive(Debug, Default)]
pub(super) struct FleetDelta {
    groups: Touched<DeploymentGroupId, (DeploymentGroupEvent, Timestamp)>,
    tokens: Touched<RegistrationTokenId, (DeploymentGroupEvent, Stamp)>,
    endpoints: Touched<EndpointId, (EndpointChange, Timestamp)>,
}

/// What happens to an endpoint's row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum EndpointChange {
    /// An event of its own.
    Own(EndpointEvent),
    /// Its machine was registered again, as another endpoint.
    ReplacedBy(EndpointId),
}

impl Delta for FleetDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        match &event.event {
            AnyEvent::DeploymentGroup(e) => self.group(e, event),
            AnyEvent::Endpoint(e) => self.endpoint(e, event.recorded_at),
            AnyEvent::Tenant(_)
            | AnyEvent::Person(_)
            | AnyEvent::User(_)
            | AnyEvent::Roles(_)
            | AnyEvent::Team(_)
            | AnyEvent::Platform(_)
            | AnyEvent::Scim(_)
            | AnyEvent::ServiceAccount(_)
            | AnyEvent::IdentityProvider(_)
            | AnyEvent::Activity(_)
            | AnyEvent::Collection(_)
            | AnyEvent::Policy(_)
            | AnyEvent::ApprovalRules(_)
            | AnyEvent::Request(_) => {}
        }
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move {
            groups::flush(tx, build.number, self.groups).await?;
            tokens::flush(tx, build.number, self.tokens).await?;
            endpoints::flush(tx, build.number, self.endpoints).await
        })
    }
}

impl FleetDelta {
    fn group(&mut self, event: &DeploymentGroupEvent, envelope: &Envelope) {
        let mut token = |id| self.tokens.push(id, (event.clone(), Stamp::from(envelope)));
        let group = match event {
            DeploymentGroupEvent::DeploymentGroupCreated(e) => e.group,
            DeploymentGroupEvent::DeploymentGroupRenamed(e) => e.group,
            DeploymentGroupEvent::DeploymentGroupDeleted(e) => e.group,
            DeploymentGroupEvent::RegistrationTokenIssued(e) => return token(e.token),
            DeploymentGroupEvent::RegistrationTokenUsed(e) => return token(e.token),
            DeploymentGroupEvent::RegistrationTokenRevoked(e) => return token(e.token),
            // Ignored: what is served is in `policy_snapshot`.
            DeploymentGroupEvent::SnapshotConfirmed(_) => return,
        };
        self.groups.push(group, (event.clone(), envelope.recorded_at));
    }

    fn endpoint(&mut self, event: &EndpointEvent, at: Timestamp) {
        let id = match event {
            EndpointEvent::EndpointRegistered(e) => {
                if let Some(earlier) = e.replaces {
                    self.endpoints
                        .push(earlier, (EndpointChange::ReplacedBy(e.endpoint), at));
                }
                e.endpoint
            }
            EndpointEvent::EndpointMoved(e) => e.endpoint,
            EndpointEvent::SnapshotApplied(e) => e.endpoint,
            EndpointEvent::EndpointRemoved(e) => e.endpoint,
        };
        self.endpoints.push(id, (EndpointChange::Own(event.clone()), at));
    }
}
