//! Demo data: two tenants, so that isolation can be seen; plainly made up, with the same ids every time.

use anyhow::{Context, anyhow};
use commands::{App, Caller, NewTenant, NewUser, Origin, Principal, Refusal};
use eventstore::{Store, TenantTx, Upcasters};
use formats::{
    Ambient, BodyHash, CollectionId, DeploymentGroupId, DigestInput, EndpointId, SigningKey, TeamId, TenantId,
    Timestamp, UserId,
    agent_wire::{Inventory, MachineInfo, RegisterRequest, SnapshotAck, SnapshotVersion, SubmitRequest},
    token::RegistrationClaims,
};
use model::{
    Role, Scope,
    approval_rule::RuleDefinition,
    request::{Approver, Windows},
};
use policy_engine::{Action, CollectionKind, PolicyDocument};
use projections::fleet;
use serde_json::json;

use super::{Ready, ReadyGroup, ReadyTenant, ReadyUser};
use crate::{config::Config, server::Parts};

/// The password of everybody in the demo data.
pub const PASSWORD: &str = "try the portcullis";

/// Where ids begin, whenever the data is made.
const ID_TIME: i64 = 1_767_225_600_000;

fn said(refusal: Refusal) -> anyhow::Error {
    anyhow!(
        "{refusal}{}",
        refusal
            .field
            .as_deref()
            .map(|field| format!(" (field {field})"))
            .unwrap_or_default()
    )
}

/// Makes the demo data, or an empty installation with a link to the first sign-in.
pub(super) async fn seed(config: &Config, parts: &Parts, ambient: &Ambient, empty: bool) -> anyhow::Result<Ready> {
    let mut ready = Ready {
        platform_token: parts
            .app
            .create_platform_credential(&Caller::system(TenantId::default(), ambient.uuid()), "development")
            .await
            .map_err(said)?,
        ..Ready::default()
    };
    if empty {
        let system = Caller {
            tenant: TenantId::default(),
            principal: Principal::System,
            origin: origin(ambient),
        };
        let owner = NewUser {
            email: "owner@localhost.test".to_owned(),
            name: "Owner".to_owned(),
            roles: vec![Role::Owner],
            password: None,
            source: "operator",
        };
        let new = NewTenant {
            id: None,
            slug: "main".to_owned(),
            name: "Main".to_owned(),
            owner: Some(owner),
        };
        let made = parts.app.create_tenant(&system, new).await.map_err(said)?;
        let owner = made.owner.context("the owner")?;
        let token = parts
            .app
            .invite_owner(&Caller::system(made.id, ambient.uuid()), owner)
            .await
            .map_err(said)?;
        parts.app.settled(made.id, made.position).await;
        ready.first_run_url = Some(format!("{}/invitation/{token}", config.public_url));
        return Ok(ready);
    }
    for (n, (slug, name)) in [("acme", "Acme (demo)"), ("globex", "Globex (demo)")]
        .into_iter()
        .enumerate()
    {
        let repeatable = ambient.with_repeatable_ids(0x706f_7274 + n as u64, Timestamp::from_millis(ID_TIME));
        // Ids follow from a seed; keys do not: they come from the process's own vault.
        let store = Store::new(
            parts.app.pool().clone(),
            parts.app.store.vault().clone(),
            repeatable.clone(),
            Upcasters::default(),
            parts.doorbell.clone(),
            eventstore::Options::default(),
        );
        let app = App::new(store, parts.runner.waiter(), (*parts.app.config).clone());
        let tenant = Seeder {
            app,
            ambient: repeatable,
            tenant: TenantId::default(),
        };
        ready.tenants.push(
            tenant
                .tenant(slug, name)
                .await
                .with_context(|| format!("tenant {slug}"))?,
        );
    }
    Ok(ready)
}

fn origin(ambient: &Ambient) -> Origin {
    Origin::inside(ambient.uuid())
}

struct Seeder {
    app: App,
    ambient: Ambient,
    tenant: TenantId,
}

