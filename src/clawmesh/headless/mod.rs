//! A node without a screen: journal, tick, zenoh, gateway and host sensors put together.
//! Reads the state dir and the config. Writes the journal, the gateway's address, and the stop file; opens the latch when
//! the tick says so and the journal holds it.
//! Invariant: nothing is opened before the state dir is locked; what was opened is closed in reverse order;
//! a fault in the tick latches the stop, durably, before anything else happens.
//! Not here: what the parts do (`bridge`, `gateway`, `storage`, `core`), the command line (`cli`).

mod faults;
mod files;
mod guests;
mod host_sensors;
mod mesh_to_come;
mod mock_sensor;
#[cfg(not(feature = "planner"))]
mod no_planner;
mod node;
mod open_files;
#[cfg(feature = "planner")]
mod planner;
mod plant;
mod rearm;
mod signals;
mod simulator;
mod stamp;
mod ticker;
mod timekeeper;
mod trust;
mod worker;

pub use node::{Options, PlantOptions, run};
pub use signals::{Asked, Signals};
