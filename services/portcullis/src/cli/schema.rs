//! `schema export`: what clients are generated from, for `api-schema/`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Subcommand;

use super::say;

#[derive(Debug, Subcommand)]
pub(super) enum SchemaCommand {
    /// Write the GraphQL schema, the OpenAPI document and the schemas of events.
    #[command(after_help = "Example:\n  portcullis schema export --out api-schema")]
    Export {
        /// The folder.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// Every generated file: its name and content.
///
/// # Errors
/// Where one can't be made: a defect.
pub fn generated() -> anyhow::Result<Vec<(&'static str, String)>> {
    let events = serde_json::to_string_pretty(&model::schema::events()?)? + "\n";
    Ok(vec![
        ("schema.graphql", api::graphql::sdl()),
        ("openapi.json", format!("{:#}\n", api::description())),
        ("events.json", events),
    ])
}

pub(super) fn run(command: &SchemaCommand) -> anyhow::Result<ExitCode> {
    let SchemaCommand::Export { out } = command;
    std::fs::create_dir_all(out).with_context(|| format!("make {}", out.display()))?;
    for (name, text) in generated()? {
        let file = out.join(name);
        std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
        say(file.display());
    }
    Ok(ExitCode::SUCCESS)
}
