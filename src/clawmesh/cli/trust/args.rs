//! The commands and options around trust.

use clap::{Args, Subcommand};

use crate::cli::args::Output;

/// Which nodes this one trusts.
#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Trust a node: what it says is taken, and what it asks for is judged
    ///
    /// The id is the hash of the key of that node, so it says all: whoever has another key is not that node. Read it at
    /// the node itself, with `clawmesh identity`. A node that was removed is trusted again only by this command.
    Add(AddArgs),
    /// Show which nodes are trusted, which no longer are, since when, and which file says so
    List(Output),
    /// Trust a node no longer, whichever file names it; what it says is refused
    Remove(RemoveArgs),
    /// Print the commands with which another node comes to trust this one and the nodes it trusts
    Export(Output),
}

/// `trust add`
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The id of the node, as `clawmesh identity` prints it there: 64 characters
    pub id: String,
    /// What people here call it; what it calls itself counts for nothing
    #[arg(long)]
    pub name: Option<String>,
    /// What it is on encrypted links: a `node` says what it says itself; a `relay` brings what others say, too, because it is a
    /// zenoh router or others link to it alone; a `router` brings what others say and is no node; a `viewer` looks on, and what
    /// it measures counts nowhere [default: node, or what it was here before]
    #[arg(long = "as", value_name = "PART", value_parser = ["node", "relay", "router", "viewer"])]
    pub part: Option<String>,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}

/// `trust remove`
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The node, by the name it has here, by at least 8 characters of its id, or, if no file names it, by its whole id
    pub node: String,
    /// Remove it although actuators of `site.ron` are on it, which nobody can switch off through this node from then on
    #[arg(long)]
    pub leave_as_it_is: bool,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}
