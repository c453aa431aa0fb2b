//! Systems of proposals, in the order of their life.
//! Reads and writes as `proposals` says.
//! Invariant: every change of a state goes through the one transition function of `authority`.
//! Not here: rules.

mod approvals;
mod cards;
mod control;
mod guard;
mod insist;
mod leave;
pub(super) mod now;
mod recall;
mod reports;
mod requests;
mod runs;
mod shared;
mod tags;

pub(super) use approvals::{ask_by_new_policy, call_off, expire_offers, expire_proposals, take_approvals};
pub(super) use cards::{order_simulations, take_cards};
pub(super) use control::{end_control, settle_control};
pub(super) use guard::authorize_steps;
pub(super) use insist::insist;
pub(super) use leave::{answer, hand_over, log_answers, log_orders, write_down};
pub(super) use recall::{note_restore, recall};
pub use reports::OwnProposals;
pub(super) use reports::{index_proposal, keep_copies, report_changes, unindex_proposal};
pub(super) use requests::take_requests;
pub(super) use runs::{hear_drivers, judge_runs, settle};
pub(super) use shared::Due;
pub(super) use tags::heed_notes;
