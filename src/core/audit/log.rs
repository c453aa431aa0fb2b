//! The lines of this tick, and where the log stands.

use bevy::prelude::Resource;
use clawmesh_authority::audit::{Happened, Head, Logged};
use clawmesh_authority::canonical;
use minicbor::Encode;

/// The subject under which lines are kept.
pub const SUBJECT: &str = "safety";

/// When something was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The tick.
    pub tick: u64,
    /// Unix milliseconds; 0 while the time is not known.
    pub at_ms: u64,
}

/// The safety log, as far as this run needs it.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Encode)]
pub struct SafetyLog {
    /// How far it goes, with the lines that are due.
    #[n(0)]
    head: Head,
    /// The lines that are still to be written.
    #[n(1)]
    due: Logged,
}

impl SafetyLog {
    /// Adds a line. It is written before anything of this tick leaves the node.
    pub fn tell(&mut self, at: Moment, happened: Happened) {
        let line = self.due.push(at.tick, at.at_ms, happened).hash();
        self.head = self.head.after(line);
    }

    /// Goes on where an earlier run has ended.
    ///
    /// # Errors
    /// A sentence, when what was kept cannot be read or does not hang together.
    pub fn go_on(&mut self, kept: &[u8]) -> Result<(), String> {
        let head = read(kept)?.head()?;
        *self = Self { head, due: Logged { before: head, entries: Vec::new() } };
        Ok(())
    }

    /// Takes the lines that are due, if there are any.
    pub fn take(&mut self) -> Option<Logged> {
        let next = Logged { before: self.head, entries: Vec::new() };
        (!self.due.entries.is_empty()).then(|| std::mem::replace(&mut self.due, next))
    }

    /// How far it goes.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }
}

/// Reads lines that were kept.
///
/// # Errors
/// A sentence, when they are damaged.
pub fn read(kept: &[u8]) -> Result<Logged, String> {
    canonical::decode(kept)
        .map_err(|fault| format!("what was kept of the safety log cannot be read: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: Moment = Moment { tick: 7, at_ms: 1_000 };

    #[test]
    fn what_is_taken_hangs_on_what_was_taken_before_also_over_a_restart() {
        let mut log = SafetyLog::default();
        assert_eq!(log.take(), None);
        log.tell(AT, Happened::Rearmed);
        log.tell(AT, Happened::Rearmed);
        let first = log.take().unwrap();
        assert_eq!((first.before, first.head()), (Head::default(), Ok(log.head())));
        assert_eq!(log.take(), None);
        let mut next = SafetyLog::default();
        next.go_on(&canonical::encode(&first)).unwrap();
        assert_eq!(next, log);
        next.tell(AT, Happened::Rearmed);
        let second = next.take().unwrap();
        assert_eq!((second.before.number, second.entries[0].number), (2, 3));
        assert_eq!(second.before, first.head().unwrap());
    }

    #[test]
    fn what_does_not_hang_together_is_not_gone_on_from() {
        let mut log = SafetyLog::default();
        log.tell(AT, Happened::Rearmed);
        let mut kept = log.take().unwrap();
        kept.entries[0].number = 2;
        let mut next = SafetyLog::default();
        next.go_on(&canonical::encode(&kept)).unwrap_err();
        assert_eq!(next, SafetyLog::default());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..96)) {
            let _ = SafetyLog::default().go_on(&bytes);
        }
    }
}
