//! Ending the stop: the latch opens once the journal holds who asked for it, and not before.

use std::time::Duration;

use clawmesh_authority::{Code, Refusal};
use clawmesh_core::intake::{InboxHandle, InputBody, SourceId};
use clawmesh_core::proposals::RearmPort;
use clawmesh_core::replay::CommitWatch;
use clawmesh_drivers::StopLatch;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::worker::{Ends, Worker};

/// The most re-arms that wait. They say all the same.
const WAITING_MAX: usize = 4;
/// How often the thread looks whether it should end.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long to wait for a place in the inbox.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// What somebody has decided.
struct Order {
    /// The row that must be durable.
    cause: u64,
    /// The stops the tick knew of. A later one stays.
    stops: u64,
}

/// The tick's end.
pub struct Rearm {
    orders: Sender<Order>,
    inbox: InboxHandle,
}

/// Waits for orders, until the tick's end of it is dropped. To be dropped after the tick.
pub fn start(latch: StopLatch, commits: CommitWatch, inbox: InboxHandle) -> std::io::Result<(Worker, Rearm)> {
    let (sender, orders) = bounded(WAITING_MAX);
    let rearm = Rearm { orders: sender, inbox: inbox.clone() };
    let worker = Worker::start("rearm", move |ends| {
        Opener { latch, commits, inbox, ends: ends.clone() }.run(&orders);
    })?;
    Ok((worker, rearm))
}

impl RearmPort for Rearm {
    fn rearm(&self, cause: u64, stops: u64) {
        let order = Order { cause, stops };
        if self.orders.try_send(order).is_err() {
            let sentence = "too many re-arms wait for the journal; the stop stays latched, re-arm again";
            let refusal = Refusal::new(Code::Busy, "re-arm", sentence);
            if let Err(full) = self.inbox.offer_own(SourceId::Runner, refused(refusal), None) {
                tracing::error!("the tick was not told that the stop stays latched: {full}");
            }
        }
    }
}

struct Opener {
    latch: StopLatch,
    commits: CommitWatch,
    inbox: InboxHandle,
    ends: Ends,
}

impl Opener {
    fn run(self, orders: &Receiver<Order>) {
        while let Some(order) = self.next(orders) {
            let told = match self.open(&order) {
                Some(Ok(())) => self.tell(InputBody::Rearmed),
                Some(Err(refusal)) => self.tell(refused(refusal)),
                // The node ends: the stop stays latched, which is safe.
                None => return,
            };
            // Whoever stopped in between may have told the tick before it heard that the latch was open.
            if told && let Some(reason) = self.latch.why() {
                self.tell(InputBody::StopLatched { reason, stops: self.latch.stops() });
            }
        }
    }

    fn next(&self, orders: &Receiver<Order>) -> Option<Order> {
        use crossbeam_channel::RecvTimeoutError::{Disconnected, Timeout};
        while !self.ends.is_asked() {
            match orders.recv_timeout(LOOK_EVERY) {
                Ok(order) => return Some(order),
                Err(Timeout) => {}
                Err(Disconnected) => return None,
            }
        }
        None
    }

    /// Opens the latch once the cause is durable; nothing when the node ends first.
    fn open(&self, order: &Order) -> Option<Result<(), Refusal>> {
        while !self.commits.wait_for(order.cause, LOOK_EVERY) {
            if let Some(Refusal { code, sentence, .. }) = self.commits.refusal() {
                let sentence =
                    format!("the stop stays latched, because the journal cannot commit: {sentence}");
                return Some(Err(Refusal::new(code, "re-arm", sentence)));
            }
            if self.ends.is_asked() {
                return None;
            }
        }
        let opened = self.latch.rearm_if_still(order.stops);
        Some(opened.map_err(|why| {
            Refusal::new(Code::StopLatched, "re-arm", format!("the stop stays latched: {why}"))
        }))
    }

