//! What people do about proposals: looking, answering, proposing, stopping; and what they sign, judged as an owner would.
//! Reads what the binary prints and posts. Writes temporary folders.
//! Invariant: the node is a stand-in that answers as the gateway does over real TCP and keeps every byte it is sent; what
//! was signed is opened by the code of an owner.
//! Not here: what an owner decides (`authority`), the routes themselves (`src/gateway`).

#[cfg(feature = "peer-tests")]
mod agent;
mod answering;
mod controlling;
mod holding;
mod locking;
mod looking;
mod proposing;
mod revoking;
pub mod scene;
pub mod stand_in;
mod stopping;
mod tagging;
