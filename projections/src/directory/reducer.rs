//! How the directory changes.

use std::collections::{BTreeMap, BTreeSet};

use eventstore::TenantTx;
use formats::{ApiKeyId, PersonId, ServiceAccountId, TeamId, Timestamp, UserId};
use model::{
    catalogue::AnyEvent, person::PersonEvent, roles::RolesEvent, service_account::ServiceAccountEvent, team::TeamEvent,
    tenant::TenantEvent, user::UserEvent,
};

use super::{people, service_accounts, teams, tenant, users};
use crate::{Build, Delta, Envelope, FlushError, FoldError, projection::BoxFuture, touched::Touched};

#[derive(Debug, Default)]
pub(super) struct DirectoryDelta {
    tenant: Vec<(TenantEvent, Timestamp)>,
    users: Touched<UserId, (UserEvent, Timestamp)>,
    roles: BTreeMap<UserId, users::RolesChange>,
    people: Touched<PersonId, (PersonEvent, Timestamp)>,
    /// Erasing is for ever, so it may be done after everything else of the batch.
    erased: BTreeMap<PersonId, Timestamp>,
    teams: Touched<TeamId, (teams::Change, Timestamp)>,
    members: Members,
    service_accounts: Touched<ServiceAccountId, (ServiceAccountEvent, Timestamp)>,
    api_keys: Touched<ApiKeyId, (ServiceAccountEvent, Timestamp)>,
    closed_accounts: BTreeMap<ServiceAccountId, Timestamp>,
}

/// Who came into teams and who left.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Teams that lose whatever members are stored.
    pub(super) emptied: BTreeSet<TeamId>,
    /// Whether a user is in a team at the end of the batch, where that changed.
    pub(super) changed: BTreeMap<(TeamId, UserId), bool>,
}

impl Members {
    fn fold(&mut self, event: &TeamEvent) {
        match event {
            TeamEvent::TeamCreated(e) => {
                self.empty(e.team);
                self.changed
                    .extend(e.members.iter().map(|user| ((e.team, *user), true)));
            }
            TeamEvent::TeamMembersChanged(e) => {
                self.changed.extend(e.added.iter().map(|user| ((e.team, *user), true)));
                self.changed
                    .extend(e.removed.iter().map(|user| ((e.team, *user), false)));
            }
            TeamEvent::TeamDeleted(e) => self.empty(e.team),
            TeamEvent::TeamRenamed(_) | TeamEvent::TeamExternalIdChanged(_) | TeamEvent::TeamReleased(_) => {}
        }
    }

    fn empty(&mut self, team: TeamId) {
        self.emptied.insert(team);
        self.changed.retain(|(t, _), _| *t != team);
    }
}

impl Delta for DirectoryDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        let at = event.recorded_at;
        match &event.event {
            AnyEvent::Tenant(e) => self.tenant.push((e.clone(), at)),
            AnyEvent::User(e) => self.users.push(users::subject(e), (e.clone(), at)),
            AnyEvent::Roles(RolesEvent::RolesAssigned(e)) => {
                self.roles.entry(e.user).or_default().assigned = Some(e.roles.clone());
            }
            AnyEvent::Roles(RolesEvent::MappedRolesChanged(e)) => {
                self.roles.entry(e.user).or_default().by_teams = Some(e.roles.clone());
            }
            AnyEvent::Roles(RolesEvent::TeamRolesMapped(e)) => {
                self.teams.push(e.team, (teams::Change::Roles(e.roles.clone()), at));
            }
            AnyEvent::Person(e) => {
                if let PersonEvent::PersonErased(e) = e {
                    self.erased.insert(e.person, at);
                }
                self.people.push(people::subject(e), (e.clone(), at));
            }
            AnyEvent::Team(e) => {
                self.members.fold(e);
                self.teams.push(teams::subject(e), (teams::Change::Team(e.clone()), at));
            }
            AnyEvent::ServiceAccount(e) => self.service_account(e, at),
            AnyEvent::Scim(_)
            | AnyEvent::Platform(_)
            | AnyEvent::DeploymentGroup(_)
            | AnyEvent::Endpoint(_)
            | AnyEvent::Activity(_)
            | AnyEvent::Collection(_)
            | AnyEvent::Policy(_)
            | AnyEvent::ApprovalRules(_)
            | AnyEvent::IdentityProvider(_)
            | AnyEvent::Request(_) => {}
        }
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move {
            let build = build.number;
            tenant::flush(tx, build, self.tenant).await?;
            users::flush(tx, build, self.users).await?;
            users::flush_roles(tx, build, &self.roles).await?;
            people::flush(tx, build, self.people).await?;
            if !self.erased.is_empty() {
                users::erase(tx, build, &self.erased).await?;
                people::erase(tx, build, &self.erased).await?;
            }
            teams::flush(tx, build, self.teams).await?;
            teams::flush_members(tx, build, &self.members).await?;
            service_accounts::flush(tx, build, self.service_accounts).await?;
            service_accounts::flush_keys(tx, build, self.api_keys).await?;
            service_accounts::close(tx, build, &self.closed_accounts).await
        })
    }
}

impl DirectoryDelta {
    fn service_account(&mut self, event: &ServiceAccountEvent, at: Timestamp) {
        match event {
            ServiceAccountEvent::ServiceAccountCreated(e) => {
                self.service_accounts.push(e.account, (event.clone(), at));
            }
            ServiceAccountEvent::ApiKeyIssued(e) => self.api_keys.push(e.key, (event.clone(), at)),
            ServiceAccountEvent::ApiKeyRevoked(e) => self.api_keys.push(e.key, (event.clone(), at)),
            ServiceAccountEvent::ServiceAccountDeleted(e) => {
                self.service_accounts.push(e.account, (event.clone(), at));
                self.closed_accounts.insert(e.account, at);
            }
        }
    }
}
