//! What guests tell, also of what they can do, and the picture of all of it.

use bevy::prelude::*;
use clawmesh_authority::{NodeId, NodeRole};
use clawmesh_wire::abilities;
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::{Code as WireCode, Refusal as WireRefusal};
use serde_json::value::RawValue;

use super::{code_of, trusted};
use crate::clock::{Tick, WallClock};
use crate::guests::components::{Guest, GuestLog, GuestProfile, MockBench};
use crate::guests::lifecycle::{GuestContact, GuestState};
use crate::guests::picture::{GuestRow, GuestsPicture};
use crate::intake::{InputBody, SourceId, TickBatch};
use crate::mesh::Trust;
use crate::safety;
use crate::settings::Settings;

/// What guests have told.
pub(in crate::guests) fn take_frames(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    batch: Res<TickBatch>,
    trust: Res<Trust>,
    mut log: ResMut<GuestLog>,
    mut guests: Query<(&Guest, &mut GuestProfile, &mut GuestContact)>,
    mut refused: MessageWriter<safety::Refused>,
) {
    let wall_ms = wall.at(*tick, &settings);
    for stamped in batch.iter() {
        let InputBody::GuestFrame { from, json } = &stamped.input.body else { continue };
        if stamped.input.source != SourceId::Guests {
            continue;
        }
        let read = trusted(&trust, *from)
            .map_err(|why| (why.code, why.sentence))
            .and_then(|()| frame(json, wall_ms).map_err(|why| (code_of(why.code), why.message)));
        match read {
            // What is known already, or older than what is known, is no fault.
            Ok(frame) => {
                if let Some(capabilities) = abilities::said_by(&frame, *from) {
                    take_abilities(&mut guests, *from, capabilities, frame.timestamp_ms);
                }
                let _ = log.0.take(frame, *from, wall_ms);
            }
            Err((code, sentence)) => {
                refused.write(safety::Refused::once(code, from.short(), sentence));
            }
        }
    }
}

/// What a connected guest says of itself replaces what it said before, and nothing that was made before it connected does;
/// `made_ms` is by its clock, as is what it is compared with.
fn take_abilities(
    guests: &mut Query<(&Guest, &mut GuestProfile, &mut GuestContact)>,
    from: NodeId,
    capabilities: Vec<String>,
    made_ms: u64,
) {
    let Some((_, mut profile, mut contact)) = guests.iter_mut().find(|(guest, ..)| guest.0 == from) else {
        return;
    };
    if contact.end.is_some() || made_ms <= contact.abilities_ms {
        return;
    }
    contact.abilities_ms = made_ms;
    // A viewer offers nothing, whatever it says.
    let is_target = NodeRole::of_name(&profile.role).is_target();
    if is_target && profile.capabilities != capabilities {
        profile.capabilities = capabilities;
    }
}

fn frame(json: &str, wall_ms: u64) -> Result<ContextFrame, WireRefusal> {
    let raw: &RawValue = serde_json::from_str(json)
        .map_err(|_| WireRefusal::new(WireCode::InvalidJson, "the frame is no JSON"))?;
    ContextFrame::read(Some(raw), wall_ms)
}

/// Draws the picture anew when something of it has changed.
pub(in crate::guests) fn draw(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    guests: Query<(&Guest, &GuestProfile, &GuestContact, &GuestState)>,
    changed: Query<(), Or<(Changed<GuestProfile>, Changed<GuestContact>, Changed<GuestState>)>>,
    mut gone: RemovedComponents<Guest>,
    log: Res<GuestLog>,
    bench: Res<MockBench>,
    mut picture: ResMut<GuestsPicture>,
) {
    let has_gone = gone.read().count() > 0;
    if has_gone || !changed.is_empty() || log.is_changed() || bench.is_changed() {
        let wall_ms = wall.at(*tick, &settings);
        let row = |(guest, profile, contact, state): (&Guest, &GuestProfile, &GuestContact, &GuestState)| {
            let silent_ms = settings.ms_of_ticks(tick.0.saturating_sub(contact.heard_tick));
            GuestRow {
                id: guest.0,
                profile: profile.clone(),
                state: *state,
                is_connected: contact.end.is_none(),
                heard_ms: wall_ms.saturating_sub(silent_ms),
            }
        };
        *picture = GuestsPicture::of(guests.iter().map(row).collect(), &log, &bench);
    }
}
