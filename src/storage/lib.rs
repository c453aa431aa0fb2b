//! The journal of a node: one SQLite file, two lanes, one hash chain.
//! Reads and writes: that file, its write-ahead log, and a lock file beside them.
//! Invariant: a ticket is answered `Ok` only after the commit that covers it; a row is never committed
//! before an earlier one; once a commit has failed nothing more is written in this run.
//! Not here: what a record means (`core`), which inputs are accepted (`bridge`, `gateway`), replay (`core`).

mod chain;
mod error;
pub mod forge;
mod journal;
mod memory;
mod reader;
mod row;
mod schema;
mod write;

pub use error::JournalError;
pub use journal::{Journal, JournalOptions, OpenJournal};
pub use memory::{Recovered, SOURCES_MAX, SUBJECTS_PER_SOURCE_MAX};
pub use reader::{JournalInfo, JournalReader, NEWEST_WALL_ROWS_MAX, Records};
pub use write::Writer;
