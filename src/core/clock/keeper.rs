//! What the edges of a node share that asks others for the time, and what people see of it.

use clawmesh_authority::{Code, NodeId};
use serde::{Deserialize, Serialize};

use super::agreement::{Agreed, NotAgreed};

/// What keeps the clock of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeping {
    /// A real-time clock or NTP: what the machine shows is believed.
    #[default]
    Kept,
    /// Nothing; the time is what other nodes say.
    None,
    /// It is said to be kept, and what it showed at the start cannot be; the time is what other nodes say.
    Doubted,
}

/// What a node knows of the time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClockView {
    /// What keeps it.
    pub kept: Keeping,
    /// Why the time is not known, or what is wrong with it, and what to do.
    pub fault: Option<String>,
    /// True while nothing that needs the time is done.
    pub is_unknown: bool,
    /// Those with whom it was agreed last.
    pub agreed_with: Vec<NodeId>,
}

/// What came in when nodes were asked what time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// So many were asked.
    pub asked: usize,
    /// So many of them are there, as far as one can see.
    pub there: usize,
    /// So many have said a time.
    pub answered: usize,
    /// So many never can, because nothing keeps their clocks.
    pub cannot_say: usize,
    /// Why one of them refused. It is not signed, so it is for people only.
    pub refused: Option<Code>,
}

/// Holds what a node whose clock nothing keeps has agreed on with others.
pub trait Timekeeper: Send + Sync + 'static {
    /// How long this machine has been up, milliseconds; goes on while it sleeps.
    fn up_ms(&self) -> u64;

    /// A number that nobody can guess; `None` when the system gives none.
    fn nonce(&self) -> Option<[u8; 16]>;

    /// What the time cannot be before, Unix milliseconds.
    fn not_before_ms(&self) -> u64;

    /// How many nodes have to agree, if people have said so.
    fn nodes_min(&self) -> Option<usize>;

    /// True when an agreement was reached in this run.
    fn is_agreed(&self) -> bool;

    /// True when the clock of the machine is believed by now, so that nobody has to be asked.
    fn is_kept(&self) -> bool;

    /// What came of a round of questions. Gives what people must be told at once, one sentence.
    fn heard(&self, outcome: Result<Agreed, NotAgreed>, round: Round) -> Option<String>;

    /// Why this node does not know the time, one sentence that says what to do.
    fn why_unknown(&self) -> String;
}
