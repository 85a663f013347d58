//! Which rule routes a request, and who may decide it.

use std::collections::BTreeMap;

use formats::{ApprovalRuleId, PersonId, TenantId, UserId};
use model::{
    Role,
    approval_rule::{ApprovalRules, RuleDefinition},
    request::{Approver, Request, Route, Windows},
    tenant::Settings,
};
use policy_engine::{
    Action, ActionType, Collection, CollectionKind, Control, Index, PolicyDocument, PolicyStatus, Snapshot,
    SnapshotCollection, SnapshotPolicy,
};

use crate::{App, Caller, Outcome, Refusal, kept::Able};

/// A rule's scope written as a policy, so that the engine's own matching decides whether it fits the action. None where
/// a rule can't match this type of action at all.
fn as_policy(
    id: ApprovalRuleId,
    rule: &RuleDefinition,
    action_type: ActionType,
    collections: &BTreeMap<String, Collection>,
) -> Option<SnapshotPolicy> {
    let mut document = PolicyDocument::new(id.to_string(), action_type.policy_type(), PolicyStatus::Enforce);
    document.controls = vec![Control::Justification];
    for name in &rule.collections {
        // A collection that is gone matches nothing, and never everything.
        let kind = collections.get(name)?.kind;
        let list = match kind {
            CollectionKind::Users => &mut document.users,
            CollectionKind::Machines => &mut document.machines,
            CollectionKind::Applications => &mut document.applications,
        };
        list.push(format!("collection:{name}"));
    }
    let any = |list: &mut Vec<String>| {
        if list.is_empty() {
            list.push("*".to_owned());
        }
    };
    any(&mut document.users);
    any(&mut document.machines);
    match action_type {
        ActionType::PrivilegeElevation => any(&mut document.applications),
        ActionType::FileAccess => any(&mut document.files),
        // A command line has no application to be matched.
        ActionType::CommandLine if !document.applications.is_empty() => return None,
        ActionType::CommandLine => any(&mut document.commands),
    }
    Some(SnapshotPolicy {
        id: id.to_string(),
        revision: 1,
        document,
    })
}

/// The first rule that matches type, collections and risk.
fn first_match<'a>(
    rules: &'a [(ApprovalRuleId, RuleDefinition)],
    collections: &BTreeMap<String, Collection>,
    action: &Action,
    risk: u32,
) -> Outcome<Option<&'a (ApprovalRuleId, RuleDefinition)>> {
    let candidates: Vec<_> = rules
        .iter()
        .filter(|(_, rule)| rule.types.is_empty() || rule.types.contains(&action.action_type))
        .filter(|(_, rule)| (rule.risk_from..=rule.risk_to).contains(&risk))
        .collect();
    let policies: Vec<_> = candidates
        .iter()
        .filter_map(|(id, rule)| as_policy(*id, rule, action.action_type, collections))
        .collect();
    let known = |name: &String| policies.iter().any(|p| uses(&p.document, name));
    let collections = collections
        .iter()
        .filter(|(name, _)| known(name))
        .map(|(name, c)| SnapshotCollection {
            id: name.clone(),
            name: name.clone(),
            kind: c.kind,
            members: c.members.clone(),
        })
        .collect();
    let snapshot = Snapshot {
        policies,
        collections,
        ..Snapshot::default()
    };
    let matched = Index::compile(&snapshot)
        .map_err(Refusal::internal)?
        .decide(action)
        .matched;
    Ok(candidates
        .into_iter()
        .find(|(id, _)| matched.iter().any(|m| m.id == id.to_string())))
}

fn uses(document: &PolicyDocument, name: &str) -> bool {
    let entry = format!("collection:{name}");
    [&document.users, &document.machines, &document.applications]
        .into_iter()
        .any(|list| list.contains(&entry))
}

/// A route and the windows that go with it.
pub(super) struct Routed {
    pub(super) route: Route,
    pub(super) windows: Windows,
    /// Nobody whom the route names can decide: administrators are asked.
    pub(super) no_approver: bool,
}

