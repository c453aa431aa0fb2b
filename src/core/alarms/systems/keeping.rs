//! Alarms from tick to tick, and over a restart.

use bevy::prelude::*;
use clawmesh_authority::Code;

use super::conditions::Seen;
use crate::alarms::book::AlarmBook;
use crate::alarms::components::{Alarm, FlaggedSince, LastKept};
use crate::alarms::record;
use crate::alarms::state::{AlarmState, Now};
use crate::clock::{Tick, WallClock};
use crate::intake::{InputBody, TickBatch};
use crate::replay::{DomainId, Keeping};
use crate::safety::Refused;
use crate::settings::Settings;
use crate::world::{Quality, Sensor};

/// Milliseconds between two looks at what is the case.
const LOOK_EVERY_MS: u64 = 100;

/// Notes since when each flag of a sensor is set.
pub(in crate::alarms) fn date_flags(
    tick: Res<Tick>,
    mut sensors: Query<(&Quality, &mut FlaggedSince), (With<Sensor>, Changed<Quality>)>,
) {
    for (quality, mut since) in &mut sensors {
        let now = since.follow(quality, tick.0);
        since.set_if_neq(now);
    }
}

/// What an earlier run kept, then what people do.
pub(in crate::alarms) fn handle_alarms(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    batch: Res<TickBatch>,
    mut alarms: Query<(Entity, &Alarm, &mut AlarmState)>,
    mut refused: MessageWriter<Refused>,
    mut commands: Commands,
) {
    let is_about_alarms = |body: &InputBody| match body {
        InputBody::AlarmHandled { .. } => true,
        InputBody::Recalled { subject, .. } => subject == record::SUBJECT,
        _ => false,
    };
    if !batch.iter().any(|stamped| is_about_alarms(&stamped.input.body)) {
        return;
    }
    let now = Now { tick: tick.0, wall_ms: wall.at(*tick, &settings), hz: settings.hz };
    let mut book = book_of(&alarms);
    for stamped in batch.iter() {
        let outcome = match &stamped.input.body {
            InputBody::AlarmHandled { key, act, by } => book.act(key, *act, by, &now),
            InputBody::Recalled { subject, bytes } if subject == record::SUBJECT => {
                record::decode(bytes, &now).map(|recalled| book = recalled)
            }
            _ => continue,
        };
        if let Err(sentence) = outcome {
            refused.write(Refused::once(Code::InvalidParams, stamped.input.source, sentence));
        }
    }
    apply(book, &mut alarms, &mut commands);
}

/// Looks at what is the case, and lets alarms ring, end and be forgotten.
pub(in crate::alarms) fn raise_alarms(
    mut seen: Seen,
    settings: Res<Settings>,
    mut alarms: Query<(Entity, &Alarm, &mut AlarmState)>,
    mut commands: Commands,
) {
    let now = seen.now();
    let is_first = now.tick == settings.tick_before + 1;
    if !is_first && !now.tick.is_multiple_of(now.ticks_of_ms(LOOK_EVERY_MS).max(1)) {
        return;
    }
    let mut book = book_of(&alarms);
    book.advance(&seen.conditions(), &now);
    apply(book, &mut alarms, &mut commands);
}

/// Keeps what a restart must know, when it has changed.
pub(in crate::alarms) fn keep_alarms(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    alarms: Query<(&Alarm, &AlarmState)>,
    changed: Query<(), Changed<AlarmState>>,
    mut removed: RemovedComponents<AlarmState>,
    mut last: ResMut<LastKept>,
    mut keeping: ResMut<Keeping>,
) {
    if changed.is_empty() && removed.read().count() == 0 {
        return;
    }
    let now = Now { tick: tick.0, wall_ms: wall.at(*tick, &settings), hz: settings.hz };
    let rows = alarms.iter().map(|(alarm, state)| (alarm.key.clone(), state.clone()));
    let book = AlarmBook(rows.collect());
    let mark = Some(record::mark_of(&book));
    if last.0 != mark {
        last.0 = mark;
        keeping.keep(record::SUBJECT, record::encode(&book, &now));
    }
}

fn book_of(alarms: &Query<(Entity, &Alarm, &mut AlarmState)>) -> AlarmBook {
    AlarmBook(alarms.iter().map(|(_, alarm, state)| (alarm.key.clone(), state.clone())).collect())
}