/// The people of one tenant.
struct People {
    owner: UserId,
    admin: UserId,
    approver: UserId,
    team: TeamId,
}

impl Seeder {
    fn system(&self) -> Caller {
        Caller {
            tenant: self.tenant,
            principal: Principal::System,
            origin: origin(&self.ambient),
        }
    }

    fn endpoint(&self, endpoint: EndpointId, group: DeploymentGroupId) -> Caller {
        Caller {
            tenant: self.tenant,
            principal: Principal::Endpoint { endpoint, group },
            origin: origin(&self.ambient),
        }
    }

    async fn tenant(mut self, slug: &str, name: &str) -> anyhow::Result<ReadyTenant> {
        let id: TenantId = self.ambient.id();
        let new = NewTenant {
            id: Some(id),
            slug: slug.to_owned(),
            name: name.to_owned(),
            owner: Some(self.user(slug, "owner", "Demo Owner", Role::Owner)),
        };
        let made = self.app.create_tenant(&self.system(), new).await.map_err(said)?;
        self.tenant = id;
        self.app.settled(id, made.position).await;
        let mut users = vec![ready_user(slug, "owner", Role::Owner, None)];
        let people = self.people(slug, made.owner.context("owner")?, &mut users).await?;
        let groups = self.groups().await?;
        let (api_key, scim_token) = self.keys().await?;
        self.policies().await?;
        self.rules(&people).await?;
        self.fleet(&people, &groups).await?;
        let root_key = self.app.store.vault().tenant(id).await?.root_public();
        let head = self.app.store.head(id).await?;
        self.app.settled(id, head).await;
        Ok(ReadyTenant {
            slug: slug.to_owned(),
            id: id.to_string(),
            users,
            deployment_groups: groups,
            api_key,
            scim_token,
            root_key: serde_json::to_value(root_key)?.as_str().unwrap_or_default().to_owned(),
        })
    }

    fn user(&self, slug: &str, local: &str, name: &str, role: Role) -> NewUser {
        NewUser {
            email: email(slug, local),
            name: name.to_owned(),
            roles: vec![role],
            password: Some(PASSWORD.to_owned()),
            source: "demo",
        }
    }

    async fn people(&self, slug: &str, owner: UserId, users: &mut Vec<ReadyUser>) -> anyhow::Result<People> {
        let mut made = Vec::new();
        for (local, name, role) in [
            ("admin", "Demo Admin", Role::Admin),
            ("approver", "Demo Approver", Role::Approver),
            ("auditor", "Demo Auditor", Role::Auditor),
            ("member", "Demo Member", Role::Member),
        ] {
            let written = self
                .app
                .create_user(&self.system(), self.user(slug, local, name, role))
                .await
                .map_err(said)?;
            let user: UserId = written.id();
            self.app.settled(self.tenant, written.position).await;
            let secret = if role == Role::Approver {
                let secret: [u8; 20] = self.ambient.bytes();
                self.app
                    .totp_preset(&self.system(), user, &secret)
                    .await
                    .map_err(said)?;
                Some(base32(&secret))
            } else {
                None
            };
            users.push(ready_user(slug, local, role, secret));
            made.push(user);
        }
        let team = self
            .app
            .create_team(&self.system(), "Service desk".to_owned(), vec![made[1]])
            .await
            .map_err(said)?;
        self.app.settled(self.tenant, team.position).await;
        Ok(People {
            owner,
            admin: made[0],
            approver: made[1],
            team: team.id(),
        })
    }

    async fn groups(&self) -> anyhow::Result<Vec<ReadyGroup>> {
        let mut groups = Vec::new();
        for name in ["Pilot ring", "Everyone"] {
            let group = self
                .app
                .create_deployment_group(&self.system(), name.to_owned())
                .await
                .map_err(said)?;
            let id: DeploymentGroupId = group.id();
            let issued = self
                .app
                .issue_registration_token(&self.system(), id, None, None)
                .await
                .map_err(said)?;
            self.app.settled(self.tenant, issued.written.position).await;
            groups.push(ReadyGroup {
                id: id.to_string(),
                name: name.to_owned(),
                registration_token: issued.secret.context("the token")?,
            });
        }
        Ok(groups)
    }

