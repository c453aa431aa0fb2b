//! The machine itself as a sensor: load, memory, disks, network, temperatures, uptime (crate `sysinfo`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use clawmesh_authority::{Capability, SensorSpec, Tier, Unit};
use clawmesh_core::intake::{InboxHandle, Input, InputBody, Sample, SourceId, StreamKey};
use sysinfo::{Components, Disks, Networks, System};

use crate::moments::unix_ms;

const PERIOD: Duration = Duration::from_secs(1);
const PERIOD_MS: u32 = 1_000;
/// How often the thread looks whether it should end.
const NAP: Duration = Duration::from_millis(50);

/// The running sensors of this machine.
pub struct HostSensors {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl HostSensors {
    /// Starts measuring once a second.
    pub fn start(inbox: InboxHandle) -> anyhow::Result<Self> {
        let stop = Arc::<AtomicBool>::default();
        let seen = Arc::clone(&stop);
        let machine = Machine::new(inbox).context("this machine does not show its load and memory")?;
        let thread =
            thread::Builder::new().name("host-sensors".to_owned()).spawn(move || machine.run(&seen))?;
        Ok(Self { stop, thread })
    }

    /// Stops measuring.
    pub fn close(self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            tracing::error!("the thread of the host sensors panicked");
        }
    }
}

struct Machine {
    inbox: InboxHandle,
    system: System,
    /// What a machine does not have, or does not show, is left out.
    disks: Option<Disks>,
    networks: Option<Networks>,
    components: Option<Components>,
    declared: usize,
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
            declared: 0,
        })
    }

    fn run(mut self, stop: &AtomicBool) {
        // Loads and rates are differences: the first look only sets the baseline.
        self.look();
        while sleep_unless(stop, PERIOD) {
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
        self.components.iter_mut().for_each(|components| components.refresh(true));
        let mut measured = Measured::new();
        self.measure_system(&mut measured);
        self.measure_disks(&mut measured);
        self.measure_network(&mut measured);
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

    fn measure_network(&self, measured: &mut Measured) {
        for (name, data) in self.networks.iter().flat_map(|networks| networks.iter()) {
            // Interfaces nothing ever went through are no news to anybody.
            if data.total_received() + data.total_transmitted() == 0 {
                continue;
            }
            let name = &name.to_string_lossy();
            let rate = |bytes: u64| bytes as f64 / PERIOD.as_secs_f64();
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
        if measured.len() == self.declared {
            return;
        }
        let specs = measured.values().map(|(spec, _)| spec.clone()).collect();
        match self.inbox.offer_own(SourceId::HostSensors, InputBody::SensorsDeclared(specs), None) {
            Ok(()) => self.declared = measured.len(),
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
    let Ok(sensor) = Capability::new(&format!("sensor:{name}:{}", plain(place))) else { return };
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

/// A place as part of a capability: letters, digits and dashes.
fn plain(place: &str) -> String {
    let dashed: String =
        place.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect();
    let trimmed = dashed.trim_matches('-');
    if trimmed.is_empty() { "root".to_owned() } else { trimmed.to_owned() }
}

/// False as soon as `stop` is set.
fn sleep_unless(stop: &AtomicBool, period: Duration) -> bool {
    let naps = period.as_millis() / NAP.as_millis();
    for _ in 0..naps {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        thread::sleep(NAP);
    }
    true
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
}
