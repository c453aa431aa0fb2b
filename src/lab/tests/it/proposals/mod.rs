//! The whole loop on one owner and one command center, in virtual time.

mod rig;
mod story;
