//! The life of a proposal at its home, as one pure function: state and event in, state and effects out.
//! Reads/Writes: nothing. The owner feeds events, writes the new state down, and then has the effects done.
//! Invariant: a dispatch needs a card without veto and an approval for it, both newer than every drift, restart and stop;
//! whatever ran and is not completed ends with [`Effect::Safe`]; what has ended stays as it is.
//! Not here: whether an event may happen (`judgement`, the gate), nonces (`offer`), the ladder (the driver).
//!
//! Each simulation of a proposal begins a new [`Round`], and so does each offer, for it follows a simulation. Events that
//! answer a simulation or an offer name its round; those of another round are late and are ignored.
//!
//! A stop cancels whatever has not ended: nothing that waited before it, not even what a standing capability (L1) would
//! approve by itself, goes on after the re-arm.
#![doc = include_str!("table.md")]

mod event;
mod machine;
mod state;

pub use event::{Effect, Event, Verdict};
pub use machine::{Transition, step};
pub use state::{By, Cause, ROUNDS_MAX, Round, State};
