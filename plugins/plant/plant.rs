//! The whole plant: it takes time, set points, hands and faults, and shows what its sensors show.

use std::collections::BTreeMap;
use std::time::Duration;

use clawmesh_authority::Capability;

use crate::device::{Device, DeviceState, Hands, WriteFault};
use crate::error::PlantError;
use crate::fault::PlannedFault;
use crate::file::{PlantFile, short_name};
use crate::ledger::Ledger;
use crate::measures::Measures;
use crate::opening;
use crate::sensor::{PlantSensor, Probe};
use crate::station::Station;
use crate::time::{STEP_S, STEPS_OF_A_SECOND, Time};
use crate::truth::{Truth, ZoneTruth};
use crate::walker::Walker;
use crate::weather::{Air, Sky};
use crate::zone::Zone;

/// A plant that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plant {
    pub(crate) file: PlantFile,
    pub(crate) time: Time,
    pub(crate) planned: Vec<PlannedFault>,
    pump: Device,
    pub(crate) station: Station,
    mainline_l: f64,
    pub(crate) leak_lpm_at_100_kpa: f64,
    leaked_l: f64,
    pub(crate) zones: Vec<Zone>,
    sky: Sky,
    air: Air,
    walkers: Vec<Walker>,
    pub(crate) probes: BTreeMap<Capability, Probe>,
    began_with_l: f64,
}

impl Plant {
    /// A plant at its beginning. Its time runs `speed` times as fast as the wall: everything physical counts plant
    /// time, strokes of valves too; only watchdogs and sampling periods count wall time.
    pub fn new(
        file: PlantFile,
        seed: u64,
        speed: u32,
        faults: Vec<PlannedFault>,
    ) -> Result<Self, PlantError> {
        let wrong = file.faults();
        if !wrong.is_empty() {
            return Err(PlantError::File(wrong));
        }
        let station = Station::standing(&file);
        let sky = Sky::new(&file.weather, seed);
        let probes = file.sensors.iter().map(|sensor| (sensor.capability.clone(), Probe::new(sensor, seed)));
        let mut plant = Self {
            time: Time::new(speed)?,
            planned: Vec::new(),
            pump: Device::off(file.pump.on_silence),
            mainline_l: station.vessel_kpa() * file.mainline.l_per_kpa,
            leak_lpm_at_100_kpa: 0.0,
            leaked_l: 0.0,
            zones: file.zones.iter().map(Zone::closed).collect(),
            air: sky.at(0.0),
            walkers: file.people.iter().map(|person| Walker::new(person, seed)).collect(),
            probes: probes.collect(),
            began_with_l: 0.0,
            station,
            sky,
            file,
        };
        plant.began_with_l = plant.ledger().held_l();
        for fault in faults {
            plant.plan(fault)?;
        }
        Ok(plant)
    }

    /// Lets wall time pass. It takes as long as the plant time it stands for; no split of a wait changes the outcome.
    pub fn advance(&mut self, wall: Duration) {
        self.time.tell(wall);
        while self.time.take_step() {
            self.step();
        }
    }

    fn step(&mut self) {
        self.begin_faults();
        self.pump.watch(&self.time);
        let mainline_kpa = self.mainline_kpa();
        let mut gained_l = self.station.step(STEP_S, self.pump.is_wanted_on(), mainline_kpa);
        for zone in &mut self.zones {
            zone.device.watch(&self.time);
            gained_l -= zone.step(STEP_S, mainline_kpa);
        }
        self.mainline_l += gained_l;
        let leak_l = opening::passes_lps(self.leak_lpm_at_100_kpa, mainline_kpa) * STEP_S;
        let leak_l = leak_l.clamp(0.0, self.mainline_l.max(0.0));
        self.mainline_l -= leak_l;
        self.leaked_l += leak_l;
        if self.time.steps().is_multiple_of(STEPS_OF_A_SECOND) {
            self.second();
        }
    }

    /// What is slow enough to move once in a second of the plant.
    fn second(&mut self) {
        self.air = self.sky.at(self.time.plant_s());
        for zone in &mut self.zones {
            zone.soil.step(1.0, self.air.rain_mm_per_s, self.air.takes_mm_per_s);
        }
        for walker in &mut self.walkers {
            walker.step(1.0);
        }
    }

    /// The sensors of the plant, sorted.
    pub fn sensors(&self) -> impl Iterator<Item = PlantSensor> {
        self.probes.values().map(Probe::told)
    }

    /// The devices of the plant: the pump, then the valves in the order of the file.
    pub fn devices(&self) -> impl Iterator<Item = &Capability> {
        std::iter::once(&self.file.pump.device).chain(self.zones.iter().map(|zone| &zone.file.device))
    }

    /// What a sensor shows now; nothing if the sample is lost or there is no such sensor. Each call is a new sample.
    pub fn sample(&mut self, sensor: &Capability) -> Option<f64> {
        let truth = self.measure(self.probes.get(sensor)?.measures());
        self.probes.get_mut(sensor)?.show(truth, self.time.plant_s())
    }

