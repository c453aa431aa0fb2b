//! Water in pipes: what flows where, when which valves are open and which pumps run.
//! Reads/Writes: nothing; a network is built from the plan once, its numbers are copied for each rollout.
//! Invariant: what leaves a tank is what arrives; a flow is a function of the network, the switches and the levels.
//! Not here: how levels change over time (`rollout`), what the soil does with the water (`soil`).

mod emitter;
mod loss;
mod network;
mod solve;

pub use loss::KPA_PER_M;
pub use network::{Element, Network, Outlet, Role};
pub use solve::{Flow, solve};
