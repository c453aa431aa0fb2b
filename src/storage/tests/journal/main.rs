//! The journal as the node uses it: real files, the real writer thread, damage done to real bytes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, also in its fixture")]

mod damage;
mod failing;
mod fixture;
mod forging;
mod reading;
mod refusing;
mod writing;