    fn measure(&self, measures: &Measures) -> f64 {
        match measures {
            Measures::TankLevel => self.station.level_percent(),
            Measures::Flow => self.station.flow_lpm(),
            Measures::Pressure => self.mainline_kpa(),
            Measures::PumpPower => self.station.motor().power_w(),
            Measures::SoilMoisture { zone } => {
                let zone = self.zones.iter().find(|known| known.file.zone == *zone);
                zone.map_or(0.0, |zone| zone.soil.probe_percent())
            }
            Measures::Temperature => self.air.temperature_c,
            Measures::Wind => self.air.wind_mps,
            Measures::RainOfLastHour => self.air.rain_of_last_hour_mm,
            Measures::East { of } => self.place(of).0,
            Measures::North { of } => self.place(of).1,
        }
    }

    fn place(&self, of: &str) -> (f64, f64) {
        let walker = self.walkers.iter().find(|walker| walker.name() == of).map(Walker::at);
        let home = || self.file.rovers.iter().find(|rover| rover.name == of).map(|rover| rover.home);
        walker.or_else(home).unwrap_or_default()
    }

    /// Gives a device its set point, which also feeds its watchdog. The same one again changes nothing.
    pub fn write(&mut self, device: &Capability, on: bool) -> Result<(), WriteFault> {
        self.reach(device, |device, time| device.write(on, time))
    }

    /// Feeds the watchdog of a device.
    pub fn keep_alive(&mut self, device: &Capability) -> Result<(), WriteFault> {
        self.reach(device, Device::keep_alive)
    }

    /// Puts a hand on the switch of a device, or takes it away. True if there is such a device.
    pub fn hands(&mut self, device: &Capability, hands: Hands) -> bool {
        let held = self.reach(device, |device, _| {
            device.hold(hands);
            Ok(())
        });
        held.is_ok()
    }

    /// What a device tells of itself; nothing if it does not answer or there is no such device.
    #[must_use]
    pub fn read_back(&self, device: &Capability) -> Option<DeviceState> {
        if *device == self.file.pump.device {
            // The contactor has closed or opened long before anybody asks.
            return self.pump.state(Some(self.pump.is_wanted_on()));
        }
        let zone = self.zones.iter().find(|zone| zone.file.device == *device)?;
        zone.device.state(zone.valve.end())
    }

    fn reach<T>(
        &mut self,
        device: &Capability,
        ask: impl FnOnce(&mut Device, &Time) -> Result<T, WriteFault>,
    ) -> Result<T, WriteFault> {
        let known = if *device == self.file.pump.device {
            Some(&mut self.pump)
        } else {
            self.zones.iter_mut().find(|zone| zone.file.device == *device).map(|zone| &mut zone.device)
        };
        known.map_or(Err(WriteFault::UnknownDevice), |device| ask(device, &self.time))
    }

    pub(crate) fn device_mut(&mut self, name: &str) -> Option<&mut Device> {
        if short_name(&self.file.pump.device) == name {
            return Some(&mut self.pump);
        }
        self.zone_mut(name).map(|zone| &mut zone.device)
    }

    pub(crate) fn zone_mut(&mut self, valve: &str) -> Option<&mut Zone> {
        self.zones.iter_mut().find(|zone| zone.is_called(valve))
    }

    fn mainline_kpa(&self) -> f64 {
        (self.mainline_l / self.file.mainline.l_per_kpa).max(0.0)
    }

    /// What is true now.
    #[must_use]
    pub fn truth(&self) -> Truth {
        let zone = |zone: &Zone| ZoneTruth {
            zone: zone.file.zone.clone(),
            valve: zone.valve.position(),
            line_kpa: zone.line_kpa(),
            outflow_lpm: zone.outflow_lpm(),
            layers_percent: zone.soil.percents(),
        };
        Truth {
            plant_s: self.time.plant_s(),
            tank_percent: self.station.level_percent(),
            vessel_kpa: self.station.vessel_kpa(),
            mainline_kpa: self.mainline_kpa(),
            mainline_flow_lpm: self.station.flow_lpm(),
            pump_w: self.station.motor().power_w(),
            is_pump_turning: self.station.motor().is_turning(),
            clog: self.station.clog(),
            temperature_c: self.air.temperature_c,
            wind_mps: self.air.wind_mps,
            rain_of_last_hour_mm: self.air.rain_of_last_hour_mm,
            zones: self.zones.iter().map(zone).collect(),
        }
    }

    /// Where the water is and where it went.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let sum = |of: &dyn Fn(&Zone) -> f64| self.zones.iter().map(of).sum::<f64>();
        Ledger {
            began_with_l: self.began_with_l,
            supplied_l: self.station.supplied_l(),
            rained_l: sum(&|zone| zone.soil.rained_l()),
            tank_l: self.station.tank_l(),
            pressed_l: self.station.vessel_l() + self.mainline_l + sum(&|zone| zone.line_l()),
            ponded_l: sum(&|zone| zone.soil.ponded_l()),
            soil_l: sum(&|zone| zone.soil.held_l()),
            evaporated_l: sum(&|zone| zone.soil.evaporated_l()),
            drained_l: sum(&|zone| zone.soil.drained_l()),
            ran_off_l: sum(&|zone| zone.soil.ran_off_l()),
            leaked_l: self.leaked_l + sum(&|zone| zone.leaked_l()),
        }
    }
}
