//! What moves something, what drives it, and what simulates it.

use std::collections::BTreeMap;
use std::sync::Arc;

use clawmesh_core::intake::InboxHandle;
use clawmesh_core::replay::CommitWatch;
use clawmesh_drivers::{DriverLayer, DriverPorts, Orders};
use clawmesh_plant::{Fault, Plant};
use clawmesh_twin::rollout::Model;

use super::Options;
use super::PlantOptions;
use super::start::Start;
use crate::config::site_file::{self, Place};
use crate::headless::guests::GuestDoor;
use crate::headless::guests::guardian::{GuestDriver, Hands, Remote, Sender};
use crate::headless::plant::PlantDriver;
use crate::headless::simulator::SimulationOrders;
use crate::headless::worker::Worker;
use crate::headless::{plant, simulator};
use crate::moments::unix_ms;

/// How long the tick may be silent before what runs is made safe, milliseconds.
const LEASE_MS: u64 = 1_000;

/// What moves something, what drives it, and what simulates it; nothing where a node has no hardware.
pub(super) type Machinery =
    (Option<Worker>, Option<(DriverLayer, Orders)>, Option<(Worker, SimulationOrders)>);

pub(super) fn machinery(
    options: &Options,
    start: &Start,
    inbox: &InboxHandle,
    commits: &CommitWatch,
    guests: &Arc<GuestDoor>,
) -> anyhow::Result<Machinery> {
    let place = site_file::place_of(&start.site, start.settings.node);
    let is_guardian = place.as_ref().is_ok_and(|place| !place.on_guests.is_empty());
    if options.plant.is_none() && !is_guardian {
        return Ok((None, None, None));
    }
    let mut place = place.map_err(anyhow::Error::msg)?;
    let model = Model::new(&place.plan).map_err(anyhow::Error::msg)?;
    let remotes = std::mem::take(&mut place.on_guests);
    let remotes: BTreeMap<_, _> =
        remotes.into_iter().filter_map(|(actuator, guest)| Some((actuator, Remote::of(&guest)?))).collect();
    if options.plant.is_none() {
        // What has no driver here is shown as not answering, and nothing of it can be made safe.
        place.safe_states = place.safe_states.of_those(|actuator| remotes.contains_key(actuator));
    }
    let (worker, plant) =
        options.plant.as_ref().map(|plant| hardware(plant, inbox, &place)).transpose()?.unzip();
    let sender = Sender { node: start.settings.node, role: start.settings.role.clone() };
    let guests = GuestDriver::new(remotes, Arc::clone(guests), sender, unix_ms);
    let ports = DriverPorts {
        driver: Box::new(Hands { plant, guests }),
        safe_states: place.safe_states,
        shuts_after: place.shuts_after,
        latch: start.latch.clone(),
        inbox: inbox.clone(),
        commits: commits.clone(),
        lease_ms: LEASE_MS,
    };
    let simulator = simulator::start(model, inbox.clone())?;
    Ok((worker, Some(DriverLayer::start(ports)?), Some(simulator)))
}

/// The stand-in plant and its driver.
pub(super) fn hardware(
    options: &PlantOptions,
    inbox: &InboxHandle,
    place: &Place,
) -> anyhow::Result<(Worker, PlantDriver)> {
    let mut faults = Fault::of_seed(options.seed, &options.file);
    faults.extend(options.faults.iter().cloned());
    for fault in &faults {
        tracing::info!("the plant has a fault: {fault}");
    }
    let plant = Plant::new(options.file.clone(), options.seed, options.speed, faults)?;
    let specs = plant::specs(&place.plan, &place.name, &plant).map_err(anyhow::Error::msg)?;
    Ok(plant::start(plant, specs, inbox.clone())?)
}
