//! Peers, trust, order and clocks.

use clawmesh_authority::{
    Body, Frame, Hlc, Lane, MeshId, NodeId, NodeKey, Observation, ReadingBatch, Statement, Tier, Value,
    envelope,
};
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_core::mesh::STRANGERS_MAX;
use clawmesh_core::safety::Refusals;
use clawmesh_lab::{Lab, LinkFaults, START_MS};

use crate::{flow_at, flow_of, flow_spec, pump_and_barn, refusals};

fn liveness(lab: &Lab, at: &str, of: &str) -> String {
    let snapshot = lab.snapshot(at);
    let row = snapshot.peers.iter().find(|row| row.id == lab.id(of)).expect("the peer is known");
    row.liveness.clone()
}

#[test]
fn a_partition_makes_the_far_side_suspect_then_lost_and_healing_brings_it_back() {
    let mut lab = Lab::seeded(7).with_nodes(["barn", "pump", "gate"]);
    lab.run_seconds(1);
    assert_eq!(liveness(&lab, "barn", "pump"), "alive");
    lab.partition(&["barn"], &["pump", "gate"]);
    lab.run_seconds(3);
    assert_eq!(liveness(&lab, "barn", "pump"), "suspect");
    lab.run_seconds(6);
    assert_eq!(liveness(&lab, "barn", "pump"), "lost");
    assert_eq!(liveness(&lab, "pump", "gate"), "alive");
    lab.heal();
    lab.run_seconds(1);
    assert_eq!(liveness(&lab, "barn", "pump"), "alive");
}

#[test]
fn a_linked_node_that_says_nothing_more_is_suspect_and_then_lost_and_one_that_measures_nothing_is_not() {
    let mut lab = Lab::seeded(7).with_roles([("desk", "viewer")]).with_nodes(["barn", "pump", "desk"]);
    lab.run_seconds(60);
    assert_eq!(liveness(&lab, "barn", "pump"), "alive", "it has no sensor, and says so");
    // Its token stays: zenoh has threads of its own.
    lab.halt_journal("pump");
    for (seconds, expected) in [(9, "alive"), (7, "suspect"), (13, "suspect"), (2, "lost")] {
        lab.run_seconds(seconds);
        assert_eq!(liveness(&lab, "barn", "pump"), expected);
    }
    assert_eq!(liveness(&lab, "barn", "desk"), "alive", "nobody waits for a word of a viewer");
    lab.offer("desk", SourceId::HostSensors, InputBody::SensorsDeclared(vec![flow_spec()]));
    lab.sample("desk", flow_of(1.0));
    lab.run_ticks(6);
    assert_eq!(flow_at(&lab, "barn").value, Some(1.0));
    lab.run_seconds(40);
    assert_eq!(liveness(&lab, "barn", "desk"), "alive", "nor of one that has said something");
    assert_eq!(liveness(&lab, "pump", "barn"), "alive");
    lab.resume_journal("pump");
    lab.run_seconds(1);
    assert_eq!(liveness(&lab, "barn", "pump"), "alive");
    for name in ["barn", "pump", "desk"] {
        assert_eq!(lab.replay(name).difference, None);
    }
}

