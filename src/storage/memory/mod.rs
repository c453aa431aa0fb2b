//! What a restarted node still knows: the newest state-lane content of each source, and how far each was heard.
//! Reads the inputs that are journaled. Writes the tables `retained` and `mark`, in the same transaction.
//! Invariant: later replaces earlier whatever the order of arrival; what is fed back at a restart changes nothing.
//! Not here: the journal rows themselves (`write`).

mod glance;
mod marks;
mod retained;

use std::path::Path;

use clawmesh_authority::{Admission, KeyId as _, Lane, NodeId, canonical, envelope};
use clawmesh_core::intake::InputBody;
use clawmesh_core::replay::KeptRecord;
use rusqlite::Connection;

use crate::error::JournalError;
use glance::glance;
use marks::Marks;
pub use marks::SOURCES_MAX;
pub use retained::SUBJECTS_PER_SOURCE_MAX;
use retained::{BundleRow, Retained};

/// What earlier runs leave to this one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recovered {
    /// To be fed to the new run in this order: `MarkRestored` by node, `Recovered` by (source, epoch, sequence),
    /// `Recorded` by hybrid time and `Recalled` by row.
    pub inputs: Vec<InputBody>,
}

/// Keeps the two tables in step with the journal.
#[derive(Debug, Default)]
pub struct Memory {
    marks: Marks,
    retained: Retained,
}

impl Memory {
    /// Reads both tables.
    pub fn load(conn: &Connection, path: &Path) -> Result<(Self, Recovered), JournalError> {
        let marks = Marks::load(conn, path)?;
        let (retained, kept) = Retained::load(conn, path)?;
        let mut inputs = marks.restored();
        inputs.extend(kept);
        Ok((Self { marks, retained }, Recovered { inputs }))
    }

    /// Takes notice of the input that is journaled in row `sequence`.
    pub fn remember(&mut self, sequence: u64, body: &InputBody) {
        match body {
            InputBody::Envelope { lane: Lane::Stream, bytes } => {
                if let Some(seen) = glance(bytes) {
                    let source = NodeId::of_public_key(seen.key);
                    self.marks.admit(source, Lane::Stream, seen.epoch, seen.sequence);
                }
            }
            InputBody::Envelope { lane: Lane::State, bytes } => self.remember_frames(sequence, bytes),
            InputBody::Recorded { observation, hlc: Some(hlc) } => {
                self.retained.keep_own(body, observation, *hlc);
            }
            _ => {}
        }
    }

    fn remember_frames(&mut self, sequence: u64, bytes: &[u8]) {
        // The core refuses what cannot be read, and counts it.
        let Ok(opened) = envelope::read_journaled(bytes) else { return };
        let source = opened.source;
        let statements = opened.statement.apart();
        let is_bundle = statements.len() > 1;
        let row = is_bundle.then(|| BundleRow { sequence, hash: *blake3::hash(bytes).as_bytes() });
        for said in &statements {
            let admission = self.marks.admit(source, Lane::State, said.epoch, said.sequence);
            if is_bundle && admission == Admission::Replayed {
                // Heard before, and the core does not hear it again.
                continue;
            }
            let kept = || match &row {
                Some(row) => canonical::encode(row),
                None => bytes.to_vec(),
            };
            self.retained.keep_frame(source, said, kept);
        }
    }

    /// Keeps something of our own; `sequence` is its row, and a later row replaces an earlier one.
    pub fn keep(&mut self, sequence: u64, kept: &KeptRecord) {
        self.retained.keep_kept(sequence, kept);
    }

    /// Writes what is new since the last call; once for each commit.
    pub fn store(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        self.marks.store(conn)?;
        self.retained.store(conn)
    }
}

/// What a row of these tables carries so that damage to it is found: both are believed at a start, and neither is in
/// the chain of the journal.
fn check_of(table: &str, fields: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("clawmesh/journal/memory/v1");
    for field in [table.as_bytes()].iter().chain(fields) {
        hasher.update(&(field.len() as u64).to_le_bytes()).update(field);
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests;
