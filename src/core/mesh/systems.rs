//! Systems that open what came in and keep the nodes.

use std::collections::BTreeSet;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use clawmesh_authority::hlc::{OWN_CLOCK, TIME_UNKNOWN};
use clawmesh_authority::reading::PassedOn;
use clawmesh_authority::{
    Admission, Body, Code, Frame, Hlc, Lane, NodeId, NodeRole, Refusal, Statement, Tier, envelope,
};

use super::components::{
    ClockOffset, HlcState, LaneMarks, LastHeard, Node, NodeIndex, NodeMarks, NodeProfile, Presence,
    STRANGERS_MAX, Trust, Trusted, Voice,
};
use super::liveness::{Liveness, LivenessPolicy, assess};
use super::messages::{NodeDescribed, NodeHeard, ObservationMade, ProposalReported, ReadingTaken};
use crate::clock::{Tick, WallClock};
use crate::intake::{InputBody, SourceId, TickBatch};
use crate::leadership::LeadershipSaid;
use crate::people::RevocationHeard;
use crate::replay::DomainId;
use crate::safety::Refused;
use crate::settings::Settings;

/// The edge judged a statement by the clock itself and answered for it; the tick's estimate of that clock may lag
/// by this much and must not take the answer back.
const WALL_LAG_MS_MAX: u64 = 100;

/// Where the content of admitted statements goes.
#[derive(SystemParam)]
pub(super) struct Said<'w> {
    heard: MessageWriter<'w, NodeHeard>,
    described: MessageWriter<'w, NodeDescribed>,
    readings: MessageWriter<'w, ReadingTaken>,
    observations: MessageWriter<'w, ObservationMade>,
    proposals: MessageWriter<'w, ProposalReported>,
    leadership: MessageWriter<'w, LeadershipSaid>,
    revocations: MessageWriter<'w, RevocationHeard>,
    refused: MessageWriter<'w, Refused>,
}

impl Said<'_> {
    fn pass_on(&mut self, source: NodeId, statement: Statement, is_live: bool) {
        let hlc = statement.hlc;
        match statement.body {
            Body::Readings(batch) => {
                self.readings.write_batch(batch.0.into_iter().map(|mut reading| {
                    // Only what a person or a verified action signs may claim more, and that is no reading.
                    reading.tier = reading.tier.min(Tier::T2);
                    ReadingTaken { node: source, reading, hlc }
                }));
            }
            Body::Frame(Frame::Description(description)) => {
                self.described.write(NodeDescribed { node: source, description });
            }
            Body::Frame(Frame::Observation(mut observation)) => {
                observation.tier = observation.tier.min(Tier::T2);
                self.observations.write(ObservationMade { source, observation, sensor: None, hlc });
            }
            Body::Frame(Frame::Proposal(report)) => {
                self.proposals.write(ProposalReported { home: source, report: *report, hlc });
            }
            Body::Frame(Frame::Leadership(say)) => {
                self.leadership.write(LeadershipSaid { by: source, say, is_live });
            }
            Body::Frame(Frame::Revocation(PassedOn { request, .. })) => {
                let from = source.to_string();
                self.revocations.write(RevocationHeard { from, bytes: request, is_asked: false });
            }
            // Receipts answer a question of the edge; in a batch they mean nothing. Bundles were taken apart. That a node leaves
            // is told with it being heard.
            Body::Receipt(_) | Body::Frames(_) | Body::Leave => {}
        }
    }
}

/// Trusts whom people say from now on. What was heard of a node stays as it was, and counts for nothing while it is not trusted.
pub(super) fn follow_trust(
    batch: Res<TickBatch>,
    mut trust: ResMut<Trust>,
    nodes: Query<(Entity, &Node)>,
    mut commands: Commands,
) {
    let changes = batch.iter().filter_map(|stamped| match (&stamped.input.source, &stamped.input.body) {
        (SourceId::Runner, InputBody::TrustChanged(nodes)) => Some(nodes),
        _ => None,
    });
    let Some(newest) = changes.last() else { return };
    trust.set(newest.clone());
    for (entity, node) in &nodes {
        let mut entity = commands.entity(entity);
        if trust.has(&node.0) {
            entity.insert_if_new(Trusted)
        } else {
            // What it says from now on is not taken, so its silence shows nothing.
            entity.remove::<Trusted>().insert(Voice::Unheard)
        };
    }
}

