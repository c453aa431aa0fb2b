//! What was decided is written down, and then it may leave.

use bevy::prelude::*;
use clawmesh_authority::audit::{Happened, RefusedBy};
use clawmesh_authority::reading::bounded;
use clawmesh_authority::{Answer, StoryEntry, canonical};

use super::shared::Due;
use crate::audit::Log;
use crate::intake::JournalCursor;
use crate::proposals::components::{Life, Proposed};
use crate::proposals::kept::{KeptProposal, subject_of};
use crate::proposals::ports::{DeskPort, LatchPort, SimulatorPort};
use crate::replay::Keeping;
use crate::safety::StopState;
use crate::site::DriversPort;

/// Keeps every proposal of which there is news.
pub fn write_down(
    mut cases: Query<(&Proposed, &mut Life)>,
    mut keeping: ResMut<Keeping>,
    mut due: ResMut<Due>,
    mut log: Log,
) {
    let mut rows: Vec<_> = cases.iter_mut().filter(|(_, life)| life.is_news).collect();
    rows.sort_by_key(|(proposed, _)| proposed.slot);
    for (proposed, life) in &mut rows {
        life.is_news = false;
        due.told.insert(proposed.slot);
        for StoryEntry { state, words, code, .. } in life.to_log() {
            let (proposal, state, words, code) = (proposed.id, state.clone(), words.clone(), *code);
            log.tell(Happened::Became { proposal, state, words, code });
        }
        let kept = KeptProposal {
            proposal: proposed.proposal.clone(),
            state: life.state.clone(),
            story: life.story.clone(),
            asked_ms: Some(life.asked_ms),
        };
        keeping.keep(subject_of(proposed.slot), canonical::encode(&kept));
    }
}

/// Writes down what drivers are about to be told.
pub fn log_orders(due: Res<Due>, mut log: Log) {
    for command in &due.commands {
        log.tell(Happened::Ordered {
            proposal: command.proposal(),
            step: command.step(),
            actuator: command.actuator().clone(),
            setpoint: command.setpoint().to_string(),
            run_for_ms: command.run_for_ms(),
        });
    }
}

/// Writes down what was answered to whoever asked, before what follows from it.
pub fn log_answers(mut due: ResMut<Due>, mut log: Log) {
    let Due { answers, answers_logged, .. } = &mut *due;
    for (asked, answer) in &answers[std::mem::replace(answers_logged, answers.len())..] {
        let (asked, answer) = (*asked, answer.clone());
        log.tell(match answer {
            Answer::Taken { proposal, words } => Happened::Answered { asked, proposal, refused: None, words },
            Answer::Refused { code, rule, sentence } => {
                let (refused, words) = (Some(RefusedBy { code, rule }), bounded(sentence));
                Happened::Answered { asked, proposal: None, refused, words }
            }
        });
    }
}

/// Hands over what was decided, each with the row it must not leave before. A replay has no ports, and nothing leaves.
pub fn hand_over(
    cursor: Res<JournalCursor>,
    stop: Res<StopState>,
    drivers: Option<Res<DriversPort>>,
    simulator: Option<Res<SimulatorPort>>,
    latch: Option<Res<LatchPort>>,
    mut due: ResMut<Due>,
) {
    if due.commands.is_empty() && due.safe.is_empty() && due.simulations.is_empty() && !due.rearm {
        return;
    }
    let Due { commands, safe, simulations, rearm, .. } = &mut *due;
    match drivers {
        None => {
            commands.clear();
            safe.clear();
        }
        Some(drivers) => {
            // What could not be handed over to be made safe is handed over again; the driver layer has its own deadlines too.
            safe.retain(|(actuators, why)| drivers.0.make_safe(actuators.clone(), why).is_err());
            // However long that lasts: once for each actuator, with the first reason.
            if let [(first, _), others @ ..] = &mut safe[..] {
                others.iter_mut().for_each(|(actuators, _)| first.append(actuators));
                safe.truncate(1);
            }
            for command in commands.drain(..) {
                // Without a place it is not carried out, no acknowledgement comes, and the run fails by that.
                let _ = drivers.0.carry(command, cursor.last(), stop.stops);
            }
        }
    }
    match simulator {
        None => simulations.clear(),
        Some(simulator) => simulations.retain(|order| simulator.0.order(order.clone()).is_err()),
    }
    if std::mem::take(rearm)
        && let Some(latch) = latch
    {
        latch.0.rearm(cursor.last(), stop.stops);
    }
}

/// Answers whoever asked, once everything it follows from is durable.
pub fn answer(desk: Option<Res<DeskPort>>, mut due: ResMut<Due>, mut keeping: ResMut<Keeping>) {
    if due.answers.is_empty() {
        return;
    }
    let answers = std::mem::take(&mut due.answers);
    due.answers_logged = 0;
    if let Some(desk) = desk {
        for (asked, answer) in answers {
            keeping.answer(desk.0.tickets(asked, &answer));
        }
    }
}
