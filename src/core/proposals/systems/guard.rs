//! The gate, asked for every step that is about to be carried out.

use bevy::prelude::*;
use clawmesh_authority::gate::{self, SignedReading};
use clawmesh_authority::transition::{Event, State};
use clawmesh_authority::{AuthorizedCommand, Code, Proposal, ProposalId, Refused, Rule, canonical};

use super::cards::simulated;
use super::now::Now;
use super::shared::{Mover, in_short};
use crate::intake::{DriverReport, InputBody, TickBatch};
use crate::proposals::components::{CardHeld, Forked, Granted, Life, Proposed, Run, Spending};
use crate::proposals::kept;
use crate::proposals::ledger::{seconds_asked, usage};
use crate::proposals::trial::{drift, moves, snapshot_now};
use crate::replay::Keeping;

type Case = (
    Entity,
    &'static Proposed,
    &'static mut Life,
    Option<&'static Granted>,
    Option<&'static CardHeld>,
    Option<&'static Forked>,
    Option<&'static mut Run>,
);

/// Authorizes the first step of what is approved, and the next step of what runs.
pub fn authorize_steps(
    batch: Res<TickBatch>,
    mut now: ResMut<Now>,
    mut spending: ResMut<Spending>,
    mut keeping: ResMut<Keeping>,
    mut cases: Query<Case>,
    mut mover: Mover,
    mut commands: Commands,
) {
    let is_due = |state: &State| matches!(state, State::Approved { .. } | State::Executing { .. });
    let mut rows: Vec<_> = cases.iter_mut().filter(|(_, _, life, ..)| is_due(&life.state)).collect();
    rows.sort_by_key(|(_, proposed, ..)| proposed.slot);
    for (entity, proposed, life, granted, card, forked, run) in &mut rows {
        let of = (proposed.id, &proposed.proposal);
        let step = match (&life.state, run.as_deref()) {
            (State::Approved { .. }, _) => 0,
            (State::Executing { step }, Some(run))
                if usize::from(*step) > run.step && !is_ending(of.0, run, &batch) =>
            {
                usize::from(*step)
            }
            _ => continue,
        };
        let known = mover.here.knows_the_time();
        let asked = (of.1, life.asked_ms);
        let authorized =
            known.and_then(|()| authorize(asked, step, (*granted, *card, *forked), &now, &mover));
        let command = match authorized {
            Ok(command) => command,
            // It may be simulated and approved again, as it is now and by others.
            Err(refused) if matches!(refused.code, Code::CardStale | Code::OperatorRevoked) => {
                let words = refused.sentence.clone();
                mover.feed(of, life, &Event::DriftedPastTolerance, words, Some(refused.code));
                mover.show(&of.0.short(), &refused);
                continue;
            }
            Err(refused) => {
                mover.refuse(of, life, &refused);
                continue;
            }
        };
        // Nobody else gets what it works with, also not in this tick.
        for step in &of.1.steps {
            now.live.held.insert(step.actuator.clone(), of.0);
        }
        let (ordered_ms, ordered_unix_ms) = (mover.here.elapsed_ms(), mover.here.wall_ms());
        match run {
            Some(run) => {
                (run.step, run.ordered_ms, run.taken_ms) = (step, ordered_ms, None);
                run.ordered_unix_ms = ordered_unix_ms;
            }
            None => {
                let State::Approved { round } = life.state else { continue };
                let words = format!("the gate lets it through: {}", in_short(of.1));
                mover.feed(of, life, &Event::Dispatched { round }, words, None);
                let booked_unix_ms = mover.here.ledger_ms(&spending);
                let ordered = Run { ordered_ms, ordered_unix_ms, booked_unix_ms, ..Run::default() };
                commands.entity(*entity).insert(ordered);
                if let Some((site, policy)) = mover.here.files() {
                    // What was approved in the same tick was simulated without it.
                    let running = moves(&of.1.steps, &site.plan, policy, seconds_asked);
                    now.running.insert(of.0, running);
                    let planned = usage(&of.1.steps, policy, |_, step| seconds_asked(step));
                    spending.ledger.book(&planned, booked_unix_ms);
                    keeping.keep(kept::SPENDING, canonical::encode(&spending.ledger));
                }
            }
        }
        mover.due.commands.push(command);
    }
}

/// True when the time of an earlier step is over, also if that was said in this very tick.
fn is_ending(id: ProposalId, run: &Run, batch: &TickBatch) -> bool {
    let is_safe = |body: &InputBody| match body {
        InputBody::Driver(DriverReport::MadeSafe { proposal, .. }) => *proposal == Some(id),
        _ => false,
    };
    run.ending_since_ms.is_some() || batch.iter().any(|stamped| is_safe(&stamped.input.body))
}

fn authorize(
    (proposal, asked_ms): (&Proposal, u64),
    step: usize,
    (granted, card, forked): (Option<&Granted>, Option<&CardHeld>, Option<&Forked>),
    now: &Now,
    mover: &Mover,
) -> Result<AuthorizedCommand, Refused> {
    let missing = |code, rule, what: &str| Refused::new(code, rule, format!("there is no {what} for it"));
    let (site, policy) =
        mover.here.files().ok_or_else(|| missing(Code::NotAuthorized, Rule::KnownOperation, "policy"))?;
    let card = card.ok_or_else(|| missing(Code::CardRequired, Rule::Simulated, "card"))?;
    let forked = forked.ok_or_else(|| missing(Code::CardRequired, Rule::Simulated, "fork"))?;
    let granted = granted.ok_or_else(|| missing(Code::ApprovalRequired, Rule::Approved, "approval"))?;
    let (evidence, drifted): (Vec<SignedReading>, Option<String>) = if step == 0 {
        let snapshot = snapshot_now(site, &now.live, now.running_besides(proposal.id()));
        (mover.here.evidence(proposal, &site.home)?, drift(&forked.snapshot, &snapshot))
    } else {
        (Vec::new(), None)
    };
    // What a step builds on stands as it was told, in this tick too.
    let mut before = proposal.steps.iter().take(step);
    let mind = &proposal.maker.mind;
    before.try_for_each(|before| {
        gate::may_go_on((before, mind), true, &granted.0, &site.home, policy, &now.live)
    })?;
    let card = simulated(proposal, card, mover.here.settings.node, drifted);
    let by = (&card, &granted.0);
    gate::authorize(proposal, step, (&evidence, asked_ms), by, &site.home, policy, &now.live)
}
