//! The options of `pair`.

use std::net::SocketAddr;

use clap::Args;

use crate::cli::args::Output;

/// The port at which a node waits to be paired.
pub const PORT: u16 = 18_788;

/// `pair`
#[derive(Debug, Args)]
#[command(after_help = "At one node:    clawmesh pair --accept\n\
                  At the other:   clawmesh pair ADDRESS\n\
                  Both screens then show six digits. Type at each what the other one shows.")]
pub struct PairArgs {
    /// Where the other node waits, as it says there, for example 192.168.1.5 or 192.168.1.5:18788
    #[arg(required_unless_present = "accept", conflicts_with = "accept")]
    pub address: Option<String>,
    /// Wait here for the other node
    #[arg(long)]
    pub accept: bool,
    /// How long both sides have, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(5..=600))]
    pub window: u64,
    /// Where to wait; one address of this machine keeps other networks out
    #[arg(long, value_name = "ADDRESS", default_value_t = SocketAddr::from(([0, 0, 0, 0], PORT)), requires = "accept")]
    pub listen: SocketAddr,
    /// What people here call the other node [default: what it calls itself]
    #[arg(long)]
    pub name: Option<String>,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}