fn apply(
    AlarmBook(mut book): AlarmBook,
    alarms: &mut Query<(Entity, &Alarm, &mut AlarmState)>,
    commands: &mut Commands,
) {
    for (entity, alarm, mut state) in alarms {
        match book.remove(&alarm.key) {
            Some(next) => drop(state.set_if_neq(next)),
            None => commands.entity(entity).despawn(),
        }
    }
    for (key, state) in book {
        let domain = DomainId::of("alarm", &[key.as_bytes()]);
        commands.spawn((Alarm { key }, state, domain));
    }
}

#[cfg(test)]
mod tests {
    use bevy::ecs::system::RunSystemOnce as _;
    use clawmesh_authority::NodeId;

    use super::*;
    use crate::Core;
    use crate::alarms::{STOP, Standing};
    use crate::intake::{AlarmAct, Input, SourceId, StampedInput};
    use crate::replay::write_kept;

    fn core(tick_before: u64) -> Core {
        let settings =
            Settings { tick_before, ..Settings::of_first_run(NodeId([1; 32]), "barn", "field", "farm") };
        Core::replaying(settings, 1)
    }

    /// Runs ten ticks, the first with these inputs; what was kept last of the alarms.
    fn run(core: &mut Core, bodies: Vec<(SourceId, InputBody)>) -> Option<Vec<u8>> {
        let tick = core.tick_number() + 1;
        let clock = InputBody::ClockSampled { unix_ms: 1_800_000_000_000 + tick * 20, up_ms: tick * 20 };
        let all = [(SourceId::Clock, clock)].into_iter().chain(bodies);
        let stamp = |(source, body)| StampedInput {
            journal_sequence: 1,
            tick,
            input: Input { source, sequence: 0, body },
        };
        core.feed(all.map(stamp).collect());
        let mut last = None;
        for _ in 0..10 {
            core.tick();
            core.feed(Vec::new());
            core.world_mut().run_system_once(write_kept).unwrap();
            let kept = core.kept().iter().rev().find(|kept| kept.subject == record::SUBJECT);
            last = kept.map(|kept| kept.bytes.clone()).or(last);
        }
        last
    }

    fn standing(core: &mut Core) -> Option<Standing> {
        let world = core.world_mut();
        let mut alarms = world.query::<(&Alarm, &AlarmState)>();
        alarms.iter(world).find(|(alarm, _)| alarm.key == STOP).map(|(_, state)| state.standing())
    }

    fn stop() -> (SourceId, InputBody) {
        (SourceId::Runner, InputBody::StopLatched { reason: "smoke".to_owned(), stops: 0 })
    }

    #[test]
    fn an_acknowledgement_is_kept_and_what_an_earlier_run_kept_is_as_it_was() {
        let mut before = core(0);
        let rang = run(&mut before, vec![stop()]).expect("it rang");
        assert_eq!(standing(&mut before), Some(Standing::Unacknowledged));
        assert_eq!(run(&mut before, Vec::new()), None, "nothing has changed");
        let act = InputBody::AlarmHandled {
            key: STOP.to_owned(),
            act: AlarmAct::Acknowledge,
            by: "asha".to_owned(),
        };
        let acknowledged = run(&mut before, vec![(SourceId::Gateway, act)]).expect("somebody acted");
        for (bytes, expected) in [(rang, Standing::Unacknowledged), (acknowledged, Standing::Acknowledged)] {
            let mut after = core(before.tick_number());
            let recalled = InputBody::Recalled { subject: record::SUBJECT.to_owned(), bytes };
            run(&mut after, vec![(SourceId::Journal, recalled), stop()]);
            assert_eq!(standing(&mut after), Some(expected));
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_is_refused_and_the_alarm_rings() {
        let mut core = core(0);
        let recalled = InputBody::Recalled { subject: record::SUBJECT.to_owned(), bytes: vec![0xff] };
        run(&mut core, vec![(SourceId::Journal, recalled), stop()]);
        assert_eq!(standing(&mut core), Some(Standing::Unacknowledged));
        let refusals = core.world().resource::<crate::safety::Refusals>();
        assert!(refusals.0.tallies()[0].sentence.contains("what this node kept of its alarms"));
    }
}
