//! Draining the doors: order, stamp, write down, and only then let the world see it.

use bevy::prelude::*;
use clawmesh_authority::{Code, HlcClock, Refusal};

use super::components::{Feed, JournalCursor, JournalPort, TickBatch};
use super::inbox::{Inboxes, StreamKey};
use super::input::{Input, InputBody, SourceId, StampedInput};
use crate::clock::{Tick, WallClock};
use crate::mesh::HlcState;
use crate::replay::{Record, Ticket};
use crate::settings::Settings;

/// State-lane inputs one tick takes at most; the rest wait at the door.
const STATE_INPUTS_PER_TICK_MAX: usize = 1_024;

pub(super) fn take_batch(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    hlc: Res<HlcState>,
    feed: Res<Feed>,
    mut cursor: ResMut<JournalCursor>,
    mut journal: ResMut<JournalPort>,
    mut batch: ResMut<TickBatch>,
) {
    let is_first = tick.0 == settings.tick_before + 1;
    // What earlier runs acknowledged must be known before anything new is heard.
    let state_inputs_max = if is_first { usize::MAX } else { STATE_INPUTS_PER_TICK_MAX };
    let (mut inputs, tickets) = drain(&feed.0, state_inputs_max);
    inputs.sort_by_key(Input::order);
    let wall_ms = sampled_ms(&inputs).unwrap_or_else(|| wall.at(*tick, &settings));
    stamp_hybrid_time(&mut inputs, hlc.0, wall_ms);
    let first = cursor.next;
    batch.0 = (first..)
        .zip(inputs)
        .map(|(journal_sequence, input)| StampedInput { journal_sequence, tick: tick.0, input })
        .collect();
    if !batch.0.is_empty() {
        let records = batch.0.iter().cloned().map(Record::Input).collect();
        journal.append(&mut cursor, records, tickets);
    }
}

fn drain(inboxes: &Inboxes, state_inputs_max: usize) -> (Vec<Input>, Vec<Ticket>) {
    let (mut inputs, dropped) = inboxes.take_stream();
    // What is missing of another node's shows in its own numbers, wherever it was dropped.
    let own = dropped.into_iter().filter(|(key, _)| !matches!(key.source, SourceId::Node(_)));
    inputs.extend(own.map(skipped));
    let mut tickets = Vec::new();
    for (input, ticket) in inboxes.take_state(state_inputs_max) {
        inputs.push(input);
        tickets.extend(ticket);
    }
    (inputs, tickets)
}

/// Every drop of our own on the stream lane becomes an input itself, so that it is counted and replayed.
fn skipped((key, count): (StreamKey, u64)) -> Input {
    let what = if key.what.is_empty() { String::new() } else { format!(" of {}", key.what) };
    let sentence = format!("samples{what} came faster than a tick takes them; the oldest were dropped");
    let refusal = Refusal::new(Code::StreamSkipped, key.source, sentence);
    Input { source: SourceId::Runner, sequence: 0, body: InputBody::Refused { refusal, count } }
}

fn sampled_ms(inputs: &[Input]) -> Option<u64> {
    inputs.iter().rev().find_map(|input| match input.body {
        InputBody::ClockSampled { unix_ms, .. } => Some(unix_ms),
        _ => None,
    })
}

/// What people record here gets its hybrid time before the journal sees it, so that a restart keeps it.
fn stamp_hybrid_time(inputs: &mut [Input], mut clock: HlcClock, wall_ms: u64) {
    for input in inputs {
        if let InputBody::Recorded { hlc, .. } = &mut input.body {
            hlc.get_or_insert_with(|| clock.stamp(wall_ms));
        }
    }
}
