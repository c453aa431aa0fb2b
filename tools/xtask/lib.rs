//! Chores of this repository, one module per command of `cargo run -p xtask -- <command>`.
//! Reads the working tree. Writes nothing but its report.
//! Invariant: a chore needs Rust and the repository, nothing else of the machine.
//! Not here: the order in which CI runs things (`.ci/run`).

use std::path::PathBuf;

use anyhow::Context as _;

pub mod seeded_bugs;
pub mod tidy;

/// The top folder of the repository the chore is run in. Not of the one it was compiled in: build output is kept outside of
/// clones, so this binary may be of another clone.
///
/// # Errors
/// When it is run outside of the repository.
pub fn repository_root() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("cannot tell the current folder")?;
    let root = here.ancestors().find(|folder| folder.join("tools/xtask/lib.rs").is_file());
    root.map(PathBuf::from).with_context(|| format!("run it in the repository, not in {}", here.display()))
}
