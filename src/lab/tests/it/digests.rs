//! Nothing in the world is outside the digest.

use std::any::TypeId;
use std::collections::BTreeSet;

use bevy::ecs::relationship::Relationship;
use bevy::prelude::*;
use clawmesh_authority::audit::Happened;
use clawmesh_authority::hold::Held;
use clawmesh_authority::policy::Mode;
use clawmesh_authority::revocation::Revocation;
use clawmesh_authority::{Code, LaneMark, NodeId, OperatorId, ProposalId, Refusal, Roster, Setpoint, Value};
use clawmesh_core::Core;
use clawmesh_core::alarms::{Alarm, AlarmState, FlaggedSince, LastKept};
use clawmesh_core::audit::{Moment, SafetyLog};
use clawmesh_core::clock::{Tick, WallClock};
use clawmesh_core::guests::{Guest, GuestContact, GuestLog, GuestProfile, GuestState, MockBench};
use clawmesh_core::intake::{ActuatorReport, DriverReport, InputBody, SafeBecause, SourceId, Thought};
use clawmesh_core::leadership::Lead;
use clawmesh_core::mesh::{
    ClockOffset, HlcState, LaneMarks, LastHeard, Liveness, Node, NodeProfile, OwnNode, Presence, Trust,
    Trusted, Voice,
};
use clawmesh_core::people::{People, Revocations};
use clawmesh_core::planner::{Attention, IrrigatedZone};
use clawmesh_core::proposals::{
    Asked, CardHeld, Control, Copied, CopyOf, Desk, Forked, Granted, Hold, Holds, Life, Proposed, Run,
    Spending, Tags, Wish,
};
use clawmesh_core::publish::OwnLanes;
use clawmesh_core::replay::{DigestRecord, DigestRegistry, DomainId};
use clawmesh_core::safety::{LinkStatus, Refusals, StopState};
use clawmesh_core::site::{Actuator, PolicyInForce, SiteModes, Stands};
use clawmesh_core::world::{Belief, BeliefKey, Latest, MountedOn, Profile, Quality, Sensor, SupportedBy};
use clawmesh_lab::START_MS;
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::gate::{self, Allowed, Forward};
use clawmesh_wire::mock::Done;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::alter::altered;
use crate::guests::{observation, opening, profile};
use crate::proposals::rig::{CENTER, FIELD, Farm, capability, valve};
use crate::{flow_of, flow_spec};

