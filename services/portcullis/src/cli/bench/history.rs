//! A tenant's ordinary days, as events of the real aggregates: requests that are approved and used, actions in batches,
//! snapshots that endpoints applied, and now and then a policy that is revised.

use std::sync::Arc;

use eventstore::Store;
use formats::{
    ActivityId, ApprovalRuleId, DeploymentGroupId, EndpointId, PersonId, PolicyId, RequestId, TeamId, TenantId,
    Timestamp, UserId,
};
use model::{
    Noun, Personal,
    activity::{ActionRecorded, Activity, ActivityCommand, CitedSnapshot, RecordedDecision, RecordedInput},
    approval_rule::{ApprovalRules, ApprovalRulesCommand, RuleDefinition, RuleFacts},
    deployment::{DeploymentGroup, DeploymentGroupCommand},
    endpoint::{Endpoint, EndpointCommand},
    person::{Person, PersonCommand},
    policy::{Policy, PolicyCommand, SaveFacts},
    request::{
        Approver, DecisionFacts, Narrowing, PolicyRef, Request, RequestCommand, RequestDetails, Route, SnapshotRef,
        Submission, Windows,
    },
    team::{Team, TeamCommand},
    user::{User, UserCommand},
};
use policy_engine::{Action, ActionType, Outcome, PolicyDocument, Step};
use serde_json::json;
use uuid::Uuid;

use super::ground::{endpoint, envelope, tenant};

/// Records that an agent sends at once.
const BATCH: u64 = 10;
/// Policies of a tenant.
const POLICIES: usize = 20;

/// A tenant with people, groups, a rule and policies.
#[derive(Clone)]
pub(super) struct Town {
    /// The tenant.
    pub(super) tenant: TenantId,
    store: Store,
    group: DeploymentGroupId,
    approver: UserId,
    policies: Arc<[PolicyId]>,
}

impl Town {
    /// Makes one.
    pub(super) async fn found(store: &Store, n: u64) -> anyhow::Result<Self> {
        let ambient = store.ambient();
        let mut town = Self {
            tenant: tenant(store, n).await?,
            store: store.clone(),
            group: ambient.id(),
            approver: ambient.id(),
            policies: Arc::from([]),
        };
        let create = DeploymentGroupCommand::CreateDeploymentGroup {
            group: town.group,
            name: "Everyone".to_owned(),
        };
        town.run::<DeploymentGroup>(town.group.uuid(), create).await?;
        let create = UserCommand::CreateUser {
            user: town.approver,
            person: ambient.id(),
            email: "approver@bench.test".to_owned(),
            name: "Approver".to_owned(),
            source: "demo".to_owned(),
        };
        town.run::<User>(town.approver.uuid(), create).await?;
        let team: TeamId = ambient.id();
        let create = TeamCommand::CreateTeam {
            team,
            name: "Service desk".to_owned(),
            members: vec![town.approver],
        };
        town.run::<Team>(team.uuid(), create).await?;
        town.rule(team).await?;
        let mut policies = Vec::new();
        for n in 0..POLICIES {
            let policy: PolicyId = ambient.id();
            let create = PolicyCommand::CreatePolicy {
                policy,
                document: Box::new(document(n, 40)?),
                reason: "The benchmark".to_owned(),
                copied_from: None,
                facts: SaveFacts::default(),
            };
            town.run::<Policy>(policy.uuid(), create).await?;
            policies.push(policy);
        }
        town.policies = policies.into();
        Ok(town)
    }

    async fn rule(&self, team: TeamId) -> anyhow::Result<()> {
        let primary = vec![Approver::User(self.approver), Approver::Team(team)];
        let create = ApprovalRulesCommand::CreateApprovalRule {
            rule: self.store.ambient().id::<ApprovalRuleId>(),
            facts: RuleFacts {
                approvers: primary.iter().copied().collect(),
                ..RuleFacts::default()
            },
            definition: Box::new(RuleDefinition {
                name: "Everything".to_owned(),
                types: Vec::new(),
                collections: Vec::new(),
                risk_from: 0,
                risk_to: 100,
                primary,
                secondary: Vec::new(),
                quorum: 1,
                windows: Windows::default(),
                self_approval: false,
            }),
        };
        self.run::<ApprovalRules>(self.tenant.uuid(), create).await?;
        Ok(())
    }

