//! What earlier runs left: each proposal in its place, as a restart leaves it.

use std::collections::BTreeSet;

use bevy::prelude::*;
use clawmesh_authority::report::SLOTS;
use clawmesh_authority::transition::{Event, State};
use clawmesh_authority::{Code, Refused, canonical};

use super::now::Now;
use super::shared::Mover;
use crate::intake::{InputBody, SourceId, TickBatch};
use crate::proposals::components::{Asked, Life, ProposalIndex, Proposed, Spending};
use crate::proposals::control::Control;
use crate::proposals::holds::Holds;
use crate::proposals::kept::{self, KeptProposal, Recalled, read};
use crate::proposals::ledger::seconds_asked;
use crate::proposals::tags::Tags;
use crate::replay::{DomainId, Keeping};
use crate::site::{Actuator, IN_DOUBT_MS_MIN, Stands};

/// Takes what this node has kept. What it knows already is never replaced by what it knew once.
pub fn recall(
    batch: Res<TickBatch>,
    known: Query<&Proposed>,
    mut asked: ResMut<Asked>,
    mut spending: ResMut<Spending>,
    (mut tags, mut holds, mut control, mut now): (ResMut<Tags>, ResMut<Holds>, ResMut<Control>, ResMut<Now>),
    mut index: ResMut<ProposalIndex>,
    mut actuators: Query<(&Actuator, &mut Stands)>,
    mut mover: Mover,
    mut commands: Commands,
) {
    let mut places: BTreeSet<u8> = BTreeSet::new();
    for stamped in batch.iter() {
        let InputBody::Recalled { subject, bytes } = &stamped.input.body else { continue };
        let refused = match read(subject, bytes) {
            None => continue,
            Some(_) if stamped.input.source != SourceId::Journal => not_ours(subject),
            Some(Ok(Recalled::Asked(marks))) if *asked == Asked::default() => {
                asked.0 = marks;
                continue;
            }
            Some(Ok(Recalled::Spending(ledger))) if *spending == Spending::default() => {
                *spending = Spending::recalled(ledger);
                continue;
            }
            Some(Ok(Recalled::Tags(kept))) => {
                tags.recall(kept);
                continue;
            }
            Some(Ok(Recalled::Holds(kept))) => {
                holds.recall(kept);
                // It holds in this tick, too.
                now.live.on_hold = holds.in_words(mover.here.people()).collect();
                continue;
            }
            Some(Ok(Recalled::Control(kept))) => {
                control.recall(kept);
                continue;
            }
            Some(Ok(Recalled::Proposal(slot, kept))) if slot < SLOTS => {
                let id = kept.proposal.id();
                let is_taken = places.contains(&slot) || known.iter().any(|known| known.slot == slot);
                if is_taken || index.0.contains_key(&id) {
                    known_already(subject)
                } else {
                    doubt(&kept, &mover, &mut actuators);
                    let (proposed, life) = restarted(slot, *kept, &mut mover);
                    let entity = commands.spawn((DomainId::of("proposal", &[&id.0]), proposed, life)).id();
                    index.0.insert(id, entity);
                    places.insert(slot);
                    continue;
                }
            }
            Some(Ok(Recalled::Proposal(slot, _))) => {
                let sentence = format!("there is no place {slot} for a proposal");
                Refused::new(Code::LimitExceeded, "recall.place", sentence)
            }
            Some(Ok(Recalled::Asked(_) | Recalled::Spending(_))) => known_already(subject),
            Some(Err(sentence)) => Refused::new(Code::MalformedEnvelope, "recall.form", sentence),
        };
        mover.show(&stamped.input.source.to_string(), &refused);
    }
}

/// After a restore nobody knows what was asked and used since the backup was made: what was asked until then is never
/// taken again, and budgets count as used up.
pub fn note_restore(
    batch: Res<TickBatch>,
    mut asked: ResMut<Asked>,
    mut spending: ResMut<Spending>,
    mut keeping: ResMut<Keeping>,
    mut mover: Mover,
) {
    for stamped in batch.iter() {
        let InputBody::Restored { at_unix_ms } = stamped.input.body else { continue };
        if stamped.input.source != SourceId::Journal {
            mover.show(&stamped.input.source.to_string(), &not_ours("its restore"));
            continue;
        }
        // The file that says so stays, so each start says it again.
        if asked.0.restored(at_unix_ms) {
            keeping.keep(kept::ASKED, canonical::encode(&asked.0));
        }
        let now_ms = mover.here.ledger_ms(&spending);
        if let Some((_, policy)) = mover.here.files()
            && spending.ledger.exhaust(&policy.budgets, at_unix_ms, now_ms)
        {
            keeping.keep(kept::SPENDING, canonical::encode(&spending.ledger));
        }
    }
}

fn not_ours(subject: &str) -> Refused {
    let sentence = format!("only the journal of this node recalls what it has kept of {subject}");
    Refused::new(Code::NotAuthorized, "recall.journal", sentence)
}

fn known_already(subject: &str) -> Refused {
    let sentence = format!("{subject} is known already, and what was kept of it earlier counts for nothing");
    Refused::new(Code::Duplicate, "recall.once", sentence)
}

/// What a guest was told, and may not have answered before this node ended, may still be carried out; also what had no known
/// outcome when its run ended before.
fn doubt(kept: &KeptProposal, mover: &Mover, actuators: &mut Query<(&Actuator, &mut Stands)>) {
    let Some((site, _)) = mover.here.files() else { return };
    let steps = &kept.proposal.steps;
    let told = match kept.state {
        State::Dispatched => steps.get(..1),
        State::Executing { step } => steps.get(usize::from(step)..=usize::from(step)),
        State::Failed { .. } | State::Cancelled { .. } if kept.was_dispatched() => Some(steps.as_slice()),
        _ => None,
    };
    // Where the time is not known, it is at least what it was before.
    let now_ms = mover.here.wall_ms().max(mover.here.settings.known_before_ms);
    let told = told.unwrap_or_default().iter().filter(|step| site.on_guests.contains(&step.actuator));
    for step in told {
        let run_for_ms = (seconds_asked(step) * 1_000.0) as u64;
        let is_over = kept.state.is_final()
            && kept.ended_before(now_ms.saturating_sub(run_for_ms.max(IN_DOUBT_MS_MIN)));
        if is_over {
            continue;
        }
        for (_, mut stands) in actuators.iter_mut().filter(|(actuator, _)| actuator.0 == step.actuator) {
            stands.leave_in_doubt(run_for_ms, mover.here.elapsed_ms());
        }
    }
}

/// What ran has an unknown outcome, what was approved is stale, what waited is simulated again.
fn restarted(slot: u8, kept: KeptProposal, mover: &mut Mover) -> (Proposed, Life) {
    // Where the time is not known it is at least what it was.
    let now_ms = mover.here.wall_ms().max(kept.last_ms().unwrap_or_default());
    let asked_ms = kept.came_ms().unwrap_or(now_ms);
    let waited_before_ms = now_ms.saturating_sub(asked_ms);
    let KeptProposal { proposal, state, story, .. } = kept;
    let begun = Life::begin(asked_ms, mover.here.elapsed_ms());
    let mut life = Life { state, story, waited_before_ms, ..begun };
    let words = match &life.state {
        state if state.is_running() => "the node started again while it ran; what has happened is unknown",
        State::Approved { .. } => {
            "the node started again before it was dispatched; it has to be approved anew"
        }
        _ => "the node started again; it is simulated anew",
    };
    let id = proposal.id();
    mover.feed((id, &proposal), &mut life, &Event::Restarted, words, None);
    (Proposed { id, slot, proposal }, life)
}