/// Opens the envelopes of this tick, in order: trust, order, clock; then passes on what they say.
pub(super) fn open_envelopes(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    batch: Res<TickBatch>,
    trust: Res<Trust>,
    mut marks: ResMut<LaneMarks>,
    mut hlc: ResMut<HlcState>,
    mut said: Said,
) {
    let wall_ms = wall.at(*tick, &settings);
    for stamped in batch.iter() {
        let opened = match &stamped.input.body {
            InputBody::Envelope { bytes, .. } => open_as(bytes, stamped.input.source, &trust),
            InputBody::Recovered { bytes, .. } => recover(bytes, &trust),
            InputBody::MarkRestored { node, state, stream } => {
                // Also of a node that is not trusted now: it may be again, and must not repeat what it said before.
                marks.0.insert(*node, NodeMarks { state: *state, stream: *stream });
                continue;
            }
            InputBody::Recorded { observation, hlc: Some(at) } => {
                hlc.0.observe(*at, wall_ms);
                said.observations.write(ObservationMade {
                    source: settings.node,
                    observation: observation.clone(),
                    sensor: None,
                    hlc: *at,
                });
                continue;
            }
            _ => continue,
        };
        let (source, statement) = match opened {
            Ok(opened) => opened,
            Err(refused) => {
                said.refused.write(refused);
                continue;
            }
        };
        let is_live = !matches!(stamped.input.body, InputBody::Recovered { .. });
        let mut statements = statement.apart();
        if is_live {
            match admit(source, &mut statements, wall_ms, &mut marks) {
                Ok(gaps) => {
                    said.refused.write_batch(gaps);
                }
                Err(refused) => {
                    said.refused.write(refused);
                    continue;
                }
            }
        }
        for statement in statements {
            if is_outdated(&stamped.input.body, &statement) {
                continue;
            }
            hlc.0.observe(statement.hlc, wall_ms);
            if is_live {
                let is_last = statement.body == Body::Leave;
                said.heard.write(NodeHeard {
                    node: source,
                    hlc: statement.hlc,
                    lane: statement.lane(),
                    is_last,
                });
            }
            said.pass_on(source, statement, is_live);
        }
    }
}

fn open_as(bytes: &[u8], brought_as: SourceId, trust: &Trust) -> Result<(NodeId, Statement), Refused> {
    let (source, statement) = recover(bytes, trust)?;
    if brought_as != SourceId::Node(source) {
        return Err(Refused::once(
            Code::SourceMismatch,
            source,
            "the envelope came under another node's name",
        ));
    }
    Ok((source, statement))
}

/// Judges clock and order of what was said at once, and leaves what is heard now: all of it, or what comes after the last frame
/// that was heard before. Gives the ranges of the stream lane that never came. A bundle may begin with heard ones when a node lost our trust and came back: the receipt for them never
/// went, so its sender does not know.
fn admit(
    source: NodeId,
    statements: &mut Vec<Statement>,
    wall_ms: u64,
    marks: &mut LaneMarks,
) -> Result<Vec<Refused>, Refused> {
    if wall_ms == 0 {
        return Err(Refused::once(Code::ClockUntrusted, OWN_CLOCK, TIME_UNKNOWN));
    }
    let latest = statements.iter().map(|said| said.hlc).max().unwrap_or_default();
    if latest.is_from_the_future(wall_ms.saturating_add(WALL_LAG_MS_MAX)) {
        return Err(Refused::once(Code::ClockUntrusted, source, from_the_future(latest, wall_ms)));
    }
    let mark = marks.0.entry(source).or_default();
    let mut gaps = Vec::new();
    statements.retain(|said| match (said.lane(), said.sequence) {
        (Lane::State, sequence) => mark.state.admit(said.epoch, sequence) != Admission::Replayed,
        (Lane::Stream, sequence) => match mark.stream.admit(said.epoch, sequence) {
            Admission::Next => true,
            Admission::After { skipped } => {
                gaps.push(never_came(source, said.epoch, sequence - skipped, sequence - 1));
                true
            }
            Admission::Replayed => false,
        },
    });
    if statements.is_empty() {
        return Err(Refused::once(Code::Replayed, source, "it, or something later, was heard before"));
    }
    Ok(gaps)
}

/// On the stream lane newer ones are taken all the same. On the state lane a gap is nothing: what took the place of a frame is there.
fn never_came(source: NodeId, epoch: u64, first: u64, last: u64) -> Refused {
    let sentence = format!(
        "batches {first} to {last} of its run {epoch} did not come this far, and newer ones have: the link dropped them, this node \
         was away, or they came faster than it takes them"
    );
    Refused { refusal: Refusal::new(Code::StreamSkipped, source, sentence), count: last - first + 1 }
}

/// Reads an envelope of the journal and asks only whether its signer is trusted here.
fn recover(bytes: &[u8], trust: &Trust) -> Result<(NodeId, Statement), Refused> {
    let opened = envelope::read_journaled(bytes).map_err(|refusal| Refused { refusal, count: 1 })?;
    if trust.has(&opened.source) {
        Ok((opened.source, opened.statement))
    } else {
        Err(Refused::once(Code::UntrustedPeer, opened.source, "this node is not trusted here"))
    }
}

/// True of what comes back only because it is under one signature with something newer.
fn is_outdated(body: &InputBody, said: &Statement) -> bool {
    matches!(body, InputBody::Recovered { newest: Some(newest), .. } if !newest.contains(&said.sequence))
}

fn from_the_future(hlc: Hlc, wall_ms: u64) -> String {
    let ahead_s = hlc.ahead_ms(wall_ms) as f64 / 1_000.0;
    format!("its clock is {ahead_s:.1} s ahead of ours; set the clock of that node, or ours")
}

