//! What endpoints report of their machines, for collections to be filled from.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject, connection::EmptyFields};
use commands::Act;
use policy_engine::pattern::{Pattern, has_dot_component};
use projections::fleet::{InventoryFilter as Filter, InventoryItem as Item};

use super::{
    context::Ask,
    error::Answer,
    ids::typed,
    paging::{Connection, connect, cost, page},
    words::{CollectionKind, Os, all},
};

/// By what a member of a collection names what it holds: the word before the colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum MemberKind {
    /// `path:`, the program's final path.
    Path,
    /// `sha256:`, the content of the program's file.
    #[graphql(name = "SHA256")]
    Sha256,
    /// `publisher:`, whoever signed or made the program.
    Publisher,
    /// `user:`, an account's name.
    User,
    /// `machine:`, a machine's name.
    Machine,
}

impl MemberKind {
    /// The member that names this text and nothing else; none where no pattern says just that.
    fn member(self, text: &str) -> Option<String> {
        let prefix = match self {
            Self::Sha256 => return Some(format!("sha256:{text}")),
            Self::Path if has_dot_component(text) => return None,
            Self::Path => "path",
            Self::Publisher => "publisher",
            Self::User => "user",
            Self::Machine => "machine",
        };
        Pattern::is_itself(text).then(|| format!("{prefix}:{text}"))
    }
}

/// Members of a collection that name what was found, all by the same.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct InventoryMembers {
    /// By what they name it.
    by: MemberKind,
    /// Typed scope strings, ready for `members` of a collection; at least one.
    members: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct InventoryItem {
    kind: policy_engine::CollectionKind,
    found: Item,
}

/// What endpoints report under one name: a program, an account that is an administrator, or a machine.
#[Object]
impl InventoryItem {
    /// The program's, account's or machine's name.
    async fn name(&self) -> &str {
        &self.found.name
    }

    /// Who made the program, as its endpoints say.
    async fn publisher(&self) -> Option<&str> {
        self.found.publisher.as_deref()
    }

    /// Versions of the program, or of the machine's operating system; at most 100.
    async fn versions(&self) -> &[String] {
        &self.found.versions
    }

    /// On how many endpoints, of those that were asked for; removed ones don't count.
    async fn endpoints(&self) -> i32 {
        self.found.endpoints.try_into().unwrap_or(i32::MAX)
    }

    /// The ways in which a collection can name it, each with what it takes, of at most 100 paths and 100 hashes. A way is
    /// left out where the endpoints report nothing for it, or only what no pattern can say without meaning more.
    async fn members(&self) -> Vec<InventoryMembers> {
        let name = std::slice::from_ref(&self.found.name);
        let ways: Vec<(MemberKind, &[String])> = match self.kind {
            policy_engine::CollectionKind::Users => vec![(MemberKind::User, name)],
            policy_engine::CollectionKind::Machines => vec![(MemberKind::Machine, name)],
            policy_engine::CollectionKind::Applications => vec![
                (MemberKind::Path, &self.found.paths),
                (MemberKind::Sha256, &self.found.hashes),
                (MemberKind::Publisher, self.found.publisher.as_slice()),
            ],
        };
        let members = ways.into_iter().map(|(by, texts)| InventoryMembers {
            by,
            members: texts.iter().filter_map(|text| by.member(text)).collect(),
        });
        members.filter(|way| !way.members.is_empty()).collect()
    }
}

/// On which endpoints it was found. Fields left out mean any.
#[derive(Debug, Default, InputObject)]
pub(crate) struct InventoryFilter {
    /// In this deployment group.
    deployment_group_id: Option<ID>,
    /// With one of these operating systems.
    os: Option<Vec<Os>>,
}

#[derive(Default)]
pub(crate) struct InventoryQuery;

#[Object]
impl InventoryQuery {
    /// What endpoints report, by name, for a collection of this kind to be filled from: programs, accounts that are
    /// administrators of a machine, or registered machines. Each endpoint's last report counts, until it is removed.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    async fn inventory(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What the collection holds.")] kind: CollectionKind,
        #[graphql(desc = "On which endpoints.")] filter: Option<InventoryFilter>,
        #[graphql(desc = "Each of these words begins a word of the name or of the publisher.")] search: Option<String>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Answer<Connection<InventoryItem>> {
        let frame = ctx.frame_for(Act::ReadFleet)?;
        let page = page(first, after, last, before)?;
        let given = filter.unwrap_or_default();
        let group = match &given.deployment_group_id {
            Some(id) => match typed(id) {
                Some(group) => Some(group),
                None => return Ok(Connection::with_additional_fields(false, false, EmptyFields)),
            },
            None => None,
        };
        let filter = Filter {
            group,
            os: all(given.os),
            search,
        };
        let kind = kind.into();
        let mut tx = frame.tx().await?;
        let found = projections::fleet::inventory(&mut tx, kind, &filter, &page).await?;
        Ok(connect(&page, found, EmptyFields, |found| InventoryItem {
            kind,
            found,
        }))
    }
}
