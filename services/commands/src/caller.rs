//! Who asks, and from where.

use std::net::IpAddr;

use formats::{
    Actor, ActorKind, ApiKeyId, DeploymentGroupId, EndpointId, PersonId, ScimTokenId, ServiceAccountId, SessionId,
    TenantId, Timestamp, UserId,
};
use model::{Role, Scope};
use uuid::Uuid;

/// Where a call comes from, before it is known who makes it.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The client's address, as far as trusted proxies tell it.
    pub address: Option<IpAddr>,
    /// The client's own name for itself (`User-Agent`), at most 200 characters.
    pub agent: Option<String>,
    /// One id for everything that follows from this call.
    pub correlation: Uuid,
    /// The W3C trace context of the call.
    pub traceparent: Option<String>,
    /// The caller's name for this command, so that a repeat is recognised.
    pub idempotency_key: Option<String>,
}

impl Origin {
    /// A call from inside: a timer, a reactor, the command line.
    #[must_use]
    pub const fn inside(correlation: Uuid) -> Self {
        Self {
            address: None,
            agent: None,
            correlation,
            traceparent: None,
            idempotency_key: None,
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Principal {
    /// A user, signed in.
    User {
        /// Who.
        user: UserId,
        /// Whom the account is about.
        person: PersonId,
        /// The roles at this moment, weakest first.
        roles: Vec<Role>,
        /// The session; none for a mail link with step-up.
        session: Option<SessionId>,
        /// How they proved it: `password`, `password+totp`, `password+passkey`, `link+totp`, `link+passkey`, `oidc`, `token`.
        method: String,
        /// When a second factor was last given.
        stepped_up_at: Option<Timestamp>,
    },
    /// A service account's key.
    ServiceAccount {
        /// The account.
        account: ServiceAccountId,
        /// The key.
        key: ApiKeyId,
        /// What the key may do.
        scopes: Vec<Scope>,
    },
    /// An identity provider with a SCIM token.
    Scim {
        /// The token.
        token: ScimTokenId,
        /// What people call it.
        label: String,
        /// It does nothing to users above this role.
        role: Role,
    },
    /// An agent.
    Endpoint {
        /// The endpoint.
        endpoint: EndpointId,
        /// Its deployment group.
        group: DeploymentGroupId,
    },
    /// A platform operator, who reads no tenant's policies or requests.
    Operator {
        /// The credential's name, or the account that runs the command line.
        name: String,
        /// How they proved it: `platform_credential` or `command_line`.
        method: &'static str,
    },
    /// The product itself: scheduler, reactors, seeding.
    System,
}

/// Who asks, in which tenant, and from where.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant everything is about.
    pub tenant: TenantId,
    /// Who.
    pub principal: Principal,
    /// From where.
    pub origin: Origin,
}

impl Caller {
    /// The product itself.
    #[must_use]
    pub const fn system(tenant: TenantId, correlation: Uuid) -> Self {
        Self {
            tenant,
            principal: Principal::System,
            origin: Origin::inside(correlation),
        }
    }

    /// The user, if it is one.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        match &self.principal {
            Principal::User { user, .. } => Some(*user),
            _ => None,
        }
    }

    /// The session, if the caller came with one.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        match &self.principal {
            Principal::User { session, .. } => *session,
            _ => None,
        }
    }

    /// The user's roles; empty for others.
    #[must_use]
    pub fn roles(&self) -> &[Role] {
        match &self.principal {
            Principal::User { roles, .. } => roles,
            _ => &[],
        }
    }

    /// The highest role that the caller acts with: a user's own, or the one that a SCIM token is limited to. None for
    /// those who have no role.
    #[must_use]
    pub fn limit(&self) -> Option<Role> {
        match &self.principal {
            Principal::User { roles, .. } => roles.iter().max().copied(),
            Principal::Scim { role, .. } => Some(*role),
            _ => None,
        }
    }

    /// Whether the user has this role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles().contains(&role)
    }

    /// Whether the user is an admin or owner.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.has(Role::Admin) || self.has(Role::Owner)
    }

    /// The principal as a word, for command ids and limits: `usr_…`, `svc_…`, `sct_…`, `end_…`, `operator`, `system`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.principal {
            Principal::User { user, .. } => user.to_string(),
            Principal::ServiceAccount { account, .. } => account.to_string(),
            Principal::Scim { token, .. } => token.to_string(),
            Principal::Endpoint { endpoint, .. } => endpoint.to_string(),
            Principal::Operator { .. } => "operator".to_owned(),
            Principal::System => "system".to_owned(),
        }
    }

    /// How the log names who acted.
    #[must_use]
    pub fn actor(&self) -> Actor {
        let (kind, id, method) = match &self.principal {
            Principal::User { user, method, .. } => (ActorKind::User, Some(user.to_string()), Some(method.clone())),
            Principal::ServiceAccount { account, .. } => (
                ActorKind::ServiceAccount,
                Some(account.to_string()),
                Some("api_key".to_owned()),
            ),
            Principal::Scim { token, .. } => (
                ActorKind::ScimToken,
                Some(token.to_string()),
                Some("scim_token".to_owned()),
            ),
            Principal::Endpoint { endpoint, .. } => (
                ActorKind::Endpoint,
                Some(endpoint.to_string()),
                Some("agent_token".to_owned()),
            ),
            Principal::Operator { name, method } => {
                (ActorKind::Operator, Some(name.clone()), Some((*method).to_owned()))
            }
            Principal::System => (ActorKind::System, None, None),
        };
        Actor { kind, id, method }
    }

    /// The person who acted, where the log seals their address.
    #[must_use]
    pub const fn person(&self) -> Option<PersonId> {
        match &self.principal {
            Principal::User { person, .. } => Some(*person),
            _ => None,
        }
    }
}
