//! `clawmesh tag` and `clawmesh untag`: a person takes an actuator out of service, and puts it back.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_authority::{Hlc, MeshId, Request, RequestBody};
use clawmesh_gateway::Status;

use super::args::TagArgs;
use super::bring::{bring_request, person_of, tell};
use super::find::at_site;
use crate::cli::client::{Client, block_on};
use crate::cli::status::time_at;

/// Asks the owner of the actuator, whom the site names.
pub fn run(state_dir: Option<PathBuf>, args: TagArgs, is_out: bool) -> anyhow::Result<ExitCode> {
    let (actuator, owner) = at_site(state_dir.clone(), &args.actuator)?;
    let person = person_of(args.signer)?;
    let client = Client::new(state_dir, &args.target)?;
    let status: Status = block_on(client.get("/api/status"))?;
    let why = args.why;
    let request = Request {
        mesh: MeshId::of_name(&status.node.mesh),
        owner,
        body: if is_out { RequestBody::Tag { actuator, why } } else { RequestBody::Untag { actuator, why } },
        made: Hlc { wall_ms: time_at(&status), logical: 0 },
    };
    tell(&block_on(bring_request(&client, &person, &request))?, args.target.json)
}
