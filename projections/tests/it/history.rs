//! A tenant's life by chance: random commands of every kind on real aggregates, in any order, many of them refused.
//! The same seed gives the same choices.

use std::{collections::BTreeMap, time::Duration};

use eventstore::ExecuteError;
use formats::{
    ApprovalRuleId, CollectionId, DeploymentGroupId, EndpointId, PersonId, PolicyId, ScimTokenId, ServiceAccountId,
    TeamId, UserId,
};
use model::{
    Noun, Role, Scope,
    activity::{ActionRecorded, Activity, ActivityCommand},
    approval_rule::{ApprovalRules, ApprovalRulesCommand, RuleDefinition, RuleFacts},
    collection::{Collection, CollectionCommand},
    deployment::{DeploymentGroup, DeploymentGroupCommand},
    endpoint::{Endpoint, EndpointCommand, Machine},
    identity_provider::{IdentityProvider, IdentityProviderCommand, ProviderDefinition, SecretChange},
    person::{Person, PersonCommand},
    platform::{Platform, PlatformCommand},
    policy::{Policy, PolicyCommand, SaveFacts},
    request::{Approver, By, CancelCause, Flag, Narrowing, PolicyRef, Request, RequestCommand, Submission, Windows},
    roles::{Roles, RolesCommand},
    scim::{Scim, ScimCommand},
    service_account::{ServiceAccount, ServiceAccountCommand},
    team::{Team, TeamCommand},
    tenant::{Settings, Tenant, TenantCommand},
    user::{Profile, User, UserCommand},
};
use policy_engine::{CollectionKind, Os, PolicyDocument, PolicyStatus};
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, details, facts};

/// SplitMix64.
pub struct Chance(u64);

impl Chance {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn small(&mut self, n: u32) -> u32 {
        u32::try_from(self.below(u64::from(n))).unwrap()
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() {
            None
        } else {
            Some(from[usize::try_from(self.below(from.len() as u64)).unwrap()].clone())
        }
    }

    fn word(&mut self) -> &'static str {
        const WORDS: [&str; 12] = [
            "alpha", "Bravo", "chärlie", "delta", "Echo", "foxtrot", "golf", "hotel", "India", "日本", "kilo", "Lima-2",
        ];
        WORDS[usize::try_from(self.below(12)).unwrap()]
    }

    fn text(&mut self) -> String {
        let n = 1 + self.below(5);
        (0..n).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

pub struct History<'w> {
    world: &'w World,
    pub chance: Chance,
    n: u64,
    users: Vec<(UserId, PersonId)>,
    people: Vec<PersonId>,
    teams: Vec<TeamId>,
    scim_tokens: Vec<ScimTokenId>,
    groups: Vec<DeploymentGroupId>,
    tokens: Vec<(DeploymentGroupId, formats::RegistrationTokenId)>,
    endpoints: Vec<EndpointId>,
    seqs: BTreeMap<EndpointId, u64>,
    collections: Vec<(CollectionId, String, CollectionKind)>,
    policies: Vec<PolicyId>,
    rules: Vec<ApprovalRuleId>,
    accounts: Vec<ServiceAccountId>,
    keys: Vec<(ServiceAccountId, formats::ApiKeyId)>,
    requests: Vec<Submission>,
    providers: Vec<formats::IdentityProviderId>,
    passkeys: Vec<(UserId, formats::PasskeyId)>,
}

impl<'w> History<'w> {
    pub const fn new(world: &'w World, seed: u64) -> Self {
        Self {
            world,
            chance: Chance::new(seed),
            n: 0,
            users: Vec::new(),
            people: Vec::new(),
            teams: Vec::new(),
            scim_tokens: Vec::new(),
            groups: Vec::new(),
            tokens: Vec::new(),
            endpoints: Vec::new(),
            seqs: BTreeMap::new(),
            collections: Vec::new(),
            policies: Vec::new(),
            rules: Vec::new(),
            accounts: Vec::new(),
            keys: Vec::new(),
            requests: Vec::new(),
            providers: Vec::new(),
            passkeys: Vec::new(),
        }
    }

    /// Sends a command; rules of the domain may refuse it.
    async fn run<A: Noun>(&self, stream: Uuid, command: A::Command) -> bool {
        let Err(error) = self.world.run::<A>(stream, command).await else {
            return true;
        };
        let refused = matches!(
            error,
            ExecuteError::Refused(_) | ExecuteError::ClaimTaken { .. } | ExecuteError::Conflict
        );
        assert!(refused, "{error}");
        false
    }

