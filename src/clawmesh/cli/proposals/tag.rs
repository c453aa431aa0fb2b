//! `clawmesh tag` and `clawmesh untag`: a person takes an actuator out of service, and puts it back.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clawmesh_authority::{Capability, Hlc, MeshId, Request, RequestBody};
use clawmesh_gateway::Status;

use super::args::TagArgs;
use super::bring::{bring_request, key_of, tell};
use super::find::owner_of;
use crate::cli::client::{Client, block_on};
use crate::cli::status::time_at;
use crate::cli::wording::steps::actuator_called;
use crate::config::site_file;
use crate::config::state_dir::StateDir;

/// Asks the owner of the actuator, whom the site names.
pub fn run(state_dir: Option<PathBuf>, args: TagArgs, is_out: bool) -> anyhow::Result<ExitCode> {
    let dir = StateDir::find(state_dir.clone())?;
    let site = site_file::load(&dir)?;
    let plan = site.plan.as_ref().with_context(|| {
        format!("the site has no `plan`, so nobody owns anything there: {}", dir.site_file().display())
    })?;
    let entry = actuator_called(&args.actuator, plan)?;
    let (owner, actuator) = (owner_of(entry, plan)?, Capability::new(&entry.capability)?);
    let key = key_of(args.signer)?;
    let client = Client::new(state_dir, &args.target)?;
    let status: Status = block_on(client.get("/api/status"))?;
    let why = args.why;
    let request = Request {
        mesh: MeshId::of_name(&status.node.mesh),
        owner,
        body: if is_out { RequestBody::Tag { actuator, why } } else { RequestBody::Untag { actuator, why } },
        made: Hlc { wall_ms: time_at(&status), logical: 0 },
    };
    tell(&block_on(bring_request(&client, &key, &request))?, args.target.json)
}
