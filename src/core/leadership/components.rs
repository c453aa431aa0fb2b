//! What a node knows of who leads, and what it takes as an owner.

use std::collections::BTreeMap;

use bevy::prelude::Resource;
use clawmesh_authority::leadership::{Activity, Claim, Fence, Leader, Leadership, Say, Term};
use clawmesh_authority::node_role::NodeRole;
use clawmesh_authority::{Code, NodeId, Refusal};
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::kept::KeptTerms;
use crate::settings::Settings;

/// Who leads, and in whose term proposals of programs are taken here.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode)]
pub struct Lead {
    /// There is none before the time is known.
    #[n(0)]
    leadership: Option<Leadership>,
    #[n(1)]
    fence: Fence,
    /// What an earlier run has left.
    #[n(2)]
    recalled: Option<KeptTerms>,
}

impl Lead {
    /// Takes over what an earlier run has left, once; false when that was done before.
    pub fn recall(&mut self, kept: KeptTerms) -> bool {
        if self.recalled.is_some() || self.terms() != KeptTerms::default() {
            return false;
        }
        self.recalled = Some(kept);
        self.fence = kept.fence;
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
        let Some(leadership) = &mut self.leadership else { return Ok(None) };
        if say.holder().is_some_and(|holder| holder != by) {
            let sentence = "a node says only of itself that it leads; look at that node";
            return Err(Refusal::new(Code::SourceMismatch, by, sentence));
        }
        match say {
            Say::Claim(claim) => {
                let answer = leadership.hear(claim, now_ms)?;
                // Whoever has led before it is not taken from now on; one that is over itself was answered.
                let _ = self.fence.admit(claim);
                Ok(self.fenced(answer))
            }
            Say::Released(claim) => {
                leadership.hear_released(claim, now_ms);
                Ok(None)
            }
            Say::Outdated(term) => {
                let answer = leadership.hear_outdated(term, now_ms);
                Ok(self.fenced(answer))
            }
        }
    }

    /// Time has passed; what to say.
    pub(super) fn pass(&mut self, now_ms: u64) -> Option<Say> {
        let say = self.leadership.as_mut()?.pass(now_ms);
        self.fenced(say)
    }

    /// What this node claims itself counts for what it owns too.
    fn fenced(&mut self, say: Option<Say>) -> Option<Say> {
        if let Some(Say::Claim(claim)) = say {
            let _ = self.fence.admit(claim);
        }
        say
    }

    /// Judges as an owner in whose name a program proposes, by the role that node gives itself.
    ///
    /// # Errors
    /// `STALE_TERM` when somebody has led after it, `NOT_AUTHORIZED` when its role does not lead, `INVALID_PARAMS` for a term
    /// from nowhere.
    pub fn admit(&mut self, claim: Claim, role: Option<NodeRole>) -> Result<(), Refusal> {
        // A role is the word of the node itself: it can take this away, and whoever has told none has lost nothing.
        if let Some(role) = role.filter(|role| role.planner_rank() == 0) {
            let sentence =
                format!("its role is {role}, which does not lead; let a planner propose, or a person");
            return Err(Refusal::new(Code::NotAuthorized, claim.holder, sentence));
        }
        self.fence.admit(claim)
    }

    /// What is to be kept.
    #[must_use]
    pub fn terms(&self) -> KeptTerms {
        let recalled = self.recalled.and_then(|kept| kept.highest_seen);
        let highest_seen = self.leadership.as_ref().map_or(recalled, Leadership::highest_seen);
        KeptTerms { highest_seen, fence: self.fence }
    }

    /// The term in which this node leads at this moment.
    #[must_use]
    pub fn leads(&self, now_ms: u64) -> Option<Term> {
        self.leadership.as_ref()?.leads(now_ms).map(|claim| claim.term)
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
