//! `clawmesh rearm`: a person says that it is safe again, to one node or to all of them.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_authority::RequestBody;
use clawmesh_gateway::Status;

use super::args::RearmArgs;
use super::bring::person_of;
use super::each::{meant, tell_each};
use crate::cli::client::{Client, block_on};

/// Ends the stop, node by node.
pub fn run(state_dir: Option<PathBuf>, args: RearmArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    let status: Status = block_on(client.get("/api/status"))?;
    let nodes = meant(&client, &status, args.node.as_deref(), args.all)?;
    let person = person_of(args.signer)?;
    let body = RequestBody::Rearm { why: args.why };
    tell_each(&client, &status, &person, &nodes, &body, args.target.json)
}
