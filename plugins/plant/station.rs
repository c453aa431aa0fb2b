//! From the source to the filter: the tank, the pump behind its pressure switch, the vessel, and how clean the filter is.

use crate::file::PlantFile;
use crate::motor::Motor;
use crate::opening;

/// What a metre of water presses.
const KPA_PER_M: f64 = 9.806_65;

/// However clogged a filter is, this share of its openings stays.
const OPEN_SHARE_MIN: f64 = 0.005;

/// How far and how fast the fault clogs the filter.
const FAULT_CLOG: f64 = 0.9;
const FAULT_CLOGS_IN_S: f64 = 120.0;

/// The tank and what stands behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Station {
    file: PlantFile,
    motor: Motor,
    tank_l: f64,
    vessel_l: f64,
    supplied_l: f64,
    is_filling: bool,
    is_source_dry: bool,
    clog: f64,
    is_clogging: bool,
    flow_lps: f64,
}

impl Station {
    /// A station in which everything stands and the tank alone makes the pressure.
    pub fn standing(file: &PlantFile) -> Self {
        let tank_l = file.tank.capacity_l * file.tank.level_percent / 100.0;
        let mut station = Self {
            file: file.clone(),
            motor: Motor::standing(&file.pump),
            tank_l,
            vessel_l: 0.0,
            supplied_l: 0.0,
            is_filling: false,
            is_source_dry: false,
            clog: 0.0,
            is_clogging: false,
            flow_lps: 0.0,
        };
        station.vessel_l = station.tank_kpa() * file.pump.vessel_l_per_kpa;
        station
    }

    /// Moves water for a moment and tells how many litres entered the mainline; below 0 they came back out of it.
    pub fn step(&mut self, step_s: f64, is_enabled: bool, mainline_kpa: f64) -> f64 {
        self.fill(step_s);
        let (tank_kpa, vessel_kpa) = (self.tank_kpa(), self.vessel_kpa());
        self.motor.step(step_s, is_enabled, vessel_kpa, self.level_percent());
        let lift_kpa = vessel_kpa - tank_kpa;
        // A check valve: water runs through the standing pump, and never back.
        let by_itself = opening::passes_lps(self.file.pump.standing_lpm_at_100_kpa, -lift_kpa).max(0.0);
        let pressed_l = ((self.motor.give_lps(lift_kpa) + by_itself) * step_s).min(self.tank_l);
        self.flow_lps = opening::passes_lps(self.way_lpm_at_100_kpa(), vessel_kpa - mainline_kpa);
        let passed_l = self.flow_lps * step_s;
        self.tank_l -= pressed_l;
        self.vessel_l += pressed_l - passed_l;
        self.clog_by(passed_l.max(0.0), step_s);
        passed_l
    }

    fn fill(&mut self, step_s: f64) {
        let level_percent = self.level_percent();
        if level_percent < self.file.source.opens_below_percent {
            self.is_filling = true;
        } else if level_percent >= self.file.source.closes_at_percent {
            self.is_filling = false;
        }
        if self.is_filling && !self.is_source_dry {
            let room_l = (self.file.tank.capacity_l - self.tank_l).max(0.0);
            let filled_l = (self.file.source.yield_lpm / 60.0 * step_s).min(room_l);
            self.tank_l += filled_l;
            self.supplied_l += filled_l;
        }
    }

    fn clog_by(&mut self, passed_l: f64, step_s: f64) {
        self.clog = (self.clog + passed_l / self.file.filter.clogs_after_l).min(1.0);
        if self.is_clogging && self.clog < FAULT_CLOG {
            self.clog += FAULT_CLOG * step_s / FAULT_CLOGS_IN_S;
        }
    }

    fn way_lpm_at_100_kpa(&self) -> f64 {
        // What is blocked also narrows what is not, hence the square.
        let open = ((1.0 - self.clog) * (1.0 - self.clog)).max(OPEN_SHARE_MIN);
        opening::in_series(self.file.filter.clean_lpm_at_100_kpa * open, self.file.mainline.lpm_at_100_kpa)
    }

