//! One thing that is to be done: something switched for a while, or a rover driven to a place.

use serde::{Deserialize, Serialize};

use super::limits::LENGTH_S_MAX;
use super::snapshot::METRES_MAX;
use crate::site::{Name, Point, SwitchState};

/// The most steps of one proposal, and the most that may be under way.
pub const STEPS_MAX: usize = 64;

/// What is done to one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The valve, the pump or the rover.
    pub of: Name,
    /// What it does.
    pub act: Act,
}

/// What a thing is made to do. It begins at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Act {
    /// A valve or a pump is brought into a state; then it goes to the safe state of its actuator.
    Switch {
        /// The state.
        state: SwitchState,
        /// For how long; of what is under way, for how long still.
        for_s: f64,
    },
    /// A rover drives straight to a point and stays there.
    Drive {
        /// The point.
        to: Point,
    },
}

impl Step {
    /// What is wrong with its numbers.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        match &self.act {
            Act::Switch { for_s, .. } => {
                let is_time = *for_s > 0.0 && *for_s <= LENGTH_S_MAX;
                (!is_time)
                    .then(|| format!("`for_s` is {for_s}, it must be above 0 and at most {LENGTH_S_MAX}"))
            }
            Act::Drive { to } => {
                let is_place = to.0.abs() <= METRES_MAX && to.1.abs() <= METRES_MAX;
                (!is_place).then(|| format!("({}, {}) is no place within {METRES_MAX} m", to.0, to.1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_above_zero_and_a_place_is_near() {
        let switch = |for_s| Step {
            of: Name::new("valve").unwrap(),
            act: Act::Switch { state: SwitchState::On, for_s },
        };
        assert_eq!(switch(1_200.0).fault(), None);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, LENGTH_S_MAX + 1.0] {
            assert!(switch(bad).fault().unwrap().contains("`for_s`"), "{bad}");
        }
        let drive = |to| Step { of: Name::new("rover").unwrap(), act: Act::Drive { to } };
        assert_eq!(drive(Point(10.0, -3.0)).fault(), None);
        for bad in [Point(f64::NAN, 0.0), Point(0.0, f64::INFINITY), Point(1e9, 0.0)] {
            assert!(drive(bad).fault().unwrap().contains("is no place"), "{bad:?}");
        }
    }
}
