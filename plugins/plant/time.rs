//! The time of the plant: whole steps of plant time, driven by wall time that is counted without rounding.

use std::time::Duration;

use crate::error::PlantError;

/// One inner step, in seconds of the plant.
pub const STEP_S: f64 = 0.025;

/// How much faster than the wall the plant may run.
pub const SPEED_MAX: u32 = 3600;

/// Soil, weather and people move once in so many inner steps, which is once in a second of the plant.
pub const STEPS_OF_A_SECOND: u64 = 40;

const STEP_NS: u128 = 25_000_000;

const NS_OF_A_SECOND: u128 = 1_000_000_000;

/// How much time has passed. Everything is counted in nanoseconds of the plant, so that no split of a wait matters.
#[derive(Debug, Clone, PartialEq)]
pub struct Time {
    speed: u32,
    told_ns: u128,
    steps: u64,
}

impl Time {
    /// Time that begins now and runs `speed` times as fast as the wall.
    pub fn new(speed: u32) -> Result<Self, PlantError> {
        if !(1..=SPEED_MAX).contains(&speed) {
            return Err(PlantError::Speed(speed));
        }
        Ok(Self { speed, told_ns: 0, steps: 0 })
    }

    /// Takes note that this much wall time has passed.
    pub fn tell(&mut self, wall: Duration) {
        self.told_ns = self.told_ns.saturating_add(wall.as_nanos().saturating_mul(u128::from(self.speed)));
    }

    /// True, and one step later, if a whole step has not been made yet.
    pub fn take_step(&mut self) -> bool {
        let is_due = self.made_ns() + STEP_NS <= self.told_ns;
        self.steps += u64::from(is_due);
        is_due
    }

    /// How many steps were made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Where the steps stand, in seconds of the plant.
    pub fn plant_s(&self) -> f64 {
        self.steps as f64 * STEP_S
    }

    /// What was told so far, with the part that is no whole step yet.
    pub fn told_ns(&self) -> u128 {
        self.told_ns
    }

    /// Whether, where the steps stand, at least so many wall seconds have passed since then.
    pub fn is_wall_s_after(&self, wall_s: u32, since_told_ns: u128) -> bool {
        let wait_ns = u128::from(wall_s) * NS_OF_A_SECOND * u128::from(self.speed);
        self.made_ns() >= since_told_ns.saturating_add(wait_ns)
    }

    fn made_ns(&self) -> u128 {
        u128::from(self.steps) * STEP_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps_after(speed: u32, waits: &[Duration]) -> u64 {
        let mut time = Time::new(speed).unwrap();
        for wait in waits {
            time.tell(*wait);
            while time.take_step() {}
        }
        time.steps()
    }

    #[test]
    fn only_whole_steps_are_made_and_the_rest_is_kept() {
        assert_eq!(steps_after(1, &[Duration::from_millis(24)]), 0);
        assert_eq!(steps_after(1, &[Duration::from_millis(24), Duration::from_millis(1)]), 1);
        assert_eq!(steps_after(1, &[Duration::from_secs(1)]), STEPS_OF_A_SECOND);
        assert_eq!(steps_after(60, &[Duration::from_secs(1)]), 60 * STEPS_OF_A_SECOND);
        assert_eq!((STEP_S * STEPS_OF_A_SECOND as f64, STEP_NS as f64 / 1e9), (1.0, STEP_S));
    }

    #[test]
    fn a_third_of_a_second_three_times_loses_no_step() {
        let thirds = [333_333_333, 333_333_333, 333_333_334].map(Duration::from_nanos);
        assert_eq!(steps_after(3600, &thirds), steps_after(3600, &[Duration::from_secs(1)]));
    }

    #[test]
    fn a_speed_out_of_bounds_is_refused() {
        assert!(Time::new(0).is_err() && Time::new(SPEED_MAX + 1).is_err());
        assert!(Time::new(1).is_ok() && Time::new(SPEED_MAX).is_ok());
    }

    #[test]
    fn wall_seconds_pass_at_the_speed_of_the_wall() {
        for speed in [1, 60, 3600] {
            let mut time = Time::new(speed).unwrap();
            time.tell(Duration::from_millis(4_950));
            while time.take_step() {}
            assert!(!time.is_wall_s_after(5, 0), "{speed}");
            time.tell(Duration::from_millis(50));
            while time.take_step() {}
            assert!(time.is_wall_s_after(5, 0), "{speed}");
        }
    }

    #[test]
    fn the_longest_wait_there_is_overflows_nothing() {
        let mut time = Time::new(SPEED_MAX).unwrap();
        for _ in 0..3 {
            time.tell(Duration::MAX);
        }
        assert!(time.take_step() && !time.is_wall_s_after(u32::MAX, time.told_ns()));
    }
}
