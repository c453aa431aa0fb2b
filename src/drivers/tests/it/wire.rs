//! A driver whose every write a test can wait for, and the layer in front of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clawmesh_authority::{AuthorizedCommand, Capability, SafeStates, SafingCommand, Setpoint};
use clawmesh_core::intake::{DriverReport, InboxLimits, Inboxes, InputBody, doors};
use clawmesh_core::replay::CommitWatch;
use clawmesh_drivers::{
    Driver, DriverFault, DriverLayer, DriverPorts, KeepStop, MockDriver, Orders, ReadBack, StopLatch, Taken,
};
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::allowed::{pump, valve};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a test looks at what the tick was told.
const TURNS_MAX: usize = 20_000;

/// A write, as the hardware saw it.
pub type Write = (&'static str, Capability, Setpoint);

/// A [`MockDriver`] that tells of each write, shared with the test.
#[derive(Clone)]
pub struct Wire {
    pub hardware: Arc<Mutex<MockDriver>>,
    writes: Sender<Write>,
}

impl Driver for Wire {
    fn drive(&mut self, command: &AuthorizedCommand) -> Result<Taken, DriverFault> {
        self.hardware.lock().expect("the rig is well-formed").drive(command)?;
        self.writes
            .send(("drive", command.actuator().clone(), command.setpoint()))
            .expect("the rig is well-formed");
        Ok(Taken::Done)
    }

    fn make_safe(&mut self, command: &SafingCommand) -> Result<Taken, DriverFault> {
        self.hardware.lock().expect("the rig is well-formed").make_safe(command)?;
        self.writes
            .send(("make_safe", command.actuator().clone(), command.setpoint()))
            .expect("the rig is well-formed");
        Ok(Taken::Done)
    }

    fn read_back(&mut self, actuator: &Capability) -> Option<ReadBack> {
        self.hardware.lock().expect("the rig is well-formed").read_back(actuator)
    }
}

/// A stop that outlives nothing.
pub struct Forgetful;

impl KeepStop for Forgetful {
    fn keep(&self, reason: &str) -> Result<String, String> {
        Ok(reason.to_owned())
    }

    fn forget(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A running layer and everything around it.
pub struct Rig {
    pub layer: Option<DriverLayer>,
    pub orders: Orders,
    pub wire: Wire,
    pub latch: StopLatch,
    pub commits: CommitWatch,
    writes: Receiver<Write>,
    inboxes: Inboxes,
    told: Mutex<Vec<DriverReport>>,
}

impl Rig {
    /// A layer over hardware on which `on` is switched on, with a lease of `lease_ms`.
    pub fn start(on: &[Capability], held: &[Capability], lease_ms: u64) -> Self {
        let mut hardware = MockDriver::with([pump(), valve()]);
        for actuator in on {
            hardware.drive(&crate::allowed::command(actuator, 60.0)).expect("the rig is well-formed");
        }
        for actuator in held {
            hardware.set_local_control(actuator, true);
        }
        let (tell, writes) = bounded(64);
        let wire = Wire { hardware: Arc::new(Mutex::new(hardware)), writes: tell };
        let (inbox, inboxes) = doors(InboxLimits::default());
        let (latch, commits) = (StopLatch::new(None, Forgetful), CommitWatch::default());
        let ports = DriverPorts {
            driver: Box::new(wire.clone()),
            safe_states: SafeStates::in_order([(pump(), Setpoint::Off), (valve(), Setpoint::Off)]),
            shuts_after: BTreeMap::new(),
            latch: latch.clone(),
            inbox,
            commits: commits.clone(),
            lease_ms,
        };
        let (layer, orders) = DriverLayer::start(ports).expect("the rig is well-formed");
        Self { layer: Some(layer), orders, wire, latch, commits, writes, inboxes, told: Mutex::default() }
    }

    /// The next write, whenever it comes.
    pub fn next_write(&self) -> Write {
        self.writes.recv_timeout(PATIENCE).expect("something is written")
    }

    /// Ends the layer and returns the writes nobody waited for.
    pub fn close(mut self) -> (Vec<Write>, Vec<DriverReport>) {
        self.layer.take().expect("the rig is well-formed").close();
        let writes = self.writes.try_iter().collect();
        self.listen();
        (writes, self.told.into_inner().expect("the rig is well-formed"))
    }

    /// Waits until the tick was told something of which `is_it` is true.
    pub fn wait_told(&self, is_it: impl Fn(&DriverReport) -> bool) -> DriverReport {
        // Bounded by turns, not by a clock: each gives the layer a whole beat.
        for _ in 0..TURNS_MAX {
            self.listen();
            if let Some(report) =
                self.told.lock().expect("the rig is well-formed").iter().find(|report| is_it(report))
            {
                return report.clone();
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        panic!("the tick was told only {:?}", self.told.lock().expect("the rig is well-formed"));
    }

    /// What each actuator was told to be last.
    pub fn positions(&self) -> BTreeMap<Capability, Option<Setpoint>> {
        let mut hardware = self.wire.hardware.lock().expect("the rig is well-formed");
        let read = |actuator: Capability| {
            let position = hardware.read_back(&actuator).and_then(|seen| seen.position);
            (actuator, position)
        };
        [pump(), valve()].into_iter().map(read).collect()
    }

    fn listen(&self) {
        let mut told = self.told.lock().expect("the rig is well-formed");
        for (input, _) in self.inboxes.take_state(usize::MAX) {
            if let InputBody::Driver(report) = input.body {
                told.push(report);
            }
        }
    }
}
