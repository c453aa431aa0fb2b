//! `clawmesh simulate`: what would happen if, by the twin of the site, from what a running node knows now.
//! Reads the site and the policy of a state dir and the world of its node. Writes the terminal.
//! Invariant: nothing is proposed and nothing is moved; the same question about the same world gives the same card.
//! Not here: the model (`twin`), cards of proposals, which their owner makes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clawmesh_authority::{Capability, ContentHash, Policy, Setpoint, Tier};
use clawmesh_core::site::{Sight, limits_of, snapshot_of, switch_state};
use clawmesh_gateway::World;
use clawmesh_twin::card::Card;
use clawmesh_twin::rollout::Model;
use clawmesh_twin::seed::seed_of;
use clawmesh_twin::site::{Plan, Sensor};
use clawmesh_twin::trial::{Act, Horizon, LENGTH_S_MAX, Step, Trial};
use serde::Serialize;

use super::args::SimulateArgs;
use super::client::{Client, block_on};
use super::terminal::{say, say_json};
use super::wording::{card, steps};
use super::world::warn_of_stall;
use crate::config::policy_file;
use crate::config::site_file::{self, SiteFile};
use crate::config::state_dir::StateDir;

#[derive(Serialize)]
struct Answer {
    card_hash: String,
    #[serde(flatten)]
    card: Card,
}

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let dir = StateDir::find(state_dir.clone())?;
    let site = site_file::load(&dir)?;
    let policy = policy_file::load(&dir.policy_file(), &site)?;
    let (plan, policy) = both(&dir.site_file(), &site, policy.as_ref())?;
    let client = Client::new(state_dir, &args.target)?;
    let world: World = block_on(client.get("/api/world"))?;
    warn_of_stall(world.snapshot_age_ms);
    let trial = Trial {
        snapshot: snapshot_of(plan, |sensor| read(&world, sensor), |actuator| position(&world, actuator)),
        steps: args
            .steps
            .iter()
            .map(|step| step_of(step, plan, policy, args.length))
            .collect::<Result<_, _>>()?,
        limits: limits_of(plan, policy),
        horizon: horizon(args),
        seed: seed(args),
    };
    let model = Model::new(plan).map_err(anyhow::Error::msg)?;
    let card = model.fork(trial).map_err(anyhow::Error::msg)?.card();
    let card_hash = ContentHash(card.hash()).to_string();
    if args.target.json {
        say_json(&Answer { card_hash, card })?;
    } else {
        say(&card::page(&card_hash, &card));
    }
    Ok(ExitCode::SUCCESS)
}

fn both<'a>(
    path: &Path,
    site: &'a SiteFile,
    policy: Option<&'a Policy>,
) -> anyhow::Result<(&'a Plan, &'a Policy)> {
    let Some(plan) = &site.plan else {
        bail!(
            "there is nothing to simulate: the site has no `plan`; draw it, or see assets/sites/farm.ron: {}",
            path.display()
        );
    };
    let Some(policy) = policy else {
        let beside = policy_file::beside(path);
        bail!("there is no policy, so no operation is known here; write one: {}", beside.display());
    };
    Ok((plan, policy))
}

/// What a sensor said, unless something is wrong with it or it is made up. Of two nodes that claim one sensor the site says which counts.
fn read(world: &World, sensor: &Sensor) -> Option<Sight> {
    let rows = world.sensors.iter().filter(|row| row.sensor == sensor.capability && row.flags.is_empty());
    let mut rows = rows.filter(|row| row.node_name.as_deref() == Some(sensor.node.as_str()));
    let row = rows.next().filter(|row| row.tier > Some(Tier::T0))?;
    let age_ms = row.age_ms?.saturating_add(world.snapshot_age_ms);
    Some(Sight { value: row.value?, age_s: Duration::from_millis(age_ms).as_secs_f64() })
}

fn position(world: &World, actuator: &Capability) -> Option<Setpoint> {
    let row = world.actuators.iter().find(|row| row.actuator == actuator.as_str())?;
    match row.position.as_deref()? {
        "on" => Some(Setpoint::On),
        "off" => Some(Setpoint::Off),
        _ => None,
    }
}

/// The step that was typed, as the policy knows it.
fn step_of(text: &str, plan: &Plan, policy: &Policy, length: Duration) -> anyhow::Result<Step> {
    let step = steps::read(text, plan)?;
    let act = Act::Switch { state: switch_state(step.rule(policy)?.brings), for_s: length.as_secs_f64() };
    Ok(Step { of: step.actuator.of.clone(), act })
}

/// At least as far as the steps last, and half as far again, so that their end is seen; a day at most.
fn horizon(args: &SimulateArgs) -> Horizon {
    let usual = Horizon::default();
    Horizon {
        length_s: usual.length_s.max(args.length.as_secs_f64() * 1.5).min(LENGTH_S_MAX),
        rollouts: args.rollouts,
        ..usual
    }
}

/// The same question has the same seed; another `--seed` asks it of other perturbations.
fn seed(args: &SimulateArgs) -> [u8; 32] {
    let question = format!("{:?} for {:?}", args.steps, args.length);
    let mut nonce = [0; 32];
    nonce[..8].copy_from_slice(&args.seed.to_le_bytes());
    seed_of(&ContentHash::of("question", question.as_bytes()).0, &nonce)
}