/// A world in which every component type has at least one value: a farm on which something runs.
fn full_world() -> Farm {
    let mut farm = Farm::calm();
    let (_, offer) = farm.approved_offer();
    farm.lab.record(FIELD, "gate", Value::Text("open".to_owned()));
    farm.lab.offer(FIELD, SourceId::HostSensors, InputBody::SensorsDeclared(vec![flow_spec()]));
    farm.lab.sample(FIELD, flow_of(12.5));
    let nobody = farm.lab.core(FIELD).world().iter_entities().find_map(|row| row.get::<Actuator>().cloned());
    let nobody = nobody.expect("the farm has actuators").0;
    let (because, fault) = (SafeBecause::Started, Some("it is stuck".to_owned()));
    let seen = ActuatorReport { answers: true, position: Some(Setpoint::Off), local_control: false };
    let seen = DriverReport::Seen { actuator: nobody.clone(), seen };
    farm.lab.offer(FIELD, SourceId::Drivers, InputBody::Driver(seen));
    let safe = DriverReport::MadeSafe { actuator: nobody, because, proposal: None, fault };
    farm.lab.offer(FIELD, SourceId::Drivers, InputBody::Driver(safe));
    let refusal = Refusal::new(Code::Replayed, "somebody", "heard before");
    farm.lab.offer(FIELD, SourceId::Bridge, InputBody::Refused { refusal, count: 3 });
    let mark = LaneMark { epoch: 1, next: 2, skipped: 3 };
    let restored = InputBody::MarkRestored { node: NodeId([9; 32]), state: mark, stream: mark };
    farm.lab.offer(FIELD, SourceId::Journal, restored);
    let zone = "z-food-forest-core".to_owned();
    let thought = Thought { zone, irrigate: true, urgency_permille: 650, moisture_permille: Some(142) };
    for _ in 0..2 {
        farm.lab.offer(FIELD, SourceId::Planner, InputBody::Thoughts(vec![thought.clone()]));
    }
    let (guest, json) = (farm.lab.id(CENTER), observation("f-1", 31.0, farm.lab.now_ms()).to_string());
    farm.lab.offer(FIELD, SourceId::Guests, InputBody::GuestJoined { guest, profile: profile() });
    farm.lab.offer(FIELD, SourceId::Guests, InputBody::GuestFrame { from: guest, json });
    let json = opening("actuator:mock:valve-1", "c-1", farm.lab.now_ms()).to_string();
    farm.lab.offer(FIELD, SourceId::Guests, InputBody::GuestCommand { from: guest, json });
    farm.lab.run_ticks(20);
    let copied = farm.lab.core_mut(CENTER).world_mut();
    let mut copies = copied.query::<(&CopyOf, &Copied)>();
    let (of, mut copied) =
        copies.single(copied).map(|(of, copied)| (*of, copied.clone())).expect("there is one");
    let domain = DomainId::of("copy", &[b"of another home"]);
    copied.report.offer = Some(offer);
    let world = farm.lab.core_mut(FIELD).world_mut();
    world.spawn((of, copied, domain));
    // By hand, because what runs would be ended by it.
    world.insert_resource(SiteModes(BTreeSet::from([Mode::PowerUnstable])));
    farm
}

fn digest(world: &mut World) -> DigestRecord {
    world.increment_change_tick();
    let record = world.resource_scope(|world, mut registry: Mut<DigestRegistry>| registry.refresh(world, 0));
    world.increment_change_tick();
    record
}

fn differing(before: &DigestRecord, after: &DigestRecord) -> Vec<String> {
    let pairs = before.types.iter().zip(&after.types);
    pairs.filter(|(a, b)| a != b).map(|((name, _), _)| name.clone()).collect()
}

/// Alters every value of one `C` of the world, one at a time, and puts it back.
fn every_alteration_shows<C>(world: &mut World) -> TypeId
where
    C: Component + Serialize + DeserializeOwned + PartialEq + Clone,
{
    let own = [std::any::type_name::<C>()];
    let mut query = world.query::<(Entity, &C)>();
    let found = query.iter(world).next().map(|(entity, component)| (entity, component.clone()));
    let (entity, original) = found.unwrap_or_else(|| panic!("the world has no {own:?}"));
    let before = digest(world);
    for (place, altered) in altered(&original) {
        world.entity_mut(entity).insert(altered);
        let after = digest(world);
        let differing = differing(&before, &after);
        assert_eq!(differing.len(), 1, "altering {place:?} of {own:?} shows in {differing:?}");
        assert_ne!(before.total, after.total);
        world.entity_mut(entity).insert(original.clone());
        assert_eq!(digest(world), before, "putting {place:?} of {own:?} back does not restore the digest");
    }
    TypeId::of::<C>()
}

/// A marker has no value; being there is what it says.
fn removing_shows<C: Component + Clone>(world: &mut World) -> TypeId {
    let mut query = world.query::<(Entity, &C)>();
    let found = query.iter(world).next().map(|(entity, marker)| (entity, marker.clone()));
    let (entity, marker) = found.expect("the world has one");
    let before = digest(world);
    world.entity_mut(entity).remove::<C>();
    assert!(!differing(&before, &digest(world)).is_empty());
    world.entity_mut(entity).insert(marker);
    assert_eq!(digest(world), before);
    TypeId::of::<C>()
}

