//! Actuators on existing nodes that this one is guardian of: a driver whose hardware is a guest.
//! Reads answers of guests. Writes what a driver may write, as command envelopes, over the links.
//! Invariant: an envelope is made of an `AuthorizedCommand` or a `SafingCommand` and of nothing else; what may switch on is
//! sent once, whatever becomes of it; an answer is told on, and is never taken for a position.
//! Not here: who may command (`authority`), where an actuator is (`core`), when what was not taken is tried again (`drivers`).

mod driver;
mod envelope;
mod hands;
mod reach;
#[cfg(test)]
mod tests;

pub use driver::GuestDriver;
pub use envelope::{Remote, Sender};
pub use hands::Hands;
