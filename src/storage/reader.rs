//! Reading a journal: in order, verified, in bounded memory, beside a node that writes it.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use clawmesh_authority::canonical;
use clawmesh_core::intake::{Input, InputBody, StampedInput};
use clawmesh_core::replay::Record;
use rusqlite::types::FromSql;
use rusqlite::{Connection, ErrorCode};

use crate::chain::{ChainValue, RowHead, Sealer, genesis};
use crate::error::JournalError;
use crate::journal::load_head;
use crate::row::{self, CLOCK_SAMPLED, RUN_STARTED, SourceText};
use crate::schema::{Rest, beside, make_new, open_readable};
use crate::write::Tail;

/// How far back the newest wall time is looked for.
pub const NEWEST_WALL_ROWS_MAX: i64 = 100_000;
const CHUNK_ROWS_MAX: usize = 512;
const CHUNK_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A journal that is open for reading. The file and its log stay as they are; nothing is created.
#[derive(Debug)]
pub struct JournalReader {
    conn: Connection,
    rest: Rest,
    path: PathBuf,
}

/// What a journal holds, in numbers. Nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalInfo {
    /// Rows.
    pub rows: u64,
    /// Runs of the node.
    pub runs: u64,
    /// The tick of the first row.
    pub first_tick: Option<u64>,
    /// The tick of the last row.
    pub last_tick: Option<u64>,
    /// The size on disk, with the write-ahead log.
    pub bytes: u64,
    /// Rows by kind of record.
    pub kinds: BTreeMap<String, u64>,
}

/// One row as it is in the file.
#[derive(Debug)]
pub(crate) struct RawRow {
    pub(crate) sequence: i64,
    tick: i64,
    lane: i64,
    kind: String,
    source: String,
    pub(crate) record: Vec<u8>,
    chain: ChainValue,
}

