//! `clawmesh rearm`: a person says that it is safe again, to one node or to all of them.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_authority::{Hlc, MeshId, OperatorKey, Request, RequestBody};
use clawmesh_gateway::Status;
use serde_json::{Value, json};

use super::args::RearmArgs;
use super::bring::{Answered, bring_request, document, key_of};
use super::find::{Reachable, node_called};
use crate::cli::client::{Client, block_on};
use crate::cli::status::time_at;
use crate::cli::table::plain;
use crate::cli::terminal::{say, say_json};

/// What became of it at one node: its answer, or why there is none.
type Outcome = anyhow::Result<Answered>;

/// Ends the stop, node by node.
pub fn run(state_dir: Option<PathBuf>, args: RearmArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    let status: Status = block_on(client.get("/api/status"))?;
    let nodes = block_on(meant(&client, &status, args.node.as_deref(), args.all))?;
    let key = key_of(args.signer)?;
    let to_each = Template {
        mesh: MeshId::of_name(&status.node.mesh),
        why: &args.why,
        made: Hlc { wall_ms: time_at(&status), logical: 0 },
    };
    let outcomes: Vec<(&Reachable, Outcome)> =
        nodes.iter().map(|node| (node, block_on(rearm(&client, &key, node, &to_each)))).collect();
    if args.target.json {
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

async fn meant(
    client: &Client,
    status: &Status,
    node: Option<&str>,
    all: bool,
) -> anyhow::Result<Vec<Reachable>> {
    if node.is_none() && !all {
        return Ok(vec![Reachable::own(&status.node)]);
    }
    let mut nodes = Reachable::all(client, &status.node).await?;
    if let Some(wanted) = node {
        return Ok(vec![node_called(&nodes, wanted)?.clone()]);
    }
    nodes.retain(|node| node.is_alive);
    Ok(nodes)
}

/// What the requests of one command have in common.
struct Template<'a> {
    mesh: MeshId,
    why: &'a str,
    made: Hlc,
}

/// One request a node: each owner takes only what is for itself.
async fn rearm(client: &Client, key: &OperatorKey, node: &Reachable, to_each: &Template<'_>) -> Outcome {
    let Template { mesh, why, made } = *to_each;
    let body = RequestBody::Rearm { why: why.to_owned() };
    bring_request(client, key, &Request { mesh, owner: node.id, body, made }).await
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