    fn name(&mut self) -> String {
        self.n += 1;
        format!("{} {}", self.chance.text(), self.n)
    }

    /// One random command.
    pub async fn step(&mut self) {
        let minutes = self.chance.below(8);
        self.world.clock.advance(Duration::from_millis(1 + minutes * 60_000));
        match self.chance.below(37) {
            36 => self.operator().await,
            33 | 34 => self.provider().await,
            35 => self.identity().await,
            0 | 1 => self.user().await,
            2 => self.roles().await,
            3 => self.team().await,
            4 => self.account().await,
            5 => self.group().await,
            6 | 7 => self.endpoint().await,
            8 | 9 => self.person().await,
            10 => self.collection().await,
            11..=14 => self.policy().await,
            15 => self.rule().await,
            16 => self.tenant().await,
            17..=20 => self.submit().await,
            21..=28 => self.request().await,
            29 => self.scim().await,
            _ => self.actions().await,
        }
    }

    async fn user(&mut self) {
        if self.users.len() < 4 || self.chance.one_in(4) {
            let (user, person) = (self.world.id::<UserId>(), self.world.id::<PersonId>());
            let name = self.name();
            let email = format!("user-{}@example.test", self.n);
            let command = UserCommand::CreateUser {
                user,
                person,
                email,
                name,
                source: "demo".into(),
            };
            if self.run::<User>(user.uuid(), command).await {
                self.users.push((user, person));
            }
            return;
        }
        let Some((user, _)) = self.chance.pick(&self.users) else {
            return;
        };
        let until = self.world.now() + Duration::from_secs(900);
        let command = match self.chance.below(18) {
            11 => UserCommand::InviteUser {
                invitation: self.world.id(),
                reset: self.chance.one_in(2),
            },
            10 => UserCommand::SignOut { sessions: 1 },
            0 => UserCommand::ChangeUser {
                email: format!("changed-{}@example.test", self.chance.below(20)),
                name: self.name(),
            },
            1 => UserCommand::DisableUser {
                is_owner: false,
                reason: self.chance.text(),
            },
            2 | 3 => UserCommand::EnableUser,
            4 if self.chance.one_in(2) => self.said(user),
            4 | 15 => UserCommand::EnrolMfa { method: "totp".into() },
            5 | 16 | 17 => UserCommand::RemoveMfa { method: "totp".into() },
            6 => UserCommand::LockChannel {
                channel: "decide".into(),
                until,
            },
            7 => UserCommand::VerifyCode {
                endpoint: self.chance.pick(&self.endpoints).unwrap_or_default(),
                requester: self.chance.pick(&self.people).unwrap_or_default(),
                request: self.chance.pick(&self.requests).map(|s| s.request),
                other_user: self.chance.one_in(2),
            },
            8 => UserCommand::SignIn {
                method: "password+totp".into(),
            },
            12 | 13 => UserCommand::RegisterPasskey {
                passkey: self.world.id(),
                name: self.chance.text(),
            },
            14 => UserCommand::RemovePasskeys { cause: "own".into() },
            _ => UserCommand::ChangePassword { how: "reset".into() },
        };
        self.run::<User>(user.uuid(), command).await;
    }

    /// A user's passkeys and who they are at a provider.
    async fn identity(&mut self) {
        let Some((user, _)) = self.chance.pick(&self.users) else {
            return;
        };
        let command = match self.chance.below(6) {
            0 | 1 => {
                let passkey = self.world.id();
                self.passkeys.push((user, passkey));
                let name = self.chance.text();
                UserCommand::RegisterPasskey { passkey, name }
            }
            2 => UserCommand::UnlinkIdentities,
            3 => UserCommand::LinkIdentity {
                provider: self.chance.pick(&self.providers).unwrap_or_default(),
                issuer: "https://login.example.test".into(),
                subject: self.name(),
                how: "verified_email".into(),
            },
            n => {
                let Some((owner, passkey)) = self.chance.pick(&self.passkeys) else {
                    return;
                };
                let command = if n == 4 {
                    UserCommand::FlagPasskey { passkey }
                } else {
                    let cause = "own".into();
                    UserCommand::RemovePasskey { passkey, cause }
                };
                self.run::<User>(owner.uuid(), command).await;
                return;
            }
        };
        self.run::<User>(user.uuid(), command).await;
    }

