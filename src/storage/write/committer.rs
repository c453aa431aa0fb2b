//! The thread that commits: state-lane batches at once, stream-lane batches in groups.

use std::time::{Duration, Instant};

use clawmesh_authority::Lane;
use clawmesh_core::replay::{Batch, CommitWatch, Record, Ticket};
use crossbeam_channel::{Receiver, after, never, select};
use rusqlite::{CachedStatement, Connection, ErrorCode, params};

use super::checkpoint::Checkpoints;
use super::lock::{FileIdentity, JournalLock};
use super::writer::{answer, refuse};
use crate::chain::{ChainValue, RowHead, Sealer};
use crate::memory::Memory;
use crate::row::{self, SourceText};

/// How long stream-lane rows may wait for company.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// At latest after this long.
    pub stream_commit: Duration,
    /// At latest with this many rows.
    pub stream_commit_rows: usize,
}

/// The last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// Its sequence; 0 when there is none.
    pub sequence: u64,
    /// Its chain value.
    pub chain: ChainValue,
}

/// Why rows could not be committed.
#[derive(Debug)]
enum WriteFault {
    Sqlite(rusqlite::Error),
    FileGone,
    OutOfOrder { expected: u64, found: u64 },
}

impl From<rusqlite::Error> for WriteFault {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite(source)
    }
}

/// Owns the connection; everything it holds lives and dies with the thread.
#[derive(Debug)]
pub struct Committer {
    // Dropped in this order: the file is closed before the lock is let go.
    conn: Connection,
    file: FileIdentity,
    _lock: JournalLock,
    pace: Pace,
    watch: CommitWatch,
    memory: Memory,
    tail: Tail,
    pending: Pending,
    checkpoints: Checkpoints,
    has_failed: bool,
    sealer: Sealer,
    source: SourceText,
}

/// What the open transaction holds.
#[derive(Debug, Default)]
struct Pending {
    rows: usize,
    row_bytes: usize,
    tickets: Vec<Ticket>,
    due: Option<Receiver<Instant>>,
}

impl Committer {
    /// Takes over an open journal whose last row is `tail`.
    pub fn new(
        conn: Connection,
        file: FileIdentity,
        lock: JournalLock,
        pace: Pace,
        watch: CommitWatch,
        memory: Memory,
        tail: Tail,
    ) -> Self {
        let checkpoints = Checkpoints::after_earlier_runs(&conn);
        Self {
            conn,
            file,
            _lock: lock,
            pace,
            watch,
            memory,
            tail,
            pending: Pending::default(),
            checkpoints,
            has_failed: false,
            sealer: Sealer::default(),
            source: SourceText::default(),
        }
    }

    /// Commits until the other end is dropped, then what is still waiting.
    pub fn run(mut self, inbox: &Receiver<Batch>) {
        loop {
            let due = self.pending.due.clone().unwrap_or_else(never);
            select! {
                recv(inbox) -> batch => match batch {
                    Ok(batch) => self.take(batch),
                    Err(_) => break,
                },
                recv(due) -> _ => self.settle(),
            }
            let may_copy = self.pending.due.is_none() && !self.has_failed;
            if may_copy && self.checkpoints.is_due(!inbox.is_empty()) {
                self.checkpoints.run(&self.conn);
            }
        }
        self.settle();
    }

    fn take(&mut self, batch: Batch) {
        self.pending.tickets.extend(batch.tickets);
        if self.has_failed {
            refuse(&self.watch, self.pending.tickets.drain(..));
            return;
        }
        if let Err(fault) = self.write(batch.first_sequence, &batch.records) {
            self.fail(&fault);
            return;
        }
        let cannot_wait = batch.records.iter().any(|record| row::lane(record) == Lane::State);
        if cannot_wait || self.pending.rows == 0 || self.pending.rows >= self.pace.stream_commit_rows {
            self.settle();
        }
    }

