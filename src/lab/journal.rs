//! A journal in memory: durable at once, and it never fails. What failing journals do is tested in `storage`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clawmesh_core::replay::{Batch, CommitWatch, JournalWriter, Record};

/// The records of a node, over all its runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryJournal {
    records: Arc<Mutex<Vec<Record>>>,
    commits: CommitWatch,
}

impl MemoryJournal {
    pub(crate) fn records(&self) -> Vec<Record> {
        self.lock().clone()
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.lock().len() as u64 + 1
    }

    /// Where edges see how far it is durable.
    pub(crate) fn commits(&self) -> CommitWatch {
        self.commits.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JournalWriter for MemoryJournal {
    fn append(&mut self, batch: Batch) {
        let mut records = self.lock();
        assert_eq!(batch.first_sequence, records.len() as u64 + 1, "the journal must not have gaps");
        records.extend(batch.records);
        self.commits.commit(records.len() as u64);
        drop(records);
        for ticket in batch.tickets {
            ticket.answer(Ok(()));
        }
    }
}
