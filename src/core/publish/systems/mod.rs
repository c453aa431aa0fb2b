//! Systems of the way out: compose, send, picture.
//! Reads the world and what happened in this tick. Writes statements and snapshots.
//! Invariant: composing numbers statements; sending and picturing change nothing that is digested.
//! Not here: who receives them (`bridge`, `gateway`).

mod compose;
mod picture;

pub(super) use compose::{compose_frames, compose_readings, send_pending};
pub(super) use picture::publish_snapshot;
