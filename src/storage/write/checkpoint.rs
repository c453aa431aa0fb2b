//! When the write-ahead log is copied into the file.
//!
//! Left to itself SQLite does so within every thousandth page's commit, and whoever waits for that commit waits for some
//! megabytes to reach the disk (40 to 120 ms were seen). Here it is done after the waiting ones have their answer, and little at
//! a time while nothing else is to be written.

use rusqlite::Connection;

/// At rest the log is copied once it has this much.
const AT_REST_BYTES: usize = 512 * 1024;
/// While more is waiting to be written, once it has this much: copying seldom costs less in all.
const UNDER_LOAD_BYTES: usize = 4 * 1024 * 1024;
/// What a commit writes beside its rows, about: the head, marks and the inner pages of the tables.
const COMMIT_BYTES: usize = 16 * 1024;

/// How much of the log is not in the file.
#[derive(Debug)]
pub struct Checkpoints {
    owed_bytes: usize,
    has_failed: bool,
}

impl Checkpoints {
    /// What earlier runs have left in the log counts: runs that are cut short one after the other would let it grow for ever.
    pub fn after_earlier_runs(conn: &Connection) -> Self {
        let log = conn.path().map(|path| format!("{path}-wal"));
        let left_bytes = log.and_then(|log| std::fs::metadata(log).ok()).map_or(0, |metadata| metadata.len());
        Self { owed_bytes: usize::try_from(left_bytes).unwrap_or(usize::MAX), has_failed: false }
    }

    /// Rows of that many bytes were committed.
    pub fn committed(&mut self, row_bytes: usize) {
        self.owed_bytes = self.owed_bytes.saturating_add(row_bytes).saturating_add(COMMIT_BYTES);
    }

    /// True when it is time, no transaction being open.
    pub fn is_due(&self, is_more_waiting: bool) -> bool {
        self.owed_bytes >= if is_more_waiting { UNDER_LOAD_BYTES } else { AT_REST_BYTES }
    }

    /// Copies what no reader holds back. What cannot be copied stays in the log, which is as durable as the file; it is tried
    /// again when as much has come again.
    pub fn run(&mut self, conn: &Connection) {
        self.owed_bytes = 0;
        let outcome = conn
            .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")
            .and_then(|mut checkpoint| checkpoint.query_row([], |_| Ok(())));
        match outcome {
            Ok(()) => self.has_failed = false,
            Err(fault) if !self.has_failed => {
                self.has_failed = true;
                tracing::warn!(
                    "the log of the journal cannot be copied into its file ({fault}); it grows, check the disk"
                );
            }
            Err(_) => {}
        }
    }
}
