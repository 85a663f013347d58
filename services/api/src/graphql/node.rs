//! Anything that has an id of its own (Relay's global object identification).

use async_graphql::{Context, ID, Interface, Object};
use commands::Act;
use formats::TenantId;

use super::{
    approval_rules::ApprovalRule,
    audit::AuditEvent,
    collections::Collection,
    context::{Ask, Frame},
    endpoints::Endpoint,
    error::{Answer, Fault, forbidden_is_none},
    groups::{DeploymentGroup, RegistrationToken},
    identity_providers::IdentityProvider,
    ids::typed,
    policies::{Policy, PolicyRevision},
    recorded_actions::RecordedAction,
    requests::{Grant, Request},
    scim::ScimToken,
    service_accounts::{ApiKey, ServiceAccount},
    teams::Team,
    users::User,
    viewer::Tenant,
};

/// Anything that has an id of its own.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID"))]
pub(crate) enum Node {
    ApiKey(ApiKey),
    ApprovalRule(ApprovalRule),
    AuditEvent(AuditEvent),
    Collection(Collection),
    DeploymentGroup(DeploymentGroup),
    Endpoint(Endpoint),
    Grant(Grant),
    IdentityProvider(IdentityProvider),
    Policy(Policy),
    PolicyRevision(PolicyRevision),
    RecordedAction(RecordedAction),
    RegistrationToken(RegistrationToken),
    Request(Request),
    ScimToken(ScimToken),
    ServiceAccount(ServiceAccount),
    Team(Team),
    Tenant(Tenant),
    User(User),
}

/// The object behind an id, by the kind that the id's beginning names.
async fn find(frame: &Frame, id: &ID) -> Answer<Option<Node>> {
    macro_rules! one {
        ($kind:ident) => {
            match typed(id) {
                Some(id) => $kind::find(frame, id).await?.map(Node::$kind),
                None => None,
            }
        };
    }
    let Some((kind, _)) = id.as_str().split_once('_') else {
        return Ok(None);
    };
    Ok(match kind {
        "act" => one!(RecordedAction),
        "col" => one!(Collection),
        "dgr" => one!(DeploymentGroup),
        "end" => one!(Endpoint),
        "evt" => AuditEvent::find(frame, id.as_str()).await?.map(Node::AuditEvent),
        "grant" => {
            frame.caller.demand(Act::ReadRequests)?;
            match Grant::request_of(id.as_str()) {
                Some(request) => Request::find(frame, request)
                    .await?
                    .and_then(|r| Grant::of(&r.0))
                    .map(Node::Grant),
                None => None,
            }
        }
        "idp" => one!(IdentityProvider),
        "key" => one!(ApiKey),
        "pol" if id.as_str().contains(':') => PolicyRevision::find(frame, id.as_str())
            .await?
            .map(Node::PolicyRevision),
        "pol" => one!(Policy),
        "req" => {
            frame.caller.demand(Act::ReadRequests)?;
            one!(Request)
        }
        "rtk" => one!(RegistrationToken),
        "rul" => one!(ApprovalRule),
        "sct" => one!(ScimToken),
        "svc" => one!(ServiceAccount),
        "tem" => one!(Team),
        "ten" if typed::<TenantId>(id) == Some(frame.caller.tenant) => Some(Node::Tenant(Tenant::own(frame).await?)),
        "usr" => one!(User),
        _ => None,
    })
}

#[derive(Default)]
pub(crate) struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Any object with an id; null where it does not exist or may not be seen.
    async fn node(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Node>> {
        find(&ctx.frame(), &id)
            .await
            .or_else(|fault: Fault| forbidden_is_none(fault))
    }
}
