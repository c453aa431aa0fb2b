//! `clawmesh status`: how a running node is doing, and what it refused.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_core::intake::LinkState;
use clawmesh_gateway::Status;

use super::args::Target;
use super::client::{Client, block_on};
use super::table::{age, plain, table};
use super::terminal::{say, say_json};

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, target: &Target) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, target)?;
    let status: Status = block_on(client.get("/api/status"))?;
    if target.json {
        say_json(&status)?;
    } else {
        say(&page(&status));
    }
    Ok(ExitCode::SUCCESS)
}

fn page(status: &Status) -> String {
    let Status { node, peers, sensors, .. } = status;
    let state = serde_json::to_value(status.state).ok().and_then(|state| state.as_str().map(str::to_owned));
    let mut lines = vec![
        format!("{}  {}  {}", plain(&node.name), plain(&node.role), state.unwrap_or_default()),
        format!("id        {}", node.id),
        format!("mesh      {}", plain(&node.mesh)),
        format!("link      {}", link(&status.link)),
        format!("tick      {} at {} Hz, up {}", status.tick, node.hz, age(status.uptime_ms)),
        format!("peers     {} known, {} alive, {} trusted", peers.known, peers.alive, peers.trusted),
        format!("sensors   {} known, {} flagged", sensors.known, sensors.flagged),
        format!("beliefs   {}", status.beliefs),
        format!("journal   {}", journal(status)),
    ];
    if let Some(digest) = &status.digest {
        lines.push(format!("digest    {} at tick {}", digest.total, digest.tick));
    }
    if let Some(reason) = &status.stop {
        lines.push(format!("STOP      latched: {}", plain(reason)));
    }
    lines.push(format!("refused   {}", status.refused_total));
    if !status.refusals.is_empty() {
        lines.push(String::new());
        lines.push(refusals(status));
    }
    lines.join("\n")
}

fn link(link: &LinkState) -> String {
    match link {
        LinkState::Connecting => "connecting".to_owned(),
        LinkState::Open { listen } if listen.is_empty() => "open, listens nowhere".to_owned(),
        LinkState::Open { listen } => format!("open, listens at {}", listen.join(", ")),
        LinkState::Failed { sentence } => format!("FAILED: {}", plain(sentence)),
    }
}

fn journal(status: &Status) -> String {
    match &status.journal.failure {
        None => format!("{} rows durable", status.journal.committed),
        Some(why) => format!("FAILED after row {}: {why}", status.journal.committed),
    }
}

fn refusals(status: &Status) -> String {
    let rows: Vec<Vec<String>> = status
        .refusals
        .iter()
        .map(|row| {
            let cells =
                [&row.code.to_string(), &row.count.to_string(), &age(row.age_ms), &row.from, &row.sentence];
            cells.map(|cell| plain(cell)).to_vec()
        })
        .collect();
    table(&["code", "times", "last", "from", "why, and what to do"], &rows)
}
