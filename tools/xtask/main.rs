//! Runs one chore of the repository and exits with 1 when it finds something.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "xtask", about = "Chores of the clawmesh repository")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Report what breaks the house rules, as `path:line: sentence`.
    Tidy,
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Tidy => tidy(),
    }
}

fn tidy() -> anyhow::Result<ExitCode> {
    let findings = xtask::tidy::tidy(&xtask::repository_root()?)?;
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    writeln!(out, "tidy: {} finding(s)", findings.len())?;
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
