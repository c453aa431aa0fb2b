//! `clawmesh operator revoke --everywhere`: a key counts for nothing at any node.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clawmesh_authority::{OperatorId, RequestBody};
use clawmesh_gateway::Status;

use super::bring::person_of;
use super::each::tell_each;
use super::find::{Reachable, person_called};
use crate::cli::client::{Client, block_on};
use crate::cli::operator_args::RevokeArgs;
use crate::cli::terminal::complain;

/// Tells every node that is known; those that do not answer are told by the others.
pub fn revoke_everywhere(state_dir: Option<PathBuf>, args: RevokeArgs) -> anyhow::Result<ExitCode> {
    let Some(why) = args.why else { bail!("say why, with --why TEXT: it stands in the log of every node") };
    let client = Client::new(state_dir, &args.target)?;
    let status: Status = block_on(client.get("/api/status"))?;
    // A whole id is taken as it is: the key need not be known to the node that is asked.
    let key = match args.id.trim().parse::<OperatorId>() {
        Ok(key) => key,
        Err(_) => person_called(&status.people, &args.id)?,
    };
    let nodes = block_on(Reachable::all(&client, &status.node))?;
    let person = person_of(args.signer)?;
    let told =
        tell_each(&client, &status, &person, &nodes, &RequestBody::Revoke { key, why }, args.target.json);
    if told.is_err() {
        complain(
            "clawmesh: note: a node that does not answer is told by the others when it is heard again; until then the key counts there",
        );
    }
    told.context("not every node has confirmed")
}
