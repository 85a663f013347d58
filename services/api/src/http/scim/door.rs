//! The routes.

use axum::{
    middleware::{from_fn, from_fn_with_state},
    routing::any,
};

use super::{BODY_MAX, discovery, error::in_scims_form, handlers as on};
use crate::{
    layers::{BodyLimit, limit_body},
    openapi::{Door, Login, Op, Shape},
    router::wrong_method,
};

const IF_MATCH: &str = "Only if the resource is of this version: its ETag, or `*`.";
const IF_NONE_MATCH: &str = "304 if the resource is of this version: its ETag, or `*`.";

fn op(name: &'static str, summary: &'static str) -> Op {
    Op::new(name, summary).by(Login::Scim)
}

fn chosen(op: Op) -> Op {
    op.query("attributes", "string", "Only these, with commas between them")
        .query(
            "excludedAttributes",
            "string",
            "All but these, with commas between them",
        )
}

fn listed(op: Op) -> Op {
    chosen(op)
        .query(
            "filter",
            "string",
            "RFC 7644 § 3.4.2.2; 4,096 bytes, 100 comparisons, 20 brackets deep at most",
        )
        .query("startIndex", "integer", "The first one wanted, from 1")
        .query("count", "integer", "How many, 100 where nothing is said, 200 at most")
        .answers(200, "A page", Shape::Scim("ScimList"))
        .refuses(400, "INVALID_FILTER, TOO_MANY")
}

fn one(op: Op, shape: &'static str) -> Op {
    chosen(op)
        .header("If-None-Match", IF_NONE_MATCH)
        .answers(200, "The resource", Shape::Scim(shape))
        .answers(304, "It is of that version", Shape::Empty)
}

fn made(op: Op, shape: &'static str) -> Op {
    chosen(op)
        .takes(Shape::Scim(shape))
        .answers(201, "The resource", Shape::Scim(shape))
        .refuses(400, "INVALID_SYNTAX, TOO_MANY")
        .refuses(409, "NAME_TAKEN")
}

fn changed(op: Op, takes: &'static str, shape: &'static str) -> Op {
    chosen(op)
        .header("If-Match", IF_MATCH)
        .takes(Shape::Scim(takes))
        .answers(200, "The resource", Shape::Scim(shape))
        .refuses(
            400,
            "INVALID_SYNTAX, INVALID_PATH, INVALID_FILTER, NO_TARGET, MUTABILITY, TOO_MANY",
        )
        .refuses(409, "NAME_TAKEN, LAST_OWNER, CONFLICT")
        .refuses(412, "PRECONDITION_FAILED")
}

fn gone(op: Op) -> Op {
    op.header("If-Match", IF_MATCH)
        .answers(204, "It is gone", Shape::Empty)
        .refuses(409, "LAST_OWNER, IN_USE, CONFLICT")
        .refuses(412, "PRECONDITION_FAILED")
}

fn told(op: Op) -> Op {
    op.answers(200, "As RFC 7643 says it", Shape::Scim("ScimDocument"))
}

fn sought(op: Op) -> Op {
    op.takes(Shape::Scim("ScimSearch"))
        .answers(200, "A page", Shape::Scim("ScimList"))
        .refuses(400, "INVALID_SYNTAX, INVALID_FILTER, TOO_MANY")
}

pub(crate) fn door() -> Door {
    let users = "/scim/v2/Users";
    let user = "/scim/v2/Users/{id}";
    let groups = "/scim/v2/Groups";
    let group = "/scim/v2/Groups/{id}";
    Door::new()
        .get(
            users,
            on::list_users,
            listed(op("scimListUsers", "Users, oldest first")),
        )
        .post(
            users,
            on::create_user,
            made(
                op("scimCreateUser", "Make a user, or bring back a deleted one"),
                "ScimUser",
            ),
        )
        .post(
            "/scim/v2/Users/.search",
            on::search_users,
            sought(op("scimSearchUsers", "Search for users")),
        )
        .get(user, on::get_user, one(op("scimGetUser", "One user"), "ScimUser"))
        .put(
            user,
            on::replace_user,
            changed(op("scimReplaceUser", "Replace a user"), "ScimUser", "ScimUser"),
        )
        .patch(
            user,
            on::patch_user,
            changed(op("scimPatchUser", "Change parts of a user"), "ScimPatch", "ScimUser"),
        )
        .delete(
            user,
            on::delete_user,
            gone(op("scimDeleteUser", "Close an account and forget it here")),
        )
        .get(
            groups,
            on::list_groups,
            listed(op("scimListGroups", "Groups, oldest first")),
        )
        .post(
            groups,
            on::create_group,
            made(op("scimCreateGroup", "Make a group"), "ScimGroup"),
        )
        .post(
            "/scim/v2/Groups/.search",
            on::search_groups,
            sought(op("scimSearchGroups", "Search for groups")),
        )
        .get(group, on::get_group, one(op("scimGetGroup", "One group"), "ScimGroup"))
        .put(
            group,
            on::replace_group,
            changed(op("scimReplaceGroup", "Replace a group"), "ScimGroup", "ScimGroup"),
        )
        .patch(
            group,
            on::patch_group,
            changed(
                op("scimPatchGroup", "Change parts of a group"),
                "ScimPatch",
                "ScimGroup",
            ),
        )
        .delete(group, on::delete_group, gone(op("scimDeleteGroup", "Remove a group")))
        .post(
            "/scim/v2/.search",
            on::search_all,
            sought(op("scimSearch", "Search for users, then for groups")),
        )
        .get(
            "/scim/v2/ServiceProviderConfig",
            discovery::config,
            told(op("scimConfig", "What is supported")),
        )
        .get(
            "/scim/v2/ResourceTypes",
            discovery::resource_types,
            told(op("scimResourceTypes", "The kinds of resources")),
        )
        .get(
            "/scim/v2/ResourceTypes/{id}",
            discovery::resource_type,
            told(op("scimResourceType", "One kind of resource")),
        )
        .get(
            "/scim/v2/Schemas",
            discovery::all_schemas,
            told(op("scimSchemas", "The attributes that are kept")),
        )
        .get(
            "/scim/v2/Schemas/{id}",
            discovery::one_schema,
            told(op("scimSchema", "One schema")),
        )
        .with(|routes| {
            routes
                .route("/scim/v2", any(on::nothing))
                .route("/scim/v2/{*rest}", any(on::nothing))
                .method_not_allowed_fallback(wrong_method)
                .layer(from_fn_with_state(BodyLimit(BODY_MAX), limit_body))
                .layer(from_fn(in_scims_form))
        })
}
