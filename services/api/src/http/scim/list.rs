//! Lists and searches (RFC 7644 § 3.4.2): by an index where a filter allows it, else by going through everything.

use commands::Caller;
use formats::{TeamId, UserId};
use projections::scim::{self as rows, GroupKey, GroupView, UserKey, UserView};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    body::{bad, syntax},
    filter::Filter,
    groups,
    patch::get,
    schema::Resource,
    show::Wanted,
    users,
};
use crate::{Answer, ApiState, Problem};

/// The most resources of a page.
pub(super) const PAGE_MAX: u64 = 200;
/// The resources of a page where nothing is said.
const PAGE: u64 = 100;
/// Rows that are gone through in one transaction.
const BATCH: u32 = 500;
/// The most rows that a search goes through.
const SCAN_MAX: usize = 100_000;

/// What is looked for.
#[derive(Debug)]
pub(super) struct Search {
    filter: Option<Filter>,
    /// From 1.
    start: u64,
    count: u64,
    wanted: Wanted,
}

/// As the query says it. Sorting is not offered; what asks for it is ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Query {
    filter: Option<String>,
    start_index: Option<i64>,
    count: Option<i64>,
    attributes: Option<String>,
    excluded_attributes: Option<String>,
}

impl Query {
    /// Which attributes are wanted.
    pub(super) fn wanted(&self) -> Wanted {
        Wanted::new(self.attributes.as_slice(), self.excluded_attributes.as_slice())
    }

    /// # Errors
    /// `INVALID_FILTER`
    pub(super) fn search(&self) -> Answer<Search> {
        Search::new(self.filter.as_deref(), self.start_index, self.count, self.wanted())
    }
}

impl Search {
    fn new(filter: Option<&str>, start: Option<i64>, count: Option<i64>, wanted: Wanted) -> Answer<Self> {
        let filter = filter
            .filter(|text| !text.trim().is_empty())
            .map(Filter::parse)
            .transpose()?;
        let positive = |n: i64| u64::try_from(n).unwrap_or(0);
        Ok(Self {
            filter,
            start: start.map_or(1, positive).max(1),
            count: count.map_or(PAGE, positive).min(PAGE_MAX),
            wanted,
        })
    }

