//! Policies between files and a tenant.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use anyhow::Context;
use commands::{App, Caller, Origin, Principal};
use formats::PolicyId;
use model::tenant::Tenant;
use policy_engine::{Action, PolicyDocument, import::Bundle};
use projections::{Page, policies::PolicyFilter};
use serde_json::{Map, json};

use crate::{
    cli::{
        Globals, say,
        serve::connected,
        tenant::{find, refused},
    },
    server::Keeps,
};

/// Whoever runs the server, with an owner's rights in the tenant.
fn owner(app: &App, tenant: formats::TenantId) -> Caller {
    Caller {
        tenant,
        principal: Principal::System,
        origin: Origin::inside(app.store.ambient().uuid()),
    }
}

pub(super) async fn tenant_of(globals: &Globals, slug: &str) -> anyhow::Result<(App, Caller)> {
    let parts = connected(&globals.settings(&Map::new())?, Keeps::Nothing).await?;
    let tenant = find(&parts.app, slug).await?;
    // What was written a moment ago belongs to it too.
    let head = parts.app.store.head(tenant).await?;
    parts.app.settled(tenant, head).await;
    let caller = owner(&parts.app, tenant);
    Ok((parts.app, caller))
}

/// A tenant's policies in the order of their names.
pub(super) async fn policies(app: &App, caller: &Caller) -> anyhow::Result<Vec<(PolicyId, PolicyDocument)>> {
    let mut all = Vec::new();
    let mut page = Page::first(200);
    loop {
        let mut tx = app.reading(caller.tenant).await.map_err(refused)?;
        let filter = PolicyFilter::default();
        let rows =
            projections::policies::list(&mut tx, &filter, projections::policies::PolicySort::Name, &page).await?;
        let last = rows.edges.last().map(|edge| edge.cursor.clone());
        let more = rows.more;
        all.extend(rows.nodes().into_iter().map(|row| (row.id, row.document)));
        match last.filter(|_| more) {
            Some(cursor) => page = Page::after(cursor, 200),
            None => return Ok(all),
        }
    }
}

pub(super) async fn lint(globals: &Globals, slug: &str) -> anyhow::Result<ExitCode> {
    let (app, caller) = tenant_of(globals, slug).await?;
    let known = policies(&app, &caller).await?;
    let ids: Vec<_> = known.iter().map(|(id, _)| *id).collect();
    let warnings = app.lint_policies(&caller, &ids).await.map_err(refused)?;
    let mut bad = 0;
    for (id, document) in &known {
        let check = app
            .check_policy(&caller, Some(*id), document.clone())
            .await
            .map_err(refused)?;
        bad += check.problems.len();
        let warnings = warnings.get(id).cloned().unwrap_or_default();
        if globals.json {
            say(json!({ "policy": id, "name": document.name, "problems": check.problems, "warnings": warnings }));
        } else {
            for problem in &check.problems {
                say(format!("refused  {}: {problem}", document.name));
            }
            for warning in &warnings {
                say(format!(
                    "warning  {}: {}: {}",
                    document.name, warning.field, warning.message
                ));
            }
        }
    }
    if !globals.json {
        say(format!(
            "{} policies, {bad} refusals, {} warnings",
            known.len(),
            warnings.values().map(Vec::len).sum::<usize>()
        ));
    }
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) async fn export(globals: &Globals, slug: &str, out: Option<&Path>) -> anyhow::Result<ExitCode> {
    let (app, caller) = tenant_of(globals, slug).await?;
    let mut documents: Vec<_> = policies(&app, &caller)
        .await?
        .into_iter()
        .map(|(_, document)| document)
        .collect();
    let mut tx = app.reading(caller.tenant).await.map_err(refused)?;
    let rows = projections::collections::all(&mut tx).await?;
    let names = rows
        .iter()
        .map(|row| (format!("collection:{}", row.id), format!("collection:{}", row.name)))
        .collect();
    documents.iter_mut().for_each(|document| by_name(document, &names));
    let collections = rows
        .into_iter()
        .map(|row| (row.name.clone(), row.collection()))
        .collect();
    drop(tx);
    let (state, _) = app.store.load::<Tenant>(caller.tenant, caller.tenant.uuid()).await?;
    let bundle = Bundle {
        policies: documents,
        collections,
        baseline: state.settings().baseline.clone(),
    };
    let text = serde_json::to_string_pretty(&bundle)?;
    match out {
        Some(file) => {
            std::fs::write(file, text + "\n").with_context(|| format!("write {}", file.display()))?;
            say(format!("{} policies are in {}", bundle.policies.len(), file.display()));
        }
        None => say(text),
    }
    Ok(ExitCode::SUCCESS)
}

/// Refers to collections by name: another tenant that takes the file gives them other ids.
fn by_name(document: &mut PolicyDocument, names: &BTreeMap<String, String>) {
    let lists = [&mut document.users, &mut document.machines, &mut document.applications];
    for entry in lists.into_iter().flatten() {
        if let Some(name) = names.get(entry) {
            entry.clone_from(name);
        }
    }
}

pub(super) async fn explain(
    globals: &Globals,
    slug: &str,
    group: Option<&str>,
    file: &Path,
) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let action: Action = serde_json::from_str(&text).with_context(|| format!("{} is no action", file.display()))?;
    let (app, caller) = tenant_of(globals, slug).await?;
    let group = match group {
        Some(name) => {
            let mut tx = app.reading(caller.tenant).await.map_err(refused)?;
            let found = projections::fleet::group_by_name(&mut tx, name).await?;
            Some(found.with_context(|| format!("tenant {slug} has no deployment group {name}"))?)
        }
        None => None,
    };
    let explained = app
        .explain_action(&caller, group, action, None)
        .await
        .map_err(refused)?;
    let explanation = &explained.explanation;
    if globals.json {
        say(json!({ "snapshotVersion": explained.version, "explanation": explanation }));
        return Ok(ExitCode::SUCCESS);
    }
    let decision = &explanation.decision;
    let steps: Vec<_> = decision.steps.iter().map(|step| step.as_str()).collect();
    say(format!(
        "{}{}",
        decision.outcome,
        if steps.is_empty() {
            String::new()
        } else {
            format!(": {}", steps.join(", "))
        }
    ));
    say(format!(
        "because {} (rule: {})",
        explanation.because, decision.settled_by
    ));
    for considered in &explanation.considered {
        let how = match (considered.matched, &considered.excluded_by) {
            (true, _) => "matched".to_owned(),
            (false, Some(field)) => format!("excluded by {field}"),
            (false, None) => "not matched".to_owned(),
        };
        say(format!(
            "  {} (revision {}, {}): {how}",
            considered.policy.name, considered.policy.revision, considered.status
        ));
        for note in &considered.notes {
            say(format!("      {note}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
