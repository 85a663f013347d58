//! `policy import`: everything is judged first; only then is anything written.

use std::{path::PathBuf, process::ExitCode};

use commands::{App, Caller};
use model::tenant::Tenant;
use policy_engine::{
    import::{Found, Judged},
    keeper::Note,
};
use serde_json::json;

use super::{
    exchange::{policies, tenant_of},
    files::{read, shown},
};
use crate::cli::{Globals, say, tenant::refused};

pub(super) async fn import(
    globals: &Globals,
    files: &[PathBuf],
    slug: &str,
    dry_run: bool,
    partial: bool,
) -> anyhow::Result<ExitCode> {
    let (app, caller) = tenant_of(globals, slug).await?;
    let mut tx = app.reading(caller.tenant).await.map_err(refused)?;
    let here = projections::collections::lookup(&mut tx).await?;
    drop(tx);
    let found = read(files, &|name| here.contains_key(name))?;
    let policies = policies(&app, &caller).await?;
    let names: Vec<&str> = policies.iter().map(|(_, document)| document.name.as_str()).collect();
    let mut judged = Judged::of(&found, here, &names);
    let goes_on = !dry_run && (judged.refused.is_empty() || partial);
    let imported = if goes_on {
        write(&app, &caller, &found, &mut judged).await?
    } else {
        0
    };
    if globals.json {
        say(
            json!({ "imported": imported, "good": judged.policies.len(), "dryRun": dry_run, "refused": judged.refused,
            "notes": judged.notes, "approvalRules": found.rules }),
        );
    } else {
        report(&found, &judged, imported, dry_run, goes_on);
    }
    Ok(if judged.refused.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Writes what is good; how many policies that were.
async fn write(app: &App, caller: &Caller, found: &Found, judged: &mut Judged) -> anyhow::Result<usize> {
    for (name, collection) in &judged.collections {
        let made = app
            .create_collection(caller, collection.kind, name.clone(), collection.members.clone())
            .await
            .map_err(refused)?;
        app.settled(caller.tenant, made.position).await;
    }
    if judged.baseline {
        let (state, _) = app.store.load::<Tenant>(caller.tenant, caller.tenant.uuid()).await?;
        let mut settings = state.settings().clone();
        settings.baseline = found.baseline.clone();
        app.change_settings(caller, settings).await.map_err(refused)?;
    }
    let mut imported = 0;
    for document in &judged.policies {
        let made = app.create_policy(caller, document.clone(), "Imported".to_owned()).await;
        match made {
            Ok(_) => imported += 1,
            Err(refusal) => judged.refused.push(Note {
                policy: document.name.clone(),
                field: refusal.field.unwrap_or_default(),
                message: refusal.message,
            }),
        }
    }
    Ok(imported)
}

fn report(found: &Found, judged: &Judged, imported: usize, dry_run: bool, goes_on: bool) {
    for note in &judged.notes {
        say(format!("note     {}", shown(note)));
    }
    for rule in &found.rules {
        say(format!(
            "note     {}: approvers inside a policy; make an approval rule of this name",
            rule.name
        ));
    }
    for refusal in &judged.refused {
        say(format!("refused  {}", shown(refusal)));
    }
    let would = if dry_run { "would be imported" } else { "imported" };
    let count = if dry_run { judged.policies.len() } else { imported };
    say(format!(
        "{count} of {} policies {would}, {} refusals",
        found.policies.len() + found.refused.len(),
        judged.refused.len()
    ));
    if !dry_run && !goes_on {
        say("nothing was imported; --partial imports what is good");
    }
}
