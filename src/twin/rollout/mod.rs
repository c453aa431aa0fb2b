//! The future of a site, once as it is expected and many times as it might be.
//! Reads/Writes: nothing. A model is built from a plan, forked for a trial, and the fork is asked for rollouts.
//! Invariant: rollout `i` is a function of plan, trial and `i` alone, whoever asks, in whatever order; rollout 0 takes
//! every number as it is known.
//! Not here: what is said about the outcomes (`card`), when and on which thread they are made (the caller).

mod bounds;
mod draw;
mod irrigation;
mod outcome;
mod timeline;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use crate::bodies::{Drove, Nearest};
pub use outcome::{Band, Outcome, Peak, PlaceRun, PumpRun, SoilRun, TankRun, ZoneRun};

use crate::bodies::World;
use crate::card::Card;
use crate::site::{Name, Outline, PartKind, Plan, SwitchState};
use crate::soil::{ROW_WIDTH_M, reference_mm_per_day};
use crate::trial::{Act, Trial};
use crate::water::{Network, Outlet, Role};
use draw::Draw;
use timeline::Timeline;

/// The twin of a site: built once from its plan, forked for every trial. Clones share everything.
#[derive(Clone)]
pub struct Model {
    inner: Arc<Inner>,
}

struct Inner {
    plan: Plan,
    network: Network,
    /// The tank or source of each node.
    root_of: Vec<usize>,
    /// The zones that outlets water.
    zones: Vec<Watered>,
    /// The index above, of each node.
    zone_of: Vec<Option<usize>>,
    /// Where somebody measures flow or pressure.
    places: Vec<usize>,
    /// Each node in the safe state of its actuator.
    safe_on: Vec<bool>,
    world: World,
    diagonal_m: f64,
}

/// A zone that outlets water, and how much of it they wet.
struct Watered {
    name: Name,
    area_m2: f64,
}

