//! What a policy would do, and why a decision came out as it did: questions that change nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use eventstore::TenantTx;
use formats::{ActivityId, BodyHash, DeploymentGroupId, EndpointId, PolicyId, RequestId, TenantId, Timestamp};
use policy_engine::{
    Action, ActionType, Considered, Control, Decision, Explanation, Index, Machine, Outcome as EngineOutcome,
    PolicyDocument, PolicyStatus, Problem, Snapshot, SnapshotCollection, SnapshotPolicy, Step,
    lint::{Facts, Warning, lint},
    validate,
};
use projections::{
    Page,
    fleet::{EndpointFilter, EndpointView},
};
use serde_json::json;

use crate::{Act, App, Caller, Outcome, Refusal};

/// The most machines that lint compares scopes with. A larger fleet is not compared: none is missed then.
const MACHINES: usize = 1_000;
/// The most recorded actions that a draft is run over.
const ACTIONS: usize = 50_000;
/// The most examples of an impact.
const EXAMPLES: usize = 50;
/// The longest look back, in days.
pub const IMPACT_DAYS: u32 = 90;

/// What would be said of a document if it were saved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyCheck {
    /// Why it would be refused; empty where it would not.
    pub problems: Vec<Problem>,
    /// What is probably not meant.
    pub warnings: Vec<Warning>,
}

/// What a draft would change, had it been in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Impact {
    /// Recorded actions that were looked at.
    pub actions: u64,
    /// Those that the draft would deny.
    pub newly_denied: u64,
    /// Those for which it would ask something more, or something else.
    pub newly_required: u64,
    /// Those that it would let pass.
    pub newly_allowed: u64,
    /// Those that it would not touch.
    pub unchanged: u64,
    /// The changed ones that occurred most often, at most 50.
    pub examples: Vec<ImpactExample>,
}

/// One action that would come out differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImpactExample {
    /// What kind of action.
    pub action_type: ActionType,
    /// The program, file or command line.
    pub subject: String,
    /// The account on the endpoint.
    pub user: String,
    /// The machine.
    pub machine: String,
    /// How often it was recorded.
    pub occurrences: u64,
    /// What comes out now.
    pub before: EngineOutcome,
    /// What would come out.
    pub after: EngineOutcome,
}

/// Why a decision comes out as it does.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The decision and each policy that was considered.
    pub explanation: Explanation,
    /// The snapshot it was run on; none with a draft.
    pub version: Option<u64>,
    /// For what was recorded: whether it comes out the same again.
    pub same: Option<bool>,
    /// For what was recorded: the snapshot it cites is not kept, so that this was run on what the endpoint's group is
    /// offered now.
    pub gone: bool,
    /// The controls of each policy of that snapshot, by its id.
    pub controls: BTreeMap<String, Vec<Control>>,
}

/// A document that takes the place of the policy with its id, or stands beside all where there is none.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The policy it would revise.
    pub policy: Option<PolicyId>,
    /// What it says.
    pub document: PolicyDocument,
}

/// The id under which a draft of no policy stands in explanations.
const DRAFT: &str = "draft";

impl Draft {
    fn place(self, snapshot: &mut Snapshot) {
        let id = self
            .policy
            .map_or_else(|| DRAFT.to_owned(), |policy| policy.to_string());
        match snapshot.policies.iter_mut().find(|policy| policy.id == id) {
            Some(policy) => {
                policy.revision += 1;
                policy.document = self.document;
            }
            None => snapshot.policies.push(SnapshotPolicy {
                id,
                revision: 1,
                document: self.document,
            }),
        }
    }
}

/// Everything that lint has to know of a tenant.
struct LintFacts {
    snapshot: Snapshot,
    machines: Vec<Machine>,
    monitored: BTreeSet<PolicyId>,
}

impl LintFacts {
    fn lint(&self, policy: Option<PolicyId>, document: &PolicyDocument) -> Vec<Warning> {
        let id = policy.map(|policy| policy.to_string());
        let facts = Facts {
            snapshot: &self.snapshot,
            id: id.as_deref(),
            endpoints: &self.machines,
            was_monitored: policy.is_some_and(|policy| self.monitored.contains(&policy)),
        };
        lint(document, &facts)
    }
}

