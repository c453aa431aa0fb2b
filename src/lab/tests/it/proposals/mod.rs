//! The whole loop on one owner and one command center, in virtual time.

pub mod rig;
mod story;
