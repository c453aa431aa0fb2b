//! `clawmesh events` and `clawmesh trace`: what has happened to a running node, and what followed from what.
//! Reads the gateway of the node. Writes the terminal.
//! Invariant: nothing that others have said moves the cursor of a terminal.
//! Not here: who remembers it (`headless::guests`).

pub mod args;
pub mod events;
pub mod trace;
