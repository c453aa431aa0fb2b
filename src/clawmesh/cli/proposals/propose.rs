//! `clawmesh propose` and `clawmesh withdraw`: what a person wants done, and takes back.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clawmesh_authority::policy::FOR_S;
use clawmesh_authority::{
    Capability, ContentHash, Hlc, Maker, MeshId, NodeId, Policy, Proposal, Request, RequestBody, Step, Value,
};
use clawmesh_core::settings::SiteText;
use clawmesh_gateway::Status;
use clawmesh_twin::site::Plan;

use super::args::{ProposeArgs, RejectArgs};
use super::bring::{bring_request, person_of, tell};
use super::evidence::{gather, sensors_for};
use super::find::{called, known_to, names_node, owner_of};
use crate::cli::client::{Client, block_on};
use crate::cli::status::time_at;
use crate::cli::table::plain;
use crate::cli::terminal::{complain, say};
use crate::cli::wording::steps::{self, TypedStep};
use crate::config::site_file::SiteFile;
use crate::config::state_dir::StateDir;
use crate::config::{policy_file, site_file};

/// What switches something off needs no end.
const WITHOUT_AN_END: [&str; 2] = ["close", "stop"];

/// Asks the owner of some actuators to move them.
pub fn run(state_dir: Option<PathBuf>, args: ProposeArgs) -> anyhow::Result<ExitCode> {
    let dir = StateDir::find(state_dir.clone())?;
    let site = site_file::load(&dir)?;
    let plan = site.plan.as_ref().with_context(|| {
        format!("the site has no `plan`, so nobody owns anything there: {}", dir.site_file().display())
    })?;
    let policy = policy_file::load(&dir.policy_file(), &site)?;
    let typed: Vec<TypedStep<'_>> =
        args.steps.iter().map(|step| steps::read(step, plan)).collect::<Result<_, _>>()?;
    let owner = owner_of_all(&typed, plan, args.node.as_deref())?;
    let steps: Vec<Step> =
        typed.iter().map(|step| step_of(step, policy.as_ref(), args.length)).collect::<Result<_, _>>()?;
    let person = person_of(args.signer)?;
    let client = Client::new(state_dir, &args.target)?;
    let status: Status = block_on(client.get("/api/status"))?;
    let actuators: Vec<_> = typed.iter().map(|step| step.actuator).collect();
    let evidence = block_on(gather(&client, &sensors_for(&actuators, plan, policy.as_ref())))?;
    let made = Hlc { wall_ms: time_at(&status), logical: 0 };
    let mesh = MeshId::of_name(&status.node.mesh);
    let proposal = Proposal {
        mesh,
        owner,
        site: same_site(&site, plan, &status)?,
        maker: Maker::person(status.node.id, person.id()),
        steps,
        reason: args.why,
        evidence: evidence.envelopes.into_iter().map(Into::into).collect(),
        made,
    };
    let id = proposal.id();
    let body = match &args.instead_of {
        None => RequestBody::Propose(proposal),
        Some(wanted) => {
            let instead_of = called(&block_on(known_to(&client))?, wanted)?.report.id;
            RequestBody::Supersede { proposal, instead_of }
        }
    };
    let request = Request { mesh, owner, body, made };
    let answered = block_on(bring_request(&client, &person, &request))?;
    if !evidence.missing.is_empty() {
        let missing = evidence.missing.join(", ");
        complain(&format!("clawmesh: note: no signed reading of {missing} could be attached"));
    }
    if answered.is_ok() && !args.target.json {
        say(&format!("proposal  {id}"));
    }
    tell(&answered, args.target.json)
}

/// The one node that owns everything that is to be moved.
fn owner_of_all(typed: &[TypedStep<'_>], plan: &Plan, meant: Option<&str>) -> anyhow::Result<NodeId> {
    let [first, others @ ..] = typed else { bail!("there is nothing to propose") };
    let name = &first.actuator.owner;
    if let Some(other) = others.iter().find(|step| step.actuator.owner != *name) {
        bail!(
            "{} belongs to {name} and {} to {}; propose to one owner at a time",
            first.actuator.of,
            other.actuator.of,
            other.actuator.owner
        );
    }
    let id = owner_of(first.actuator, plan)?;
    match meant {
        Some(meant) if !names_node(meant, Some(name.as_str()), id) => {
            bail!("{} belongs to {name} ({}), not to {meant:?}; ask its owner", first.actuator.of, id.short())
        }
        _ => Ok(id),
    }
}

/// The step with everything that has to be said with it. The policy knows what lasts; without one whatever does not
/// switch off does.
fn step_of(step: &TypedStep<'_>, policy: Option<&Policy>, length: Option<Duration>) -> anyhow::Result<Step> {
    let lasts = match policy {
        Some(policy) => step.rule(policy)?.parameters.contains_key(FOR_S),
        None => !WITHOUT_AN_END.contains(&step.operation),
    };
    let length = match (lasts, length) {
        (false, _) => None,
        (true, Some(length)) => Some((FOR_S.to_owned(), Value::Number(length.as_secs_f64()))),
        (true, None) => {
            bail!(
                "{}={} has to end by itself; say when, for example --for 20m",
                step.actuator.of,
                step.operation
            )
        }
    };
    Ok(Step {
        actuator: Capability::new(&step.actuator.capability)?,
        operation: step.operation.to_owned(),
        parameters: length.into_iter().collect(),
    })
}

/// The site by its content, when the node that is asked has the very plan in mind that was read here.
fn same_site(site: &SiteFile, plan: &Plan, status: &Status) -> anyhow::Result<ContentHash> {
    let read = SiteText::of(&site.name, plan, None).map_err(anyhow::Error::msg)?.site_hash();
    match &status.site {
        Some(held) if held.site_hash == read => Ok(read),
        Some(held) => bail!(
            "site.ron here is {}, {} runs with {}; start it again, or give both the same file",
            read.short(),
            plain(&status.node.name),
            held.site_hash.short()
        ),
        None => bail!("{} runs without a site; give it the same site.ron", plain(&status.node.name)),
    }
}

/// Takes a proposal back.
pub fn withdraw(state_dir: Option<PathBuf>, args: RejectArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    let known = block_on(known_to(&client))?;
    let view = called(&known, &args.id)?;
    let person = person_of(args.signer)?;
    let status: Status = block_on(client.get("/api/status"))?;
    let request = Request {
        mesh: MeshId::of_name(&status.node.mesh),
        owner: view.home,
        body: RequestBody::Withdraw { proposal: view.report.id, why: args.why },
        made: Hlc { wall_ms: time_at(&status), logical: 0 },
    };
    tell(&block_on(bring_request(&client, &person, &request))?, args.target.json)
}
