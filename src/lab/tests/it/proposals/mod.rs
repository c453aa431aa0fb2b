//! The whole loop on one owner and one command center, in virtual time.

mod approvals;
mod asking;
mod cards;
mod files;
mod guardian;
mod hands;
mod inputs;
mod restarts;
mod restores;
pub mod rig;
mod running;
mod sharing;
mod stop;
mod story;
mod timeless;
