//! Systems that write lines, and hand them over.

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use clawmesh_authority::audit::{Happened, hash_of_people};
use clawmesh_authority::reading::bounded;
use clawmesh_authority::{Code, ContentHash, canonical};

use super::log::{Moment, SUBJECT, SafetyLog};
use crate::clock::{Tick, WallClock};
use crate::intake::{DriverReport, InputBody, SourceId, TickBatch};
use crate::people::KeyRevoked;
use crate::replay::Keeping;
use crate::safety::{Refused, Told};
use crate::settings::Settings;
use crate::site::PolicyInForce;

/// The log with the moment of a line.
#[derive(SystemParam)]
pub struct Log<'w> {
    tick: Res<'w, Tick>,
    settings: Res<'w, Settings>,
    wall: Res<'w, WallClock>,
    log: ResMut<'w, SafetyLog>,
}

impl Log<'_> {
    /// Adds a line.
    pub fn tell(&mut self, happened: Happened) {
        let at = Moment { tick: self.tick.0, at_ms: self.wall.at(*self.tick, &self.settings) };
        self.log.tell(at, happened);
    }
}

/// Goes on where the last run has ended, and says that a new one begins.
pub(super) fn go_on(batch: Res<TickBatch>, mut log: Log, mut refused: MessageWriter<Refused>) {
    for stamped in batch.iter() {
        let InputBody::Recalled { subject, bytes } = &stamped.input.body else { continue };
        if subject != SUBJECT {
            continue;
        }
        let source = stamped.input.source;
        let outcome = match source == SourceId::Journal && log.log.head().number == 0 {
            true => log.log.go_on(bytes),
            false => {
                Err("the safety log goes on from what the journal of this node has kept, at a start"
                    .to_owned())
            }
        };
        if let Err(sentence) = outcome {
            refused.write(Refused::once(Code::NotAuthorized, source, sentence));
        }
    }
    if log.tick.0 == log.settings.tick_before + 1 {
        let settings = &log.settings;
        let text = settings.site.as_ref();
        let started = Happened::Started {
            version: settings.version.clone(),
            epoch: settings.epoch,
            site: text.map(|text| ContentHash::of_site(&text.plan)),
            policy: text.and_then(|text| text.policy.as_deref()).map(ContentHash::of_policy),
            people: hash_of_people(&settings.roster),
        };
        log.tell(started);
    }
}

/// What came in, as far as it is about safety.
pub(super) fn log_inputs(batch: Res<TickBatch>, in_force: Res<PolicyInForce>, mut log: Log) {
    for stamped in batch.iter() {
        let happened = match (&stamped.input.source, &stamped.input.body) {
            (_, InputBody::StopLatched { reason, .. }) => {
                Happened::Stopped { reason: bounded(reason.clone()) }
            }
            (SourceId::Runner, InputBody::Rearmed) => Happened::Rearmed,
            (SourceId::Runner, InputBody::PeopleChanged(people)) => {
                Happened::People { people: hash_of_people(people) }
            }
            (SourceId::Drivers, InputBody::Driver(report)) => match told(report) {
                Some(happened) => happened,
                None => continue,
            },
            _ => continue,
        };
        log.tell(happened);
    }
    if let Some(policy) = in_force.hash.filter(|_| in_force.since_tick == log.tick.0) {
        log.tell(Happened::Policy { policy });
    }
}

/// Whose key counts for nothing from this tick on; what was approved is judged after it.
pub(super) fn log_revocations(mut revoked: MessageReader<KeyRevoked>, mut log: Log) {
    for KeyRevoked(key) in revoked.read() {
        log.tell(Happened::Revoked { key: *key });
    }
}

fn told(report: &DriverReport) -> Option<Happened> {
    Some(match report.clone() {
        DriverReport::Seen { .. } => return None,
        DriverReport::Carried { proposal, step } => Happened::Carried { proposal, step },
        DriverReport::NotCarried { proposal, step, why, .. } => {
            Happened::NotCarried { proposal, step, why: bounded(why) }
        }
        DriverReport::MadeSafe { actuator, because, proposal, fault } => {
            let (because, fault) = (bounded(because.to_string()), fault.map(bounded));
            Happened::MadeSafe { actuator, because, proposal, fault }
        }
    })
}

/// What was refused, as far as it is news.
pub(super) fn log_refusals(mut heard: MessageReader<Told>, mut log: Log) {
    for Told(tally) in heard.read() {
        let (code, from, count) = (tally.code, bounded(tally.from.clone()), tally.count);
        log.tell(Happened::Refused { code, from, count, sentence: bounded(tally.sentence.clone()) });
    }
}

/// Keeps the lines that are due.
pub(crate) fn keep_log(mut log: ResMut<SafetyLog>, mut keeping: ResMut<Keeping>) {
    if let Some(lines) = log.bypass_change_detection().take() {
        log.set_changed();
        keeping.keep(SUBJECT, canonical::encode(&lines));
    }
}
