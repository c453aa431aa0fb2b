//! Systems of proposals, in the order of their life.
//! Reads and writes as `proposals` says.
//! Invariant: every change of a state goes through the one transition function of `authority`.
//! Not here: rules.

mod reports;

pub use reports::OwnProposals;
pub(super) use reports::{index_proposal, keep_copies, report_changes, unindex_proposal};
