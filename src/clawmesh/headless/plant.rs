//! The stand-in plant as the hardware of a node: a thread that lets its time pass and reads its sensors, and a driver.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clawmesh_authority::{AuthorizedCommand, Capability, SafingCommand, SensorSpec, Setpoint, Tier, Unit};
use clawmesh_core::intake::{InboxHandle, Input, InputBody, Sample, SourceId, StreamKey};
use clawmesh_drivers::{Driver, DriverFault, ReadBack, Taken};
use clawmesh_plant::{Plant, WriteFault};

use super::worker::{Ends, Worker};
use crate::moments::{now, unix_ms};

/// How often the plant is let go on.
const BEAT: Duration = Duration::from_millis(20);

/// A plant that the thread, the sensors and the driver share.
type Shared = Arc<Mutex<Plant>>;

/// Lets the time of the plant pass. `sensors` are those of this node in the site; the plant measures, the site describes.
pub fn start(
    plant: Plant,
    sensors: Vec<SensorSpec>,
    inbox: InboxHandle,
) -> std::io::Result<(Worker, PlantDriver)> {
    let plant: Shared = Arc::new(Mutex::new(plant));
    let driver = PlantDriver { plant: Arc::clone(&plant) };
    let worker = Worker::start("plant", move |ends| {
        Beat { plant, sensors: due_now(sensors), inbox, passed: now() }.run(ends);
    })?;
    Ok((worker, driver))
}

/// A sensor and when it speaks next.
struct Due {
    spec: SensorSpec,
    at: Instant,
}

fn due_now(sensors: Vec<SensorSpec>) -> BTreeMap<Capability, Due> {
    let at = now();
    sensors.into_iter().map(|spec| (spec.sensor.clone(), Due { spec, at })).collect()
}

struct Beat {
    plant: Shared,
    sensors: BTreeMap<Capability, Due>,
    inbox: InboxHandle,
    passed: Instant,
}

impl Beat {
    fn run(mut self, ends: &Ends) {
        let specs = self.sensors.values().map(|due| due.spec.clone()).collect();
        if let Err(refusal) =
            self.inbox.offer_own(SourceId::HostSensors, InputBody::SensorsDeclared(specs), None)
        {
            tracing::error!("the sensors of the plant were not declared: {refusal}");
        }
        while ends.sleep(BEAT) {
            self.go_on();
        }
    }

    fn go_on(&mut self) {
        let at = now();
        let wall = at.saturating_duration_since(std::mem::replace(&mut self.passed, at));
        let mut plant = lock(&self.plant);
        plant.advance(wall);
        let origin_ms = unix_ms();
        for (sensor, due) in self.sensors.iter_mut().filter(|(_, due)| due.at <= at) {
            due.at = at + Duration::from_millis(u64::from(due.spec.period_ms));
            let Some(value) = plant.sample(sensor) else { continue };
            let (sensor, unit) = (sensor.clone(), due.spec.unit);
            offer(&self.inbox, Sample { sensor, value, unit, origin_ms, tier: Tier::T2 });
        }
    }
}

fn offer(inbox: &InboxHandle, sample: Sample) {
    let what = sample.sensor.to_string();
    let sequence = inbox.next_sequence();
    let input = Input { source: SourceId::HostSensors, sequence, body: InputBody::Sampled(vec![sample]) };
    inbox.offer_stream(StreamKey { source: SourceId::HostSensors, what }, input);
}

fn lock(plant: &Shared) -> MutexGuard<'_, Plant> {
    plant.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The wires from this node to the plant.
pub struct PlantDriver {
    plant: Shared,
}

impl PlantDriver {
    fn write(&self, actuator: &Capability, setpoint: Setpoint) -> Result<Taken, DriverFault> {
        let written = lock(&self.plant).write(actuator, setpoint == Setpoint::On);
        written.map(|()| Taken::Done).map_err(|fault| match fault {
            WriteFault::UnknownDevice => DriverFault::Unknown(actuator.clone()),
            WriteFault::LocalControl => DriverFault::LocalControl(actuator.clone()),
            WriteFault::NoAnswer => DriverFault::NoAnswer(actuator.clone()),
        })
    }
}

impl Driver for PlantDriver {
    fn drive(&mut self, command: &AuthorizedCommand) -> Result<Taken, DriverFault> {
        // Said first, so that whatever happens to us no command is missing here that the plant may have heard.
        let (actuator, setpoint, proposal) = (command.actuator(), command.setpoint(), command.proposal());
        tracing::info!("the plant is told: {actuator} {setpoint}, step {} of {proposal}", command.step() + 1);
        self.write(actuator, setpoint)
    }

    fn make_safe(&mut self, command: &SafingCommand) -> Result<Taken, DriverFault> {
        tracing::info!("the plant is told: {} {}, its safe state", command.actuator(), command.setpoint());
        self.write(command.actuator(), command.setpoint())
    }

    fn read_back(&mut self, actuator: &Capability) -> Option<ReadBack> {
        let mut plant = lock(&self.plant);
        // Whoever asks is there: its watchdog hears of it, as with hardware that is polled.
        let _ = plant.keep_alive(actuator);
        let state = plant.read_back(actuator)?;
        let position = state.reached.map(|is_on| if is_on { Setpoint::On } else { Setpoint::Off });
        Some(ReadBack { position, local_control: state.local_control })
    }
}

/// What the site says of the sensors of one node, as far as the plant can measure them.
///
/// # Errors
/// A sentence, when the plant measures one of them in another unit.
pub fn specs(plan: &clawmesh_twin::site::Plan, node: &str, plant: &Plant) -> Result<Vec<SensorSpec>, String> {
    let measured: BTreeMap<String, Unit> =
        plant.sensors().map(|sensor| (sensor.capability.to_string(), sensor.unit)).collect();
    let own = plan.sensors.iter().filter(|sensor| sensor.node.as_str() == node);
    let mut specs = Vec::new();
    for sensor in own {
        let Some(unit) = measured.get(&sensor.capability) else { continue };
        if unit.code() != sensor.unit {
            return Err(format!(
                "{} is in {} for the site and in {} for the plant; give both the same unit",
                sensor.capability,
                sensor.unit,
                unit.code()
            ));
        }
        let capability = Capability::new(&sensor.capability).map_err(|fault| fault.to_string())?;
        specs.push(SensorSpec {
            sensor: capability,
            quantity: sensor.quantity.clone(),
            unit: *unit,
            period_ms: sensor.period_ms,
            range: Some(sensor.range),
            stuck_after_ms: None,
            about: None,
        });
    }
    Ok(specs)
}
