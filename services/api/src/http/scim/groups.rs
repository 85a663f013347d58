//! Groups: how they are shown, and what a body wants them to be.

use std::collections::BTreeSet;

use commands::scim::GroupWanted;
use formats::UserId;
use projections::scim::{GroupView, Member};
use serde_json::{Map, Value, json};

use super::{
    body::bad,
    patch::{get, value_of},
    schema::{GROUP, Resource},
    show::meta,
};
use crate::Answer;

/// The most members that one request names.
pub(super) const MEMBERS_MAX: usize = 5_000;

/// A group as a resource.
pub(super) fn shown(base: &str, group: &GroupView, members: &[Member]) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("schemas".to_owned(), json!([GROUP]));
    map.insert("id".to_owned(), json!(group.id));
    if let Some(id) = &group.external_id {
        map.insert("externalId".to_owned(), json!(id));
    }
    map.insert("displayName".to_owned(), json!(group.name));
    let member = |member: &Member| {
        let (user, name) = (member.user, member.name.as_deref().unwrap_or_default());
        json!({ "value": user, "$ref": format!("{base}/Users/{user}"), "display": name, "type": "User" })
    };
    map.insert("members".to_owned(), members.iter().map(member).collect());
    let id = group.id.to_string();
    let times = (group.created_at, group.updated_at);
    map.insert(
        "meta".to_owned(),
        meta(base, Resource::Group, &id, group.version, times),
    );
    map
}

/// What an identity provider may change of a group.
pub(super) fn writable(group: &GroupWanted) -> Map<String, Value> {
    let members: Vec<Value> = group.members.iter().map(|user| json!({ "value": user })).collect();
    let mut map = Map::new();
    map.insert("displayName".to_owned(), json!(group.name));
    map.insert("externalId".to_owned(), json!(group.external_id));
    map.insert("members".to_owned(), members.into());
    map
}

/// What a body wants a group to be.
///
/// # Errors
/// `BAD_INPUT` with the attribute.
pub(super) fn wanted(body: &Map<String, Value>) -> Answer<GroupWanted> {
    let text = |name: &str| match get(body, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if commands::visible::hides(text) => {
            Err(bad(name, "has a character that is not seen or that turns the text"))
        }
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(bad(name, "has to be a text")),
    };
    let list = match get(body, "members") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let member = |(i, entry): (usize, &Value)| {
        let value = value_of(entry).ok_or_else(|| bad(&format!("members[{i}].value"), "has to be a user's id"))?;
        value
            .parse::<UserId>()
            .map_err(|_| bad("members", format!("names {value:.60?}, and there is no such user")))
    };
    Ok(GroupWanted {
        name: text("displayName")?.ok_or_else(|| bad("displayName", "must not be empty"))?,
        external_id: text("externalId")?,
        members: list.iter().enumerate().map(member).collect::<Answer<BTreeSet<_>>>()?,
    })
}

/// Refuses a body that names more members than one request may.
///
/// # Errors
/// `TOO_MANY`
pub(super) fn check_members(body: &Map<String, Value>) -> Answer<()> {
    let length = |value: Option<&Value>| value.and_then(Value::as_array).map_or(0, Vec::len);
    let mut named = length(get(body, "members"));
    if let Some(Value::Array(operations)) = get(body, "Operations") {
        for value in operations
            .iter()
            .filter_map(|operation| get(operation.as_object()?, "value"))
        {
            named += length(Some(value)) + length(value.as_object().and_then(|value| get(value, "members")));
        }
    }
    if named > MEMBERS_MAX {
        let detail = format!("a request names {MEMBERS_MAX} members at most; send the others in further ones");
        return Err(crate::Problem::bad_request("TOO_MANY", detail).on("members"));
    }
    Ok(())
}
