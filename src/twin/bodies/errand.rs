//! Rovers on their way: straight to their points, past people and keep-outs.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{PHYSICS_STEP_S, Rig, Stand, World};
use crate::site::{Name, Point};

/// How fast a rover gets faster or slower.
const ACCELERATION_MPS2: f64 = 1.0;
/// So near it has arrived.
const ARRIVED_M: f64 = 0.1;
/// Who gets no further than this within the time below is blocked.
const PROGRESS_M: f64 = 0.05;
const BLOCKED_S: f64 = 5.0;
/// No drive is followed for longer.
const FOLLOWED_S_MAX: f64 = 3_600.0;
/// A point of the path each so often.
const PATH_S: f64 = 1.0;

/// A rover and where it is to drive.
#[derive(Debug, Clone, PartialEq)]
pub struct Errand {
    /// The rover, where it begins; its heading becomes that of its way.
    pub rig: Rig,
    /// Where to.
    pub to: Point,
    /// How fast it drives.
    pub speed_mps: f64,
}

/// What came of an errand.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Drove {
    /// When it arrived; `None` if it did not.
    pub arrived_s: Option<f64>,
    /// Where it was, from the beginning, about once a second.
    pub path: Vec<Point>,
    /// What it came nearest to.
    pub nearest: Option<Nearest>,
    /// What it touched.
    pub touched: BTreeSet<Name>,
    /// The largest force with which it pushed anything.
    pub peak_force_n: f64,
    /// The keep-outs it was in.
    pub entered: BTreeSet<Name>,
}

/// The nearest of what a rover came near to.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    /// Who or what.
    pub to: Name,
    /// How near.
    pub clearance_m: f64,
}

/// How far one rover has come.
struct Progress {
    drove: Drove,
    best_m: f64,
    best_s: f64,
    is_over: bool,
}

/// Follows all errands at once, over at most `length_s`, in a clone of `base`. What is parked stands, who stands walks.
#[must_use]
pub fn follow(
    base: &World,
    errands: &BTreeMap<Name, Errand>,
    parked: &BTreeMap<Name, Rig>,
    people: &BTreeMap<Name, Stand>,
    length_s: f64,
) -> BTreeMap<Name, Drove> {
    let mut world = base.clone();
    for errand in errands.values() {
        world.add_rover(&towards(errand), true);
    }
    parked.values().for_each(|rig| world.add_rover(rig, false));
    people.values().for_each(|stand| world.add_person(stand));
    let others: Vec<&Name> = errands.keys().chain(parked.keys()).chain(people.keys()).collect();
    let begin = |(name, errand): (&Name, &Errand)| (name.clone(), Progress::new(errand));
    let mut under_way: BTreeMap<Name, Progress> = errands.iter().map(begin).collect();
    let steps = (length_s.min(FOLLOWED_S_MAX) / PHYSICS_STEP_S).ceil() as u64;
    for step in 1..=steps {
        let time_s = step as f64 * PHYSICS_STEP_S;
        for (name, errand) in errands {
            let is_over = under_way.get(name).is_none_or(|progress| progress.is_over);
            steer(&mut world, name, errand, is_over);
        }
        world.step();
        for (name, progress) in under_way.iter_mut().filter(|(_, progress)| !progress.is_over) {
            progress.measure(&world, name, &others);
            progress.judge(&world, name, &errands[name], time_s);
        }
        if under_way.values().all(|progress| progress.is_over) {
            break;
        }
    }
    under_way.into_iter().map(|(name, progress)| (name, progress.drove)).collect()
}

fn towards(errand: &Errand) -> Rig {
    let (east, north) = (errand.to.0 - errand.rig.at.0, errand.to.1 - errand.rig.at.1);
    Rig { heading_rad: libm::atan2(north, east), ..errand.rig.clone() }
}

/// Towards the point, faster and slower only as fast as a rover can, and slow enough to stop there.
fn steer(world: &mut World, name: &Name, errand: &Errand, is_over: bool) {
    let Some(at) = world.place(name) else { return };
    let (east, north) = (errand.to.0 - at.0, errand.to.1 - at.1);
    let left_m = libm::hypot(east, north);
    let stoppable_mps = (2.0 * ACCELERATION_MPS2 * left_m).sqrt();
    let wanted_mps =
        if is_over || left_m == 0.0 { 0.0 } else { errand.speed_mps.min(stoppable_mps) / left_m };
    let (was_east, was_north) = world.velocity_mps(name);
    let (more_east, more_north) = (east * wanted_mps - was_east, north * wanted_mps - was_north);
    let more_mps = libm::hypot(more_east, more_north);
    let able_mps = ACCELERATION_MPS2 * PHYSICS_STEP_S;
    let share = if more_mps > able_mps { able_mps / more_mps } else { 1.0 };
    world.drive(name, was_east + share * more_east, was_north + share * more_north);
}

