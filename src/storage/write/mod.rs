//! The way into the file: a bounded channel from the tick to one thread that commits.
//! Reads batches. Writes rows, marks and retained content; moves the commit watch and answers tickets.
//! Invariant: the tick never waits here; a batch is committed whole, after every batch before it, or never.
//! Not here: opening and judging the file (`schema`).

mod checkpoint;
mod committer;
mod lock;
mod writer;

pub use committer::{Committer, Pace, Tail};
pub use lock::{FileIdentity, JournalLock};
pub use writer::Writer;
