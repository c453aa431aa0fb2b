//! How faults are planned, begin, and break what they break.

use crate::error::PlantError;
use crate::fault::{Fault, PlannedFault};
use crate::file::short_name;
use crate::plant::Plant;

impl Plant {
    /// Plans a fault. One whose time has come begins with the next step.
    pub fn plan(&mut self, planned: PlannedFault) -> Result<(), PlantError> {
        self.check(&planned.fault)?;
        self.planned.push(planned);
        Ok(())
    }

    fn check(&self, fault: &Fault) -> Result<(), PlantError> {
        let is_valve = |name: &str| self.zones.iter().any(|zone| zone.is_called(name));
        let is_pump = |name: &str| short_name(&self.file.pump.device) == name;
        match fault {
            Fault::StuckValve { device } | Fault::Leak { behind: Some(device), .. } if !is_valve(device) => {
                Err(PlantError::NoValve(device.clone()))
            }
            Fault::NeverMoves { device }
            | Fault::DeadDevice { device }
            | Fault::ManualSwitch { device, .. }
                if !is_valve(device) && !is_pump(device) =>
            {
                Err(PlantError::NoDevice(device.clone()))
            }
            Fault::LyingSensor { sensor, .. } | Fault::Dropout { sensor }
                if !self.probes.contains_key(sensor) =>
            {
                Err(PlantError::NoSensor(sensor.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Lets every fault begin whose time has come.
    pub(crate) fn begin_faults(&mut self) {
        let now_s = self.time.plant_s();
        let is_due = |planned: &mut PlannedFault| f64::from(planned.from_s) <= now_s;
        if self.planned.is_empty() {
            return;
        }
        let due: Vec<PlannedFault> = self.planned.extract_if(.., is_due).collect();
        for planned in due {
            self.begin(planned.fault);
        }
    }

    fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::Leak { lpm_at_200_kpa, behind } => self.leak(lpm_at_200_kpa / 2.0_f64.sqrt(), behind),
            Fault::CloggedFilter => self.station.begin_clogging(),
            Fault::WornPump => self.station.motor_mut().wear_out(),
            Fault::DrySource => self.station.dry_up(),
            Fault::StuckValve { device } => {
                if let Some(zone) = self.zone_mut(&device) {
                    zone.valve.stick();
                }
            }
            Fault::NeverMoves { device } => match self.zone_mut(&device) {
                Some(zone) => zone.valve.break_stem(),
                None => self.station.motor_mut().seize(),
            },
            Fault::DeadDevice { device } => {
                if let Some(device) = self.device_mut(&device) {
                    device.die();
                }
            }
            Fault::ManualSwitch { device, hands } => {
                if let Some(device) = self.device_mut(&device) {
                    device.hold(hands);
                }
            }
            Fault::LyingSensor { sensor, lie } => {
                if let Some(probe) = self.probes.get_mut(&sensor) {
                    probe.lie(lie);
                }
            }
            Fault::Dropout { sensor } => {
                if let Some(probe) = self.probes.get_mut(&sensor) {
                    probe.fall_silent();
                }
            }
        }
    }

    fn leak(&mut self, lpm_at_100_kpa: f64, behind: Option<String>) {
        match behind.and_then(|valve| self.zone_mut(&valve)) {
            Some(zone) => zone.leak(lpm_at_100_kpa),
            None => self.leak_lpm_at_100_kpa += lpm_at_100_kpa,
        }
    }
}
