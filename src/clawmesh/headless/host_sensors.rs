//! The machine itself as a sensor: load, memory, disks, network, temperatures, uptime (crate `sysinfo`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clawmesh_authority::{Capability, SensorSpec, Tier, Unit};
use clawmesh_core::intake::{InboxHandle, Input, InputBody, Sample, SourceId, StreamKey};
use sysinfo::{Components, Disks, Networks, System};

use super::worker::{Ends, Worker};
use crate::moments::{now, unix_ms};

const PERIOD: Duration = Duration::from_secs(1);
const PERIOD_MS: u32 = 1_000;
/// A rate over less time than this says nothing.
const INTERVAL_MIN: Duration = Duration::from_millis(50);
/// How long the thread may take to end: a file server that is gone can hold up a look at the disks for minutes.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
/// Totals of some file systems move with what is written; described again is what moved by more than this.
const RANGE_SHIFT_MAX: f64 = 0.1;

/// Starts measuring once a second.
pub fn start(inbox: InboxHandle) -> std::io::Result<Worker> {
    // The first look at the machine may take long, so it is the thread's, and nobody waits for it.
    let worker = Worker::start("host-sensors", move |ends| match Machine::new(inbox) {
        Ok(machine) => machine.run(ends),
        Err(fault) => tracing::error!("this machine does not show its load and memory: {fault}"),
    })?;
    Ok(worker.with_patience(CLOSE_PATIENCE))
}

struct Machine {
    inbox: InboxHandle,
    system: System,
    /// What a machine does not have, or does not show, is left out.
    disks: Option<Disks>,
    networks: Option<Networks>,
    components: Option<Components>,
    /// When the counters of the network were last read.
    looked: Instant,
    declared: BTreeMap<Capability, SensorSpec>,
}

/// What was measured, by sensor; the spec says what it is.
type Measured = BTreeMap<Capability, (SensorSpec, f64)>;

impl Machine {
    fn new(inbox: InboxHandle) -> Result<Self, sysinfo::Error> {
        Ok(Self {
            inbox,
            system: System::new()?,
            disks: Disks::new_with_refreshed_list().ok(),
            networks: Networks::new_with_refreshed_list().ok(),
            components: Components::new_with_refreshed_list().ok(),
            looked: now(),
            declared: BTreeMap::new(),
        })
    }

    fn run(mut self, ends: &Ends) {
        // Loads and rates are differences: the first look only sets the baseline.
        self.look();
        while ends.sleep(PERIOD) {
            let measured = self.look();
            self.declare(&measured);
            self.offer(measured);
        }
    }

    fn look(&mut self) -> Measured {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.disks.iter_mut().for_each(|disks| disks.refresh(true));
        self.networks.iter_mut().for_each(|networks| networks.refresh(true));
        let interval = self.interval();
        self.components.iter_mut().for_each(|components| components.refresh(true));
        let mut measured = Measured::new();
        self.measure_system(&mut measured);
        self.measure_disks(&mut measured);
        self.measure_network(&mut measured, interval);
        self.measure_temperatures(&mut measured);
        measured
    }

    fn measure_system(&self, measured: &mut Measured) {
        let percent = Some((0.0, 100.0));
        put(
            measured,
            "cpu-load",
            "host",
            "processor load",
            Unit::Percent,
            percent,
            f64::from(self.system.global_cpu_usage()),
        );
        let total = self.system.total_memory() as f64;
        let used = self.system.used_memory() as f64;
        put(measured, "memory-used", "host", "memory used", Unit::Byte, Some((0.0, total.max(1.0))), used);
        if let Ok(uptime_s) = System::uptime() {
            put(measured, "uptime", "host", "time since boot", Unit::Second, None, uptime_s as f64);
        }
    }

    fn measure_disks(&self, measured: &mut Measured) {
        for disk in self.disks.iter().flatten() {
            let range = Some((0.0, (disk.total_space() as f64).max(1.0)));
            let place = disk.mount_point().to_string_lossy();
            put(
                measured,
                "disk-free",
                &place,
                "disk space free",
                Unit::Byte,
                range,
                disk.available_space() as f64,
            );
        }
    }

