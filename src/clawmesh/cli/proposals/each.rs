//! One word of a person to several owners: a request each, for each owner takes only what is for itself.

use std::process::ExitCode;

use clawmesh_authority::{Hlc, MeshId, Request, RequestBody};
use clawmesh_gateway::Status;
use serde_json::{Value, json};

use super::bring::{Answered, bring_request, document};
use super::find::{Reachable, node_called};
use super::person::Person;
use crate::cli::client::{Client, block_on};
use crate::cli::status::time_at;
use crate::cli::table::plain;
use crate::cli::terminal::{say, say_json};

/// What became of it at one node: its answer, or why there is none.
type Outcome = anyhow::Result<Answered>;

/// The node that is called so, all that are alive, or else the one that is asked.
///
/// # Errors
/// A sentence, when none or several are called so, or the one that is asked does not answer.
pub fn meant(
    client: &Client,
    status: &Status,
    node: Option<&str>,
    all: bool,
) -> anyhow::Result<Vec<Reachable>> {
    if node.is_none() && !all {
        return Ok(vec![Reachable::own(&status.node)]);
    }
    let mut nodes = block_on(Reachable::all(client, &status.node))?;
    if let Some(wanted) = node {
        return Ok(vec![node_called(&nodes, wanted)?.clone()]);
    }
    nodes.retain(|node| node.is_alive);
    Ok(nodes)
}

/// Says the same to each of these nodes, and tells what they answered.
///
/// # Errors
/// A sentence with everybody who said no or nothing.
pub fn tell_each(
    client: &Client,
    status: &Status,
    person: &Person,
    nodes: &[Reachable],
    body: &RequestBody,
    is_json: bool,
) -> anyhow::Result<ExitCode> {
    let mesh = MeshId::of_name(&status.node.mesh);
    let made = Hlc { wall_ms: time_at(status), logical: 0 };
    let ask = |owner| Request { mesh, owner, body: body.clone(), made };
    let outcome = |node: &Reachable| block_on(bring_request(client, person, &ask(node.id)));
    let outcomes: Vec<(&Reachable, Outcome)> = nodes.iter().map(|node| (node, outcome(node))).collect();
    if is_json {
        say_json(&json!({"nodes": outcomes.iter().map(row).collect::<Vec<Value>>()}))?;
    } else {
        let taken = outcomes.iter().filter_map(|(node, outcome)| match outcome {
            Ok(Ok(taken)) => Some(format!("{}: {}", node.called(), plain(&taken.words))),
            _ => None,
        });
        taken.for_each(|line| say(&line));
    }
    let refused: Vec<String> = outcomes.iter().filter_map(refusal).collect();
    if refused.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(anyhow::Error::msg(refused.join("; ")))
}

fn row((node, outcome): &(&Reachable, Outcome)) -> Value {
    let answer = match outcome {
        Ok(answered) => document(answered),
        Err(fault) => json!({"outcome": "unknown", "sentence": format!("{fault:#}")}),
    };
    json!({"id": node.id, "name": node.name, "answer": answer})
}

fn refusal((node, outcome): &(&Reachable, Outcome)) -> Option<String> {
    match outcome {
        Ok(Ok(_)) => None,
        Ok(Err(no)) => Some(format!("{}: {no}", node.called())),
        Err(fault) => Some(format!("{}: {fault:#}", node.called())),
    }
}