impl Progress {
    fn new(errand: &Errand) -> Self {
        let drove = Drove { path: vec![errand.rig.at], ..Drove::default() };
        Self { drove, best_m: f64::INFINITY, best_s: 0.0, is_over: false }
    }

    fn measure(&mut self, world: &World, name: &Name, others: &[&Name]) {
        for other in others.iter().copied().filter(|other| *other != name) {
            let Some(clearance_m) = world.clearance_m(name, other) else { continue };
            let is_nearest =
                self.drove.nearest.as_ref().is_none_or(|nearest| clearance_m < nearest.clearance_m);
            if is_nearest {
                self.drove.nearest = Some(Nearest { to: other.clone(), clearance_m });
            }
            let force_n = world.force_n(name, other);
            if force_n > 0.0 {
                self.drove.touched.insert(other.clone());
                self.drove.peak_force_n = self.drove.peak_force_n.max(force_n);
            }
        }
        self.drove.entered.extend(world.entered(name).into_iter().cloned());
    }

    fn judge(&mut self, world: &World, name: &Name, errand: &Errand, time_s: f64) {
        let Some(at) = world.place(name) else { return };
        let left_m = libm::hypot(errand.to.0 - at.0, errand.to.1 - at.1);
        if left_m < self.best_m - PROGRESS_M {
            (self.best_m, self.best_s) = (left_m, time_s);
        }
        if left_m <= ARRIVED_M {
            self.drove.arrived_s = Some(time_s);
        }
        self.is_over = left_m <= ARRIVED_M || time_s - self.best_s > BLOCKED_S;
        if self.is_over || time_s >= self.drove.path.len() as f64 * PATH_S {
            self.drove.path.push(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn drive(people: &[Stand], to: Point) -> Drove {
        let rig = Rig {
            name: name("rover"),
            size_m: (1.2, 0.8, 0.9),
            mass_kg: 85.0,
            at: Point(0.0, 0.0),
            heading_rad: 0.0,
        };
        let errands = [(name("rover"), Errand { rig, to, speed_mps: 1.5 })].into();
        let people = people.iter().map(|stand| (stand.name.clone(), stand.clone())).collect();
        follow(&World::new(&[]), &errands, &BTreeMap::new(), &people, 600.0).remove(&name("rover")).unwrap()
    }

    fn stands(east: f64, north: f64) -> Stand {
        Stand { name: name("farmer"), at: Point(east, north), walks_mps: (0.0, 0.0), reach_m: 0.0 }
    }

    #[test]
    fn a_rover_arrives_where_it_is_sent_no_sooner_than_it_can() {
        let drove = drive(&[], Point(30.0, 40.0));
        let arrived_s = drove.arrived_s.unwrap();
        // Fifty metres at 1.5 m/s, and a second and a half to speed up and to stop.
        assert!((33.3..40.0).contains(&arrived_s), "{arrived_s}");
        let end = drove.path.last().unwrap();
        assert!((end.0 - 30.0).abs() < 0.2 && (end.1 - 40.0).abs() < 0.2, "{end:?}");
        assert_eq!((drove.touched.len(), drove.peak_force_n), (0, 0.0));
    }

    #[test]
    fn who_stands_beside_the_way_is_passed_at_their_distance() {
        let drove = drive(&[stands(10.0, 3.0)], Point(20.0, 0.0));
        let nearest = drove.nearest.unwrap();
        assert_eq!(nearest.to, name("farmer"));
        // Three metres less half a rover and half a person.
        assert!((nearest.clearance_m - 2.3).abs() < 0.02, "{}", nearest.clearance_m);
        assert!(drove.arrived_s.is_some());
    }

    #[test]
    fn who_stands_in_the_way_is_hit_and_the_rover_does_not_arrive() {
        let drove = drive(&[stands(10.0, 0.0)], Point(20.0, 0.0));
        assert!(drove.touched.contains(&name("farmer")));
        // The rover loses 85 kg · 1.5 m/s within one step of 50 ms.
        assert!((500.0..4_000.0).contains(&drove.peak_force_n), "{}", drove.peak_force_n);
        assert_eq!(drove.arrived_s, None);
    }

    #[test]
    fn who_walks_into_the_way_is_met() {
        let walker = Stand { walks_mps: (0.0, -1.0), ..stands(10.0, 7.0) };
        let drove = drive(&[walker], Point(20.0, 0.0));
        assert!(drove.nearest.unwrap().clearance_m < 0.5);
    }
}