    /// The time since the last look, which is longer than the period when the machine is busy.
    fn interval(&mut self) -> Duration {
        let looked = now();
        looked.saturating_duration_since(std::mem::replace(&mut self.looked, looked))
    }

    fn measure_network(&self, measured: &mut Measured, interval: Duration) {
        // In the order of their names, so that interfaces whose names look alike keep their numbers.
        let networks: BTreeMap<_, _> = self.networks.iter().flat_map(|networks| networks.iter()).collect();
        for (name, data) in networks {
            // Interfaces nothing ever went through are no news to anybody.
            if data.total_received() + data.total_transmitted() == 0 {
                continue;
            }
            let name = &name.to_string_lossy();
            let rate = |bytes: u64| per_second(bytes, interval);
            put(
                measured,
                "network-in",
                name,
                "bytes received",
                Unit::BytePerSecond,
                None,
                rate(data.received()),
            );
            put(
                measured,
                "network-out",
                name,
                "bytes sent",
                Unit::BytePerSecond,
                None,
                rate(data.transmitted()),
            );
        }
    }

    fn measure_temperatures(&self, measured: &mut Measured) {
        for component in self.components.iter().flatten() {
            let Some(celsius) = component.temperature() else { continue };
            let range = Some((-60.0, 150.0));
            put(
                measured,
                "temperature",
                component.label(),
                "temperature",
                Unit::Celsius,
                range,
                f64::from(celsius),
            );
        }
    }

    /// Says what there is, at first and whenever a disk or an interface came or went.
    fn declare(&mut self, measured: &Measured) {
        if is_described(&self.declared, measured) {
            return;
        }
        let specs: BTreeMap<_, _> =
            measured.iter().map(|(sensor, (spec, _))| (sensor.clone(), spec.clone())).collect();
        let body = InputBody::SensorsDeclared(specs.values().cloned().collect());
        match self.inbox.offer_own(SourceId::HostSensors, body, None) {
            Ok(()) => self.declared = specs,
            Err(refusal) => tracing::warn!("{refusal}"),
        }
    }

    fn offer(&self, measured: Measured) {
        let origin_ms = unix_ms();
        let samples = measured
            .into_iter()
            .map(|(sensor, (spec, value))| Sample {
                sensor,
                value,
                unit: spec.unit,
                origin_ms,
                tier: Tier::T2,
            })
            .collect();
        let sequence = self.inbox.next_sequence();
        let input = Input { source: SourceId::HostSensors, sequence, body: InputBody::Sampled(samples) };
        self.inbox.offer_stream(StreamKey { source: SourceId::HostSensors, what: "host".to_owned() }, input);
    }
}

fn put(
    measured: &mut Measured,
    name: &str,
    place: &str,
    quantity: &str,
    unit: Unit,
    range: Option<(f64, f64)>,
    value: f64,
) {
    let Some(sensor) = free_name(measured, &format!("sensor:{name}:{}", plain(place))) else { return };
    let spec = SensorSpec {
        sensor: sensor.clone(),
        quantity: quantity.to_owned(),
        unit,
        period_ms: PERIOD_MS,
        range,
        // Time itself must move; everything else may rest.
        stuck_after_ms: (name == "uptime").then_some(10_000),
        about: None,
    };
    measured.insert(sensor, (spec, value));
}

/// The name, or with a number when another place of this machine has it already: `Core-0`, `Core-0-2`, …
fn free_name(measured: &Measured, name: &str) -> Option<Capability> {
    let numbered = (2..=measured.len() + 1).map(|number| format!("{name}-{number}"));
    let mut names =
        std::iter::once(name.to_owned()).chain(numbered).filter_map(|name| Capability::new(&name).ok());
    names.find(|name| !measured.contains_key(name))
}

/// True when what was declared still describes what was measured: the same sensors, of the same kind.
fn is_described(declared: &BTreeMap<Capability, SensorSpec>, measured: &Measured) -> bool {
    let is_same = |sensor: &Capability, spec: &SensorSpec| {
        declared.get(sensor).is_some_and(|said| {
            SensorSpec { range: spec.range, ..said.clone() } == *spec && is_close(said.range, spec.range)
        })
    };
    declared.len() == measured.len() && measured.iter().all(|(sensor, (spec, _))| is_same(sensor, spec))
}

