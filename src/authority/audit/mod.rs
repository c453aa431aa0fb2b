//! The safety log of a node: what was asked, judged, ordered and done, line by line, each line hanging on all before it; and the
//! bundle that shows a stranger the part that is about one proposal.
//! Reads/Writes: nothing. Lines come in, chain values, bundles and findings go out.
//! Invariant: no line can be changed, left out or moved, and none put between others, without another value at the end; lines that
//! are not shown are counted by their hashes, so a part proves as much as the whole.
//! Not here: what becomes a line (`core`), the file the log is in (`storage`), who may read it (`clawmesh`).

mod bundle;
mod chain;
mod check;
mod entry;
#[cfg(test)]
mod tests;

pub use bundle::{AskedFor, BUNDLE_BYTES_MAX, Bundle, Files, open, seal};
pub use chain::{Head, Line, Logged, Part};
pub use check::{ASKED_MAX, Finding, Outcome, Readers, check};
pub use entry::{Entry, Happened, Label, RefusedBy, hash_of_people};