    async fn keys(&self) -> anyhow::Result<(String, String)> {
        let account = self
            .app
            .create_service_account(&self.system(), "Integrations".to_owned(), Scope::ALL.to_vec())
            .await
            .map_err(said)?;
        let key = self
            .app
            .issue_api_key(&self.system(), account.id(), Scope::ALL.to_vec(), None)
            .await
            .map_err(said)?;
        let scim = self
            .app
            .issue_scim_token(&self.system(), "Identity provider".to_owned(), None)
            .await
            .map_err(said)?;
        Ok((key.secret.context("the key")?, scim.secret.context("the token")?))
    }

    async fn policies(&self) -> anyhow::Result<()> {
        for (kind, name, members) in [
            (CollectionKind::Machines, "pilot-laptops", vec!["machine:WS-0*"]),
            (
                CollectionKind::Applications,
                "installers",
                vec!["path:*\\setup*.exe", "path:*\\install*.exe", "path:*.msi"],
            ),
            (CollectionKind::Users, "developers", vec!["group:Developers"]),
        ] {
            let members = members.into_iter().map(str::to_owned).collect();
            let made = self
                .app
                .create_collection(&self.system(), kind, name.to_owned(), members)
                .await
                .map_err(said)?;
            let _: CollectionId = made.id();
            self.app.settled(self.tenant, made.position).await;
        }
        for document in documents()? {
            let name = document.name.clone();
            self.app
                .create_policy(&self.system(), document, "Demo data".to_owned())
                .await
                .map_err(said)
                .with_context(|| format!("policy {name}"))?;
        }
        Ok(())
    }

    async fn rules(&self, people: &People) -> anyhow::Result<()> {
        let head = self.app.store.head(self.tenant).await?;
        self.app.settled(self.tenant, head).await;
        let rule = |name: &str, risk_from: u32, quorum: u32| RuleDefinition {
            name: name.to_owned(),
            types: Vec::new(),
            collections: Vec::new(),
            risk_from,
            risk_to: 100,
            primary: vec![Approver::User(people.approver), Approver::Team(people.team)],
            secondary: vec![Approver::User(people.admin), Approver::User(people.owner)],
            quorum,
            windows: Windows::default(),
            self_approval: false,
        };
        for rule in [rule("High risk", 80, 1), rule("Everything else", 0, 1)] {
            self.app
                .create_approval_rule(&self.system(), rule)
                .await
                .map_err(said)?;
        }
        Ok(())
    }

    /// Five endpoints, a pending request and a denied one.
    async fn fleet(&self, people: &People, groups: &[ReadyGroup]) -> anyhow::Result<()> {
        let head = self.app.store.head(self.tenant).await?;
        self.app.settled(self.tenant, head).await;
        let mut first = None;
        for (n, (name, os, version)) in [
            ("WS-001", "windows", "11 24H2"),
            ("WS-002", "windows", "11 24H2"),
            ("WS-101", "windows", "10 22H2"),
            ("build-7", "linux", "Debian 12"),
            ("mac-3", "macos", "15.5"),
        ]
        .into_iter()
        .enumerate()
        {
            let group = &groups[usize::from(n > 1)];
            let endpoint = self.register(name, os, version, group).await?;
            first.get_or_insert((endpoint, group.id.parse::<DeploymentGroupId>()?));
        }
        let (endpoint, group) = first.context("an endpoint")?;
        let caller = self.endpoint(endpoint, group);
        let pending = self
            .file(
                &caller,
                endpoint,
                "C:\\Users\\demo\\Downloads\\setup-tools.exe",
                "The new profiler is needed for the release",
            )
            .await?;
        let denied = self
            .file(
                &caller,
                endpoint,
                "C:\\Users\\demo\\Downloads\\install-game.exe",
                "For the lunch break",
            )
            .await?;
        self.app.settled(self.tenant, pending.1.max(denied.1)).await;
        let approver = self.as_user(people.approver).await?;
        self.app
            .deny(
                &approver,
                denied.0,
                &denied.2,
                Some("Not on a company machine".to_owned()),
            )
            .await
            .map_err(said)?;
        Ok(())
    }

