//! How the rows follow from the log.

use std::collections::BTreeSet;

use eventstore::TenantTx;
use formats::{PersonId, ScimTokenId, TeamId, Timestamp, UserId};
use model::{catalogue::AnyEvent, person::PersonEvent, scim::ScimEvent, team::TeamEvent, user::UserEvent};

use super::{groups, tokens, users};
use crate::{Build, Delta, Envelope, FlushError, FoldError, projection::BoxFuture, touched::Touched};

/// An event with its number in the stream and its moment.
#[derive(Debug)]
pub(super) struct Dated<E> {
    pub(super) event: E,
    pub(super) version: u64,
    pub(super) at: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct ScimDelta {
    users: Touched<UserId, (UserId, Dated<UserEvent>)>,
    groups: Touched<TeamId, (TeamId, Dated<TeamEvent>)>,
    tokens: Touched<ScimTokenId, Dated<ScimEvent>>,
    /// Erasing is for ever, so it may be done after everything else of the batch.
    erased: BTreeSet<PersonId>,
}

impl Delta for ScimDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        fn dated<E: Clone>(event: &Envelope, inner: &E) -> Dated<E> {
            Dated {
                event: inner.clone(),
                version: event.stream_version,
                at: event.recorded_at,
            }
        }
        match &event.event {
            AnyEvent::User(e) => {
                let user = UserId::from_uuid(event.stream_id);
                self.users.push(user, (user, dated(event, e)));
            }
            AnyEvent::Team(e) => {
                let team = TeamId::from_uuid(event.stream_id);
                self.groups.push(team, (team, dated(event, e)));
            }
            AnyEvent::Scim(e) => {
                if let Some(token) = tokens::subject(e) {
                    self.tokens.push(token, dated(event, e));
                }
            }
            AnyEvent::Person(PersonEvent::PersonErased(e)) => {
                self.erased.insert(e.person);
            }
            AnyEvent::Person(
                PersonEvent::EndpointAccountSeen(_)
                | PersonEvent::EndpointAccountLinked(_)
                | PersonEvent::EndpointAccountUnlinked(_),
            )
            | AnyEvent::Tenant(_)
            | AnyEvent::Roles(_)
            | AnyEvent::ServiceAccount(_)
            | AnyEvent::IdentityProvider(_)
            | AnyEvent::DeploymentGroup(_)
            | AnyEvent::Endpoint(_)
            | AnyEvent::Activity(_)
            | AnyEvent::Collection(_)
            | AnyEvent::Policy(_)
            | AnyEvent::ApprovalRules(_)
            | AnyEvent::Request(_)
            | AnyEvent::Platform(_) => {}
        }
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move {
            users::flush(tx, build.number, self.users).await?;
            users::erase(tx, build.number, &self.erased).await?;
            groups::flush(tx, build.number, self.groups).await?;
            tokens::flush(tx, build.number, self.tokens).await
        })
    }
}