impl App {
    /// Where a request goes.
    pub(super) async fn route(
        &self,
        tenant: TenantId,
        settings: &Settings,
        action: &Action,
        risk: u32,
        requester: PersonId,
    ) -> Outcome<Routed> {
        let rules: ApprovalRules = self.state(tenant, tenant.uuid()).await?;
        let collections = self.collections_by_name(tenant).await?;
        let matched = first_match(rules.rules(), &collections, action, risk)?;
        let (route, windows) = match matched {
            Some((id, rule)) => (
                Route {
                    rule: Some(*id),
                    primary: rule.primary.clone(),
                    secondary: rule.secondary.clone(),
                    quorum: rule.quorum,
                    self_approval: rule.self_approval,
                },
                rule.windows,
            ),
            None => (
                Route {
                    primary: settings.default_approvers.clone(),
                    quorum: 1,
                    ..Route::default()
                },
                settings.windows,
            ),
        };
        let able = self.able(tenant, &route.primary).await?;
        let requester = self.canonical(tenant, requester).await?;
        let self_allowed = route.lets_own(settings);
        let no_approver = !able.iter().any(|user| self_allowed || user.person != requester);
        Ok(Routed {
            route,
            windows,
            no_approver,
        })
    }

    /// Whether a user is among these approvers at this moment, by the log itself.
    pub(super) async fn is_among(&self, tenant: TenantId, user: UserId, approvers: &[Approver]) -> Outcome<bool> {
        for approver in approvers {
            let found = match approver {
                Approver::User(id) => *id == user,
                Approver::Team(team) => {
                    let team: model::team::Team = self.state(tenant, team.uuid()).await?;
                    team.has(user)
                }
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether at least one secondary approver of a request can decide it: then its first deadline escalates.
    pub(super) async fn secondary_can_decide(&self, tenant: TenantId, request: &Request) -> Outcome<bool> {
        let secondary = &request.route().secondary;
        if secondary.is_empty() {
            return Ok(false);
        }
        let able = self.able(tenant, secondary).await?;
        if able.is_empty() {
            return Ok(false);
        }
        let requester = self.canonical(tenant, request.person()).await?;
        let self_allowed = request.route().lets_own(&self.settings(tenant).await?);
        let own = |able: &Able| able.person == requester || Some(able.user) == request.user();
        Ok(self_allowed || able.iter().any(|able| !own(able)))
    }

    /// Whether the caller has a role that decides at all.
    pub(super) fn decides(caller: &Caller) -> bool {
        caller.has(Role::Approver) || caller.is_admin()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn rule(n: u128, change: impl FnOnce(&mut RuleDefinition)) -> (ApprovalRuleId, RuleDefinition) {
        let mut definition: RuleDefinition =
            serde_json::from_value(serde_json::json!({ "name": format!("rule {n}"), "primary": [] })).unwrap();
        change(&mut definition);
        (ApprovalRuleId::from_uuid(Uuid::from_u128(n)), definition)
    }

    fn action() -> Action {
        serde_json::from_value(serde_json::json!({
            "type": "privilege_elevation",
            "user": {"name": "CORP\\alice", "groups": ["Developers"]},
            "machine": {"name": "WS-041", "os": "windows"},
            "application": {"path": "C:\\Windows\\System32\\svchost.exe"},
            "at": "2026-03-02T10:00:00+01:00"
        }))
        .unwrap()
    }

    fn collections() -> BTreeMap<String, Collection> {
        let of = |kind, member: &str| Collection {
            kind,
            members: vec![member.to_owned()],
        };
        BTreeMap::from([
            ("pilots".to_owned(), of(CollectionKind::Machines, "machine:WS-04*")),
            ("others".to_owned(), of(CollectionKind::Machines, "machine:SRV*")),
            ("devs".to_owned(), of(CollectionKind::Users, "group:Developers")),
        ])
    }

    fn matched(rules: &[(ApprovalRuleId, RuleDefinition)], risk: u32) -> Option<String> {
        first_match(rules, &collections(), &action(), risk)
            .unwrap()
            .map(|(_, rule)| rule.name.clone())
    }

    #[test]
    fn the_first_rule_that_matches_type_collections_and_risk_routes() {
        let rules = [
            rule(1, |r| r.types = vec![ActionType::FileAccess]),
            rule(2, |r| r.collections = vec!["others".into()]),
            rule(3, |r| r.risk_from = 80),
            rule(4, |r| {
                r.collections = vec!["others".into(), "pilots".into(), "devs".into()]
            }),
            rule(5, |_| ()),
        ];
        assert_eq!(matched(&rules, 50).as_deref(), Some("rule 4"));
        assert_eq!(matched(&rules, 80).as_deref(), Some("rule 3"));
        assert_eq!(matched(&rules[..3], 50), None);
    }

    #[test]
    fn a_rule_whose_collection_is_gone_matches_nothing() {
        assert_eq!(matched(&[rule(1, |r| r.collections = vec!["gone".into()])], 50), None);
    }
}
