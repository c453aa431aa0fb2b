//! The whole loop on one owner and one command center, in virtual time.

mod approvals;
mod asking;
mod cards;
mod inputs;
pub mod rig;
mod stop;
mod story;
