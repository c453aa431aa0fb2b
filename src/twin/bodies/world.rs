//! A rapier world: flat ground, keep-outs as sensors, rovers as boxes, people as capsules.
//!
//! Metres east, north and up, single precision. The pipeline keeps nothing from step to step that matters, so a clone
//! of the sets is a fork (rapier's own snapshot tests hold it to that; ours hold this world to it at contact).

use std::collections::BTreeMap;

use rapier3d::parry::query;
use rapier3d::prelude::{
    ColliderBuilder, ColliderHandle, PhysicsWorld, RigidBodyBuilder, RigidBodyHandle, Rotation, SharedShape,
    Vector,
};

use super::prism::prisms;
use crate::site::{KeepOut, Name, Point};

/// The step of time of the bodies. About as long as a blow lasts, so that impulse over step is a force one can name.
pub const PHYSICS_STEP_S: f64 = 0.05;

const GRAVITY_MPS2: f32 = 9.81;
const PERSON_RADIUS_M: f32 = 0.3;
const PERSON_HEIGHT_M: f32 = 1.7;

/// A rover as a body.
#[derive(Debug, Clone, PartialEq)]
pub struct Rig {
    /// Its name.
    pub name: Name,
    /// Length, width, height.
    pub size_m: (f64, f64, f64),
    /// How heavy it is.
    pub mass_kg: f64,
    /// Where it stands.
    pub at: Point,
    /// Where its front looks, radians from east towards north.
    pub heading_rad: f64,
}

/// A person as a body.
#[derive(Debug, Clone, PartialEq)]
pub struct Stand {
    /// Their name.
    pub name: Name,
    /// Where they stand.
    pub at: Point,
    /// Where to and how fast they walk, east and north.
    pub walks_mps: (f64, f64),
    /// How far from there they may be in truth.
    pub reach_m: f64,
}

/// A body and its shape.
#[derive(Debug, Clone, Copy)]
struct Body {
    body: RigidBodyHandle,
    collider: ColliderHandle,
    reach_m: f64,
}

/// What is solid at a site, at one moment.
pub struct World {
    physics: PhysicsWorld,
    solid: BTreeMap<Name, Body>,
    keep_outs: Vec<(Name, ColliderHandle)>,
}

impl World {
    /// The ground and the keep-outs, in the order of their names.
    #[must_use]
    pub fn new(keep_outs: &[KeepOut]) -> Self {
        let mut physics = PhysicsWorld::new();
        physics.gravity = Vector::new(0.0, 0.0, -GRAVITY_MPS2);
        physics.integration_parameters.dt = PHYSICS_STEP_S as f32;
        let ground = ColliderBuilder::new(SharedShape::halfspace(Vector::new(0.0, 0.0, 1.0)));
        physics.insert_collider(ground.friction(0.0), None);
        let ordered: BTreeMap<&Name, &KeepOut> = keep_outs.iter().map(|entry| (&entry.name, entry)).collect();
        let mut world = Self { physics, solid: BTreeMap::new(), keep_outs: Vec::new() };
        for (name, keep_out) in ordered {
            for shape in prisms(keep_out) {
                let collider = world.physics.insert_collider(ColliderBuilder::new(shape).sensor(true), None);
                world.keep_outs.push((name.clone(), collider));
            }
        }
        world
    }

    /// Puts a rover there; one that does not drive stands as if bolted down.
    pub fn add_rover(&mut self, rig: &Rig, drives: bool) {
        let (length, width, height) = (rig.size_m.0 as f32, rig.size_m.1 as f32, rig.size_m.2 as f32);
        let builder = if drives { RigidBodyBuilder::dynamic() } else { RigidBodyBuilder::fixed() };
        let (sine, cosine) = libm::sincos(rig.heading_rad / 2.0);
        let builder = builder.lock_rotations().can_sleep(false);
        let mut body =
            builder.translation(Vector::new(rig.at.0 as f32, rig.at.1 as f32, height / 2.0)).build();
        body.set_rotation(Rotation::from_xyzw(0.0, 0.0, sine as f32, cosine as f32), false);
        let shape = ColliderBuilder::cuboid(length / 2.0, width / 2.0, height / 2.0);
        let (body, collider) = self.physics.insert(body, shape.mass(rig.mass_kg as f32).friction(0.0));
        self.solid.insert(rig.name.clone(), Body { body, collider, reach_m: 0.0 });
    }

