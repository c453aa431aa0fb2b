//! The node as existing ClawMesh nodes see it: what they may ask and tell, and what becomes of it.
//! Reads snapshots, the trust of the bridge, the clocks. Writes what guests do into the inbox, and answers.
//! Invariant: reads are answered out of a picture and wait for no tick; what is to change something goes to the tick, and its
//! answer leaves when the journal holds it.
//! Not here: sockets (`wire_link`), the rules (`wire`), what the tick makes of it (`core`).

mod answers;
mod budget;
mod commands;
mod directory;
pub mod discovery;
mod door;
pub mod guardian;
mod guest_news;
mod herald;
mod history;
mod host;
#[cfg(test)]
mod host_tests;
mod knocks;
mod own;
mod refusals;
mod relay;
mod routes;
mod teller;

pub use door::GuestDoor;
pub use herald::Herald;
pub use host::{GuestFacts, GuestHost, random_bytes};
