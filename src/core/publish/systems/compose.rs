//! From what happened to statements, numbered and stamped.

use bevy::prelude::*;
use clawmesh_authority::reading::{READINGS_PER_BATCH_MAX, SENSORS_PER_NODE_MAX};
use clawmesh_authority::{Body, Frame, Hlc, NodeDescription, NodeRole, ReadingBatch, Statement};

use crate::clock::{Tick, WallClock};
use crate::intake::{InputBody, JournalCursor, SourceId, TickBatch};
use crate::mesh::{HlcState, ObservationMade, SIGN_OF_LIFE_MS};
use crate::publish::components::{OutboxPort, OwnLanes, OwnReadings, Pending};
use crate::publish::messages::FrameDue;
use crate::publish::outgoing::Outgoing;
use crate::settings::Settings;
use crate::world::{Profile, Sensor};

/// From this many waiting frames on, older ones of a subject that was said again are dropped; what is left
/// is bounded by the beliefs a world holds.
const COMPACT_FROM: usize = 4_096;

/// Our description when it changed, every observation recorded here, and what other features want said.
pub(in crate::publish) fn compose_frames(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    batch: Res<TickBatch>,
    cursor: Res<JournalCursor>,
    own_sensors: Query<(&Sensor, &Profile)>,
    mut observations: MessageReader<ObservationMade>,
    mut due: MessageReader<FrameDue>,
    mut clock: ResMut<HlcState>,
    mut lanes: ResMut<OwnLanes>,
    mut pending: ResMut<Pending>,
) {
    let mut frames: Vec<(Hlc, Frame)> = Vec::new();
    if must_describe(*tick, &settings, &batch) {
        let hlc = clock.0.stamp(wall.at(*tick, &settings));
        frames.push((hlc, Frame::Description(describe(&settings, &own_sensors))));
    }
    // Observations that rest on a sensor of ours leave as readings; only recorded ones leave as frames.
    let recorded = recorded_hlcs(&batch);
    for made in observations.read() {
        if made.source == settings.node && recorded.contains(&made.hlc) {
            frames.push((made.hlc, Frame::Observation(made.observation.clone())));
        }
    }
    for FrameDue(frame) in due.read() {
        frames.push((clock.0.stamp(wall.at(*tick, &settings)), frame.clone()));
    }
    for (hlc, frame) in frames {
        let subject = Some(frame.subject());
        let statement = number(&settings, &mut lanes, hlc, Body::Frame(frame));
        pending.0.push(Outgoing { cause: cursor.last(), subject, statement });
    }
}

fn must_describe(tick: Tick, settings: &Settings, batch: &TickBatch) -> bool {
    let is_first = tick.0 == settings.tick_before + 1;
    is_first || batch.iter().any(|stamped| matches!(stamped.input.body, InputBody::SensorsDeclared(_)))
}

fn describe(settings: &Settings, sensors: &Query<(&Sensor, &Profile)>) -> NodeDescription {
    let mut own: Vec<_> = sensors
        .iter()
        .filter(|(sensor, _)| sensor.node == settings.node)
        .map(|(_, profile)| profile.0.clone())
        .collect();
    own.sort_by(|a, b| a.sensor.cmp(&b.sensor));
    own.truncate(SENSORS_PER_NODE_MAX);
    NodeDescription {
        name: settings.name.clone(),
        role: settings.role.clone(),
        version: settings.version.clone(),
        sensors: own,
    }
}

fn recorded_hlcs(batch: &TickBatch) -> Vec<Hlc> {
    let recorded = batch.iter().filter_map(|stamped| match &stamped.input.body {
        InputBody::Recorded { hlc, .. } => *hlc,
        _ => None,
    });
    recorded.collect()
}

/// The readings of our own sensors, one statement a tick unless there are very many; where nothing was measured for a while, that;
/// and at the end of the node its last word.
pub(in crate::publish) fn compose_readings(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    batch: Res<TickBatch>,
    cursor: Res<JournalCursor>,
    mut own: ResMut<OwnReadings>,
    mut clock: ResMut<HlcState>,
    mut lanes: ResMut<OwnLanes>,
    mut pending: ResMut<Pending>,
) {
    let taken = own.0.take();
    if lanes.has_left() {
        return;
    }
    let mut bodies: Vec<(Hlc, Body)> = Vec::new();
    if let Some((hlc, readings)) = taken {
        let parts = readings.chunks(READINGS_PER_BATCH_MAX);
        bodies.extend(parts.map(|part| (hlc, Body::Readings(ReadingBatch(part.to_vec())))));
    } else if owes_a_sign_of_life(*tick, &settings, &lanes) {
        let hlc = clock.0.stamp(wall.at(*tick, &settings));
        bodies.push((hlc, Body::Readings(ReadingBatch(Vec::new()))));
    }
    if ends(&batch) {
        bodies.push((clock.0.stamp(wall.at(*tick, &settings)), Body::Leave));
        lanes.leave();
    }
    for (hlc, body) in bodies {
        lanes.speak(tick.0);
        let statement = number(&settings, &mut lanes, hlc, body);
        pending.0.push(Outgoing { cause: cursor.last(), subject: None, statement });
    }
}

/// A viewer has no place on the stream lane, and nobody waits for its word there.
fn owes_a_sign_of_life(tick: Tick, settings: &Settings, lanes: &OwnLanes) -> bool {
    let silent_ticks = tick.0 - lanes.stream_tick().max(settings.tick_before);
    silent_ticks >= settings.ticks_of_ms(SIGN_OF_LIFE_MS)
        && NodeRole::of_name(&settings.role) != NodeRole::Viewer
}

fn ends(batch: &TickBatch) -> bool {
    batch.iter().any(|stamped| {
        matches!((&stamped.input.source, &stamped.input.body), (SourceId::Runner, InputBody::NodeEnds))
    })
}

fn number(settings: &Settings, lanes: &mut OwnLanes, hlc: Hlc, body: Body) -> Statement {
    let sequence = lanes.next(body.lane());
    Statement { mesh: settings.mesh(), epoch: settings.epoch, sequence, hlc, body }
}

/// Hands pending statements to the outbox. Frames that find no place keep their order and wait.
pub(in crate::publish) fn send_pending(port: Option<Res<OutboxPort>>, mut pending: ResMut<Pending>) {
    let Some(port) = port else {
        pending.0.clear();
        return;
    };
    let mut waiting: Vec<Outgoing> = Vec::new();
    for outgoing in pending.0.drain(..) {
        let is_frame = outgoing.subject.is_some();
        if is_frame && !waiting.is_empty() {
            waiting.push(outgoing);
        } else if let Err(back) = port.0.offer(outgoing) {
            waiting.push(*back);
        }
    }
    if waiting.len() > COMPACT_FROM {
        keep_newest_of_each_subject(&mut waiting);
    }
    pending.0 = waiting;
}

fn keep_newest_of_each_subject(waiting: &mut Vec<Outgoing>) {
    let newest: std::collections::BTreeMap<Option<String>, u64> =
        waiting.iter().map(|outgoing| (outgoing.subject.clone(), outgoing.statement.sequence)).collect();
    waiting.retain(|outgoing| newest.get(&outgoing.subject) == Some(&outgoing.statement.sequence));
}
