//! A driver without hardware, for tests and for trying things out.

use std::collections::BTreeMap;

use clawmesh_authority::{AuthorizedCommand, Capability, SafingCommand, Setpoint};

use crate::driver::{Driver, DriverFault, ReadBack, Taken};

/// Remembers what it was told and says so. It moves nothing, and the only kind of driver that a plain wire-v1 envelope
/// may reach is this type.
#[derive(Debug, Clone, Default)]
pub struct MockDriver {
    actuators: BTreeMap<Capability, ReadBack>,
}

impl MockDriver {
    /// A driver of these actuators, all of them switched off.
    #[must_use]
    pub fn with(actuators: impl IntoIterator<Item = Capability>) -> Self {
        let off = ReadBack { position: Some(Setpoint::Off), local_control: false };
        Self { actuators: actuators.into_iter().map(|actuator| (actuator, off)).collect() }
    }

    /// Lays a hand on an actuator, or takes it off.
    pub fn set_local_control(&mut self, actuator: &Capability, is_held: bool) {
        if let Some(state) = self.actuators.get_mut(actuator) {
            state.local_control = is_held;
        }
    }

    fn write(&mut self, actuator: &Capability, setpoint: Setpoint) -> Result<Taken, DriverFault> {
        let state = self.actuators.get_mut(actuator).ok_or_else(|| DriverFault::Unknown(actuator.clone()))?;
        if state.local_control {
            return Err(DriverFault::LocalControl(actuator.clone()));
        }
        state.position = Some(setpoint);
        Ok(Taken::Done)
    }
}

impl Driver for MockDriver {
    fn drive(&mut self, command: &AuthorizedCommand) -> Result<Taken, DriverFault> {
        self.write(command.actuator(), command.setpoint())
    }

    fn make_safe(&mut self, command: &SafingCommand) -> Result<Taken, DriverFault> {
        self.write(command.actuator(), command.setpoint())
    }

    fn read_back(&mut self, actuator: &Capability) -> Option<ReadBack> {
        self.actuators.get(actuator).copied()
    }
}