/// What no text makes is altered by hand.
fn changing_shows<C: Component + Clone>(world: &mut World, change: impl Fn(&C) -> C) -> TypeId {
    let mut query = world.query::<(Entity, &C)>();
    let found = query.iter(world).next().map(|(entity, value)| (entity, value.clone()));
    let (entity, value) = found.expect("the world has one");
    let before = digest(world);
    world.entity_mut(entity).insert(change(&value));
    assert_eq!(differing(&before, &digest(world)).len(), 1, "{}", std::any::type_name::<C>());
    world.entity_mut(entity).insert(value);
    assert_eq!(digest(world), before);
    TypeId::of::<C>()
}

/// Pointing a relation elsewhere shows.
fn retargeting_shows<R: Relationship>(world: &mut World, elsewhere: Entity) -> TypeId {
    let mut query = world.query::<(Entity, &R)>();
    let (entity, target) =
        query.iter(world).map(|(entity, r)| (entity, r.get())).next().expect("there is one");
    assert_ne!(target, elsewhere);
    let before = digest(world);
    world.entity_mut(entity).insert(R::from(elsewhere));
    assert!(!differing(&before, &digest(world)).is_empty());
    world.entity_mut(entity).insert(R::from(target));
    assert_eq!(digest(world), before);
    TypeId::of::<R>()
}

fn elsewhere<With: Component>(world: &mut World) -> Entity {
    world.query_filtered::<Entity, bevy::prelude::With<With>>().iter(world).next().expect("there is one")
}

/// A frame of a guest, read.
fn told(id: &str, moisture: f64) -> ContextFrame {
    let json = serde_json::value::to_raw_value(&observation(id, moisture, START_MS)).expect("it is JSON");
    ContextFrame::read(Some(&json), START_MS).expect("it is well-formed")
}

/// A command of a guest that the gate lets through.
fn asked(id: &str) -> Forward {
    let json = opening("actuator:mock:valve-1", id, START_MS);
    let json = serde_json::value::to_raw_value(&json).expect("it is JSON");
    match gate::judge(Some(&json), NodeId([9; 32]), START_MS).expect("nothing is wrong with it") {
        Allowed::Actuation(forward) => forward,
        other => panic!("it is an actuation: {other:?}"),
    }
}

fn alter_guests(world: &mut World) -> BTreeSet<TypeId> {
    BTreeSet::from([
        every_alteration_shows::<Guest>(world),
        every_alteration_shows::<GuestProfile>(world),
        every_alteration_shows::<GuestContact>(world),
        every_alteration_shows::<GuestState>(world),
        changing_shows(world, |log: &GuestLog| {
            let mut other = log.clone();
            other.0.take(told("f-2", 12.0), NodeId([7; 32]), START_MS + 1);
            other
        }),
        changing_shows(world, |log: &GuestLog| {
            // The same frames, received at another time.
            let mut other = GuestLog::default();
            for told in log.0.frames() {
                let _ = other.0.take(told.frame.clone(), told.from, 7);
            }
            other
        }),
        changing_shows(world, |log: &GuestLog| {
            // The same frames at the same time, told by somebody else.
            let mut other = GuestLog::default();
            for told in log.0.frames() {
                let _ = other.0.take(told.frame.clone(), NodeId([8; 32]), told.received_ms);
            }
            other
        }),
        changing_shows(world, |log: &GuestLog| {
            // The same frames, relayed once more.
            let mut other = GuestLog::default();
            for told in log.0.frames() {
                let frame = ContextFrame { hops: told.frame.hops + 1, ..told.frame.clone() };
                let _ = other.0.take(frame, told.from, told.received_ms);
            }
            other
        }),
        changing_shows(world, |bench: &MockBench| {
            let mut other = bench.clone();
            other.actuator.execute(&asked("c-2"), START_MS).expect("it is carried out");
            other
        }),
        changing_shows(world, |bench: &MockBench| {
            let mut other = bench.clone();
            other.actuator.execute(&asked("c-1"), START_MS).expect_err("it is known, or refused twice");
            other
        }),
        changing_shows(world, |bench: &MockBench| MockBench { restored_ms: Some(5), ..bench.clone() }),
        changing_shows(world, |bench: &MockBench| {
            // An earlier run has carried out something more.
            let mut other = bench.clone();
            assert!(other.actuator.recall(99, Done { command_id: "c-0".to_owned(), counts_until_ms: 5 }));
            other
        }),
    ])
}