    /// Carries out a command; the number of its events.
    async fn run<A: Noun>(&self, stream: Uuid, command: A::Command) -> anyhow::Result<u64>
    where
        A::Command: Clone,
    {
        let envelope = envelope(&self.store);
        let done = self
            .store
            .execute::<A>(self.tenant, stream, &envelope, |_| command.clone())
            .await?;
        Ok(done.events.len() as u64)
    }
}

/// One endpoint with its person, to whom things happen.
pub(super) struct Desk {
    town: Town,
    endpoint: EndpointId,
    person: PersonId,
    n: u64,
    seq: u64,
}

impl Desk {
    /// Registers one more endpoint in the town.
    pub(super) async fn settle(town: Town) -> anyhow::Result<Self> {
        let endpoint = endpoint(&town.store, town.tenant, town.group).await?;
        let person: PersonId = town.store.ambient().id();
        let seen = PersonCommand::SeeEndpointAccount {
            person,
            account: format!("BENCH\\{}", endpoint.uuid().simple()),
            endpoint,
        };
        town.run::<Person>(person.uuid(), seen).await?;
        Ok(Self {
            town,
            endpoint,
            person,
            n: 0,
            seq: 0,
        })
    }

    /// The next thing that happens; the number of its events.
    pub(super) async fn step(&mut self) -> anyhow::Result<u64> {
        self.n += 1;
        match self.n % 8 {
            0 if self.n.is_multiple_of(64) => self.policy().await,
            0 => self.snapshot().await,
            1..=4 => self.request().await,
            _ => self.actions().await,
        }
    }

    async fn policy(&self) -> anyhow::Result<u64> {
        let n = usize::try_from(self.n / 64)? % POLICIES;
        let revise = PolicyCommand::RevisePolicy {
            document: Box::new(document(n, self.n % 101)?),
            reason: "The benchmark".to_owned(),
            expected: None,
            facts: SaveFacts::default(),
        };
        self.town.run::<Policy>(self.town.policies[n].uuid(), revise).await
    }

    async fn snapshot(&self) -> anyhow::Result<u64> {
        let apply = EndpointCommand::ApplySnapshot {
            epoch: 1,
            version: self.n,
            applied_at: self.town.store.ambient().now(),
            offered: self.n,
        };
        self.town.run::<Endpoint>(self.endpoint.uuid(), apply).await
    }

    fn cited(&self) -> anyhow::Result<PolicyRef> {
        let n = usize::try_from(self.n)? % POLICIES;
        Ok(PolicyRef {
            id: self.town.policies[n],
            revision: 1,
        })
    }

    /// A request whose first window ends at `due`.
    pub(super) async fn file_until(&mut self, due: Timestamp) -> anyhow::Result<u64> {
        self.n += 1;
        let submission = self.submission(self.town.store.ambient().id())?;
        let window = std::time::Duration::from_secs(60) * submission.windows.pending_minutes;
        let stream = submission.request.uuid();
        let submit = RequestCommand::SubmitRequest {
            at: due - window,
            submission: Box::new(submission),
        };
        self.town.run::<Request>(stream, submit).await
    }

