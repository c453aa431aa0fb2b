//! `clawmesh audit`: what a node has written down about safety, proved, shown, and handed to strangers.
//! Reads the journal, also while a node writes it, and the key of the node to sign a bundle with. Writes a bundle.
//! Invariant: nothing is shown that does not hang together, and `check` needs nothing but the file.
//! Not here: what becomes a line (`core::audit`), how lines hang together and what a bundle proves (`authority::audit`).

pub mod args;
mod check;
mod export;
mod gather;
mod lines;
mod show;
mod verify;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clawmesh_core::replay::Record;
use clawmesh_storage::JournalReader;

use crate::cli::progress::Progress;
use crate::config::state_dir::StateDir;
use args::AuditCommand;

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, command: &AuditCommand) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::Verify(args) => verify::run(state_dir, args),
        AuditCommand::Show(args) => show::run(state_dir, args),
        AuditCommand::Export(args) => export::run(state_dir, args),
        AuditCommand::Check(args) => check::run(args),
    }
}

fn journal_of(state_dir: Option<PathBuf>, named: Option<&Path>) -> anyhow::Result<PathBuf> {
    Ok(match named {
        Some(path) if path.is_dir() => path.join("journal.db"),
        Some(path) => path.to_owned(),
        None => StateDir::find(state_dir)?.journal_file(),
    })
}

/// Takes every record of a journal, each verified against the chain of rows; gives their number.
fn each_record(journal: &Path, mut take: impl FnMut(&Record) -> Result<(), String>) -> anyhow::Result<u64> {
    let reader = JournalReader::open(journal)?;
    let rows_in_all = reader.info()?.rows;
    let (mut rows, mut progress) = (0, Progress::begin());
    for row in reader.records() {
        let (sequence, _, record) = row?;
        take(&record).map_err(|why| anyhow::anyhow!("row {sequence} of {}: {why}", journal.display()))?;
        rows += 1;
        progress.tell(|| format!("reading {rows} of {rows_in_all} rows"));
    }
    Ok(rows)
}
