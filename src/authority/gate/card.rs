//! What was simulated and what was approved must be this, still true, and by somebody trusted.

use minicbor::Encode;

use crate::gate::live::Home;
use crate::ids::{ContentHash, NodeId, OperatorId, ProposalId};
use crate::offer::Offer;
use crate::policy::{Policy, Rule};
use crate::proposal::{Proposal, Step};
use crate::refusal::Code;
use crate::refused::Refused;
use crate::transition::Verdict;

/// What the gate must know of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedCard {
    /// The card, by its content.
    pub card: ContentHash,
    /// The proposal it is of.
    pub proposal: ProposalId,
    /// Who simulated.
    pub by: NodeId,
    /// What it says in one word.
    pub verdict: Verdict,
    /// What has changed since the fork, past the tolerance, if anything has.
    pub drift: Option<String>,
}

/// As many people as the level demands approved exactly this. Only [`crate::judgement`] makes one, and no bytes do.
#[derive(Debug, Clone, PartialEq, Encode)]
pub struct Grant {
    #[n(0)]
    site: ContentHash,
    #[n(1)]
    policy: ContentHash,
    #[n(2)]
    proposal: ProposalId,
    #[n(3)]
    card: ContentHash,
    #[n(4)]
    steps: Vec<Step>,
    #[n(5)]
    by: Vec<OperatorId>,
}

impl Grant {
    pub(crate) fn of(offer: &Offer, by: Vec<OperatorId>) -> Self {
        Self {
            site: offer.site,
            policy: offer.policy,
            proposal: offer.proposal,
            card: offer.card,
            steps: offer.steps.clone(),
            by,
        }
    }
}

/// Everybody who approved it still may: what a key has approved counts for nothing from the moment it is revoked.
pub(super) fn counts_still(grant: &Grant, home: &Home) -> Result<(), Refused> {
    grant.by.iter().try_for_each(|person| {
        home.people.may_approve(person).map(drop).map_err(|refused| {
            let sentence = format!("who approved it may not any more: {}", refused.sentence);
            Refused::new(refused.code, Rule::Approved, sentence)
        })
    })
}

/// It is a card of this proposal, by us or somebody we name, still true, and no veto.
pub(super) fn is_good(card: &SimulatedCard, proposal: &Proposal, home: &Home) -> Result<(), Refused> {
    let refuse = |code, sentence: String| Err(Refused::new(code, Rule::Simulated, sentence));
    if card.proposal != proposal.id() {
        let sentence = format!("the card is of the proposal {}; simulate this one", card.proposal.short());
        return refuse(Code::CardRequired, sentence);
    }
    if card.by != home.owner && !home.simulators.contains(&card.by) {
        let sentence = format!("the card was made by {}, whom the policy does not name", card.by.short());
        return refuse(Code::CardRequired, sentence);
    }
    if card.verdict == Verdict::Veto {
        return refuse(Code::CardVeto, "the simulation breaks a limit; the card says which".to_owned());
    }
    card.drift.as_ref().map_or(Ok(()), |drift| {
        refuse(Code::CardStale, format!("{drift} since the simulation; simulate again and ask again"))
    })
}

/// As many people as this policy wants have approved it, and nobody who may not by it.
pub(super) fn is_approved_by_enough(
    grant: &Grant,
    proposal: &Proposal,
    home: &Home,
    policy: &Policy,
) -> Result<(), Refused> {
    let needed = policy.level_of(&proposal.steps).approvals_needed();
    if grant.by.len() < needed {
        let sentence =
            format!("{needed} people have to approve it now, and {} have; propose it again", grant.by.len());
        return Err(Refused::new(Code::TwoPersonRequired, Rule::Approved, sentence));
    }
    let named = policy.approvers_of(&proposal.steps);
    if !grant.by.iter().all(|person| home.people.is_on_all(person, &named)) {
        let sentence = "whoever approved it is not among those whom the policy names now; propose it again, and ask one of those";
        return Err(Refused::new(Code::NotAuthorized, Rule::Approved, sentence));
    }
    let is_asker = |person: &OperatorId| {
        let asker = proposal.maker.mind.person();
        asker.is_some_and(|asker| home.people.is_same_person(&asker, person))
    };
    if policy.wants_others(&proposal.steps) && grant.by.iter().any(is_asker) {
        let sentence = "whoever asks may not approve it any more; propose it again, and ask somebody else";
        return Err(Refused::new(Code::SelfApproval, Rule::Approved, sentence));
    }
    Ok(())
}

/// What was approved is this proposal, with this card, under this site and policy, by people who still may.
pub(super) fn is_granted(
    grant: &Grant,
    card: &SimulatedCard,
    proposal: &Proposal,
    home: &Home,
) -> Result<(), Refused> {
    let differs = [
        ("proposal", grant.proposal != proposal.id()),
        ("card", grant.card != card.card),
        ("site", grant.site != home.site),
        ("policy", grant.policy != home.policy),
        ("set of steps", grant.steps != proposal.steps),
    ];
    let Some((what, _)) = differs.into_iter().find(|(_, differs)| *differs) else {
        return counts_still(grant, home);
    };
    let sentence = format!("another {what} was approved; ask again");
    Err(Refused::new(Code::ApprovalMismatch, Rule::Approved, sentence))
}
