//! The motor of the pump: the pressure switch that starts it, the float that keeps it from running dry, and what it
//! gives and draws. What it gives falls with a power of the pressure, as in a pump whose wheels let some water slip back.

use crate::file::Pump;

/// Below this share of its full speed it moves no water.
const MOVES_FROM: f64 = 0.05;

/// What electronics and relay draw while the motor stands.
const STANDING_W: f64 = 3.0;

/// What a running motor draws without moving water, as a share of what it draws at its full flow.
const IDLE_SHARE: f64 = 0.55;

/// A motor and how it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Motor {
    file: Pump,
    is_called: bool,
    is_dry: bool,
    is_seized: bool,
    is_fed: bool,
    speed: f64,
    strength: f64,
    flow_lps: f64,
}

impl Motor {
    /// A motor that stands.
    pub fn standing(file: &Pump) -> Self {
        Self {
            file: file.clone(),
            is_called: false,
            is_dry: false,
            is_seized: false,
            is_fed: false,
            speed: 0.0,
            strength: 1.0,
            flow_lps: 0.0,
        }
    }

    /// Lets the switches decide and the motor turn for a moment. `is_enabled` is the relay.
    pub fn step(&mut self, step_s: f64, is_enabled: bool, vessel_kpa: f64, level_percent: f64) {
        if vessel_kpa < self.file.cut_in_kpa {
            self.is_called = true;
        } else if vessel_kpa >= self.file.cut_out_kpa {
            self.is_called = false;
        }
        if level_percent < self.file.dry_below_percent {
            self.is_dry = true;
        } else if level_percent >= self.file.dry_until_percent {
            self.is_dry = false;
        }
        self.is_fed = is_enabled && self.is_called && !self.is_dry && !self.is_seized;
        let aim = if self.is_fed { 1.0 } else { 0.0 };
        self.speed += (aim - self.speed) * (step_s / self.file.starts_in_s).min(1.0);
        if self.is_fed {
            let worn = self.file.wear_percent_per_hour / 100.0 * step_s / 3600.0;
            self.strength = (self.strength - worn).max(0.0);
        }
    }

    /// What it moves against this pressure, in litres per second.
    pub fn give_lps(&mut self, lift_kpa: f64) -> f64 {
        let shut_kpa = self.file.shut_kpa * self.strength * self.speed * self.speed;
        self.flow_lps = if self.speed < MOVES_FROM || lift_kpa.max(0.0) >= shut_kpa {
            0.0
        } else {
            let slip = libm::pow(lift_kpa.max(0.0) / shut_kpa, self.file.slip_exponent);
            self.file.flow_lpm_max / 60.0 * self.strength * self.speed * (1.0 - slip)
        };
        self.flow_lps
    }

    /// What it draws.
    pub fn power_w(&self) -> f64 {
        // A motor that runs down is fed by nobody.
        if !self.is_fed {
            return STANDING_W;
        }
        let flow_share = self.flow_lps * 60.0 / self.file.flow_lpm_max;
        let turning_w = self.file.power_w * (IDLE_SHARE + (1.0 - IDLE_SHARE) * flow_share);
        let inrush_w = self.file.power_w * (self.file.inrush_times - 1.0) * (1.0 - self.speed);
        STANDING_W + turning_w + inrush_w
    }

    /// Whether it turns.
    pub fn is_turning(&self) -> bool {
        self.speed >= MOVES_FROM
    }

    /// From now on it is worn.
    pub fn wear_out(&mut self) {
        self.strength *= self.file.worn_percent / 100.0;
    }

    /// From now on it does not turn, whatever its relay says.
    pub fn seize(&mut self) {
        self.is_seized = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::shipped;

    fn motor() -> Motor {
        Motor::standing(&shipped().pump)
    }

    fn turn(motor: &mut Motor, seconds: f64, kpa: f64, level_percent: f64) {
        for _ in 0..(seconds / 0.025) as u32 {
            motor.step(0.025, true, kpa, level_percent);
        }
    }

    #[test]
    fn the_switch_starts_below_cut_in_and_stops_at_cut_out_and_keeps_in_between() {
        let Pump { cut_in_kpa, cut_out_kpa, .. } = shipped().pump;
        let between = (cut_in_kpa + cut_out_kpa) / 2.0;
        let mut motor = motor();
        turn(&mut motor, 10.0, between, 70.0);
        assert!(!motor.is_turning(), "not yet called");
        turn(&mut motor, 10.0, cut_in_kpa - 1.0, 70.0);
        assert!(motor.is_turning(), "called");
        turn(&mut motor, 10.0, between, 70.0);
        assert!(motor.is_turning(), "still called");
        turn(&mut motor, 10.0, cut_out_kpa, 70.0);
        assert!(!motor.is_turning(), "satisfied");
        turn(&mut motor, 10.0, between, 70.0);
        assert!(!motor.is_turning(), "still satisfied");
    }

    #[test]
    fn without_the_relay_nothing_turns() {
        let mut motor = motor();
        for _ in 0..400 {
            motor.step(0.025, false, 0.0, 70.0);
        }
        assert!(!motor.is_turning());
        assert_eq!((motor.give_lps(10.0), motor.power_w()), (0.0, STANDING_W));
    }

    #[test]
    fn an_empty_tank_stops_the_motor_until_there_is_enough_again() {
        let Pump { dry_below_percent, dry_until_percent, .. } = shipped().pump;
        let mut motor = motor();
        turn(&mut motor, 10.0, 0.0, dry_below_percent - 0.1);
        assert!(!motor.is_turning(), "dry");
        turn(&mut motor, 10.0, 0.0, dry_below_percent + 0.1);
        assert!(!motor.is_turning(), "not enough");
        turn(&mut motor, 10.0, 0.0, dry_until_percent);
        assert!(motor.is_turning(), "enough");
    }

    #[test]
    fn it_gives_less_against_more_pressure_and_nothing_when_shut() {
        let mut motor = motor();
        turn(&mut motor, 30.0, 0.0, 70.0);
        let gives: Vec<f64> = [0.0, 50.0, 100.0, 200.0, 1000.0].map(|kpa| motor.give_lps(kpa)).to_vec();
        assert!(gives.windows(2).all(|pair| pair[0] > pair[1]), "{gives:?}");
        assert_eq!(gives[4], 0.0);
        motor.wear_out();
        assert!(motor.give_lps(100.0) < 0.7 * gives[2], "worn");
    }

    #[test]
    fn starting_draws_more_than_running() {
        let mut motor = motor();
        turn(&mut motor, 0.1, 0.0, 70.0);
        motor.give_lps(50.0);
        let starting_w = motor.power_w();
        turn(&mut motor, 20.0, 0.0, 70.0);
        motor.give_lps(50.0);
        let running_w = motor.power_w();
        assert!(starting_w > 1.7 * running_w, "{starting_w} W, then {running_w} W");
        assert!(running_w > 900.0 && running_w < 1500.0, "{running_w} W");
    }

    #[test]
    fn a_seized_motor_does_not_turn() {
        let mut motor = motor();
        motor.seize();
        turn(&mut motor, 10.0, 0.0, 70.0);
        assert!(!motor.is_turning());
    }
}
