//! A whole node: what edges hand to its tick, in any order, at any time, with anything in it.
//!
//! An input is a list of steps, each in bytes of its own: how many ticks pass, who brings something, and what.

use std::collections::BTreeSet;

use clawmesh_authority::envelope;
use clawmesh_authority::request::{self, Request, RequestBody};
use clawmesh_authority::{AskKind, Code, NodeId, Refusal, Tier, Unit, canonical};
use clawmesh_core::guests::{GuestEnd, GuestProfile};
use clawmesh_core::intake::{AlarmAct, InputBody, Sample, SourceId};
use clawmesh_core::replay::Replayer;
use clawmesh_lab::Lab;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::{MIB, NOW_MS, Seed, Target, context, forward, promised, samples};
use crate::mutate::{Shape, key};

pub(super) const TARGET: Target = Target {
    name: "tick",
    promise: "whatever edges hand over, every tick ends, and the journal of it replays to the same world",
    shapes: &[Shape::Cbor(0)],
    seeds,
    check,
    memory_bytes_max: 256 * MIB,
    memory_per_byte: 1_024,
};

const NODE: &str = "barn";
const STEPS_MAX: usize = 24;
const TICKS_MAX: u64 = 40;

/// One step of a script.
#[derive(Debug, Clone, Encode, Decode)]
struct Step {
    /// How many ticks pass before it.
    #[n(0)]
    ticks: u8,
    #[n(1)]
    source: SourceId,
    #[n(2)]
    body: InputBody,
}

/// A node of the wire protocol that is trusted.
pub(super) fn guest() -> NodeId {
    Lab::id_of(3)
}

/// The connection of that node has ended.
fn left() -> InputBody {
    InputBody::GuestLeft { guest: guest(), why: "gone".to_owned(), end: GuestEnd::Ended }
}

/// Everything that comes from outside, once.
pub(super) fn outside() -> Vec<(SourceId, InputBody)> {
    let profile = GuestProfile {
        name: Some("old node".to_owned()),
        role: "field".to_owned(),
        capabilities: vec!["channel:clawmesh".to_owned()],
        is_outbound: false,
        label: Some("mdns".to_owned()),
        connected_ms: 0,
        signed_ms: None,
    };
    let rearm = Request {
        mesh: samples::mesh(),
        owner: Lab::id_of(1),
        body: RequestBody::Rearm { why: "seen".to_owned() },
        made: samples::NOW,
    };
    let sample = Sample {
        sensor: samples::capability("sensor:soil-moisture:zone-1"),
        value: 23.5,
        unit: Unit::Percent,
        origin_ms: NOW_MS,
        tier: Tier::T1,
    };
    let from_two = |body| (SourceId::Node(Lab::id_of(2)), body);
    let mut all: Vec<(SourceId, InputBody)> = samples::statements()
        .into_iter()
        .map(|(_, said)| {
            from_two(InputBody::Envelope { lane: said.lane(), bytes: envelope::seal(&key(2), &said) })
        })
        .collect();
    all.extend([
        (SourceId::Gateway, InputBody::Recorded { observation: samples::observation(), hlc: None }),
        (
            SourceId::Gateway,
            InputBody::Asked { kind: AskKind::Request, bytes: request::seal(&key(3), &rearm) },
        ),
        (SourceId::Gateway, InputBody::Asked { kind: AskKind::Approval, bytes: vec![0x84] }),
        (
            SourceId::Gateway,
            InputBody::AlarmHandled {
                key: "stop".to_owned(),
                act: AlarmAct::Acknowledge,
                by: "Ann".to_owned(),
            },
        ),
        (SourceId::HostSensors, InputBody::SensorsDeclared(samples::description().sensors)),
        (SourceId::Bridge, InputBody::Sampled(vec![sample])),
        (SourceId::Bridge, InputBody::PeerAppeared(Lab::id_of(2))),
        (SourceId::Bridge, InputBody::PeerVanished(Lab::id_of(2))),
        (
            SourceId::Bridge,
            InputBody::Refused {
                refusal: Refusal::new(Code::TooLarge, Lab::id_of(4), "too large"),
                count: 3,
            },
        ),
        (SourceId::Guests, InputBody::GuestJoined { guest: guest(), profile }),
        (SourceId::Guests, InputBody::GuestFrame { from: guest(), json: context::good().to_string() }),
        (
            SourceId::Guests,
            InputBody::GuestCommand {
                from: guest(),
                json: forward::opening("actuator:mock:valve-1", "c-1").to_string(),
            },
        ),
        (SourceId::Clock, InputBody::ClockSampled { unix_ms: NOW_MS + 300_001, up_ms: 1_000 }),
        (SourceId::Guests, InputBody::GuestsHeard(vec![guest(), Lab::id_of(2)])),
        (SourceId::Guests, left()),
    ]);
    all
}

