//! The whole loop on one owner and one command center, in virtual time.

mod approvals;
mod asking;
mod cards;
mod inputs;
mod restarts;
pub mod rig;
mod running;
mod stop;
mod story;
