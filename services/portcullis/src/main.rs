//! `portcullis`: the server and its tools.

use clap::Parser;
use portcullis::cli::Cli;

fn main() -> std::process::ExitCode {
    // One provider for every TLS connection of the process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Cli::parse().run()
}
