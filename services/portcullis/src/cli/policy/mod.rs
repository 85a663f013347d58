//! `policy test|lint|import|export|explain`: the engine over files and tenants.

mod exchange;
mod files;
mod import;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;

use super::{Globals, say};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Run cases through the engine; a line a case and a summary. Exits 1 if one fails.
    #[command(after_help = "Example:\n  portcullis policy test cases/*.json --json")]
    Test {
        /// Files with cases.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Say what would be refused, and what is probably not meant. Exits 1 if something would be refused.
    #[command(after_help = "Example:\n  portcullis policy lint policies.json\n  portcullis policy lint --tenant acme")]
    Lint {
        /// Files with policies, ours or Keeper EPM's.
        files: Vec<PathBuf>,
        /// The policies of a tenant instead.
        #[arg(long, value_name = "SLUG", conflicts_with = "files")]
        tenant: Option<String>,
    },
    /// Take policies from files, ours or Keeper EPM's in both its shapes, and say what could not be carried over.
    /// Nothing is imported if any policy is refused, unless --partial.
    #[command(after_help = "Example:\n  portcullis policy import --tenant acme keeper.json --dry-run")]
    Import {
        /// Files with policies.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Into which tenant.
        #[arg(long, value_name = "SLUG")]
        tenant: String,
        /// Only say what would happen.
        #[arg(long)]
        dry_run: bool,
        /// Import what is good although something is refused.
        #[arg(long)]
        partial: bool,
    },
    /// Write a tenant's policies, collections and baseline as one file that `import` takes.
    #[command(after_help = "Example:\n  portcullis policy export --tenant acme --out acme.json")]
    Export {
        /// Of which tenant.
        #[arg(long, value_name = "SLUG")]
        tenant: String,
        /// Where to; standard output by default.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Explain a hypothetical action: the decision, each policy with the field that excluded it, the rule that settled it.
    #[command(after_help = "Example:\n  portcullis policy explain --tenant acme --group 'Pilot ring' action.json")]
    Explain {
        /// In which tenant.
        #[arg(long, value_name = "SLUG")]
        tenant: String,
        /// On the snapshot of which deployment group; the largest by default.
        #[arg(long, value_name = "NAME")]
        group: Option<String>,
        /// A file with the action, in the form of the cases.
        file: PathBuf,
    },
}

pub(super) async fn run(globals: &Globals, command: PolicyCommand) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::Test { files } => test(globals, &files),
        PolicyCommand::Lint { files, tenant: None } if !files.is_empty() => files::lint(globals, &files),
        PolicyCommand::Lint { tenant: None, .. } => {
            anyhow::bail!(crate::cli::WrongUsage(
                "name files, or a tenant with --tenant".to_owned()
            ))
        }
        PolicyCommand::Lint {
            tenant: Some(tenant), ..
        } => exchange::lint(globals, &tenant).await,
        PolicyCommand::Import {
            files,
            tenant,
            dry_run,
            partial,
        } => import::import(globals, &files, &tenant, dry_run, partial).await,
        PolicyCommand::Export { tenant, out } => exchange::export(globals, &tenant, out.as_deref()).await,
        PolicyCommand::Explain { tenant, group, file } => {
            exchange::explain(globals, &tenant, group.as_deref(), &file).await
        }
    }
}

fn test(globals: &Globals, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut report = policy_engine::cases::Report::default();
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        report.extend(policy_engine::cases::run(&text));
    }
    if globals.json {
        say(serde_json::to_string_pretty(&report)?);
    } else {
        for case in &report.cases {
            if case.passed {
                say(format!("ok    {}", case.name));
                if let Some(error) = case.actual.get("error") {
                    say(format!("      denied, for {error}"));
                }
            } else {
                say(format!("FAIL  {}", case.name));
                say(format!("      expected {}", json!(case.expected)));
                say(format!("      actual   {}", json!(case.actual)));
            }
        }
        say(format!("{} passed, {} failed", report.passed, report.failed));
    }
    Ok(if report.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
