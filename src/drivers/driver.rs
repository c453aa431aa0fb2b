//! What one kind of hardware must be able to do.

use clawmesh_authority::{AuthorizedCommand, Capability, SafingCommand, Setpoint};

/// Writes to actuators and reads them back. Every write is an absolute set-point; to repeat one changes nothing.
///
/// A call returns within a second or so: while it lasts, nothing else of this node is driven or made safe. Hardware that
/// takes longer to answer is asked, and what it answers is told by [`Driver::heard`].
pub trait Driver: Send {
    /// Brings about what the gate allowed. `Ok` means that the hardware took it, or was asked to, not that it has happened.
    ///
    /// # Errors
    /// Why the hardware did not take it.
    fn drive(&mut self, command: &AuthorizedCommand) -> Result<Taken, DriverFault>;

    /// Brings about the safe state, also where a command has not been answered yet: that one is given up.
    ///
    /// # Errors
    /// Why the hardware did not take it.
    fn make_safe(&mut self, command: &SafingCommand) -> Result<Taken, DriverFault>;

    /// Gives up a command that has not been answered: if it has not left, it never does.
    fn give_up(&mut self, _actuator: &Capability) {}

    /// What the hardware says about an actuator, never what it was told last; `None` when it does not answer.
    fn read_back(&mut self, actuator: &Capability) -> Option<ReadBack>;

    /// The next answer to what was asked, once for each [`Taken::Asked`] that was not given up, and in bounded time.
    fn heard(&mut self) -> Option<Answered> {
        None
    }
}

/// How far a command has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The hardware took it.
    Done,
    /// The hardware was asked; whether it takes it is not known yet.
    Asked,
}

/// What became of a command that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The actuator.
    pub actuator: Capability,
    /// Whether the hardware took it, or why not.
    pub outcome: Result<(), DriverFault>,
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
    /// It is on another node, which did not take it, or did not say so.
    #[error("{actuator}: {why}")]
    Elsewhere {
        /// The actuator.
        actuator: Capability,
        /// Why, in words.
        why: String,
    },
    /// It is on another node, and nothing has left for there.
    #[error("{actuator}: {why}")]
    Unsent {
        /// The actuator.
        actuator: Capability,
        /// Why, in words.
        why: String,
    },
    /// It was asked, and nobody knows whether it did it or still does.
    #[error("{actuator}: {why}")]
    InDoubt {
        /// The actuator.
        actuator: Capability,
        /// Why, in words.
        why: String,
    },
    /// A hand holds it.
    #[error("{0} is under local control; set its switch back to automatic")]
    LocalControl(Capability),
}