    async fn provider(&mut self) {
        let definition = Box::new(ProviderDefinition {
            name: self.name(),
            issuer: "https://login.example.test".into(),
            client_id: "console".into(),
            scopes: Vec::new(),
            groups_claim: "groups".into(),
            account_claim: None,
            role_mapping: Vec::new(),
            provision: self.chance.one_in(2),
            email_domains: Vec::new(),
            trusted_factors: Vec::new(),
        });
        let own = Role::Owner;
        if self.providers.len() < 4 {
            let provider = self.world.id();
            let command = IdentityProviderCommand::ConfigureIdentityProvider {
                provider,
                definition,
                secret_id: None,
                own,
            };
            if self.run::<IdentityProvider>(provider.uuid(), command).await {
                self.providers.push(provider);
            }
            return;
        }
        let Some(provider) = self.chance.pick(&self.providers) else {
            return;
        };
        let command = match self.chance.below(7) {
            0 => IdentityProviderCommand::ChangeIdentityProvider {
                definition,
                secret: SecretChange::Keep,
                own,
            },
            1 => IdentityProviderCommand::CheckIdentityProvider {
                problem: self.chance.one_in(2).then(|| "no answer".into()),
            },
            2 => IdentityProviderCommand::DisableIdentityProvider,
            3 | 4 => IdentityProviderCommand::EnableIdentityProvider { own },
            5 => IdentityProviderCommand::RefuseProviderSignIn {
                code: "NO_ACCOUNT".into(),
                user: None,
            },
            _ => {
                self.providers.retain(|known| *known != provider);
                IdentityProviderCommand::RemoveIdentityProvider
            }
        };
        self.run::<IdentityProvider>(provider.uuid(), command).await;
    }

    async fn roles(&mut self) {
        let Some((user, _)) = self.chance.pick(&self.users) else {
            return;
        };
        let roles = self
            .chance
            .pick(&Role::ALL)
            .into_iter()
            .chain(self.chance.pick(&Role::ALL))
            .collect();
        let command = match self.chance.below(4) {
            0 => RolesCommand::DeriveRoles { user, roles },
            1 => RolesCommand::MapTeamRoles {
                team: self.chance.pick(&self.teams).unwrap_or_default(),
                roles,
                by: None,
            },
            _ => RolesCommand::AssignRoles { user, roles, by: None },
        };
        self.run::<Roles>(self.world.tenant.uuid(), command).await;
    }

    /// What an identity provider says of a user.
    fn said(&mut self, user: UserId) -> UserCommand {
        if self.chance.one_in(4) {
            return UserCommand::DeprovisionUser { is_owner: false };
        }
        let profile = Profile {
            user_name: format!("said-{}", self.chance.below(40)),
            external_id: self.chance.one_in(2).then(|| self.chance.text()),
            ..Profile::default()
        };
        UserCommand::ProvisionUser {
            user,
            person: PersonId::default(),
            account: None,
            profile: Some(Box::new(profile)),
            active: self.chance.one_in(2),
            is_owner: false,
        }
    }

    /// A change of the door for identity providers.
    async fn scim(&mut self) {
        let command = match self.chance.below(6) {
            0 => ScimCommand::IssueScimToken {
                at: self.world.now(),
                token: self.world.id(),
                label: self.name(),
                role: Role::Admin,
                expires_at: None,
            },
            1..=3 => ScimCommand::RotateScimToken {
                at: self.world.now(),
                old: self.chance.pick(&self.scim_tokens).unwrap_or_default(),
                token: self.world.id(),
                role: Role::Admin,
                until: self.world.now(),
                expires_at: None,
            },
            4 => ScimCommand::RevokeScimToken {
                token: self.chance.pick(&self.scim_tokens).unwrap_or_default(),
            },
            _ => ScimCommand::ChangeAccountAttribute {
                attribute: self.chance.one_in(2).then(|| "userName".to_owned()),
            },
        };
        let token = match &command {
            ScimCommand::IssueScimToken { token, .. } | ScimCommand::RotateScimToken { token, .. } => Some(*token),
            ScimCommand::RevokeScimToken { .. } | ScimCommand::ChangeAccountAttribute { .. } => None,
        };
        if self.run::<Scim>(self.world.tenant.uuid(), command).await {
            self.scim_tokens.extend(token);
        }
    }

    fn some_users(&mut self) -> Vec<UserId> {
        let n = self.chance.below(4);
        (0..n)
            .filter_map(|_| self.chance.pick(&self.users))
            .map(|(user, _)| user)
            .collect()
    }