    async fn as_user(&self, user: UserId) -> anyhow::Result<Caller> {
        self.app
            .acting_as(self.tenant, user, origin(&self.ambient))
            .await
            .map_err(said)
    }

    async fn register(&self, name: &str, os: &str, version: &str, group: &ReadyGroup) -> anyhow::Result<EndpointId> {
        let key = SigningKey::from_seed(&self.ambient.bytes());
        let machine_id = format!("demo-{}", name.to_lowercase());
        let now = self.app.now();
        let claims = RegistrationClaims::new(
            self.app.config.public_url.clone(),
            machine_id.clone(),
            &group.registration_token,
            now,
        );
        let request = RegisterRequest {
            registration_token: group.registration_token.clone(),
            machine: MachineInfo {
                name: name.to_owned(),
                os: serde_json::from_value(json!(os))?,
                os_version: version.to_owned(),
                machine_id,
            },
            public_key: key.public(),
            proof: claims.sign(&key)?,
        };
        let registered = self
            .app
            .agent_register(&origin(&self.ambient), request)
            .await
            .map_err(said)?;
        self.app.settled(self.tenant, registered.position).await;
        let endpoint = registered.response.endpoint_id;
        let caller = self.endpoint(endpoint, registered.response.deployment_group_id);
        let offered = self.app.offered_version(&caller).await.map_err(said)?;
        let ack = SnapshotAck {
            epoch: 1,
            version: offered,
            applied_at: now,
        };
        self.app.ack_snapshot(&caller, ack).await.map_err(said)?;
        let mut tx = TenantTx::begin(self.app.pool(), self.tenant).await?;
        fleet::record_inventory(&mut tx, endpoint, now, &inventory(os, version)?).await?;
        tx.commit().await?;
        Ok(endpoint)
    }

    async fn file(
        &self,
        caller: &Caller,
        endpoint: EndpointId,
        path: &str,
        why: &str,
    ) -> anyhow::Result<(formats::RequestId, u64, String)> {
        let now = self.app.now();
        let action: Action = serde_json::from_value(json!({
            "type": "privilege_elevation",
            "user": {"name": "DEMO\\demo", "groups": ["Developers"]},
            "machine": {"name": "WS-001", "os": "windows"},
            "application": {"path": path, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                            "publisher": "CN=Demo Software, O=Demo"},
            "at": now.to_string(),
            "variables": {"userprofile": "C:\\Users\\demo", "downloads": "C:\\Users\\demo\\Downloads", "windir": "C:\\Windows"},
        }))?;
        let digest = DigestInput::of(self.tenant, endpoint, &action, None).digest()?;
        let input = SubmitRequest {
            action,
            cwd: None,
            justification: why.to_owned(),
            policies: Vec::new(),
            snapshot_version: SnapshotVersion { epoch: 1, version: 1 },
            digest,
            retry_of: None,
        };
        let submitted = self.app.submit_request(caller, input).await.map_err(said)?;
        Ok((submitted.request, submitted.position, digest.to_string()))
    }
}

