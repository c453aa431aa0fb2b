//! Who leads the planning: a lease in a numbered term, that one node holds and the others watch.
//! Reads what other nodes claim, who comes and goes, and the milliseconds of a clock that only goes forward, all as arguments.
//! Writes what to say to everybody.
//! Invariant: terms only grow, on every node and over every restart; who cannot keep its lease stops leading before anybody
//! may follow it.
//! Not here: clocks, links, the file that keeps [`Leadership::highest_seen`], signatures of claims.
//!
//! No majority is asked for, so each part of a divided mesh has its leader; what that means for an actuator its owner decides,
//! with [`admit`]. The rules, for nodes whose claims reach everyone they are connected with, over however many links. (Two that
//! hear each other only through others may both go on: to which of them those others listen is then all that counts.)
//!
//! | when | then |
//! |---|---|
//! | a node starts | it listens for [`LEASE_MS`] before it claims |
//! | it leads | it renews every [`RENEW_MS`]; [`HOLD_MS`] after the last renewal it leads no more, whoever failed to run it |
//! | it leads and its last neighbour is lost | nobody hears it renew: it lets the lease run out, and then claims anew, alone |
//! | no claim is heard for [`LEASE_MS`] | the first of the candidates claims, each further one [`STAGGER_MS`] later |
//! | the leader is lost | the same; a link that comes back at once shall change nothing |
//! | it hears a higher term | it follows; if it led, it stands down at once |
//! | two lead in one term | the lower id goes on; the other one stands down at once |
//! | it led, and hears somebody lead in its place | it asks for a term above both until it hears one |
//! | a standby leads and a planner is there for [`SETTLE_MS`] | the planner claims; between equals nothing changes |
//! | it hears a term that is over, and follows nobody in it or a later one | it says so, and whoever leads there takes a new term |
//! | it is told again and again that its term is over | it takes a new one, at most every [`RENEW_MS`] |
//! | a candidate claims a term from nowhere | it is refused, and each time a step of nearly [`TERM_JUMP_MAX`] is taken towards it |
//! | it does not wish to lead any more | it says so, and the next one claims without waiting |
//!
//! A claim is the highest term ever seen, and one more. Two in one part lead together for no longer than [`OVERLAP_MS_MAX`], and
//! a part with a candidate is without a leader for no longer than [`CHOSEN_MS_MAX`], where of four claims in a row one arrives
//! within half a second.

mod candidate;
mod fence;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

pub use candidate::{Candidate, Leader, Rank, choose};
pub use fence::{Claim, TERM_JUMP_MAX, Term, admit};

use crate::ids::NodeId;
use crate::node_role::NodeRole;
use crate::refusal::{Code, Refusal};

/// How often a leader renews, in milliseconds.
pub const RENEW_MS: u64 = 2_000;
/// How long a leader leads without renewing, in milliseconds of its clock.
pub const HOLD_MS: u64 = 8_000;
/// How long others wait for a leader they do not hear, in milliseconds of their clocks.
pub const LEASE_MS: u64 = 10_000;
/// How much longer each further candidate waits, in milliseconds.
pub const STAGGER_MS: u64 = 1_500;
/// After how many candidates that come first all others wait alike.
pub const PLACES_MAX: u64 = 8;
/// How long a planner watches a standby lead before it takes over, in milliseconds.
pub const SETTLE_MS: u64 = 15_000;
/// How far a clock may be from the right rate, in thousandths.
pub const CLOCK_RATE_PER_MILLE_MAX: u64 = 50;
/// How long two may lead in one part of the mesh, in milliseconds: until one of four claims arrives, and whoever hears of it has
/// led for a renewal.
pub const OVERLAP_MS_MAX: u64 = 5 * RENEW_MS;
/// How long a part of the mesh with a candidate may be without a leader, in milliseconds.
pub const CHOSEN_MS_MAX: u64 = LEASE_MS + PLACES_MAX * STAGGER_MS + OVERLAP_MS_MAX;
/// The most nodes that are known to be there.
pub const PEERS_MAX: usize = 1_024;

const _: () = assert!(
    HOLD_MS * (1_000 + CLOCK_RATE_PER_MILLE_MAX) < LEASE_MS * (1_000 - CLOCK_RATE_PER_MILLE_MAX),
    "a slow clock must end its lease before a fast one takes it for over"
);