    async fn team(&mut self) {
        if self.teams.len() < 2 || self.chance.one_in(5) {
            let team: TeamId = self.world.id();
            let (name, members) = (self.name(), self.some_users());
            let command = if self.chance.one_in(2) {
                TeamCommand::ProvisionTeam {
                    team,
                    name,
                    external_id: self.chance.one_in(2).then(|| self.chance.text()),
                    members,
                }
            } else {
                TeamCommand::CreateTeam { team, name, members }
            };
            if self.run::<Team>(team.uuid(), command).await {
                self.teams.push(team);
            }
            return;
        }
        let Some(team) = self.chance.pick(&self.teams) else {
            return;
        };
        let command = match self.chance.below(8) {
            0 if self.teams.len() > 3 => TeamCommand::DeleteTeam { used_by: Vec::new() },
            0 if self.chance.one_in(2) => TeamCommand::DeprovisionTeam { used_by: Vec::new() },
            0 | 5 => TeamCommand::ReleaseTeam,
            3 | 4 => TeamCommand::SyncTeam {
                name: self.chance.one_in(2).then(|| self.name()),
                external_id: self.chance.one_in(2).then(|| Some(self.chance.text())),
                members: Some(self.some_users()),
            },
            1 | 2 => TeamCommand::ChangeTeam {
                name: Some(self.name()),
                members: Some(self.some_users()),
            },
            _ => TeamCommand::ChangeMembers {
                add: self.some_users(),
                remove: self.some_users(),
            },
        };
        self.run::<Team>(team.uuid(), command).await;
    }

    async fn account(&mut self) {
        if self.accounts.is_empty() || self.chance.one_in(5) {
            let account: ServiceAccountId = self.world.id();
            let scopes = vec![Scope::AuditRead, Scope::FleetRead];
            let command = ServiceAccountCommand::CreateServiceAccount {
                account,
                name: self.name(),
                scopes,
            };
            if self.run::<ServiceAccount>(account.uuid(), command).await {
                self.accounts.push(account);
            }
            return;
        }
        let Some(mut account) = self.chance.pick(&self.accounts) else {
            return;
        };
        let command = match self.chance.below(6) {
            0 if self.accounts.len() > 3 => ServiceAccountCommand::DeleteServiceAccount,
            1 | 2 => {
                let Some((of, key)) = self.chance.pick(&self.keys) else {
                    return;
                };
                account = of;
                ServiceAccountCommand::RevokeApiKey { key }
            }
            _ => {
                let key = self.world.id();
                self.keys.push((account, key));
                let at = self.world.now();
                ServiceAccountCommand::IssueApiKey {
                    at,
                    key,
                    scopes: vec![Scope::AuditRead],
                    expires_at: None,
                }
            }
        };
        self.run::<ServiceAccount>(account.uuid(), command).await;
    }

    async fn group(&mut self) {
        if self.groups.len() < 2 || self.chance.one_in(6) {
            let group: DeploymentGroupId = self.world.id();
            let command = DeploymentGroupCommand::CreateDeploymentGroup {
                group,
                name: self.name(),
            };
            if self.run::<DeploymentGroup>(group.uuid(), command).await {
                self.groups.push(group);
            }
            return;
        }
        let Some(mut group) = self.chance.pick(&self.groups) else {
            return;
        };
        let at = self.world.now();
        let command = match self.chance.below(8) {
            0 => DeploymentGroupCommand::RenameDeploymentGroup { name: self.name() },
            1 if self.groups.len() > 3 => DeploymentGroupCommand::DeleteDeploymentGroup { endpoints: 0 },
            2 => DeploymentGroupCommand::ConfirmSnapshot {
                version: self.chance.below(500),
            },
            3 => {
                let Some((of, token)) = self.chance.pick(&self.tokens) else {
                    return;
                };
                group = of;
                DeploymentGroupCommand::RevokeRegistrationToken { token }
            }
            _ => {
                let token = self.world.id();
                self.tokens.push((group, token));
                let max_uses = self.chance.one_in(2).then_some(5);
                DeploymentGroupCommand::IssueRegistrationToken {
                    at,
                    token,
                    expires_at: None,
                    max_uses,
                }
            }
        };
        self.run::<DeploymentGroup>(group.uuid(), command).await;
    }

