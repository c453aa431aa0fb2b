//! The stop of a lab node, as a node has it and without its threads: the latch, the file in which it outlives a crash, who
//! tells the tick of it, and what ends it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clawmesh_authority::{Code, Refusal};
use clawmesh_core::intake::{InboxHandle, InputBody, SourceId};
use clawmesh_core::proposals::RearmPort;
use clawmesh_core::replay::CommitWatch;
use clawmesh_drivers::{KeepStop, StopLatch};

use crate::Lab;

/// Where the stop of a node outlives its crash. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct StopFile(Arc<Mutex<Option<String>>>);

impl StopFile {
    /// The latch as the last run left it.
    pub(crate) fn open(&self) -> StopLatch {
        StopLatch::new(lock(&self.0).clone(), self.clone())
    }
}

impl KeepStop for StopFile {
    fn keep(&self, reason: &str) -> Result<String, String> {
        Ok(lock(&self.0).get_or_insert_with(|| reason.to_owned()).clone())
    }

    fn forget(&self) -> Result<(), String> {
        *lock(&self.0) = None;
        Ok(())
    }
}

/// Re-arms that wait for the journal: the row that must be durable, and the stops the tick knew of.
type Rearms = Arc<Mutex<VecDeque<(u64, u64)>>>;

/// What the threads around the tick do about the stop of one run.
pub(crate) struct Brake {
    pub(crate) latch: StopLatch,
    commits: CommitWatch,
    rearms: Rearms,
    /// The newest stop that the tick was told of, by its number.
    told_stops: u64,
}

/// The tick's end of the way to a re-arm.
pub(crate) struct Rearm(Rearms);

impl RearmPort for Rearm {
    fn rearm(&self, cause: u64, stops: u64) {
        lock(&self.0).push_back((cause, stops));
    }
}

impl Brake {
    pub(crate) fn new(latch: StopLatch, commits: CommitWatch) -> (Self, Rearm) {
        let rearms = Rearms::default();
        let port = Rearm(Arc::clone(&rearms));
        (Self { latch, commits, rearms, told_stops: 0 }, port)
    }

    /// Opens the latch once the journal holds who asked for it. That comes before the drivers look at what else has become
    /// durable: in a node it may.
    pub(crate) fn open(&self, inbox: &InboxHandle) {
        while let Some(outcome) = self.next_rearm() {
            tell(inbox, outcome);
            if let Some(reason) = self.latch.why() {
                tell(inbox, InputBody::StopLatched { reason, stops: self.latch.stops() });
            }
        }
    }

    /// Whoever set the latch, the tick hears of it.
    pub(crate) fn tell(&mut self, inbox: &InboxHandle) {
        if let Some((stops, reason)) = self.latch.look().filter(|(stops, _)| *stops != self.told_stops) {
            tell(inbox, InputBody::StopLatched { reason, stops });
            self.told_stops = stops;
        }
    }

    /// What became of the oldest re-arm; nothing while its row is not durable.
    fn next_rearm(&self) -> Option<InputBody> {
        let mut rearms = lock(&self.rearms);
        let (cause, stops) = *rearms.front()?;
        let refused = |code, why: &str| {
            let refusal = Refusal::new(code, "re-arm", format!("the stop stays latched: {why}"));
            InputBody::Refused { refusal, count: 1 }
        };
        let outcome = if self.commits.committed() >= cause {
            match self.latch.rearm_if_still(stops) {
                Ok(()) => InputBody::Rearmed,
                Err(why) => refused(Code::StopLatched, &why),
            }
        } else {
            refused(Code::JournalUnavailable, &self.commits.failure()?)
        };
        rearms.pop_front();
        Some(outcome)
    }
}

impl Lab {
    /// Somebody presses the stop of a node: it is latched now, drivers see it before their next write, and the next tick
    /// hears of it.
    ///
    /// # Panics
    /// When the node is down.
    pub fn stop(&mut self, name: &str, reason: &str) {
        let live = self.nodes[self.place(name)].live.as_ref().expect("the node is up");
        live.brake.latch.set(reason).expect("a lab always writes it down");
    }
}

fn tell(inbox: &InboxHandle, body: InputBody) {
    inbox.offer_own(SourceId::Runner, body, None).expect("the lab never fills an inbox");
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
