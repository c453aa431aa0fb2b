//! The people this node knows now. People at its console change that while it runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use clawmesh_authority::Roster;

/// Everybody who may ask here, as this edge knows it; what they may ask for is for the tick to say.
#[derive(Debug, Default)]
pub struct People {
    roster: RwLock<Arc<Roster>>,
    changes: AtomicU64,
}

impl People {
    /// These, for now.
    #[must_use]
    pub fn of(roster: Roster) -> Self {
        Self { roster: RwLock::new(Arc::new(roster)), changes: AtomicU64::new(0) }
    }

    /// From now on these, and nobody else.
    pub fn set(&self, roster: Roster) {
        *self.roster.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(roster);
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Everybody who is known now.
    #[must_use]
    pub fn now(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often that was changed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }
}