/// What to say to every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Say {
    /// We lead. Store [`Leadership::highest_seen`] before this is sent.
    #[n(0)]
    Claim(#[n(0)] Claim),
    /// We have led, and do no more.
    #[n(1)]
    Released(#[n(0)] Claim),
    /// This term is over, and so is every lower one: whoever leads in one of them takes a new one.
    #[n(2)]
    Outdated(#[n(0)] Term),
}

/// What a node does about the planning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Its role does not lead, or it does not wish to.
    Ineligible,
    /// It leads.
    Active,
    /// It would.
    Standby,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode)]
struct Lease {
    #[n(0)]
    claim: Claim,
    /// When it was last heard, or said.
    #[n(1)]
    renewed_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Nobody leads; from this moment on somebody may.
    #[n(0)]
    Free {
        #[n(0)]
        from_ms: u64,
    },
    /// Somebody does, or did until now; it may be ourselves, before our lease ran out.
    #[n(1)]
    Following(#[n(0)] Lease),
    /// We do.
    #[n(2)]
    Leading(#[n(0)] Tenure),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode)]
struct Tenure {
    #[n(0)]
    lease: Lease,
    /// Somebody was there to hear a claim of it.
    #[n(1)]
    is_heard: bool,
    /// When it began.
    #[n(2)]
    began_ms: u64,
}

/// What whoever leads after us has still to do, so that all we did and all they did before they knew of us is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode)]
#[serde(rename_all = "snake_case")]
enum Succession {
    #[n(0)]
    Settled,
    /// To take a term above the first one that we hear.
    #[n(1)]
    AboveNext,
    /// To take a term above this one.
    #[n(2)]
    Above(#[n(0)] Term),
}

/// Who leads, as one node knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode)]
pub struct Leadership {
    #[n(0)]
    own_id: NodeId,
    #[n(1)]
    own: Option<Candidate>,
    #[n(2)]
    is_willing: bool,
    #[n(3)]
    highest_seen: Option<Claim>,
    #[n(4)]
    peers: BTreeMap<NodeId, NodeRole>,
    #[n(5)]
    state: State,
    #[n(6)]
    succession: Succession,
    /// Since when a leader of a lower rank than ours is all there is.
    #[n(7)]
    outranks_from_ms: Option<u64>,
}

impl Say {
    /// The node that may say this; anybody may say that a term is over.
    #[must_use]
    pub fn holder(&self) -> Option<NodeId> {
        match self {
            Self::Claim(claim) | Self::Released(claim) => Some(claim.holder),
            Self::Outdated(_) => None,
        }
    }
}

impl Lease {
    fn is_live(&self, now_ms: u64) -> bool {
        now_ms < self.renewed_ms.saturating_add(LEASE_MS)
    }

    fn is_held(&self, now_ms: u64) -> bool {
        now_ms < self.renewed_ms.saturating_add(HOLD_MS)
    }
}

impl Leadership {
    /// Starts at `now_ms`, with what [`Leadership::highest_seen`] was before, and willing to lead if the role may.
    #[must_use]
    pub fn start(own_id: NodeId, role: NodeRole, highest_seen: Option<Claim>, now_ms: u64) -> Self {
        Self {
            own_id,
            own: Candidate::new(own_id, role),
            is_willing: true,
            highest_seen,
            peers: BTreeMap::new(),
            state: State::Free { from_ms: now_ms.saturating_add(LEASE_MS) },
            succession: Succession::Settled,
            outranks_from_ms: None,
        }
    }

    /// A node is there, or has another role than before.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` beyond [`PEERS_MAX`]; `INVALID_PARAMS` for our own id.
    pub fn appeared(&mut self, node: NodeId, role: NodeRole) -> Result<(), Refusal> {
        if node == self.own_id {
            let sentence = "that is this node itself; look for a second one with its key";
            return Err(Refusal::new(Code::InvalidParams, node, sentence));
        }
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&node) {
            let sentence = format!("{PEERS_MAX} nodes are there already, this one cannot lead here");
            return Err(Refusal::new(Code::LimitExceeded, node, sentence));
        }
        self.peers.insert(node, role);
        Ok(())
    }

    /// The nodes that are there, by id.
    pub fn peers(&self) -> impl Iterator<Item = NodeId> {
        self.peers.keys().copied()
    }

    /// A node is there no more. If it led, its lease runs out as ever: it may be the link that was lost for a moment.
    pub fn lost(&mut self, node: NodeId) {
        self.peers.remove(&node);
    }

    /// Whether we wish to lead, where our role may; who does not any more says so.
    pub fn wish(&mut self, is_willing: bool, now_ms: u64) -> Option<Say> {
        self.lapse(now_ms);
        self.is_willing = is_willing;
        let State::Leading(tenure) = &self.state else { return None };
        if is_willing {
            return None;
        }
        let claim = tenure.lease.claim;
        self.state = State::Free { from_ms: now_ms };
        Some(Say::Released(claim))
    }

    /// Somebody says that it leads; its signature has been checked.
    ///
    /// # Errors
    /// `NOT_AUTHORIZED` when it is not there or may not lead: nothing changes then. `INVALID_PARAMS` for a term from nowhere: we
    /// may have been away for long, or somebody uses up the numbers; so we follow in steps, and who leads now leads on.
    pub fn hear(&mut self, claim: Claim, now_ms: u64) -> Result<Option<Say>, Refusal> {
        self.lapse(now_ms);
        if let Err(refusal) = self.highest_term().within_reach(claim) {
            if self.candidate(claim.holder).is_some() {
                let term = self.highest_term().towards(claim.term);
                self.highest_seen = Some(Claim { term, holder: claim.holder });
            }
            return Err(refusal);
        }
        if claim.holder == self.own_id && claim.term <= self.highest_term() {
            return Ok(None);
        }
        if claim.holder == self.own_id {
            // We have said it in an earlier run, and what we stored of it was lost.
            self.highest_seen = Some(claim);
            return Ok(self.hear_outdated(claim.term, now_ms));
        }
        if self.candidate(claim.holder).is_none() {
            let sentence =
                "it is not there, or its role does not lead; only planners and standby planners do";
            return Err(Refusal::new(Code::NotAuthorized, claim.holder, sentence));
        }
        let is_over = self.highest_seen.is_some_and(|highest| claim.is_stale_after(&highest));
        if let State::Leading(tenure) = &self.state {
            let own = tenure.lease.claim;
            if own.beats(&claim) {
                return Ok(Some(Say::Claim(own)));
            }
            // Of two in one term the other one goes on, and is given the time to take a new term.
            self.state = State::Free { from_ms: now_ms.saturating_add(LEASE_MS) };
            self.succession = Succession::Above(claim.term);
        }
        if is_over {
            return Ok(self.object(claim, now_ms));
        }
        self.highest_seen = Some(claim);
        self.state = State::Following(Lease { claim, renewed_ms: now_ms });
        Ok(self.succeeded_by(claim))
    }

    /// Somebody who may lead has said, in a run of ours that is over, that it leads: its lease is over too, its term is not free.
    pub fn remember(&mut self, claim: Claim) {
        let is_news = self.highest_seen.is_none_or(|highest| !claim.is_stale_after(&highest));
        if is_news && self.highest_term().reaches(claim.term) {
            self.highest_seen = Some(claim);
        }
    }

    /// Somebody says that it leads no more.
    pub fn hear_released(&mut self, claim: Claim, now_ms: u64) {
        if let State::Following(lease) = &self.state
            && lease.claim == claim
        {
            self.state = State::Free { from_ms: now_ms };
        }
    }

    /// Somebody says that this term is over; if we lead in it or in a lower one, we take another, unless we have just taken one:
    /// whoever objects does so at each renewal. Towards a term from nowhere we go in steps, so that everybody can follow.
    pub fn hear_outdated(&mut self, term: Term, now_ms: u64) -> Option<Say> {
        self.lapse(now_ms);
        let highest = self.highest_term();
        let State::Leading(tenure) = &self.state else { return None };
        let has_settled = now_ms >= tenure.began_ms.saturating_add(RENEW_MS);
        let must_rise = tenure.lease.claim.term <= term;
        (must_rise && has_settled).then(|| self.claim_above(highest.max(highest.towards(term)), now_ms))
    }

    /// Time has passed. Call it after whatever was heard, and a few times for each [`RENEW_MS`].
    pub fn pass(&mut self, now_ms: u64) -> Option<Say> {
        self.lapse(now_ms);
        let is_alone = self.peers.is_empty();
        let State::Leading(tenure) = &mut self.state else { return self.claim_if_due(now_ms) };
        // What nobody hears renews nothing: the others may have chosen somebody else by now.
        let can_renew = !is_alone || !tenure.is_heard;
        if !can_renew || now_ms < tenure.lease.renewed_ms.saturating_add(RENEW_MS) {
            return None;
        }
        tenure.lease.renewed_ms = now_ms;
        tenure.is_heard |= !is_alone;
        Some(Say::Claim(tenure.lease.claim))
    }

    /// The claim under which we lead at this moment; what is asked for in our name carries it.
    #[must_use]
    pub fn leads(&self, now_ms: u64) -> Option<Claim> {
        match &self.state {
            State::Leading(tenure) => tenure.lease.is_held(now_ms).then_some(tenure.lease.claim),
            State::Free { .. } | State::Following(_) => None,
        }
    }

    /// Who leads at this moment; nobody, when the one who does cannot be reached.
    #[must_use]
    pub fn leader(&self, now_ms: u64) -> Leader {
        match &self.state {
            State::Leading(_) if self.leads(now_ms).is_some() => Leader::Local,
            State::Following(lease) if lease.is_live(now_ms) => {
                self.candidate(lease.claim.holder).map_or(Leader::None, Leader::Peer)
            }
            _ => Leader::None,
        }
    }

    /// What we do about the planning at this moment.
    #[must_use]
    pub fn activity(&self, now_ms: u64) -> Activity {
        match (self.own.filter(|_| self.is_willing), self.leads(now_ms)) {
            (None, _) => Activity::Ineligible,
            (Some(_), Some(_)) => Activity::Active,
            (Some(_), None) => Activity::Standby,
        }
    }

    /// The highest claim ever seen, ours included; give it back at the next start.
    #[must_use]
    pub fn highest_seen(&self) -> Option<Claim> {
        self.highest_seen
    }

    fn candidate(&self, node: NodeId) -> Option<Candidate> {
        Candidate::new(node, *self.peers.get(&node)?)
    }

    fn highest_term(&self) -> Term {
        self.highest_seen.map_or_else(Term::default, |highest| highest.term)
    }

    /// Stops leading when our lease has run out; for ourselves it counts as that of anybody else then.
    fn lapse(&mut self, now_ms: u64) {
        if let State::Leading(tenure) = &self.state
            && !tenure.lease.is_held(now_ms)
        {
            self.state = State::Following(tenure.lease);
            self.succession = Succession::AboveNext;
        }
    }

    /// What to say to whoever leads in our place.
    fn succeeded_by(&mut self, claim: Claim) -> Option<Say> {
        let above = match self.succession {
            Succession::Settled => return None,
            Succession::AboveNext => claim.term,
            Succession::Above(term) => term,
        };
        let is_settled = claim.term > above;
        self.succession = if is_settled { Succession::Settled } else { Succession::Above(above) };
        (!is_settled).then_some(Say::Outdated(above))
    }

    /// What to say to a claim that is stale: nothing when its holder hears it from a better leader anyway.
    fn object(&self, claim: Claim, now_ms: u64) -> Option<Say> {
        // Of two in one term one is as good as the other here: where they hear each other they settle it.
        let is_led = matches!(&self.state, State::Following(lease)
            if lease.is_live(now_ms) && lease.claim.term >= claim.term);
        (!is_led).then(|| Say::Outdated(self.highest_term()))
    }

    fn claim_above(&mut self, term: Term, now_ms: u64) -> Say {
        let claim = Claim { term: term.next(), holder: self.own_id };
        let lease = Lease { claim, renewed_ms: now_ms };
        self.state = State::Leading(Tenure { lease, is_heard: !self.peers.is_empty(), began_ms: now_ms });
        self.highest_seen = Some(claim);
        self.succession = Succession::Settled;
        self.outranks_from_ms = None;
        Say::Claim(claim)
    }

    fn claim_if_due(&mut self, now_ms: u64) -> Option<Say> {
        let own = self.own.filter(|_| self.is_willing)?;
        let candidates = self.peers.iter().filter_map(|(node, role)| Candidate::new(*node, *role));
        let before_us = candidates.filter(|peer| peer.precedes(&own)).count();
        let stagger_ms = PLACES_MAX.min(before_us as u64) * STAGGER_MS;
        let free_from_ms = match &self.state {
            State::Free { from_ms } => *from_ms,
            State::Following(lease) => lease.renewed_ms.saturating_add(LEASE_MS),
            State::Leading(_) => return None,
        };
        let leader_rank = match self.leader(now_ms) {
            Leader::Peer(leader) => Some(leader.rank()),
            Leader::None | Leader::Local => None,
        };
        self.outranks_from_ms = match leader_rank.is_some_and(|rank| rank < own.rank()) {
            true => self.outranks_from_ms.or(Some(now_ms)),
            false => None,
        };
        let settled_ms = self.outranks_from_ms.map(|from_ms| from_ms.saturating_add(SETTLE_MS));
        let due_ms = settled_ms.map_or(free_from_ms, |settled_ms| settled_ms.min(free_from_ms));
        let is_due = now_ms >= due_ms.saturating_add(stagger_ms);
        is_due.then(|| self.claim_above(self.highest_term(), now_ms))
    }
}
