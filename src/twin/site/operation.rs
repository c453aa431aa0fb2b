//! What is done at a site, by whom, and how much of a say people have in it.

use serde::{Deserialize, Serialize};

use super::name::Name;

/// Something that is done again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Its name.
    pub name: Name,
    /// What it is, in a sentence.
    pub what: String,
    /// How much of a say people have in it.
    pub level: Level,
    /// Who does it.
    pub done_by: DoneBy,
}

/// How much of a say people have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// Within the bounds of a standing permission nobody is asked.
    L1,
    /// One person approves each time.
    L2,
    /// Two people approve each time.
    L3,
}

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DoneBy {
    /// An actuator.
    Machine,
    /// A person.
    Human,
    /// A person with a machine.
    Both,
}