impl App {
    /// What would be said of a document if it were saved: nothing is.
    ///
    /// # Errors
    /// `FORBIDDEN`
    pub async fn check_policy(
        &self,
        caller: &Caller,
        policy: Option<PolicyId>,
        document: PolicyDocument,
    ) -> Outcome<PolicyCheck> {
        caller.demand(Act::ReadPolicies)?;
        let facts = self.lint_facts(caller.tenant, policy.as_slice()).await?;
        let mut problems = self.problems(caller, &document).await?;
        let own = policy.map(|policy| policy.to_string());
        let named = |other: &&SnapshotPolicy| policy_engine::eq_folded(&other.document.name, &document.name);
        if facts
            .snapshot
            .policies
            .iter()
            .filter(named)
            .any(|other| Some(&other.id) != own.as_ref())
        {
            problems.push(Problem::new("name", "NAME_TAKEN", "another policy has this name"));
        }
        let warnings = blocking(move || facts.lint(policy, &document)).await?;
        Ok(PolicyCheck { problems, warnings })
    }

    /// What is probably not meant, of each of these policies that exists.
    ///
    /// # Errors
    /// `FORBIDDEN`
    pub async fn lint_policies(
        &self,
        caller: &Caller,
        policies: &[PolicyId],
    ) -> Outcome<BTreeMap<PolicyId, Vec<Warning>>> {
        caller.demand(Act::ReadPolicies)?;
        let facts = self.lint_facts(caller.tenant, policies).await?;
        let policies = policies.to_vec();
        blocking(move || {
            let document = |id: &PolicyId| {
                let id = id.to_string();
                facts
                    .snapshot
                    .policies
                    .iter()
                    .find(|policy| policy.id == id)
                    .map(|policy| &policy.document)
            };
            policies
                .iter()
                .filter_map(|id| Some((*id, facts.lint(Some(*id), document(id)?))))
                .collect()
        })
        .await
    }

    /// What a draft would change of the actions recorded in the last `days` days, were it enforced. At most 50,000
    /// actions are looked at, the oldest of the time first.
    ///
    /// # Errors
    /// `POLICY_REFUSED` with every problem, `BAD_INPUT` on `days`, `FORBIDDEN`.
    pub async fn policy_impact(&self, caller: &Caller, draft: Draft, days: u32) -> Outcome<Impact> {
        caller.demand(Act::ReadPolicies)?;
        if !(1..=IMPACT_DAYS).contains(&days) {
            return Err(Refusal::bad_input("days", format!("days has to be 1 to {IMPACT_DAYS}")));
        }
        refused(self.problems(caller, &draft.document).await?)?;
        let mut draft = draft;
        draft.document.status = PolicyStatus::Enforce;
        let mut tx = self.reading(caller.tenant).await?;
        let before = self.whole(&mut tx).await?;
        drop(tx);
        let mut after = before.clone();
        draft.place(&mut after);
        let indexes = blocking(move || Ok::<_, Refusal>((compile(&before)?, compile(&after)?))).await??;
        let mut comparison = Comparison {
            before: indexes.0,
            after: indexes.1,
            found: Impact::default(),
            changed: HashMap::new(),
        };

        let until = self.ambient().now();
        let from = until - std::time::Duration::from_secs(u64::from(days) * 86_400);
        let (mut position, mut looked_at) = (0, 0);
        loop {
            let mut tx = self.reading(caller.tenant).await?;
            let batch = projections::activity::recorded_between(&mut tx, from, until, position, 1_000).await?;
            drop(tx);
            let Some(last) = batch.last() else { break };
            position = last.position;
            looked_at += batch.len();
            let actions: Vec<Action> = batch
                .into_iter()
                .filter_map(|record| Some(record.input?.action))
                .collect();
            comparison = blocking(move || {
                comparison.take(&actions);
                comparison
            })
            .await?;
            if looked_at >= ACTIONS {
                break;
            }
        }
        Ok(comparison.finish())
    }

    /// Why an action would be decided as it would, on a group's present snapshot (the widest group where none is
    /// named, all policies where there is no group), with a draft where one is given.
    ///
    /// # Errors
    /// `NOT_FOUND` for an unknown group, `POLICY_REFUSED` for a bad draft, `FORBIDDEN`.
    pub async fn explain_action(
        &self,
        caller: &Caller,
        group: Option<DeploymentGroupId>,
        action: Action,
        draft: Option<Draft>,
    ) -> Outcome<Explained> {
        caller.demand(Act::ReadPolicies)?;
        if let Some(draft) = &draft {
            refused(self.problems(caller, &draft.document).await?)?;
        }
        self.caught_up(caller.tenant).await?;
        let mut tx = self.reading(caller.tenant).await?;
        let groups = projections::fleet::groups(&mut tx).await?;
        let found = match group {
            Some(group) => groups.iter().find(|known| known.id == group),
            None => groups.iter().max_by_key(|known| known.endpoints),
        };
        let (mut snapshot, version) = match (found.map(|known| known.id), group) {
            (Some(group), _) => offered(&mut tx, group).await.map(|(s, version)| (s, Some(version)))?,
            (None, Some(_)) => return Err(Refusal::not_found("deployment group").on("deploymentGroupId")),
            // No group yet: what each would get.
            (None, None) => (self.whole(&mut tx).await?, None),
        };
        drop(tx);
        let version = version.filter(|_| draft.is_none());
        if let Some(draft) = draft {
            draft.place(&mut snapshot);
        }
        explain(snapshot, action, version).await
    }

