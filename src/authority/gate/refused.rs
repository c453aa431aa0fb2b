//! What the gate says when it says no.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::policy::Rule;
use crate::refusal::Code;

/// A refusal with the rule it comes from: a code for programs, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Refused {
    /// The code.
    #[n(0)]
    pub code: Code,
    /// The rule that refused.
    #[n(1)]
    pub rule: Rule,
    /// What happened and what to do, one sentence.
    #[n(2)]
    pub sentence: String,
}

impl Refused {
    /// A refusal by `rule`.
    #[must_use]
    pub fn new(code: Code, rule: Rule, sentence: impl Into<String>) -> Self {
        Self { code, rule, sentence: sentence.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (rule {}): {}", self.code, self.rule, self.sentence)
    }
}
