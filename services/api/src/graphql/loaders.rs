//! Batched reads: resolvers of a list ask one by one, the database is asked once.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use async_graphql::dataloader::Loader;
use commands::{App, Caller, Eligible, Refusal};
use eventstore::TenantTx;
use formats::{
    ApiKeyId, DeploymentGroupId, EndpointId, PersonId, PolicyId, RequestId, ScimTokenId, ServiceAccountId, TeamId,
    Timestamp, UserId,
};
use policy_engine::lint::Warning;
use projections::{
    ReadError,
    activity::Numbers,
    directory::{ApiKeyView, PersonView, ServiceAccountView, TeamView, UserView},
    fleet::{EndpointView, TokenView},
    policies::{PolicyView, RevisionView},
    request_queue::QueuedRequest,
};

/// Reads in the caller's tenant.
pub(crate) struct Reader {
    pub(super) app: App,
    pub(super) caller: Caller,
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident($id:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) struct $name(pub(crate) $id);
    )*};
}

keys! {
    /// The teams of a user.
    TeamsOf(UserId);
    /// The members of a team.
    MembersOf(TeamId);
    /// The endpoint accounts of a user.
    AccountsOf(UserId);
    /// The accounts first seen on an endpoint.
    AccountsOn(EndpointId);
    /// Which records of an endpoint there are.
    RecordsOf(EndpointId);
    /// The registration tokens of a group.
    TokensOf(DeploymentGroupId);
    /// The keys of a service account.
    KeysOf(ServiceAccountId);
    /// When a key was last used.
    UseOf(ApiKeyId);
    /// When a SCIM token was last used.
    ScimUseOf(ScimTokenId);
    /// Who may decide a request.
    EligibleFor(RequestId);
    /// What lint says of a policy.
    LintOf(PolicyId);
}

/// A policy at a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Revision(pub(crate) PolicyId, pub(crate) u32);

/// One row a key.
fn single<K: Hash + Eq, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Arc<V>> {
    rows.into_iter().map(|row| (key(&row), Arc::new(row))).collect()
}

/// Any number of rows a key, in the order in which they were read. Keys without any are there too.
fn grouped<K: Hash + Eq + Copy, V>(keys: &[K], rows: impl IntoIterator<Item = (K, V)>) -> HashMap<K, Arc<Vec<V>>> {
    let mut found: HashMap<K, Vec<V>> = keys.iter().map(|key| (*key, Vec::new())).collect();
    for (key, row) in rows {
        found.entry(key).or_default().push(row);
    }
    found.into_iter().map(|(key, rows)| (key, Arc::new(rows))).collect()
}

macro_rules! loads {
    ($($key:ty => $value:ty = |$tx:ident, $keys:ident| $read:expr;)*) => {$(
        impl Loader<$key> for Reader {
            type Value = $value;
            type Error = Refusal;

            async fn load(&self, $keys: &[$key]) -> Result<HashMap<$key, $value>, Refusal> {
                async fn read(
                    $tx: &mut TenantTx,
                    $keys: &[$key],
                ) -> Result<HashMap<$key, $value>, ReadError> {
                    Ok($read)
                }
                let mut tx = self.app.reading(self.caller.tenant).await?;
                Ok(read(&mut tx, $keys).await?)
            }
        }
    )*};
}

fn inner<K, I>(keys: &[K], id: impl Fn(&K) -> I) -> Vec<I> {
    keys.iter().map(id).collect()
}