    /// Why a request was needed, run again on the snapshot it was judged on; and whether it comes out the same way.
    /// Whoever may see the request but not the policies learns of those that matched.
    ///
    /// # Errors
    /// `NOT_FOUND`, also for a request that may not be seen and for one whose action was erased.
    pub async fn explain_request(&self, caller: &Caller, request: RequestId) -> Outcome<Explained> {
        let row = self.visible_request(caller, request).await?;
        let details = row.details.ok_or_else(|| Refusal::not_found("action"))?;
        let mut action = details.action;
        action.online = true;
        let mut tx = self.reading(caller.tenant).await?;
        let cited = cited(&mut tx, row.snapshot.sha256, row.snapshot.version, row.endpoint).await?;
        drop(tx);
        let policies: BTreeSet<_> = row
            .policies
            .iter()
            .map(|p| (p.id.to_string(), u64::from(p.revision)))
            .collect();
        let mut explained = explain_again(cited, action, |decision| {
            let found = decision.matched.iter().map(|p| (p.id.clone(), p.revision)).collect();
            decision.steps.contains(&Step::Approval) && policies == found
        })
        .await?;
        if !caller.may(Act::ReadPolicies) {
            let enforced = |policy: &Considered| policy.matched && policy.status == PolicyStatus::Enforce;
            explained.explanation.considered.retain(enforced);
            explained.explanation.decision.would_have = None;
        }
        Ok(explained)
    }

    /// Why a recorded action was decided as it was, run again on the snapshot that it cites.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`.
    pub async fn explain_activity(&self, caller: &Caller, activity: ActivityId) -> Outcome<Explained> {
        caller.demand(Act::ReadPolicies)?;
        caller.demand(Act::ReadAudit)?;
        let mut tx = self.reading(caller.tenant).await?;
        let record = projections::activity::find(&mut tx, activity).await?;
        let record = record.ok_or_else(|| Refusal::not_found("recorded action"))?;
        let input = record.input.ok_or_else(|| Refusal::not_found("recorded action"))?;
        let hash = record.snapshot.sha256.parse().ok();
        let cited = cited(&mut tx, hash, record.snapshot.version, record.endpoint).await?;
        drop(tx);
        explain_again(cited, input.action, |decision| {
            decision.outcome == record.decision.outcome && decision.steps[..] == record.decision.steps
        })
        .await
    }

    /// Why a document would be refused if this caller saved it.
    async fn problems(&self, caller: &Caller, document: &PolicyDocument) -> Outcome<Vec<Problem>> {
        let facts = self.save_facts(caller).await?;
        let mut problems = validate::policy(document, &facts.collections);
        if document.exception && !facts.is_owner {
            problems.push(Problem::new(
                "exception",
                "FORBIDDEN",
                "an exception is saved by owners only",
            ));
        }
        Ok(problems)
    }

    async fn lint_facts(&self, tenant: TenantId, policies: &[PolicyId]) -> Outcome<LintFacts> {
        let mut tx = self.reading(tenant).await?;
        let snapshot = self.whole(&mut tx).await?;
        let monitored = projections::policies::monitored(&mut tx, policies)
            .await?
            .into_iter()
            .collect();
        let machines = machines(&mut tx).await?;
        Ok(LintFacts {
            snapshot,
            machines,
            monitored,
        })
    }

    /// All policies of a tenant as one snapshot, whichever group has them.
    async fn whole(&self, tx: &mut TenantTx) -> Outcome<Snapshot> {
        let policies = projections::policies::current(tx).await?;
        let collections = projections::collections::all(tx).await?;
        let settings = projections::directory::tenant(tx)
            .await?
            .map(|tenant| tenant.settings)
            .unwrap_or_default();
        Ok(Snapshot {
            policies: policies
                .into_iter()
                .map(|p| SnapshotPolicy {
                    id: p.id.to_string(),
                    revision: p.revision.into(),
                    document: p.document,
                })
                .collect(),
            collections: collections
                .into_iter()
                .map(|c| SnapshotCollection {
                    id: c.id.to_string(),
                    name: c.name,
                    kind: c.kind,
                    members: c.members,
                })
                .collect(),
            baseline: settings.baseline,
            ..Snapshot::default()
        })
    }
}