    /// Adds rows to the open transaction, and opens one if there is none.
    fn write(&mut self, first_sequence: u64, records: &[Record]) -> Result<(), WriteFault> {
        let expected = self.tail.sequence.saturating_add(1);
        if first_sequence != expected {
            return Err(WriteFault::OutOfOrder { expected, found: first_sequence });
        }
        if records.is_empty() {
            return Ok(());
        }
        if self.pending.due.is_none() {
            self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            self.pending.due = Some(after(self.pace.stream_commit));
        }
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO journal (sequence, tick, lane, kind, source, record, chain) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for record in records {
            self.tail = append(&mut insert, &mut self.sealer, &mut self.source, &self.tail, record)?;
            self.pending.row_bytes += self.sealer.record().len();
            match record {
                Record::Input(stamped) => self.memory.remember(self.tail.sequence, &stamped.input.body),
                Record::Kept(kept) => self.memory.keep(self.tail.sequence, kept),
                Record::RunStarted(_) | Record::Digest(_) => {}
            }
        }
        self.pending.rows += records.len();
        Ok(())
    }

    /// Makes everything durable that was written, then says so.
    fn settle(&mut self) {
        if self.has_failed {
            return;
        }
        if self.pending.due.is_some() {
            if let Err(fault) = self.commit() {
                self.fail(&fault);
                return;
            }
            self.checkpoints.committed(std::mem::take(&mut self.pending.row_bytes));
        }
        self.pending.rows = 0;
        self.pending.due = None;
        for ticket in self.pending.tickets.drain(..) {
            answer(ticket, Ok(()));
        }
        self.watch.commit(self.tail.sequence);
    }

    fn commit(&mut self) -> Result<(), WriteFault> {
        self.memory.store(&self.conn)?;
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO journal_head (id, sequence, chain) VALUES (1, ?1, ?2)")?
            .execute(params![self.tail.sequence.cast_signed(), self.tail.chain])?;
        if !self.file.is_still_there() {
            return Err(WriteFault::FileGone);
        }
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Nothing more is written in this run: a row after a lost one would break the order.
    fn fail(&mut self, fault: &WriteFault) {
        self.has_failed = true;
        self.pending.due = None;
        if !self.conn.is_autocommit() {
            // Failing too changes nothing: an unfinished transaction is undone when the file is next opened.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        self.watch.fail(self.sentence(fault));
        refuse(&self.watch, self.pending.tickets.drain(..));
    }

    fn sentence(&self, fault: &WriteFault) -> String {
        let path = self.file.path().display();
        match fault {
            WriteFault::Sqlite(source) if source.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                format!("the disk of the journal is full; free some space and restart the node: {path}")
            }
            WriteFault::Sqlite(source) => {
                format!(
                    "the journal cannot be written ({source}); check the disk and restart the node: {path}"
                )
            }
            WriteFault::FileGone => {
                format!(
                    "the journal was moved or deleted while the node ran; put it back and restart: {path}"
                )
            }
            WriteFault::OutOfOrder { expected, found } => {
                format!(
                    "the journal was given row {found} where {expected} is next; restart the node: {path}"
                )
            }
        }
    }
}

/// Adds one row after `tail` and returns the new tail. The record is encoded once, straight into the sealer.
fn append(
    insert: &mut CachedStatement<'_>,
    sealer: &mut Sealer,
    source: &mut SourceText,
    tail: &Tail,
    record: &Record,
) -> Result<Tail, WriteFault> {
    let sequence = tail.sequence.saturating_add(1);
    if let Some(found) = row::claimed_sequence(record).filter(|claimed| *claimed != sequence) {
        return Err(WriteFault::OutOfOrder { expected: sequence, found });
    }
    let (tick, lane) = (row::tick(record), row::lane_number(row::lane(record)));
    let head = RowHead { sequence, tick, lane, kind: row::kind(record), source: source.of(record) };
    let chain = sealer.seal(&tail.chain, &head, |bytes| {
        // A Vec takes every write; the error type cannot be built.
        let _: Result<(), minicbor::encode::Error<std::convert::Infallible>> =
            minicbor::encode(record, bytes);
    });
    insert.execute(params![
        sequence.cast_signed(),
        tick.cast_signed(),
        lane,
        head.kind,
        head.source,
        sealer.record(),
        chain
    ])?;
    Ok(Tail { sequence, chain })
}