fn seeds() -> Vec<Seed> {
    let script = |steps: Vec<Step>| {
        let steps: Vec<ByteVec> = steps.iter().map(|step| ByteVec::from(canonical::encode(step))).collect();
        canonical::encode(&steps)
    };
    let steps = |bodies: Vec<(SourceId, InputBody)>| -> Vec<Step> {
        bodies.into_iter().map(|(source, body)| Step { ticks: 1, source, body }).collect()
    };
    let of_guests = |(source, _): &(SourceId, InputBody)| *source == SourceId::Guests;
    let of_nodes = |(source, _): &(SourceId, InputBody)| matches!(source, SourceId::Node(_));
    // Subjects and bytes as features of the core keep them; what is none of theirs is left alone.
    let recalled = ["alarms", "proposal/1", "asked", "spending", "guest-command/1"].map(|subject| {
        (SourceId::Journal, InputBody::Recalled { subject: subject.to_owned(), bytes: vec![0x80] })
    });
    let of_people = |(source, _): &(SourceId, InputBody)| *source == SourceId::Gateway;
    let all = outside();
    let some = |which: &dyn Fn(&(SourceId, InputBody)) -> bool| {
        script(steps(all.iter().filter(|one| which(one)).cloned().collect()))
    };
    vec![
        ("all", script(steps(all.clone()))),
        ("guests", some(&of_guests)),
        ("nodes", some(&of_nodes)),
        ("people", some(&of_people)),
        ("recalled", script(steps(recalled.into()))),
    ]
}

fn check(input: &[u8]) -> Result<String, String> {
    let Ok(packed) = minicbor::decode::<Vec<ByteVec>>(input) else { return Ok("no list".to_owned()) };
    let steps: Vec<Step> =
        packed.iter().take(STEPS_MAX).filter_map(|step| minicbor::decode(step).ok()).filter(comes).collect();
    if steps.is_empty() {
        return Ok("no step".to_owned());
    }
    let mut lab = Lab::seeded(1).with_people(samples::roster()).with_mock_actuator();
    // What takes the most time, a site and a replay, is for some inputs only; for which ones follows from the input.
    let which = clawmesh_authority::ContentHash::of("tick", input).0[0];
    if which.is_multiple_of(4) {
        lab = lab.at_site(super::site::farm());
    }
    let mut lab = lab.with_nodes([NODE]);
    lab.offer(NODE, SourceId::Runner, InputBody::TrustChanged([Lab::id_of(2), guest()].into()));
    let mut left = TICKS_MAX;
    for Step { ticks, source, body } in steps {
        let ticks = u64::from(ticks).min(left);
        left -= ticks;
        lab.run_ticks(ticks);
        lab.offer(NODE, source, body);
    }
    lab.run_ticks(6);
    let told = answer(&lab);
    if which % 4 < 2 {
        replays(&lab)?;
    }
    Ok(told)
}

/// What an edge would hand over: it has judged envelopes and says for whom it speaks.
fn comes(step: &Step) -> bool {
    let (of_node, of_guests) = (matches!(step.source, SourceId::Node(_)), step.source == SourceId::Guests);
    match &step.body {
        InputBody::Envelope { lane, bytes } => {
            let opened = envelope::open(bytes, samples::mesh());
            opened.is_ok_and(|opened| {
                step.source == SourceId::Node(opened.source) && *lane == opened.statement.lane()
            })
        }
        InputBody::GuestJoined { .. }
        | InputBody::GuestLeft { .. }
        | InputBody::GuestsHeard(_)
        | InputBody::GuestFrame { .. }
        | InputBody::GuestCommand { .. } => of_guests,
        InputBody::Asked { .. } | InputBody::Recorded { .. } | InputBody::AlarmHandled { .. } => {
            step.source == SourceId::Gateway
        }
        InputBody::Sampled(_)
        | InputBody::PeerAppeared(_)
        | InputBody::PeerVanished(_)
        | InputBody::Refused { .. }
        | InputBody::SensorsDeclared(_) => !of_node && !of_guests,
        InputBody::Recalled { .. } => step.source == SourceId::Journal,
        InputBody::ClockSampled { .. } => step.source == SourceId::Clock,
        _ => false,
    }
}

/// What the node shows, in words that differ when something else happened.
fn answer(lab: &Lab) -> String {
    let snapshot = lab.snapshot(NODE);
    let refused: BTreeSet<String> =
        snapshot.refusals.iter().map(|row| format!("{} {}", row.code, row.sentence)).collect();
    let few = |count: usize| count.min(3);
    format!(
        "{} {} {} {} {}",
        few(snapshot.sensors.len()),
        few(snapshot.beliefs.len()),
        few(snapshot.alarms.len()),
        few(snapshot.guests.frames().len()),
        refused.into_iter().collect::<Vec<_>>().join("; ")
    )
}

fn replays(lab: &Lab) -> Result<(), String> {
    let mut replayer = Replayer::default();
    for (sequence, record) in (1..).zip(lab.records(NODE)) {
        replayer.take(sequence, record).map_err(|why| format!("the journal cannot be replayed: {why}"))?;
    }
    let report = replayer.finish();
    promised(report.difference.is_none(), || {
        format!("the journal replays otherwise: {:?}", report.difference)
    })
}
