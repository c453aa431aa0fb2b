//! What an owner asks people for: one approval of one card, under a nonce that dies.
//!
//! The [`OfferBook`] of an owner lives in memory only. It can be encoded, for the digest of a world, and no bytes become a
//! book: after a restart it is empty, and no restored database brings an offer back. It counts by the owner's own monotonic milliseconds, never by a wall clock.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::hex32;
use crate::ids::{ContentHash, MeshId, NodeId, OperatorId, ProposalId};
use crate::level::Level;
use crate::proposal::{STEPS_MAX, Step};
use crate::refusal::Code;
use crate::refused::Refused;

/// The most nonces one owner has in use.
pub const OFFERS_MAX: usize = 256;

/// The owner's request for an approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Offer {
    /// The mesh of the owner.
    #[n(0)]
    pub mesh: MeshId,
    /// The node that drives the actuators.
    #[n(1)]
    pub owner: NodeId,
    /// The site the owner has, by its content.
    #[n(2)]
    pub site: ContentHash,
    /// The policy the owner decides by, by its content.
    #[n(3)]
    pub policy: ContentHash,
    /// What was proposed.
    #[n(4)]
    pub proposal: ProposalId,
    /// The card that was simulated for it, by its content.
    #[n(5)]
    pub card: ContentHash,
    /// What makes this offer unlike every other one.
    #[n(6)]
    #[cbor(with = "minicbor::bytes")]
    #[serde(with = "hex32")]
    pub nonce: [u8; 32],
    /// How many people have to agree.
    #[n(7)]
    pub level: Level,
    /// The actuators, the operations and their limits.
    #[n(8)]
    pub steps: Vec<Step>,
    /// How long the offer lives from when it is made, milliseconds.
    #[n(9)]
    pub expires_after_ms: u64,
}

impl Offer {
    /// Says what is wrong with the content, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let steps = self.steps.len();
        if self.level.approvals_needed() == 0 {
            return Some(format!("nobody is asked at {}; an offer is for L2 or L3", self.level));
        }
        if !(1..=STEPS_MAX).contains(&steps) {
            return Some(format!("an offer has 1 to {STEPS_MAX} steps, this one has {steps}"));
        }
        (self.expires_after_ms == 0).then(|| "an offer that lives 0 ms cannot be answered".to_owned())
    }
}

/// The nonce number `counter` of one run of an owner, for one proposal. `entropy` is drawn fresh at each start.
#[must_use]
pub fn nonce_of(entropy: &[u8; 32], counter: u64, proposal: ProposalId) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(b"clawmesh|nonce|");
    hasher.update(entropy);
    hasher.update(counter.to_be_bytes());
    hasher.update(proposal.0);
    hasher.finalize().into()
}

/// An offer that is alive, and who has approved it so far.
#[derive(Debug, Clone, PartialEq, Encode)]
pub struct LiveOffer {
    /// The offer.
    #[n(0)]
    pub offer: Offer,
    /// When it dies, by the owner's monotonic clock.
    #[n(1)]
    pub dies_at_ms: u64,
    /// Who has approved it; less people than its level needs.
    #[n(2)]
    pub approved_by: Vec<OperatorId>,
}

impl LiveOffer {
    /// True when it is too late to answer.
    #[must_use]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        now_ms >= self.dies_at_ms
    }
}

/// Why a nonce is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Death {
    /// Its offer was approved or rejected.
    #[n(0)]
    Used,
    /// The stop came.
    #[n(1)]
    Stopped,
    /// Nobody answered in time.
    #[n(2)]
    Expired,
    /// The proposal was withdrawn, or what was simulated no longer holds.
    #[n(3)]
    Withdrawn,
    /// A newer nonce was drawn for the proposal.
    #[n(4)]
    Replaced,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Used => "was answered before",
            Self::Stopped => "died when the stop came",
            Self::Expired => "was not answered in time",
            Self::Withdrawn => "was withdrawn",
            Self::Replaced => "was replaced by a newer one",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Encode)]