impl Model {
    /// The model of a plan.
    ///
    /// # Errors
    /// A sentence, when the plan has a fault or a number that the twin cannot calculate with.
    pub fn new(plan: &Plan) -> Result<Self, String> {
        if let Some(fault) = plan.faults().into_iter().next() {
            return Err(format!("{}: {}", fault.at, fault.sentence));
        }
        if let Some(sentence) = bounds::fault(plan) {
            return Err(sentence);
        }
        let network = Network::new(plan);
        let root_of = (0..network.nodes.len()).map(|index| network.root(index)).collect();
        let (zones, zone_of) = watered(plan, &network);
        let inner = Inner {
            root_of,
            zones,
            zone_of,
            places: places(plan, &network),
            safe_on: safe_on(plan, &network),
            world: World::new(&plan.keep_outs),
            diagonal_m: bounds::diagonal_m(plan),
            plan: plan.clone(),
            network,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The site at the moment of the trial, ready to be rolled out.
    ///
    /// # Errors
    /// A sentence, when the trial has a fault or leaves out what its steps depend on.
    pub fn fork(&self, trial: Trial) -> Result<Fork, String> {
        if let Some(sentence) = trial.fault(&self.inner.plan) {
            return Err(sentence);
        }
        let timeline = Timeline::new(&self.inner, &trial);
        if let Some(sentence) = self.inner.unknown_tank(&trial) {
            return Err(sentence);
        }
        let Plan { origin, .. } = self.inner.plan;
        let reference_mm = reference_mm_per_day(&trial.snapshot.weather, origin.lat_deg, origin.height_m);
        Ok(Fork { inner: Arc::clone(&self.inner), trial, timeline, reference_mm })
    }
}

/// A model at the moment of a trial. It can be sent to other threads and asked there.
pub struct Fork {
    inner: Arc<Inner>,
    trial: Trial,
    timeline: Timeline,
    reference_mm: f64,
}

impl Fork {
    /// What is asked.
    #[must_use]
    pub fn trial(&self) -> &Trial {
        &self.trial
    }

    /// One future: number 0 with every number as it is known, all others perturbed.
    #[must_use]
    pub fn rollout(&self, index: u32) -> Outcome {
        let draw = Draw::new(&self.inner, &self.trial, index);
        let mut outcome = irrigation::irrigate(self, &self.timeline, &draw);
        outcome.drives = traffic::drive(&self.inner, &self.trial, index);
        Outcome { index, ..outcome }
    }

    /// Every rollout that the horizon asks for, in order.
    #[must_use]
    pub fn rollouts(&self) -> Vec<Outcome> {
        (0..=self.trial.horizon.rollouts).map(|index| self.rollout(index)).collect()
    }

    /// What is expected of the water if the proposal is not carried out.
    #[must_use]
    pub fn otherwise(&self) -> Outcome {
        let trial = Trial { steps: Vec::new(), ..self.trial.clone() };
        irrigation::irrigate(self, &Timeline::new(&self.inner, &trial), &Draw::new(&self.inner, &trial, 0))
    }

    /// The card, from all rollouts made one after the other.
    #[must_use]
    pub fn card(&self) -> Card {
        self.reduce(&self.rollouts())
    }

    /// The plan of the site.
    pub(crate) fn plan(&self) -> &Plan {
        &self.inner.plan
    }

    /// What the network leaves out.
    pub(crate) fn network_left_out(&self) -> &[String] {
        &self.inner.network.left_out
    }

    /// How far a person may be from where they were seen: as far as they can have walked, and not off the site.
    pub(crate) fn reach_m(&self, person: &Name) -> f64 {
        traffic::reach_m(&self.inner, &self.trial.snapshot, person)
    }

    /// The zones behind the valves that the steps switch.
    pub(crate) fn meant_zones(&self) -> BTreeSet<Name> {
        let names: BTreeSet<&Name> = self.trial.steps.iter().map(|step| &step.of).collect();
        let nodes = self.inner.network.nodes.iter();
        nodes.filter(|node| names.contains(&node.name)).filter_map(|node| node.zone.clone()).collect()
    }
}

impl Inner {
    /// A tank that what is switched draws from, and of which nobody knows how full it is.
    fn unknown_tank(&self, trial: &Trial) -> Option<String> {
        let switched = trial.steps.iter().chain(&trial.snapshot.running);
        let mut on = switched.filter(|step| matches!(step.act, Act::Switch { state: SwitchState::On, .. }));
        on.find_map(|step| {
            let root = &self.network.nodes[self.root_of[self.network.index(&step.of)?]];
            let is_known = trial.snapshot.tank_level_percent.contains_key(&root.name);
            let is_tank = matches!(root.role, Role::Tank { .. });
            (is_tank && !is_known)
                .then(|| format!("nobody knows how full {} is, which {} draws from", root.name, step.of))
        })
    }
}

fn watered(plan: &Plan, network: &Network) -> (Vec<Watered>, Vec<Option<usize>>) {
    let outlets: Vec<Option<&Name>> = (network.nodes.iter().zip(&network.elements))
        .map(|(node, element)| node.zone.as_ref().filter(|_| element.outlet != Outlet::Shut))
        .collect();
    let names: BTreeSet<&Name> = outlets.iter().flatten().copied().collect();
    let outlines: BTreeMap<&Name, &Outline> =
        plan.zones.iter().map(|zone| (&zone.name, &zone.outline)).collect();
    let area_m2 = |zone: &Name| {
        let lengths = plan.water.parts.iter().filter_map(|part| match &part.kind {
            PartKind::DripRow { zone: of, length_m, .. } if of == zone => Some(*length_m),
            _ => None,
        });
        let wet_m2 = lengths.sum::<f64>() * ROW_WIDTH_M;
        // Water from an open end spreads over the zone.
        let all_m2 = outlines.get(zone).map_or(0.0, |outline| outline.area_m2());
        if wet_m2 > 0.0 { wet_m2 } else { all_m2.max(1.0) }
    };
    let zone_of = outlets.iter().map(|zone| names.iter().position(|name| Some(*name) == *zone)).collect();
    let zones = names.iter().map(|name| Watered { name: (*name).clone(), area_m2: area_m2(name) }).collect();
    (zones, zone_of)
}

/// The parts at which a sensor tells of flow or pressure; without any, the pumps.
fn places(plan: &Plan, network: &Network) -> Vec<usize> {
    let measured =
        plan.sensors.iter().filter(|sensor| ["flow", "pressure"].contains(&sensor.quantity.as_str()));
    let measured: BTreeSet<usize> = measured.filter_map(|sensor| network.index(&sensor.of)).collect();
    if !measured.is_empty() {
        return measured.into_iter().collect();
    }
    let is_pump = |index: &usize| matches!(network.nodes[*index].role, Role::Pump { .. });
    (0..network.nodes.len()).filter(is_pump).collect()
}

fn safe_on(plan: &Plan, network: &Network) -> Vec<bool> {
    let is_on = |name: &Name| {
        let actuator = plan.actuators.iter().find(|actuator| actuator.of == *name);
        actuator.is_some_and(|actuator| actuator.safe_state == SwitchState::On)
    };
    network.nodes.iter().map(|node| is_on(&node.name)).collect()
}