    async fn endpoint(&mut self) {
        if self.endpoints.len() < 3 || self.chance.one_in(6) {
            let Some((group, token)) = self.chance.pick(&self.tokens) else {
                return;
            };
            let (endpoint, at) = (self.world.id::<EndpointId>(), self.world.now());
            let used = DeploymentGroupCommand::UseRegistrationToken { at, token, endpoint };
            if !self.run::<DeploymentGroup>(group.uuid(), used).await {
                return;
            }
            let machine = Machine {
                name: format!("WS-{:03}", self.chance.below(100)),
                os: self
                    .chance
                    .pick(&[Os::Windows, Os::Linux, Os::Macos])
                    .unwrap_or(Os::Linux),
                os_version: "10.0.19045".into(),
                machine_id: self.world.uuid().to_string(),
            };
            let replaces = if self.chance.one_in(4) {
                self.chance.pick(&self.endpoints)
            } else {
                None
            };
            let public_key = "A".repeat(43);
            let command = EndpointCommand::RegisterEndpoint {
                endpoint,
                group,
                token,
                machine,
                public_key,
                replaces,
            };
            if self.run::<Endpoint>(endpoint.uuid(), command).await {
                self.endpoints.push(endpoint);
            }
            return;
        }
        let Some(endpoint) = self.chance.pick(&self.endpoints) else {
            return;
        };
        let head = self.world.store.head(self.world.tenant).await.unwrap();
        let command = match self.chance.below(10) {
            0 => EndpointCommand::RemoveEndpoint {
                reason: self.chance.text(),
            },
            1 | 2 => EndpointCommand::MoveEndpoint {
                group: self.chance.pick(&self.groups).unwrap_or_default(),
            },
            _ => EndpointCommand::ApplySnapshot {
                epoch: 1,
                version: 1 + self.chance.below(head),
                applied_at: self.world.now(),
                offered: head,
            },
        };
        self.run::<Endpoint>(endpoint.uuid(), command).await;
    }

    async fn person(&mut self) {
        if self.people.len() < 3 || self.chance.one_in(3) {
            let person: PersonId = self.world.id();
            self.n += 1;
            let endpoint = self.chance.pick(&self.endpoints).unwrap_or_default();
            let account = format!("CORP\\{}{}", self.chance.word(), self.n);
            if self
                .run::<Person>(
                    person.uuid(),
                    PersonCommand::SeeEndpointAccount {
                        person,
                        account,
                        endpoint,
                    },
                )
                .await
            {
                self.people.push(person);
            }
            return;
        }
        let Some(person) = self.chance.pick(&self.people) else {
            return;
        };
        let command = match self.chance.below(8) {
            0 => {
                self.world
                    .store
                    .vault()
                    .erase_person(self.world.tenant, person)
                    .await
                    .unwrap();
                PersonCommand::ErasePerson
            }
            1 | 2 => PersonCommand::UnlinkEndpointAccount,
            _ => {
                let Some((user, user_person)) = self.chance.pick(&self.users) else {
                    return;
                };
                PersonCommand::LinkEndpointAccount {
                    user,
                    user_person,
                    by: "admin".into(),
                }
            }
        };
        self.run::<Person>(person.uuid(), command).await;
    }

    async fn collection(&mut self) {
        if self.collections.len() < 2 || self.chance.one_in(3) {
            let collection: CollectionId = self.world.id();
            let (kind, member) = self
                .chance
                .pick(&[
                    (CollectionKind::Users, "user:CORP\\a*"),
                    (CollectionKind::Machines, "machine:WS-0*"),
                    (CollectionKind::Applications, "path:/opt/*"),
                ])
                .unwrap();
            self.n += 1;
            let name = format!("collection-{}", self.n);
            let command = CollectionCommand::CreateCollection {
                collection,
                kind,
                name: name.clone(),
                members: vec![member.to_owned()],
            };
            if self.run::<Collection>(collection.uuid(), command).await {
                self.collections.push((collection, name, kind));
            }
            return;
        }
        let Some((collection, _, kind)) = self.chance.pick(&self.collections) else {
            return;
        };
        let member = match kind {
            CollectionKind::Users => format!("user:{}*", self.chance.word()),
            CollectionKind::Machines => format!("machine:{}*", self.chance.word()),
            CollectionKind::Applications => format!("path:/opt/{}/*", self.chance.word()),
        };
        let command = if self.chance.one_in(8) && self.collections.len() > 4 {
            CollectionCommand::DeleteCollection { used_by: Vec::new() }
        } else {
            CollectionCommand::ChangeCollection {
                name: None,
                members: Some(vec![member]),
                named_by: Vec::new(),
                policies: Vec::new(),
                facts: Default::default(),
            }
        };
        self.run::<Collection>(collection.uuid(), command).await;
    }