    /// Puts a person there. Nothing pushes people aside: they walk on as they do.
    pub fn add_person(&mut self, stand: &Stand) {
        let walks = Vector::new(stand.walks_mps.0 as f32, stand.walks_mps.1 as f32, 0.0);
        let at = Vector::new(stand.at.0 as f32, stand.at.1 as f32, PERSON_HEIGHT_M / 2.0);
        let body = RigidBodyBuilder::kinematic_velocity_based().translation(at).linvel(walks);
        let shape = ColliderBuilder::capsule_z(PERSON_HEIGHT_M / 2.0 - PERSON_RADIUS_M, PERSON_RADIUS_M);
        let (body, collider) = self.physics.insert(body.can_sleep(false), shape);
        self.solid.insert(stand.name.clone(), Body { body, collider, reach_m: stand.reach_m });
    }

    /// One step of time.
    pub fn step(&mut self) {
        self.physics.step();
    }

    /// Where something solid is; `None` of what is not here.
    #[must_use]
    pub fn place(&self, name: &Name) -> Option<Point> {
        let at = self.physics.bodies.get(self.solid.get(name)?.body)?.translation();
        Some(Point(f64::from(at.x), f64::from(at.y)))
    }

    /// How fast it moves, east and north.
    #[must_use]
    pub fn velocity_mps(&self, name: &Name) -> (f64, f64) {
        let body = self.solid.get(name).and_then(|solid| self.physics.bodies.get(solid.body));
        body.map_or((0.0, 0.0), |body| (f64::from(body.linvel().x), f64::from(body.linvel().y)))
    }

    /// Makes it move as fast, east and north; it falls as it did.
    pub fn drive(&mut self, name: &Name, east_mps: f64, north_mps: f64) {
        let body = self.solid.get(name).and_then(|solid| self.physics.bodies.get_mut(solid.body));
        if let Some(body) = body {
            let falls = body.linvel().z;
            body.set_linvel(Vector::new(east_mps as f32, north_mps as f32, falls), true);
        }
    }

    /// The distance between two solid things, less how far each may be from where it stands; never below zero.
    #[must_use]
    pub fn clearance_m(&self, one: &Name, other: &Name) -> Option<f64> {
        let (one, other) = (self.solid.get(one)?, self.solid.get(other)?);
        let apart = self.distance_m(one.collider, other.collider)?;
        Some((apart - one.reach_m - other.reach_m).max(0.0))
    }

    fn distance_m(&self, one: ColliderHandle, other: ColliderHandle) -> Option<f64> {
        let (one, other) = (self.physics.colliders.get(one)?, self.physics.colliders.get(other)?);
        let found = query::distance(one.position(), one.shape(), other.position(), other.shape());
        found.ok().map(|found| f64::from(found.distance))
    }

    /// The force with which two solid things push each other; zero if they do not touch.
    #[must_use]
    pub fn force_n(&self, one: &Name, other: &Name) -> f64 {
        let (Some(one), Some(other)) = (self.solid.get(one), self.solid.get(other)) else { return 0.0 };
        let pair = self.physics.narrow_phase.contact_pair(one.collider, other.collider);
        pair.map_or(0.0, |pair| f64::from(pair.total_impulse_magnitude()) / PHYSICS_STEP_S)
    }

    /// The keep-outs that something solid is in.
    #[must_use]
    pub fn entered(&self, name: &Name) -> Vec<&Name> {
        let Some(solid) = self.solid.get(name) else { return Vec::new() };
        let is_in = |collider| self.physics.narrow_phase.intersection_pair(solid.collider, collider);
        let entered = self.keep_outs.iter().filter(|(_, collider)| is_in(*collider) == Some(true));
        entered.map(|(name, _)| name).collect()
    }

    /// A hash over where everything is, how it moves and what pushes what, bit by bit.
    #[cfg(test)]
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let mut take = |number: f32| {
            hasher.update(&number.to_bits().to_le_bytes());
        };
        for (_, body) in self.physics.bodies.iter() {
            let (at, turn) = (body.translation(), body.rotation());
            let (moves, turns) = (body.linvel(), body.angvel());
            for vector in [at, moves, turns] {
                [vector.x, vector.y, vector.z].into_iter().for_each(&mut take);
            }
            [turn.x, turn.y, turn.z, turn.w].into_iter().for_each(&mut take);
        }
        let pairs = self.physics.narrow_phase.contact_pairs();
        pairs.for_each(|pair| take(pair.total_impulse_magnitude()));
        *hasher.finalize().as_bytes()
    }
}

