//! What one kind of hardware must be able to do.

use clawmesh_authority::{AuthorizedCommand, Capability, SafingCommand, Setpoint};

/// Writes to actuators and reads them back. Every write is an absolute set-point; to repeat one changes nothing.
///
/// A call returns within a second or so: while it lasts, nothing else of this node is driven or made safe.
pub trait Driver: Send {
    /// Brings about what the gate allowed. `Ok` means that the hardware took it, not that it has happened.
    ///
    /// # Errors
    /// Why the hardware did not take it.
    fn drive(&mut self, command: &AuthorizedCommand) -> Result<(), DriverFault>;

    /// Brings about the safe state.
    ///
    /// # Errors
    /// Why the hardware did not take it.
    fn make_safe(&mut self, command: &SafingCommand) -> Result<(), DriverFault>;

    /// What the hardware says about an actuator, never what it was told last; `None` when it does not answer.
    fn read_back(&mut self, actuator: &Capability) -> Option<ReadBack>;
}

/// What the hardware says about an actuator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadBack {
    /// Where it is; `None` while it is on its way, or nobody can tell.
    pub position: Option<Setpoint>,
    /// True while a hand holds it.
    pub local_control: bool,
}

/// Why the hardware did not take a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverFault {
    /// It has no such actuator.
    #[error("the driver has no {0}; compare the site with its wiring")]
    Unknown(Capability),
    /// It did not answer.
    #[error("{0} does not answer; see to its cable and its supply")]
    NoAnswer(Capability),
    /// A hand holds it.
    #[error("{0} is under local control; set its switch back to automatic")]
    LocalControl(Capability),
}
