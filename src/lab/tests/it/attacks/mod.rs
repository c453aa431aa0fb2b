//! The ways in which gates of this kind were walked around, one test each. Each attack fails by the rule that is about it and by no
//! other: with its code, a line in the journal, one more in the book of refusals, and no word to the hardware. Its twin, in which
//! only the attacked property is right, is carried out.

mod approvals;
mod budgets;
mod cards;
mod claims;
mod control;
mod declared;
mod evidence;
mod flood;
mod hands;
mod holds;
mod life;
mod people;
mod running;
mod sensors;
mod stop;
mod superseding;

use clawmesh_authority::audit::{Entry, Happened, Head, RefusedBy};
use clawmesh_authority::{Answer, Reading};
use clawmesh_authority::{AskKind, Code, Decision, Mind, Offer, Proposal, ProposalId, Tier, Unit};
use clawmesh_core::audit;
use clawmesh_core::intake::InputBody;
use clawmesh_core::replay::Record;
use minicbor::bytes::ByteVec;

use crate::proposals::rig::{FIELD, Farm, ann, code};

const SOIL: &str = "sensor:soil-moisture:food-forest";
const TANK: &str = "sensor:tank-level:tank-01";
/// What a proposal for the food forest has to rest on.
const DRY: [(&str, Unit, f64); 2] = [(SOIL, Unit::Percent, 14.0), (TANK, Unit::Percent, 70.0)];

fn model() -> Mind {
    Mind::Model { name: "some-model".to_owned(), session_of: None }
}

/// What can be seen of refusals.
#[derive(Debug, PartialEq)]
struct Traces {
    /// What was asked, as the journal has it.
    asked: usize,
    /// The lines of the safety log that say that something was refused with the code.
    lines: usize,
    /// How often the code was refused.
    refused: u64,
    /// What was switched on.
    writes: usize,
}

impl Farm {
    fn traces(&self, of: Code) -> Traces {
        let is_asked = |record: &&Record| matches!(record, Record::Input(stamped) if matches!(stamped.input.body, InputBody::Asked { .. }));
        let snapshot = self.lab.snapshot(FIELD);
        Traces {
            lines: self
                .log()
                .iter()
                .filter(|entry| refused_by(entry).is_some_and(|by| by.code == of))
                .count(),
            asked: self.lab.records(FIELD).iter().filter(is_asked).count(),
            refused: snapshot.refusals.iter().filter(|row| row.code == of).map(|row| row.count).sum(),
            writes: self.switched_on().len(),
        }
    }

    /// Something is asked, and refused with this code by this rule.
    #[track_caller]
    fn repels(&mut self, expected: Code, rule: &str, attack: impl FnOnce(&mut Self) -> Answer) {
        self.speak();
        let before = self.traces(expected);
        let answer = attack(self);
        assert_eq!(code(&answer), Some((expected, rule)), "{answer:?}");
        self.assert_shown(expected, rule);
        let (asked, lines, refused) = (before.asked + 1, before.lines + 1, before.refused + 1);
        assert_eq!(
            self.traces(expected),
            Traces { asked, lines, refused, ..before },
            "one line, one more, no word"
        );
        let log = self.log();
        let told = log.iter().rev().find_map(refused_by).expect("a refusal is in the safety log");
        assert_eq!((told.code, told.rule.as_str()), (expected, rule), "the safety log says why");
    }

    /// The safety log, every line of which hangs on those before it.
    fn log(&self) -> Vec<Entry> {
        let (mut head, mut lines) = (Head::default(), Vec::new());
        for record in self.lab.records(FIELD) {
            let Record::Kept(kept) = record else { continue };
            if kept.subject == audit::SUBJECT {
                let logged = audit::read(&kept.bytes).expect("it was written by this software");
                assert_eq!(logged.before, head);
                head = logged.head().expect("its lines hang together");
                lines.extend(logged.entries);
            }
        }
        lines
    }

    /// The twin: what is asked is taken, approved and carried out, and the recording of all of it replays.
    #[track_caller]
    fn carries_out(&mut self, proposal: &Proposal) -> ProposalId {
        self.speak();
        let id = self.assert_goes_through(proposal);
        self.replays();
        id
    }

    #[track_caller]
    fn replays(&self) {
        assert_eq!(self.lab.replay(FIELD).difference, None);
    }

    /// A proposal that was changed, brought by the command center.
    fn propose_with(&mut self, change: impl FnOnce(&mut Proposal)) -> Answer {
        let proposal = self.changed(change);
        self.propose(&proposal)
    }

    fn changed(&mut self, change: impl FnOnce(&mut Proposal)) -> Proposal {
        let mut proposal = self.proposal();
        change(&mut proposal);
        proposal
    }

    /// The usual evidence, each reading of it changed before it is signed.
    fn tampered(&self, change: impl Fn(&mut Reading)) -> Vec<ByteVec> {
        vec![self.evidence_with(2, &DRY, change)]
    }

    /// A proposal that waits for a yes.
    fn asked(&mut self) -> Offer {
        let proposal = self.proposal();
        self.asked_for(&proposal)
    }

    #[track_caller]
    fn asked_for(&mut self, proposal: &Proposal) -> Offer {
        self.speak();
        assert_eq!(code(&self.propose(proposal)), None);
        self.run_seconds(1);
        self.offer(proposal.id())
    }

    /// What Ann has approved runs.
    fn runs(&mut self) -> Offer {
        self.for_s = 20.0;
        let offer = self.asked();
        assert_eq!(code(&self.answer(&ann(), &offer, Decision::Approve)), None);
        self.assert_executing(&offer);
        self.run_seconds(2);
        offer
    }

    /// The safety log says that something else was refused, with these words.
    fn log_says(&self, expected: Code, words: &str) -> bool {
        self.log().iter().any(|entry| match &entry.happened {
            Happened::Refused { code, sentence, .. } => *code == expected && sentence.contains(words),
            _ => false,
        })
    }

    /// What ran has ended with this code and these words in its story, everything is off, and the recording replays.
    #[track_caller]
    fn ends(&mut self, id: ProposalId, expected: Code, words: &str) {
        self.assert_failed(id, expected, words);
        let is_end = |entry: &Entry| match &entry.happened {
            Happened::Became { proposal, state, code, .. } => {
                (*proposal, state.as_str(), *code) == (id, "failed", Some(expected))
            }
            _ => false,
        };
        assert!(self.log().iter().any(is_end), "the safety log says how it ended");
        let actuators = self.lab.snapshot(FIELD).actuators.clone();
        assert!(actuators.iter().all(|row| row.is_safe), "{actuators:#?}");
        self.replays();
    }

    /// Brings bytes that were kept.
    fn submit(&mut self, kind: AskKind, bytes: Vec<u8>) -> Answer {
        self.lab.ask(FIELD, kind, bytes)
    }
}

fn refused_by(entry: &Entry) -> Option<&RefusedBy> {
    match &entry.happened {
        Happened::Answered { refused, .. } => refused.as_ref(),
        _ => None,
    }
}

/// Nothing that a sensor says is worth more.
const CLAIMED: Tier = Tier::T3;
