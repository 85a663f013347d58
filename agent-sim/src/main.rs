//! `portcullis-agent`: the reference agent.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    portcullis_agent::cli::main().await
}
