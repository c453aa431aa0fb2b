//! `clawmesh hold`, `freeze` and `release`: a person holds back what would be approved and begun, and lets it go on.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clawmesh_authority::hold::Held;
use clawmesh_authority::{Capability, RequestBody};
use clawmesh_gateway::Status;

use super::args::{FreezeArgs, Frozen, RejectArgs, ReleaseArgs};
use super::bring::key_of;
use super::each::{meant, tell_each};
use super::find::{Reachable, called, known_to, owner_of};
use crate::cli::client::{Client, block_on};
use crate::cli::wording::steps::actuator_called;
use crate::config::site_file;
use crate::config::state_dir::StateDir;

/// Holds one proposal.
pub fn hold(state_dir: Option<PathBuf>, args: RejectArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    let status: Status = block_on(client.get("/api/status"))?;
    let (what, home) = proposal_called(&client, &args.id)?;
    let (key, body) = (key_of(args.signer)?, RequestBody::Hold { what, why: args.why });
    tell_each(&client, &status, &key, &[home], &body, args.target.json)
}

/// Holds whatever programs propose, a class, or an actuator.
pub fn freeze(state_dir: Option<PathBuf>, args: FreezeArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir.clone(), &args.target)?;
    let status: Status = block_on(client.get("/api/status"))?;
    let Some((what, nodes)) = frozen(state_dir, &client, &status, &args.what)? else {
        bail!("say what to freeze: --ai, --class or --actuator");
    };
    let (key, body) = (key_of(args.signer)?, RequestBody::Hold { what, why: args.why });
    tell_each(&client, &status, &key, &nodes, &body, args.target.json)
}

/// Releases what is on hold.
pub fn release(state_dir: Option<PathBuf>, args: ReleaseArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir.clone(), &args.target)?;
    let status: Status = block_on(client.get("/api/status"))?;
    let (what, nodes) = match (&args.id, frozen(state_dir, &client, &status, &args.what)?) {
        (Some(id), None) => {
            let (what, home) = proposal_called(&client, id)?;
            (what, vec![home])
        }
        (None, Some(found)) => found,
        _ => bail!("say what to release: a proposal, --ai, --class or --actuator"),
    };
    let (key, body) = (key_of(args.signer)?, RequestBody::Release { what, why: args.why });
    tell_each(&client, &status, &key, &nodes, &body, args.target.json)
}

/// A proposal, and its home.
fn proposal_called(client: &Client, wanted: &str) -> anyhow::Result<(Held, Reachable)> {
    let known = block_on(known_to(client))?;
    let view = called(&known, wanted)?;
    let home = Reachable { id: view.home, name: None, is_alive: true };
    Ok((Held::Proposal(view.report.id), home))
}

/// What was named, and the nodes that are to know: the owner of an actuator, everybody else for the rest.
fn frozen(
    state_dir: Option<PathBuf>,
    client: &Client,
    status: &Status,
    what: &Frozen,
) -> anyhow::Result<Option<(Held, Vec<Reachable>)>> {
    let everybody = || meant(client, status, None, true);
    if what.ai {
        return Ok(Some((Held::Programs, everybody()?)));
    }
    if let Some(class) = what.class {
        return Ok(Some((Held::Class(class.into()), everybody()?)));
    }
    let Some(actuator) = &what.actuator else { return Ok(None) };
    let dir = StateDir::find(state_dir)?;
    let site = site_file::load(&dir)?;
    let plan = site.plan.as_ref().with_context(|| {
        format!("the site has no `plan`, so nobody owns anything there: {}", dir.site_file().display())
    })?;
    let entry = actuator_called(actuator, plan)?;
    let owner =
        Reachable { id: owner_of(entry, plan)?, name: Some(entry.owner.as_str().to_owned()), is_alive: true };
    Ok(Some((Held::Actuator(Capability::new(&entry.capability)?), vec![owner])))
}