    /// As a body of `.search` says it (RFC 7644 § 3.4.3).
    ///
    /// # Errors
    /// `BAD_INPUT`, `INVALID_FILTER`
    pub(super) fn read(body: &Map<String, Value>) -> Answer<Self> {
        let number = |name: &str| match get(body, name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_i64()
                .map(Some)
                .ok_or_else(|| bad(name, "has to be a whole number")),
        };
        let names = |name: &str| match get(body, name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(list)) if list.len() <= 100 => list
                .iter()
                .map(|value| {
                    value
                        .as_str()
                        .map(str::to_owned)
                        .ok_or_else(|| bad(name, "has to be a list of texts"))
                })
                .collect(),
            Some(_) => Err(bad(name, "has to be a list of at most 100 texts")),
        };
        let filter = match get(body, "filter") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.as_str()),
            Some(_) => return Err(syntax("filter has to be a text").on("filter")),
        };
        let wanted = Wanted::new(&names("attributes")?, &names("excludedAttributes")?);
        Self::new(filter, number("startIndex")?, number("count")?, wanted)
    }

    /// Looks for resources of these kinds, one kind after the other.
    ///
    /// # Errors
    /// `TOO_MANY`, `INVALID_FILTER`, `UNAVAILABLE`.
    pub(super) async fn run(&self, state: &ApiState, caller: &Caller, kinds: &[Resource]) -> Answer<Value> {
        let mut page = Page {
            skip: self.start - 1,
            room: self.count,
            total: 0,
            resources: Vec::new(),
        };
        let base = super::base(state);
        for kind in kinds {
            match kind {
                Resource::User => self.users(state, caller, &base, &mut page).await?,
                Resource::Group => self.groups(state, caller, &base, &mut page).await?,
            }
        }
        Ok(json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": page.total,
            "startIndex": self.start,
            "itemsPerPage": page.resources.len(),
            "Resources": page.resources,
        }))
    }

    async fn users(&self, state: &ApiState, caller: &Caller, base: &str, page: &mut Page) -> Answer<()> {
        let mut chosen = Vec::new();
        match &self.filter {
            None => {
                let mut tx = state.app.reading(caller.tenant).await?;
                let total = rows::count_users(&mut tx).await?;
                if let Some((skip, limit)) = page.part_of(total) {
                    chosen = rows::users(&mut tx, skip, limit).await?;
                }
            }
            Some(filter) => {
                let mut offer = |found: Vec<(UserView, Value)>| -> Answer<()> {
                    for (row, document) in found {
                        if filter.matches(Resource::User, &document)? && page.takes() {
                            chosen.push(row);
                        }
                    }
                    Ok(())
                };
                if let Some(key) = user_key(filter) {
                    let mut tx = state.app.reading(caller.tenant).await?;
                    let found = match key {
                        Some(key) => rows::users_by(&mut tx, &key).await?,
                        None => Vec::new(),
                    };
                    drop(tx);
                    offer(with_groups(state, caller, base, found).await?)?;
                } else {
                    let mut seen = 0;
                    let mut after: Option<UserId> = None;
                    loop {
                        let mut tx = state.app.reading(caller.tenant).await?;
                        let found = rows::users_after(&mut tx, after, BATCH).await?;
                        drop(tx);
                        let Some(last) = found.last() else { break };
                        after = Some(last.id);
                        seen += found.len();
                        bounded(seen)?;
                        offer(with_groups(state, caller, base, found).await?)?;
                    }
                }
            }
        }
        for (_, document) in with_groups(state, caller, base, chosen).await? {
            page.put(&self.wanted, document);
        }
        Ok(())
    }

    async fn groups(&self, state: &ApiState, caller: &Caller, base: &str, page: &mut Page) -> Answer<()> {
        let mut chosen = Vec::new();
        match &self.filter {
            None => {
                let mut tx = state.app.reading(caller.tenant).await?;
                let total = rows::count_groups(&mut tx).await?;
                if let Some((skip, limit)) = page.part_of(total) {
                    chosen = rows::groups(&mut tx, skip, limit).await?;
                }
            }
            Some(filter) => {
                let members = filter.mentions("members");
                let mut offer = |found: Vec<(GroupView, Value)>| -> Answer<()> {
                    for (row, document) in found {
                        if filter.matches(Resource::Group, &document)? && page.takes() {
                            chosen.push(row);
                        }
                    }
                    Ok(())
                };
                if let Some(key) = group_key(filter) {
                    let mut tx = state.app.reading(caller.tenant).await?;
                    let found = match key {
                        Some(key) => rows::groups_by(&mut tx, &key).await?,
                        None => Vec::new(),
                    };
                    drop(tx);
                    offer(with_members(state, caller, base, found, members).await?)?;
                } else {
                    let mut seen = 0;
                    let mut after: Option<TeamId> = None;
                    loop {
                        let mut tx = state.app.reading(caller.tenant).await?;
                        let found = rows::groups_after(&mut tx, after, BATCH).await?;
                        drop(tx);
                        let Some(last) = found.last() else { break };
                        after = Some(last.id);
                        seen += found.len();
                        bounded(seen)?;
                        offer(with_members(state, caller, base, found, members).await?)?;
                    }
                }
            }
        }
        let members = self.wanted.has("members");
        for (_, document) in with_members(state, caller, base, chosen, members).await? {
            page.put(&self.wanted, document);
        }
        Ok(())
    }
}

/// The part of all that matches which is answered.
struct Page {
    skip: u64,
    room: u64,
    total: u64,
    resources: Vec<Value>,
}