#[test]
fn a_node_that_ends_in_order_has_left_until_it_is_back_and_nobody_else_can_say_so() {
    let mut lab = pump_and_barn();
    let key = NodeKey::from_secret(&std::array::from_fn(|n| u8::from(n == 0)));
    lab.offer("pump", SourceId::Bridge, InputBody::NodeEnds);
    lab.run_ticks(6);
    assert_eq!(liveness(&lab, "barn", "pump"), "alive", "only the process that runs the tick can end it");
    lab.offer("pump", SourceId::Runner, InputBody::NodeEnds);
    lab.sample("pump", flow_of(1.0));
    lab.run_ticks(6);
    assert_eq!(liveness(&lab, "barn", "pump"), "left");
    lab.sample("pump", flow_of(2.0));
    lab.run_ticks(6);
    assert_eq!(flow_at(&lab, "barn").value, Some(1.0), "after its last word it says nothing");
    lab.crash("pump");
    lab.run_seconds(60);
    assert_eq!(liveness(&lab, "barn", "pump"), "left", "it is missed by nobody");
    // It starts and hangs at once; its token comes and goes, or somebody declares one in its name.
    let pump = lab.id("pump");
    for _ in 0..8 {
        lab.offer("barn", SourceId::Bridge, InputBody::PeerAppeared(pump));
        lab.run_seconds(3);
        lab.offer("barn", SourceId::Bridge, InputBody::PeerVanished(pump));
        lab.run_seconds(1);
        lab.offer("barn", SourceId::Bridge, InputBody::PeerAppeared(pump));
    }
    lab.run_seconds(1);
    assert_eq!(
        liveness(&lab, "barn", "pump"),
        "lost",
        "a token alone makes nobody alive who has spoken before"
    );
    lab.start("pump");
    lab.run_seconds(1);
    lab.run_seconds(5);
    // What it said at the end of that run, once more.
    lab.offer("barn", SourceId::Node(pump), sealed(&key, START_MS, Body::Leave));
    lab.run_ticks(6);
    assert_eq!(liveness(&lab, "barn", "pump"), "alive");
    assert_eq!(refusals(&lab, "barn", "REPLAYED")[0].from, pump.to_string());
    for name in ["barn", "pump"] {
        assert_eq!(lab.replay(name).difference, None);
    }
}

#[test]
fn peers_learn_each_others_names_and_roles() {
    let lab = pump_and_barn();
    let snapshot = lab.snapshot("barn");
    let row = &snapshot.peers[0];
    assert_eq!((row.name.as_deref(), row.role.as_deref()), (Some("pump"), Some("lab")));
    assert!(row.trusted);
    assert_eq!(row.sensors, 1);
}

#[test]
fn what_arrives_twice_is_heard_once_and_counted() {
    let mut lab = pump_and_barn();
    lab.set_faults(LinkFaults { duplicate_percent: 100, ..LinkFaults::default() });
    for n in 0..10 {
        lab.sample("pump", flow_of(f64::from(n)));
        lab.run_ticks(2);
    }
    assert_eq!(flow_at(&lab, "barn").samples, 10);
    let rows = refusals(&lab, "barn", "REPLAYED");
    assert_eq!((rows[0].count, rows[0].from.clone()), (10, lab.id("pump").to_string()));
}

#[test]
fn readings_that_were_lost_on_the_way_are_counted_as_skipped() {
    let mut lab = pump_and_barn();
    lab.sample("pump", flow_of(0.0));
    lab.run_ticks(2);
    lab.set_faults(LinkFaults { loss_percent: 100, ..LinkFaults::default() });
    for n in 0..10 {
        lab.sample("pump", flow_of(f64::from(n)));
        lab.run_ticks(2);
    }
    lab.set_faults(LinkFaults::default());
    lab.sample("pump", flow_of(99.0));
    lab.run_ticks(10);
    assert_eq!(lab.snapshot("barn").peers[0].stream_skipped, 10);
    let told = &refusals(&lab, "barn", "STREAM_SKIPPED")[0];
    assert_eq!((told.count, &told.from), (10, &lab.id("pump").to_string()));
    assert!(told.sentence.starts_with("batches 1 to 10 of its run "), "{}", told.sentence);
}

fn nothing() -> Body {
    Body::Readings(ReadingBatch(Vec::new()))
}

fn sealed(key: &NodeKey, hlc_ms: u64, body: Body) -> InputBody {
    let statement = Statement {
        mesh: MeshId::of_name("lab"),
        epoch: 1,
        sequence: 0,
        hlc: Hlc { wall_ms: hlc_ms, logical: 0 },
        body,
    };
    InputBody::Envelope { lane: Lane::Stream, bytes: envelope::seal(key, &statement) }
}

