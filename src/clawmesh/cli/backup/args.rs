//! The options of backup, restore and replace.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::Output;

/// `backup`
#[derive(Debug, Args)]
#[command(after_help = "The folder then holds the secret keys of the node. Guard it as you guard the node.")]
pub struct BackupArgs {
    /// A new or empty folder
    pub folder: PathBuf,
    /// Leave the journal out, which may be large: the record of what happened, notes of people, and alarms are in it alone
    #[arg(long)]
    pub without_journal: bool,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}

/// `restore`
#[derive(Debug, Args)]
#[command(
    after_help = "What was used or revoked since the backup was made does not come back: the stop is latched, requests that \
                  were signed before the restore are refused, budgets count as used up for a day, and which nodes are \
                  trusted and who may operate has to be said again at this console.\n\n\
                  The machine the backup is of must not run any more: two nodes with one key are one node that lies."
)]
pub struct RestoreArgs {
    /// The folder of the backup
    pub folder: PathBuf,
    /// Take the settings, the site and the policy, and become another node with a key of its own: for new hardware in
    /// the place of what was broken or stolen
    #[arg(long)]
    pub new_key: bool,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}

/// `replace`
#[derive(Debug, Args)]
#[command(
    after_help = "Say it at every node of the site: nodes with different sites do not work together. A node that runs \
                  trusts the new one at once, and reads its site at its next start."
)]
pub struct ReplaceArgs {
    /// The node that is gone: its id, the name it has here, or at least 8 characters of its id
    pub old: String,
    /// The id of the node in its place, as `clawmesh identity` prints it there: 64 characters
    pub new: String,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}
