//! What earlier runs left: each proposal in its place, as a restart leaves it.

use bevy::prelude::*;
use clawmesh_authority::Code;
use clawmesh_authority::report::SLOTS;
use clawmesh_authority::transition::{Event, State};

use super::shared::Mover;
use crate::intake::{InputBody, TickBatch};
use crate::proposals::components::{Asked, Life, ProposalIndex, Proposed, Spending};
use crate::proposals::kept::{KeptProposal, Recalled, read};
use crate::replay::DomainId;

pub fn recall(
    batch: Res<TickBatch>,
    mut asked: ResMut<Asked>,
    mut spending: ResMut<Spending>,
    mut index: ResMut<ProposalIndex>,
    mut mover: Mover,
    mut commands: Commands,
) {
    for stamped in batch.iter() {
        let InputBody::Recalled { subject, bytes } = &stamped.input.body else { continue };
        match read(subject, bytes) {
            None => {}
            Some(Ok(Recalled::Asked(marks))) => asked.0 = marks,
            Some(Ok(Recalled::Spending(ledger))) => spending.0 = ledger,
            Some(Ok(Recalled::Proposal(slot, kept))) if slot < SLOTS => {
                let (proposed, life) = restarted(slot, *kept, &mut mover);
                let id = proposed.id;
                let entity = commands.spawn((DomainId::of("proposal", &[&id.0]), proposed, life)).id();
                index.0.insert(id, entity);
            }
            Some(Ok(Recalled::Proposal(slot, _))) => {
                let sentence = format!("there is no place {slot} for a proposal");
                mover.note(Code::LimitExceeded, sentence);
            }
            Some(Err(sentence)) => {
                mover.note(Code::MalformedEnvelope, sentence);
            }
        }
    }
}

/// What ran has an unknown outcome, what was approved is stale, what waited is simulated again.
fn restarted(slot: u8, kept: KeptProposal, mover: &mut Mover) -> (Proposed, Life) {
    let KeptProposal { proposal, state, story } = kept;
    let mut life = Life { state, story, is_news: true };
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
