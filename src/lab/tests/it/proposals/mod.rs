//! The whole loop on one owner and one command center, in virtual time.

mod approvals;
mod cards;
pub mod rig;
mod stop;
mod story;
