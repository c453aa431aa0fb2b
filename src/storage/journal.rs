//! Opening a journal for writing.

use std::path::Path;
use std::time::Duration;

use clawmesh_core::replay::CommitWatch;
use rusqlite::{Connection, OptionalExtension as _};

use crate::chain::genesis;
use crate::error::JournalError;
use crate::memory::{Memory, Recovered};
use crate::schema;
use crate::write::{Committer, FileIdentity, JournalLock, Pace, Tail, Writer};

/// How a journal is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalOptions {
    /// Stream-lane rows are committed at latest after this long, milliseconds.
    pub stream_commit_ms: u64,
    /// Stream-lane rows are committed at latest when there are this many.
    pub stream_commit_rows: usize,
    /// Batches that may wait for the writer; one more means that the journal has failed.
    pub queue_batches: usize,
    /// The largest size of the file in SQLite pages (4 KiB); `None` means as large as the disk allows.
    pub pages_max: Option<u32>,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { stream_commit_ms: 100, stream_commit_rows: 1_000, queue_batches: 1_024, pages_max: None }
    }
}

/// The journal of a node; see [`Journal::open`].
#[derive(Debug)]
pub struct Journal;

/// A journal that is open for writing, and what earlier runs left in it.
#[derive(Debug)]
pub struct OpenJournal {
    /// The sequence of the next row; 1 in an empty journal.
    pub next_sequence: u64,
    /// The tick of the last row; 0 in an empty journal.
    pub last_tick: u64,
    /// What this run must be told about earlier ones.
    pub recovered: Recovered,
    /// Takes the batches of this run.
    pub writer: Writer,
    /// Says how far they are durable; starts at the last row of earlier runs.
    pub watch: CommitWatch,
}

impl Journal {
    /// Opens the journal at `path` for writing; makes one when there is no file, or an empty one.
    ///
    /// # Errors
    /// Another process writes it; it is not a journal, or a newer one; it is damaged; the disk says no.
    pub fn open(path: &Path, options: JournalOptions) -> Result<OpenJournal, JournalError> {
        let lock = JournalLock::take(path)?;
        let conn = schema::open_writable(path, options.pages_max)?;
        let (tail, last_tick) = load_tail(&conn, path)?;
        let (memory, recovered) = Memory::load(&conn, path)?;
        let watch = CommitWatch::default();
        watch.commit(tail.sequence);
        let pace = Pace {
            stream_commit: Duration::from_millis(options.stream_commit_ms),
            stream_commit_rows: options.stream_commit_rows,
        };
        let file = FileIdentity::of(path);
        let committer = Committer::new(conn, file, lock, pace, watch.clone(), memory, tail);
        let writer = Writer::start(committer, options.queue_batches, watch.clone()).map_err(|source| {
            JournalError::Folder { doing: "start the journal's thread", source, path: path.to_owned() }
        })?;
        let next_sequence = tail.sequence.saturating_add(1);
        Ok(OpenJournal { next_sequence, last_tick, recovered, writer, watch })
    }
}

/// The last row and its tick. A journal without its end is not written on: that would hide the loss.
fn load_tail(conn: &Connection, path: &Path) -> Result<(Tail, u64), JournalError> {
    let fault = |source| JournalError::of("read the last row", source, path);
    let last = conn
        .query_row("SELECT sequence, chain, tick FROM journal ORDER BY sequence DESC LIMIT 1", [], |row| {
            let tail = Tail { sequence: row.get(0).map(i64::cast_unsigned)?, chain: row.get(1)? };
            Ok((tail, row.get(2).map(i64::cast_unsigned)?))
        })
        .optional()
        .map_err(fault)?;
    let (tail, tick) = last.unwrap_or((Tail { sequence: 0, chain: genesis() }, 0));
    let head = load_head(conn).map_err(fault)?;
    if head != tail {
        let why = format!("its last row is {}, but {} was committed", tail.sequence, head.sequence);
        return Err(JournalError::damaged(why, path));
    }
    Ok((tail, tick))
}

/// What the last commit said the last row is.
pub fn load_head(conn: &Connection) -> rusqlite::Result<Tail> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Tail { sequence: row.get(0).map(i64::cast_unsigned)?, chain: row.get(1)? })
    };
    let head = conn.query_row("SELECT sequence, chain FROM journal_head", [], read).optional()?;
    Ok(head.unwrap_or(Tail { sequence: 0, chain: genesis() }))
}
