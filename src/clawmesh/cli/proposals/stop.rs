//! `clawmesh stop`: everything goes to its safe state, now. One call, no key, no question.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clawmesh_authority::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::args::StopArgs;
use crate::cli::client::{Client, No, block_on};
use crate::cli::table::{plain, table};
use crate::cli::terminal::{complain, say, say_json};
use crate::cli::wording::steps::short_name;

/// What `/api/stop` answers.
#[derive(Debug, Serialize, Deserialize)]
struct Stopped {
    /// The reason that counts: the first one, if there was one before.
    reason: String,
    /// Every node that was told.
    nodes: Vec<StoppedNode>,
}

/// How one node stands after it was told to stop.
#[derive(Debug, Serialize, Deserialize)]
struct StoppedNode {
    id: NodeId,
    name: Option<String>,
    is_own: bool,
    /// True when it says that its stop is latched.
    stopped: bool,
    /// Actuators in their safe state.
    safe: Vec<String>,
    /// Actuators that are not shown to be.
    not_safe: Vec<String>,
    /// Why it has not confirmed, if it has not.
    sentence: Option<String>,
}

/// Stops everything, and tells who has confirmed and who has not.
pub fn run(state_dir: Option<PathBuf>, args: &StopArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target).context("nothing was stopped")?;
    let body = serde_json::to_vec(&json!({"why": args.why}))?;
    let answered = block_on(client.post("/api/stop", "application/json", body));
    let answered: Result<Stopped, No> = answered.context("the stop is not confirmed")?;
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

fn page(stopped: &Stopped) -> String {
    let list = |names: &[String]| match names {
        [] => "-".to_owned(),
        some => some.iter().map(|name| plain(short_name(name))).collect::<Vec<_>>().join(", "),
    };
    let row = |node: &StoppedNode| {
        let is_stopped = if node.stopped { "yes" } else { "NO" };
        vec![node.called(), is_stopped.to_owned(), list(&node.safe), list(&node.not_safe)]
    };
    let rows: Vec<Vec<String>> = stopped.nodes.iter().map(row).collect();
    let nodes = table(&["node", "stopped", "safe", "NOT SAFE"], &rows);
    format!("STOP: {}\n\n{nodes}", plain(&stopped.reason))
}

impl StoppedNode {
    fn called(&self) -> String {
        self.name.as_deref().map_or_else(|| self.id.short(), plain)
    }

    fn has_confirmed(&self) -> bool {
        self.stopped && self.not_safe.is_empty() && self.sentence.is_none()
    }
}

/// Who has not confirmed, and what to do; nothing when everybody has.
fn unconfirmed(stopped: &Stopped) -> Option<String> {
    let told = |node: &StoppedNode| {
        let why = node.sentence.as_deref().map(|why| format!(": {}", plain(why))).unwrap_or_default();
        format!("{}{why}", node.called())
    };
    let open = stopped.nodes.iter().filter(|node| !node.has_confirmed());
    let open: Vec<String> = open.map(told).collect();
    let who = match (stopped.nodes.is_empty(), open.is_empty()) {
        (true, _) => "nobody has confirmed the stop".to_owned(),
        (false, true) => return None,
        (false, false) => format!("these have not confirmed the stop: {}", open.join("; ")),
    };
    Some(format!("clawmesh: {who}; go there and make it safe by hand"))
}
