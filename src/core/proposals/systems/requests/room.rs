//! Whether there is a place for one more proposal, and whether it asks for something new.

use std::collections::BTreeSet;

use clawmesh_authority::report::SLOTS;
use clawmesh_authority::transition::State;
use clawmesh_authority::{Code, Maker, Mind, Proposal, ProposalId, Refused, Step};

use super::{Asker, Office};
use crate::proposals::components::{Life, OPEN_MAX, Proposed};
use crate::proposals::ledger::seconds_asked;

/// The most proposals that one maker may bring within a minute.
const PER_MINUTE_MAX: usize = 12;
/// The most open proposals of one maker, so that nobody takes the places of all others.
const OPEN_OF_ONE_MAX: usize = 12;
/// For how long a veto stands against the same, milliseconds.
const VETO_STANDS_MS: u64 = 3_600_000;

impl Office<'_, '_> {
    pub(super) fn has_room(
        &self,
        proposal: &Proposal,
        (id, instead_of): (ProposalId, Option<ProposalId>),
        new: &[(Proposed, Life)],
    ) -> Result<(), Refused> {
        let refuse = |code, rule, sentence: String| Err(Refused::new(code, rule, sentence));
        let all = || self.cases.iter().chain(new.iter().map(|(proposed, life)| (proposed, life)));
        if let Some((known, _)) = all().find(|(known, _)| known.id == id) {
            return refuse(Code::Duplicate, "proposal.once", format!("{} is here already", known.id.short()));
        }
        let stays = |known: &Proposed, life: &Life| !life.state.is_final() && Some(known.id) != instead_of;
        let open = || all().filter(|(known, life)| stays(known, life));
        if let Some((same, _)) = open().find(|(known, _)| known.proposal.steps == proposal.steps) {
            let sentence =
                format!("{} asks for the same and has not ended; look at that one", same.id.short());
            return refuse(Code::Duplicate, "proposal.same_steps", sentence);
        }
        if open().count() >= OPEN_MAX {
            let sentence = format!("{OPEN_MAX} proposals are open; answer some of them, then propose again");
            return refuse(Code::Busy, "proposal.bound", sentence);
        }
        let since_ms = self.mover.here.wall_ms().saturating_sub(60_000);
        let is_lately = |life: &Life| life.story.first().is_some_and(|entry| entry.at_ms >= since_ms);
        let of = signer(&proposal.maker);
        let lately = all().filter(|(known, life)| signer(&known.proposal.maker) == of && is_lately(life));
        if lately.count() >= PER_MINUTE_MAX {
            let sentence = format!("{PER_MINUTE_MAX} proposals of one maker within a minute; wait a minute");
            return refuse(Code::RateLimited, "proposal.rate", sentence);
        }
        if open().filter(|(known, _)| signer(&known.proposal.maker) == of).count() >= OPEN_OF_ONE_MAX {
            let sentence = format!(
                "{OPEN_OF_ONE_MAX} proposals of this maker are open, and the other places are for others; answer or call off some \
                 of them"
            );
            return refuse(Code::Busy, "proposal.share", sentence);
        }
        self.was_not_vetoed(proposal, all())
    }

    /// What the twin has said no to is not asked for again and again until it says yes: each proposal draws a seed of its own.
    fn was_not_vetoed<'a>(
        &self,
        proposal: &Proposal,
        mut all: impl Iterator<Item = (&'a Proposed, &'a Life)>,
    ) -> Result<(), Refused> {
        let now_ms = self.mover.here.wall_ms();
        let is_vetoed = |(known, life): &(&Proposed, &Life)| {
            let lately = life.story.last().is_some_and(|entry| now_ms < entry.at_ms + VETO_STANDS_MS);
            life.state == State::Vetoed && lately && asks_for_no_less(proposal, &known.proposal)
        };
        let Some((vetoed, _)) = all.find(is_vetoed) else { return Ok(()) };
        let sentence = format!(
            "the twin has said no to the same, {}, within {} minutes; ask for at most nine tenths of its time, or for something else",
            vetoed.id.short(),
            VETO_STANDS_MS / 60_000
        );
        Err(Refused::new(Code::CardVeto, "proposal.vetoed", sentence))
    }

    /// The lowest place that is free, or the one of the proposal that ended longest ago.
    pub(super) fn free_slot(&mut self, new: &[(Proposed, Life)]) -> Result<u8, Refused> {
        let taken: BTreeSet<u8> = self
            .cases
            .iter()
            .map(|(known, _)| known.slot)
            .chain(new.iter().map(|(known, _)| known.slot))
            .collect();
        if let Some(free) = (0..SLOTS).find(|slot| !taken.contains(slot)) {
            return Ok(free);
        }
        let ended = self.cases.iter().filter(|(known, life)| {
            life.state.is_final() && !new.iter().any(|(other, _)| other.slot == known.slot)
        });
        let last_ms = |life: &Life| life.story.last().map_or(0, |entry| entry.at_ms);
        let oldest = ended.map(|(known, life)| (last_ms(life), known.slot, known.id)).min();
        let Some((_, slot, id)) = oldest else {
            let sentence = "every place is taken by a proposal that is open; answer some of them";
            return Err(Refused::new(Code::Busy, "proposal.bound", sentence));
        };
        if let Some(entity) = self.index.0.remove(&id) {
            self.commands.entity(entity).despawn();
        }
        Ok(slot)
    }
}

/// Whose key signs what this maker makes; names of programs and the nodes people write down are quickly made up.
fn signer(maker: &Maker) -> Asker {
    match maker.mind {
        Mind::Operator(person) => Asker::Person(person),
        Mind::Utility { .. } | Mind::Model { .. } => Asker::Node(maker.node),
    }
}

/// True for the same operations of the same actuators, none of them for clearly less time.
fn asks_for_no_less(asked: &Proposal, vetoed: &Proposal) -> bool {
    let is_same = |(now, then): (&Step, &Step)| {
        (&now.actuator, &now.operation) == (&then.actuator, &then.operation)
            && seconds_asked(now) >= 0.9 * seconds_asked(then)
    };
    asked.steps.len() == vetoed.steps.len() && asked.steps.iter().zip(&vetoed.steps).all(is_same)
}
