//! How the list of approval rules changes. It is short (`model::approval_rule::APPROVAL_RULES_MAX`), and a change of
//! the order touches all of it: each flush reads and writes the whole list.

use eventstore::TenantTx;
use formats::Timestamp;
use model::{approval_rule::ApprovalRulesEvent, catalogue::AnyEvent};

use super::{reader::ApprovalRuleView, store};
use crate::{Build, Delta, Envelope, FlushError, FoldError, projection::BoxFuture};

#[derive(Debug, Default)]
pub(super) struct ApprovalRulesDelta {
    events: Vec<(ApprovalRulesEvent, Timestamp)>,
}

impl Delta for ApprovalRulesDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        if let AnyEvent::ApprovalRules(rules) = &event.event {
            self.events.push((rules.clone(), event.recorded_at));
        }
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move {
            if self.events.is_empty() {
                return Ok(());
            }
            let mut rules = store::load(tx, build.number).await?;
            for (event, at) in self.events {
                apply(&mut rules, event, at);
            }
            store::replace(tx, build.number, &rules).await
        })
    }
}

fn apply(rules: &mut Vec<ApprovalRuleView>, event: ApprovalRulesEvent, at: Timestamp) {
    match event {
        ApprovalRulesEvent::ApprovalRuleCreated(e) => rules.push(ApprovalRuleView {
            id: e.rule,
            rank: 0,
            definition: *e.definition,
            created_at: at,
            updated_at: at,
        }),
        ApprovalRulesEvent::ApprovalRuleChanged(e) => {
            if let Some(rule) = rules.iter_mut().find(|rule| rule.id == e.rule) {
                rule.definition = *e.definition;
                rule.updated_at = at;
            }
        }
        ApprovalRulesEvent::ApprovalRuleDeleted(e) => rules.retain(|rule| rule.id != e.rule),
        ApprovalRulesEvent::ApprovalRulesReordered(e) => {
            rules.sort_by_key(|rule| e.order.iter().position(|id| *id == rule.id));
        }
    }
    for (rank, rule) in (1..).zip(rules) {
        rule.rank = rank;
    }
}
