//! Who there is: the tenant itself, users with their roles, persons with their endpoint accounts, teams, service
//! accounts. One file per noun, each with its rows and its queries; [`reducer`](self) is what fills them.
//!
//! Personal data stands here in clear, in columns that are null once the person was erased.

mod people;
mod reducer;
mod service_accounts;
mod teams;
mod tenant;
mod users;

pub use people::{
    Link, PersonView, accounts_of_user, accounts_of_users, accounts_on, accounts_on_endpoints, canonical,
    canonical_of_user, person, person_by_account, persons, persons_of_user,
};
pub use service_accounts::{ApiKeyView, ServiceAccountView, api_key, api_keys, service_account, service_accounts};
pub use teams::{TeamView, members, team, teams, teams_of};
pub use tenant::{TenantView, tenant};
pub use users::{
    UserFilter, UserView, administrators, known_approvers, resolve, roles_of, user, user_by_email, user_by_person,
    users, users_by_id,
};

use crate::{Delta, Projection};

/// The projection.
#[derive(Debug, Clone, Copy)]
pub struct Directory;

impl Projection for Directory {
    fn name(&self) -> &'static str {
        "directory"
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [&'static str] {
        &[
            "directory_api_key",
            "directory_service_account",
            "directory_team_member",
            "directory_team",
            "directory_person",
            "directory_roles",
            "directory_user",
            "directory_tenant",
        ]
    }

    fn streams(&self) -> Option<&'static [&'static str]> {
        Some(&["tenant", "user", "roles", "person", "team", "service_account"])
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(reducer::DirectoryDelta::default())
    }
}