impl Page {
    /// Counts one that matches; whether it is on the page.
    fn takes(&mut self) -> bool {
        self.total += 1;
        let on_page = self.total > self.skip && self.room > 0;
        self.room -= u64::from(on_page);
        on_page
    }

    /// Counts all of a kind; which of them are on the page.
    fn part_of(&mut self, total: u64) -> Option<(u32, u32)> {
        let skip = self.skip.saturating_sub(self.total);
        self.total += total;
        let taken = total.saturating_sub(skip).min(self.room);
        self.room -= taken;
        let both = (u32::try_from(skip).ok()?, u32::try_from(taken).ok()?);
        (taken > 0).then_some(both)
    }

    fn put(&mut self, wanted: &Wanted, document: Value) {
        if let Value::Object(map) = document {
            self.resources.push(Value::Object(wanted.of(map)));
        }
    }
}

fn bounded(seen: usize) -> Answer<()> {
    if seen <= SCAN_MAX {
        return Ok(());
    }
    let detail =
        format!("such a search goes through {SCAN_MAX} resources at most; ask for a userName or an externalId");
    Err(Problem::bad_request("TOO_MANY", detail).on("filter"))
}

/// The index that finds whatever may match; `Some(None)` where nothing can.
fn user_key(filter: &Filter) -> Option<Option<UserKey>> {
    if let Some(id) = filter.equal_to("id") {
        return Some(id.parse().ok().map(UserKey::Id));
    }
    if let Some(name) = filter.equal_to("userName") {
        return Some(Some(UserKey::UserName(name.to_owned())));
    }
    let id = filter.equal_to("externalId")?;
    Some(Some(UserKey::ExternalId(id.to_owned())))
}

fn group_key(filter: &Filter) -> Option<Option<GroupKey>> {
    if let Some(id) = filter.equal_to("id") {
        return Some(id.parse().ok().map(GroupKey::Id));
    }
    if let Some(name) = filter.equal_to("displayName") {
        return Some(Some(GroupKey::Name(name.to_owned())));
    }
    let id = filter.equal_to("externalId")?;
    Some(Some(GroupKey::ExternalId(id.to_owned())))
}

/// Users as resources.
pub(super) async fn with_groups(
    state: &ApiState,
    caller: &Caller,
    base: &str,
    found: Vec<UserView>,
) -> Answer<Vec<(UserView, Value)>> {
    let ids: Vec<UserId> = found.iter().map(|user| user.id).collect();
    let mut tx = state.app.reading(caller.tenant).await?;
    let mut groups: std::collections::BTreeMap<UserId, Vec<(TeamId, String)>> = std::collections::BTreeMap::new();
    for (user, team, name) in rows::groups_of(&mut tx, &ids).await? {
        groups.entry(user).or_default().push((team, name));
    }
    let shown = |user: UserView| {
        let groups = groups.get(&user.id).map(Vec::as_slice).unwrap_or_default();
        let document = Value::Object(users::shown(base, &user, groups));
        (user, document)
    };
    Ok(found.into_iter().map(shown).collect())
}

/// Groups as resources, with their members where these are needed.
pub(super) async fn with_members(
    state: &ApiState,
    caller: &Caller,
    base: &str,
    found: Vec<GroupView>,
    members: bool,
) -> Answer<Vec<(GroupView, Value)>> {
    let mut of_group: std::collections::BTreeMap<TeamId, Vec<rows::Member>> = std::collections::BTreeMap::new();
    if members {
        let ids: Vec<TeamId> = found.iter().map(|group| group.id).collect();
        let mut tx = state.app.reading(caller.tenant).await?;
        for member in rows::members(&mut tx, &ids).await? {
            of_group.entry(member.team).or_default().push(member);
        }
    }
    let shown = |group: GroupView| {
        let members = of_group.get(&group.id).map(Vec::as_slice).unwrap_or_default();
        let document = Value::Object(groups::shown(base, &group, members));
        (group, document)
    };
    Ok(found.into_iter().map(shown).collect())
}