    fn document(&mut self) -> PolicyDocument {
        let status = self.chance.pick(&PolicyStatus::ALL).unwrap();
        let of = |kind: CollectionKind, all: &[(CollectionId, String, CollectionKind)]| {
            all.iter()
                .filter(|(.., k)| *k == kind)
                .map(|(_, name, _)| name.clone())
                .collect::<Vec<_>>()
        };
        let machines = self.chance.pick(&of(CollectionKind::Machines, &self.collections));
        let machines = machines
            .filter(|_| self.chance.one_in(2))
            .map_or("*".to_owned(), |name| format!("collection:{name}"));
        let controls = self
            .chance
            .pick(&[json!(["approval"]), json!(["mfa", "justification"]), json!(["deny"])])
            .unwrap();
        serde_json::from_value(json!({
            "name": self.name(),
            "type": "privilege_elevation",
            "status": status.as_str(),
            "controls": controls,
            "users": ["*"],
            "machines": [machines],
            "applications": [format!("path:/opt/{}/*", self.chance.word())],
            "riskLevel": self.chance.below(101),
        }))
        .unwrap()
    }

    async fn policy(&mut self) {
        let collections = self
            .collections
            .iter()
            .flat_map(|(id, name, kind)| {
                let collection = policy_engine::Collection {
                    kind: *kind,
                    members: Vec::new(),
                };
                [(name.clone(), collection.clone()), (id.to_string(), collection)]
            })
            .collect();
        let facts = SaveFacts {
            collections,
            is_owner: true,
        };
        let reason = self.chance.text();
        let document = Box::new(self.document());
        if self.policies.len() < 14 || self.chance.one_in(8) {
            let policy: PolicyId = self.world.id();
            let copied_from = self.chance.pick(&self.policies).filter(|_| self.chance.one_in(3));
            let command = PolicyCommand::CreatePolicy {
                policy,
                document,
                reason,
                copied_from,
                facts,
            };
            if self.run::<Policy>(policy.uuid(), command).await {
                self.policies.push(policy);
            }
            return;
        }
        let Some(policy) = self.chance.pick(&self.policies) else {
            return;
        };
        let expected = None;
        let command = match self.chance.below(14) {
            0 => PolicyCommand::DeletePolicy { reason },
            1 | 2 => PolicyCommand::RollbackPolicy {
                to: 1 + self.chance.small(3),
                reason,
                expected,
                facts,
            },
            3..=5 => {
                let status = self.chance.pick(&PolicyStatus::ALL).unwrap();
                PolicyCommand::SetPolicyStatus {
                    status,
                    reason,
                    expected,
                    facts,
                }
            }
            6..=8 => {
                let groups = (0..2).filter_map(|_| self.chance.pick(&self.groups)).collect();
                PolicyCommand::StagePolicyRevision {
                    document,
                    groups,
                    reason,
                    expected,
                    facts,
                }
            }
            9 => PolicyCommand::PromotePolicyRevision { facts },
            10 => PolicyCommand::WithdrawPolicyRevision { reason },
            _ => PolicyCommand::RevisePolicy {
                document,
                reason,
                expected,
                facts,
            },
        };
        self.run::<Policy>(policy.uuid(), command).await;
    }

    fn approvers(&mut self) -> Vec<Approver> {
        let mut approvers: Vec<Approver> = self.some_users().into_iter().map(Approver::User).collect();
        approvers.extend(self.chance.pick(&self.teams).map(Approver::Team));
        approvers.sort();
        approvers.dedup();
        approvers
    }

