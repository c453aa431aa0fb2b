//! The SQLite file as such: whose it is, which format and tables it has, how it is opened.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clawmesh_core::replay::JOURNAL_FORMAT;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use crate::error::JournalError;

/// `CLMJ`: what tools like `file` can tell a clawmesh journal by.
pub const APPLICATION_ID: i32 = 0x434c_4d4a;

const BUSY_PATIENCE: Duration = Duration::from_secs(5);

/// A write-ahead log that grew beyond this while somebody was reading is cut back afterwards.
const WAL_BYTES_KEPT: u32 = 64 * 1024 * 1024;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Opens the file for writing and brings its tables up to date. An empty or missing file becomes a journal.
pub fn open_writable(path: &Path, pages_max: Option<u32>) -> Result<Connection, JournalError> {
    let fault = |source| JournalError::of("open the journal", source, path);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    make_private(path).map_err(|source| JournalError::Folder {
        doing: "make the journal",
        source,
        path: path.to_owned(),
    })?;
    let mut conn = Connection::open_with_flags(path, flags).map_err(fault)?;
    conn.busy_timeout(BUSY_PATIENCE).map_err(fault)?;
    if is_blank(&conn).map_err(fault)? {
        stamp(&conn).map_err(fault)?;
    }
    judge(&conn, path)?;
    configure(&conn, pages_max).map_err(fault)?;
    migrate(&mut conn, path)?;
    Ok(conn)
}

/// Makes the file unless it is there, readable by its owner alone; SQLite gives its log and index the same permissions.
fn make_private(path: &Path) -> std::io::Result<()> {
    match make_new(path) {
        Err(fault) if fault.kind() != std::io::ErrorKind::AlreadyExists => Err(fault),
        _ => Ok(()),
    }
}

/// Makes an empty file that was not there, readable by its owner alone.
pub fn make_new(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// A file in which nothing was ever stored, as it is left when a node dies while making one.
fn is_blank(conn: &Connection) -> rusqlite::Result<bool> {
    let id: i32 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version: i32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let objects: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok((id, version, objects) == (0, 0, 0))
}

fn stamp(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(&format!(
        "BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {JOURNAL_FORMAT}; COMMIT;"
    ))
}

fn configure(conn: &Connection, pages_max: Option<u32>) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
    )?;
    // The committer says when the log is copied.
    conn.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(()))?;
    conn.query_row(&format!("PRAGMA journal_size_limit = {WAL_BYTES_KEPT}"), [], |_| Ok(()))?;
    if let Some(pages) = pages_max {
        conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok(())
}

/// Refuses files that are not ours and formats or tables that this build does not know.
fn judge(conn: &Connection, path: &Path) -> Result<(), JournalError> {
    let fault = |source| JournalError::of("read the journal", source, path);
    let id: i32 = conn.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(fault)?;
    if id != APPLICATION_ID {
        let why = "it is the SQLite file of another application";
        return Err(JournalError::NotAJournal { why, path: path.to_owned() });
    }
    let format: i32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fault)?;
    let found = format.cast_unsigned();
    if found > JOURNAL_FORMAT {
        return Err(JournalError::FormatTooNew { found, supported: JOURNAL_FORMAT, path: path.to_owned() });
    }
    let (found, supported) = (schema_version(conn).map_err(fault)?, newest_schema());
    if found > supported {
        return Err(JournalError::SchemaTooNew { found, supported, path: path.to_owned() });
    }
    Ok(())
}

/// The last migration applied to the file, 0 when there is none.
fn schema_version(conn: &Connection) -> rusqlite::Result<i64> {
    let history = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'refinery_schema_history'";
    if conn.query_row(history, [], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    conn.query_row("SELECT coalesce(max(version), 0) FROM refinery_schema_history", [], |row| row.get(0))
}

fn newest_schema() -> i64 {
    let runner = embedded::migrations::runner();
    runner.get_migrations().iter().map(|migration| i64::from(migration.version())).max().unwrap_or(0)
}

/// Runs the migrations the file does not have yet, in one transaction.
pub fn migrate(conn: &mut Connection, path: &Path) -> Result<(), JournalError> {
    let fault = |source| JournalError::of("read the journal", source, path);
    if schema_version(conn).map_err(fault)? == newest_schema() {
        return Ok(());
    }
    embedded::migrations::runner()
        .set_grouped(true)
        .run(conn)
        .map(|_| ())
        .map_err(|source| JournalError::Migration { source: Box::new(source), path: path.to_owned() })
}

/// Opens the file for reading only. Nothing is created beside it, and neither it nor its log is changed.
pub fn open_readable(path: &Path) -> Result<(Connection, Rest), JournalError> {
    let fault = |source| JournalError::of("open the journal", source, path);
    let Ok(real) = path.canonicalize() else { return Err(JournalError::NotFound { path: path.to_owned() }) };
    let size = real.metadata().map(|meta| if meta.is_file() { meta.len() } else { 0 }).unwrap_or(0);
    if size == 0 {
        return Err(JournalError::NotAJournal { why: "it is empty, or no file", path: path.to_owned() });
    }
    let rest = Rest::of(real);
    let conn = connect_readable(&rest).map_err(fault)?;
    conn.busy_timeout(BUSY_PATIENCE).map_err(fault)?;
    // A reader that is the last to leave would otherwise fold the log into the file.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(fault)?;
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")
        .map_err(fault)?;
    judge(&conn, path)?;
    // Every later schema so far reads as the first one.
    if schema_version(&conn).map_err(fault)? == 0 {
        let why = "it has none of the tables yet";
        return Err(JournalError::NotAJournal { why, path: path.to_owned() });
    }
    Ok((conn, rest))
}

/// SQLite makes a log and an index file for a reader too, unless it is told not to.
fn connect_readable(rest: &Rest) -> rusqlite::Result<Connection> {
    let (real, flags) = (&rest.path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    if rest.since.is_some() {
        return Connection::open_with_flags(immutable_uri(real), flags | OpenFlags::SQLITE_OPEN_URI);
    }
    if cfg!(unix) && !beside(real, "-shm").exists() {
        // A copy of file and log: without locks and in exclusive mode the index is kept in memory.
        let conn = Connection::open_with_flags_and_vfs(real, flags, c"unix-none")?;
        conn.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
        return Ok(conn);
    }
    Connection::open_with_flags(real, flags)
}

/// Whether nobody writes a file. One at rest is read without locks, so a reader must ask again when it
/// finds something odd.
#[derive(Debug)]
pub struct Rest {
    path: PathBuf,
    since: Option<(u64, SystemTime)>,
}

impl Rest {
    fn of(path: PathBuf) -> Self {
        let since = Self::state(&path);
        Self { path, since }
    }

    /// Size and time of a file at rest; `None` when it has a log, as every journal has that a node writes.
    fn state(path: &Path) -> Option<(u64, SystemTime)> {
        let meta = path.metadata().ok().filter(|_| !beside(path, "-wal").exists())?;
        Some((meta.len(), meta.modified().ok()?))
    }

    /// True when the file was at rest and is no more.
    pub fn has_ended(&self) -> bool {
        self.since.is_some() && Self::state(&self.path) != self.since
    }
}

/// The path of a file that belongs to the one at `path`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn immutable_uri(real: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in real.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte))
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri + "?immutable=1"
}
