//! What is asked of the twin: what is known now, the steps of a proposal, the limits, how long and how often.
//! Reads/Writes: nothing; a trial is a value that the caller gathered.
//! Invariant: a trial without fault names only what the plan has, and every number in it is finite and within bounds.
//! Not here: what the steps lead to (`rollout`), what is said about that (`card`).

mod limits;
mod snapshot;
mod step;

use std::collections::{BTreeMap, BTreeSet};

pub use limits::{Horizon, LENGTH_S_MAX, Limits, ROLLOUTS_MAX, STEP_S_MIN, STEPS_OF_TIME_MAX};
pub use snapshot::{AGE_S_MAX, Estimate, LastSeen, METRES_MAX, Pose, Snapshot, Weather};
pub use step::{Act, STEPS_MAX, Step};

use crate::site::{Name, PartKind, Plan};

/// Everything a card is a function of, beside the plan of the site.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// What is known at the moment of the fork.
    pub snapshot: Snapshot,
    /// What the proposal does; all of it begins at once.
    pub steps: Vec<Step>,
    /// What must not happen.
    pub limits: Limits,
    /// How far and how finely to look, and how often.
    pub horizon: Horizon,
    /// From `seed_of` the proposal and the nonce.
    pub seed: [u8; 32],
}

impl Trial {
    /// Why the twin will not simulate it, in a sentence.
    #[must_use]
    pub fn fault(&self, plan: &Plan) -> Option<String> {
        let Self { snapshot, steps, limits, horizon, .. } = self;
        let alone = snapshot.fault().or_else(|| limits.fault()).or_else(|| horizon.fault());
        alone
            .or_else(|| steps_fault("steps", steps, plan))
            .or_else(|| steps_fault("running", &snapshot.running, plan))
            .or_else(|| steps.is_empty().then(|| "there is no step to simulate".to_owned()))
            .or_else(|| unknown_name(snapshot, plan))
            .or_else(|| self.unknown_pose())
    }

    /// A rover that is to drive from nobody knows where.
    fn unknown_pose(&self) -> Option<String> {
        let driven = self.steps.iter().chain(&self.snapshot.running);
        let mut driven = driven.filter(|step| matches!(step.act, Act::Drive { .. }));
        let lost = driven.find(|step| !self.snapshot.rovers.contains_key(&step.of))?;
        Some(format!("nobody knows where {} is, so it cannot be driven", lost.of))
    }
}

fn steps_fault(list: &str, steps: &[Step], plan: &Plan) -> Option<String> {
    if steps.len() > STEPS_MAX {
        return Some(format!("`{list}` has {} entries, at most {STEPS_MAX} are allowed", steps.len()));
    }
    let mut seen = BTreeSet::new();
    steps.iter().enumerate().find_map(|(index, step)| {
        let twice = || format!("{} stands in the list twice; one thing does one thing at a time", step.of);
        let found = step.fault().or_else(|| wrong_kind(step, plan));
        let found = found.or_else(|| (!seen.insert(&step.of)).then(twice));
        found.map(|sentence| format!("{list}[{index}]: {sentence}"))
    })
}

fn wrong_kind(step: &Step, plan: &Plan) -> Option<String> {
    let name = &step.of;
    let part = plan.water.parts.iter().find(|part| part.name == *name).map(|part| &part.kind);
    let is_rover = plan.rovers.iter().any(|rover| rover.name == *name);
    match (&step.act, part) {
        (Act::Switch { .. }, Some(PartKind::Pump { .. } | PartKind::Valve { .. })) => None,
        (Act::Switch { .. }, Some(_)) => Some(format!("{name} is no valve and no pump, nothing switches it")),
        (Act::Switch { .. }, None) if is_rover => Some(format!("{name} drives, nothing switches it")),
        (Act::Drive { .. }, None) if is_rover => None,
        (Act::Drive { .. }, Some(_)) => Some(format!("{name} is no rover, it drives nowhere")),
        (_, None) => Some(format!("{name} is not known at this site")),
    }
}

/// The first name in the snapshot that the plan does not have.
fn unknown_name(snapshot: &Snapshot, plan: &Plan) -> Option<String> {
    let kinds: BTreeMap<&Name, &PartKind> =
        plan.water.parts.iter().map(|part| (&part.name, &part.kind)).collect();
    let is_tank = |name: &Name| matches!(kinds.get(name), Some(PartKind::Tank { .. }));
    let is_switch =
        |name: &Name| matches!(kinds.get(name), Some(PartKind::Pump { .. } | PartKind::Valve { .. }));
    let is_zone = |name: &Name| plan.zones.iter().any(|zone| zone.name == *name);
    let is_rover = |name: &Name| plan.rovers.iter().any(|rover| rover.name == *name);
    let is_person = |name: &Name| plan.people.iter().any(|person| person.name == *name);
    let refuse = |name: &Name, what: &str| format!("{name} is no {what} of this site");
    let tank = snapshot.tank_level_percent.keys().find(|name| !is_tank(name));
    let zone = snapshot.moisture_percent.keys().find(|name| !is_zone(name));
    let switch = snapshot.switched.keys().find(|name| !is_switch(name));
    let rover = snapshot.rovers.keys().find(|name| !is_rover(name));
    let person = snapshot.people.keys().find(|name| !is_person(name));
    let all =
        [(tank, "tank"), (zone, "zone"), (switch, "valve or pump"), (rover, "rover"), (person, "person")];
    all.into_iter().find_map(|(name, what)| name.map(|name| refuse(name, what)))
}