#[test]
fn a_node_that_is_not_trusted_is_not_heard() {
    let mut lab = pump_and_barn();
    let stranger = NodeKey::from_secret(&[99; 32]);
    lab.offer("barn", SourceId::Node(stranger.id()), sealed(&stranger, START_MS, nothing()));
    lab.run_ticks(10);
    assert_eq!(refusals(&lab, "barn", "UNTRUSTED_PEER")[0].from, stranger.id().to_string());
    assert_eq!(lab.snapshot("barn").peers.len(), 1, "a stranger's envelope makes no entity");
}

#[test]
fn what_comes_in_the_tick_that_hears_that_its_node_is_trusted_no_longer_is_refused_in_it() {
    for is_removed in [false, true] {
        let mut lab = pump_and_barn();
        let (pump, key) = (lab.id("pump"), NodeKey::from_secret(&std::array::from_fn(|n| u8::from(n == 0))));
        lab.partition(&["pump"], &["barn"]);
        let now_ms = lab.now_ms();
        if is_removed {
            lab.offer("barn", SourceId::Runner, InputBody::TrustChanged([].into()));
        }
        lab.offer("barn", SourceId::Node(pump), sealed(&key, now_ms, nothing()));
        lab.run_ticks(1);
        let refusals = format!("{:?}", lab.core("barn").world().resource::<Refusals>());
        assert_eq!(refusals.contains("UntrustedPeer"), is_removed, "{refusals}");
    }
}

#[test]
fn who_is_trusted_no_longer_is_refused_from_that_tick_on_and_counts_for_nothing_until_it_is_again() {
    let mut lab = pump_and_barn();
    let trust = |lab: &mut Lab, nodes: &[NodeId]| {
        let nodes = nodes.iter().copied().collect();
        lab.offer("barn", SourceId::Runner, InputBody::TrustChanged(nodes));
        lab.run_ticks(6);
    };
    let flow = |lab: &Lab| {
        let row = flow_at(lab, "barn");
        (row.value, row.flags.join(" "))
    };
    lab.sample("pump", flow_of(10.0));
    lab.run_ticks(10);
    assert_eq!(flow(&lab), (Some(10.0), String::new()));
    // Who tells of trust is the runner; whatever else comes in at a door changes nothing.
    lab.offer("barn", SourceId::Bridge, InputBody::TrustChanged([].into()));
    lab.run_ticks(6);
    assert!(lab.snapshot("barn").peers[0].trusted);

    trust(&mut lab, &[]);
    assert_eq!(flow(&lab), (Some(10.0), "untrusted".to_owned()));
    lab.run_seconds(40);
    assert_eq!(liveness(&lab, "barn", "pump"), "alive", "it is there, although nothing it says is taken");
    let peers = lab.snapshot("barn").peers.clone();
    assert_eq!((peers[0].trusted, peers[0].name.as_deref()), (false, Some("pump")), "it is known who it was");
    lab.sample("pump", flow_of(11.0));
    lab.run_ticks(10);
    assert_eq!(flow(&lab).0, Some(10.0));
    assert_eq!(refusals(&lab, "barn", "UNTRUSTED_PEER")[0].from, lab.id("pump").to_string());

    let (pump, barn) = (lab.id("pump"), lab.id("barn"));
    trust(&mut lab, &[pump, barn]);
    lab.sample("pump", flow_of(12.0));
    lab.run_ticks(10);
    assert_eq!(flow(&lab), (Some(12.0), String::new()));
    // What it said before it was removed is not said again.
    let key = NodeKey::from_secret(&std::array::from_fn(|n| u8::from(n == 0)));
    let now_ms = lab.now_ms();
    lab.offer("barn", SourceId::Node(pump), sealed(&key, now_ms, nothing()));
    lab.run_ticks(6);
    assert_eq!(refusals(&lab, "barn", "REPLAYED")[0].from, pump.to_string());
    assert_eq!(lab.replay("barn").difference, None);
}

/// The id of a node that nobody knows.
fn stranger(n: usize) -> NodeId {
    NodeId(std::array::from_fn(|at| n.to_le_bytes().get(at).copied().unwrap_or(0xee)))
}

