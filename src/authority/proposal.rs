//! What somebody wants done: ordered steps, why, and the signed readings it rests on. Its hash is its name.

use std::collections::BTreeMap;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::capability::Capability;
use crate::hlc::Hlc;
use crate::ids::{ContentHash, MeshId, NodeId, OperatorId, ProposalId};
use crate::leadership::{Claim, Term};
use crate::reading::{TEXT_BYTES_MAX, Value};

/// The most steps of one proposal.
pub const STEPS_MAX: usize = 16;
/// The most parameters of one step.
pub const PARAMETERS_MAX: usize = 8;
/// The most envelopes of evidence.
pub const EVIDENCE_MAX: usize = 8;
/// The largest envelope of evidence, in bytes.
pub const EVIDENCE_BYTES_MAX: usize = 32 * 1024;
/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 1_024;

/// A requested operation, or an ordered plan of them, for one owner.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Proposal {
    /// The mesh it belongs to.
    #[n(0)]
    pub mesh: MeshId,
    /// The one node that drives every actuator of its steps.
    #[n(1)]
    pub owner: NodeId,
    /// The site its maker had in mind, by its content.
    #[n(2)]
    pub site: ContentHash,
    /// Who made it.
    #[n(3)]
    pub maker: Maker,
    /// What is to be done, in this order.
    #[n(4)]
    pub steps: Vec<Step>,
    /// Why, for people.
    #[n(5)]
    pub reason: String,
    /// Signed envelopes with the readings it rests on, as they came.
    #[n(6)]
    pub evidence: Vec<ByteVec>,
    /// When it was made. Two proposals of one maker for the same thing differ in this.
    #[n(7)]
    pub made: Hlc,
}

/// Who made a proposal: the node it was made on and the mind that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Maker {
    /// The node.
    #[n(0)]
    pub node: NodeId,
    /// The mind.
    #[n(1)]
    pub mind: Mind,
    /// The term in which the node led the planning, if a program made it; a person asks in none.
    #[n(2)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<Term>,
}

/// What kind of mind made a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Mind {
    /// A utility planner that follows rules.
    #[n(0)]
    Utility {
        /// The name of the planner.
        #[n(0)]
        name: String,
    },
    /// A language model, in a session that a person owns.
    #[n(1)]
    Model {
        /// The name of the model.
        #[n(0)]
        name: String,
        /// The person whose session it is, if it is anybody's.
        #[n(1)]
        session_of: Option<OperatorId>,
    },
    /// A person, whose key signed the request.
    #[n(2)]
    Operator(#[n(0)] OperatorId),
}

/// One operation of one actuator: an absolute set-point, never a toggle or an increment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Step {
    /// The actuator.
    #[n(0)]
    pub actuator: Capability,
    /// The operation, for example `open`.
    #[n(1)]
    pub operation: String,
    /// Its parameters, for example `for_s: 1200`.
    #[n(2)]
    pub parameters: BTreeMap<String, Value>,
}

impl Proposal {
    /// Its name: the hash of all of it.
    #[must_use]
    pub fn id(&self) -> ProposalId {
        ProposalId::of_bytes(&canonical::encode(self))
    }

    /// Says what is wrong with the content, whoever made it.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let (steps, evidence) = (self.steps.len(), self.evidence.len());
        if !(1..=STEPS_MAX).contains(&steps) {
            return Some(format!("a proposal has 1 to {STEPS_MAX} steps, this one has {steps}"));
        }
        if evidence > EVIDENCE_MAX || self.evidence.iter().any(|envelope| envelope.len() > EVIDENCE_BYTES_MAX)
        {
            return Some(format!(
                "evidence is at most {EVIDENCE_MAX} envelopes of {EVIDENCE_BYTES_MAX} bytes each"
            ));
        }
        if self.reason.trim().is_empty() || self.reason.len() > REASON_BYTES_MAX {
            return Some(format!("a reason has 1 to {REASON_BYTES_MAX} bytes; say why this is to be done"));
        }
        let twice =
            |at: usize| self.steps[..at].iter().any(|before| before.actuator == self.steps[at].actuator);
        if let Some(at) = (0..steps).find(|at| twice(*at)) {
            let actuator = &self.steps[at].actuator;
            return Some(format!("{actuator} stands in two steps; one thing does one thing at a time"));
        }
        self.maker.fault().or_else(|| self.steps.iter().find_map(Step::fault))
    }
}

impl Maker {
    /// A person who proposes at this node.
    #[must_use]
    pub fn person(node: NodeId, person: OperatorId) -> Self {
        Self { node, mind: Mind::Operator(person), term: None }
    }

    fn fault(&self) -> Option<String> {
        if self.mind.is_person() && self.term.is_some() {
            return Some("a person asks in no term; leave it out".to_owned());
        }
        self.mind.fault()
    }

    /// In whose name a program made it.
    #[must_use]
    pub fn claim(&self) -> Option<Claim> {
        self.term.map(|term| Claim { term, holder: self.node })
    }
}

impl Mind {
    fn fault(&self) -> Option<String> {
        match self {
            Self::Utility { name } | Self::Model { name, .. }
                if name.is_empty() || name.len() > TEXT_BYTES_MAX =>
            {
                Some(format!("the name of a planner or model has 1 to {TEXT_BYTES_MAX} bytes"))
            }
            _ => None,
        }
    }

    /// True for a person's own word.
    #[must_use]
    pub fn is_person(&self) -> bool {
        matches!(self, Self::Operator(_))
    }

