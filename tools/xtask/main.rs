//! Runs one chore of the repository and exits with 1 when it finds something.

use std::io::Write;
use std::path::{Path, PathBuf};
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
    /// Put known faults into a copy of the tree, and see that the tests find each of them.
    SeededBugs {
        /// Where things are built.
        #[arg(long, value_name = "DIR", default_value = "target")]
        target_dir: PathBuf,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Tidy => tidy(),
        Command::SeededBugs { target_dir } => seeded_bugs(&target_dir),
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

fn seeded_bugs(target: &Path) -> anyhow::Result<ExitCode> {
    let target = std::path::absolute(target)?;
    let found = xtask::seeded_bugs::find_all(&xtask::repository_root()?, &target)?;
    let mut out = std::io::stdout().lock();
    for line in found {
        writeln!(out, "found {line}")?;
    }
    Ok(ExitCode::SUCCESS)
}
