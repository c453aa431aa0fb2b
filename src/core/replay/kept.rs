//! What a restart must know of our own, on its way into the journal.

use bevy::prelude::*;

use super::commit::Ticket;
use super::journal::{KeptRecord, Record};
use crate::clock::Tick;
use crate::intake::{JournalCursor, JournalPort};

/// What is to be kept. A feature puts it here; it is written before anything that follows from it leaves the node.
#[derive(Resource, Debug, Default)]
pub struct Keeping {
    due: Vec<(String, Vec<u8>)>,
    tickets: Vec<Ticket>,
    written: Vec<KeptRecord>,
}

impl Keeping {
    /// Keeps `bytes` under `subject`; a later one replaces it.
    pub fn keep(&mut self, subject: impl Into<String>, bytes: Vec<u8>) {
        self.due.push((subject.into(), bytes));
    }

    /// Answers these tickets once everything so far is durable.
    pub(crate) fn answer(&mut self, tickets: impl IntoIterator<Item = Ticket>) {
        self.tickets.extend(tickets);
    }

    /// What this tick has written so far.
    #[must_use]
    pub fn written(&self) -> &[KeptRecord] {
        &self.written
    }
}

/// A new tick has written nothing.
pub(super) fn begin(mut keeping: ResMut<Keeping>) {
    if !keeping.written.is_empty() {
        keeping.written.clear();
    }
}

/// Hands over what is due. A replay has no journal port: it compares instead.
pub fn write_kept(
    tick: Res<Tick>,
    mut keeping: ResMut<Keeping>,
    mut cursor: ResMut<JournalCursor>,
    journal: Option<ResMut<JournalPort>>,
) {
    if keeping.due.is_empty() && keeping.tickets.is_empty() {
        return;
    }
    let due = std::mem::take(&mut keeping.due);
    let tickets = std::mem::take(&mut keeping.tickets);
    let records: Vec<KeptRecord> =
        due.into_iter().map(|(subject, bytes)| KeptRecord { tick: tick.0, subject, bytes }).collect();
    keeping.written.extend(records.iter().cloned());
    match journal {
        Some(mut journal) => {
            journal.append(&mut cursor, records.into_iter().map(Record::Kept).collect(), tickets);
        }
        None => cursor.next += records.len() as u64,
    }
}