    fn tank_kpa(&self) -> f64 {
        let tank = &self.file.tank;
        (tank.floor_m + tank.depth_m * self.tank_l / tank.capacity_l) * KPA_PER_M
    }

    /// The pressure that the switch feels.
    pub fn vessel_kpa(&self) -> f64 {
        self.vessel_l / self.file.pump.vessel_l_per_kpa
    }

    /// How full the tank is.
    pub fn level_percent(&self) -> f64 {
        self.tank_l / self.file.tank.capacity_l * 100.0
    }

    /// What is in the tank.
    pub fn tank_l(&self) -> f64 {
        self.tank_l
    }

    /// What the pressure holds in the vessel.
    pub fn vessel_l(&self) -> f64 {
        self.vessel_l
    }

    /// What the source has given so far.
    pub fn supplied_l(&self) -> f64 {
        self.supplied_l
    }

    /// What enters the mainline.
    pub fn flow_lpm(&self) -> f64 {
        self.flow_lps * 60.0
    }

    /// How clogged the filter is, 0 to 1.
    pub fn clog(&self) -> f64 {
        self.clog
    }

    /// The motor of the pump.
    pub fn motor(&self) -> &Motor {
        &self.motor
    }

    /// The motor of the pump, to break it.
    pub fn motor_mut(&mut self) -> &mut Motor {
        &mut self.motor
    }

    /// From now on the source gives nothing.
    pub fn dry_up(&mut self) {
        self.is_source_dry = true;
    }

    /// From now on the filter clogs within minutes.
    pub fn begin_clogging(&mut self) {
        self.is_clogging = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::shipped;

    fn run(station: &mut Station, seconds: u32, is_enabled: bool, mainline_kpa: f64) -> f64 {
        (0..seconds * 40).map(|_| station.step(0.025, is_enabled, mainline_kpa)).sum()
    }

    #[test]
    fn with_nothing_taken_the_switch_charges_the_vessel_once_and_rests() {
        let mut file = shipped();
        file.mainline.lpm_at_100_kpa = 0.0;
        let mut station = Station::standing(&file);
        run(&mut station, 60, true, 0.0);
        let kpa = station.vessel_kpa();
        assert!(kpa >= file.pump.cut_out_kpa && kpa < file.pump.shut_kpa, "{kpa}");
        assert!(!station.motor().is_turning());
        run(&mut station, 600, true, 0.0);
        assert_eq!(station.vessel_kpa(), kpa);
    }

    #[test]
    fn the_float_fills_low_and_closes_high() {
        let mut file = shipped();
        file.mainline.lpm_at_100_kpa = 0.0;
        let mut station = Station::standing(&file);
        run(&mut station, 3600, false, 0.0);
        let level = station.level_percent();
        assert!((level - file.source.closes_at_percent).abs() < 0.1, "{level}");
        let supplied = station.supplied_l();
        run(&mut station, 60, false, 0.0);
        assert_eq!(station.supplied_l(), supplied);
    }

    #[test]
    fn no_more_is_pumped_than_the_tank_holds() {
        let mut file = shipped();
        file.source.yield_lpm = 0.0;
        file.tank.level_percent = 1.0;
        file.pump.dry_below_percent = 0.0;
        let mut station = Station::standing(&file);
        run(&mut station, 1800, true, 0.0);
        assert!(station.tank_l() >= 0.0 && station.tank_l() < 1.0, "{}", station.tank_l());
    }

    #[test]
    fn litres_clog_the_filter_and_a_clogged_one_lets_little_pass() {
        let mut file = shipped();
        file.filter.clogs_after_l = 2000.0;
        let mut station = Station::standing(&file);
        let before = run(&mut station, 60, true, 50.0);
        run(&mut station, 3600, true, 50.0);
        assert!(station.clog() > 0.8, "{}", station.clog());
        let after = run(&mut station, 60, true, 50.0);
        assert!(after < before / 10.0, "{before} L, then {after} L");
    }
}
