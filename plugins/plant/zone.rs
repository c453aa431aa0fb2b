//! A zone: its valve, the line behind it with its own pressure, and the soil the line ends in.

use crate::device::Device;
use crate::file::{self, short_name};
use crate::opening;
use crate::soil::Profile;
use crate::valve::Valve;

/// A zone and its water.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    /// What is true of it.
    pub file: file::Zone,
    /// The electronics of the valve.
    pub device: Device,
    /// The valve.
    pub valve: Valve,
    /// The soil.
    pub soil: Profile,
    line_l: f64,
    leak_lpm_at_100_kpa: f64,
    leaked_l: f64,
    outflow_lps: f64,
}

impl Zone {
    /// A closed zone with an empty line.
    pub fn closed(file: &file::Zone) -> Self {
        Self {
            file: file.clone(),
            device: Device::off(file.on_silence),
            valve: Valve::closed(file.stroke_s),
            soil: Profile::new(&file.soil),
            line_l: 0.0,
            leak_lpm_at_100_kpa: 0.0,
            leaked_l: 0.0,
            outflow_lps: 0.0,
        }
    }

    /// Moves valve and water for a moment and tells how many litres left the mainline.
    pub fn step(&mut self, step_s: f64, mainline_kpa: f64) -> f64 {
        self.valve.step(step_s, self.device.is_wanted_on());
        let line_kpa = self.line_kpa();
        let position = self.valve.position();
        let open_lpm = self.file.line_lpm_at_100_kpa * position * position;
        let taken_l = opening::passes_lps(open_lpm, mainline_kpa - line_kpa) * step_s;
        let leak_l =
            (opening::passes_lps(self.leak_lpm_at_100_kpa, line_kpa) * step_s).clamp(0.0, self.line_l);
        let given_l = (self.file.outlet.gives_lps(line_kpa) * step_s).min(self.line_l - leak_l);
        self.line_l += taken_l - leak_l - given_l;
        self.leaked_l += leak_l;
        self.outflow_lps = given_l / step_s;
        self.soil.pour(given_l);
        taken_l
    }

    /// The pressure in the line.
    pub fn line_kpa(&self) -> f64 {
        // Rounding alone can make this less than nothing.
        (self.line_l / self.file.line_l_per_kpa).max(0.0)
    }

    /// What the pressure holds in the line.
    pub fn line_l(&self) -> f64 {
        self.line_l
    }

    /// What has leaked so far.
    pub fn leaked_l(&self) -> f64 {
        self.leaked_l
    }

    /// What reaches the ground.
    pub fn outflow_lpm(&self) -> f64 {
        self.outflow_lps * 60.0
    }

    /// Whether a fault or a person calls it so.
    pub fn is_called(&self, device: &str) -> bool {
        short_name(&self.file.device) == device
    }

    /// From now on its line leaks this much more.
    pub fn leak(&mut self, lpm_at_100_kpa: f64) {
        self.leak_lpm_at_100_kpa += lpm_at_100_kpa;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::file::tests::shipped;
    use crate::time::Time;

    fn run(zone: &mut Zone, seconds: u32, kpa: f64) -> f64 {
        (0..seconds * 40).map(|_| zone.step(0.025, kpa)).sum()
    }

    #[test]
    fn a_closed_zone_takes_nothing_and_an_open_one_what_its_row_gives() {
        let mut zone = Zone::closed(&shipped().zones[0]);
        assert_eq!(run(&mut zone, 60, 200.0), 0.0);
        let mut time = Time::new(1).unwrap();
        time.tell(Duration::from_secs(60));
        zone.device.write(true, &time).unwrap();
        run(&mut zone, 30, 200.0);
        let lpm = run(&mut zone, 60, 200.0);
        assert!((lpm - 8.0).abs() < 0.6, "{lpm} L/min");
        assert!((lpm - zone.outflow_lpm()).abs() < 0.01);
    }

    #[test]
    fn a_closing_zone_drips_its_line_empty() {
        let mut zone = Zone::closed(&shipped().zones[0]);
        zone.device.write(true, &Time::new(1).unwrap()).unwrap();
        run(&mut zone, 30, 200.0);
        zone.device.write(false, &Time::new(1).unwrap()).unwrap();
        run(&mut zone, 600, 200.0);
        assert!(zone.line_kpa() < 0.5, "{}", zone.line_kpa());
        assert_eq!(run(&mut zone, 10, 200.0), 0.0);
    }

    #[test]
    fn a_leak_takes_more_than_the_row_gives_and_never_more_than_there_is() {
        let mut zone = Zone::closed(&shipped().zones[0]);
        zone.device.write(true, &Time::new(1).unwrap()).unwrap();
        zone.leak(1e6);
        run(&mut zone, 60, 200.0);
        assert!(zone.line_l() >= 0.0 && zone.leaked_l() > 20.0, "{} {}", zone.line_l(), zone.leaked_l());
    }
}
