//! The GraphQL door: `/graphql` and `/graphql/ws`.
//!
//! One file per noun holds its types, its queries and its mutations. A resolver says what may be done
//! (`Ask::frame_for`, or the use case does) and reads in short transactions; what a list
//! asks of each of its rows goes through `loaders`, so that the database is asked a constant number of times. What a
//! document may hold is counted in `limits` before anything of it is executed. Start reading at `http` and
//! `context`.

mod action;
mod actor;
mod approval_rules;
mod audit;
mod collections;
mod context;
mod endpoints;
mod error;
mod explain;
mod groups;
mod http;
mod identity_providers;
mod ids;
mod inventory;
mod limits;
mod loaders;
mod mails;
mod measure;
mod node;
mod overview;
mod paging;
mod policies;
mod policy_changes;
mod policy_drafts;
mod policy_files;
mod recorded_actions;
mod request_changes;
mod request_standing;
mod requests;
mod scalars;
mod scim;
mod service_accounts;
mod settings;
mod socket;
mod subscriptions;
mod teams;
mod users;
mod viewer;
mod words;

use async_graphql::{MergedObject, SDLExportOptions, Schema};
use axum::{
    Router,
    extract::{Request, State},
    middleware::from_fn_with_state,
    routing::get,
};

use crate::{
    ApiState,
    layers::{BodyLimit, limit_body},
};

#[derive(MergedObject, Default)]
struct Query(
    node::NodeQuery,
    viewer::ViewerQuery,
    overview::OverviewQuery,
    policies::PolicyQuery,
    policy_drafts::PolicyDraftQuery,
    policy_files::PolicyFileQuery,
    collections::CollectionQuery,
    inventory::InventoryQuery,
    requests::RequestQuery,
    approval_rules::ApprovalRuleQuery,
    endpoints::EndpointQuery,
    groups::GroupQuery,
    audit::AuditQuery,
    explain::ExplainQuery,
    users::UserQuery,
    teams::TeamQuery,
    scim::ScimQuery,
    service_accounts::ServiceAccountQuery,
    identity_providers::IdentityProviderQuery,
    settings::SettingsQuery,
    mails::MailQuery,
);

#[derive(MergedObject, Default)]
struct Mutation(
    policy_changes::PolicyMutation,
    collections::CollectionMutation,
    approval_rules::ApprovalRuleMutation,
    users::UserMutation,
    teams::TeamMutation,
    groups::GroupMutation,
    endpoints::EndpointMutation,
    scim::ScimMutation,
    service_accounts::ServiceAccountMutation,
    identity_providers::IdentityProviderMutation,
    settings::SettingsMutation,
    request_changes::RequestMutation,
    mails::MailMutation,
);

type ApiSchema = Schema<Query, Mutation, subscriptions::SubscriptionRoot>;

fn schema() -> ApiSchema {
    Schema::build(Query::default(), Mutation::default(), subscriptions::SubscriptionRoot)
        .limit_depth(limits::DEPTH)
        .limit_complexity(limits::COMPLEXITY)
        .finish()
}

/// What the exported schema begins with.
const HEADER: &str = "\
# The API of Portcullis. Written by `portcullis schema export`; change services/api/src/graphql instead.
#
# Ids are TypeIDs (`req_…`, `pol_…`), the same string everywhere. A refusal is an error with `extensions.code`
# (errors.md), `extensions.field` for bad input, and `extensions.problems`, a list of {field, code, message}, where several
# fields of one input are wrong. Another tenant's id behaves like an unknown one.

";

/// The schema as text: what `api-schema/schema.graphql` holds.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new().prefer_single_line_descriptions();
    let text = schema().sdl_with_options(options);
    format!("{HEADER}{}\n", text.replace('\t', "  ").trim_end())
}

/// The routes of the door.
pub(crate) fn routes() -> Router<ApiState> {
    let (documents, sockets) = (schema(), schema());
    let over_http = move |state: State<ApiState>, request: Request| http::graphql(state, documents.clone(), request);
    Router::new()
        .route("/graphql", get(over_http.clone()).post(over_http))
        .layer(from_fn_with_state(BodyLimit(limits::BODY), limit_body))
        .route(
            "/graphql/ws",
            get(move |state, headers, authed, upgrade| {
                socket::subscribe(state, sockets.clone(), headers, authed, upgrade)
            }),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed schema is what clients are built against. `portcullis schema export` writes it anew.
    #[test]
    fn the_committed_schema_is_the_one_that_is_served() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../api-schema/schema.graphql");
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(
            committed == sdl(),
            "api-schema/schema.graphql has drifted: run `portcullis schema export`"
        );
    }

    #[test]
    fn the_schema_is_the_same_every_time_it_is_written() {
        assert_eq!(sdl(), sdl());
    }
}
