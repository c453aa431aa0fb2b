//! Who drives and who walks in a rollout.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use super::Inner;
use crate::bodies::{Drove, Errand, Rig, Stand, follow};
use crate::seed::Stream;
use crate::site::{Name, Person, Point, Rover};
use crate::trial::{Act, Pose, Snapshot, Step, Trial};

/// A rover may be this much slower than it says.
const SLOWNESS_MAX: f64 = 0.25;

/// Drives every rover that the trial drives; without one, no body moves and none is looked at.
///
/// In rollout 0 everybody stands where they were last seen, and may be anywhere they can have gone since. In the others
/// everybody is at one such place and walks one way.
#[must_use]
pub fn drive(inner: &Inner, trial: &Trial, index: u32) -> BTreeMap<Name, Drove> {
    let targets = targets(trial);
    if targets.is_empty() {
        return BTreeMap::new();
    }
    let mut stream = (index > 0).then(|| Stream::new(&trial.seed, "bodies", index));
    let (mut errands, mut parked) = (BTreeMap::new(), BTreeMap::new());
    let rovers: BTreeMap<&Name, &Rover> =
        inner.plan.rovers.iter().map(|rover| (&rover.name, rover)).collect();
    for (name, rover) in rovers {
        let Some(pose) = trial.snapshot.rovers.get(name) else { continue };
        let rig = rig(rover, pose, stream.as_mut());
        let slowness = stream.as_mut().map_or(0.0, |stream| stream.uniform(0.0, SLOWNESS_MAX));
        let speed_mps = rover.speed_mps_max * (1.0 - slowness);
        match targets.get(name) {
            Some(to) => errands.extend([(name.clone(), Errand { rig, to: *to, speed_mps })]),
            None => parked.extend([(name.clone(), rig)]),
        }
    }
    let people: BTreeMap<&Name, &Person> =
        inner.plan.people.iter().map(|person| (&person.name, person)).collect();
    let people = people.into_iter().map(|(name, person)| {
        (name.clone(), stand(person, &trial.snapshot, reach_m(inner, &trial.snapshot, name), stream.as_mut()))
    });
    follow(&inner.world, &errands, &parked, &people.collect(), trial.horizon.length_s)
}

/// Where each rover is to go; the proposal holds over what is under way.
fn targets(trial: &Trial) -> BTreeMap<&Name, Point> {
    let target = |step: &Step| match step.act {
        Act::Drive { to } => Some(to),
        Act::Switch { .. } => None,
    };
    let all = trial.snapshot.running.iter().chain(&trial.steps);
    all.filter_map(|step| Some((&step.of, target(step)?))).collect()
}

/// How far a person may be from where they were seen: as far as they can have walked, and not off the site.
#[must_use]
pub fn reach_m(inner: &Inner, snapshot: &Snapshot, name: &Name) -> f64 {
    let seen = snapshot.people.get(name);
    let person = inner.plan.people.iter().find(|person| person.name == *name);
    match (seen, person) {
        (Some(seen), Some(person)) => (person.speed_mps_max * seen.age_s).min(inner.diagonal_m),
        _ => inner.diagonal_m,
    }
}

fn rig(rover: &Rover, pose: &Pose, stream: Option<&mut Stream>) -> Rig {
    let off = |stream: &mut Stream| (stream.normal(0.0, pose.sigma_m), stream.normal(0.0, pose.sigma_m));
    let (east, north) = stream.map_or((0.0, 0.0), off);
    Rig {
        name: rover.name.clone(),
        size_m: rover.size_m,
        mass_kg: rover.mass_kg,
        at: Point(pose.at.0 + east, pose.at.1 + north),
        heading_rad: pose.heading_deg.to_radians(),
    }
}

fn stand(person: &Person, snapshot: &Snapshot, reach_m: f64, stream: Option<&mut Stream>) -> Stand {
    let at = snapshot.people.get(&person.name).map_or(person.usually_at, |seen| seen.at);
    let name = person.name.clone();
    let Some(stream) = stream else {
        return Stand { name, at, walks_mps: (0.0, 0.0), reach_m };
    };
    let (east, north) = stream.in_disc(reach_m);
    let speed_mps = stream.uniform(0.0, person.speed_mps_max);
    let (sine, cosine) = libm::sincos(stream.uniform(0.0, TAU));
    let walks_mps = (speed_mps * cosine, speed_mps * sine);
    Stand { name, at: Point(at.0 + east, at.1 + north), walks_mps, reach_m: 0.0 }
}
