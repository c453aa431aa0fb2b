//! The commands and options around papers.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::args::Output;

/// Papers for what is not paired.
#[derive(Debug, Subcommand)]
pub enum PapersCommand {
    /// Make papers and settings for a stock zenoh router, which brings what nodes say and is no node
    ///
    /// Only the node that issues the papers of the mesh can do it. The router lets in the nodes that are trusted here now, each under
    /// its own name; make them anew, in another folder, when that has changed. Every node has to let the router in:
    /// `clawmesh trust add ID --as router`.
    Router(RouterArgs),
}

/// `papers router`
#[derive(Debug, Args)]
pub struct RouterArgs {
    /// What people here call the router
    pub name: String,
    /// The folder to make and to write its certificate, its key and its settings to; take it to the machine of the router
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}
