//! What a signed approval is worth to the owner who asked for it.
//!
//! The rules, in the order in which they are asked; the first that fails answers. Form and signature come before them,
//! in [`crate::approval::open`].
//!
//! | rule | code | what has to be so |
//! |---|---|---|
//! | `approval.form` | `MALFORMED_ENVELOPE` | it is a signed approval in canonical form (`open`) |
//! | `approval.signature` | `BAD_SIGNATURE` | the key signed it, for an approval (`open`) |
//! | `approval.not_the_owner` | `NOT_AUTHORIZED` | the key is not the one of the owner's node |
//! | `operator.enrolled` | `NOT_AUTHORIZED` | the key is enrolled |
//! | `operator.not_revoked` | `OPERATOR_REVOKED` | neither it nor the one it stands for is revoked |
//! | `operator.role` | `NOT_AUTHORIZED` | the role says yes (approver) or no (operator) |
//! | `approval.mesh`, `.owner`, `.site`, `.policy`, `.proposal`, `.card`, `.level`, `.steps` | `APPROVAL_MISMATCH` | it repeats the offer |
//! | `approval.nonce` | `APPROVAL_REPLAYED` | its nonce is the one of the offer, and alive |
//! | `approval.in_time` | `APPROVAL_EXPIRED` | the offer is alive by the owner's monotonic clock |
//! | `approval.approver` | `NOT_AUTHORIZED` | where the policy names who approves, it is one of them |
//! | `approval.not_own` | `SELF_APPROVAL` | at L3, and at L2 with four eyes, the person did not ask for it |
//! | `approval.two_people` | `TWO_PERSON_REQUIRED` | at L3 the person has not approved it before |
//!
//! A rejection skips the last three: everybody may say no to their own.

use crate::approval::{Approval, Decision, SignedApproval};
use crate::canonical;
use crate::gate::Grant;
use crate::ids::OperatorId;
use crate::level::Level;
use crate::offer::{Death, LiveOffer, Offer, OfferBook};
use crate::operator::{Role, Roster};
use crate::refusal::Code;
use crate::refused::Refused;

/// How a proposal stands after an answer that counts.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// One person approved, another one has to.
    NeedsOneMore,
    /// Everybody who has to approve did: this is what the gate asks for.
    Complete(Grant),
    /// A person said no; that settles it.
    Rejected,
}

/// Who may say yes to a proposal, by the owner's policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The person behind the proposal, [`crate::proposal::Mind::person`].
    pub proposer: Option<OperatorId>,
    /// True when it has to be somebody else; at L3 it is always.
    pub four_eyes: bool,
    /// Lists of people, on each of which whoever says yes has to stand, [`crate::policy::Policy::approvers_of`].
    pub approvers: Vec<&'a [OperatorId]>,
}

/// Judges an approval against the offer it answers.
///
/// # Errors
/// The first rule of the table above that does not hold.
pub fn judge(
    signed: &SignedApproval,
    live: &LiveOffer,
    roster: &Roster,
    wanted: &Wanted,
    now_ms: u64,
) -> Result<Standing, Refused> {
    may_answer(signed, roster)?;
    let (approval, offer) = (signed.approval(), &live.offer);
    if let Some((rule, field)) = differing_field(approval, offer) {
        let sentence =
            format!("the {field} is not the one of the offer; look at the offer as it is and sign again");
        return Err(Refused::new(Code::ApprovalMismatch, rule, sentence));
    }
    if approval.nonce != offer.nonce {
        return Err(replayed("belongs to no living offer for this proposal"));
    }
    if live.is_expired(now_ms) {
        return Err(expired());
    }
    if approval.decision == Decision::Reject {
        return Ok(Standing::Rejected);
    }
    if !roster.is_on_all(&signed.operator(), &wanted.approvers) {
        return Err(Refused::new(
            Code::NotAuthorized,
            "approval.approver",
            "the policy names who approves for this actuator, and this person is not among them; ask one of those",
        ));
    }
    let must_differ = wanted.four_eyes || offer.level >= Level::L3;
    if must_differ && wanted.proposer.is_some_and(|asker| roster.is_same_person(&asker, &signed.operator())) {
        return Err(Refused::new(
            Code::SelfApproval,
            "approval.not_own",
            "who asks, or owns the session that asked, or stands for them, cannot approve; ask somebody else",
        ));
    }
    enough_people(signed.operator(), live, roster)
}

