//! The tick's end of the journal.

use std::thread::JoinHandle;

use clawmesh_authority::Refusal;
use clawmesh_core::replay::{Batch, CommitWatch, JournalWriter, Ticket};
use crossbeam_channel::{Sender, TrySendError, bounded};

use super::committer::Committer;

/// Takes batches from the tick and hands them to the thread that commits them.
///
/// Dropping it commits what is still waiting and ends the thread.
#[derive(Debug)]
pub struct Writer {
    batches: Option<Sender<Batch>>,
    thread: Option<JoinHandle<()>>,
    watch: CommitWatch,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        committer: Committer,
        queue_batches: usize,
        watch: CommitWatch,
    ) -> std::io::Result<Self> {
        let (batches, inbox) = bounded(queue_batches.max(1));
        let thread =
            std::thread::Builder::new().name("journal".to_owned()).spawn(move || committer.run(&inbox))?;
        Ok(Self { batches: Some(batches), thread: Some(thread), watch })
    }

    /// Commits what is still waiting, ends the thread and lets go of the file.
    ///
    /// # Errors
    /// The refusal that everything after the first failed commit was answered with.
    pub fn close(mut self) -> Result<(), Refusal> {
        self.finish();
        self.watch.refusal().map_or(Ok(()), Err)
    }

    fn finish(&mut self) {
        drop(self.batches.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            self.watch.fail(GONE);
        }
    }
}

const FULL: &str = "the journal cannot keep up with what comes in; check the load and the disk of this machine, \
                    then restart the node";
const GONE: &str = "the journal has stopped by a fault of its own; restart the node and report it";

impl JournalWriter for Writer {
    fn append(&mut self, batch: Batch) {
        let Some(batches) = &self.batches else { return };
        let (why, batch) = match batches.try_send(batch) {
            Ok(()) => return,
            Err(TrySendError::Full(batch)) => (FULL, batch),
            Err(TrySendError::Disconnected(batch)) => (GONE, batch),
        };
        // The rows of this batch are lost to the file; the committer sees the gap and writes nothing after it.
        self.watch.fail(why);
        refuse(&self.watch, batch.tickets);
    }
}

/// Answers tickets of a journal that has failed.
pub(super) fn refuse(watch: &CommitWatch, tickets: impl IntoIterator<Item = Ticket>) {
    if let Some(refusal) = watch.refusal() {
        for ticket in tickets {
            answer(ticket, Err(refusal.clone()));
        }
    }
}

/// Answers one ticket. What the asker does with the answer must not stop the journal.
pub(super) fn answer(ticket: Ticket, outcome: Result<(), Refusal>) {
    let asked = std::panic::AssertUnwindSafe(|| ticket.answer(outcome));
    if std::panic::catch_unwind(asked).is_err() {
        tracing::error!("whoever waited for a journal ticket panicked on the answer");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.finish();
    }
}
