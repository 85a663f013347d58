//! Users: how they are shown, and what a body wants them to be.

use commands::scim::UserWanted;
use formats::TeamId;
use model::user::Profile;
use projections::scim::UserView;
use serde_json::{Map, Value, json};

use super::{
    body::{bad, kept, truth},
    patch::get,
    schema::{ENTERPRISE, Resource, USER},
    show::meta,
};
use crate::Answer;

/// A user as a resource.
pub(super) fn shown(base: &str, user: &UserView, groups: &[(TeamId, String)]) -> Map<String, Value> {
    let mut map = writable(user);
    let mut schemas = vec![USER];
    if map.contains_key(ENTERPRISE) {
        schemas.push(ENTERPRISE);
    }
    map.insert("schemas".to_owned(), json!(schemas));
    map.insert("id".to_owned(), json!(user.id));
    if !groups.is_empty() {
        let shown = |(id, name): &(TeamId, String)| json!({ "value": id, "$ref": format!("{base}/Groups/{id}"), "display": name, "type": "direct" });
        map.insert("groups".to_owned(), groups.iter().map(shown).collect());
    }
    let (id, version) = (user.id.to_string(), user.version);
    map.insert(
        "meta".to_owned(),
        meta(base, Resource::User, &id, version, (user.created_at, user.updated_at)),
    );
    map
}

/// What an identity provider may change of a user.
pub(super) fn writable(user: &UserView) -> Map<String, Value> {
    let mut map = Map::new();
    match &user.profile {
        Some(profile) => {
            map.insert("userName".to_owned(), json!(profile.user_name));
            if let Some(id) = &profile.external_id {
                map.insert("externalId".to_owned(), json!(id));
            }
            map.extend(profile.attributes.clone());
        }
        // Said by nobody yet: what is known here.
        None => {
            map.insert("userName".to_owned(), json!(user.user_name()));
            if let Some(name) = &user.name {
                map.insert("displayName".to_owned(), json!(name));
            }
            if let Some(email) = &user.email {
                let work = json!([{ "value": email, "type": "work", "primary": true }]);
                map.insert("emails".to_owned(), work);
            }
        }
    }
    map.insert("active".to_owned(), json!(user.active));
    map
}

/// What a body wants a user to be. `active` is what holds where it says nothing of that.
///
/// # Errors
/// `BAD_INPUT` with the attribute.
pub(super) fn wanted(body: &Map<String, Value>, active: bool) -> Answer<UserWanted> {
    let mut attributes = Map::new();
    for (name, value) in body {
        let Some(attribute) = Resource::User.attribute(name).filter(|attribute| !attribute.read_only) else {
            continue;
        };
        if let Some(value) = kept(attribute, value, attribute.name)? {
            attributes.insert(attribute.name.to_owned(), value);
        }
    }
    let active = match get(body, "active") {
        None | Some(Value::Null) => active,
        Some(value) => truth(value).ok_or_else(|| bad("active", "has to be true or false"))?,
    };
    attributes.remove("active");
    let mut text = |name: &str| match attributes.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let external_id = text("externalId");
    let user_name = text("userName").ok_or_else(|| bad("userName", "must not be empty"))?;
    let email =
        email(&attributes, &user_name).ok_or_else(|| bad("emails", "must have an address, unless userName is one"))?;
    let name = name(&attributes, &user_name);
    Ok(UserWanted {
        email,
        name,
        active,
        profile: Profile {
            user_name,
            external_id,
            attributes,
        },
    })
}

/// Where mails go: the primary address, else that of type work, else the first; without any the name, if it is one.
fn email(attributes: &Map<String, Value>, user_name: &str) -> Option<String> {
    let list = attributes
        .get("emails")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let is = |entry: &&Value, name: &str, value: Value| entry.get(name) == Some(&value);
    let with_value: Vec<&Value> = list.iter().filter(|entry| entry.get("value").is_some()).collect();
    let chosen = with_value
        .iter()
        .find(|entry| is(entry, "primary", true.into()))
        .or_else(|| with_value.iter().find(|entry| is(entry, "type", "work".into())))
        .or_else(|| with_value.first());
    match chosen {
        Some(entry) => entry["value"].as_str().map(str::to_owned),
        None => user_name.contains('@').then(|| user_name.to_owned()),
    }
}

/// What people see: the shown name, else the whole name, else its parts, else the name at the identity provider.
fn name(attributes: &Map<String, Value>, user_name: &str) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let part = |part: &str| text(attributes.get("name").and_then(|name| name.get(part)));
    let parts = [part("givenName"), part("familyName")];
    let joined: Vec<String> = parts.into_iter().flatten().collect();
    text(attributes.get("displayName"))
        .or_else(|| part("formatted"))
        .or_else(|| (!joined.is_empty()).then(|| joined.join(" ")))
        .unwrap_or_else(|| user_name.to_owned())
        .chars()
        .take(200)
        .collect()
}
