//! A driver that is not trusted to be free of faults: when it panics, everything stops, and the layer goes on.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clawmesh_authority::{AuthorizedCommand, Capability, SafingCommand};

use crate::driver::{Answered, Driver, DriverFault, ReadBack, Taken};
use crate::latch::StopLatch;

/// A driver behind a wall. What panics has not answered; deadlines, leases and the other actuators are served all the same.
pub struct Guarded {
    driver: Box<dyn Driver>,
    latch: StopLatch,
}

impl Guarded {
    /// Puts a driver behind the wall.
    pub fn new(driver: Box<dyn Driver>, latch: StopLatch) -> Self {
        Self { driver, latch }
    }

    fn ask<T>(&mut self, of: &dyn Display, ask: impl FnOnce(&mut dyn Driver) -> T) -> Option<T> {
        let driver = self.driver.as_mut();
        // Whatever half-done state it left is its own: from now on nothing is driven through it but safe states.
        let answer = catch_unwind(AssertUnwindSafe(|| ask(driver)));
        if answer.is_err() && !self.latch.is_set() {
            let reason = format!("the driver of {of} panicked; see the log of this node");
            if let Err(unkept) = self.latch.set(&reason) {
                tracing::error!("{reason}; the stop would not outlive this process: {unkept}");
            }
        }
        answer.ok()
    }
}

impl Driver for Guarded {
    fn drive(&mut self, command: &AuthorizedCommand) -> Result<Taken, DriverFault> {
        let actuator = command.actuator();
        let answer = self.ask(actuator, |driver| driver.drive(command));
        answer.unwrap_or_else(|| Err(DriverFault::NoAnswer(actuator.clone())))
    }

    fn make_safe(&mut self, command: &SafingCommand) -> Result<Taken, DriverFault> {
        let actuator = command.actuator();
        let answer = self.ask(actuator, |driver| driver.make_safe(command));
        answer.unwrap_or_else(|| Err(DriverFault::NoAnswer(actuator.clone())))
    }

    fn give_up(&mut self, actuator: &Capability) {
        self.ask(actuator, |driver| driver.give_up(actuator));
    }

    fn read_back(&mut self, actuator: &Capability) -> Option<ReadBack> {
        self.ask(actuator, |driver| driver.read_back(actuator)).flatten()
    }

    fn heard(&mut self) -> Option<Answered> {
        self.ask(&"what answers later", |driver| driver.heard()).flatten()
    }
}