impl JournalReader {
    /// Opens the journal at `path`, also while a node writes it, also as a copy with or without its log.
    ///
    /// # Errors
    /// There is no such file; it is not a journal, or a newer one; it is damaged.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let (conn, rest) = open_readable(path)?;
        Ok(Self { conn, rest, path: path.to_owned() })
    }

    /// All records in order, each verified against the chain; the first error is the last item.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records {
            reader: self,
            verified: Tail { sequence: 0, chain: genesis() },
            chunk: VecDeque::new(),
            has_ended: false,
            sealer: Sealer::default(),
            source: SourceText::default(),
        }
    }

    /// Counts what the journal holds.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn info(&self) -> Result<JournalInfo, JournalError> {
        let fault = |source| JournalError::of("count the rows of the journal", source, &self.path);
        let kinds = self.kinds().map_err(fault)?;
        let tick = |order| {
            let query = format!("SELECT tick FROM journal ORDER BY sequence {order} LIMIT 1");
            let mut select = self.conn.prepare(&query)?;
            let mut ticks = select.query_map([], |row| row.get(0).map(i64::cast_unsigned))?;
            ticks.next().transpose()
        };
        Ok(JournalInfo {
            rows: kinds.values().sum(),
            runs: kinds.get(RUN_STARTED).copied().unwrap_or(0),
            first_tick: tick("ASC").map_err(fault)?,
            last_tick: tick("DESC").map_err(fault)?,
            bytes: size(&self.path) + size(&beside(&self.path, "-wal")),
            kinds,
        })
    }

    /// The wall time that the last run which knew it saw last, Unix milliseconds, or what a later run that did not know it was
    /// told of that; 0 when neither is among the last [`NEWEST_WALL_ROWS_MAX`] rows. Not verified.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn newest_wall_ms(&self) -> Result<u64, JournalError> {
        let newest = || -> rusqlite::Result<Option<u64>> {
            // A start must not wait for a walk through years of rows.
            let query = "SELECT record FROM journal WHERE sequence > (SELECT max(sequence) FROM journal) - ?1 \
                         AND kind IN (?2, ?3) ORDER BY sequence DESC";
            let mut select = self.conn.prepare(query)?;
            let mut rows = select.query((NEWEST_WALL_ROWS_MAX, CLOCK_SAMPLED, RUN_STARTED))?;
            while let Some(row) = rows.next()? {
                let known_ms = match canonical::decode(row.get_ref(0)?.as_blob()?) {
                    Ok(Record::Input(StampedInput {
                        input: Input { body: InputBody::ClockSampled { unix_ms, .. }, .. },
                        ..
                    })) => unix_ms,
                    // What that run stamped comes after what the one before it stamped, and so does what the next one stamps.
                    Ok(Record::RunStarted(settings)) if settings.wall_before_ms > 0 => {
                        settings.wall_before_ms + 1
                    }
                    _ => 0,
                };
                if known_ms > 0 {
                    return Ok(Some(known_ms));
                }
            }
            Ok(None)
        };
        let fault = |source| JournalError::of("read the last time of the journal", source, &self.path);
        newest().map(Option::unwrap_or_default).map_err(fault)
    }

    /// Writes the journal as it is at this moment to a new file at `to`, for its owner only, also while a node writes it.
    /// On the disk when it returns; whether the rows are intact is for who reads the copy to say.
    ///
    /// # Errors
    /// There is a file at `to` already; the journal cannot be read; the disk refuses.
    pub fn copy_to(&self, to: &Path) -> Result<(), JournalError> {
        let folder = |doing| move |source| JournalError::Folder { doing, source, path: to.to_owned() };
        make_new(to).map_err(folder("make the copy of the journal"))?;
        let name = to.to_str().ok_or_else(|| {
            let why = std::io::Error::other("its path is not UTF-8");
            folder("make the copy of the journal")(why)
        })?;
        let fault = |source| self.excuse(JournalError::of("copy the journal", source, &self.path));
        // For SQLite the copy is a part of what this connection has open, and only the copy is written.
        self.conn.execute_batch("PRAGMA query_only = OFF").map_err(fault)?;
        let copied = self.conn.execute("VACUUM INTO ?1", [name]);
        self.conn.execute_batch("PRAGMA query_only = ON").map_err(fault)?;
        copied.map_err(fault)?;
        std::fs::File::open(to)
            .and_then(|file| file.sync_all())
            .map_err(folder("write the copy of the journal"))
    }

    /// Nobody is accused of damage that comes from reading a file while it changes.
    fn excuse(&self, fault: JournalError) -> JournalError {
        if self.rest.has_ended() { JournalError::WrittenMeanwhile { path: self.path.clone() } } else { fault }
    }

    fn kinds(&self) -> rusqlite::Result<BTreeMap<String, u64>> {
        let mut select = self.conn.prepare("SELECT kind, count(*) FROM journal GROUP BY kind")?;
        let count = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1).map(i64::cast_unsigned)?));
        select.query_map([], count)?.collect()
    }
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |meta| meta.len())
}

/// The records of a journal; see [`JournalReader::records`]. Yields (sequence, tick, record).
#[derive(Debug)]
pub struct Records<'a> {
    reader: &'a JournalReader,
    verified: Tail,
    chunk: VecDeque<Result<RawRow, JournalError>>,
    has_ended: bool,
    sealer: Sealer,
    source: SourceText,
}

impl Iterator for Records<'_> {
    type Item = Result<(u64, u64, Record), JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let item = self.step().map_err(|fault| self.reader.excuse(fault)).transpose();
        self.has_ended = !matches!(item, Some(Ok(_)));
        item
    }
}

