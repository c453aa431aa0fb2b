//! The newest snapshot, from the tick to every reader: one place, overwritten, never waited for.

use std::sync::{Arc, OnceLock};

use clawmesh_core::publish::{Snapshot, SnapshotSink};
use tokio::sync::watch;
use tokio::time::Instant;

/// A snapshot with the moment it came, and its JSON once somebody asked for it.
pub(crate) struct Published {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Monotonic, so that a step of the wall clock neither hides a stalled tick nor invents one.
    at: Instant,
    json: OnceLock<String>,
}

impl Published {
    pub(crate) fn age_ms(&self) -> u64 {
        u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Written once, however many streams send it.
    pub(crate) fn json(&self) -> &str {
        self.json.get_or_init(|| serde_json::to_string(&*self.snapshot).unwrap_or_else(|_| "null".to_owned()))
    }
}

/// The tick's end: takes snapshots.
#[derive(Debug)]
pub struct SnapshotFeeder(watch::Sender<Option<Arc<Published>>>);

/// The readers' end: has the newest snapshot. Clones see the same.
#[derive(Debug, Clone)]
pub struct SnapshotFeed(watch::Receiver<Option<Arc<Published>>>);

/// Makes the two ends.
#[must_use]
pub fn snapshot_feed() -> (SnapshotFeeder, SnapshotFeed) {
    let (tx, rx) = watch::channel(None);
    (SnapshotFeeder(tx), SnapshotFeed(rx))
}

impl SnapshotSink for SnapshotFeeder {
    fn publish(&self, snapshot: Arc<Snapshot>) {
        let published = Published { snapshot, at: Instant::now(), json: OnceLock::new() };
        self.0.send_replace(Some(Arc::new(published)));
    }
}

impl SnapshotFeed {
    pub(crate) fn newest(&self) -> Option<Arc<Published>> {
        self.0.borrow().clone()
    }

    /// The newest snapshot, and how long ago it came, milliseconds; nothing before the first.
    #[must_use]
    pub fn look(&self) -> Option<(Arc<Snapshot>, u64)> {
        self.newest().map(|newest| (Arc::clone(&newest.snapshot), newest.age_ms()))
    }

    /// Takes the newest and remembers that it was seen.
    pub(crate) fn take_newest(&mut self) -> Option<Arc<Published>> {
        self.0.borrow_and_update().clone()
    }

    /// A feed that has seen nothing yet, so that its first wait ends at once.
    pub(crate) fn unseen(&self) -> Self {
        let mut feed = self.clone();
        feed.0.mark_changed();
        feed
    }

    /// Waits for a snapshot not seen yet; false when there will be none any more.
    pub(crate) async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

impl std::fmt::Debug for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Published(tick {})", self.snapshot.tick)
    }
}