    /// The person who stands behind it: who is this mind, or owns its session.
    #[must_use]
    pub fn person(&self) -> Option<OperatorId> {
        match self {
            Self::Operator(person) => Some(*person),
            Self::Model { session_of, .. } => *session_of,
            Self::Utility { .. } => None,
        }
    }
}

impl Step {
    fn fault(&self) -> Option<String> {
        let Self { actuator, operation, parameters } = self;
        if operation.is_empty() || operation.len() > TEXT_BYTES_MAX {
            return Some(format!("{actuator}: an operation has 1 to {TEXT_BYTES_MAX} bytes"));
        }
        if parameters.len() > PARAMETERS_MAX {
            return Some(format!("{actuator} {operation}: at most {PARAMETERS_MAX} parameters are allowed"));
        }
        // What is too long is not repeated: the sentence is kept, and goes back to whoever asked.
        let fault = |(name, value): (&String, &Value)| match value {
            _ if name.is_empty() || name.len() > TEXT_BYTES_MAX => {
                Some(format!("the name of a parameter has 1 to {TEXT_BYTES_MAX} bytes, not {}", name.len()))
            }
            Value::Text(text) if text.len() > TEXT_BYTES_MAX => {
                Some(format!("the parameter {name:?} has at most {TEXT_BYTES_MAX} bytes, not {}", text.len()))
            }
            Value::Number(number) if !number.is_finite() => {
                Some(format!("the parameter {name:?} cannot be {number}"))
            }
            _ => None,
        };
        let fault = parameters.iter().find_map(fault)?;
        Some(format!("{actuator} {operation}: {fault}"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::keys::KeyId;
    use proptest::prelude::*;

    /// Open a valve for twenty minutes, because the zone is dry.
    pub(crate) fn proposal() -> Proposal {
        let step = Step {
            actuator: Capability::new("actuator:valve:valve-food-forest").unwrap(),
            operation: "open".to_owned(),
            parameters: BTreeMap::from([("for_s".to_owned(), Value::Number(1_200.0))]),
        };
        Proposal {
            mesh: MeshId::of_name("default"),
            owner: NodeId::of_public_key(&[1; 32]),
            site: ContentHash::of("site", b"farm"),
            maker: Maker {
                node: NodeId::of_public_key(&[2; 32]),
                mind: Mind::Utility { name: "dryness".to_owned() },
                term: Some(Term(1)),
            },
            steps: vec![step],
            reason: "z-food-forest-core is at 14 %, dry is below 18 %".to_owned(),
            evidence: vec![ByteVec::from(vec![1, 2, 3])],
            made: Hlc { wall_ms: 1_730_000_000_000, logical: 0 },
        }
    }

    #[test]
    fn the_name_of_a_proposal_covers_all_of_it() {
        let base = proposal();
        let id = base.id();
        assert_eq!(base.clone().id(), id);
        let mut longer = base.clone();
        longer.steps[0].parameters.insert("for_s".to_owned(), Value::Number(1_201.0));
        let mut other = base.clone();
        other.evidence[0] = ByteVec::from(vec![1, 2, 4]);
        let elsewhere = Proposal { owner: NodeId::of_public_key(&[3; 32]), ..base.clone() };
        let later = Proposal { made: Hlc { logical: 1, ..base.made }, ..base };
        for changed in [longer, other, elsewhere, later] {
            assert_ne!(changed.id(), id, "{changed:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert_eq!(proposal().fault(), None);
        let with = |change: fn(&mut Proposal)| {
            let mut changed = proposal();
            change(&mut changed);
            changed.fault().unwrap_or_default()
        };
        for (fault, words) in [
            (with(|p| p.steps.clear()), "1 to 16 steps, this one has 0"),
            (with(|p| p.steps = vec![p.steps[0].clone(); 17]), "this one has 17"),
            (with(|p| p.steps = vec![p.steps[0].clone(); 2]), "stands in two steps"),
            (with(|p| p.reason = " ".to_owned()), "say why"),
            (
                with(|p| p.evidence = vec![ByteVec::from(vec![0; EVIDENCE_BYTES_MAX + 1])]),
                "at most 8 envelopes",
            ),
            (with(|p| p.steps[0].operation.clear()), "an operation has"),
            (
                with(|p| drop(p.steps[0].parameters.insert("for_s".to_owned(), Value::Number(f64::NAN)))),
                "the parameter \"for_s\" cannot be NaN",
            ),
            (with(|p| p.maker.mind = Mind::Utility { name: String::new() }), "the name of a planner"),
        ] {
            assert!(fault.contains(words), "{words:?} is not in {fault:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_named_and_not_repeated() {
        let with = |name: String, value: Value| {
            let mut changed = proposal();
            changed.steps[0].parameters.insert(name, value);
            changed.fault().unwrap()
        };
        let (long, text) = ("n".repeat(40_000), Value::Text("t".repeat(40_000)));
        for (fault, words) in [
            (with(long.clone(), Value::Flag(true)), "the name of a parameter has 1 to 512 bytes, not 40000"),
            (with(String::new(), Value::Flag(true)), "1 to 512 bytes, not 0"),
            (with("for_s".to_owned(), text.clone()), "\"for_s\" has at most 512 bytes, not 40000"),
            (with(long, text), "the name of a parameter"),
        ] {
            assert!(fault.contains(words) && fault.len() < 200, "{words:?} is not in {fault:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            if let Ok(proposal) = canonical::decode::<Proposal>(&bytes) {
                let _ = proposal.fault();
            }
        }
    }
}
