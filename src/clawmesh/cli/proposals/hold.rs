//! `clawmesh hold`, `freeze` and `release`: a person holds back what would be approved and begun, and lets it go on.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clawmesh_authority::RequestBody;
use clawmesh_authority::hold::Held;
use clawmesh_gateway::Status;

use super::args::{FreezeArgs, Frozen, RejectArgs, ReleaseArgs};
use super::bring::person_of;
use super::each::{meant, tell_each};
use super::find::{Reachable, at_site, called, known_to};
use crate::cli::client::{Client, block_on};

/// Holds one proposal.
pub fn hold(state_dir: Option<PathBuf>, args: RejectArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    let status: Status = block_on(client.get("/api/status"))?;
    let (what, home) = proposal_called(&client, &args.id)?;
    let (person, body) = (person_of(args.signer)?, RequestBody::Hold { what, why: args.why });
    tell_each(&client, &status, &person, &[home], &body, args.target.json)
}

/// Holds whatever programs propose, a class, or an actuator.
pub fn freeze(state_dir: Option<PathBuf>, args: FreezeArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir.clone(), &args.target)?;
    let status: Status = block_on(client.get("/api/status"))?;
    let Some((what, nodes)) = frozen(state_dir, &client, &status, &args.what)? else {
        bail!("say what to freeze: --ai, --class or --actuator");
    };
    let (person, body) = (person_of(args.signer)?, RequestBody::Hold { what, why: args.why });
    tell_each(&client, &status, &person, &nodes, &body, args.target.json)
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
    let (person, body) = (person_of(args.signer)?, RequestBody::Release { what, why: args.why });
    tell_each(&client, &status, &person, &nodes, &body, args.target.json)
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
    let (actuator, id) = at_site(state_dir, actuator)?;
    let owner = Reachable { id, name: None, is_alive: true };
    Ok(Some((Held::Actuator(actuator), vec![owner])))
}