/// Makes an entity of every node met for the first time in this tick.
pub(super) fn meet_nodes(
    trust: Res<Trust>,
    batch: Res<TickBatch>,
    mut index: ResMut<NodeIndex>,
    mut commands: Commands,
    mut heard: MessageReader<NodeHeard>,
    mut described: MessageReader<NodeDescribed>,
    mut refused: MessageWriter<Refused>,
) {
    let tokens = batch.iter().filter_map(|stamped| match stamped.input.body {
        InputBody::PeerAppeared(node) => Some(node),
        _ => None,
    });
    let said = heard.read().map(|heard| heard.node);
    let met = tokens.chain(said).chain(described.read().map(|described| described.node));
    let mut strangers = index.0.keys().filter(|node| !trust.believes(node)).count();
    for node in met {
        if index.0.contains_key(&node) {
            continue;
        }
        if !trust.believes(&node) && strangers >= STRANGERS_MAX {
            let sentence = format!("{STRANGERS_MAX} nodes that are not trusted here are on the mesh already");
            refused.write(Refused::once(Code::LimitExceeded, node, sentence));
            continue;
        }
        let mut entity = commands.spawn((Node(node), DomainId::of("node", &[&node.0])));
        if trust.has(&node) {
            entity.insert(Trusted);
        }
        strangers += usize::from(!trust.believes(&node));
        // The observer indexes it when the command runs; later statements of this tick need it now.
        index.0.insert(node, entity.id());
    }
}

/// Notes who is there. A stranger is known by its token alone, so without it there is nothing to remember; one that was trusted
/// once is known by what it said.
pub(super) fn follow_tokens(
    tick: Res<Tick>,
    batch: Res<TickBatch>,
    index: Res<NodeIndex>,
    mut nodes: Query<(&mut Presence, &mut Voice, Has<Trusted>, Has<NodeProfile>), With<Node>>,
    mut commands: Commands,
) -> Result {
    let mut left = BTreeSet::new();
    for stamped in batch.iter() {
        let (node, is_present) = match stamped.input.body {
            InputBody::PeerAppeared(node) => (node, true),
            InputBody::PeerVanished(node) => (node, false),
            _ => continue,
        };
        let Some(entity) = index.0.get(&node) else { continue };
        let (mut presence, mut voice, is_trusted, is_described) = nodes.get_mut(*entity)?;
        *presence = Presence { is_present, since_tick: tick.0 };
        if is_present {
            *voice = voice.of_one_who_is_back(tick.0);
        }
        if is_trusted || is_described || is_present {
            left.remove(entity);
        } else {
            left.insert(*entity);
        }
    }
    for entity in left {
        commands.entity(entity).despawn();
    }
    Ok(())
}

pub(super) fn note_heard(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    index: Res<NodeIndex>,
    mut heard: MessageReader<NodeHeard>,
    mut nodes: Query<(&mut LastHeard, &mut Voice, &mut ClockOffset), With<Node>>,
) -> Result {
    let wall_ms = wall.at(*tick, &settings);
    for NodeHeard { node, hlc, lane, is_last } in heard.read() {
        let Some(entity) = index.0.get(node) else { continue };
        let (mut last, mut voice, mut offset) = nodes.get_mut(*entity)?;
        last.0 = Some(tick.0);
        *voice = voice.of_one_who_speaks(*lane, *is_last, tick.0);
        offset.0 = Some(hlc.wall_ms.cast_signed().saturating_sub(wall_ms.cast_signed()));
    }
    Ok(())
}

pub(super) fn describe_nodes(
    index: Res<NodeIndex>,
    mut described: MessageReader<NodeDescribed>,
    mut commands: Commands,
) {
    for NodeDescribed { node, description } in described.read() {
        if let Some(entity) = index.0.get(node) {
            commands.entity(*entity).insert(NodeProfile {
                name: description.name.clone(),
                role: description.role.clone(),
                version: description.version.clone(),
            });
        }
    }
}

pub(super) fn assess_nodes(
    tick: Res<Tick>,
    settings: Res<Settings>,
    policy: Res<LivenessPolicy>,
    mut nodes: Query<(&Presence, &Voice, Option<&NodeProfile>, &mut Liveness), With<Node>>,
) {
    for (presence, voice, profile, mut liveness) in &mut nodes {
        let never_seen = !presence.is_present && presence.since_tick == 0;
        let gone_for_ms = match presence.is_present {
            true => None,
            false if never_seen => Some(u64::MAX),
            false => Some(settings.ms_of_ticks(tick.0 - presence.since_tick)),
        };
        let looks_on = profile.is_some_and(|profile| NodeRole::of_name(&profile.role) == NodeRole::Viewer);
        let silent_since_tick = voice.silent_since_tick().filter(|_| !looks_on);
        let silent_for_ms = silent_since_tick.map(|since| settings.ms_of_ticks(tick.0 - since));
        let judged = match voice {
            Voice::Left => Liveness::Left,
            _ => assess(gone_for_ms, silent_for_ms, &policy),
        };
        liveness.set_if_neq(judged);
    }
}