fn refused(problems: Vec<Problem>) -> Outcome<()> {
    let Some(first) = problems.first() else { return Ok(()) };
    let refusal = Refusal::new("POLICY_REFUSED", 422, first.to_string()).on(first.field.clone());
    Err(refusal.with(json!({ "problems": problems })))
}

/// Every known machine, or none where there are too many to compare with.
async fn machines(tx: &mut TenantTx) -> Outcome<Vec<Machine>> {
    let machine = |endpoint: EndpointView| Machine {
        name: endpoint.machine.name,
        os: endpoint.machine.os,
    };
    let filter = EndpointFilter {
        seen_after: Timestamp::default(),
        ..EndpointFilter::default()
    };
    let mut machines = Vec::new();
    let mut page = Page::first(projections::page::LIMIT_MAX);
    loop {
        let found = projections::fleet::endpoints(tx, &filter, &page).await?;
        let next = found
            .edges
            .last()
            .filter(|_| found.more)
            .map(|edge| edge.cursor.clone());
        machines.extend(found.nodes().into_iter().map(machine));
        match next {
            None => return Ok(machines),
            Some(_) if machines.len() >= MACHINES => return Ok(Vec::new()),
            Some(cursor) => page = Page::after(cursor, projections::page::LIMIT_MAX),
        }
    }
}

async fn offered(tx: &mut TenantTx, group: DeploymentGroupId) -> Outcome<(Snapshot, u64)> {
    let offered = projections::policy_snapshot::offered_to(tx, group).await?;
    let offered = offered.ok_or_else(|| Refusal::unavailable("the group has no snapshot yet"))?;
    let body = projections::policy_snapshot::body(tx, offered.sha256).await?;
    let body = body.ok_or_else(|| Refusal::internal("a snapshot's body is missing"))?;
    Ok((body.snapshot()?, offered.version))
}

/// The snapshot that something recorded cites, with its version.
struct Cited {
    snapshot: Snapshot,
    version: u64,
    /// It is not kept any more: this is what the endpoint's group is offered now.
    gone: bool,
}

async fn cited(tx: &mut TenantTx, sha256: Option<BodyHash>, version: u64, endpoint: EndpointId) -> Outcome<Cited> {
    let kept = match sha256 {
        Some(hash) => projections::policy_snapshot::body(tx, hash).await?,
        None => None,
    };
    if let Some(body) = kept {
        return Ok(Cited {
            snapshot: body.snapshot()?,
            version,
            gone: false,
        });
    }
    let endpoint = projections::fleet::endpoint(tx, endpoint).await?;
    let group = endpoint.ok_or_else(|| Refusal::not_found("endpoint"))?.group;
    let (snapshot, version) = offered(tx, group).await?;
    Ok(Cited {
        snapshot,
        version,
        gone: true,
    })
}

/// Runs what was recorded again. Where its snapshot is gone, nothing is said of whether it comes out the same.
async fn explain_again(cited: Cited, action: Action, same: impl Fn(&Decision) -> bool) -> Outcome<Explained> {
    let mut explained = explain(cited.snapshot, action, Some(cited.version)).await?;
    explained.gone = cited.gone;
    explained.same = (!cited.gone).then(|| same(&explained.explanation.decision));
    Ok(explained)
}

async fn explain(snapshot: Snapshot, action: Action, version: Option<u64>) -> Outcome<Explained> {
    blocking(move || {
        let explanation = compile(&snapshot)?.explain(&action);
        let controls = snapshot
            .policies
            .into_iter()
            .map(|policy| (policy.id, policy.document.controls))
            .collect();
        Ok(Explained {
            explanation,
            version,
            same: None,
            gone: false,
            controls,
        })
    })
    .await?
}

fn compile(snapshot: &Snapshot) -> Outcome<Index> {
    Index::compile(snapshot).map_err(Refusal::internal)
}

/// Work that holds a processor longer than a turn of the runtime should.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
    tokio::task::spawn_blocking(work).await.map_err(Refusal::internal)
}

/// What makes two recorded actions the same example.
type Kind = (ActionType, String, String, String, EngineOutcome, EngineOutcome);

