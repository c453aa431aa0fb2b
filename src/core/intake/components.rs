//! The batch of a tick and the ports it comes and goes through.

use bevy::prelude::Resource;

use super::inbox::Inboxes;
use super::input::StampedInput;
use crate::replay::{Batch, JournalWriter, Record, Ticket};

/// The inputs of this tick, in order. Replay fills it from the journal, `take_batch` from the doors.
#[derive(Resource, Debug, Default)]
pub struct TickBatch(pub Vec<StampedInput>);

impl TickBatch {
    /// The inputs in the order they take effect.
    pub fn iter(&self) -> impl Iterator<Item = &StampedInput> {
        self.0.iter()
    }
}

/// The doors of a live node.
#[derive(Resource, Debug)]
pub struct Feed(pub Inboxes);

/// The row the journal gets next.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalCursor {
    /// The sequence of the next record.
    pub next: u64,
}

impl JournalCursor {
    /// The sequence of the last record handed over.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.next.saturating_sub(1)
    }
}

/// The way to the journal.
#[derive(Resource)]
pub struct JournalPort(pub Box<dyn JournalWriter>);

impl JournalPort {
    /// Hands over `records`, numbered from the cursor, which moves past them.
    pub fn append(&mut self, cursor: &mut JournalCursor, records: Vec<Record>, tickets: Vec<Ticket>) {
        let first_sequence = cursor.next;
        cursor.next += records.len() as u64;
        self.0.append(Batch { first_sequence, records, tickets });
    }
}
