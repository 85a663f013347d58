//! What identity providers see: users and groups as they said them, with the versions that their ETags are made of, and
//! the tokens they come with. Members of groups are the directory's.
//!
//! Personal data stands here in clear, in columns that are null once the person was erased.

mod groups;
mod reducer;
mod tokens;
mod users;

pub use groups::{
    GroupKey, GroupView, Member, count_groups, group, groups, groups_after, groups_by, groups_of, members,
};
pub use tokens::{TokenView, token, tokens};
pub use users::{
    UserKey, UserView, count_users, returning_user, user, users, users_after, users_by, users_known, users_with_account,
};

use crate::{Delta, Projection};

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct Scim;

impl Projection for Scim {
    fn name(&self) -> &'static str {
        "scim"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["scim_user", "scim_group", "scim_token"]
    }

    fn streams(&self) -> Option<&'static [&'static str]> {
        Some(&["user", "person", "team", "scim"])
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(reducer::ScimDelta::default())
    }
}