loads! {
    UserId => Arc<UserView> = |tx, keys| {
        single(projections::directory::users_by_id(tx, keys).await?, |user| user.id)
    };
    PersonId => Arc<PersonView> = |tx, keys| {
        single(projections::directory::persons(tx, keys).await?, |person| person.id)
    };
    EndpointId => Arc<EndpointView> = |tx, keys| {
        single(projections::fleet::endpoints_by_id(tx, keys).await?, |endpoint| endpoint.id)
    };
    PolicyId => Arc<PolicyView> = |tx, keys| {
        single(projections::policies::find_many(tx, keys).await?, |policy| policy.id)
    };
    Revision => Arc<RevisionView> = |tx, keys| {
        let wanted = inner(keys, |key| (key.0, key.1));
        single(projections::policies::revisions_by_number(tx, &wanted).await?, |r| Revision(r.policy, r.number))
    };
    RequestId => Arc<QueuedRequest> = |tx, keys| {
        let mut found = HashMap::new();
        for part in keys.chunks(200) {
            found.extend(single(projections::request_queue::find_many(tx, part).await?, |request| request.id));
        }
        found
    };
    ServiceAccountId => Arc<ServiceAccountView> = |tx, keys| {
        let mut found = single(projections::directory::service_accounts(tx).await?, |account| account.id);
        for key in keys {
            // Deleted ones are few, and each is read once.
            if !found.contains_key(key)
                && let Some(account) = projections::directory::service_account(tx, *key).await?
            {
                found.insert(*key, Arc::new(account));
            }
        }
        found
    };
    TeamsOf => Arc<Vec<TeamView>> = |tx, keys| {
        let users = inner(keys, |key| key.0);
        let teams = projections::directory::teams_of(tx, &users).await?;
        grouped(keys, teams.into_iter().map(|(user, team)| (TeamsOf(user), team)))
    };
    MembersOf => Arc<Vec<UserId>> = |tx, keys| {
        let teams = inner(keys, |key| key.0);
        let members = projections::directory::members(tx, &teams).await?;
        grouped(keys, members.into_iter().map(|(team, user)| (MembersOf(team), user)))
    };
    AccountsOf => Arc<Vec<PersonView>> = |tx, keys| {
        let users = inner(keys, |key| key.0);
        let accounts = projections::directory::accounts_of_users(tx, &users).await?;
        let linked = accounts.into_iter().filter_map(|a| Some((AccountsOf(a.link.as_ref()?.user), a)));
        grouped(keys, linked.collect::<Vec<_>>())
    };
    AccountsOn => Arc<Vec<PersonView>> = |tx, keys| {
        let endpoints = inner(keys, |key| key.0);
        let accounts = projections::directory::accounts_on_endpoints(tx, &endpoints).await?;
        grouped(keys, accounts.into_iter().filter_map(|a| Some((AccountsOn(a.endpoint?), a))).collect::<Vec<_>>())
    };
    RecordsOf => Numbers = |tx, keys| {
        let endpoints = inner(keys, |key| key.0);
        let numbers = projections::activity::numbers(tx, &endpoints).await?;
        numbers.into_iter().map(|numbers| (RecordsOf(numbers.endpoint), numbers)).collect()
    };
    TokensOf => Arc<Vec<TokenView>> = |tx, keys| {
        let groups = inner(keys, |key| key.0);
        let tokens = projections::fleet::tokens(tx, &groups).await?;
        grouped(keys, tokens.into_iter().map(|token| (TokensOf(token.group), token)))
    };
    KeysOf => Arc<Vec<ApiKeyView>> = |tx, keys| {
        let accounts = inner(keys, |key| key.0);
        let found = projections::directory::api_keys(tx, &accounts).await?;
        grouped(keys, found.into_iter().map(|key| (KeysOf(key.account), key)))
    };
}

impl Loader<UseOf> for Reader {
    type Value = Timestamp;
    type Error = Refusal;

    async fn load(&self, keys: &[UseOf]) -> Result<HashMap<UseOf, Timestamp>, Refusal> {
        let used = self.app.api_keys_used(&self.caller, &inner(keys, |key| key.0)).await?;
        Ok(used.into_iter().map(|(key, at)| (UseOf(key), at)).collect())
    }
}

impl Loader<ScimUseOf> for Reader {
    type Value = Timestamp;
    type Error = Refusal;

    async fn load(&self, tokens: &[ScimUseOf]) -> Result<HashMap<ScimUseOf, Timestamp>, Refusal> {
        let used = self
            .app
            .scim_tokens_used(&self.caller, &inner(tokens, |token| token.0))
            .await?;
        Ok(used.into_iter().map(|(token, at)| (ScimUseOf(token), at)).collect())
    }
}

impl Loader<LintOf> for Reader {
    type Value = Arc<Vec<Warning>>;
    type Error = Refusal;

    async fn load(&self, keys: &[LintOf]) -> Result<HashMap<LintOf, Arc<Vec<Warning>>>, Refusal> {
        let found = self.app.lint_policies(&self.caller, &inner(keys, |key| key.0)).await?;
        Ok(found
            .into_iter()
            .map(|(policy, warnings)| (LintOf(policy), Arc::new(warnings)))
            .collect())
    }
}

impl Loader<EligibleFor> for Reader {
    type Value = Arc<Eligible>;
    type Error = Refusal;

    async fn load(&self, keys: &[EligibleFor]) -> Result<HashMap<EligibleFor, Arc<Eligible>>, Refusal> {
        let mut found = HashMap::new();
        for part in keys.chunks(200) {
            let mut tx = self.app.reading(self.caller.tenant).await?;
            let rows = projections::request_queue::find_many(&mut tx, &inner(part, |key| key.0)).await?;
            drop(tx);
            let eligible = self.app.eligible_approvers(self.caller.tenant, &rows).await?;
            found.extend(
                eligible
                    .into_iter()
                    .map(|(id, eligible)| (EligibleFor(id), Arc::new(eligible))),
            );
        }
        Ok(found)
    }
}