    async fn rule(&mut self) {
        let approvers: Vec<Approver> = self
            .users
            .iter()
            .map(|(user, _)| Approver::User(*user))
            .chain(self.teams.iter().map(|team| Approver::Team(*team)))
            .collect();
        let collections = self.collections.iter().map(|(_, name, _)| name.clone()).collect();
        let facts = RuleFacts {
            collections,
            approvers: approvers.into_iter().collect(),
        };
        let definition = Box::new(RuleDefinition {
            name: self.name(),
            types: Vec::new(),
            collections: self
                .chance
                .pick(&self.collections)
                .map(|(_, name, _)| name)
                .into_iter()
                .collect(),
            risk_from: self.chance.small(50),
            risk_to: 50 + self.chance.small(51),
            primary: self.approvers(),
            secondary: self.approvers(),
            quorum: 1 + self.chance.small(2),
            windows: Windows::default(),
            self_approval: self.chance.one_in(3),
        });
        let known = self.chance.pick(&self.rules);
        let command = match (self.chance.below(6), known) {
            (0, Some(rule)) if self.rules.len() > 2 => {
                self.rules.retain(|r| *r != rule);
                ApprovalRulesCommand::DeleteApprovalRule { rule }
            }
            (1, Some(_)) => {
                self.rules.rotate_left(1);
                ApprovalRulesCommand::ReorderApprovalRules {
                    order: self.rules.clone(),
                }
            }
            (2 | 3, Some(rule)) => ApprovalRulesCommand::ChangeApprovalRule {
                rule,
                definition,
                facts,
            },
            _ => {
                let rule: ApprovalRuleId = self.world.id();
                let command = ApprovalRulesCommand::CreateApprovalRule {
                    rule,
                    definition,
                    facts,
                };
                if self.run::<ApprovalRules>(self.world.tenant.uuid(), command).await {
                    self.rules.push(rule);
                }
                return;
            }
        };
        self.run::<ApprovalRules>(self.world.tenant.uuid(), command).await;
    }

    /// Entries of the platform's log, which is a tenant's as any other.
    async fn operator(&mut self) {
        let (act, slug) = ("suspendTenant".to_owned(), Some("acme".to_owned()));
        let (tenant, detail) = (Some(self.world.tenant), Some(self.chance.text()));
        let command = if self.chance.one_in(2) {
            PlatformCommand::NoteAct {
                act,
                tenant,
                slug,
                detail,
            }
        } else {
            let code = "ALREADY_SUSPENDED".to_owned();
            PlatformCommand::NoteRefusal {
                act,
                tenant,
                slug,
                code,
            }
        };
        self.run::<Platform>(self.world.tenant.uuid(), command).await;
    }

    async fn tenant(&mut self) {
        let reason = self.chance.text();
        let at = self.world.now();
        let command = match self.chance.below(13) {
            12 => TenantCommand::ResendMail {
                cause: 1 + self.chance.below(100),
                part: 0,
                recipient: self.world.id(),
            },
            8 => TenantCommand::RequestTenantDeletion {
                at,
                purge_at: at + Duration::from_secs(30 * 86_400),
            },
            9 | 10 => TenantCommand::CancelTenantDeletion { at, reason },
            11 => TenantCommand::ChangeKeySet {
                version: 2 + self.chance.below(3),
                purpose: "grant".into(),
                active: Some("kid-2".into()),
                withdrawn: Vec::new(),
            },
            0 => TenantCommand::SuspendTenant { reason },
            1..=3 => TenantCommand::ResumeTenant { reason },
            4 => TenantCommand::RestoreLog {
                epoch: 2 + self.chance.small(2),
                reason,
            },
            _ => TenantCommand::ChangeSettings {
                settings: Box::new(Settings {
                    justification_min: 1 + self.chance.small(10),
                    self_approval: self.chance.one_in(2),
                    ..Settings::default()
                }),
            },
        };
        self.run::<Tenant>(self.world.tenant.uuid(), command).await;
    }

    async fn submit(&mut self) {
        let (Some(person), Some((approver, _))) = (self.chance.pick(&self.people), self.chance.pick(&self.users))
        else {
            return;
        };
        let mut submission = self.world.submission(person, approver);
        submission.user = self
            .chance
            .pick(&self.users)
            .map(|(user, _)| user)
            .filter(|_| self.chance.one_in(2));
        submission.endpoint = self.chance.pick(&self.endpoints).unwrap_or_default();
        submission.details = details(
            &format!("C:\\{}\\{}.exe", self.chance.word(), self.chance.word()),
            &self.chance.text(),
        );
        submission.policies = self
            .chance
            .pick(&self.policies)
            .map(|id| PolicyRef { id, revision: 1 })
            .into_iter()
            .collect();
        submission.risk = self.chance.small(101);
        submission.mfa = self.chance.one_in(3);
        submission.route.secondary = self.approvers();
        submission.route.quorum = 1 + self.chance.small(2);
        submission.windows.uses = Some(1 + self.chance.small(3)).filter(|_| !self.chance.one_in(4));
        submission.windows.grant_minutes = 5 + self.chance.small(300);
        submission.previous = self
            .chance
            .pick(&self.requests)
            .map(|s| s.request)
            .filter(|_| self.chance.one_in(4));
        if self.chance.one_in(5) {
            submission.flags = vec![Flag::NoApprover, Flag::UnlinkedRequester];
        }
        let (request, at) = (submission.request, self.world.now());
        let command = RequestCommand::SubmitRequest {
            at,
            submission: Box::new(submission.clone()),
        };
        if self.run::<Request>(request.uuid(), command).await {
            self.requests.push(submission);
        }
    }

