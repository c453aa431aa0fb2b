//! What a restart must know of our own, on its way into the journal.

use bevy::prelude::Resource;

use super::commit::Ticket;
use super::journal::KeptRecord;

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

    /// A new tick has written nothing.
    pub(super) fn begin(&mut self) {
        self.written.clear();
    }

    /// True when there is nothing to hand over.
    pub(super) fn is_idle(&self) -> bool {
        self.due.is_empty() && self.tickets.is_empty()
    }

    /// Takes what is due, as records of this tick, and who waits for them.
    pub(super) fn take(&mut self, tick: u64) -> (Vec<KeptRecord>, Vec<Ticket>) {
        let due = std::mem::take(&mut self.due);
        let records: Vec<KeptRecord> =
            due.into_iter().map(|(subject, bytes)| KeptRecord { tick, subject, bytes }).collect();
        self.written.extend(records.iter().cloned());
        (records, std::mem::take(&mut self.tickets))
    }
}
