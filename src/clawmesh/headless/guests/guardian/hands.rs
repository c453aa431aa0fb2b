//! All that a node drives: the stand-in plant, if it has one, and actuators on guests.

use clawmesh_authority::{AuthorizedCommand, Capability, SafingCommand};
use clawmesh_drivers::{Answered, Driver, DriverFault, ReadBack, Taken};

use super::driver::GuestDriver;
use super::reach::Reach;
use crate::headless::plant::PlantDriver;

/// Gives each actuator to the one driver it has.
pub struct Hands<R> {
    /// The wires to the plant.
    pub plant: Option<PlantDriver>,
    /// The links to guests.
    pub guests: GuestDriver<R>,
}

impl<R: Reach> Hands<R> {
    fn of(&mut self, actuator: &Capability) -> Result<&mut dyn Driver, DriverFault> {
        if self.guests.has(actuator) {
            return Ok(&mut self.guests);
        }
        let plant = self.plant.as_mut().ok_or_else(|| DriverFault::Unknown(actuator.clone()))?;
        Ok(plant)
    }
}

impl<R: Reach> Driver for Hands<R> {
    fn drive(&mut self, command: &AuthorizedCommand) -> Result<Taken, DriverFault> {
        self.of(command.actuator())?.drive(command)
    }

    fn make_safe(&mut self, command: &SafingCommand) -> Result<Taken, DriverFault> {
        self.of(command.actuator())?.make_safe(command)
    }

    fn give_up(&mut self, actuator: &Capability) {
        if let Ok(driver) = self.of(actuator) {
            driver.give_up(actuator);
        }
    }

    fn read_back(&mut self, actuator: &Capability) -> Option<ReadBack> {
        self.of(actuator).ok()?.read_back(actuator)
    }

    fn heard(&mut self) -> Option<Answered> {
        // The plant answers at once, always.
        self.guests.heard()
    }
}
