//! The driver layer: the one place that writes to actuators, on a thread of its own; in a lab, in virtual time.
//! Reads orders of the tick, the stop latch, what drivers read back. Writes actuators, and tells the tick what it did.
//! Invariant: a driver is given an `AuthorizedCommand` whose cause is durable, or a `SafingCommand`, and nothing else; the
//! latch is read before every write; what nobody renews in time is made safe without the tick.
//! Not here: what may be done (`authority`), who decides (`core`), the wires of one kind of hardware (`plugins`).

mod clock;
mod driver;
mod duties;
mod guarded;
mod latch;
mod layer;
mod mock;
mod orders;
mod owed;
mod thread;
mod turns;
mod under_way;

pub use driver::{Answered, Driver, DriverFault, ReadBack, Taken};
pub use latch::{KeepStop, StopLatch};
pub use layer::{DriverPorts, Layer};
pub use mock::MockDriver;
pub use orders::Orders;
pub use thread::DriverLayer;
