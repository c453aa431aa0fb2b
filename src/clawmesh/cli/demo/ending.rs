//! What ends a demo early: Ctrl-C ends the showing and leads to the proof, anything else ends all of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cli::client::block_on;
use crate::headless::{Asked, Signals};

/// More than anybody presses Ctrl-C: a demo that is told to terminate has no time for a proof.
const AT_ONCE: u32 = 1 << 16;

/// How often, and how, the demo was asked to end.
#[derive(Debug, Clone, Default)]
pub struct Ending(Arc<AtomicU32>);

impl Ending {
    /// Begins to listen for signals. So they end the demo in order, and the temporary folder with it.
    pub fn watch() -> anyhow::Result<Self> {
        let ending = Self::default();
        let told = ending.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let heard = block_on(async {
                let mut signals = Signals::hear()?;
                loop {
                    told.take(signals.next().await);
                }
            });
            let Err::<(), _>(fault) = heard else { return };
            tracing::warn!("signals end the demo without tidying up: {fault}");
        })?;
        Ok(ending)
    }

    fn take(&self, asked: Asked) {
        let weight = if asked == Asked::Interrupt { 1 } else { AT_ONCE };
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_add(weight)));
    }

    /// True when what is shown should end.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// True when everything should end, the proof too.
    pub fn is_at_once(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= AT_ONCE
    }

    /// How often it was asked, to tell a second Ctrl-C from the first.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_c_ends_the_showing_and_other_signals_everything() {
        let ending = Ending::default();
        assert!(!ending.is_asked());
        ending.take(Asked::Interrupt);
        assert!(ending.is_asked() && !ending.is_at_once());
        ending.take(Asked::Interrupt);
        assert!(ending.count() == 2 && !ending.is_at_once());
        for asked in [Asked::Terminate, Asked::HangUp] {
            let ending = Ending::default();
            ending.take(asked);
            assert!(ending.is_asked() && ending.is_at_once());
        }
    }
}