    fn submission(&self, request: RequestId) -> anyhow::Result<Submission> {
        let digest = format!("{0:032x}{0:032x}", request.uuid().as_u128());
        Ok(Submission {
            request,
            person: self.person,
            user: None,
            endpoint: self.endpoint,
            action_type: ActionType::PrivilegeElevation,
            digest_mac: digest.clone(),
            details: RequestDetails {
                action: action(self.n)?,
                cwd: None,
                digest,
                justification: "A newer compiler is needed for the release".to_owned(),
            },
            policies: vec![self.cited()?],
            risk: u32::try_from(self.n % 101)?,
            mfa: false,
            access_minutes: Some(60),
            snapshot: SnapshotRef {
                epoch: 1,
                version: 1,
                sha256: None,
            },
            route: Route {
                primary: vec![Approver::User(self.town.approver)],
                quorum: 1,
                ..Route::default()
            },
            windows: Windows::default(),
            flags: Vec::new(),
            previous: None,
            justification_min: 1,
        })
    }

    /// A request that is filed, approved and used up.
    async fn request(&self) -> anyhow::Result<u64> {
        let ambient = self.town.store.ambient();
        let request: RequestId = ambient.id();
        let submission = self.submission(request)?;
        let digest = submission.digest_mac.clone();
        let facts = DecisionFacts {
            approver: self.town.approver,
            eligible: true,
            secondary_only: false,
            own: false,
            self_approval: false,
            secondary_can_decide: false,
            digest_mac: digest,
            denied_now: false,
            denial_needs_comment: false,
            comment: Some("Looks right".to_owned()),
        };
        let submit = RequestCommand::SubmitRequest {
            at: ambient.now(),
            submission: Box::new(submission),
        };
        let mut events = self.town.run::<Request>(request.uuid(), submit).await?;
        let approve = RequestCommand::Approve {
            at: ambient.now(),
            facts,
            narrowing: Narrowing::default(),
        };
        events += self.town.run::<Request>(request.uuid(), approve).await?;
        let used = RequestCommand::UseGrant { used_at: ambient.now() };
        Ok(events + self.town.run::<Request>(request.uuid(), used).await?)
    }

    /// A batch of what the endpoint recorded.
    async fn actions(&mut self) -> anyhow::Result<u64> {
        let mut records = Vec::new();
        for _ in 0..BATCH {
            self.seq += 1;
            let at = self.town.store.ambient().now();
            records.push(ActionRecorded {
                endpoint: self.endpoint,
                person: self.person,
                activity: self.town.store.ambient().id::<ActivityId>(),
                seq: self.seq,
                at,
                skew_ms: 17,
                input: Personal::new(RecordedInput {
                    action: action(self.seq)?,
                    cwd: None,
                    justification: Some("Daily work".to_owned()),
                }),
                decision: RecordedDecision {
                    outcome: Outcome::Required,
                    steps: vec![Step::Justification],
                    matched: vec![self.cited()?],
                    engine: "1".to_owned(),
                },
                snapshot: CitedSnapshot {
                    epoch: 1,
                    version: 1,
                    sha256: "ab".repeat(32),
                },
                grant: None,
                result: None,
                mfa_proof: None,
                reuses: None,
            });
        }
        let stream = self.endpoint.uuid();
        let (known, _) = self.town.store.load::<Activity>(self.town.tenant, stream).await?;
        let record = ActivityCommand::RecordActions {
            known: Box::new(known),
            records,
        };
        self.town.run::<Activity>(stream, record).await
    }
}

fn document(n: usize, risk: u64) -> anyhow::Result<PolicyDocument> {
    Ok(serde_json::from_value(json!({
        "name": format!("Policy {n}"), "type": "privilege_elevation", "status": "enforce", "controls": ["approval"],
        "users": ["*"], "machines": ["*"], "applications": [format!("path:/opt/tools-{n}/*")], "riskLevel": risk,
    }))?)
}

fn action(n: u64) -> anyhow::Result<Action> {
    let path = format!("/opt/tools-{}/setup-{n}", n % 20);
    Ok(serde_json::from_value(json!({
        "type": "privilege_elevation",
        "user": {"name": "BENCH\\robin", "groups": ["Developers"]},
        "machine": {"name": "BENCH", "os": "linux"},
        "application": {"path": path},
        "commandLine": format!("{path} --quiet"),
        "at": "2026-03-02T10:00:00+01:00",
    }))?)
}
