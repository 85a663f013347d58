//! `evaluate` and `request`.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use formats::agent_wire::RequestStatus;
use policy_engine::{Action, Index, Outcome, Snapshot, Step};
use serde_json::json;

use super::{
    args::{Evaluate, Request},
    print, read_json,
};
use crate::{
    agent::{Agent, Surroundings},
    ask::Ran,
    disk::DiskError,
    error::AgentError,
};

pub(super) fn evaluate(dir: &Path, with: &Evaluate, around: Surroundings) -> anyhow::Result<ExitCode> {
    let action: Action = read_json(&with.action)?;
    let (decision, explanation) = match &with.snapshot {
        Some(path) => {
            let index = Index::compile(&read_json::<Snapshot>(path)?)?;
            (index.decide(&action), with.explain.then(|| index.explain(&action)))
        }
        None => {
            let agent = Agent::peek(dir, around)?;
            let enforced = agent.enforced().ok_or(AgentError::NoSnapshot)?;
            let index = &enforced.body.index;
            (index.decide(&action), with.explain.then(|| index.explain(&action)))
        }
    };
    let mut value = serde_json::to_value(&decision)?;
    if let Some(explanation) = &explanation {
        value["explanation"] = serde_json::to_value(explanation)?;
    }
    let matched: Vec<&str> = decision.matched.iter().map(|policy| policy.name.as_str()).collect();
    let mut lines = vec![
        ("outcome", decision.outcome.to_string()),
        ("steps", list(&decision.steps)),
        ("matched", matched.join(", ")),
        ("settled by", decision.settled_by.to_string()),
    ];
    if let Some(explanation) = &explanation {
        lines.push(("explanation", serde_json::to_string_pretty(explanation)?));
    }
    print(with.output.json, &value, &lines)?;
    Ok(ExitCode::SUCCESS)
}

fn list(steps: &[Step]) -> String {
    steps.iter().map(|step| step.as_str()).collect::<Vec<_>>().join(" → ")
}

pub(super) async fn request(dir: &Path, with: Request, around: Surroundings) -> anyhow::Result<ExitCode> {
    let action: Action = read_json(&with.action)?;
    let agent = open(
        dir,
        around,
        "ask through its socket: curl --unix-socket …/agent.sock http://agent/actions",
    )?;
    let machine = agent.identity().machine;
    if (&action.machine.name, action.machine.os) != (&machine.name, machine.os) {
        // The server would judge it as that of the machine that registered, and flag it.
        bail!(
            "machine has to be the one that registered: {} ({}), not {} ({})",
            machine.name,
            machine.os,
            action.machine.name,
            action.machine.os
        );
    }
    let synced = agent.sync_once().await;
    if let Err(error) = &synced {
        tracing::warn!(%error, "the snapshot could not be refreshed; the last good one decides");
    }
    let asked = agent.ask(action, with.cwd)?;
    let mut filed = None;
    if asked.missing.contains(&Step::Approval) && asked.decision.outcome == Outcome::Required {
        let text = with
            .justification
            .as_deref()
            .context("an approval is needed: give --justification")?;
        let mut state = agent.submit(&asked, text).await?;
        if !state.status.is_final() {
            tracing::info!(request = %state.request_id, "filed; waiting for a decision");
            state = agent
                .wait_decision(state.request_id, Duration::from_secs(with.wait))
                .await?;
        }
        filed = Some(state);
    }
    if let (Some(email), Some(code)) = (&with.email, &with.code) {
        agent.verify_mfa(&asked, email, code).await?;
    }
    let is_open = filed
        .as_ref()
        .is_none_or(|state| state.status == RequestStatus::Approved);
    let ran = if is_open {
        Some(agent.run(&asked, with.justification.as_deref())?)
    } else {
        None
    };
    if let Err(error) = agent.deliver().await {
        tracing::warn!(%error, "the record is kept and will be delivered later");
    }
    let (result, missing) = match &ran {
        Some(Ran::Permitted { .. }) => ("permitted", Vec::new()),
        Some(Ran::Refused { missing, .. }) => ("refused", missing.clone()),
        Some(Ran::Missing { missing, .. }) => ("missing", missing.clone()),
        None => ("not approved", Vec::new()),
    };
    let status = filed.as_ref().map(|state| state.status);
    let value = json!({"result": result, "outcome": asked.decision.outcome, "steps": asked.decision.steps, "missing": missing,
        "digest": asked.digest, "request": filed.as_ref().map(|state| state.request_id), "requestStatus": status});
    let mut lines = vec![
        ("result", result.to_owned()),
        ("outcome", asked.decision.outcome.to_string()),
    ];
    if let Some(state) = &filed {
        let status = serde_json::to_value(state.status)?;
        lines.push((
            "request",
            format!("{} {}", state.request_id, status.as_str().unwrap_or_default()),
        ));
    }
    if !missing.is_empty() {
        lines.push(("missing", list(&missing)));
    }
    print(with.output.json, &value, &lines)?;
    Ok(if ran.is_some_and(|ran| ran.is_permitted()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Opens the agent, and says what to do where another process has it.
fn open(dir: &Path, around: Surroundings, hint: &str) -> anyhow::Result<Agent> {
    match Agent::open(dir, around) {
        Err(error @ AgentError::Disk(DiskError::Busy(_))) => Err(anyhow::Error::new(error).context(hint.to_owned())),
        other => Ok(other?),
    }
}
