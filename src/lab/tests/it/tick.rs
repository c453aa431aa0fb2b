//! The tick itself.

use std::collections::BTreeMap;

use bevy::ecs::schedule::{NodeId as GraphNode, Schedules, SystemSet};
use bevy::prelude::*;
use clawmesh_core::clock::{ClockPlugin, Tick};
use clawmesh_core::{Core, TickSystems};
use clawmesh_lab::lone_settings;

fn two_ticks(app: &mut App) {
    app.insert_resource(lone_settings()).init_resource::<clawmesh_core::intake::TickBatch>();
    app.add_plugins(ClockPlugin);
    app.finish();
    app.update();
    app.update();
}

#[derive(Resource, Default)]
struct Contested(u32);

fn one(mut contested: ResMut<Contested>) {
    contested.0 += 1;
}

fn other(mut contested: ResMut<Contested>) {
    contested.0 *= 2;
}

#[test]
#[should_panic(expected = "1 pairs of systems with conflicting data access")]
fn two_systems_that_race_stop_the_node_before_its_first_tick() {
    let mut app = App::new();
    app.init_resource::<Contested>();
    app.add_systems(FixedUpdate, (one, other).in_set(TickSystems::Plan));
    two_ticks(&mut app);
}

#[test]
fn the_same_two_systems_in_an_order_are_fine() {
    let mut app = App::new();
    app.init_resource::<Contested>();
    app.add_systems(FixedUpdate, (one, other).chain().in_set(TickSystems::Plan));
    two_ticks(&mut app);
    assert_eq!(app.world().resource::<Contested>().0, 6, "(0 + 1) * 2, then (2 + 1) * 2");
}

#[test]
fn one_update_is_one_tick_from_the_first_on() {
    let mut core = Core::replaying(lone_settings(), 1);
    for n in 1..=3 {
        core.tick();
        assert_eq!(core.world().resource::<Tick>().0, n);
    }
}

#[test]
#[should_panic(expected = "a system of the tick failed")]
fn a_fault_in_a_replay_panics() {
    fn fail() -> Result {
        Err("a system of the tick failed".into())
    }
    let mut core = Core::replaying(lone_settings(), 1);
    core.world_mut().resource_mut::<Schedules>().add_systems(FixedUpdate, fail.in_set(TickSystems::Plan));
    core.tick();
}

#[test]
fn every_system_of_a_tick_is_in_exactly_one_set() {
    let mut core = Core::replaying(lone_settings(), 1);
    core.tick();
    let schedules = core.world().resource::<Schedules>();
    let schedule = schedules.get(FixedUpdate).unwrap();
    let graph = schedule.graph();
    let sets: BTreeMap<GraphNode, TickSystems> = TickSystems::ALL
        .into_iter()
        .filter_map(|set| Some((GraphNode::Set(graph.system_sets.get_key(set.intern())?), set)))
        .collect();
    assert_eq!(sets.len(), TickSystems::ALL.len());
    let parents_of = |node| graph.hierarchy().graph().neighbors_directed(node, petgraph_incoming());
    let mut count = 0;
    for (key, system) in schedule.systems().unwrap() {
        let mut above = vec![GraphNode::System(key)];
        let mut found = Vec::new();
        while let Some(node) = above.pop() {
            found.extend(sets.get(&node).copied());
            above.extend(parents_of(node));
        }
        // Bevy's own sync points between chained systems belong to no feature.
        if !system.name().to_string().contains("apply_deferred") {
            assert_eq!(found.len(), 1, "{} is in {found:?}", system.name());
            count += 1;
        }
    }
    assert!(count > 15, "only {count} systems were looked at");
}

fn petgraph_incoming() -> bevy::ecs::schedule::graph::Direction {
    bevy::ecs::schedule::graph::Direction::Incoming
}
