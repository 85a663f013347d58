//! `policy test|lint`: the engine over files. Import, export and explain are beside it.

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
}

#[expect(clippy::unused_async, reason = "its neighbours talk to a server")]
pub(super) async fn run(globals: &Globals, command: PolicyCommand) -> anyhow::Result<ExitCode> {
    let PolicyCommand::Test { files } = command;
    let mut report = policy_engine::cases::Report::default();
    for file in &files {
        let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        report.extend(policy_engine::cases::run(&text));
    }
    if globals.json {
        say(serde_json::to_string_pretty(&report)?);
    } else {
        for case in &report.cases {
            if case.passed {
                say(format!("ok    {}", case.name));
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
