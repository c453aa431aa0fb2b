//! The whole loop on one owner and one command center, in virtual time.

mod approvals;
mod cards;
mod inputs;
pub mod rig;
mod stop;
mod story;