    async fn request(&mut self) {
        // Most of the time one of the last, which is still open.
        let recent = self
            .requests
            .len()
            .saturating_sub(if self.chance.one_in(4) { 1_000 } else { 6 });
        let Some(submission) = self.chance.pick(&self.requests[recent..]) else {
            return;
        };
        let Some((user, _)) = self.chance.pick(&self.users) else {
            return;
        };
        let at = self.world.now();
        let by = if self.chance.one_in(2) {
            By::Clock
        } else {
            By::User { user, permitted: true }
        };
        let reason = self.chance.one_in(2).then(|| self.chance.text());
        let mut facts = facts(&submission, user, reason.as_deref());
        facts.own = self.chance.one_in(5);
        facts.self_approval = true;
        let secondary_can_decide = facts.secondary_can_decide;
        let command = match self.chance.below(14) {
            0 => RequestCommand::RepeatRequest {
                at,
                secondary_can_decide: false,
            },
            1..=4 => {
                let uses = self.chance.one_in(3).then_some(1);
                RequestCommand::Approve {
                    at,
                    facts,
                    narrowing: Narrowing {
                        uses,
                        grant_minutes: None,
                    },
                }
            }
            5 => RequestCommand::Deny { at, facts },
            6 => RequestCommand::Escalate {
                at,
                by,
                reason: Some(self.chance.text()),
                secondary_can_decide,
            },
            7 | 8 => RequestCommand::Expire {
                at,
                by,
                secondary_can_decide,
            },
            9 => RequestCommand::CancelRequest {
                secondary_can_decide: false,
                at,
                by,
                cause: CancelCause::Withdrawn,
                reason,
            },
            10 => RequestCommand::RevokeGrant {
                at,
                by,
                cause: CancelCause::Administrator,
                reason,
            },
            11 | 12 => RequestCommand::UseGrant { used_at: at },
            _ => RequestCommand::ExpireGrant { at },
        };
        self.run::<Request>(submission.request.uuid(), command).await;
    }

    async fn actions(&mut self) {
        let (Some(endpoint), Some(person)) = (self.chance.pick(&self.endpoints), self.chance.pick(&self.people)) else {
            return;
        };
        let records = (0..1 + self.chance.below(25))
            .map(|_| {
                let seq = self.seqs.entry(endpoint).or_insert(0);
                *seq += if self.chance.one_in(10) { 2 } else { 1 };
                let seq = *seq;
                let outcome = self
                    .chance
                    .pick(&["allowed", "denied", "required", "pass_through"])
                    .unwrap();
                let steps = if outcome == "required" {
                    json!(["justification", "approval"])
                } else {
                    json!([])
                };
                let matched: Vec<PolicyRef> = self
                    .chance
                    .pick(&self.policies)
                    .map(|id| PolicyRef { id, revision: 1 })
                    .into_iter()
                    .collect();
                let action = details(&format!("/opt/{}", self.chance.word()), "-").action;
                let grant = self
                    .chance
                    .pick(&self.requests)
                    .map(|s| s.request)
                    .filter(|_| self.chance.one_in(5));
                let result = match seq % 3 {
                    0 => "permitted",
                    1 => "refused",
                    _ => "cancelled",
                };
                let reuses = seq.is_multiple_of(20).then(|| self.world.id::<formats::ActivityId>());
                let record = json!({
                    "endpoint": endpoint, "person": person, "activity": self.world.id::<formats::ActivityId>(),
                    "seq": seq, "at": self.world.now(), "skewMs": 17,
                    "input": {"$personal": {"action": action, "justification": self.chance.text()}},
                    "decision": {"outcome": outcome, "steps": steps, "matched": matched, "engine": "1"},
                    "snapshot": {"epoch": 1, "version": 1, "sha256": "ab".repeat(32)},
                    "grant": grant,
                    "result": result,
                    "reuses": reuses,
                });
                serde_json::from_value::<ActionRecorded>(record).unwrap()
            })
            .collect();
        let known = self
            .world
            .store
            .load::<Activity>(self.world.tenant, endpoint.uuid())
            .await;
        let known = Box::new(known.unwrap().0);
        self.run::<Activity>(endpoint.uuid(), ActivityCommand::RecordActions { known, records })
            .await;
    }
}
