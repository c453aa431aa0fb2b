//! The options of `events` and `trace`.

use std::time::Duration;

use clap::Args;
use clawmesh_gateway::LIMIT_MAX;

use crate::cli::args::{Target, duration};

/// `events`
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Show at most so many, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = limit)]
    pub limit: usize,
    /// Show only events of this kind: peer.connect, peer.disconnect, proposal.created, proposal.resolved, message.relayed,
    /// error, startup or shutdown
    #[arg(long)]
    pub kind: Option<String>,
    /// Show only what has happened in the time before now, for example `10m`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub since: Option<Duration>,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `trace`; without an id it lists the newest.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The frame or the proposal, by its id or at least 8 characters of its beginning
    pub id: Option<String>,
    /// Show only what has come to this stage: sensor.ingest, proposal.created, or `proposal.` and the state of a proposal
    #[arg(long)]
    pub stage: Option<String>,
    /// Show only proposals, no frames
    #[arg(long)]
    pub proposals: bool,
    /// Show the proposal with this id, or whose id begins so
    #[arg(long, value_name = "ID", conflicts_with = "id")]
    pub proposal: Option<String>,
    /// Show at most so many, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = limit)]
    pub limit: usize,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// As many as one answer may have.
fn limit(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=LIMIT_MAX).contains(number));
    number.ok_or_else(|| format!("write a whole number from 1 to {LIMIT_MAX}"))
}