fn is_close(said: Option<(f64, f64)>, found: Option<(f64, f64)>) -> bool {
    match (said, found) {
        (Some(said), Some(found)) => (said.1 - found.1).abs() <= RANGE_SHIFT_MAX * said.1.abs(),
        (said, found) => said == found,
    }
}

fn per_second(bytes: u64, interval: Duration) -> f64 {
    bytes as f64 / interval.max(INTERVAL_MIN).as_secs_f64()
}

/// A place as part of a capability: letters, digits and dashes.
fn plain(place: &str) -> String {
    let dashed: String =
        place.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect();
    let trimmed = dashed.trim_matches('-');
    if trimmed.is_empty() { "root".to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_core::intake::{InboxLimits, doors};

    #[test]
    fn a_place_becomes_part_of_a_capability() {
        for (place, name) in [("/", "root"), ("/var/lib", "var-lib"), ("Core 0", "Core-0"), ("eth0", "eth0")]
        {
            assert_eq!(plain(place), name);
        }
    }

    #[test]
    fn this_machine_has_a_load_a_memory_and_an_uptime_with_units() {
        let (inbox, inboxes) = doors(InboxLimits::default());
        let mut machine = Machine::new(inbox).unwrap();
        let measured = machine.look();
        machine.declare(&measured);
        machine.offer(measured);
        let declared = inboxes.take_state(9);
        let InputBody::SensorsDeclared(specs) = &declared[0].0.body else { panic!("specs come first") };
        assert!(specs.iter().all(|spec| spec.fault().is_none()), "{specs:?}");
        let (inputs, _) = inboxes.take_stream();
        let InputBody::Sampled(samples) = &inputs[0].body else { panic!("samples come second") };
        for (name, unit) in
            [("cpu-load", Unit::Percent), ("memory-used", Unit::Byte), ("uptime", Unit::Second)]
        {
            let sensor = format!("sensor:{name}:host");
            let sample = samples.iter().find(|sample| sample.sensor.as_str() == sensor).unwrap();
            assert!(sample.unit == unit && sample.value.is_finite(), "{sample:?}");
        }
    }
    fn measured(places: &[&str]) -> Measured {
        let mut measured = Measured::new();
        for place in places {
            put(&mut measured, "disk-free", place, "disk space free", Unit::Byte, Some((0.0, 100.0)), 7.0);
        }
        measured
    }

    fn declared(measured: &Measured) -> BTreeMap<Capability, SensorSpec> {
        measured.iter().map(|(sensor, (spec, _))| (sensor.clone(), spec.clone())).collect()
    }

    #[test]
    fn places_with_one_name_are_numbered_and_none_is_lost() {
        let measured = measured(&["/a/b", "/a-b", "/a b", "/c"]);
        let names: Vec<&str> = measured.keys().map(Capability::as_str).collect();
        let expected = ["a-b", "a-b-2", "a-b-3", "c"].map(|place| format!("sensor:disk-free:{place}"));
        assert_eq!(names, expected);
    }

    #[test]
    fn a_disk_that_came_while_another_went_is_described() {
        let before = declared(&measured(&["/", "/usb-1"]));
        assert!(is_described(&before, &measured(&["/", "/usb-1"])));
        assert!(!is_described(&before, &measured(&["/", "/usb-2"])));
        assert!(!is_described(&before, &measured(&["/"])));
    }

    #[test]
    fn a_total_that_drifts_is_not_described_again_and_one_that_jumps_is() {
        let before = declared(&measured(&["/"]));
        for (total, is_same) in [(100.0, true), (95.0, true), (50.0, false), (200.0, false)] {
            let mut now = measured(&["/"]);
            now.values_mut().for_each(|(spec, _)| spec.range = Some((0.0, total)));
            assert_eq!(is_described(&before, &now), is_same, "{total}");
        }
    }

    #[test]
    fn a_rate_is_by_the_time_that_passed_not_by_the_time_that_should_have() {
        assert_eq!(per_second(3_000, Duration::from_millis(1_500)), 2_000.0);
        assert!(per_second(3_000, Duration::ZERO).is_finite());
    }
}
