//! What the safety feature hears.

use bevy::prelude::Message;
use clawmesh_authority::{Code, Refusal};

use super::tally::RefusalTally;

/// Something was refused in this tick.
#[derive(Message, Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What and why.
    pub refusal: Refusal,
    /// How many times.
    pub count: u64,
}

impl Refused {
    /// One refusal.
    #[must_use]
    pub fn once(code: Code, from: impl std::fmt::Display, sentence: impl Into<String>) -> Self {
        Self { refusal: Refusal::new(code, from, sentence), count: 1 }
    }
}

/// A page of the book of refusals is new, or its count has doubled since it was told last: so each sender is heard of, and
/// whoever sends a flood fills no log.
#[derive(Message, Debug, Clone, PartialEq, Eq)]
pub struct Told(pub RefusalTally);
