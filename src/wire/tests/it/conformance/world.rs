//! Vectors 19 and 20: how fresh something is, and what is known from frames in whatever order they come.

use clawmesh_authority::{NodeId, Tier};
use clawmesh_wire::Code;
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::freshness::{Freshness, INTERVAL_MS, freshness};
use clawmesh_wire::gossip::{Gossip, Heard};
use clawmesh_wire::log::{FRAMES_MAX, Taken, WorldLog};
use clawmesh_wire::sync::{SyncParams, answer, question, read_answer};
use serde_json::{Value, json};

use super::{NOW_MS, raw};

const TELLER: NodeId = NodeId([7; 32]);

fn moisture(id: &str, zone: &str, value: f64, timestamp_ms: u64) -> Value {
    json!({
        "gen": 1, "kind": "observation", "frameId": id, "sourceDeviceId": "jetson", "timestamp": timestamp_ms,
        "data": {"zone": zone, "metric": "moisture", "value": value},
        "trust": {"evidence_sources": ["sensor"], "evidence_trust_tier": "T2_operational_observation"}, "hops": 0,
    })
}

fn frame(id: &str, zone: &str, value: f64, timestamp_ms: u64) -> ContextFrame {
    ContextFrame::read(Some(&raw(&moisture(id, zone, value, timestamp_ms))), NOW_MS).unwrap()
}

#[test]
fn c19_freshness_has_the_classes_of_the_protocol() {
    for (age_s, class) in [
        (90, Freshness::Fresh),
        (93, Freshness::Aging),
        (120, Freshness::Aging),
        (330, Freshness::Stale),
        (1_830, Freshness::Expired),
    ] {
        assert_eq!(freshness(NOW_MS - age_s * 1_000, NOW_MS, INTERVAL_MS), class, "{age_s} s");
    }
}

#[test]
fn c19_what_was_fetched_late_is_as_old_as_it_is() {
    let mut log = WorldLog::default();
    log.take(frame("f", "z", 20.0, NOW_MS - 330_000), TELLER, NOW_MS);
    let entry = log.entry("jetson:observation:z:moisture").unwrap();
    assert_eq!(freshness(entry.told.frame.timestamp_ms, NOW_MS, INTERVAL_MS), Freshness::Stale);
}

#[test]
fn c20_the_newest_value_stands_whatever_comes_last() {
    let mut log = WorldLog::default();
    for (id, value, age_ms) in [("new", 30.0, 0), ("old", 10.0, 9_000), ("middle", 20.0, 5_000)] {
        log.take(frame(id, "z", value, NOW_MS - age_ms), TELLER, NOW_MS);
    }
    let entry = log.entry("jetson:observation:z:moisture").unwrap();
    assert_eq!((&*entry.told.frame.frame_id, entry.update_count), ("new", 3));
    assert_eq!(log.take(frame("new", "z", 30.0, NOW_MS), TELLER, NOW_MS), Taken::Known);
}

#[test]
fn c20_a_snapshot_restored_in_either_direction_is_the_same_world() {
    let snapshot: Vec<ContextFrame> = (0..100)
        .map(|n| frame(&n.to_string(), ["north", "south"][n % 2], n as f64, NOW_MS - 1_000 + n as u64))
        .collect();
    let (mut forwards, mut backwards) = (WorldLog::default(), WorldLog::default());
    for frame in &snapshot {
        forwards.take(frame.clone(), TELLER, NOW_MS);
    }
    for frame in snapshot.iter().rev() {
        backwards.take(frame.clone(), TELLER, NOW_MS);
    }
    for (log, name) in [(&forwards, "forwards"), (&backwards, "backwards")] {
        let newest: Vec<&str> = log.entries().map(|(_, entry)| &*entry.told.frame.frame_id).collect();
        assert_eq!(newest, ["98", "99"], "{name}");
        assert_eq!(log.frames().len(), 100, "{name}");
    }
}

#[test]
fn c20_the_log_keeps_the_newest_thousand() {
    let mut log = WorldLog::default();
    for n in 0..1_500_u64 {
        log.take(frame(&n.to_string(), "z", 1.0, NOW_MS - 2_000 + n), TELLER, NOW_MS);
    }
    assert_eq!(log.frames().len(), FRAMES_MAX);
    assert_eq!(log.frames().next().unwrap().frame.frame_id, "500");
}

#[test]
fn c20_who_comes_late_catches_up_and_spreads_nothing_twice() {
    let mut log = WorldLog::default();
    for n in 0..200_u64 {
        log.take(frame(&n.to_string(), "z", 1.0, NOW_MS - 60_000 + n), TELLER, NOW_MS);
    }
    let asked = raw(&question(None, NOW_MS));
    let params = SyncParams::read(Some(&asked)).unwrap();
    let given = answer(&params, log.frames().map(|told| &**told), NOW_MS);
    assert_eq!((given.frames.len(), given.total_available), (50, 200));
    let synced = read_answer(Some(&raw(&given)), NOW_MS).unwrap();
    let (mut late, mut gossip) = (WorldLog::default(), Gossip::new(NodeId([9; 32])));
    for frame in synced.frames {
        assert!(gossip.note(&frame));
        late.take(frame, TELLER, NOW_MS);
    }
    let newest = |log: &WorldLog| log.frames().next_back().map(|told| told.frame.timestamp_ms);
    assert_eq!(newest(&late), newest(&log));
    assert!(matches!(gossip.hear(&frame("199", "z", 1.0, NOW_MS - 60_000 + 199)), Heard::Seen));
}

#[test]
fn c20_gossip_goes_four_links_and_each_frame_once() {
    let mut hops = Vec::new();
    let mut came = frame("f", "z", 1.0, NOW_MS);
    for node in 1..9 {
        hops.push(came.hops);
        let mut gossip = Gossip::new(NodeId([node; 32]));
        let Heard::New { forward } = gossip.hear(&came) else { panic!() };
        assert!(matches!(gossip.hear(&came), Heard::Seen));
        let Some(copy) = forward else { break };
        came = *copy;
    }
    assert_eq!(hops, [0, 1, 2, 3]);
}

#[test]
fn c20_a_frame_that_lacks_something_is_refused_and_nothing_breaks() {
    for name in ["gen", "kind", "frameId", "sourceDeviceId", "timestamp", "data", "trust"] {
        let mut value = moisture("f", "z", 1.0, NOW_MS);
        value[name] = Value::Null;
        let refusal = ContextFrame::read(Some(&raw(&value)), NOW_MS).unwrap_err();
        assert!(refusal.code == Code::InvalidParams && refusal.message.contains(name), "{refusal}");
    }
    assert!(ContextFrame::read(None, NOW_MS).is_err());
    let mut bold = moisture("f", "z", 1.0, NOW_MS);
    bold["trust"]["evidence_trust_tier"] = json!("T3_verified_action_evidence");
    assert_eq!(ContextFrame::read(Some(&raw(&bold)), NOW_MS).unwrap().shown_tier(), Tier::T2);
}
