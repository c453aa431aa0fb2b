//! A journal in memory. What was handed over is durable at once, or so many ticks later as a test says, as a disk lets wait;
//! it can stand still, and fail. A crash loses what is not durable. What damages files is tested in `storage`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clawmesh_authority::{Code, Refusal};
use clawmesh_core::replay::{Batch, CommitWatch, JournalWriter, Record, Ticket};

use crate::Lab;

/// The records of a node, over all its runs. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryJournal(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    durable: Vec<Record>,
    /// Handed over and not durable, oldest first.
    waiting: VecDeque<Waiting>,
    /// How far this run is durable; a run that begins gets its own.
    commits: CommitWatch,
    lag_ticks: u64,
    is_halted: bool,
    ticks: u64,
}

#[derive(Debug)]
struct Waiting {
    batch: Batch,
    /// After this tick it may be durable.
    due_tick: u64,
}

impl MemoryJournal {
    /// A journal whose records are durable `lag_ticks` ticks after the one that wrote them.
    pub(crate) fn with_lag(lag_ticks: u64) -> Self {
        Self(Arc::new(Mutex::new(Book { lag_ticks, ..Book::default() })))
    }

    /// What is durable.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.lock().durable.clone()
    }

    /// A run begins: it goes on after what is durable.
    pub(crate) fn begin(&self) -> CommitWatch {
        let mut book = self.lock();
        book.commits = CommitWatch::default();
        book.commits.commit(book.durable.len() as u64);
        book.commits.clone()
    }

    /// The run was killed: what is not durable is lost, and nobody is answered.
    pub(crate) fn crash(&self) {
        let mut book = self.lock();
        book.waiting.clear();
        book.is_halted = false;
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.lock().durable.len() as u64 + 1
    }

    /// A tick has passed.
    pub(crate) fn step(&self) {
        self.lock().ticks += 1;
        self.settle();
    }

    fn halt(&self, is_halted: bool) {
        self.lock().is_halted = is_halted;
        self.settle();
    }

    fn fail(&self, why: &str) {
        self.lock().commits.fail(why);
        self.settle();
    }

    /// Makes durable what may be, and refuses what never will be.
    fn settle(&self) {
        for (ticket, outcome) in self.lock().settle() {
            ticket.answer(outcome);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Who is to be answered, and how.
    fn settle(&mut self) -> Vec<(Ticket, Result<(), Refusal>)> {
        if let Some(why) = self.commits.failure() {
            let refusal = Refusal::new(Code::JournalUnavailable, "journal", why);
            let lost = self.waiting.drain(..).flat_map(|waiting| waiting.batch.tickets);
            return lost.map(|ticket| (ticket, Err(refusal.clone()))).collect();
        }
        let mut answers = Vec::new();
        while let Some(first) = self.waiting.front().filter(|_| !self.is_halted)
            && first.due_tick <= self.ticks
            && let Some(Waiting { batch, .. }) = self.waiting.pop_front()
        {
            self.durable.extend(batch.records);
            answers.extend(batch.tickets.into_iter().map(|ticket| (ticket, Ok(()))));
        }
        self.commits.commit(self.durable.len() as u64);
        answers
    }
}

impl JournalWriter for MemoryJournal {
    fn append(&mut self, batch: Batch) {
        let mut book = self.lock();
        let last = book.waiting.back().map_or(book.durable.len() as u64, |Waiting { batch, .. }| {
            batch.first_sequence + batch.records.len() as u64 - 1
        });
        let has_failed = book.commits.failure().is_some();
        assert!(has_failed || batch.first_sequence == last + 1, "the journal must not have gaps");
        // The tick that writes it has not passed yet.
        let due_tick = book.ticks + if book.lag_ticks == 0 { 0 } else { book.lag_ticks + 1 };
        book.waiting.push_back(Waiting { batch, due_tick });
        drop(book);
        self.settle();
    }
}

impl Lab {
    /// What the nodes that are added from now on write down is durable so many ticks later, as with a disk; without this, at
    /// once.
    #[must_use]
    pub fn with_journal_lag(mut self, ticks: u64) -> Self {
        self.journal_lag_ticks = ticks;
        self
    }

    /// Lets the journal of a node stand still: it takes everything, and nothing becomes durable.
    pub fn halt_journal(&mut self, name: &str) {
        self.nodes[self.place(name)].journal.halt(true);
    }

    /// Lets the journal of a node go on.
    pub fn resume_journal(&mut self, name: &str) {
        self.nodes[self.place(name)].journal.halt(false);
    }

    /// The journal of a node fails, until the node is started again: what waits is lost, and nothing becomes durable any more.
    pub fn fail_journal(&mut self, name: &str, why: &str) {
        self.nodes[self.place(name)].journal.fail(why);
    }
}
