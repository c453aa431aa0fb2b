//! Terms, and what an owner of actuators checks them with.

use std::cmp::Reverse;
use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::ids::NodeId;
use crate::refusal::{Code, Refusal};

/// How far a term may be above all we have seen. One that is further is a mistake or a lie, and whoever believed it would use up
/// the numbers; a mesh that has chosen a leader every second for a century is still within it.
pub const TERM_JUMP_MAX: u64 = 1 << 32;

/// The number of a leadership. It only grows, on every node and over every restart.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, Encode, Decode,
)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct Term(#[n(0)] pub u64);

/// Somebody leads, in a term. What a leader asks for says so too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
pub struct Claim {
    /// In which term.
    #[n(0)]
    pub term: Term,
    /// Who.
    #[n(1)]
    pub holder: NodeId,
}

/// What an owner accepts: the highest term it has seen, from the one node that it has seen lead in it.
///
/// Two may have taken the same term where they could not hear each other. Whoever of them remains takes another one, so an owner
/// never has to choose.
///
/// Keep it over a restart, and store it before anything is done in its term. It does not know who may lead: show it only claims
/// whose signer you have checked, with [`Candidate::new`](super::Candidate::new).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Fence {
    #[n(0)]
    highest: Option<Claim>,
}

impl Term {
    /// The next term; none is beyond the last number there is.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// True when `term` is no further than [`TERM_JUMP_MAX`] above this one.
    pub(super) fn reaches(self, term: Self) -> bool {
        term.0.saturating_sub(self.0) <= TERM_JUMP_MAX
    }

    /// Refuses a term that is further than [`TERM_JUMP_MAX`] above this one.
    pub(super) fn within_reach(self, claim: Claim) -> Result<(), Refusal> {
        if self.reaches(claim.term) {
            return Ok(());
        }
        let sentence =
            format!("term {} is far beyond the highest we know, {}; look at that node", claim.term, self);
        Err(Refusal::new(Code::InvalidParams, claim.holder, sentence))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Claim {
    /// True when its holder goes on and that of `other` stands down: a higher term, or the same term and a lower id.
    #[must_use]
    pub fn beats(&self, other: &Self) -> bool {
        let order = |claim: &Self| (claim.term, Reverse(claim.holder));
        order(self) > order(other)
    }

    /// True when nobody who has seen `highest` may take it: a lower term, or the term of somebody else.
    #[must_use]
    pub fn is_stale_after(&self, highest: &Self) -> bool {
        self.term <= highest.term && self != highest
    }
}

impl Fence {
    /// Judges in whose name something is asked for, and remembers it when it counts.
    ///
    /// # Errors
    /// `STALE_TERM` when somebody has led after it; `INVALID_PARAMS` for a term from nowhere.
    pub fn admit(&mut self, claim: Claim) -> Result<(), Refusal> {
        self.highest.map_or_else(Term::default, |highest| highest.term).within_reach(claim)?;
        if let Some(highest) = self.highest.filter(|highest| claim.is_stale_after(highest)) {
            let (term, holder) = (highest.term, highest.holder.short());
            let sentence =
                format!("{holder} has led in term {term}, so term {} is over; take a new one", claim.term);
            return Err(Refusal::new(Code::StaleTerm, claim.holder, sentence));
        }
        self.highest = Some(claim);
        Ok(())
    }

    /// The highest claim it has seen; whoever was refused gives its term to
    /// [`Leadership::hear_outdated`](super::Leadership::hear_outdated).
    #[must_use]
    pub fn highest(&self) -> Option<Claim> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn claim(term: u64, holder: u8) -> Claim {
        Claim { term: Term(term), holder: NodeId([holder; 32]) }
    }

    #[test]
    fn a_fence_goes_up_and_never_down() {
        let mut fence = Fence::default();
        for (term, holder, code) in [
            (4, 2, None),
            (4, 2, None),
            (3, 2, Some(Code::StaleTerm)),
            (4, 3, Some(Code::StaleTerm)),
            (4, 1, Some(Code::StaleTerm)),
            (5, 3, None),
            (4, 2, Some(Code::StaleTerm)),
            (4, 1, Some(Code::StaleTerm)),
            (6 + TERM_JUMP_MAX, 1, Some(Code::InvalidParams)),
            (5 + TERM_JUMP_MAX, 1, None),
        ] {
            let refused = fence.admit(claim(term, holder)).err().map(|refusal| refusal.code);
            assert_eq!(refused, code, "term {term} of {holder}");
        }
        let refusal = fence.admit(claim(1, 2)).unwrap_err();
        assert!(refusal.sentence.contains("so term 1 is over"), "{refusal}");
    }

    #[test]
    fn a_fence_is_the_same_after_a_restart() {
        let mut fence = Fence::default();
        fence.admit(claim(4, 2)).unwrap();
        let stored = minicbor::to_vec(fence).unwrap();
        let mut restored: Fence = minicbor::decode(&stored).unwrap();
        assert_eq!(restored.admit(claim(4, 3)).unwrap_err().code, Code::StaleTerm);
        assert_eq!(restored.highest(), Some(claim(4, 2)));
    }

    proptest! {
        #[test]
        fn whoever_was_followed_by_another_is_never_accepted_again(said in prop::collection::vec((0_u64..6, 0_u8..4), 0..60)) {
            let (mut fence, mut accepted) = (Fence::default(), Vec::<Claim>::new());
            for (term, holder) in said {
                let claim = claim(term, holder);
                if fence.admit(claim).is_ok() {
                    accepted.push(claim);
                }
            }
            prop_assert!(accepted.is_sorted_by(|a, b| a == b || a.term < b.term));
        }
    }
}
