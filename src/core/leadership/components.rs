//! What a node knows of who leads the planning, and whose proposals it takes as an owner.

use std::collections::BTreeMap;

use bevy::prelude::Resource;
use clawmesh_authority::leadership::{self, Activity, Claim, Leader, Leadership, Say, Term};
use clawmesh_authority::node_role::NodeRole;
use clawmesh_authority::{Code, NodeId, Refusal};
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::kept::KeptTerms;
use crate::settings::Settings;

/// Who leads the planning, and in which term.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode)]
pub struct Lead {
    /// There is none before the time is known.
    #[n(0)]
    leadership: Option<Leadership>,
    /// What an earlier run has left.
    #[n(1)]
    recalled: Option<KeptTerms>,
    /// What we have said last, while we lead.
    #[n(2)]
    said: Option<Claim>,
    /// The tick since which nobody leads.
    #[n(3)]
    leaderless_since: Option<u64>,
}

impl Lead {
    /// Takes over what an earlier run has left, once; false when that was done before.
    pub fn recall(&mut self, kept: KeptTerms) -> bool {
        if self.recalled.is_some() || self.terms() != KeptTerms::default() {
            return false;
        }
        self.recalled = Some(kept);
        // It knew less when it began to listen.
        self.leadership = None;
        true
    }

    /// Begins to listen, if it does not yet.
    pub(super) fn begin(&mut self, settings: &Settings, now_ms: u64) {
        let highest_seen = self.recalled.and_then(|kept| kept.highest_seen);
        self.leadership.get_or_insert_with(|| {
            let role = NodeRole::of_name(&settings.role);
            let mut leadership = Leadership::start(settings.node, role, highest_seen, now_ms);
            // It has said nothing yet that it could take back.
            let _ = leadership.wish(settings.plans, now_ms);
            leadership
        });
    }

    /// These nodes are there, and no others.
    pub(super) fn meet(&mut self, there: &BTreeMap<NodeId, NodeRole>) -> Vec<Refusal> {
        let Some(leadership) = &mut self.leadership else { return Vec::new() };
        let gone: Vec<NodeId> = leadership.peers().filter(|node| !there.contains_key(node)).collect();
        gone.into_iter().for_each(|node| leadership.lost(node));
        there.iter().filter_map(|(node, role)| leadership.appeared(*node, *role).err()).collect()
    }

    /// Somebody has said something; what to say to that.
    ///
    /// # Errors
    /// `SOURCE_MISMATCH` when it was said of somebody else; what [`Leadership::hear`] refuses.
    pub(super) fn hear(&mut self, by: NodeId, say: Say, now_ms: u64) -> Result<Option<Say>, Refusal> {
        of_itself(by, say)?;
        let Some(leadership) = &mut self.leadership else { return Ok(None) };
        match say {
            Say::Claim(claim) => leadership.hear(claim, now_ms),
            Say::Released(claim) => {
                leadership.hear_released(claim, now_ms);
                Ok(None)
            }
            Say::Outdated(term) => Ok(leadership.hear_outdated(term, now_ms)),
        }
    }

    /// Somebody with this role had said something to an earlier run of this node.
    ///
    /// # Errors
    /// `SOURCE_MISMATCH` when it was said of somebody else.
    pub(super) fn remember(&mut self, by: NodeId, role: NodeRole, say: Say) -> Result<(), Refusal> {
        of_itself(by, say)?;
        if let (Say::Claim(claim), Some(leadership)) = (say, &mut self.leadership)
            && role.planner_rank() > 0
        {
            leadership.remember(claim);
        }
        Ok(())
    }

    /// The same while the time is not known: it listens for as long as others do only from when it is.
    ///
    /// # Errors
    /// As [`Lead::remember`].
    pub(super) fn remember_before_it_begins(
        &mut self,
        settings: &Settings,
        by: NodeId,
        role: NodeRole,
        say: Say,
    ) -> Result<(), Refusal> {
        self.begin(settings, 0);
        let remembered = self.remember(by, role, say);
        self.recalled = Some(self.terms());
        self.leadership = None;
        remembered
    }

    /// Time has passed; what to say.
    pub(super) fn pass(&mut self, now_ms: u64) -> Option<Say> {
        self.leadership.as_mut()?.pass(now_ms)
    }

    /// What to take back: whoever comes later must not take us for the leader that we were.
    pub(super) fn take_back(&mut self, now_ms: u64) -> Option<Say> {
        let leads = self.claim(now_ms);
        let before = std::mem::replace(&mut self.said, leads);
        before.filter(|_| leads.is_none()).map(Say::Released)
    }

    /// Notes since when nobody leads, if so.
    pub(super) fn note(&mut self, tick: u64, now_ms: u64) {
        let since = self.leaderless_since.unwrap_or(tick);
        self.leaderless_since = (self.leader(now_ms) == Leader::None).then_some(since);
    }

    /// The tick since which nobody leads, where somebody did before, in this run or an earlier one.
    #[must_use]
    pub fn leaderless_since(&self) -> Option<u64> {
        self.leaderless_since.filter(|_| self.terms().highest_seen.is_some())
    }

    /// Judges as an owner in whose name a program proposes.
    ///
    /// # Errors
    /// `STALE_TERM` when somebody has led after it; `BUSY` when it was not heard here that it leads.
    pub fn admit(&self, claim: Claim) -> Result<(), Refusal> {
        leadership::admit(self.terms().highest_seen, claim)
    }

    /// What is to be kept.
    #[must_use]
    pub fn terms(&self) -> KeptTerms {
        let recalled = || self.recalled.and_then(|kept| kept.highest_seen);
        let highest_seen = self.leadership.as_ref().map_or_else(recalled, Leadership::highest_seen);
        KeptTerms { highest_seen }
    }

    fn claim(&self, now_ms: u64) -> Option<Claim> {
        self.leadership.as_ref()?.leads(now_ms)
    }

    /// The term in which this node leads at this moment.
    #[must_use]
    pub fn leads(&self, now_ms: u64) -> Option<Term> {
        self.claim(now_ms).map(|claim| claim.term)
    }

    /// Who leads at this moment.
    #[must_use]
    pub fn leader(&self, now_ms: u64) -> Leader {
        self.leadership.as_ref().map_or(Leader::None, |leadership| leadership.leader(now_ms))
    }

    /// What this node does about the planning at this moment; nothing before it knows the time.
    #[must_use]
    pub fn activity(&self, now_ms: u64) -> Activity {
        self.leadership.as_ref().map_or(Activity::Ineligible, |leadership| leadership.activity(now_ms))
    }
}

fn of_itself(by: NodeId, say: Say) -> Result<(), Refusal> {
    if say.holder().is_none_or(|holder| holder == by) {
        return Ok(());
    }
    let sentence = "a node says only of itself that it leads; look at that node";
    Err(Refusal::new(Code::SourceMismatch, by, sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_that_was_heard_before_a_start_without_the_time_counts_when_it_is_known() {
        let (settings, by) = (crate::settings::tests::settings(), NodeId([7; 32]));
        let claim = |term| Claim { term: Term(term), holder: by };
        let mut lead = Lead::default();
        let role = NodeRole::Planner;
        lead.remember_before_it_begins(&settings, by, role, Say::Claim(claim(7))).unwrap();
        assert_eq!(lead.leadership, None, "it listens from when the time is known");
        lead.begin(&settings, 5_000);
        assert_eq!(lead.admit(claim(6)).unwrap_err().code, Code::StaleTerm);
        assert!(lead.admit(claim(7)).is_ok());
    }
}
