//! What is solid: rovers that drive, people who stand and walk, volumes that nothing may enter.
//! Reads/Writes: nothing; a world is built from the plan once and cloned for each rollout.
//! Invariant: bodies are inserted in the order of their names; a clone goes on exactly as the world it was cloned from.
//! Not here: where a rollout puts people (`rollout`), what distance is enough (`card`).

mod errand;
mod prism;
mod world;

pub use errand::{Drove, Errand, Nearest, follow};
pub use world::{Rig, Stand, World};
