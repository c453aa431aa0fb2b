//! The stop latch: set by anybody at any time, read before every write, ended by a person only.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use clawmesh_core::safety::{Latched, StopPort};
use crossbeam_channel::{Receiver, Sender, bounded};

/// Where the stop outlives the process.
pub trait KeepStop: Send + Sync {
    /// Writes it down and returns the reason that counts: the first one, when there was one before.
    ///
    /// # Errors
    /// Why it could not be written down; it is latched in memory all the same.
    fn keep(&self, reason: &str) -> Result<String, String>;

    /// Takes what was written down away: a person has seen to the cause.
    ///
    /// # Errors
    /// Why it could not be taken away; the stop stays latched.
    fn forget(&self) -> Result<(), String>;
}

/// The latch of one node. Clones share it.
#[derive(Clone)]
pub struct StopLatch(Arc<Latch>);

struct Latch {
    is_set: AtomicBool,
    /// How often it was set. What was ordered before the last time is void, however quickly somebody re-armed.
    stops: AtomicU64,
    reason: Mutex<Option<String>>,
    keeper: Box<dyn KeepStop>,
    wake: Sender<()>,
    woken: Receiver<()>,
}

impl StopLatch {
    /// The latch as the last process left it.
    #[must_use]
    pub fn new(reason: Option<String>, keeper: impl KeepStop + 'static) -> Self {
        let (wake, woken) = bounded(1);
        Self(Arc::new(Latch {
            is_set: AtomicBool::new(reason.is_some()),
            stops: AtomicU64::new(0),
            reason: Mutex::new(reason),
            keeper: Box::new(keeper),
            wake,
            woken,
        }))
    }

    /// Latches the stop: in memory first, so that drivers see it at once, then durably. Returns the reason that counts.
    ///
    /// # Errors
    /// Why it could not be written down; it is latched all the same.
    pub fn set(&self, reason: &str) -> Result<String, String> {
        let mut held = self.reason();
        self.0.stops.fetch_add(1, Ordering::SeqCst);
        self.0.is_set.store(true, Ordering::SeqCst);
        // A full channel means that the driver layer is being woken already.
        let _ = self.0.wake.try_send(());
        let first = held.get_or_insert_with(|| reason.to_owned()).clone();
        let kept = self.0.keeper.keep(&first)?;
        Ok(held.insert(kept).clone())
    }

    /// Ends the stop. Nothing that ran before it goes on by itself.
    ///
    /// # Errors
    /// Why the stop could not be taken off the disk; it stays latched.
    pub fn rearm(&self) -> Result<(), String> {
        let held = self.reason();
        self.open(held)
    }

    /// Ends the stop, unless somebody has stopped since there were `stops`: whoever re-arms did not know of that.
    ///
    /// # Errors
    /// That somebody did, or why the stop could not be taken off the disk; it stays latched.
    pub fn rearm_if_still(&self, stops: u64) -> Result<(), String> {
        let held = self.reason();
        if self.stops() != stops {
            return Err("somebody stopped again in the meantime; see why, then re-arm again".to_owned());
        }
        self.open(held)
    }

    fn open(&self, mut held: MutexGuard<'_, Option<String>>) -> Result<(), String> {
        self.0.keeper.forget()?;
        *held = None;
        self.0.is_set.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// True while the stop is latched.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.is_set.load(Ordering::SeqCst)
    }

    /// How often it was set in this process: while the number is the same, nobody has stopped in between.
    #[must_use]
    pub fn stops(&self) -> u64 {
        self.0.stops.load(Ordering::SeqCst)
    }

    /// What an order is given to carry: the stops so far, or nothing while the stop is latched. An order whose stamp is
    /// not [`StopLatch::stops`] any more is void.
    pub(crate) fn stamp(&self) -> Option<u64> {
        // The number first: a stop that comes in between makes it old.
        let stops = self.stops();
        (!self.is_set()).then_some(stops)
    }

    /// How often it was set, and why it is latched; nothing while it is open or somebody is at it. It never waits.
    #[must_use]
    pub fn look(&self) -> Option<(u64, String)> {
        let held = match self.0.reason.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some((self.stops(), held.clone()?))
    }

