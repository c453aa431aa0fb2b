//! What the safety feature hears.

use bevy::prelude::Message;
use clawmesh_authority::{Code, Refusal};

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
