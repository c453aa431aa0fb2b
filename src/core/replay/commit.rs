//! How far the journal is durable, for everything that must not leave the node before its cause is.
//!
//! Edges wait here, on threads of their own; the tick never does.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clawmesh_authority::{Code, Refusal};

/// Answers whoever waits for one input: `Ok` once it is durable, a refusal if it never will be.
pub struct Ticket(Box<dyn FnOnce(Result<(), Refusal>) + Send + Sync>);

impl Ticket {
    /// A ticket that calls `answer` once.
    pub fn new(answer: impl FnOnce(Result<(), Refusal>) + Send + Sync + 'static) -> Self {
        Self(Box::new(answer))
    }

    /// Gives the answer.
    pub fn answer(self, outcome: Result<(), Refusal>) {
        (self.0)(outcome);
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket")
    }
}

#[derive(Debug, Default)]
struct Progress {
    committed: u64,
    failure: Option<String>,
}

/// How far the journal is durable, for everything that must not leave the node before its cause is.
#[derive(Debug, Clone, Default)]
pub struct CommitWatch(Arc<(Mutex<Progress>, Condvar)>);

impl CommitWatch {
    /// Every record with a sequence up to `sequence` is durable.
    pub fn commit(&self, sequence: u64) {
        let mut progress = self.lock();
        progress.committed = progress.committed.max(sequence);
        self.0.1.notify_all();
    }

    /// The journal cannot commit any more; `why` is one sentence.
    pub fn fail(&self, why: impl Into<String>) {
        self.lock().failure.get_or_insert(why.into());
        self.0.1.notify_all();
    }

    /// The highest durable sequence.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.lock().committed
    }

    /// Why the journal cannot commit, if so.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// The refusal for new work while the journal cannot commit.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.failure().map(|why| Refusal::new(Code::JournalUnavailable, "journal", why))
    }

    /// Waits until `sequence` is durable; false when the journal failed or `patience` ran out first.
    #[must_use]
    pub fn wait_for(&self, sequence: u64, patience: Duration) -> bool {
        let waiting = |progress: &mut Progress| progress.committed < sequence && progress.failure.is_none();
        let (progress, _) = self
            .0
            .1
            .wait_timeout_while(self.lock(), patience, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        progress.committed >= sequence
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_the_commit_or_with_the_failure() {
        let watch = CommitWatch::default();
        watch.commit(5);
        assert!(watch.wait_for(5, Duration::ZERO));
        assert!(!watch.wait_for(6, Duration::ZERO));
        watch.fail("the disk is full");
        assert!(!watch.wait_for(6, Duration::from_secs(3600)));
        assert_eq!(watch.refusal().unwrap().code, Code::JournalUnavailable);
        assert!(watch.wait_for(5, Duration::ZERO), "what was durable stays durable");
    }
}