/// Judges an approval by the book of the owner and writes down what follows: an offer that is settled dies.
///
/// # Errors
/// As [`judge`]; the book is as before.
pub fn answer(
    book: &mut OfferBook,
    signed: &SignedApproval,
    roster: &Roster,
    wanted: &Wanted,
    now_ms: u64,
) -> Result<Standing, Refused> {
    let nonce = signed.approval().nonce;
    let Some(live) = book.get(&nonce) else {
        may_answer(signed, roster)?;
        return Err(match book.death_of(&nonce) {
            Some(Death::Expired) => expired(),
            Some(death) => replayed(&death.to_string()),
            None => replayed("is none that lives here"),
        });
    };
    let standing = judge(signed, live, roster, wanted, now_ms)?;
    match standing {
        Standing::NeedsOneMore => book.note_approval(&nonce, signed.operator()),
        Standing::Complete(_) | Standing::Rejected => book.use_up(&nonce),
    }
    Ok(standing)
}

fn may_answer(signed: &SignedApproval, roster: &Roster) -> Result<(), Refused> {
    if signed.key().id() == signed.approval().owner {
        return Err(Refused::new(
            Code::NotAuthorized,
            "approval.not_the_owner",
            "this is the key of the owner's node, and no program approves; a person has to sign",
        ));
    }
    let needed = match signed.approval().decision {
        Decision::Approve => Role::Approver,
        Decision::Reject => Role::Operator,
    };
    roster.may(&signed.operator(), needed).map(|_| ())
}

/// The first field in which the answer is not the offer: its rule, and its name for people.
fn differing_field(approval: &Approval, offer: &Offer) -> Option<(&'static str, &'static str)> {
    // By their bytes: what is signed is bytes, and numbers that compare equal can differ in them.
    let has_same_steps = canonical::encode(&approval.steps) == canonical::encode(&offer.steps);
    let fields = [
        (approval.mesh == offer.mesh, "approval.mesh", "mesh"),
        (approval.owner == offer.owner, "approval.owner", "owner"),
        (approval.site == offer.site, "approval.site", "site"),
        (approval.policy == offer.policy, "approval.policy", "policy"),
        (approval.proposal == offer.proposal, "approval.proposal", "proposal"),
        (approval.card == offer.card, "approval.card", "card"),
        (approval.level == offer.level, "approval.level", "level"),
        (has_same_steps, "approval.steps", "list of steps"),
    ];
    fields.iter().find(|(is_same, ..)| !is_same).map(|(_, rule, field)| (*rule, *field))
}

fn enough_people(person: OperatorId, live: &LiveOffer, roster: &Roster) -> Result<Standing, Refused> {
    let needed = live.offer.level.approvals_needed();
    // Who was revoked since does not count, however they signed.
    let earlier: Vec<_> = live.approved_by.iter().filter(|id| roster.may_approve(id).is_ok()).collect();
    if needed > 1 && earlier.iter().any(|id| roster.is_same_person(id, &person)) {
        return Err(Refused::new(
            Code::TwoPersonRequired,
            "approval.two_people",
            "this person, or one they stand for, has approved it; a second person has to",
        ));
    }
    Ok(if earlier.len() + 1 < needed {
        Standing::NeedsOneMore
    } else {
        let by = earlier.into_iter().copied().chain([person]).collect();
        Standing::Complete(Grant::of(&live.offer, by))
    })
}

fn replayed(what: &str) -> Refused {
    let sentence = format!("the nonce {what}; an approval counts once, for one offer: answer the newest one");
    Refused::new(Code::ApprovalReplayed, "approval.nonce", sentence)
}