/// What a demo machine reports: programs of its operating system, older ones where that is older.
fn inventory(os: &str, version: &str) -> anyhow::Result<Inventory> {
    let program = |name: &str, version: &str, publisher: &str, path: &str| {
        // Stands for the content of a file that is nowhere.
        let sha256 = BodyHash::of(format!("{path} {version}").as_bytes());
        json!({ "name": name, "version": version, "publisher": publisher, "path": path, "sha256": sha256 })
    };
    let (own, older) = ("CN=Demo Software, O=Demo", version.starts_with("10"));
    let profiler = if older { "3.9" } else { "4.2" };
    let (applications, administrators) = match os {
        "windows" => (
            vec![
                program(
                    "Demo Archiver",
                    "22.1",
                    own,
                    "C:\\Program Files\\Demo Archiver\\archiver.exe",
                ),
                program("Demo Profiler", profiler, own, "C:\\Tools\\Profiler\\profiler.exe"),
                program(
                    "Remote Control",
                    "7.0",
                    "CN=Remote Control Demo",
                    "C:\\Program Files\\Remote Control\\rc.exe",
                ),
            ],
            json!(["DEMO\\helpdesk", "Administrator"]),
        ),
        "macos" => (
            vec![program(
                "Demo Archiver",
                "22.1",
                own,
                "/Applications/Demo Archiver.app/Contents/MacOS/archiver",
            )],
            json!(["admin"]),
        ),
        _ => (
            vec![
                program("demo-archiver", "22.1-1", "Demo Packages", "/usr/bin/demo-archiver"),
                program("demo-profiler", "4.2-3", "Demo Packages", "/opt/demo/profiler"),
            ],
            json!(["root", "deploy"]),
        ),
    };
    let told = json!({ "osVersion": version, "applications": applications, "administrators": administrators });
    Ok(serde_json::from_value(told)?)
}

fn email(slug: &str, local: &str) -> String {
    format!("{local}@{slug}.test")
}

fn ready_user(slug: &str, local: &str, role: Role, totp_secret: Option<String>) -> ReadyUser {
    ReadyUser {
        email: email(slug, local),
        password: PASSWORD.to_owned(),
        totp_secret,
        roles: vec![role.as_str().to_owned()],
    }
}

fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    bytes
        .chunks(5)
        .flat_map(|chunk| {
            let bits = chunk.iter().fold(0u64, |bits, b| (bits << 8) | u64::from(*b));
            (0..8)
                .rev()
                .map(move |i| char::from(ALPHABET[((bits >> (i * 5)) & 31) as usize]))
        })
        .collect()
}

fn documents() -> anyhow::Result<Vec<PolicyDocument>> {
    let everywhere = json!(["*"]);
    let values = [
        json!({
            "name": "Downloads need a second pair of eyes", "type": "privilege_elevation", "status": "enforce",
            "controls": ["approval"], "users": everywhere, "machines": everywhere,
            "applications": ["path:{downloads}\\*"], "riskLevel": 60, "accessMinutes": 60,
            "notification": {"message": "A colleague looks at this before it runs.", "requireAcknowledgement": true}
        }),
        json!({
            "name": "Developers say why", "type": "privilege_elevation", "status": "enforce",
            "controls": ["justification"], "users": ["collection:developers"], "machines": everywhere,
            "applications": ["path:C:\\Tools\\*"], "riskLevel": 30
        }),
        json!({
            "name": "Remote control tools are denied", "type": "privilege_elevation", "status": "enforce",
            "controls": ["deny"], "users": everywhere, "machines": everywhere,
            "applications": ["publisher:CN=Remote Control Demo*"], "riskLevel": 90
        }),
        json!({
            "name": "Hosts file needs a code", "type": "file_access", "status": "enforce",
            "controls": ["mfa"], "users": everywhere, "machines": ["os:windows"],
            "files": ["{windir}\\System32\\drivers\\etc\\hosts"], "riskLevel": 70
        }),
        json!({
            "name": "Restarting services", "type": "command_line", "status": "monitor",
            "controls": ["approval"], "users": everywhere, "machines": ["os:linux"],
            "commands": ["systemctl restart *"], "riskLevel": 50
        }),
        json!({
            "name": "Pilot laptops keep one administrator", "type": "least_privilege", "status": "off",
            "machines": ["collection:pilot-laptops"], "keepAdmins": ["DEMO\\helpdesk"]
        }),
    ];
    values
        .into_iter()
        .map(|value| serde_json::from_value(value).map_err(Into::into))
        .collect()
}
