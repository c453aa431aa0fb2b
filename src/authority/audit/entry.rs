//! One line of the safety log.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::capability::Capability;
use crate::ids::{ContentHash, OperatorId, ProposalId};
use crate::operator::Roster;
use crate::refusal::Code;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Entry {
    /// Its number: 1, 2, 3, … without a gap, for as long as the node keeps its journal.
    #[n(0)]
    pub number: u64,
    /// The tick it was written in.
    #[n(1)]
    pub tick: u64,
    /// When, by the clock of the node, Unix milliseconds; 0 while the time was not known.
    #[n(2)]
    pub at_ms: u64,
    /// What happened.
    #[n(3)]
    pub happened: Happened,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Happened {
    /// The node has started.
    #[n(0)]
    Started {
        /// The version of its software.
        #[n(0)]
        version: String,
        /// Which run it is.
        #[n(1)]
        epoch: u64,
        /// The site it works at.
        #[n(2)]
        site: Option<ContentHash>,
        /// The policy it decides by.
        #[n(3)]
        policy: Option<ContentHash>,
        /// The people it knows.
        #[n(4)]
        people: ContentHash,
    },
    /// Another policy is in force.
    #[n(1)]
    Policy {
        /// Which.
        #[n(0)]
        policy: ContentHash,
    },
    /// It knows other people, or others were revoked.
    #[n(2)]
    People {
        /// All of them.
        #[n(0)]
        people: ContentHash,
    },
    /// The stop is latched.
    #[n(3)]
    Stopped {
        /// Why.
        #[n(0)]
        reason: String,
    },
    /// A person has ended the stop.
    #[n(4)]
    Rearmed,
    /// Something that somebody signed was answered.
    #[n(5)]
    Answered {
        /// The name of what was asked, as [`name_of_asked`](crate::answer::name_of_asked) has it.
        #[n(0)]
        asked: ContentHash,
        /// The proposal it was about, if it was taken and about one.
        #[n(1)]
        proposal: Option<ProposalId>,
        /// The code and the rule, if it was refused.
        #[n(2)]
        refused: Option<RefusedBy>,
        /// The answer, for people.
        #[n(3)]
        words: String,
    },
    /// A proposal came to be in a state.
    #[n(6)]
    Became {
        /// Which.
        #[n(0)]
        proposal: ProposalId,
        /// The name of the state.
        #[n(1)]
        state: String,
        /// How it came to.
        #[n(2)]
        words: String,
        /// The code, if something was refused.
        #[n(3)]
        code: Option<Code>,
    },
    /// The gate let a step through. It is written down before a driver hears of it.
    #[n(7)]
    Ordered {
        /// The proposal.
        #[n(0)]
        proposal: ProposalId,
        /// Which of its steps, from 0.
        #[n(1)]
        step: usize,
        /// The actuator.
        #[n(2)]
        actuator: Capability,
        /// What it is to be, for people.
        #[n(3)]
        setpoint: String,
        /// For how long at most, milliseconds.
        #[n(4)]
        run_for_ms: Option<u64>,
    },
    /// The hardware took a step.
    #[n(8)]
    Carried {
        /// The proposal.
        #[n(0)]
        proposal: ProposalId,
        /// Which of its steps.
        #[n(1)]
        step: usize,
    },
    /// A step did not reach the hardware, or the hardware did not take it.
    #[n(9)]
    NotCarried {
        /// The proposal.
        #[n(0)]
        proposal: ProposalId,
        /// Which of its steps.
        #[n(1)]
        step: usize,
        /// Why.
        #[n(2)]
        why: String,
    },
    /// An actuator was brought into its safe state, or that was tried.
    #[n(10)]
    MadeSafe {
        /// The actuator.
        #[n(0)]
        actuator: Capability,
        /// Why.
        #[n(1)]
        because: String,
        /// What it ran for, if it ran for a proposal.
        #[n(2)]
        proposal: Option<ProposalId>,
        /// Why it is not shown to be safe, if it is not.
        #[n(3)]
        fault: Option<String>,
    },
    /// Something else was refused: for the first time of this sender with this code since the node started, or twice as often as
    /// when that was written down last.
    #[n(11)]
    Refused {
        /// The code.
        #[n(0)]
        code: Code,
        /// Who brought it.
        #[n(1)]
        from: String,
        /// How often by now.
        #[n(2)]
        count: u64,
        /// The newest sentence.
        #[n(3)]
        sentence: String,
    },
    /// The key of a person counts for nothing from now on, whatever the list at the console says.
    #[n(12)]
    Revoked {
        /// Whose.
        #[n(0)]
        key: OperatorId,
    },
}

/// What said no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct RefusedBy {
    /// The code.
    #[n(0)]
    pub code: Code,
    /// The rule.
    #[n(1)]
    pub rule: String,
}

/// What is told of a line that is not shown: its place, and whom it is about, so that nobody hides what belongs to the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Label {
    /// Its number.
    #[n(0)]
    pub number: u64,
    /// True of what holds for every proposal.
    #[n(1)]
    pub is_about_all: bool,
    /// The one proposal it is about, by a hash of its id.
    #[n(2)]
    pub about: Option<ContentHash>,
}

/// What stands for the people a node knows.
#[must_use]
pub fn hash_of_people(people: &Roster) -> ContentHash {
    ContentHash::of("people", &canonical::encode(people))
}

impl Label {
    /// What stands for a proposal in a label.
    #[must_use]
    pub fn of(proposal: ProposalId) -> ContentHash {
        ContentHash::of("safety-log/about", &proposal.0)
    }

    /// What stands for a line with this label and this content.
    #[must_use]
    pub fn with(&self, content: ContentHash) -> ContentHash {
        let label = canonical::encode(self);
        ContentHash::of("safety-log/entry", &[label.as_slice(), &content.0].concat())
    }
}

impl Entry {
    /// What is told of it where it is not shown.
    #[must_use]
    pub fn label(&self) -> Label {
        let about = self.happened.proposal().map(Label::of);
        Label { number: self.number, is_about_all: self.happened.is_about_all(), about }
    }

    /// What stands for all else of it where it is not shown.
    #[must_use]
    pub fn content(&self) -> ContentHash {
        ContentHash::of("safety-log/content", &canonical::encode(self))
    }

    /// What stands for it.
    #[must_use]
    pub fn hash(&self) -> ContentHash {
        self.label().with(self.content())
    }
}

impl Happened {
    /// The one proposal it is about, if it is about one and says so.
    #[must_use]
    pub fn proposal(&self) -> Option<ProposalId> {
        match self {
            Self::Became { proposal, .. }
            | Self::Ordered { proposal, .. }
            | Self::Carried { proposal, .. }
            | Self::NotCarried { proposal, .. } => Some(*proposal),
            Self::Answered { proposal, .. } | Self::MadeSafe { proposal, .. } => *proposal,
            _ => None,
        }
    }

    /// True of what holds for every proposal.
    #[must_use]
    pub fn is_about_all(&self) -> bool {
        matches!(
            self,
            Self::Started { .. }
                | Self::Policy { .. }
                | Self::People { .. }
                | Self::Revoked { .. }
                | Self::Stopped { .. }
                | Self::Rearmed
        )
    }
}