impl Records<'_> {
    fn step(&mut self) -> Result<Option<(u64, u64, Record)>, JournalError> {
        if self.chunk.is_empty() {
            self.fetch()?;
        }
        match self.chunk.pop_front().transpose()? {
            Some(raw) => self.verify(&raw).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the next rows under one short snapshot, so that a long read never holds up the writer's log.
    fn fetch(&mut self) -> Result<(), JournalError> {
        let fault = |source| JournalError::of("read the journal", source, &self.reader.path);
        let snapshot = self.reader.conn.unchecked_transaction().map_err(fault)?;
        let after = if self.verified.sequence == 0 { i64::MIN } else { self.verified.sequence.cast_signed() };
        let (rows, broken) = read_rows(&snapshot, after);
        self.chunk.extend(rows.into_iter().map(Ok));
        let read = self.verified.sequence + self.chunk.len() as u64;
        if let Some(source) = broken {
            self.chunk.push_back(Err(unreadable(source, read + 1, &self.reader.path)));
        } else if self.chunk.is_empty() {
            let head =
                load_head(&snapshot).map_err(|source| unreadable(source, read + 1, &self.reader.path))?;
            if head != self.verified {
                let agreed =
                    if head.sequence == read { read.saturating_sub(1) } else { head.sequence.min(read) };
                return Err(JournalError::ChainBroken { sequence: agreed + 1 });
            }
        }
        Ok(())
    }

    fn verify(&mut self, raw: &RawRow) -> Result<(u64, u64, Record), JournalError> {
        let sequence = self.verified.sequence + 1;
        let broken = || JournalError::ChainBroken { sequence };
        let (tick, lane) = (raw.tick.cast_unsigned(), u8::try_from(raw.lane).map_err(|_| broken())?);
        let head = RowHead { sequence, tick, lane, kind: &raw.kind, source: &raw.source };
        let chain =
            self.sealer.seal(&self.verified.chain, &head, |framed| framed.extend_from_slice(&raw.record));
        if raw.sequence != sequence.cast_signed() || raw.chain != chain {
            return Err(broken());
        }
        let record: Record = canonical::decode(&raw.record)
            .map_err(|fault| JournalError::Undecodable { sequence, why: fault.to_string() })?;
        let is_as_recorded = tick == row::tick(&record)
            && lane == row::lane_number(row::lane(&record))
            && raw.kind == row::kind(&record)
            && raw.source == self.source.of(&record)
            && row::claimed_sequence(&record).is_none_or(|claimed| claimed == sequence);
        if !is_as_recorded {
            return Err(broken());
        }
        self.verified = Tail { sequence, chain };
        Ok((sequence, tick, record))
    }
}

/// Rows after `after`, until the chunk is full; and what ended it, if that was an error.
pub(crate) fn read_rows(conn: &Connection, after: i64) -> (Vec<RawRow>, Option<rusqlite::Error>) {
    let mut chunk = Vec::new();
    let broken = fill(conn, after, &mut chunk).err();
    (chunk, broken)
}

fn fill(conn: &Connection, after: i64, chunk: &mut Vec<RawRow>) -> rusqlite::Result<()> {
    let mut select = conn.prepare_cached(
        "SELECT sequence, tick, lane, kind, source, record, chain FROM journal \
         WHERE sequence > ?1 ORDER BY sequence",
    )?;
    let mut rows = select.query([after])?;
    let mut bytes = 0;
    while chunk.len() < CHUNK_ROWS_MAX && bytes < CHUNK_BYTES_MAX {
        let Some(row) = rows.next()? else { return Ok(()) };
        let raw = RawRow {
            sequence: column(row, 0)?,
            tick: column(row, 1)?,
            lane: column(row, 2)?,
            kind: column(row, 3)?,
            source: column(row, 4)?,
            record: column(row, 5)?,
            chain: column(row, 6)?,
        };
        bytes += raw.record.len();
        chunk.push(raw);
    }
    Ok(())
}

fn column<T: FromSql>(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<T> {
    row.get(at)
}

/// A row that SQLite cannot give back is as broken as one with other content; a busy disk is not.
fn unreadable(source: rusqlite::Error, sequence: u64, path: &Path) -> JournalError {
    use rusqlite::Error;
    let is_content = matches!(
        source,
        Error::Utf8Error(..)
            | Error::FromSqlConversionFailure(..)
            | Error::InvalidColumnType(..)
            | Error::IntegralValueOutOfRange(..)
    );
    if is_content || source.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) {
        return JournalError::ChainBroken { sequence };
    }
    JournalError::of("read the journal", source, path)
}
