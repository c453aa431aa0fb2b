//! A thread of an edge: it has a name, looks at a flag that tells it to end, and is waited for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long one sleep of [`Ends::sleep`] lasts at most.
const NAP: Duration = Duration::from_millis(50);

/// Whether a thread should end. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Ends(Arc<AtomicBool>);

impl Ends {
    /// True from the moment somebody wants the thread to end.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Sleeps for `time`; false, and soon, when the thread should end.
    pub fn sleep(&self, time: Duration) -> bool {
        let mut left = time;
        while !left.is_zero() {
            if self.is_asked() {
                return false;
            }
            thread::sleep(left.min(NAP));
            left = left.saturating_sub(NAP);
        }
        !self.is_asked()
    }
}

/// A running thread. To drop it is to tell it to end, and to wait for that.
pub struct Worker {
    name: &'static str,
    ends: Ends,
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the thread ends, however it ends.
    done: Receiver<()>,
    /// The longest it is waited for; without one for ever.
    patience: Option<Duration>,
}

impl Worker {
    /// Begins to work.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: &'static str, work: impl FnOnce(&Ends) + Send + 'static) -> io::Result<Self> {
        let ends = Ends::default();
        let seen = ends.clone();
        let (alive, done) = sync_channel(1);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            work(&seen);
            drop(alive);
        })?;
        Ok(Self { name, ends, thread: Some(thread), done, patience: None })
    }

    /// For a thread that may be held up by somebody else: it is not waited for longer than this.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.ends.0.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return };
        if let Some(patience) = self.patience
            && self.done.recv_timeout(patience) == Err(RecvTimeoutError::Timeout)
        {
            return tracing::warn!("the thread {:?} is still busy; not waiting any longer", self.name);
        }
        if thread.join().is_err() {
            tracing::error!("the thread {:?} panicked", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moments::now;

    const PATIENCE: Duration = Duration::from_millis(200);

    #[test]
    fn what_is_dropped_has_ended() {
        let (tell, told) = sync_channel::<()>(1);
        let worker = Worker::start("sleeper", move |ends| {
            assert!(!ends.sleep(Duration::from_secs(3_600)));
            drop(tell);
        });
        drop(worker.unwrap());
        assert_eq!(told.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
    }

    #[test]
    fn whoever_is_held_up_is_not_waited_for_any_longer() {
        let (release, held) = sync_channel::<()>(1);
        let worker = Worker::start("held", move |_| assert!(held.recv().is_err())).unwrap();
        let begun = now();
        drop(worker.with_patience(PATIENCE));
        assert!((PATIENCE..PATIENCE * 50).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        drop(release);
    }

    #[test]
    fn one_that_panics_is_survived() {
        drop(Worker::start("clumsy", |_| panic!("on purpose")).unwrap());
    }
}
