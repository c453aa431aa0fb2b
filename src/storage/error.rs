//! What can be wrong with a journal, and what a person can do about it.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why a journal cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is no such file.
    #[error("there is no journal here; check the path, or start a node to make one: {path}")]
    NotFound {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// Another process writes this journal.
    #[error(
        "another process writes this journal; stop it, or give this node a state folder of its own: {path}"
    )]
    InUse {
        /// The journal.
        path: PathBuf,
    },
    /// The file is empty, no SQLite file, or the file of another application.
    #[error("this is not a clawmesh journal: {why}; check the path, or move the file away: {path}")]
    NotAJournal {
        /// What the file is instead.
        why: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer build; we never guess at unknown records.
    #[error(
        "journal format {found} is newer than supported {supported}; use the clawmesh version that wrote it, \
         or a later one: {path}"
    )]
    FormatTooNew {
        /// The format of the file.
        found: u32,
        /// The newest format this build knows.
        supported: u32,
        /// The file.
        path: PathBuf,
    },
    /// The tables were made by a newer build.
    #[error(
        "journal schema {found} is newer than supported {supported}; use the clawmesh version that wrote it, \
         or a later one: {path}"
    )]
    SchemaTooNew {
        /// The schema of the file.
        found: i64,
        /// The newest schema this build knows.
        supported: i64,
        /// The file.
        path: PathBuf,
    },
    /// A row is not what was written, or is missing.
    #[error("chain broken at sequence {sequence}")]
    ChainBroken {
        /// The first row that cannot be trusted.
        sequence: u64,
    },
    /// The journal was at rest when it was opened for reading, and then a node began to write it.
    #[error("a node began to write the journal while it was read; read it again: {path}")]
    WrittenMeanwhile {
        /// The journal.
        path: PathBuf,
    },
    /// The chain holds, but this build cannot read the record.
    #[error("record {sequence} cannot be read ({why}); it was not written by this version of clawmesh")]
    Undecodable {
        /// The row.
        sequence: u64,
        /// What the decoder said.
        why: String,
    },
    /// The file is a journal with a part that cannot be read back.
    #[error(
        "the journal is damaged ({why}); keep the file as evidence, restore a copy, or move it away to start \
         with an empty one: {path}"
    )]
    Damaged {
        /// Which part.
        why: String,
        /// The file.
        path: PathBuf,
    },
    /// The folder of the journal does not let us make or lock a file.
    #[error("cannot {doing} ({source}); check that the folder exists and is writable: {path}")]
    Folder {
        /// What was tried.
        doing: &'static str,
        /// What the operating system said.
        source: std::io::Error,
        /// The file.
        path: PathBuf,
    },
    /// SQLite refused something.
    #[error("cannot {doing} ({source}); check the disk and the permissions of the file: {path}")]
    Sqlite {
        /// What was tried.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
        /// The file.
        path: PathBuf,
    },
    /// The tables could not be made.
    #[error("cannot make the tables of the journal ({source}); check the disk: {path}")]
    Migration {
        /// What went wrong.
        source: Box<refinery::Error>,
        /// The file.
        path: PathBuf,
    },
}

impl JournalError {
    /// Sorts what SQLite said by what a person can do about it.
    pub(crate) fn of(doing: &'static str, source: rusqlite::Error, path: &Path) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotAJournal { why: "it is no SQLite file", path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { why: source.to_string(), path },
            _ => Self::Sqlite { doing, source, path },
        }
    }

    pub(crate) fn damaged(why: impl Into<String>, path: &Path) -> Self {
        Self::Damaged { why: why.into(), path: path.to_owned() }
    }
}
