//! Signed requests and approvals on the mesh: those that come to this node as their owner, and those it brings to others.
//! Reads queries on `rpc/ask`, what neighbours answer. Writes `Asked` inputs, the stop latch, signed answers.
//! Invariant: a stop by whoever may stop is latched before anything else is done with it; an answer is what the owner has
//! signed for exactly these bytes; whoever asks waits a bounded time, and bounded many wait.
//! Not here: what an owner answers (`core`), the rules (`authority`).

mod flights;
mod incoming;
mod outgoing;
mod payload;

pub use incoming::AsksIn;
pub use outgoing::Mesh;
