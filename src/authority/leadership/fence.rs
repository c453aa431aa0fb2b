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

impl Term {
    /// The next term; none is beyond the last number there is.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The term on the way to `term` that is as far as the next one after it can be within everybody's reach.
    pub(super) fn towards(self, term: Self) -> Self {
        term.min(Self(self.0.saturating_add(TERM_JUMP_MAX - 1)))
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

/// Judges as an owner in whose name something is asked for. `highest` is the highest claim that was heard, of a node that may lead,
/// and is kept over a restart.
///
/// Two may have taken the same term where they could not hear each other. Whoever of them remains takes another one, so an owner
/// never has to choose: it goes on with the one that it has heard first.
///
/// # Errors
/// `STALE_TERM` when somebody has led after it; `BUSY` when it was not heard to lead in that term: the claim may be on its way.
pub fn admit(highest: Option<Claim>, asked: Claim) -> Result<(), Refusal> {
    match highest {
        Some(highest) if asked == highest => Ok(()),
        Some(highest) if asked.is_stale_after(&highest) => {
            let (term, holder) = (highest.term, highest.holder.short());
            let sentence =
                format!("{holder} has led in term {term}, so term {} is over; take a new one", asked.term);
            Err(Refusal::new(Code::StaleTerm, asked.holder, sentence))
        }
        _ => {
            let sentence = format!(
                "it was not heard here that {} leads in term {}; ask again when it was",
                asked.holder.short(),
                asked.term
            );
            Err(Refusal::new(Code::Busy, asked.holder, sentence))
        }
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
    fn an_owner_takes_what_the_one_asks_that_it_has_heard_lead_last() {
        let highest = Some(claim(4, 2));
        for (highest, asked, code) in [
            (highest, claim(4, 2), None),
            (highest, claim(3, 2), Some(Code::StaleTerm)),
            (highest, claim(4, 3), Some(Code::StaleTerm)),
            (highest, claim(4, 1), Some(Code::StaleTerm)),
            (highest, claim(5, 2), Some(Code::Busy)),
            (highest, claim(5, 3), Some(Code::Busy)),
            (None, claim(1, 2), Some(Code::Busy)),
            (None, claim(0, 2), Some(Code::Busy)),
        ] {
            let refused = admit(highest, asked).err().map(|refusal| refusal.code);
            assert_eq!(refused, code, "{asked:?} after {highest:?}");
        }
        let refusal = admit(highest, claim(1, 2)).unwrap_err();
        assert!(refusal.sentence.contains("so term 1 is over"), "{refusal}");
    }

    proptest! {
        #[test]
        fn a_claim_is_admitted_stale_or_unheard_and_only_the_highest_is_admitted(terms in (0_u64..4, 0_u64..4), nodes in (0_u8..3, 0_u8..3)) {
            let (highest, asked) = (claim(terms.0, nodes.0), claim(terms.1, nodes.1));
            let code = admit(Some(highest), asked).err().map(|refusal| refusal.code);
            prop_assert_eq!(code.is_none(), asked == highest);
            prop_assert_eq!(code == Some(Code::StaleTerm), asked.is_stale_after(&highest));
        }
    }
}