fn tokens(lab: &mut Lab, tokens: impl Iterator<Item = InputBody>) {
    for (at, token) in tokens.enumerate() {
        lab.offer("barn", SourceId::Bridge, token);
        // The door is bounded.
        if at % 500 == 499 {
            lab.run_ticks(1);
        }
    }
    lab.run_ticks(10);
}

#[test]
fn strangers_take_no_place_of_a_trusted_node_and_leave_nothing_behind() {
    let mut lab = Lab::seeded(7).with_nodes(["barn", "pump"]);
    lab.crash("pump");
    tokens(&mut lab, (0..STRANGERS_MAX + 5).map(|n| InputBody::PeerAppeared(stranger(n))));
    let refused: u64 = refusals(&lab, "barn", "LIMIT_EXCEEDED").iter().map(|row| row.count).sum();
    assert_eq!(refused, 5);
    lab.start("pump");
    lab.run_seconds(2);
    assert_eq!(liveness(&lab, "barn", "pump"), "alive");
    tokens(&mut lab, (0..STRANGERS_MAX).map(|n| InputBody::PeerVanished(stranger(n))));
    let ids: Vec<String> = lab.snapshot("barn").peers.iter().map(|row| row.id.to_string()).collect();
    assert_eq!(ids, [lab.id("pump").to_string()], "only trusted nodes are remembered when they are gone");
    assert_eq!(lab.replay("barn").difference, None);
}

#[test]
fn an_envelope_under_another_nodes_name_is_refused() {
    let mut lab = pump_and_barn();
    let pump = NodeKey::from_secret(&std::array::from_fn(|n| u8::from(n == 0)));
    assert_eq!(pump.id(), lab.id("pump"));
    lab.offer("barn", SourceId::Node(lab.id("barn")), sealed(&pump, START_MS, nothing()));
    lab.run_ticks(10);
    assert_eq!(refusals(&lab, "barn", "SOURCE_MISMATCH")[0].from, pump.id().to_string());
}

#[test]
fn a_clock_ten_minutes_fast_is_refused_and_says_by_how_much() {
    let mut lab = pump_and_barn();
    lab.set_clock_offset("pump", 600_000);
    lab.run_seconds(1);
    lab.sample("pump", flow_of(12.5));
    lab.run_ticks(10);
    assert_eq!(flow_at(&lab, "barn").value, None);
    let row = &refusals(&lab, "barn", "CLOCK_UNTRUSTED")[0];
    assert!(
        row.sentence.contains("600.0 s ahead") && row.sentence.contains("set the clock"),
        "{}",
        row.sentence
    );
}

#[test]
fn what_was_acknowledged_before_a_crash_is_known_after_it() {
    let mut lab = pump_and_barn();
    lab.record("pump", "gate", Value::Text("open".to_owned()));
    lab.record("barn", "dog", Value::Text("asleep".to_owned()));
    lab.run_seconds(1);
    let before = lab.snapshot("barn");
    lab.crash("pump");
    lab.crash("barn");
    lab.start("barn");
    lab.run_ticks(10);
    let after = lab.snapshot("barn");
    assert_eq!(before.beliefs.len(), 2);
    for (then, now) in before.beliefs.iter().zip(&after.beliefs) {
        assert_eq!(
            (&then.key, &then.value, then.hlc, then.source),
            (&now.key, &now.value, now.hlc, now.source)
        );
        assert!(now.age_ms > then.age_ms, "what was seen long ago does not look new");
    }
    assert_eq!(after.peers[0].liveness, "lost");
    assert_eq!(after.peers[0].name.as_deref(), Some("pump"), "who it was is known");
}