enum Slot {
    /// Drawn for the simulation; the offer follows when there is a card.
    #[n(0)]
    Drawn(#[n(0)] ProposalId),
    #[n(1)]
    Alive(#[n(0)] Box<LiveOffer>),
}

impl Slot {
    fn proposal(&self) -> ProposalId {
        match self {
            Self::Drawn(proposal) => *proposal,
            Self::Alive(live) => live.offer.proposal,
        }
    }
}

/// The nonces of one run of one owner.
///
/// A nonce is drawn before the simulation, whose seed follows from it, and offered at most once. Each proposal has one
/// at a time.
#[derive(Clone, Encode)]
pub struct OfferBook {
    #[n(0)]
    entropy: [u8; 32],
    #[n(1)]
    drawn: u64,
    #[n(2)]
    slots: BTreeMap<[u8; 32], Slot>,
    // So that a late answer hears why it is late; without it the code would be the less helpful one, not another answer.
    #[n(3)]
    dead: VecDeque<([u8; 32], Death)>,
}

impl OfferBook {
    /// The empty book of a run that begins, with 32 bytes no earlier run had.
    #[must_use]
    pub fn new(entropy: [u8; 32]) -> Self {
        Self { entropy, drawn: 0, slots: BTreeMap::new(), dead: VecDeque::new() }
    }

    /// Draws the next nonce, for one proposal. An earlier one of the proposal dies.
    ///
    /// # Errors
    /// `BUSY` when [`OFFERS_MAX`] nonces are in use.
    pub fn draw(&mut self, proposal: ProposalId) -> Result<[u8; 32], Refused> {
        self.end(Death::Replaced, |slot| slot.proposal() == proposal);
        if self.slots.len() >= OFFERS_MAX || self.drawn == u64::MAX {
            let sentence = format!("{OFFERS_MAX} offers wait for an answer; answer some, or try again later");
            return Err(Refused::new(Code::Busy, "offer.bound", sentence));
        }
        let nonce = nonce_of(&self.entropy, self.drawn, proposal);
        self.drawn += 1;
        self.slots.insert(nonce, Slot::Drawn(proposal));
        Ok(nonce)
    }

    /// Brings an offer to life, under the nonce that was drawn for its proposal.
    ///
    /// # Errors
    /// `INVALID_PARAMS` when the offer makes no sense, or its nonce was not drawn for its proposal, is dead or offered.
    pub fn make(&mut self, offer: Offer, now_ms: u64) -> Result<(), Refused> {
        if let Some(fault) = offer.fault() {
            return Err(Refused::new(Code::InvalidParams, "offer.form", fault));
        }
        let slot = self.slots.get_mut(&offer.nonce);
        let Some(slot) = slot.filter(|slot| **slot == Slot::Drawn(offer.proposal)) else {
            return Err(Refused::new(
                Code::InvalidParams,
                "offer.nonce",
                "this nonce does not wait for an offer of this proposal; draw a new one and simulate again",
            ));
        };
        let dies_at_ms = now_ms.saturating_add(offer.expires_after_ms);
        *slot = Slot::Alive(Box::new(LiveOffer { offer, dies_at_ms, approved_by: Vec::new() }));
        Ok(())
    }

    /// The offer that lives under a nonce.
    #[must_use]
    pub fn get(&self, nonce: &[u8; 32]) -> Option<&LiveOffer> {
        match self.slots.get(nonce)? {
            Slot::Alive(live) => Some(live),
            Slot::Drawn(_) => None,
        }
    }

    /// Every offer that is alive, in order of their nonces.
    pub fn iter(&self) -> impl Iterator<Item = &LiveOffer> {
        self.slots.keys().filter_map(|nonce| self.get(nonce))
    }

    /// Why a nonce is dead; `None` for one that lives, that never was, or that died long ago.
    #[must_use]
    pub fn death_of(&self, nonce: &[u8; 32]) -> Option<Death> {
        self.dead.iter().find(|(dead, _)| dead == nonce).map(|(_, death)| *death)
    }

    /// True while a nonce is drawn or an offer lives.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Ends what was drawn or offered for a proposal.
    pub fn withdraw(&mut self, proposal: ProposalId) {
        self.end(Death::Withdrawn, |slot| slot.proposal() == proposal);
    }

    /// Ends everything: the stop came.
    pub fn stop(&mut self) {
        self.end(Death::Stopped, |_| true);
    }

    /// Ends what nobody answered in time, and names the proposals.
    pub fn expire(&mut self, now_ms: u64) -> Vec<ProposalId> {
        self.end(Death::Expired, |slot| matches!(slot, Slot::Alive(live) if live.is_expired(now_ms)))
    }

    /// Writes down that a person approved, and more are needed.
    pub(crate) fn note_approval(&mut self, nonce: &[u8; 32], person: OperatorId) {
        if let Some(Slot::Alive(live)) = self.slots.get_mut(nonce) {
            live.approved_by.push(person);
        }
    }

    /// Ends an offer that was answered.
    pub(crate) fn use_up(&mut self, nonce: &[u8; 32]) {
        self.end(Death::Used, |slot| matches!(slot, Slot::Alive(live) if live.offer.nonce == *nonce));
    }

    fn end(&mut self, death: Death, is_meant: impl Fn(&Slot) -> bool) -> Vec<ProposalId> {
        let ended: Vec<_> = self.slots.extract_if(.., |_, slot| is_meant(slot)).collect();
        self.dead.extend(ended.iter().map(|(nonce, _)| (*nonce, death)));
        self.dead.drain(..self.dead.len().saturating_sub(OFFERS_MAX));
        ended.into_iter().map(|(_, slot)| slot.proposal()).collect()
    }
}

impl fmt::Debug for OfferBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The entropy stays out: who knows it knows the nonces to come.
        f.debug_struct("OfferBook").field("drawn", &self.drawn).field("slots", &self.slots).finish()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::proposal::tests::proposal;
    use proptest::prelude::*;

    pub(crate) const NOW_MS: u64 = 10_000;
    pub(crate) const LIFE_MS: u64 = 60_000;

    /// The offer for [`proposal`], under `nonce`.
    pub(crate) fn offer(nonce: [u8; 32], level: Level) -> Offer {
        let proposal = proposal();
        Offer {
            mesh: proposal.mesh,
            owner: proposal.owner,
            site: proposal.site,
            policy: ContentHash::of("policy", b"careful"),
            proposal: proposal.id(),
            card: ContentHash::of("card", b"pass"),
            nonce,
            level,
            steps: proposal.steps,
            expires_after_ms: LIFE_MS,
        }
    }

    fn book() -> OfferBook {
        OfferBook::new([9; 32])
    }

    /// A book with one offer, made at [`NOW_MS`].
    pub(crate) fn offered(level: Level) -> (OfferBook, Offer) {
        let mut book = book();
        let offer = offer(book.draw(proposal().id()).unwrap(), level);
        book.make(offer.clone(), NOW_MS).unwrap();
        (book, offer)
    }

    fn numbered(number: usize) -> ProposalId {
        ProposalId::of_bytes(&number.to_le_bytes())
    }

    #[test]
    fn an_offer_lives_until_its_time_is_over() {
        let (mut book, offer) = offered(Level::L2);
        assert_eq!(book.get(&offer.nonce).unwrap().offer, offer);
        assert_eq!(book.expire(NOW_MS + LIFE_MS - 1), []);
        assert!(book.get(&offer.nonce).is_some());
        assert_eq!(book.expire(NOW_MS + LIFE_MS), [offer.proposal]);
        assert!(book.get(&offer.nonce).is_none());
        assert_eq!(book.death_of(&offer.nonce), Some(Death::Expired));
    }

    #[test]
    fn stop_withdrawal_use_and_a_newer_nonce_each_end_an_offer() {
        type End = fn(&mut OfferBook, &Offer);
        let ends: [(End, Death); 4] = [
            (|book, _| book.stop(), Death::Stopped),
            (|book, offer| book.withdraw(offer.proposal), Death::Withdrawn),
            (|book, offer| book.use_up(&offer.nonce), Death::Used),
            (|book, offer| drop(book.draw(offer.proposal)), Death::Replaced),
        ];
        for (end, death) in ends {
            let (mut book, offer) = offered(Level::L2);
            end(&mut book, &offer);
            assert_eq!(book.death_of(&offer.nonce), Some(death));
            assert!(book.get(&offer.nonce).is_none() && book.iter().count() == 0);
            let refused = book.make(offer, NOW_MS).unwrap_err();
            assert_eq!((refused.code, refused.rule), (Code::InvalidParams, "offer.nonce"), "{death:?}");
        }
    }

    #[test]
    fn ending_one_proposal_leaves_the_others() {
        let (mut book, offer) = offered(Level::L2);
        book.withdraw(numbered(1));
        book.use_up(&[0; 32]);
        assert!(book.get(&offer.nonce).is_some());
    }

    #[test]
    fn a_nonce_that_was_not_drawn_for_the_proposal_is_refused_and_the_drawn_one_taken() {
        let mut book = book();
        let nonce = book.draw(proposal().id()).unwrap();
        let elsewhere = book.draw(numbered(1)).unwrap();
        for wrong in [[0; 32], elsewhere] {
            let refused = book.make(offer(wrong, Level::L2), NOW_MS).unwrap_err();
            assert_eq!((refused.code, refused.rule), (Code::InvalidParams, "offer.nonce"));
        }
        assert!(book.make(offer(nonce, Level::L2), NOW_MS).is_ok());
        let again = book.make(offer(nonce, Level::L2), NOW_MS).unwrap_err();
        assert_eq!(again.rule, "offer.nonce");
    }

    #[test]
    fn an_offer_that_makes_no_sense_is_refused() {
        for (change, words) in [
            ((|offer| offer.level = Level::L1) as fn(&mut Offer), "nobody is asked at L1"),
            (|offer| offer.steps.clear(), "1 to 16 steps"),
            (|offer| offer.expires_after_ms = 0, "lives 0 ms"),
        ] {
            let mut book = book();
            let good = offer(book.draw(proposal().id()).unwrap(), Level::L2);
            let mut wrong = good.clone();
            change(&mut wrong);
            let refused = book.make(wrong, NOW_MS).unwrap_err();
            assert_eq!((refused.code, refused.rule), (Code::InvalidParams, "offer.form"));
            assert!(refused.sentence.contains(words), "{refused}");
            assert!(book.make(good, NOW_MS).is_ok());
        }
    }

    #[test]
    fn a_full_book_is_busy_until_one_offer_ends() {
        let mut book = book();
        for number in 0..OFFERS_MAX {
            book.draw(numbered(number)).unwrap();
        }
        let refused = book.draw(numbered(OFFERS_MAX)).unwrap_err();
        assert_eq!((refused.code, refused.rule), (Code::Busy, "offer.bound"));
        assert!(book.draw(numbered(0)).is_ok(), "a newer nonce takes the place of the older one");
        book.withdraw(numbered(1));
        assert!(book.draw(numbered(OFFERS_MAX)).is_ok());
    }

    #[test]
    fn a_nonce_follows_from_entropy_counter_and_proposal() {
        let nonce = nonce_of(&[9; 32], 0, numbered(0));
        let others = [
            nonce_of(&[8; 32], 0, numbered(0)),
            nonce_of(&[9; 32], 1, numbered(0)),
            nonce_of(&[9; 32], 0, numbered(1)),
        ];
        assert!(others.iter().all(|other| *other != nonce));
        assert_eq!(OfferBook::new([9; 32]).draw(numbered(0)), Ok(nonce));
    }

    #[test]
    fn debug_output_holds_no_entropy() {
        assert!(!format!("{:?}", OfferBook::new([231; 32])).contains("231"));
    }

    proptest! {
        #[test]
        fn no_nonce_is_drawn_twice_and_the_book_stays_bounded(
            acts in prop::collection::vec((0_u8..6, 0_usize..300), 0..600),
        ) {
            let (mut book, mut seen) = (book(), std::collections::BTreeSet::new());
            for (act, number) in acts {
                match act {
                    0 => book.withdraw(numbered(number)),
                    1 if number == 0 => book.stop(),
                    _ => if let Ok(nonce) = book.draw(numbered(number)) {
                        prop_assert!(seen.insert(nonce));
                    },
                }
                prop_assert!(book.slots.len() <= OFFERS_MAX && book.dead.len() <= OFFERS_MAX);
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = crate::canonical::decode::<Offer>(&bytes);
        }
    }
}