/// Who leads, as a node knows it that follows somebody, that leads, or that knows of nobody.
fn leads() -> [Lead; 3] {
    let (one, other) = (NodeId([1; 32]), NodeId([2; 32]));
    let claim = json!({"term": 4, "holder": other});
    let lease = json!({"claim": claim, "renewed_ms": 9});
    let states = [
        json!({"following": lease}),
        json!({"leading": {"lease": lease, "is_heard": true, "began_ms": 3}}),
        json!({"free": {"from_ms": 9}}),
    ];
    states.map(|state| {
        let lead = json!({
            "leadership": {
                "own_id": one, "own": {"node": one, "rank": "standby"}, "is_willing": true, "highest_seen": claim,
                "peers": {other.to_string(): "planner"}, "state": state, "succession": {"above": 3},
                "outranks_from_ms": 5,
            },
            "recalled": {"highest_seen": claim},
            "said": claim,
        });
        serde_json::from_value(lead).expect("it is well-formed")
    })
}

fn alter_leads(world: &mut World) -> TypeId {
    let states = leads().map(|lead| {
        world.insert_resource(lead);
        every_alteration_shows::<Lead>(world)
    });
    states[0]
}

/// What is changed by its own words alone.
fn alter_words(world: &mut World) -> [TypeId; 5] {
    [
        changing_shows(world, |tags: &Tags| {
            let mut other = tags.clone();
            other.set(&valve(), None, 7);
            other
        }),
        changing_shows(world, |log: &SafetyLog| {
            let mut other = log.clone();
            other.tell(Moment { tick: 1, at_ms: 1 }, Happened::Rearmed);
            other
        }),
        changing_shows(world, |holds: &Holds| {
            let mut other = holds.clone();
            let hold = Hold { by: OperatorId([7; 32]), since_ms: 7, why: "x".to_owned() };
            other.set(&Held::Programs, hold).expect("there is room");
            other
        }),
        changing_shows(world, |control: &Control| {
            let mut other = control.clone();
            let actuator = capability("actuator:pump:other");
            let by = OperatorId([7; 32]);
            let wish = Wish { by, actuator: &actuator, for_ms: 7, why: "x", is_forced: false };
            other.take(wish, 7, &Roster::default()).expect("nobody has it");
            other
        }),
        changing_shows(world, |revocations: &Revocations| {
            let mut other = revocations.clone();
            let (key, by) = (OperatorId([7; 32]), OperatorId([8; 32]));
            other.add(Revocation { key, by, why: "x".to_owned() }, 7);
            other
        }),
    ]
}

