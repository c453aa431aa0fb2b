//! One writer for each journal: a lock file beside it, and a look at whether the journal is still there.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::JournalError;
use crate::schema::beside;

/// Held as long as this process may write the journal. The operating system lets go of it when we die.
#[derive(Debug)]
pub struct JournalLock {
    _held: File,
}

impl JournalLock {
    /// Takes the lock at once, or says that another process has it.
    pub fn take(journal: &Path) -> Result<Self, JournalError> {
        let path = beside(journal, ".lock");
        let fault =
            |source| JournalError::Folder { doing: "lock the journal", source, path: journal.to_owned() };
        // Not removed afterwards: another process may be waiting to lock that very file.
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(fault)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _held: file }),
            Err(TryLockError::WouldBlock) => Err(JournalError::InUse { path: journal.to_owned() }),
            Err(TryLockError::Error(source)) => Err(fault(source)),
        }
    }
}

/// Which file a path named when the journal was opened.
#[derive(Debug)]
pub struct FileIdentity {
    path: PathBuf,
    id: Option<(u64, u64)>,
}

impl FileIdentity {
    /// Remembers the file at `path`.
    pub fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), id: file_id(path) }
    }

    /// False when the file was moved or deleted: what is written to it now, nobody will find again.
    pub fn is_still_there(&self) -> bool {
        file_id(&self.path) == self.id
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(unix)]
fn file_id(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Other systems do not let go of a file that is open.
#[cfg(not(unix))]
fn file_id(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|_| (0, 0))
}