impl Clone for World {
    /// Every set of rapier, and a pipeline of its own, which holds only room to work in.
    fn clone(&self) -> Self {
        let from = &self.physics;
        let physics = PhysicsWorld {
            gravity: from.gravity,
            integration_parameters: from.integration_parameters,
            islands: from.islands.clone(),
            broad_phase: from.broad_phase.clone(),
            narrow_phase: from.narrow_phase.clone(),
            bodies: from.bodies.clone(),
            colliders: from.colliders.clone(),
            impulse_joints: from.impulse_joints.clone(),
            multibody_joints: from.multibody_joints.clone(),
            soft_bodies: from.soft_bodies.clone(),
            ccd_solver: from.ccd_solver.clone(),
            ..PhysicsWorld::new()
        };
        Self { physics, solid: self.solid.clone(), keep_outs: self.keep_outs.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Outline;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn rig(text: &str, east: f64) -> Rig {
        let at = Point(east, 0.0);
        Rig { name: name(text), size_m: (1.2, 0.8, 0.9), mass_kg: 85.0, at, heading_rad: 0.0 }
    }

    /// Three rovers in a row, the first of them pushing the second against the third, which stands.
    fn pile_up() -> World {
        let mut world = World::new(&[]);
        for (text, east) in [("a", 0.0), ("b", 1.5), ("c", 2.9)] {
            world.add_rover(&rig(text, east), text != "c");
        }
        world
    }

    fn push(world: &mut World, steps: u32) {
        for _ in 0..steps {
            world.drive(&name("a"), 1.5, 0.1);
            world.step();
        }
    }

    #[test]
    fn a_fork_at_contact_goes_on_as_the_world_it_came_from() {
        let mut world = pile_up();
        push(&mut world, 30);
        assert!(world.force_n(&name("a"), &name("b")) > 0.0, "the rovers do not touch yet");
        let before = world.hash();
        let mut fork = world.clone();
        for step in 0..200 {
            push(&mut world, 1);
            push(&mut fork, 1);
            assert_eq!(world.hash(), fork.hash(), "{step} steps after the fork");
        }
        assert_ne!(world.hash(), before);
    }

    #[test]
    fn what_a_fork_does_its_origin_does_not_see() {
        let mut world = pile_up();
        push(&mut world, 30);
        let before = world.hash();
        push(&mut world.clone(), 50);
        assert_eq!(world.hash(), before);
    }

    #[test]
    fn a_rover_in_a_keep_out_is_found_and_one_beside_it_is_not() {
        let corners = [(5.0, -3.0), (9.0, -3.0), (9.0, 3.0), (5.0, 3.0)];
        let outline = Outline(corners.into_iter().map(|(east, north)| Point(east, north)).collect());
        let hives =
            KeepOut { name: name("hives"), outline, floor_m: 0.0, ceiling_m: 2.0, why: String::new() };
        let mut world = World::new(&[hives]);
        world.add_rover(&rig("in", 7.0), true);
        world.add_rover(&rig("out", 2.0), true);
        world.step();
        assert_eq!(world.entered(&name("in")), [&name("hives")]);
        assert!(world.entered(&name("out")).is_empty());
    }

    #[test]
    fn who_may_be_anywhere_within_a_reach_is_that_much_nearer() {
        let mut world = World::new(&[]);
        world.add_rover(&rig("rover", 0.0), true);
        for (text, reach_m) in [("near", 0.0), ("unsure", 4.0), ("lost", 50.0)] {
            world.add_person(&Stand {
                name: name(text),
                at: Point(10.0, 0.0),
                walks_mps: (0.0, 0.0),
                reach_m,
            });
        }
        let clearance = |text| world.clearance_m(&name("rover"), &name(text)).unwrap();
        // Ten metres less half a rover and half a person.
        assert!((clearance("near") - 9.1).abs() < 0.01, "{}", clearance("near"));
        assert!((clearance("unsure") - 5.1).abs() < 0.01);
        assert_eq!(clearance("lost"), 0.0);
    }
}