    /// False when the node ends before there was a place in the inbox.
    fn tell(&self, body: InputBody) -> bool {
        while self.inbox.offer_own(SourceId::Runner, body.clone(), None).is_err() {
            if !self.ends.sleep(RETRY_AFTER) {
                return false;
            }
        }
        true
    }
}

fn refused(refusal: Refusal) -> InputBody {
    InputBody::Refused { refusal, count: 1 }
}

#[cfg(test)]
mod tests {
    use clawmesh_core::intake::{InboxLimits, Inboxes, doors};
    use crossbeam_channel::{after, tick};
    use tempfile::TempDir;

    use super::*;
    use crate::config::state_dir::StateDir;
    use crate::config::stop_file;

    /// A latched stop on a disk of its own, and the doors in the hands of the test.
    struct Rig {
        _folder: TempDir,
        dir: StateDir,
        latch: StopLatch,
        commits: CommitWatch,
        inboxes: Inboxes,
        edge: Worker,
        rearm: Rearm,
    }

    fn rig() -> Rig {
        let (folder, dir) = StateDir::temporary();
        let (latch, commits) = (stop_file::open(&dir), CommitWatch::default());
        latch.set("smoke").unwrap();
        let (inbox, inboxes) = doors(InboxLimits::default());
        let (edge, rearm) = start(latch.clone(), commits.clone(), inbox).unwrap();
        Rig { _folder: folder, dir, latch, commits, inboxes, edge, rearm }
    }

    impl Rig {
        /// The next thing the tick is told.
        fn told(&self) -> InputBody {
            let (deadline, beat) = (after(Duration::from_secs(20)), tick(Duration::from_millis(1)));
            loop {
                if let Some((input, _)) = self.inboxes.take_state(1).pop() {
                    assert_eq!(input.source, SourceId::Runner);
                    return input.body;
                }
                assert!(deadline.try_recv().is_err(), "the tick is told nothing");
                beat.recv().unwrap();
            }
        }

        fn refusal(&self) -> Refusal {
            match self.told() {
                InputBody::Refused { refusal, count: 1 } => refusal,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_latch_opens_when_the_journal_holds_who_asked_and_not_before() {
        let rig = rig();
        rig.commits.commit(6);
        rig.rearm.rearm(7, rig.latch.stops());
        assert!(after(3 * LOOK_EVERY).recv().is_ok());
        assert!(rig.latch.is_set() && rig.inboxes.take_state(9).is_empty());
        rig.commits.commit(7);
        assert_eq!(rig.told(), InputBody::Rearmed);
        assert!(!rig.latch.is_set() && stop_file::load(&rig.dir).is_none());
    }

    #[test]
    fn a_stop_that_came_in_between_stays_and_so_does_one_the_journal_cannot_end() {
        let rig = rig();
        // The tick decided, and before it could say so somebody stopped.
        let known = rig.latch.stops();
        rig.latch.set("fire").unwrap();
        rig.rearm.rearm(7, known);
        rig.commits.commit(7);
        let refusal = rig.refusal();
        assert!(refusal.code == Code::StopLatched && refusal.sentence.contains("stopped again"), "{refusal}");
        let again = InputBody::StopLatched { reason: "smoke".to_owned(), stops: 2 };
        assert_eq!(rig.told(), again, "so that the tick is sure to know");
        rig.rearm.rearm(8, rig.latch.stops());
        rig.commits.fail("the disk is full");
        let refusal = rig.refusal();
        assert!(refusal.sentence.contains("the disk is full"), "{refusal}");
        assert_eq!(refusal.code, Code::JournalUnavailable);
        assert!(rig.latch.is_set());
    }

    #[test]
    fn more_re_arms_than_can_wait_are_refused_and_the_end_of_the_node_ends_them() {
        let rig = rig();
        (0..=WAITING_MAX + 1).for_each(|_| rig.rearm.rearm(7, rig.latch.stops()));
        assert_eq!(rig.refusal().code, Code::Busy);
        let Rig { latch, rearm, edge, .. } = rig;
        drop(rearm);
        drop(edge);
        assert!(latch.is_set(), "a node that ends re-arms nothing");
    }
}