struct Comparison {
    before: Index,
    after: Index,
    found: Impact,
    changed: HashMap<Kind, u64>,
}

impl Comparison {
    fn take(&mut self, actions: &[Action]) {
        for action in actions {
            let (before, after) = (self.before.decide(action), self.after.decide(action));
            self.found.actions += 1;
            if before.outcome == after.outcome && before.steps == after.steps {
                self.found.unchanged += 1;
                continue;
            }
            match after.outcome {
                EngineOutcome::Denied => self.found.newly_denied += 1,
                EngineOutcome::Required | EngineOutcome::BlockedOffline => self.found.newly_required += 1,
                EngineOutcome::Allowed | EngineOutcome::PassThrough => self.found.newly_allowed += 1,
            }
            let kind = (
                action.action_type,
                action.subject().unwrap_or_default().to_owned(),
                action.user.name.clone(),
                action.machine.name.clone(),
                before.outcome,
                after.outcome,
            );
            *self.changed.entry(kind).or_default() += 1;
        }
    }

    fn finish(self) -> Impact {
        let mut examples: Vec<_> = self
            .changed
            .into_iter()
            .map(
                |((action_type, subject, user, machine, before, after), occurrences)| ImpactExample {
                    action_type,
                    subject,
                    user,
                    machine,
                    occurrences,
                    before,
                    after,
                },
            )
            .collect();
        let key = |e: &ImpactExample| (e.subject.clone(), e.user.clone(), e.machine.clone());
        examples.sort_unstable_by(|a, b| b.occurrences.cmp(&a.occurrences).then_with(|| key(a).cmp(&key(b))));
        examples.truncate(EXAMPLES);
        Impact { examples, ..self.found }
    }
}

#[cfg(test)]
mod tests {
    use policy_engine::PolicyType;

    use super::*;

    fn action(path: &str) -> Action {
        serde_json::from_value(json!({
            "type": "privilege_elevation", "user": {"name": "CORP\\alice"}, "machine": {"name": "WS-041", "os": "windows"},
            "application": {"path": path}, "at": "2026-03-02T10:00:00+01:00"
        }))
        .unwrap()
    }

    fn deny(path: &str) -> PolicyDocument {
        let mut document = PolicyDocument::new("No games", PolicyType::PrivilegeElevation, PolicyStatus::Enforce);
        document.controls = vec![Control::Deny];
        document.users = vec!["*".to_owned()];
        document.machines = vec!["*".to_owned()];
        document.applications = vec![format!("path:{path}")];
        document
    }

    #[test]
    fn what_a_draft_changes_is_counted_and_the_commonest_comes_first() {
        let mut after = Snapshot::default();
        Draft {
            policy: None,
            document: deny("C:\\Games\\*"),
        }
        .place(&mut after);
        let mut comparison = Comparison {
            before: compile(&Snapshot::default()).unwrap(),
            after: compile(&after).unwrap(),
            found: Impact::default(),
            changed: HashMap::new(),
        };
        let (rare, common) = (action("C:\\Games\\a.exe"), action("C:\\Games\\b.exe"));
        comparison.take(&[rare, common.clone(), common, action("C:\\Tools\\c.exe")]);
        let impact = comparison.finish();
        assert_eq!((impact.actions, impact.newly_denied, impact.unchanged), (4, 3, 1));
        let first = &impact.examples[0];
        assert_eq!((first.subject.as_str(), first.occurrences), ("C:\\Games\\b.exe", 2));
        assert_eq!(
            (first.before, first.after),
            (EngineOutcome::PassThrough, EngineOutcome::Denied)
        );
    }

    #[test]
    fn a_draft_takes_the_place_of_its_policy_and_else_stands_beside_all() {
        let policy = PolicyId::from_uuid(uuid::Uuid::from_u128(7));
        let mut snapshot = Snapshot::default();
        Draft {
            policy: Some(policy),
            document: deny("C:\\a.exe"),
        }
        .place(&mut snapshot);
        Draft {
            policy: Some(policy),
            document: deny("C:\\b.exe"),
        }
        .place(&mut snapshot);
        assert_eq!((snapshot.policies.len(), snapshot.policies[0].revision), (1, 2));
        assert_eq!(snapshot.policies[0].document.applications, ["path:C:\\b.exe"]);
        Draft {
            policy: None,
            document: deny("C:\\c.exe"),
        }
        .place(&mut snapshot);
        assert_eq!(snapshot.policies[1].id, "draft");
    }
}
