//! All event types of the product, for tools that go over them: golden fixtures, JSON schemas, projections.

use serde_json::{Map, Value};

use crate::{
    activity, approval_rule, collection, deployment, endpoint, identity_provider, person, platform, policy, read_event,
    request, roles, scim, service_account, team, tenant, user,
};

/// The stream types and the event types in each.
pub const EVENT_TYPES: &[(&str, &[&str])] = &[
    ("tenant", tenant::TenantEvent::TYPES),
    ("person", person::PersonEvent::TYPES),
    ("user", user::UserEvent::TYPES),
    ("roles", roles::RolesEvent::TYPES),
    ("team", team::TeamEvent::TYPES),
    ("service_account", service_account::ServiceAccountEvent::TYPES),
    ("identity_provider", identity_provider::IdentityProviderEvent::TYPES),
    ("scim", scim::ScimEvent::TYPES),
    ("deployment_group", deployment::DeploymentGroupEvent::TYPES),
    ("endpoint", endpoint::EndpointEvent::TYPES),
    ("activity", activity::ActivityEvent::TYPES),
    ("collection", collection::CollectionEvent::TYPES),
    ("policy", policy::PolicyEvent::TYPES),
    ("approval_rules", approval_rule::ApprovalRulesEvent::TYPES),
    ("request", request::RequestEvent::TYPES),
    ("platform", platform::PlatformEvent::TYPES),
];

/// An event type, and its fields with their Rust types.
pub type EventFields = (&'static str, &'static [(&'static str, &'static str)]);

/// The stream types and the fields of the events in each.
pub const EVENT_FIELDS: &[(&str, &[EventFields])] = &[
    ("tenant", tenant::TenantEvent::FIELDS),
    ("person", person::PersonEvent::FIELDS),
    ("user", user::UserEvent::FIELDS),
    ("roles", roles::RolesEvent::FIELDS),
    ("team", team::TeamEvent::FIELDS),
    ("service_account", service_account::ServiceAccountEvent::FIELDS),
    ("identity_provider", identity_provider::IdentityProviderEvent::FIELDS),
    ("scim", scim::ScimEvent::FIELDS),
    ("deployment_group", deployment::DeploymentGroupEvent::FIELDS),
    ("endpoint", endpoint::EndpointEvent::FIELDS),
    ("activity", activity::ActivityEvent::FIELDS),
    ("collection", collection::CollectionEvent::FIELDS),
    ("policy", policy::PolicyEvent::FIELDS),
    ("approval_rules", approval_rule::ApprovalRulesEvent::FIELDS),
    ("request", request::RequestEvent::FIELDS),
    ("platform", platform::PlatformEvent::FIELDS),
];

/// Any event of the product.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyEvent {
    /// Of a tenant.
    Tenant(tenant::TenantEvent),
    /// Of a person.
    Person(person::PersonEvent),
    /// Of a user.
    User(user::UserEvent),
    /// Of the roles.
    Roles(roles::RolesEvent),
    /// Of a team.
    Team(team::TeamEvent),
    /// Of a service account.
    ServiceAccount(service_account::ServiceAccountEvent),
    /// Of an identity provider.
    IdentityProvider(identity_provider::IdentityProviderEvent),
    /// Of a tenant's SCIM door.
    Scim(scim::ScimEvent),
    /// Of a deployment group.
    DeploymentGroup(deployment::DeploymentGroupEvent),
    /// Of an endpoint.
    Endpoint(endpoint::EndpointEvent),
    /// Of an endpoint's activity.
    Activity(activity::ActivityEvent),
    /// Of a collection.
    Collection(collection::CollectionEvent),
    /// Of a policy.
    Policy(policy::PolicyEvent),
    /// Of the approval rules.
    ApprovalRules(approval_rule::ApprovalRulesEvent),
    /// Of a request.
    Request(request::RequestEvent),
    /// Of the platform's own log.
    Platform(platform::PlatformEvent),
}

impl AnyEvent {
    /// Reads an event, already brought to its newest schema version.
    ///
    /// # Errors
    /// The shape is not that of the type, or the stream type is unknown.
    pub fn read(stream_type: &str, event_type: &str, data: &Map<String, Value>) -> Result<Self, serde_json::Error> {
        Ok(match stream_type {
            "tenant" => Self::Tenant(read_event(event_type, data)?),
            "person" => Self::Person(read_event(event_type, data)?),
            "user" => Self::User(read_event(event_type, data)?),
            "roles" => Self::Roles(read_event(event_type, data)?),
            "team" => Self::Team(read_event(event_type, data)?),
            "service_account" => Self::ServiceAccount(read_event(event_type, data)?),
            "identity_provider" => Self::IdentityProvider(read_event(event_type, data)?),
            "scim" => Self::Scim(read_event(event_type, data)?),
            "deployment_group" => Self::DeploymentGroup(read_event(event_type, data)?),
            "endpoint" => Self::Endpoint(read_event(event_type, data)?),
            "activity" => Self::Activity(read_event(event_type, data)?),
            "collection" => Self::Collection(read_event(event_type, data)?),
            "policy" => Self::Policy(read_event(event_type, data)?),
            "approval_rules" => Self::ApprovalRules(read_event(event_type, data)?),
            "request" => Self::Request(read_event(event_type, data)?),
            "platform" => Self::Platform(read_event(event_type, data)?),
            other => return Err(serde::de::Error::custom(format!("unknown stream type {other}"))),
        })
    }
}