fn alter_everything(core: &mut Core) -> BTreeSet<TypeId> {
    let world = core.world_mut();
    let (other_node, belief) = (elsewhere::<Trusted>(world), elsewhere::<BeliefKey>(world));
    let mut all = alter_guests(world);
    all.insert(alter_leads(world));
    all.extend(alter_words(world));
    all.extend([
        every_alteration_shows::<Tick>(world),
        every_alteration_shows::<WallClock>(world),
        every_alteration_shows::<Node>(world),
        every_alteration_shows::<NodeProfile>(world),
        every_alteration_shows::<Presence>(world),
        every_alteration_shows::<Liveness>(world),
        every_alteration_shows::<LastHeard>(world),
        every_alteration_shows::<Voice>(world),
        every_alteration_shows::<ClockOffset>(world),
        every_alteration_shows::<LaneMarks>(world),
        every_alteration_shows::<HlcState>(world),
        every_alteration_shows::<Trust>(world),
        every_alteration_shows::<Sensor>(world),
        every_alteration_shows::<Profile>(world),
        every_alteration_shows::<Latest>(world),
        every_alteration_shows::<Quality>(world),
        every_alteration_shows::<BeliefKey>(world),
        every_alteration_shows::<Belief>(world),
        every_alteration_shows::<Refusals>(world),
        every_alteration_shows::<StopState>(world),
        every_alteration_shows::<LinkStatus>(world),
        every_alteration_shows::<OwnLanes>(world),
        every_alteration_shows::<Actuator>(world),
        every_alteration_shows::<Stands>(world),
        every_alteration_shows::<SiteModes>(world),
        every_alteration_shows::<PolicyInForce>(world),
        changing_shows(world, |_: &People| People::default()),
        changing_shows(world, |proposed: &Proposed| Proposed { slot: proposed.slot + 1, ..proposed.clone() }),
        every_alteration_shows::<Life>(world),
        every_alteration_shows::<Forked>(world),
        every_alteration_shows::<CardHeld>(world),
        removing_shows::<Granted>(world),
        every_alteration_shows::<Run>(world),
        every_alteration_shows::<CopyOf>(world),
        every_alteration_shows::<Copied>(world),
        every_alteration_shows::<Spending>(world),
        changing_shows(world, |desk: &Desk| {
            let mut other = desk.clone();
            other.0.draw(ProposalId([7; 32])).expect("there is a nonce");
            other
        }),
        changing_shows(world, |_: &Asked| Asked::default()),
        every_alteration_shows::<Alarm>(world),
        every_alteration_shows::<AlarmState>(world),
        every_alteration_shows::<FlaggedSince>(world),
        every_alteration_shows::<LastKept>(world),
        every_alteration_shows::<IrrigatedZone>(world),
        every_alteration_shows::<Attention>(world),
        removing_shows::<Trusted>(world),
        removing_shows::<OwnNode>(world),
        retargeting_shows::<MountedOn>(world, other_node),
        retargeting_shows::<SupportedBy>(world, belief),
    ]);
    all
}

#[test]
fn altering_any_value_of_any_component_changes_the_digest_or_its_type_is_excluded_with_a_reason() {
    let mut farm = full_world();
    let core = farm.lab.core_mut(FIELD);
    let altered = alter_everything(core);
    let world = core.world();
    let registry = world.resource::<DigestRegistry>();
    let mut ours = 0;
    for info in world.components().iter_registered() {
        let name = info.name().to_string();
        if !name.starts_with("clawmesh_") {
            assert!(name.starts_with("bevy_"), "{name} is neither ours nor Bevy's");
            continue;
        }
        ours += 1;
        let id = info.type_id().expect("our components are Rust types");
        match (registry.name_of(id), registry.exclusion_of(id)) {
            (Some(_), None) => assert!(altered.contains(&id), "{name} is digested, but never altered here"),
            (None, Some(reason)) => assert!(reason.len() > 10, "{name} is excluded without a reason"),
            (None, None) => panic!("{name} is neither digested nor excluded with a reason"),
            (Some(_), Some(_)) => panic!("{name} is both digested and excluded"),
        }
    }
    assert!(ours >= altered.len(), "{ours} component types were looked at");
    assert_eq!(registry.names().count(), altered.len());
}

#[test]
fn digests_kept_as_the_world_changes_equal_digests_of_the_world_as_it_is() {
    let mut farm = full_world();
    for round in 0..30 {
        farm.lab.sample(FIELD, flow_of(f64::from(round)));
        farm.lab.record(CENTER, "gate", Value::Number(f64::from(round)));
        farm.lab.run_ticks(3);
        for name in [FIELD, CENTER] {
            let core = farm.lab.core_mut(name);
            let tick = core.tick_number();
            let world = core.world_mut();
            world.increment_change_tick();
            world.resource_scope(|world, mut registry: Mut<DigestRegistry>| {
                let kept = registry.refresh(world, tick);
                assert_eq!(kept, registry.recompute(world, tick), "{name} at tick {tick}");
            });
            world.increment_change_tick();
        }
    }
}
