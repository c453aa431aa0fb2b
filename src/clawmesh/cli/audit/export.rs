//! `clawmesh audit export`: everything about one proposal, signed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clawmesh_authority::audit::{self, Head};
use clawmesh_authority::{NodeId, ProposalId};
use serde::Serialize;

use super::args::ExportArgs;
use super::each_record;
use super::gather::Gathering;
use super::lines::Following;
use crate::cli::proposals::find::beginning;
use crate::cli::terminal::{say, say_json};
use crate::config::durable_file::create_atomic;
use crate::config::identity;
use crate::config::state_dir::StateDir;
use crate::moments::unix_ms;

#[derive(Serialize)]
struct Answer {
    file: PathBuf,
    bytes: usize,
    proposal: ProposalId,
    node: NodeId,
    /// The head of the safety log after the last line in the file.
    head: Head,
}

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let dir = StateDir::find(state_dir)?;
    let Some(key) = identity::load(&dir)? else {
        bail!("there is no node in {} yet; `clawmesh start` makes one", dir.root().display());
    };
    let journal = dir.journal_file();
    let id = meant(&journal, &args.proposal)?;
    let mut gathering = Gathering::about(id);
    each_record(&journal, |record| gathering.take(record))?;
    let bundle = gathering.finish(unix_ms()).map_err(anyhow::Error::msg)?;
    if bundle.node != key.id() {
        bail!("{} is of node {}, and the key here is of {}", journal.display(), bundle.node, key.id());
    }
    let head = bundle.log.head().map_err(anyhow::Error::msg)?;
    let bytes = audit::seal(&key, &bundle);
    if bytes.len() > audit::BUNDLE_BYTES_MAX {
        bail!(
            "the bundle would have {} bytes, and at most {} can be read",
            bytes.len(),
            audit::BUNDLE_BYTES_MAX
        );
    }
    let file = args.out.clone().unwrap_or_else(|| format!("{}.audit", id.short()).into());
    if !create_atomic(&file, &bytes)? {
        bail!("{} is there already; name another file with --out", file.display());
    }
    let answer = Answer { file, bytes: bytes.len(), proposal: id, node: bundle.node, head };
    if args.output.json {
        say_json(&answer)?;
    } else {
        say(&format!(
            "wrote {} ({} bytes)\nAnybody can look at it, on any machine: clawmesh audit check {} --node {}",
            answer.file.display(),
            answer.bytes,
            answer.file.display(),
            answer.node
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The one proposal in the log whose id begins so.
fn meant(journal: &Path, wanted: &str) -> anyhow::Result<ProposalId> {
    let begins = beginning(wanted, "a proposal", "clawmesh audit show")?;
    let (mut following, mut found) = (Following::default(), BTreeSet::new());
    each_record(journal, |record| {
        let ids = following.take(record)?.into_iter().filter_map(|entry| entry.happened.proposal());
        found.extend(ids.filter(|id| id.to_string().starts_with(&begins)));
        Ok(())
    })?;
    match (found.len(), found.pop_first()) {
        (1, Some(id)) => Ok(id),
        (0, _) => bail!(
            "the safety log in {} has no line about a proposal {begins}; the owner of its actuators has it",
            journal.display()
        ),
        (several, _) => bail!("{several} proposals have an id that begins with {begins:?}; give more of it"),
    }
}
