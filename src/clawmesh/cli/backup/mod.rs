//! `clawmesh backup`, `clawmesh restore` and `clawmesh replace`: what to do before and after a machine is lost.
//! Reads a state dir or a backup. Writes the other one; `replace` writes the site, the policy and whom this node trusts.
//! Invariant: nothing is overwritten, and a restored node revives nothing that was used or revoked since its backup.
//! Not here: the form of a backup (`config::backup`), what the tick makes of a restore (`core`).

pub mod args;
pub mod replace;
pub mod restore;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clawmesh_authority::NodeId;
use clawmesh_storage::JournalReader;
use serde::Serialize;

use super::progress::Progress;
use super::table::quantity;
use super::terminal::{say, say_json};
use crate::config::backup::{CREDENTIALS, EPOCH, ITSELF, JOURNAL, LISTS, Making, SETTINGS};
use crate::config::state_dir::StateDir;
use crate::config::{identity, trust_file};
use crate::moments::system_time;
use args::BackupArgs;

#[derive(Serialize)]
struct Answer {
    node: NodeId,
    folder: PathBuf,
    made: String,
    /// The hash of the list of files; `restore` tells it too.
    fingerprint: String,
    /// The rows of the journal, every one read back from the copy; absent when it was left out.
    journal_rows: Option<u64>,
    files: Vec<String>,
    bytes: u64,
    /// What the state dir has and the backup does not, and never will.
    left_out: Vec<&'static str>,
}

/// Makes a backup, also while the node runs.
pub fn take(state_dir: Option<PathBuf>, args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let dir = StateDir::find(state_dir)?;
    let Some(own) = identity::load(&dir)? else {
        bail!("there is no node in {} yet; `clawmesh start` makes one", dir.root().display());
    };
    let mut making = Making::begin(&args.folder)?;
    for name in ITSELF.iter().chain(&SETTINGS).chain(&LISTS).chain([&EPOCH]) {
        making.copy(&dir, name)?;
    }
    let wants_journal = !args.without_journal && dir.journal_file().exists();
    let journal_rows = wants_journal.then(|| copy_journal(&dir, &mut making)).transpose()?;
    let made = making.finish(own.id(), system_time())?;
    let answer = Answer {
        node: made.node(),
        folder: made.folder().to_owned(),
        made: trust_file::time_text(made.made()),
        fingerprint: made.fingerprint()?,
        journal_rows,
        files: made.files().map(|(name, _)| name.to_owned()).collect(),
        bytes: made.files().map(|(_, bytes)| bytes).sum(),
        left_out: dir.credentials_file().exists().then_some(CREDENTIALS).into_iter().collect(),
    };
    if args.output.json {
        say_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("backed up   {}", answer.node));
    say(&format!("into        {}", answer.folder.display()));
    let journal = answer.journal_rows.map_or_else(
        || "without the journal".to_owned(),
        |rows| format!("the journal with {rows} rows, each verified"),
    );
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let size = quantity(answer.bytes as f64, clawmesh_authority::Unit::Byte);
    say(&format!("holds       {} files, {size}; {journal}", answer.files.len()));
    say(&format!("fingerprint {}", answer.fingerprint));
    if !answer.left_out.is_empty() {
        say(
            "left out    credentials.ron: what was deleted since must not come back; set them again after a restore",
        );
    }
    say("\nThe folder holds the secret keys of the node: guard it as you guard the node.");
    Ok(ExitCode::SUCCESS)
}

/// Copies the journal and reads the copy to its end: a backup that nobody has read is a hope.
fn copy_journal(dir: &StateDir, making: &mut Making) -> anyhow::Result<u64> {
    let copy = making.path_of(JOURNAL);
    JournalReader::open(&dir.journal_file())?.copy_to(&copy)?;
    let (reader, mut progress, mut rows) = (JournalReader::open(&copy)?, Progress::begin(), 0);
    for record in reader.records() {
        record?;
        rows += 1;
        progress.tell(|| format!("verifying the copy of the journal: {rows} rows"));
    }
    making.add(JOURNAL)?;
    Ok(rows)
}
