//! What the home of a proposal shows of it, and what other nodes keep of that.

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use clawmesh_authority::gate;
use clawmesh_authority::reading::bounded;
use clawmesh_authority::transition::State;
use clawmesh_authority::{Code, Frame, ProposalId, ProposalReport};

use super::now::Now;
use super::shared::Due;
use crate::clock::Tick;
use crate::mesh::ProposalReported;
use crate::proposals::components::{
    CardHeld, Copied, CopyIndex, CopyOf, Desk, Forked, Life, ProposalIndex, Proposed,
};
use crate::publish::FrameDue;
use crate::replay::DomainId;
use crate::safety::Refused;
use crate::site::Site;

/// The most copies one node keeps.
const COPIES_MAX: usize = 4_096;

/// The proposals whose home is here, to be shown.
#[derive(SystemParam)]
pub struct OwnProposals<'w, 's> {
    desk: Res<'w, Desk>,
    site: Res<'w, Site>,
    now: Res<'w, Now>,
    proposals:
        Query<'w, 's, (&'static Proposed, &'static Life, Option<&'static CardHeld>, Option<&'static Forked>)>,
}

impl OwnProposals<'_, '_> {
    /// All of them, by their places.
    #[must_use]
    pub fn reports(&self) -> Vec<ProposalReport> {
        self.reports_of(|_| true)
    }

    /// For how long its offer lives yet, milliseconds, if people are asked.
    #[must_use]
    pub fn dies_in_ms(&self, id: &ProposalId, elapsed_ms: u64) -> Option<u64> {
        let live = self.desk.0.iter().find(|live| live.offer.proposal == *id)?;
        Some(live.dies_at_ms.saturating_sub(elapsed_ms))
    }

    /// Why nobody may say yes to it now.
    fn blocked(&self, proposed: &Proposed, life: &Life) -> Option<String> {
        let State::AwaitingApproval { .. } = life.state else { return None };
        let policy = self.site.0.as_ref()?.policy.as_ref()?;
        let refused = gate::may_be_answered(&proposed.proposal, policy, &self.now.live).err()?;
        Some(bounded(refused.sentence))
    }

    fn reports_of(&self, is_meant: impl Fn(u8) -> bool) -> Vec<ProposalReport> {
        let meant = self.proposals.iter().filter(|(proposed, ..)| is_meant(proposed.slot));
        let mut reports: Vec<ProposalReport> =
            meant.map(|(proposed, life, card, forked)| self.report(proposed, life, card, forked)).collect();
        reports.sort_by_key(|report| report.slot);
        reports
    }

    fn report(
        &self,
        proposed: &Proposed,
        life: &Life,
        card: Option<&CardHeld>,
        forked: Option<&Forked>,
    ) -> ProposalReport {
        let live = forked.and_then(|forked| self.desk.0.get(&forked.nonce));
        let Proposed { id, slot, proposal } = proposed;
        ProposalReport {
            slot: *slot,
            id: *id,
            maker: proposal.maker.clone(),
            steps: proposal.steps.clone(),
            reason: proposal.reason.clone(),
            made: proposal.made,
            state: life.state.clone(),
            story: life.story.clone(),
            card: card.map(|card| card.bytes.clone()),
            offer: live.map(|live| live.offer.clone()),
            approved_by: live.map(|live| live.approved_by.clone()).unwrap_or_default(),
            blocked: self.blocked(proposed, life),
        }
    }
}

/// Tells the other nodes what has changed.
pub fn report_changes(own: OwnProposals, mut due: ResMut<Due>, mut frames: MessageWriter<FrameDue>) {
    if due.told.is_empty() {
        return;
    }
    let slots = std::mem::take(&mut due.told);
    let reports = own.reports_of(|slot| slots.contains(&slot)).into_iter();
    frames.write_batch(reports.map(|report| FrameDue(Frame::Proposal(Box::new(report)))));
}

/// What to say of a proposal for something of ours whose home takes itself for the owner.
fn claim(report: &ProposalReport, site: &Site) -> Option<String> {
    let own = &site.0.as_ref()?.home.actuators;
    let claimed = report.steps.iter().find(|step| own.contains(&step.actuator))?;
    let (id, actuator) = (report.id.short(), &claimed.actuator);
    Some(format!("it has a proposal {id} for {actuator}, which is ours; give both nodes the same site file"))
}

/// Keeps the newest that each home has said of each of its places.
pub fn keep_copies(
    tick: Res<Tick>,
    mut reported: MessageReader<ProposalReported>,
    mut index: ResMut<CopyIndex>,
    mut copies: Query<&mut Copied>,
    mut refused: MessageWriter<Refused>,
    site: Res<Site>,
    mut commands: Commands,
) {
    let mut new: std::collections::BTreeMap<CopyOf, Copied> = std::collections::BTreeMap::new();
    for ProposalReported { home, report, hlc } in reported.read() {
        if let Some(sentence) = claim(report, &site) {
            refused.write(Refused::once(Code::AmbiguousOwner, home, sentence));
        }
        let of = CopyOf { home: *home, slot: report.slot };
        let said = Copied { report: report.clone(), hlc: *hlc, received_tick: tick.0 };
        if let Some(mut copied) = index.0.get(&of).and_then(|entity| copies.get_mut(*entity).ok()) {
            if copied.hlc < said.hlc {
                *copied = said;
            }
        } else if index.0.len() + new.len() >= COPIES_MAX && !new.contains_key(&of) {
            let sentence = format!("this node keeps {COPIES_MAX} proposals of others already");
            refused.write(Refused::once(Code::LimitExceeded, home, sentence));
        } else if new.get(&of).is_none_or(|earlier| earlier.hlc < said.hlc) {
            new.insert(of, said);
        }
    }
    for (of, copied) in new {
        let domain = DomainId::of("copy", &[&of.home.0, &[of.slot]]);
        let entity = commands.spawn((of, copied, domain)).id();
        index.0.insert(of, entity);
    }
}

/// Knows the entity of every proposal, also of those that a test puts there.
pub fn index_proposal(
    added: On<Insert, Proposed>,
    proposed: Query<&Proposed>,
    mut index: ResMut<ProposalIndex>,
) -> Result {
    let proposed = proposed.get(added.entity)?;
    index.0.insert(proposed.id, added.entity);
    Ok(())
}

/// Forgets a proposal that gave its place to another.
pub fn unindex_proposal(
    removed: On<Discard, Proposed>,
    proposed: Query<&Proposed>,
    mut index: ResMut<ProposalIndex>,
) -> Result {
    let proposed = proposed.get(removed.entity)?;
    index.0.remove(&proposed.id);
    Ok(())
}
