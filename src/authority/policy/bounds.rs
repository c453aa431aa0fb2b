//! The numbers of a policy: ranges, conditions, budgets, dosages.

use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::policy::Rule;
use crate::reading::Value;

/// What a parameter may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Parameter {
    /// A number from the lowest to the highest.
    Number(f64, f64),
    /// One of these words.
    Word(Vec<String>),
    /// Yes or no.
    Flag,
}

/// How a value does not fit its parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// A value of another type.
    Type,
    /// Of the type, and not allowed.
    Range,
}

impl Parameter {
    /// How `value` does not fit, if it does not.
    #[must_use]
    pub fn misfit(&self, value: &Value) -> Option<Misfit> {
        let fits = match (self, value) {
            (Self::Number(low, high), Value::Number(number)) => (*low..=*high).contains(number),
            (Self::Word(words), Value::Text(text)) => words.contains(text),
            (Self::Flag, Value::Flag(_)) => true,
            _ => return Some(Misfit::Type),
        };
        (!fits).then_some(Misfit::Range)
    }

    /// What it may be, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Number(low, high) => format!("a number from {low} to {high}"),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Flag => "true or false".to_owned(),
        }
    }
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Must {
    /// This or more.
    BeAtLeast(f64),
    /// This or less.
    BeAtMost(f64),
    /// Between the two, both included.
    BeWithin(f64, f64),
}

impl Must {
    /// True for a value that is as it must be; NaN never is.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        match self {
            Self::BeAtLeast(low) => value >= *low,
            Self::BeAtMost(high) => value <= *high,
            Self::BeWithin(low, high) => (*low..=*high).contains(&value),
        }
    }

    /// The condition in words, with its unit, for example `at least 20 %`.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::BeAtLeast(low) => format!("at least {low}"),
            Self::BeAtMost(high) => format!("at most {high}"),
            Self::BeWithin(low, high) => format!("between {low} and {high}"),
        }
    }

    /// True when no value is as both must be.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        let range = |must: &Self| match *must {
            Self::BeAtLeast(low) => (low, f64::INFINITY),
            Self::BeAtMost(high) => (f64::NEG_INFINITY, high),
            Self::BeWithin(low, high) => (low, high),
        };
        let ((low, high), (other_low, other_high)) = (range(self), range(other));
        high < other_low || other_high < low
    }

    /// True when some value can be as it must be.
    #[must_use]
    pub fn can_hold(&self) -> bool {
        match self {
            Self::BeAtLeast(bound) | Self::BeAtMost(bound) => bound.is_finite(),
            Self::BeWithin(low, high) => low.is_finite() && high.is_finite() && low <= high,
        }
    }
}

/// A condition that must be shown to hold, before and while something is on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interlock {
    /// The rule it stands for.
    #[serde(default = "plain_interlock")]
    pub rule: Rule,
    /// The sensor that shows it.
    pub sensor: Capability,
    /// The node it must be mounted on, by its name in the site.
    pub node: String,
    /// What it must say.
    pub must: Must,
    /// How old its reading may be.
    pub age_s_max: u32,
    /// For how long it can say the very same while all is well, seconds; a sensor that rests longer is stuck and shows nothing.
    /// Absent for what may rest for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck_after_s: Option<u32>,
    /// Why, for people.
    pub why: String,
}

fn plain_interlock() -> Rule {
    Rule::Interlock
}

/// What may be drawn from a tank, or put onto a zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The tank or the zone, by its name in the site.
    pub of: String,
    /// Litres of one command, planned at the most its actuator lets pass.
    pub litres_per_command_max: f64,
    /// Litres in any 24 hours.
    pub litres_per_day_max: f64,
    /// Seconds in any 24 hours.
    pub seconds_per_day_max: f64,
}

/// How much of a substance may go out with the water.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dosage {
    /// The substance, for example `jeevamrit`.
    pub substance: String,
    /// Seconds for which it may be let out at once.
    pub seconds_per_command_max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_parameter_has_a_type_and_a_range() {
        let text = |text: &str| Value::Text(text.to_owned());
        let (number, word) = (Parameter::Number(60.0, 600.0), Parameter::Word(vec!["slow".to_owned()]));
        for (parameter, value, misfit) in [
            (&number, Value::Number(60.0), None),
            (&number, Value::Number(600.0), None),
            (&number, Value::Number(600.1), Some(Misfit::Range)),
            (&number, Value::Number(f64::NAN), Some(Misfit::Range)),
            (&number, text("60"), Some(Misfit::Type)),
            (&word, text("slow"), None),
            (&word, text("fast"), Some(Misfit::Range)),
            (&word, Value::Flag(true), Some(Misfit::Type)),
            (&Parameter::Flag, Value::Flag(false), None),
            (&Parameter::Flag, Value::Number(1.0), Some(Misfit::Type)),
        ] {
            assert_eq!(parameter.misfit(&value), misfit, "{parameter:?} {value:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_no_number_is_as_it_must_be(low: f64, high: f64) {
            for must in [Must::BeAtLeast(low), Must::BeAtMost(high), Must::BeWithin(low, high)] {
                prop_assert!(!must.holds(f64::NAN));
            }
        }

        #[test]
        fn what_can_hold_holds_for_some_value(low in -1e9..1e9, high in -1e9..1e9) {
            let must = Must::BeWithin(low, high);
            prop_assert_eq!(must.can_hold(), must.holds(low) && must.holds(high));
        }
    }
}