fn expired() -> Refused {
    let sentence = "the offer was not answered in time; have it simulated and offered again";
    Refused::new(Code::ApprovalExpired, "approval.in_time", sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval;
    use crate::ids::{ContentHash, MeshId, NodeId, ProposalId};
    use crate::keys::{KeyId, NodeKey, OperatorKey};
    use crate::offer::tests::{LIFE_MS, NOW_MS, offered};
    use crate::operator::tests::{key_of, person, roster};
    use crate::proposal::Mind;
    use crate::proposal::tests::proposal;
    use crate::reading::Value;
    use crate::signed::{Purpose, seal};
    use proptest::prelude::*;

    const ANN: u8 = 1;
    const BO: u8 = 2;
    /// Stands for Ann.
    const ANNS: u8 = 3;
    const OPERATOR: u8 = 4;
    const OBSERVER: u8 = 5;
    const STRANGER: u8 = 6;
    const CY: u8 = 7;

    fn people() -> Roster {
        let ann = person(ANN, "Ann", Role::Supervisor);
        let delegate = person(ANNS, "Ann's deputy", Role::Approver).standing_for(ann.id);
        roster([
            ann,
            person(BO, "Bo", Role::Approver),
            delegate,
            person(OPERATOR, "Olu", Role::Operator),
            person(OBSERVER, "Obi", Role::Observer),
            person(CY, "Cy", Role::Approver),
        ])
    }

    /// What follows from enough approvals of the one proposal these tests are about.
    fn granted<const N: usize>(by: [u8; N]) -> Standing {
        let by = by.map(|secret| key_of(secret).id()).to_vec();
        Standing::Complete(Grant::of(&crate::offer::tests::offer([0; 32], Level::L2), by))
    }

    /// One offer and everything an answer to it is judged by. As it is, the answer goes through.
    struct Case {
        book: OfferBook,
        offer: Offer,
        approval: Approval,
        signer: u8,
        roster: Roster,
        proposer: Option<u8>,
        four_eyes: bool,
        approvers: Vec<Vec<u8>>,
        now_ms: u64,
    }

    fn case(level: Level) -> Case {
        let (book, offer) = offered(level);
        let approval = Approval::answering(&offer, Decision::Approve, None, 1_730_000_000_000);
        let roster = people();
        let (signer, proposer, four_eyes, approvers) = (BO, None, true, Vec::new());
        Case { book, offer, approval, signer, roster, proposer, four_eyes, approvers, now_ms: NOW_MS }
    }

    type Answer = Result<Standing, (Code, &'static str)>;

    impl Case {
        fn answer_by(&mut self, signer: u8) -> Answer {
            let bytes = approval::seal(&key_of(signer), &self.approval);
            self.answer_with(&approval::open(&bytes).unwrap())
        }

        fn answer_with(&mut self, signed: &SignedApproval) -> Answer {
            let proposer = self.proposer.map(|secret| key_of(secret).id());
            let Self { book, roster, four_eyes, approvers, now_ms, .. } = self;
            let lists: Vec<Vec<OperatorId>> = approvers
                .iter()
                .map(|list| list.iter().map(|secret| key_of(*secret).id()).collect())
                .collect();
            let approvers = lists.iter().map(Vec::as_slice).collect();
            let wanted = Wanted { proposer, four_eyes: *four_eyes, approvers };
            answer(book, signed, roster, &wanted, *now_ms).map_err(|refused| (refused.code, refused.rule))
        }

        fn answer(&mut self) -> Answer {
            self.answer_by(self.signer)
        }
    }

    #[test]
    fn a_right_answer_goes_through_at_l2_and_half_way_at_l3() {
        assert_eq!(case(Level::L2).answer(), Ok(granted([BO])));
        assert_eq!(case(Level::L3).answer(), Ok(Standing::NeedsOneMore));
    }

    #[test]
    fn each_broken_property_is_refused_by_its_own_rule() {
        type Break = fn(&mut Case);
        let mismatch = Code::ApprovalMismatch;
        let attacks: [(Break, Code, &str); 15] = [
            (|c| c.signer = STRANGER, Code::NotAuthorized, "operator.enrolled"),
            (|c| c.roster.revoke(&key_of(BO).id()).unwrap(), Code::OperatorRevoked, "operator.not_revoked"),
            (|c| c.signer = OPERATOR, Code::NotAuthorized, "operator.role"),
            (|c| c.approval.mesh = MeshId::of_name("field"), mismatch, "approval.mesh"),
            (|c| c.approval.owner = NodeId::of_public_key(&[9; 32]), mismatch, "approval.owner"),
            (|c| c.approval.site = ContentHash::of("site", b"other"), mismatch, "approval.site"),
            (|c| c.approval.policy = ContentHash::of("policy", b"lax"), mismatch, "approval.policy"),
            (|c| c.approval.proposal = ProposalId([0; 32]), mismatch, "approval.proposal"),
            (|c| c.approval.card = ContentHash::of("card", b"other"), mismatch, "approval.card"),
            (|c| c.approval.level = Level::L1, mismatch, "approval.level"),
            (|c| c.approval.steps.clear(), mismatch, "approval.steps"),
            (|c| c.approval.nonce[0] ^= 1, Code::ApprovalReplayed, "approval.nonce"),
            (|c| c.now_ms += LIFE_MS, Code::ApprovalExpired, "approval.in_time"),
            (|c| c.proposer = Some(BO), Code::SelfApproval, "approval.not_own"),
            (
                |c| (c.signer, c.approval.decision) = (OBSERVER, Decision::Reject),
                Code::NotAuthorized,
                "operator.role",
            ),
        ];
        for (attack, code, rule) in attacks {
            for level in [Level::L2, Level::L3] {
                let mut broken = case(level);
                attack(&mut broken);
                assert_eq!(broken.answer(), Err((code, rule)), "{level}");
                // The twin: only the attacked property is right again, and the book is as it was.
                let mut twin = case(level);
                std::mem::swap(&mut twin.book, &mut broken.book);
                assert!(twin.answer().is_ok(), "{level} {rule}");
            }
        }
    }

    #[test]
    fn a_step_that_differs_in_operation_limit_or_sign_of_zero_is_another_step() {
        let with = |seconds: f64, operation: &str| {
            let mut case = case(Level::L2);
            let mut proposal = proposal();
            proposal.steps[0].parameters.insert("for_s".to_owned(), Value::Number(0.0));
            let id = proposal.id();
            let nonce = case.book.draw(id).unwrap();
            let offer = Offer { nonce, proposal: id, steps: proposal.steps, ..case.offer.clone() };
            case.book.make(offer.clone(), NOW_MS).unwrap();
            case.approval = Approval::answering(&offer, Decision::Approve, None, 0);
            case.approval.steps[0].parameters.insert("for_s".to_owned(), Value::Number(seconds));
            case.approval.steps[0].operation = operation.to_owned();
            case.answer()
        };
        let other = Err((Code::ApprovalMismatch, "approval.steps"));
        assert!(matches!(with(0.0, "open"), Ok(Standing::Complete(_))));
        for (seconds, operation) in [(1.0, "open"), (-0.0, "open"), (0.0, "close")] {
            assert_eq!(with(seconds, operation), other, "{seconds} {operation}");
        }
    }

    #[test]
    fn a_sentence_names_the_field_that_differs() {
        let mut case = case(Level::L2);
        case.approval.card = ContentHash::of("card", b"other");
        let signed = approval::open(&approval::seal(&key_of(BO), &case.approval)).unwrap();
        let live = case.book.get(&case.offer.nonce).unwrap();
        let refused = judge(&signed, live, &case.roster, &Wanted::default(), NOW_MS).unwrap_err();
        assert!(refused.sentence.starts_with("the card is not the one of the offer"), "{refused}");
    }

    #[test]
    fn an_approval_counts_once() {
        let mut case = case(Level::L2);
        assert_eq!(case.answer(), Ok(granted([BO])));
        assert_eq!(case.answer(), Err((Code::ApprovalReplayed, "approval.nonce")));
        assert_eq!(case.answer_by(CY), Err((Code::ApprovalReplayed, "approval.nonce")));
    }

    #[test]
    fn stop_withdrawal_and_restart_leave_nothing_to_approve() {
        let ends: [fn(&mut Case); 3] =
            [|c| c.book.stop(), |c| c.book.withdraw(c.offer.proposal), |c| c.book = OfferBook::new([10; 32])];
        for end in ends {
            let mut case = case(Level::L2);
            end(&mut case);
            assert_eq!(case.answer(), Err((Code::ApprovalReplayed, "approval.nonce")));
        }
    }

    #[test]
    fn the_last_millisecond_counts_and_the_one_after_it_does_not() {
        for swept in [false, true] {
            for (now_ms, expected) in [
                (NOW_MS + LIFE_MS - 1, Ok(granted([BO]))),
                (NOW_MS + LIFE_MS, Err((Code::ApprovalExpired, "approval.in_time"))),
            ] {
                let mut case = Case { now_ms, ..case(Level::L2) };
                if swept {
                    case.book.expire(now_ms);
                }
                assert_eq!(case.answer(), expected, "swept: {swept}");
            }
        }
    }

    #[test]
    fn a_nonce_that_is_not_the_offers_is_replayed_whoever_looks_it_up() {
        let mut case = case(Level::L2);
        case.approval.nonce[0] ^= 1;
        let signed = approval::open(&approval::seal(&key_of(BO), &case.approval)).unwrap();
        let live = case.book.get(&case.offer.nonce).unwrap();
        let refused = judge(&signed, live, &case.roster, &Wanted::default(), NOW_MS).unwrap_err();
        assert_eq!((refused.code, refused.rule), (Code::ApprovalReplayed, "approval.nonce"));
    }

    #[test]
    fn who_asked_may_approve_at_l2_unless_four_eyes_are_asked_for_and_never_at_l3() {
        let own = || Err((Code::SelfApproval, "approval.not_own"));
        for (level, four_eyes, expected) in [
            (Level::L2, false, None),
            (Level::L2, true, Some(own())),
            (Level::L3, false, Some(own())),
            (Level::L3, true, Some(own())),
        ] {
            for (asker, signer) in [(BO, BO), (ANN, ANNS), (ANNS, ANN)] {
                let case = || Case { proposer: Some(asker), four_eyes, ..case(level) };
                let expected = expected.clone().unwrap_or_else(|| Ok(granted([signer])));
                assert_eq!(case().answer_by(signer), expected, "{level} {four_eyes} {asker} {signer}");
                assert!(case().answer_by(CY).is_ok());
            }
        }
    }

    #[test]
    fn whoever_is_named_for_all_of_the_actuators_approves_and_everybody_may_say_no() {
        let not_named = Err((Code::NotAuthorized, "approval.approver"));
        for (approvers, signer, expected) in [
            (vec![vec![BO, CY]], BO, Ok(granted([BO]))),
            (vec![vec![CY]], BO, not_named.clone()),
            (vec![vec![BO], vec![CY, BO]], BO, Ok(granted([BO]))),
            (vec![vec![BO], vec![CY]], BO, not_named.clone()),
            (vec![vec![ANN]], ANNS, Ok(granted([ANNS]))),
            (vec![vec![ANNS]], ANN, Ok(granted([ANN]))),
            (vec![vec![OPERATOR]], BO, not_named),
            // To be named gives nobody a role.
            (vec![vec![OPERATOR]], OPERATOR, Err((Code::NotAuthorized, "operator.role"))),
        ] {
            let mut named = Case { approvers: approvers.clone(), signer, ..case(Level::L2) };
            assert_eq!(named.answer(), expected, "{approvers:?} {signer}");
        }
        let mut no = Case { approvers: vec![vec![CY]], ..case(Level::L2) };
        no.approval.decision = Decision::Reject;
        assert_eq!(no.answer(), Ok(Standing::Rejected));
    }

    #[test]
    fn who_owns_the_session_that_asked_counts_as_who_asked() {
        for (session_of, expected) in
            [(Some(BO), Err((Code::SelfApproval, "approval.not_own"))), (None, Ok(Standing::NeedsOneMore))]
        {
            let mut case = case(Level::L3);
            let mind = Mind::Model {
                name: "m".to_owned(),
                session_of: session_of.map(|secret| key_of(secret).id()),
            };
            let signed = approval::open(&approval::seal(&key_of(BO), &case.approval)).unwrap();
            let wanted = Wanted { proposer: mind.person(), ..Wanted::default() };
            let answer = answer(&mut case.book, &signed, &case.roster, &wanted, NOW_MS);
            assert_eq!(answer.map_err(|refused| (refused.code, refused.rule)), expected);
        }
    }

    #[test]
    fn l3_needs_two_persons_and_a_delegate_is_none() {
        for (first, second, expected) in [
            (BO, BO, Err((Code::TwoPersonRequired, "approval.two_people"))),
            (ANN, ANNS, Err((Code::TwoPersonRequired, "approval.two_people"))),
            (ANNS, ANN, Err((Code::TwoPersonRequired, "approval.two_people"))),
            (ANNS, BO, Ok(granted([ANNS, BO]))),
            (BO, ANN, Ok(granted([BO, ANN]))),
        ] {
            let mut case = case(Level::L3);
            assert_eq!(case.answer_by(first), Ok(Standing::NeedsOneMore));
            assert_eq!(case.answer_by(second), expected, "{first} {second}");
        }
    }

    #[test]
    fn a_first_approval_counts_only_while_its_signer_is_not_revoked() {
        for (revoked, expected) in [(ANN, Standing::NeedsOneMore), (CY, granted([ANN, BO]))] {
            let mut case = case(Level::L3);
            assert_eq!(case.answer_by(ANN), Ok(Standing::NeedsOneMore));
            case.roster.revoke(&key_of(revoked).id()).unwrap();
            assert_eq!(case.answer_by(BO), Ok(expected));
        }
    }

    #[test]
    fn one_no_settles_it_at_every_level_and_an_operator_may_say_it() {
        for level in [Level::L2, Level::L3] {
            let mut case = Case { proposer: Some(OPERATOR), ..case(level) };
            case.approval.decision = Decision::Reject;
            assert_eq!(case.answer_by(OBSERVER), Err((Code::NotAuthorized, "operator.role")));
            assert_eq!(case.answer_by(OPERATOR), Ok(Standing::Rejected));
            case.approval.decision = Decision::Approve;
            assert_eq!(case.answer(), Err((Code::ApprovalReplayed, "approval.nonce")));
        }
    }

    #[test]
    fn the_key_of_a_node_approves_nothing_even_if_the_owners_key_was_enrolled() {
        let node = NodeKey::from_secret(&[STRANGER; 32]);
        for (enrolled, owner_has_it, expected) in [
            (false, false, Err((Code::NotAuthorized, "operator.enrolled"))),
            (true, true, Err((Code::NotAuthorized, "approval.not_the_owner"))),
            (true, false, Ok(granted([STRANGER]))),
        ] {
            let mut case = case(Level::L2);
            if enrolled {
                case.roster = roster([person(STRANGER, "Sly", Role::Approver)]);
            }
            if owner_has_it {
                let offer = Offer { owner: node.id(), ..case.offer.clone() };
                let nonce = case.book.draw(offer.proposal).unwrap();
                let offer = Offer { nonce, ..offer };
                case.book.make(offer.clone(), NOW_MS).unwrap();
                case.approval = Approval::answering(&offer, Decision::Approve, None, 0);
            }
            let bytes = seal(&node, Purpose::APPROVAL, canonical::encode(&case.approval));
            assert_eq!(case.answer_with(&approval::open(&bytes).unwrap()), expected);
        }
    }

    #[test]
    fn who_may_not_answer_hears_nothing_about_the_offer() {
        let mut case = case(Level::L2);
        case.approval.card = ContentHash::of("card", b"other");
        assert_eq!(case.answer_by(STRANGER), Err((Code::NotAuthorized, "operator.enrolled")));
        case.book.stop();
        assert_eq!(case.answer_by(STRANGER), Err((Code::NotAuthorized, "operator.enrolled")));
    }

    proptest! {
        /// Whatever is answered by whom, only as many different persons as the level needs make it complete.
        #[test]
        fn complete_means_that_enough_different_persons_said_yes(
            answers in prop::collection::vec((1_u8..8, any::<bool>(), 0_u64..20_000), 0..12),
            level in prop_oneof![Just(Level::L2), Just(Level::L3)],
            proposer in prop::option::of(1_u8..8), four_eyes: bool,
        ) {
            let mut case = Case { proposer, four_eyes, ..case(level) };
            let roster = people();
            let mut yes: Vec<OperatorKey> = Vec::new();
            for (signer, approves, later_ms) in answers {
                case.approval.decision = if approves { Decision::Approve } else { Decision::Reject };
                case.now_ms += later_ms;
                match case.answer_by(signer) {
                    Ok(Standing::Complete(_)) => {
                        yes.push(key_of(signer));
                        let mut persons: Vec<_> = yes.iter().map(OperatorKey::id).collect();
                        persons.dedup_by(|a, b| roster.is_same_person(a, b));
                        prop_assert_eq!(persons.len(), level.approvals_needed());
                        prop_assert!(case.now_ms < NOW_MS + LIFE_MS);
                        let asker = proposer.map(|secret| key_of(secret).id());
                        let asked_too = |id: &OperatorId| asker.is_some_and(|a| roster.is_same_person(&a, id));
                        prop_assert!(!(four_eyes || level == Level::L3) || !persons.iter().any(asked_too));
                        prop_assert!(persons.iter().all(|id| roster.may_approve(id).is_ok()));
                    }
                    Ok(Standing::NeedsOneMore) => yes.push(key_of(signer)),
                    Ok(Standing::Rejected) | Err(_) => {}
                }
            }
        }
    }
}
