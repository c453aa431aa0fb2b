//! What stands at a site, how it behaves, and what a proposal would do to it.
//! Reads/Writes: nothing. Plain values come in, values come out.
//! Invariant: no clock, no disk, no socket, no thread, no random number that was not given; the same arguments give
//! the same answer on every machine.
//! Not here: who may do what (`authority`), the world of a running node (`core`), the text of files (`clawmesh`).

pub mod card;
pub mod rollout;
pub mod seed;
pub mod site;
pub mod trial;

mod bodies;
mod soil;
mod water;
