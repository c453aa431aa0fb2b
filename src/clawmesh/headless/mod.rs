//! A node without a screen: journal, tick, zenoh, gateway and host sensors put together.
//! Reads the state dir and the config. Writes the journal, the gateway's address, and the stop file.
//! Invariant: nothing is opened before the state dir is locked; what was opened is closed in reverse order;
//! a fault in the tick latches the stop, durably, before anything else happens.
//! Not here: what the parts do (`bridge`, `gateway`, `storage`, `core`), the command line (`cli`).

mod faults;
mod host_sensors;
mod node;
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "it is started as soon as a node has a way to ask other nodes, and a shelf of evidence"
    )
)]
mod planner;
mod plant;
mod signals;
mod ticker;

pub use node::{Options, PlantOptions, run};
pub use signals::{Asked, Signals};
