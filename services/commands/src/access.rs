//! Who may do what: the one place where roles and scopes are judged (`docs/domain.md § 6`).
//!
//! An [`Act`] is a kind of thing one can do. The table says which roles and which scope suffice. What depends on the
//! object (one's own request, being routed to) is judged with it, in the use case.

use model::{Role, Scope};

use crate::{Caller, Principal, Refusal};

macro_rules! acts {
    ($($(#[$doc:meta])* $act:ident = [$($role:ident)*] $scope:expr;)*) => {
        /// A kind of thing one can do in a tenant.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Act {
            $($(#[$doc])* $act,)*
        }

        impl Act {
            /// Every act.
            pub const ALL: &'static [Self] = &[$(Self::$act),*];

            /// The roles that suffice.
            #[must_use]
            pub const fn roles(self) -> &'static [Role] {
                match self { $(Self::$act => &[$(Role::$role),*],)* }
            }

            /// The scope that suffices for a service account; none where no service account may.
            #[must_use]
            pub const fn scope(self) -> Option<Scope> {
                match self { $(Self::$act => $scope,)* }
            }
        }
    };
}

acts! {
    /// Read policies, collections and approval rules; explain hypothetical actions.
    ReadPolicies = [Auditor Admin Owner] Some(Scope::PoliciesRead);
    /// Change policies, collections and approval rules.
    WritePolicies = [Admin Owner] Some(Scope::PoliciesWrite);
    /// Read every request of the tenant. Approvers read what is routed to them, members their own.
    ReadAllRequests = [Auditor Admin Owner] Some(Scope::RequestsRead);
    /// See the queue at all.
    ReadRequests = [Member Auditor Approver Admin Owner] Some(Scope::RequestsRead);
    /// Decide requests; whether this one is judged with it.
    Decide = [Approver Admin Owner] None;
    /// Cancel, revoke and expire any request.
    AdministerRequests = [Admin Owner] Some(Scope::RequestsWrite);
    /// Take back one's own request.
    Withdraw = [Member Auditor Approver Admin Owner] None;
    /// Read users, teams and endpoint accounts.
    ReadPeople = [Auditor Admin Owner] Some(Scope::PeopleRead);
    /// Change users, roles, teams and links.
    WritePeople = [Admin Owner] Some(Scope::PeopleWrite);
    /// Take passkeys and one-time codes from somebody who lost them. Operators may, too: nobody else can help the last
    /// owner.
    ResetFactors = [Admin Owner] Some(Scope::PeopleWrite);
    /// Read endpoints and deployment groups.
    ReadFleet = [Auditor Admin Owner] Some(Scope::FleetRead);
    /// Change endpoints and deployment groups, issue registration tokens.
    WriteFleet = [Admin Owner] Some(Scope::FleetWrite);
    /// Read service accounts and their keys' names.
    ReadServiceAccounts = [Auditor Admin Owner] None;
    /// Change service accounts, issue and revoke keys.
    WriteServiceAccounts = [Admin Owner] None;
    /// Read identity providers, without their secrets.
    ReadIdentityProviders = [Auditor Admin Owner] None;
    /// Configure identity providers, with which people sign in.
    WriteIdentityProviders = [Admin Owner] None;
    /// Read the audit trail, checkpoints and proofs.
    ReadAudit = [Auditor Admin Owner] Some(Scope::AuditRead);
    /// Read the settings.
    ReadSettings = [Auditor Admin Owner] Some(Scope::PoliciesRead);
    /// Change the settings.
    WriteSettings = [Admin Owner] None;
    /// See one's own account and sign out.
    Self_ = [Member Auditor Approver Admin Owner] None;
}

impl Caller {
    /// Whether the caller may do this.
    #[must_use]
    pub fn may(&self, act: Act) -> bool {
        match &self.principal {
            Principal::User { roles, .. } => act.roles().iter().any(|role| roles.contains(role)),
            Principal::ServiceAccount { scopes, .. } => act.scope().is_some_and(|scope| scopes.contains(&scope)),
            Principal::System => true,
            Principal::Operator { .. } => act == Act::ResetFactors,
            Principal::Scim { .. } | Principal::Endpoint { .. } => false,
        }
    }

    /// Refuses where the caller may not.
    ///
    /// # Errors
    /// `FORBIDDEN`, which names the roles or the scope that would suffice.
    pub fn demand(&self, act: Act) -> Result<(), Refusal> {
        if self.may(act) {
            return Ok(());
        }
        let roles: Vec<_> = act.roles().iter().map(|role| role.as_str()).collect();
        Err(match (&self.principal, act.scope()) {
            (Principal::ServiceAccount { .. }, Some(scope)) => {
                Refusal::forbidden(format!("this needs a key with the scope {}", scope.as_str()))
            }
            (Principal::ServiceAccount { .. }, None) => Refusal::forbidden("this is for people, not for keys"),
            (Principal::Scim { .. }, _) => Refusal::forbidden("a SCIM token opens /scim/v2 alone"),
            (Principal::Endpoint { .. } | Principal::Operator { .. }, _) => {
                Refusal::forbidden("this is not for agents or operators")
            }
            _ => Refusal::forbidden(format!("this needs one of the roles {}", roles.join(", "))),
        })
    }
}

#[cfg(test)]
mod tests {
    use formats::{PersonId, TenantId, UserId};
    use uuid::Uuid;

    use super::*;
    use crate::Origin;

    fn caller(role: Role) -> Caller {
        Caller {
            tenant: TenantId::default(),
            principal: Principal::User {
                user: UserId::default(),
                person: PersonId::default(),
                roles: vec![role],
                session: None,
                method: "password".to_owned(),
                stepped_up_at: None,
            },
            origin: Origin::inside(Uuid::nil()),
        }
    }

    #[test]
    fn an_owner_may_do_everything_a_person_can() {
        for act in Act::ALL {
            assert!(caller(Role::Owner).may(*act), "{act:?}");
        }
    }

    #[test]
    fn an_auditor_changes_and_decides_nothing() {
        use Act::*;
        for act in [
            WritePolicies,
            Decide,
            AdministerRequests,
            WritePeople,
            WriteFleet,
            WriteServiceAccounts,
            WriteSettings,
        ] {
            assert!(!caller(Role::Auditor).may(act), "{act:?}");
        }
        assert!(caller(Role::Auditor).may(ReadAudit));
    }

    #[test]
    fn a_member_sees_only_what_is_theirs() {
        let may: Vec<_> = Act::ALL
            .iter()
            .copied()
            .filter(|act| caller(Role::Member).may(*act))
            .collect();
        assert_eq!(may, [Act::ReadRequests, Act::Withdraw, Act::Self_]);
    }

    #[test]
    fn nobody_below_admin_writes() {
        for act in Act::ALL.iter().filter(|act| format!("{act:?}").starts_with("Write")) {
            assert_eq!(act.roles(), [Role::Admin, Role::Owner], "{act:?}");
        }
    }
}
