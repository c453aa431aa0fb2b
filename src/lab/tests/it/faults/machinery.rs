//! The stand-in plant behind the real driver layer, beat by beat in virtual time, and what really happened in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clawmesh_authority::{
    AuthorizedCommand, Capability, SafeStates, SafingCommand, SensorSpec, Setpoint, Tier,
};
use clawmesh_core::intake::{InboxHandle, Input, InputBody, Sample, SourceId, StreamKey};
use clawmesh_core::replay::CommitWatch;
use clawmesh_core::site::DriverPort;
use clawmesh_drivers::{Driver, DriverFault, DriverPorts, Layer, ReadBack, StopLatch, Taken};
use clawmesh_lab::{LEASE_MS, Machinery};
use clawmesh_plant::{Plant, Truth, WriteFault};

use super::watering::SPEED;

/// How far the plant and its drivers go at once, milliseconds of the wall.
const BEAT_MS: u64 = 20;
/// Below this the policy lets no pump run.
const TANK_PERCENT_MIN: f64 = 20.0;

/// The plant of a node, with its sensors and its drivers. Clones share it.
#[derive(Clone)]
pub struct Yard(Arc<Mutex<Parts>>);

struct Parts {
    plant: Arc<Mutex<Plant>>,
    layer: Option<Layer>,
    safe_states: SafeStates,
    sensors: BTreeMap<Capability, Due>,
    now_ms: u64,
    trace: Trace,
}

/// A sensor and when it speaks next.
struct Due {
    spec: SensorSpec,
    at_ms: u64,
}

/// What really happened, whatever anybody was told.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// What reached the ground of each zone, litres.
    pub litres: BTreeMap<String, f64>,
    /// How far the valve of each zone was open at most, 0 to 1.
    pub opened: BTreeMap<String, f64>,
    /// How long the pump turned, seconds of the wall.
    pub turned_s: f64,
    /// How long it turned with less in the tank than the policy asks for, seconds of the wall.
    pub dry_s: f64,
    /// How full the tank was at most.
    pub tank_percent_max: f64,
}

impl Yard {
    /// A plant whose time stands until its node steps.
    pub fn new(plant: Plant, specs: Vec<SensorSpec>, safe_states: SafeStates) -> Self {
        let due = |spec: SensorSpec| (spec.sensor.clone(), Due { spec, at_ms: 0 });
        Self(Arc::new(Mutex::new(Parts {
            plant: Arc::new(Mutex::new(plant)),
            layer: None,
            safe_states,
            sensors: specs.into_iter().map(due).collect(),
            now_ms: clawmesh_lab::START_MS,
            trace: Trace::default(),
        })))
    }

    /// What really happened so far.
    pub fn trace(&self) -> Trace {
        self.lock().trace.clone()
    }

    /// The plant as it is, to look into and to try things on; the one that runs does not notice.
    pub fn plant(&self) -> Plant {
        lock(&self.lock().plant).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        lock(&self.0)
    }
}

impl Machinery for Yard {
    fn connect(&self, inbox: &InboxHandle, commits: CommitWatch, latch: StopLatch) -> Box<dyn DriverPort> {
        let mut parts = self.lock();
        let (mut layer, orders) = Layer::over(DriverPorts {
            driver: Box::new(Wires(Arc::clone(&parts.plant))),
            safe_states: parts.safe_states.clone(),
            shuts_after: BTreeMap::new(),
            latch,
            inbox: inbox.clone(),
            commits,
            lease_ms: LEASE_MS,
        });
        layer.begin();
        parts.layer = Some(layer);
        Box::new(orders)
    }

    fn step(&self, now_ms: u64, inbox: &InboxHandle) {
        let mut parts = self.lock();
        while parts.now_ms + BEAT_MS <= now_ms {
            parts.now_ms += BEAT_MS;
            parts.beat();
        }
        parts.speak(inbox);
    }
}

impl Parts {
    fn beat(&mut self) {
        let beat = Duration::from_millis(BEAT_MS);
        let mut plant = lock(&self.plant);
        plant.advance(beat);
        self.trace.note(plant.truth(), beat.as_secs_f64());
        drop(plant);
        if let Some(layer) = &mut self.layer {
            layer.beat(self.now_ms);
        }
    }

    fn speak(&mut self, inbox: &InboxHandle) {
        let mut plant = lock(&self.plant);
        for (sensor, due) in self.sensors.iter_mut().filter(|(_, due)| due.at_ms <= self.now_ms) {
            due.at_ms = self.now_ms + u64::from(due.spec.period_ms);
            let Some(value) = plant.sample(sensor) else { continue };
            let sample = Sample {
                sensor: sensor.clone(),
                value,
                unit: due.spec.unit,
                origin_ms: self.now_ms,
                tier: Tier::T2,
            };
            let sequence = inbox.next_sequence();
            let input =
                Input { source: SourceId::HostSensors, sequence, body: InputBody::Sampled(vec![sample]) };
            inbox.offer_stream(StreamKey { source: SourceId::HostSensors, what: sensor.to_string() }, input);
        }
    }
}

impl Trace {
    fn note(&mut self, truth: Truth, wall_s: f64) {
        let plant_s = wall_s * f64::from(SPEED);
        self.tank_percent_max = self.tank_percent_max.max(truth.tank_percent);
        if truth.is_pump_turning {
            self.turned_s += wall_s;
            if truth.tank_percent < TANK_PERCENT_MIN {
                self.dry_s += wall_s;
            }
        }
        for zone in truth.zones {
            *self.litres.entry(zone.zone.clone()).or_default() += zone.outflow_lpm / 60.0 * plant_s;
            let opened = self.opened.entry(zone.zone).or_default();
            *opened = opened.max(zone.valve);
        }
    }
}

/// The wires from the driver layer to the plant, as a node has them.
struct Wires(Arc<Mutex<Plant>>);

impl Wires {
    fn write(&self, actuator: &Capability, setpoint: Setpoint) -> Result<Taken, DriverFault> {
        let written = lock(&self.0).write(actuator, setpoint == Setpoint::On);
        written.map(|()| Taken::Done).map_err(|fault| match fault {
            WriteFault::UnknownDevice => DriverFault::Unknown(actuator.clone()),
            WriteFault::LocalControl => DriverFault::LocalControl(actuator.clone()),
            WriteFault::NoAnswer => DriverFault::NoAnswer(actuator.clone()),
        })
    }
}

impl Driver for Wires {
    fn drive(&mut self, command: &AuthorizedCommand) -> Result<Taken, DriverFault> {
        self.write(command.actuator(), command.setpoint())
    }

    fn make_safe(&mut self, command: &SafingCommand) -> Result<Taken, DriverFault> {
        self.write(command.actuator(), command.setpoint())
    }

    fn read_back(&mut self, actuator: &Capability) -> Option<ReadBack> {
        let mut plant = lock(&self.0);
        // Whoever asks is there: its watchdog hears of it.
        let _ = plant.keep_alive(actuator);
        let state = plant.read_back(actuator)?;
        let position = state.reached.map(|is_on| if is_on { Setpoint::On } else { Setpoint::Off });
        Some(ReadBack { position, local_control: state.local_control })
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
