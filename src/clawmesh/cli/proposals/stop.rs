//! `clawmesh stop`: everything goes to its safe state, now. One call, no key, no question.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clawmesh_gateway::{StopAnswer, StoppedNode};
use serde_json::json;

use super::args::StopArgs;
use crate::cli::client::{Client, No, block_on};
use crate::cli::table::{plain, table};
use crate::cli::terminal::{complain, say, say_json};
use crate::cli::wording::steps::short_name;

/// Stops everything, and tells who has confirmed and who has not.
pub fn run(state_dir: Option<PathBuf>, args: &StopArgs) -> anyhow::Result<ExitCode> {
    let client = Client::to_stop(state_dir, &args.target).context("nothing was stopped")?;
    let body = serde_json::to_vec(&json!({"why": args.why}))?;
    let answered = block_on(client.post("/api/stop", "application/json", body));
    let answered: Result<StopAnswer, No> = answered.context("the stop is not confirmed")?;
    let stopped = match answered {
        Ok(stopped) => stopped,
        Err(no) => anyhow::bail!("the stop is not confirmed: {no}"),
    };
    if args.target.json {
        say_json(&stopped)?;
    } else {
        say(&page(&stopped));
    }
    let Some(sentence) = unconfirmed(&stopped) else { return Ok(ExitCode::SUCCESS) };
    complain(&sentence);
    Ok(ExitCode::FAILURE)
}

fn page(stopped: &StopAnswer) -> String {
    let list = |names: &[String]| match names {
        [] => "-".to_owned(),
        some => some.iter().map(|name| plain(short_name(name))).collect::<Vec<_>>().join(", "),
    };
    let row = |node: &StoppedNode| {
        let is_stopped = if node.stopped { "yes" } else { "NO" };
        vec![called(node), is_stopped.to_owned(), list(&node.safe), list(&node.not_safe)]
    };
    let rows: Vec<Vec<String>> = stopped.nodes.iter().map(row).collect();
    let nodes = table(&["node", "stopped", "safe", "NOT SAFE"], &rows);
    format!("STOP: {}\n\n{nodes}", plain(&stopped.reason))
}

fn called(node: &StoppedNode) -> String {
    node.name.as_deref().map_or_else(|| node.id.short(), plain)
}

fn has_confirmed(node: &StoppedNode) -> bool {
    node.stopped && node.not_safe.is_empty() && node.sentence.is_none()
}

/// Who has not confirmed, and what to do; nothing when everybody has.
fn unconfirmed(stopped: &StopAnswer) -> Option<String> {
    let told = |node: &StoppedNode| {
        let why = node.sentence.as_deref().map(|why| format!(": {}", plain(why))).unwrap_or_default();
        format!("{}{why}", called(node))
    };
    let open = stopped.nodes.iter().filter(|node| !has_confirmed(node));
    let open: Vec<String> = open.map(told).collect();
    let who = match (stopped.nodes.is_empty(), open.is_empty()) {
        (true, _) => "nobody has confirmed the stop".to_owned(),
        (false, true) => return None,
        (false, false) => format!("these have not confirmed the stop: {}", open.join("; ")),
    };
    Some(format!("clawmesh: {who}; go there and make it safe by hand"))
}