/// A bundle of the pump in a later run of it, with a note about each of these keys, numbered from `first` on.
fn bundle(lab: &Lab, first: u64, notes: &[(&str, f64)]) -> InputBody {
    let pump = (1..9).find(|n| Lab::id_of(*n) == lab.id("pump")).expect("the pump is a node of the lab");
    let hlc = Hlc { wall_ms: lab.now_ms(), logical: 0 };
    let said = |(sequence, (key, value)): (u64, &(&str, f64))| {
        let (key, value) = ((*key).to_owned(), Value::Number(*value));
        let observation = Observation { key, value, unit: None, origin_ms: lab.now_ms(), tier: Tier::T1 };
        let hlc = Hlc { logical: u32::try_from(sequence).expect("it is small"), ..hlc };
        envelope::Said { sequence, hlc, frame: Frame::Observation(observation) }
    };
    let frames = (first..).zip(notes).map(said).collect();
    let statement = Statement::of_frames(MeshId::of_name("lab"), 1_000, None, frames);
    InputBody::Envelope { lane: Lane::State, bytes: envelope::seal(&Lab::key_of(pump), &statement) }
}

fn believed(lab: &Lab) -> Vec<(String, Value)> {
    let snapshot = lab.snapshot("barn");
    snapshot.beliefs.iter().map(|belief| (belief.key.clone(), belief.value.clone())).collect()
}

#[test]
fn each_frame_of_a_bundle_counts_once_holds_over_a_restart_and_replays() {
    let mut lab = pump_and_barn();
    let pump = SourceId::Node(lab.id("pump"));
    let all = bundle(&lab, 3, &[("gate", 1.0), ("door", 2.0), ("gate", 3.0)]);
    lab.offer("barn", pump, all.clone());
    lab.run_ticks(10);
    let held = [("door", 2.0), ("gate", 3.0)].map(|(key, value)| (key.to_owned(), Value::Number(value)));
    assert_eq!(believed(&lab), held);
    lab.offer("barn", pump, all);
    lab.run_ticks(10);
    assert_eq!(refusals(&lab, "barn", "REPLAYED")[0].count, 1);
    assert_eq!(believed(&lab), held);
    lab.crash("barn");
    lab.start("barn");
    lab.run_ticks(10);
    assert_eq!(believed(&lab), held);
    assert_eq!(lab.replay("barn").difference, None);
}

#[test]
fn a_bundle_that_begins_with_what_was_heard_is_heard_from_there_on_and_holds_over_a_restart() {
    let mut lab = pump_and_barn();
    let pump = SourceId::Node(lab.id("pump"));
    let first = [("gate", 1.0), ("door", 2.0), ("fence", 3.0)];
    let head = bundle(&lab, 3, &first);
    // The same frames again, and what the node said since: so it is packed when no receipt came for the first.
    let whole = bundle(&lab, 3, &[first.as_slice(), &[("gate", 4.0), ("well", 5.0)]].concat());
    lab.offer("barn", pump, head);
    lab.run_ticks(10);
    lab.offer("barn", pump, whole.clone());
    lab.run_ticks(10);
    let held = [("door", 2.0), ("fence", 3.0), ("gate", 4.0), ("well", 5.0)];
    let held = held.map(|(key, value)| (key.to_owned(), Value::Number(value)));
    assert_eq!(believed(&lab), held);
    lab.crash("barn");
    lab.start("barn");
    lab.run_ticks(10);
    assert_eq!(believed(&lab), held);
    lab.offer("barn", pump, whole);
    lab.run_ticks(10);
    assert_eq!(refusals(&lab, "barn", "REPLAYED")[0].count, 1, "the mark came back with them");
    assert_eq!(lab.replay("barn").difference, None);
}

#[test]
fn what_comes_back_only_because_it_was_signed_with_something_newer_is_not_believed() {
    let mut lab = pump_and_barn();
    let InputBody::Envelope { bytes, .. } = bundle(&lab, 3, &[("gate", 1.0), ("door", 2.0)]) else {
        unreachable!("a bundle is an envelope")
    };
    lab.offer("barn", SourceId::Journal, InputBody::Recovered { bytes, newest: Some(vec![4]) });
    lab.run_ticks(10);
    assert_eq!(believed(&lab), [("door".to_owned(), Value::Number(2.0))]);
    assert_eq!(lab.replay("barn").difference, None);
}
