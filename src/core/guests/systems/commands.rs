//! Commands of guests, for the mock actuator and nothing else.

use bevy::prelude::*;
use clawmesh_authority::hlc::TIME_UNKNOWN;
use clawmesh_authority::{Answer, Code, NodeId, Refused};
use clawmesh_wire::Refusal as WireRefusal;
use clawmesh_wire::command::COMMAND_AGE_MS_MAX;
use clawmesh_wire::gate::{self, Allowed};
use clawmesh_wire::mock::MockActuator;
use serde_json::value::RawValue;

use super::{code_of, trusted};
use crate::clock::{Tick, WallClock};
use crate::guests::components::MockBench;
use crate::guests::{kept, name_of_command};
use crate::intake::{InputBody, SourceId, TickBatch};
use crate::mesh::Trust;
use crate::proposals::DeskPort;
use crate::replay::Keeping;
use crate::safety::{self, StopState};
use crate::settings::Settings;

/// Commands of guests, for the mock actuator and nothing else.
pub(in crate::guests) fn take_commands(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    batch: Res<TickBatch>,
    trust: Res<Trust>,
    stop: Res<StopState>,
    desk: Option<Res<DeskPort>>,
    mut bench: ResMut<MockBench>,
    mut keeping: ResMut<Keeping>,
    mut refused: MessageWriter<safety::Refused>,
) {
    let wall_ms = wall.at(*tick, &settings);
    for stamped in batch.iter() {
        let InputBody::GuestCommand { from, json } = &stamped.input.body else { continue };
        if stamped.input.source != SourceId::Guests {
            continue;
        }
        let outcome = may_command(&settings, &trust, &stop, *from)
            .and_then(|()| dated(wall_ms))
            .and_then(|()| since_restore(&bench, wall_ms))
            .and_then(|()| carry_out(&mut bench, &mut keeping, json, settings.node, wall_ms));
        let answer = match outcome {
            Ok(words) => Answer::Taken { proposal: None, words },
            Err(why) => {
                refused.write(safety::Refused::once(why.code, from.short(), why.sentence.clone()));
                why.into()
            }
        };
        if let Some(desk) = &desk {
            keeping.answer(desk.0.tickets(name_of_command(*from, json), &answer));
        }
    }
}

fn may_command(settings: &Settings, trust: &Trust, stop: &StopState, from: NodeId) -> Result<(), Refused> {
    trusted(trust, from)?;
    if !settings.mock_actuator {
        let sentence = "this node has no mock actuator, and plain commands reach nothing else; start it with --mock-actuator";
        return Err(Refused::new(Code::UnknownOperation, "guest.mock", sentence));
    }
    if let Some(reason) = &stop.reason {
        let sentence = format!("the stop is latched ({reason}); a person has to re-arm");
        return Err(Refused::new(Code::StopLatched, "guest.stop", sentence));
    }
    Ok(())
}

/// Nobody knows how old a command is while the time is not known.
fn dated(wall_ms: u64) -> Result<(), Refused> {
    if wall_ms > 0 { Ok(()) } else { Err(Refused::new(Code::ClockUntrusted, "clock.known", TIME_UNKNOWN)) }
}

/// A command counts for minutes, and one that was carried out after the backup is not known here.
fn since_restore(bench: &MockBench, wall_ms: u64) -> Result<(), Refused> {
    // As long again, for a sender whose clock is ahead.
    let until_ms = bench.restored_ms.map_or(0, |at_ms| at_ms.saturating_add(2 * COMMAND_AGE_MS_MAX));
    if wall_ms >= until_ms {
        return Ok(());
    }
    let wait_s = (until_ms - wall_ms).div_ceil(1_000);
    let sentence = format!(
        "this node was restored from a backup, and what it has carried out since then is not known; send a new command in {wait_s} s"
    );
    Err(Refused::new(Code::Replayed, "guest.restored", sentence))
}

/// The rows of the gate again, then the mock actuator; what it did, as JSON.
fn carry_out(
    bench: &mut MockBench,
    keeping: &mut Keeping,
    json: &str,
    own: NodeId,
    wall_ms: u64,
) -> Result<String, Refused> {
    let refused = |why: WireRefusal| Refused::new(code_of(why.code), "guest.gate", why.message);
    let raw: &RawValue = serde_json::from_str(json)
        .map_err(|_| Refused::new(Code::InvalidParams, "guest.gate", "the command is no JSON".to_owned()))?;
    match gate::judge(Some(raw), own, wall_ms).map_err(refused)? {
        Allowed::Actuation(forward) => {
            let record = bench.actuator.execute(&forward, wall_ms).map_err(refused)?;
            keep(&bench.actuator, &record.command_id, keeping);
            serde_json::to_string(&record)
                .map_err(|why| Refused::new(Code::InvalidParams, "guest.gate", why.to_string()))
        }
        Allowed::Intent(_) | Allowed::Message(_) => {
            let sentence = "a message that is no actuation moves nothing";
            Err(Refused::new(Code::InvalidParams, "guest.gate", sentence))
        }
    }
}

/// The next run knows of it as well.
fn keep(mock: &MockActuator, command_id: &str, keeping: &mut Keeping) {
    if let Some((place, done)) = mock.carried_out(command_id) {
        keeping.keep(kept::subject_of(place), kept::encode(done));
    }
}

/// What earlier runs have carried out, and whether that is all.
pub(in crate::guests) fn recall_commands(
    batch: Res<TickBatch>,
    mut bench: ResMut<MockBench>,
    mut refused: MessageWriter<safety::Refused>,
) {
    for stamped in batch.iter() {
        if let InputBody::Restored { at_unix_ms } = stamped.input.body
            && stamped.input.source == SourceId::Journal
        {
            bench.restored_ms = bench.restored_ms.max(Some(at_unix_ms));
        }
        let InputBody::Recalled { subject, bytes } = &stamped.input.body else { continue };
        let Some(read) = kept::read(subject, bytes) else { continue };
        let (code, sentence) = match read {
            Ok(_) if stamped.input.source != SourceId::Journal => {
                (Code::NotAuthorized, format!("only the journal of this node recalls {subject}"))
            }
            Ok((place, done)) => {
                if bench.actuator.recall(place, done) {
                    continue;
                }
                (Code::Duplicate, format!("{subject} is known already"))
            }
            Err(sentence) => (Code::MalformedEnvelope, sentence),
        };
        refused.write(safety::Refused::once(code, stamped.input.source, sentence));
    }
}
