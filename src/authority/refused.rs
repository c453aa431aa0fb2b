//! What a rule says when it says no: a code, the rule, a sentence.

use std::fmt;

use serde::Serialize;

use crate::refusal::{Code, Refusal};

/// The answer of a rule that was not met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The code, for programs.
    pub code: Code,
    /// The rule that said no, for example `approval.card`.
    pub rule: &'static str,
    /// What happened and what to do.
    pub sentence: String,
}

impl Refused {
    /// A refusal by `rule` with `code`.
    #[must_use]
    pub fn new(code: Code, rule: impl Into<&'static str>, sentence: impl Into<String>) -> Self {
        Self { code, rule: rule.into(), sentence: sentence.into() }
    }

    /// The same as an entry of the book of refusals, given to `from`.
    #[must_use]
    pub fn given_to(&self, from: impl fmt::Display) -> Refusal {
        Refusal::new(self.code, from, format!("{} ({})", self.sentence, self.rule))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}: {}", self.code, self.rule, self.sentence)
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_of_refusals_holds_code_sentence_and_rule() {
        let refused = Refused::new(Code::Busy, "offer.bound", "too many offers; answer some");
        let entry = refused.given_to("jetson");
        assert_eq!(entry.to_string(), "BUSY from jetson: too many offers; answer some (offer.bound)");
        assert_eq!(refused.to_string(), "BUSY by offer.bound: too many offers; answer some");
    }
}
