//! What an attacker with the file can do: change records and make the chain fit again. For tests and drills.
//!
//! The chain finds damage and careless edits. It has no secret, so whoever can write the file can compute it
//! anew. What finds that is the replay: the changed record leads to another digest than the recorded one, and what
//! another node signed no longer fits its signature.

use std::path::Path;

use clawmesh_authority::canonical;
use clawmesh_core::replay::Record;
use rusqlite::{Connection, params};

use crate::chain::{RowHead, Sealer, genesis};
use crate::error::JournalError;
use crate::reader::{RawRow, read_rows};
use crate::row::{self, SourceText};
use crate::schema;
use crate::write::{JournalLock, Tail};

/// Shows every record to `change`, rewrites those for which it returns true, and computes the whole chain anew.
///
/// Columns follow the changed records. Returns how many records were rewritten. A changed
/// `journal_sequence` of an input is still found, as no row has another sequence than its place.
///
/// # Errors
/// A node has the journal open, it cannot be opened, or a record in it cannot be read.
pub fn rewrite(path: &Path, mut change: impl FnMut(u64, &mut Record) -> bool) -> Result<u64, JournalError> {
    let _lock = JournalLock::take(path)?;
    let mut conn = schema::open_writable(path, None)?;
    let fault = |source| JournalError::of("rewrite the journal", source, path);
    let transaction = conn.transaction().map_err(fault)?;
    let mut forger = Forger { sealer: Sealer::default(), source: SourceText::default(), rewritten: 0 };
    let mut tail = Tail { sequence: 0, chain: genesis() };
    loop {
        let (rows, broken) = read_rows(&transaction, tail.sequence.cast_signed());
        for raw in &rows {
            tail = forger.forge(&transaction, path, &tail, raw, &mut change)?;
        }
        match (broken, rows.is_empty()) {
            (Some(source), _) => return Err(fault(source)),
            (None, true) => break,
            (None, false) => {}
        }
    }
    transaction
        .execute(
            "UPDATE journal_head SET sequence = ?1, chain = ?2",
            params![tail.sequence.cast_signed(), tail.chain],
        )
        .map_err(fault)?;
    transaction.commit().map_err(fault)?;
    Ok(forger.rewritten)
}

struct Forger {
    sealer: Sealer,
    source: SourceText,
    rewritten: u64,
}

impl Forger {
    fn forge(
        &mut self,
        conn: &Connection,
        path: &Path,
        tail: &Tail,
        raw: &RawRow,
        change: &mut impl FnMut(u64, &mut Record) -> bool,
    ) -> Result<Tail, JournalError> {
        let sequence = raw.sequence.cast_unsigned();
        let mut record: Record = canonical::decode(&raw.record)
            .map_err(|fault| JournalError::Undecodable { sequence, why: fault.to_string() })?;
        let mut changed = record.clone();
        if change(sequence, &mut changed) {
            record = changed;
            self.rewritten += 1;
        }
        let (tick, lane) = (row::tick(&record), row::lane_number(row::lane(&record)));
        let source = self.source.of(&record);
        let head = RowHead { sequence, tick, lane, kind: row::kind(&record), source };
        let bytes = canonical::encode(&record);
        let chain = self.sealer.seal(&tail.chain, &head, |framed| framed.extend_from_slice(&bytes));
        conn.prepare_cached(
            "UPDATE journal SET tick = ?2, lane = ?3, kind = ?4, source = ?5, record = ?6, chain = ?7 \
             WHERE sequence = ?1",
        )
        .and_then(|mut update| {
            let (at, tick) = (sequence.cast_signed(), tick.cast_signed());
            update.execute(params![at, tick, lane, head.kind, source, bytes, chain])
        })
        .map_err(|source| JournalError::of("rewrite the journal", source, path))?;
        Ok(Tail { sequence, chain })
    }
}