    /// Why it is latched, if it is.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        self.reason().clone()
    }

    /// Wakes whoever waits here, once for each time the latch is set.
    pub(crate) fn woken(&self) -> &Receiver<()> {
        &self.0.woken
    }

    fn reason(&self) -> MutexGuard<'_, Option<String>> {
        self.0.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StopPort for StopLatch {
    fn latch(&self, why: &str) -> Latched {
        let (kept, unkept) = match self.set(why) {
            Ok(reason) => (Some(reason), None),
            Err(fault) => (
                self.why(),
                Some(format!("the stop could not be written down and ends with the process: {fault}")),
            ),
        };
        Latched { reason: kept.unwrap_or_else(|| why.to_owned()), unkept }
    }

    fn is_latched(&self) -> bool {
        self.is_set()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A place that keeps the stop, or refuses to.
    #[derive(Clone, Default)]
    pub(crate) struct Slate {
        pub kept: Arc<Mutex<Option<String>>>,
        pub is_broken: bool,
    }

    impl KeepStop for Slate {
        fn keep(&self, reason: &str) -> Result<String, String> {
            if self.is_broken {
                return Err("the disk is full".to_owned());
            }
            Ok(self.kept.lock().unwrap().get_or_insert_with(|| reason.to_owned()).clone())
        }

        fn forget(&self) -> Result<(), String> {
            if self.is_broken {
                return Err("the disk is read-only".to_owned());
            }
            *self.kept.lock().unwrap() = None;
            Ok(())
        }
    }

    #[test]
    fn the_first_reason_counts_and_a_person_ends_it() {
        let slate = Slate::default();
        let latch = StopLatch::new(None, slate.clone());
        assert!(!latch.is_set());
        let stamp = latch.stamp();
        assert_eq!((stamp, latch.stops()), (Some(0), 0));
        assert_eq!(latch.set("smoke"), Ok("smoke".to_owned()));
        assert_eq!(latch.stamp(), None, "while it is latched nothing is ordered");
        assert_eq!(latch.set("again"), Ok("smoke".to_owned()));
        assert_eq!((latch.is_set(), slate.kept.lock().unwrap().as_deref()), (true, Some("smoke")));
        latch.rearm().unwrap();
        assert_eq!((latch.is_set(), latch.why()), (false, None));
        assert!(latch.stamp().is_some() && latch.stamp() != stamp, "what was ordered before stays void");
        assert_eq!(slate.kept.lock().unwrap().as_deref(), None);
    }

    #[test]
    fn a_disk_that_does_not_keep_it_keeps_nobody_from_stopping() {
        let broken = Slate { is_broken: true, ..Slate::default() };
        let latch = StopLatch::new(None, broken.clone());
        assert_eq!(latch.set("smoke"), Err("the disk is full".to_owned()));
        assert!(latch.is_set());
        assert!(latch.rearm().is_err(), "what cannot be taken off the disk would come back");
        assert!(latch.is_set());
    }

    #[test]
    fn a_stop_that_came_after_somebody_decided_to_re_arm_stays() {
        let latch = StopLatch::new(None, Slate::default());
        latch.set("smoke").unwrap();
        let decided_at = latch.stops();
        latch.set("fire").unwrap();
        assert!(latch.rearm_if_still(decided_at).unwrap_err().contains("stopped again"));
        assert!(latch.is_set());
        latch.rearm_if_still(latch.stops()).unwrap();
        assert!(!latch.is_set());
    }

    #[test]
    fn whoever_latches_it_hears_the_reason_that_counts_and_whether_it_was_written_down() {
        let latch = StopLatch::new(None, Slate::default());
        latch.set("smoke").unwrap();
        let latched = StopPort::latch(&latch, "again");
        assert_eq!(latched, Latched { reason: "smoke".to_owned(), unkept: None });
        let broken = StopLatch::new(None, Slate { is_broken: true, ..Slate::default() });
        let latched = StopPort::latch(&broken, "smoke");
        assert!(broken.is_latched() && latched.unkept.is_some_and(|why| why.contains("the disk is full")));
    }

    #[test]
    fn what_the_last_process_left_is_latched_from_the_beginning() {
        let latch = StopLatch::new(Some("smoke".to_owned()), Slate::default());
        assert_eq!((latch.is_set(), latch.why().as_deref()), (true, Some("smoke")));
    }
}
